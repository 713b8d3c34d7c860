//! Summaries and reports, from counters.

use std::collections::BTreeMap;

use chrono::Utc;
use sqlx::mysql::MySqlRow;
use sqlx::{Error, MySqlConnection, raw_sql};
use tokio::time::Instant;
use tracking_core::{
    AffiliateId, CampaignId, ConversionStatus, Currency, ParseError, Scope, StoreError, Summary, Timestamp,
};

use crate::attempt::{store_error, within};
use crate::counters::{COUNTER, Change, Counted, Series, TABLE, quarter_hour, read};
use crate::rows;
use crate::spans::{Node, Span, cover};
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;

/// How many times a list has at the most: of more than a thousand values MariaDB makes a table, and joins it.
pub(crate) const LISTED: usize = 900;

/// Of how many counters a statement tells at the most, so that the servers look each of them up. Ten years by day take some more.
pub(crate) const AT_ONCE: usize = 8_000;

/// What is asked of the counters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    counted: Counted,
    /// Of which affiliate, and of which campaign; those of each where there is none.
    affiliate: Option<u64>,
    campaign: Option<u64>,
}

impl Question {
    /// What is counted of each affiliate.
    pub(crate) const OF_EACH_AFFILIATE: Self = Self { counted: Counted::Affiliate, affiliate: None, campaign: None };

    fn new(counted: Counted, affiliate: Option<AffiliateId>, campaign: Option<CampaignId>) -> Self {
        Self { counted, affiliate: affiliate.map(AffiliateId::as_u64), campaign: campaign.map(CampaignId::as_u64) }
    }

    /// All that is counted in a scope.
    pub(crate) fn totals(scope: Scope) -> Self {
        let counted = match (scope.affiliate_id, scope.campaign_id) {
            (Some(_), Some(_)) => Counted::Pair,
            (Some(_), None) => Counted::Affiliate,
            (None, Some(_)) => Counted::Campaign,
            (None, None) => Counted::All,
        };
        Self::new(counted, scope.affiliate_id, scope.campaign_id)
    }

    /// The counters of a period, and how often each is to be added.
    pub(crate) fn cover(self, from: Timestamp, to: Timestamp) -> BTreeMap<Node, i64> {
        let spans: Vec<Span> = self.counted.series().map(|series| series.span).collect();
        // Where each campaign is looked up, what is not there costs as much.
        let now = if self.is_by_campaign() { Timestamp::MAX } else { Utc::now().into() };
        cover(&spans, (quarter_hour(from), quarter_hour(to)), quarter_hour(now))
    }

    /// Writes the statement that finds these counters; of these owners only, if any are named.
    fn write<'a>(self, sql: &mut Sql, prefix: &TablePrefix, nodes: impl Iterator<Item = &'a Node>, owners: &[u64]) {
        let lists = self.lists(nodes);
        // Where the part is known and the owner is not, all rows of the time would be looked at.
        let is_scattered = |series: &Series| self.is_by_campaign() && self.place(*series).0.is_none();
        let (scattered, ranges): (Vec<_>, Vec<_>) = lists.iter().partition(|(series, _)| is_scattered(series));
        if !ranges.is_empty() {
            sql.push("SELECT ").push(COUNTER);
            self.write_from(sql, prefix, ranges.iter().map(|(series, starts)| (**series, &starts[..])), owners);
        }
        if let (false, Some(affiliate)) = (scattered.is_empty(), self.affiliate) {
            sql.push(if ranges.is_empty() { "SELECT " } else { " UNION ALL SELECT " }).push(COUNTER).push(" FROM (");
            let nodes =
                scattered.iter().flat_map(|(series, starts)| starts.iter().map(|start| (series.number(), *start)));
            sql.separated(" UNION ALL ", nodes, |sql, (series, start)| {
                sql.push("SELECT ").number(series).push(" AS of_series, ").signed(start).push(" AS of_start");
            });
            sql.push(") n STRAIGHT_JOIN ").table(prefix, "campaigns").push(" STRAIGHT_JOIN ").table(prefix, TABLE);
            sql.push(" FORCE INDEX (PRIMARY) ON series = of_series AND start = of_start AND owner = id AND part = ");
            sql.number(affiliate);
        }
    }

    /// In which series these counters are, and where they start.
    pub(crate) fn lists<'a>(self, nodes: impl Iterator<Item = &'a Node>) -> BTreeMap<Series, Vec<i64>> {
        let mut lists: BTreeMap<Series, Vec<i64>> = BTreeMap::new();
        for (span, start) in nodes {
            let series = self.counted.series().find(|series| series.span == *span);
            series.into_iter().for_each(|series| lists.entry(series).or_default().push(*start));
        }
        lists
    }

    /// Writes from where, and on what conditions, these counters are read.
    pub(crate) fn write_from<'a>(
        self,
        sql: &mut Sql,
        prefix: &TablePrefix,
        lists: impl Iterator<Item = (Series, &'a [i64])>,
        owners: &[u64],
    ) {
        sql.push(" FROM ").table(prefix, TABLE).push(" FORCE INDEX (PRIMARY) WHERE ");
        let lists = lists.flat_map(|(series, starts)| starts.chunks(LISTED).map(move |starts| (series, starts)));
        sql.separated(" OR ", lists, |sql, (series, starts)| {
            sql.push("(series = ").number(series.number()).push(" AND start IN (");
            sql.separated(", ", starts, |sql, start| _ = sql.signed(*start)).push(")");
            let (owner, part) = self.place(series);
            for (column, value) in [(" AND owner = ", owner), (" AND part = ", part)] {
                value.into_iter().for_each(|value| _ = sql.push(column).number(value));
            }
            if !owners.is_empty() {
                sql.push(" AND owner IN (").numbers(owners.iter().copied()).push(")");
            }
            sql.push(")");
        });
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

/// What is counted, by currency, on the way to a summary: parts of it may be below zero.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts(BTreeMap<Option<Currency>, Change>);

impl Counts {
    pub(crate) fn add(&mut self, currency: Option<Currency>, change: &Change, times: i64) {
        self.0.entry(currency).or_default().add(change, times);
    }

    pub(crate) fn into_summary(self) -> Result<Summary, Error> {
        let whole = |number: i64| u64::try_from(number).map_err(|error| rows::decode("figures", error));
        let mut summary = Summary::default();
        for (currency, change) in self.0 {
            summary.clicks += whole(change.clicks)?;
            summary.human_clicks += whole(change.human_clicks)?;
            summary.unique_clicks += whole(change.unique_clicks)?;
            for status in ConversionStatus::ALL {
                let (worth, tally) = (change.worth(status), summary.tally_mut(status));
                tally.conversions += whole(worth.conversions)?;
                if let Some(currency) = currency {
                    tally.revenue.add_sum(worth.amount, currency);
                    tally.payout.add_sum(worth.payout, currency);
                }
            }
        }
        Ok(summary)
    }
}

/// What is counted of each group, without those of which nothing is.
pub(crate) fn summaries(groups: BTreeMap<u64, Counts>) -> Result<Vec<(u64, Summary)>, Error> {
    let mut summaries = Vec::new();
    for (number, counts) in groups {
        let summary = counts.into_summary()?;
        if !summary.is_empty() {
            summaries.push((number, summary));
        }
    }
    Ok(summaries)
}

impl Database {
    /// By way of the years in which there is anything at all.
    pub(crate) async fn summary(&self, affiliate: AffiliateId) -> Result<Summary, StoreError> {
        let (years, of_affiliate) =
            (Series::new(Counted::All, Span::Year), Series::new(Counted::Affiliate, Span::Year));
        let query = |sql: &mut Sql| {
            sql.push("SELECT ").push(COUNTER).push(" FROM (SELECT DISTINCT start AS year FROM ");
            sql.table(&self.prefix, TABLE).push(" FORCE INDEX (PRIMARY) WHERE series = ").number(years.number());
            sql.push(") y STRAIGHT_JOIN ").table(&self.prefix, TABLE);
            sql.push(" FORCE INDEX (PRIMARY) ON series = ").number(of_affiliate.number());
            sql.push(" AND start = year AND owner = ").number(affiliate.as_u64());
        };
        let summarized = async {
            let found = self.reader().rows(query).await?;
            let mut counts = Counts::default();
            for row in &found {
                let ((.., currency), change) = read(row)?;
                counts.add(currency, &change, 1);
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
            self.count(question, &nodes, |_, (currency, change), places| {
                places.iter().for_each(|(index, times)| counts[*index].add(currency, change, *times));
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
            self.count(question, &nodes, |of, (currency, change), times| {
                groups.entry(pick(of)).or_default().add(currency, change, *times);
            })
            .await?;
            let with_id = |(number, summary)| Ok((rows::parse("id", id(number))?, summary));
            summaries(groups)?.into_iter().map(with_id).collect::<Result<Vec<_>, Error>>()
        };
        let groups = counted.await.map_err(|error| store_error("total", error))?;
        if groups.len() > max { Err(StoreError::TooManyGroups { max }) } else { Ok(groups) }
    }

    /// Finds these counters as they are at one moment, and adds each: the affiliate and the campaign that it is of, what it
    /// counts, and what is known of its time.
    async fn count<T>(
        &self,
        question: Question,
        nodes: &BTreeMap<Node, T>,
        mut add: impl FnMut((u64, u64), (Option<Currency>, &Change), &T),
    ) -> Result<(), Error> {
        if nodes.is_empty() {
            return Ok(());
        }
        if nodes.len() <= AT_ONCE {
            let found = self.reader().rows(|sql| question.write(sql, &self.prefix, nodes.keys(), &[])).await?;
            return add_rows(&found, nodes, &mut add);
        }
        let deadline = Instant::now() + self.timeout;
        let mut lease = self.snapshot(deadline).await?;
        let counting = within(deadline, async {
            self.count_on(lease.connection(), question, nodes, &[], add).await?;
            raw_sql("COMMIT").execute(lease.connection()).await.map(drop)
        });
        counting.await?;
        // One on which something is left to be done is closed.
        lease.give_back();
        Ok(())
    }

    /// The same in a transaction; of these owners only, if any are named.
    pub(crate) async fn count_on<T>(
        &self,
        connection: &mut MySqlConnection,
        question: Question,
        nodes: &BTreeMap<Node, T>,
        owners: &[u64],
        mut add: impl FnMut((u64, u64), (Option<Currency>, &Change), &T),
    ) -> Result<(), Error> {
        let starts: Vec<&Node> = nodes.keys().collect();
        for starts in starts.chunks(AT_ONCE) {
            let mut sql = Sql::default();
            question.write(&mut sql, &self.prefix, starts.iter().copied(), owners);
            add_rows(&raw_sql(sql).fetch_all(&mut *connection).await?, nodes, &mut add)?;
        }
        Ok(())
    }
}

fn add_rows<T>(
    rows: &[MySqlRow],
    nodes: &BTreeMap<Node, T>,
    add: &mut impl FnMut((u64, u64), (Option<Currency>, &Change), &T),
) -> Result<(), Error> {
    for row in rows {
        let ((series, start, owner, part, currency), change) = read(row)?;
        if let Some(place) = nodes.get(&(series.span, start)) {
            add(series.of(owner, part), (currency, &change), place);
        }
    }
    Ok(())
}
