//! Summaries and reports, from counters.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use sqlx::mysql::MySqlRow;
use sqlx::{Error, Row};
use tracking_core::{
    AffiliateId, CampaignId, ConversionStatus, Currency, ParseError, Scope, StoreError, Summary, Timestamp, Totals,
};

use crate::attempt::store_error;
use crate::counters::{Series, TABLE, quarter_hour};
use crate::cover::{Node, cover};
use crate::rows;
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;

/// How many times a list has at the most: of more than a thousand values MariaDB makes a table, and joins it.
const LISTED: usize = 900;

/// Of each row; NULL where it has nothing of it.
const SUMS: &str = "currency, CAST(SUM(clicks) AS SIGNED) AS clicks, CAST(SUM(human_clicks) AS SIGNED) AS human_clicks, \
     CAST(SUM(unique_clicks) AS SIGNED) AS unique_clicks, \
     CAST(SUM(pending_conversions) AS SIGNED) AS pending_conversions, SUM(pending_amount) AS pending_amount, \
     SUM(pending_payout) AS pending_payout, \
     CAST(SUM(approved_conversions) AS SIGNED) AS approved_conversions, SUM(approved_amount) AS approved_amount, \
     SUM(approved_payout) AS approved_payout, \
     CAST(SUM(rejected_conversions) AS SIGNED) AS rejected_conversions, SUM(rejected_amount) AS rejected_amount, \
     SUM(rejected_payout) AS rejected_payout";

/// Which rows of a series are asked for. A report has one of these for each length of time, the shortest first.
#[derive(Debug, Clone, Copy)]
struct Level {
    series: Series,
    owner: Option<u64>,
    part: Option<u64>,
}

impl Level {
    const fn all_of(series: Series) -> Self {
        Self { series, owner: None, part: None }
    }

    const fn owned(series: Series, owner: u64) -> Self {
        Self { series, owner: Some(owner), part: None }
    }

    const fn one(series: Series, owner: u64, part: u64) -> Self {
        Self { series, owner: Some(owner), part: Some(part) }
    }

    /// Where all that is counted in a scope is.
    fn of(scope: Scope) -> Vec<Self> {
        let (affiliate, campaign) =
            (scope.affiliate_id.map(AffiliateId::as_u64), scope.campaign_id.map(CampaignId::as_u64));
        match (affiliate, campaign) {
            (Some(affiliate), Some(campaign)) => vec![
                Self::one(Series::PairQuarter, affiliate, campaign),
                Self::one(Series::PairDay, affiliate, campaign),
                Self::one(Series::PairSpan, campaign, affiliate),
            ],
            (Some(affiliate), None) => vec![
                Self::owned(Series::PairQuarter, affiliate),
                Self::owned(Series::AffiliateHour, affiliate),
                Self::owned(Series::PairDay, affiliate),
                Self::owned(Series::AffiliateSpan, affiliate),
            ],
            (None, Some(campaign)) => vec![
                Self::owned(Series::CampaignQuarter, campaign),
                Self::owned(Series::CampaignHour, campaign),
                Self::owned(Series::CampaignDay, campaign),
            ],
            (None, None) => vec![
                Self::owned(Series::AllQuarter, 0),
                Self::owned(Series::AllHour, 0),
                Self::owned(Series::AllDay, 0),
                Self::owned(Series::AllSpan, 0),
            ],
        }
    }

    /// Where it is by affiliate, with the column that tells which.
    fn by_affiliate(campaign: Option<CampaignId>) -> Vec<(Self, &'static str)> {
        match campaign.map(CampaignId::as_u64) {
            None => {
                let series = [Series::PairQuarter, Series::AffiliateHour, Series::PairDay, Series::AffiliateSpan];
                series.map(|series| (Self::all_of(series), "owner")).into()
            }
            Some(campaign) => {
                let in_it = |series| (Self { series, owner: None, part: Some(campaign) }, "owner");
                let spans = (Self::owned(Series::PairSpan, campaign), "part");
                vec![in_it(Series::PairQuarter), in_it(Series::PairDay), spans]
            }
        }
    }

    fn by_campaign(affiliate: Option<AffiliateId>) -> Vec<(Self, &'static str)> {
        match affiliate.map(AffiliateId::as_u64) {
            None => {
                let series = [Series::CampaignQuarter, Series::CampaignHour, Series::CampaignDay];
                series.map(|series| (Self::all_of(series), "owner")).into()
            }
            Some(affiliate) => {
                let series = [Series::PairQuarter, Series::PairDay];
                series.map(|series| (Self::owned(series, affiliate), "part")).into()
            }
        }
    }

    /// Writes the rest of a query of the rows that start at these times.
    fn write(&self, sql: &mut Sql, prefix: &TablePrefix, starts: &[i64]) {
        sql.push(" FROM ").table(prefix, TABLE).push(" FORCE INDEX (PRIMARY) WHERE series = ");
        sql.number(self.series.number()).push(" AND start IN (");
        sql.separated(", ", starts, |sql, start| _ = sql.signed(*start)).push(")");
        for (column, value) in [(" AND owner = ", self.owner), (" AND part = ", self.part)] {
            if let Some(value) = value {
                sql.push(column).number(value);
            }
        }
    }
}

/// What is counted, on the way to a summary: parts of it may be below zero.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    clicks: i64,
    human_clicks: i64,
    unique_clicks: i64,
    conversions: [i64; 3],
    revenue: [Totals; 3],
    payout: [Totals; 3],
}

/// Of each status the columns, in the order of [`ConversionStatus::ALL`].
const OF_STATUS: [[&str; 3]; 3] = [
    ["pending_conversions", "pending_amount", "pending_payout"],
    ["approved_conversions", "approved_amount", "approved_payout"],
    ["rejected_conversions", "rejected_amount", "rejected_payout"],
];
const _: () = assert!(matches!(
    ConversionStatus::ALL,
    [ConversionStatus::Pending, ConversionStatus::Approved, ConversionStatus::Rejected]
));

impl Counts {
    /// Adds a row of [`SUMS`] so often to each of those that `to` picks.
    fn add_row<'a>(row: &MySqlRow, to: impl IntoIterator<Item = (&'a mut Self, i64)>) -> Result<(), Error> {
        let count = |column| row.try_get::<Option<i64>, _>(column).map(Option::unwrap_or_default);
        let Some(currency) = rows::text_or_nothing::<Currency>(row, "currency")? else {
            let (clicks, human, unique) = (count("clicks")?, count("human_clicks")?, count("unique_clicks")?);
            for (counts, times) in to {
                counts.clicks += clicks * times;
                counts.human_clicks += human * times;
                counts.unique_clicks += unique * times;
            }
            return Ok(());
        };
        let mut sums = [(0, Decimal::ZERO, Decimal::ZERO); 3];
        for (sums, [conversions, amount, payout]) in sums.iter_mut().zip(OF_STATUS) {
            // Nothing was ever of this status there.
            let Some(conversions) = row.try_get::<Option<i64>, _>(conversions)? else { continue };
            *sums = (conversions, row.try_get(amount)?, row.try_get(payout)?);
        }
        for (counts, times) in to {
            for (index, (conversions, amount, payout)) in sums.into_iter().enumerate() {
                counts.conversions[index] += conversions * times;
                counts.revenue[index].add_sum(amount * Decimal::from(times), currency);
                counts.payout[index].add_sum(payout * Decimal::from(times), currency);
            }
        }
        Ok(())
    }

    fn into_summary(self) -> Result<Summary, Error> {
        let whole = |number: i64| u64::try_from(number).map_err(|error| rows::decode("clicks", error));
        let mut summary = Summary {
            clicks: whole(self.clicks)?,
            human_clicks: whole(self.human_clicks)?,
            unique_clicks: whole(self.unique_clicks)?,
            ..Summary::default()
        };
        let sums = self.conversions.into_iter().zip(self.revenue).zip(self.payout);
        for (status, ((conversions, revenue), payout)) in ConversionStatus::ALL.into_iter().zip(sums) {
            let tally = summary.tally_mut(status);
            (tally.conversions, tally.revenue, tally.payout) = (whole(conversions)?, revenue, payout);
        }
        Ok(summary)
    }
}

impl Database {
    /// By way of the spans of days of which there is anything at all: 46 in a year, however much was recorded in them.
    pub(crate) async fn summary(&self, affiliate: AffiliateId) -> Result<Summary, StoreError> {
        let query = |sql: &mut Sql| {
            sql.push("SELECT ").push(SUMS).push(" FROM (SELECT DISTINCT start AS span FROM ");
            sql.table(&self.prefix, TABLE).push(" FORCE INDEX (PRIMARY) WHERE series = ");
            sql.number(Series::AllSpan.number()).push(") s STRAIGHT_JOIN ").table(&self.prefix, TABLE);
            sql.push(" FORCE INDEX (PRIMARY) ON series = ").number(Series::AffiliateSpan.number());
            sql.push(" AND start = span AND owner = ").number(affiliate.as_u64()).push(" GROUP BY currency");
        };
        let summarized = async {
            let found = self.reader().rows(query).await?;
            let mut counts = Counts::default();
            for row in &found {
                Counts::add_row(row, [(&mut counts, 1)])?;
            }
            Ok((found.is_empty(), counts.into_summary()?))
        };
        let (is_empty, summary) = summarized.await.map_err(|error| store_error("summarize", error))?;
        self.check_scope(affiliate.into(), is_empty).await?;
        Ok(summary)
    }

    pub(crate) async fn totals(&self, scope: Scope, bounds: &[Timestamp]) -> Result<Vec<Summary>, StoreError> {
        let levels = Level::of(scope);
        let widths: Vec<i64> = levels.iter().map(|level| level.series.width()).collect();
        // A counter may be of two of them: where one day begins another one ends.
        let mut nodes: BTreeMap<Node, Vec<(usize, i64)>> = BTreeMap::new();
        for (index, bounds) in bounds.windows(2).enumerate() {
            for (node, times) in cover(&widths, quarter_hour(bounds[0]), quarter_hour(bounds[1])) {
                nodes.entry(node).or_default().push((index, times));
            }
        }
        let mut counts = vec![Counts::default(); bounds.len().saturating_sub(1)];
        let query = |sql: &mut Sql| {
            // One statement, so that all of it is of one moment.
            sql.separated(" UNION ALL ", lists(nodes.keys().copied()), |sql, (index, starts)| {
                sql.push("SELECT ").number(index as u64).push(" AS level, start, ").push(SUMS);
                levels[index].write(sql, &self.prefix, &starts);
                sql.push(" GROUP BY start, currency");
            });
        };
        let counted = async {
            if !nodes.is_empty() {
                for row in &self.reader().rows(query).await? {
                    let level = rows::number(row, "level")? as usize;
                    let of_node = nodes.get(&(level, row.try_get::<i64, _>("start")?));
                    for (index, times) in of_node.into_iter().flatten() {
                        Counts::add_row(row, [(&mut counts[*index], *times)])?;
                    }
                }
            }
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
        self.grouped(Level::by_affiliate(campaign), period, max, AffiliateId::new).await
    }

    pub(crate) async fn totals_by_campaign(
        &self,
        affiliate: Option<AffiliateId>,
        period: (Timestamp, Timestamp),
        max: usize,
    ) -> Result<Vec<(CampaignId, Summary)>, StoreError> {
        self.grouped(Level::by_campaign(affiliate), period, max, CampaignId::new).await
    }

    async fn grouped<I>(
        &self,
        levels: Vec<(Level, &'static str)>,
        (from, to): (Timestamp, Timestamp),
        max: usize,
        id: impl Fn(u64) -> Result<I, ParseError>,
    ) -> Result<Vec<(I, Summary)>, StoreError> {
        let widths: Vec<i64> = levels.iter().map(|(level, _)| level.series.width()).collect();
        let nodes = cover(&widths, quarter_hour(from), quarter_hour(to));
        if nodes.is_empty() {
            return Ok(Vec::new());
        }
        let times: Vec<i64> = nodes.values().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let query = |sql: &mut Sql| {
            let lists = times.iter().flat_map(|times| {
                let nodes = nodes.iter().filter(move |(_, found)| *found == times).map(|(node, _)| *node);
                lists(nodes).into_iter().map(move |list| (*times, list))
            });
            sql.separated(" UNION ALL ", lists, |sql, (times, (index, starts))| {
                let (level, column) = levels[index];
                sql.push("SELECT ").signed(times).push(" AS times, ").push(column).push(" AS id, ").push(SUMS);
                level.write(sql, &self.prefix, &starts);
                sql.push(" GROUP BY ").push(column).push(", currency");
            });
        };
        let counted = async {
            let mut groups: BTreeMap<i64, Counts> = BTreeMap::new();
            for row in &self.reader().rows(query).await? {
                let group = groups.entry(row.try_get("id")?).or_default();
                Counts::add_row(row, [(group, row.try_get("times")?)])?;
            }
            let mut summaries = Vec::new();
            for (number, counts) in groups {
                let summary = counts.into_summary()?;
                if !summary.is_empty() {
                    let number = u64::try_from(number).map_err(|error| rows::decode("id", error))?;
                    summaries.push((rows::parse("id", id(number))?, summary));
                }
            }
            Ok(summaries)
        };
        let groups: Vec<_> = counted.await.map_err(|error| store_error("total", error))?;
        if groups.len() > max { Err(StoreError::TooManyGroups { max }) } else { Ok(groups) }
    }
}

/// For each level the starts of these, in lists that are not too long.
fn lists(nodes: impl Iterator<Item = Node>) -> Vec<(usize, Vec<i64>)> {
    let mut lists: Vec<(usize, Vec<i64>)> = Vec::new();
    for (level, start) in nodes {
        match lists.last_mut() {
            Some((last, starts)) if *last == level && starts.len() < LISTED => starts.push(start),
            _ => lists.push((level, vec![start])),
        }
    }
    lists
}
