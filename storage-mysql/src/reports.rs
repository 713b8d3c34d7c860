//! Summaries and reports, from counters.

use std::collections::BTreeMap;

use chrono::Utc;
use rust_decimal::Decimal;
use sqlx::mysql::MySqlRow;
use sqlx::{Error, Row, raw_sql};
use tokio::time::Instant;
use tracking_core::{
    AffiliateId, CampaignId, ConversionStatus, Currency, ParseError, Scope, StoreError, Summary, Timestamp,
};

use crate::attempt::{store_error, within};
use crate::counters::{Counted, Series, TABLE, Worth, quarter_hour};
use crate::rows;
use crate::spans::{Node, Span, cover};
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;

/// How many times a list has at the most: of more than a thousand values MariaDB makes a table, and joins it.
const LISTED: usize = 900;

/// Of how many counters a statement tells at the most, so that the servers look each of them up. Ten years by day take some more.
const AT_ONCE: usize = 8_000;

/// Of a row of counters; NULL where it has nothing of it.
const COLUMNS: &str = "series, start, owner, part, currency, CAST(SUM(clicks) AS SIGNED), \
     CAST(SUM(human_clicks) AS SIGNED), CAST(SUM(unique_clicks) AS SIGNED), \
     CAST(SUM(pending_conversions) AS SIGNED), SUM(pending_amount), SUM(pending_payout), \
     CAST(SUM(approved_conversions) AS SIGNED), SUM(approved_amount), SUM(approved_payout), \
     CAST(SUM(rejected_conversions) AS SIGNED), SUM(rejected_amount), SUM(rejected_payout)";
const _: () = assert!(matches!(
    ConversionStatus::ALL,
    [ConversionStatus::Pending, ConversionStatus::Approved, ConversionStatus::Rejected]
));

/// Over all slots. Rows are found in the order of the primary key, and so are summed as they come.
const GROUPED: &str = " GROUP BY series, start, owner, part, currency";

/// What is asked of the counters.
#[derive(Debug, Clone, Copy)]
struct Question {
    counted: Counted,
    /// Of which affiliate, and of which campaign; those of each where there is none.
    affiliate: Option<u64>,
    campaign: Option<u64>,
}

impl Question {
    fn new(counted: Counted, affiliate: Option<AffiliateId>, campaign: Option<CampaignId>) -> Self {
        Self { counted, affiliate: affiliate.map(AffiliateId::as_u64), campaign: campaign.map(CampaignId::as_u64) }
    }

    /// All that is counted in a scope.
    fn totals(scope: Scope) -> Self {
        let counted = match (scope.affiliate_id, scope.campaign_id) {
            (Some(_), Some(_)) => Counted::Pair,
            (Some(_), None) => Counted::Affiliate,
            (None, Some(_)) => Counted::Campaign,
            (None, None) => Counted::All,
        };
        Self::new(counted, scope.affiliate_id, scope.campaign_id)
    }

    /// The counters of a period, and how often each is to be added.
    fn cover(self, from: Timestamp, to: Timestamp) -> BTreeMap<Node, i64> {
        let spans: Vec<Span> = self.counted.series().map(|series| series.span).collect();
        // Where each campaign is looked up, what is not there costs as much.
        let now = if self.is_by_campaign() { Timestamp::MAX } else { Utc::now().into() };
        cover(&spans, (quarter_hour(from), quarter_hour(to)), quarter_hour(now))
    }

    /// Writes the statement that finds these counters.
    fn write<'a>(self, sql: &mut Sql, prefix: &TablePrefix, nodes: impl Iterator<Item = &'a Node>) {
        let mut lists: BTreeMap<Series, Vec<i64>> = BTreeMap::new();
        for (span, start) in nodes {
            let series = self.counted.series().find(|series| series.span == *span);
            series.into_iter().for_each(|series| lists.entry(series).or_default().push(*start));
        }
        // Where the part is known and the owner is not, all rows of the time would be looked at.
        let is_scattered = |series: &Series| self.is_by_campaign() && self.place(*series).0.is_none();
        let (scattered, ranges): (Vec<_>, Vec<_>) = lists.iter().partition(|(series, _)| is_scattered(series));
        if !ranges.is_empty() {
            sql.push("SELECT ").push(COLUMNS).push(" FROM ").table(prefix, TABLE);
            sql.push(" FORCE INDEX (PRIMARY) WHERE ");
            let lists =
                ranges.iter().flat_map(|(series, starts)| starts.chunks(LISTED).map(|starts| (**series, starts)));
            sql.separated(" OR ", lists, |sql, (series, starts)| {
                sql.push("(series = ").number(series.number()).push(" AND start IN (");
                sql.separated(", ", starts, |sql, start| _ = sql.signed(*start)).push(")");
                let (owner, part) = self.place(series);
                for (column, value) in [(" AND owner = ", owner), (" AND part = ", part)] {
                    value.into_iter().for_each(|value| _ = sql.push(column).number(value));
                }
                sql.push(")");
            });
            sql.push(GROUPED);
        }
        if let (false, Some(affiliate)) = (scattered.is_empty(), self.affiliate) {
            sql.push(if ranges.is_empty() { "SELECT " } else { " UNION ALL SELECT " }).push(COLUMNS).push(" FROM (");
            let nodes =
                scattered.iter().flat_map(|(series, starts)| starts.iter().map(|start| (series.number(), *start)));
            sql.separated(" UNION ALL ", nodes, |sql, (series, start)| {
                sql.push("SELECT ").number(series).push(" AS of_series, ").signed(start).push(" AS of_start");
            });
            sql.push(") n STRAIGHT_JOIN ").table(prefix, "campaigns").push(" STRAIGHT_JOIN ").table(prefix, TABLE);
            sql.push(" FORCE INDEX (PRIMARY) ON series = of_series AND start = of_start AND owner = id AND part = ");
            sql.number(affiliate).push(GROUPED);
        }
    }

    /// Whether all campaigns of an affiliate are asked for, of which most rows are the campaigns'.
    const fn is_by_campaign(self) -> bool {
        self.affiliate.is_some() && self.campaign.is_none() && matches!(self.counted, Counted::Pair)
    }

    /// Owner and part of what is asked for in this series, where they matter.
    fn place(self, series: Series) -> (Option<u64>, Option<u64>) {
        match series.place(self.affiliate, self.campaign, Some(0)) {
            // There is no other part.
            (None, Some(0)) => (None, None),
            place => place,
        }
    }
}

/// A row of [`COLUMNS`].
#[derive(Debug)]
struct Counter {
    series: u64,
    start: i64,
    owner: u64,
    part: u64,
    sums: Sums,
}

#[derive(Debug)]
enum Sums {
    Clicks([i64; 3]),
    Worth(Currency, [Worth; 3]),
}

impl Counter {
    fn read(row: &MySqlRow) -> Result<Self, Error> {
        let count = |column: usize| row.try_get::<Option<i64>, _>(column).map(Option::unwrap_or_default);
        let sums = match rows::text_or_nothing::<Currency>(row, "currency")? {
            None => Sums::Clicks([count(5)?, count(6)?, count(7)?]),
            Some(currency) => {
                let mut worth = [Worth::default(); 3];
                for (worth, first) in worth.iter_mut().zip([8, 11, 14]) {
                    // Nothing was ever of this status there.
                    let Some(conversions) = row.try_get(first)? else { continue };
                    *worth = Worth { conversions, amount: row.try_get(first + 1)?, payout: row.try_get(first + 2)? };
                }
                Sums::Worth(currency, worth)
            }
        };
        let (series, owner, part) =
            (rows::number(row, "series")?, rows::number(row, "owner")?, rows::number(row, "part")?);
        Ok(Self { series, start: row.try_get("start")?, owner, part, sums })
    }
}

/// What is counted, on the way to a summary: parts of it may be below zero.
#[derive(Debug, Default, Clone)]
struct Counts {
    clicks: [i64; 3],
    worth: BTreeMap<Currency, [Worth; 3]>,
}

impl Counts {
    fn add(&mut self, sums: &Sums, times: i64) {
        match sums {
            Sums::Clicks(clicks) => {
                self.clicks.iter_mut().zip(clicks).for_each(|(sum, clicks)| *sum += clicks * times);
            }
            Sums::Worth(currency, worth) => {
                let sums = self.worth.entry(*currency).or_default();
                for (sum, worth) in sums.iter_mut().zip(worth).filter(|(_, worth)| worth.is_something()) {
                    sum.conversions += worth.conversions * times;
                    sum.amount += worth.amount * Decimal::from(times);
                    sum.payout += worth.payout * Decimal::from(times);
                }
            }
        }
    }

    fn into_summary(self) -> Result<Summary, Error> {
        let whole = |number: i64| u64::try_from(number).map_err(|error| rows::decode("clicks", error));
        let [clicks, human_clicks, unique_clicks] = self.clicks;
        let mut summary = Summary {
            clicks: whole(clicks)?,
            human_clicks: whole(human_clicks)?,
            unique_clicks: whole(unique_clicks)?,
            ..Summary::default()
        };
        let mut conversions = [0; 3];
        for (currency, worth) in self.worth {
            for ((status, worth), conversions) in ConversionStatus::ALL.into_iter().zip(worth).zip(&mut conversions) {
                *conversions += worth.conversions;
                let tally = summary.tally_mut(status);
                tally.revenue.add_sum(worth.amount, currency);
                tally.payout.add_sum(worth.payout, currency);
            }
        }
        for (status, conversions) in ConversionStatus::ALL.into_iter().zip(conversions) {
            summary.tally_mut(status).conversions = whole(conversions)?;
        }
        Ok(summary)
    }
}

impl Database {
    /// By way of the years in which there is anything at all.
    pub(crate) async fn summary(&self, affiliate: AffiliateId) -> Result<Summary, StoreError> {
        let (years, of_affiliate) =
            (Series::new(Counted::All, Span::Year), Series::new(Counted::Affiliate, Span::Year));
        let query = |sql: &mut Sql| {
            sql.push("SELECT ").push(COLUMNS).push(" FROM (SELECT DISTINCT start AS year FROM ");
            sql.table(&self.prefix, TABLE).push(" FORCE INDEX (PRIMARY) WHERE series = ").number(years.number());
            sql.push(") y STRAIGHT_JOIN ").table(&self.prefix, TABLE);
            sql.push(" FORCE INDEX (PRIMARY) ON series = ").number(of_affiliate.number());
            sql.push(" AND start = year AND owner = ").number(affiliate.as_u64()).push(GROUPED);
        };
        let summarized = async {
            let found = self.reader().rows(query).await?;
            let mut counts = Counts::default();
            for row in &found {
                counts.add(&Counter::read(row)?.sums, 1);
            }
            Ok((found.is_empty(), counts.into_summary()?))
        };
        let (is_empty, summary) = summarized.await.map_err(|error| store_error("summarize", error))?;
        self.check_scope(affiliate.into(), is_empty).await?;
        Ok(summary)
    }

    pub(crate) async fn totals(&self, scope: Scope, bounds: &[Timestamp]) -> Result<Vec<Summary>, StoreError> {
        let question = Question::totals(scope);
        // A counter may be of two of them: where one day begins another one ends.
        let mut nodes: BTreeMap<Node, Vec<(usize, i64)>> = BTreeMap::new();
        for (index, bounds) in bounds.windows(2).enumerate() {
            for (node, times) in question.cover(bounds[0], bounds[1]) {
                nodes.entry(node).or_default().push((index, times));
            }
        }
        let counted = async {
            let mut counts = vec![Counts::default(); bounds.len().saturating_sub(1)];
            self.count(question, &nodes, |_, sums, places| {
                places.iter().for_each(|(index, times)| counts[*index].add(sums, *times));
            })
            .await?;
            counts.into_iter().map(Counts::into_summary).collect::<Result<Vec<_>, Error>>()
        };
        counted.await.map_err(|error| store_error("total", error))
    }

    pub(crate) async fn totals_by_affiliate(
        &self,
        campaign: Option<CampaignId>,
        period: (Timestamp, Timestamp),
        max: usize,
    ) -> Result<Vec<(AffiliateId, Summary)>, StoreError> {
        let counted = if campaign.is_some() { Counted::Pair } else { Counted::Affiliate };
        self.grouped(Question::new(counted, None, campaign), period, max, |of| of.0, AffiliateId::new).await
    }

    pub(crate) async fn totals_by_campaign(
        &self,
        affiliate: Option<AffiliateId>,
        period: (Timestamp, Timestamp),
        max: usize,
    ) -> Result<Vec<(CampaignId, Summary)>, StoreError> {
        let counted = if affiliate.is_some() { Counted::Pair } else { Counted::Campaign };
        self.grouped(Question::new(counted, affiliate, None), period, max, |of| of.1, CampaignId::new).await
    }

    /// By what is picked of affiliate and campaign.
    async fn grouped<I>(
        &self,
        question: Question,
        (from, to): (Timestamp, Timestamp),
        max: usize,
        pick: impl Fn((u64, u64)) -> u64,
        id: impl Fn(u64) -> Result<I, ParseError>,
    ) -> Result<Vec<(I, Summary)>, StoreError> {
        let nodes = question.cover(from, to);
        let counted = async {
            let mut groups: BTreeMap<u64, Counts> = BTreeMap::new();
            self.count(question, &nodes, |of, sums, times| groups.entry(pick(of)).or_default().add(sums, *times))
                .await?;
            let mut summaries = Vec::new();
            for (number, counts) in groups {
                let summary = counts.into_summary()?;
                if !summary.is_empty() {
                    summaries.push((rows::parse("id", id(number))?, summary));
                }
            }
            Ok(summaries)
        };
        let groups: Vec<_> = counted.await.map_err(|error| store_error("total", error))?;
        if groups.len() > max { Err(StoreError::TooManyGroups { max }) } else { Ok(groups) }
    }

    /// Finds these counters as they are at one moment, and adds each: the affiliate and the campaign that it is of, what it
    /// counts, and what is known of its time.
    async fn count<T>(
        &self,
        question: Question,
        nodes: &BTreeMap<Node, T>,
        mut add: impl FnMut((u64, u64), &Sums, &T),
    ) -> Result<(), Error> {
        if nodes.is_empty() {
            return Ok(());
        }
        let mut add_rows = |rows: &[MySqlRow]| {
            for row in rows {
                let counter = Counter::read(row)?;
                let series = question.counted.series().find(|series| series.number() == counter.series);
                let Some(series) = series else { continue };
                if let Some(place) = nodes.get(&(series.span, counter.start)) {
                    add(series.of(counter.owner, counter.part), &counter.sums, place);
                }
            }
            Ok(())
        };
        if nodes.len() <= AT_ONCE {
            return add_rows(&self.reader().rows(|sql| question.write(sql, &self.prefix, nodes.keys())).await?);
        }
        let deadline = Instant::now() + self.timeout;
        let mut lease = self.snapshot(deadline).await?;
        let counting = within(deadline, async {
            let nodes: Vec<&Node> = nodes.keys().collect();
            for nodes in nodes.chunks(AT_ONCE) {
                let mut sql = Sql::default();
                question.write(&mut sql, &self.prefix, nodes.iter().copied());
                add_rows(&raw_sql(sql).fetch_all(lease.connection()).await?)?;
            }
            raw_sql("COMMIT").execute(lease.connection()).await.map(drop)
        });
        counting.await?;
        // One on which something is left to be done is closed.
        lease.give_back();
        Ok(())
    }
}
