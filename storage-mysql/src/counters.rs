//! Counters: what summaries and reports are made of.
//!
//! Each record is counted in several series: of its affiliate and its campaign, of either, and of all, by quarters of an
//! hour, on which the days of every time zone begin, and by longer times. `reports` puts together from them what is asked.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use sqlx::Row;
use sqlx::mysql::MySqlRow;
use thiserror::Error;
use tracking_core::{
    AffiliateId, Amount, CampaignId, Conversion, ConversionStatus, Currency, NewClick, NewConversion, Payout, Timestamp,
};

use crate::rows;
use crate::spans::Span;
use crate::sql::{Sql, TablePrefix};

pub(crate) const TABLE: &str = "figures";

/// What is counted together. The discriminant is the first digit of the column `series`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counted {
    /// Of an affiliate and a campaign.
    Pair = 1,
    Affiliate = 2,
    Campaign = 3,
    All = 4,
}

impl Counted {
    const EACH: [Self; 4] = [Self::Pair, Self::Affiliate, Self::Campaign, Self::All];

    /// The lengths of time for which it is counted, the shortest first.
    ///
    /// Each record costs a row of each, unless others of its batch share it; so there are only those without which some report
    /// would have to read thousands of rows.
    const fn spans(self) -> &'static [Span] {
        match self {
            Self::Pair => &[Span::Quarter, Span::Day, Span::Third, Span::Year],
            Self::Affiliate => &[Span::Hour, Span::SixHours, Span::Day, Span::Third, Span::Year],
            Self::Campaign | Self::All => &Span::EACH,
        }
    }

    /// Where it is found, the shortest times first. An affiliate's quarter-hours are those of his campaigns, which lie side by
    /// side.
    pub(crate) fn series(self) -> impl Iterator<Item = Series> {
        let quarter = (self == Self::Affiliate).then_some(Series::new(Self::Pair, Span::Quarter));
        quarter.into_iter().chain(self.spans().iter().map(move |span| Series::new(self, *span)))
    }
}

/// What is counted together, and by which times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) counted: Counted,
    pub(crate) span: Span,
}

impl Series {
    pub(crate) const fn new(counted: Counted, span: Span) -> Self {
        Self { counted, span }
    }

    pub(crate) fn each() -> impl Iterator<Item = Self> {
        Counted::EACH.into_iter().flat_map(|counted| counted.spans().iter().map(move |span| Self::new(counted, *span)))
    }

    /// As it is in the column `series`.
    pub(crate) const fn number(self) -> u64 {
        self.counted as u64 * 10 + self.span as u64
    }

    /// Under which owner, and as which part of it, records of this affiliate and campaign are counted.
    pub(crate) fn place<T: Copy>(self, affiliate: T, campaign: T, nobody: T) -> (T, T) {
        match (self.counted, self.span) {
            // All campaigns of one affiliate are asked for here, and there all affiliates of one campaign.
            (Counted::Pair, Span::Quarter) => (affiliate, campaign),
            (Counted::Pair, _) => (campaign, affiliate),
            (Counted::Affiliate, _) => (affiliate, nobody),
            (Counted::Campaign, _) => (campaign, nobody),
            (Counted::All, _) => (nobody, nobody),
        }
    }

    /// The affiliate and the campaign of a row with this owner and this part, as far as it is about one.
    pub(crate) const fn of(self, owner: u64, part: u64) -> (u64, u64) {
        match (self.counted, self.span) {
            (Counted::Pair, Span::Quarter) | (Counted::Affiliate | Counted::All, _) => (owner, part),
            (Counted::Pair | Counted::Campaign, _) => (part, owner),
        }
    }
}

/// The quarter of an hour that this time is in, counted from 1970.
pub(crate) const fn quarter_hour(time: Timestamp) -> i64 {
    time.as_millis() / (15 * 60 * 1000)
}

/// By how much the counters change.
#[derive(Debug, Default)]
pub(crate) struct Changes(BTreeMap<Place, Change>);

/// What is counted in the same rows of all series.
type Place = (AffiliateId, CampaignId, i64, Option<Currency>);

/// The key of a counter, in the order of the primary key: series, start, owner, part and currency. Each slot has a row of it.
pub(crate) type Key = (Series, i64, u64, u64, Option<Currency>);

/// What a row counts, or by how much it changes.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) clicks: i64,
    pub(crate) human_clicks: i64,
    pub(crate) unique_clicks: i64,
    pending: Worth,
    approved: Worth,
    rejected: Worth,
}

/// What is counted of conversions of a status.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Worth {
    pub(crate) conversions: i64,
    pub(crate) amount: Decimal,
    pub(crate) payout: Decimal,
}

impl Change {
    /// Adds the other one so many times, which may be less than none.
    pub(crate) fn add(&mut self, other: &Self, times: i64) {
        self.clicks += other.clicks * times;
        self.human_clicks += other.human_clicks * times;
        self.unique_clicks += other.unique_clicks * times;
        for status in ConversionStatus::ALL {
            let worth = other.worth(status);
            if worth.is_something() {
                self.worth_mut(status).add(worth, times);
            }
        }
    }

    pub(crate) const fn worth(&self, status: ConversionStatus) -> &Worth {
        match status {
            ConversionStatus::Pending => &self.pending,
            ConversionStatus::Approved => &self.approved,
            ConversionStatus::Rejected => &self.rejected,
        }
    }

    const fn worth_mut(&mut self, status: ConversionStatus) -> &mut Worth {
        match status {
            ConversionStatus::Pending => &mut self.pending,
            ConversionStatus::Approved => &mut self.approved,
            ConversionStatus::Rejected => &mut self.rejected,
        }
    }
}

impl Worth {
    fn add(&mut self, other: &Self, times: i64) {
        self.conversions += other.conversions * times;
        self.amount += other.amount * Decimal::from(times);
        self.payout += other.payout * Decimal::from(times);
    }
}

impl Changes {
    pub(crate) fn count_click(&mut self, click: &NewClick) {
        let change = self.of(click.affiliate_id, click.campaign_id, click.created_at, None);
        change.clicks += 1;
        change.human_clicks += i64::from(click.details.is_human());
        change.unique_clicks += i64::from(click.details.is_unique());
    }

    pub(crate) fn count_conversion(&mut self, new: &NewConversion) {
        let place = (new.click.affiliate_id, new.click.campaign_id, new.created_at);
        self.count(place, new.status, (new.amount, new.currency, new.payout), 1);
    }

    /// Counts a conversion under one status in place of the other.
    pub(crate) fn count_status(&mut self, conversion: &Conversion, from: ConversionStatus, to: ConversionStatus) {
        let place = (conversion.affiliate_id, conversion.campaign_id, conversion.created_at);
        let worth = (conversion.amount, conversion.currency, conversion.payout);
        self.count(place, from, worth, -1);
        self.count(place, to, worth, 1);
    }

    /// A payout is counted where its own currency is.
    fn count(
        &mut self,
        (affiliate, campaign, time): (AffiliateId, CampaignId, Timestamp),
        status: ConversionStatus,
        (amount, currency, payout): (Amount, Currency, Option<Payout>),
        times: i64,
    ) {
        let worth = self.of(affiliate, campaign, time, Some(currency)).worth_mut(status);
        worth.conversions += times;
        worth.amount += amount.as_decimal() * Decimal::from(times);
        if let Some(payout) = payout {
            let worth = self.of(affiliate, campaign, time, Some(payout.currency())).worth_mut(status);
            worth.payout += payout.amount() * Decimal::from(times);
        }
    }

    fn of(
        &mut self,
        affiliate: AffiliateId,
        campaign: CampaignId,
        time: Timestamp,
        currency: Option<Currency>,
    ) -> &mut Change {
        self.0.entry((affiliate, campaign, quarter_hour(time), currency)).or_default()
    }

    /// The rows to be changed, sorted, so that every transaction takes its locks in the same order.
    fn rows(&self) -> BTreeMap<Key, Change> {
        let mut rows: BTreeMap<Key, Change> = BTreeMap::new();
        for ((affiliate, campaign, quarter, currency), change) in &self.0 {
            for series in Series::each() {
                let (owner, part) = series.place(affiliate.as_u64(), campaign.as_u64(), 0);
                let start = series.span.start_of(*quarter);
                rows.entry((series, start, owner, part, *currency)).or_default().add(change, 1);
            }
        }
        rows
    }

    /// The statement that makes these changes, in rows of this slot.
    ///
    /// It names those columns only that change in some row: a batch has clicks or conversions, and mostly of one status.
    pub(crate) fn statement(&self, prefix: &TablePrefix, slot: u8) -> Sql {
        let columns: Vec<&Columns> =
            COLUMNS.iter().filter(|columns| self.0.values().any(|change| (columns.is_changed)(change))).collect();
        let rows = self.rows();
        let names = || columns.iter().flat_map(|columns| columns.names);
        let mut sql = Sql::with_capacity(1024 + 64 * rows.len());
        sql.push("INSERT INTO ").table(prefix, TABLE).push(" (").push(KEY).push(", slot");
        names().for_each(|name| _ = sql.push(", ").push(name));
        sql.push(") VALUES ");
        sql.separated(", ", &rows, |sql, ((series, start, owner, part, currency), change)| {
            sql.push("(").number(series.number()).push(", ").signed(*start);
            sql.push(", ").number(*owner).push(", ").number(*part);
            sql.push(", ").ascii(code(*currency)).push(", ").number(slot.into());
            columns.iter().for_each(|columns| (columns.write)(sql, change));
            sql.push(")");
        });
        sql.push(" ON DUPLICATE KEY UPDATE ");
        sql.separated(", ", names(), |sql, name| {
            // Nothing has been counted there yet.
            sql.push(name).push(" = COALESCE(").push(name).push(", 0) + VALUES(").push(name).push(")");
        });
        sql
    }
}

/// How a currency stands in a key, of which clicks have none.
pub(crate) fn code(currency: Option<Currency>) -> &'static str {
    currency.map_or("", Currency::code)
}

/// The columns of a key, which [`read_key`] reads.
pub(crate) const KEY: &str = "series, start, owner, part, currency";

/// The same and what is counted, which [`read`] reads; NULL where a row has nothing of it.
pub(crate) const COUNTER: &str = "series, start, owner, part, currency, clicks, human_clicks, unique_clicks, \
     pending_conversions, pending_amount, pending_payout, approved_conversions, approved_amount, approved_payout, \
     rejected_conversions, rejected_amount, rejected_payout";

/// The key of a row that begins with the columns of [`KEY`]. By their places, as reports read thousands of rows.
pub(crate) fn read_key(row: &MySqlRow) -> Result<Key, sqlx::Error> {
    let number = rows::number(row, 0)?;
    let series = Series::each().find(|series| series.number() == number);
    let series = series.ok_or_else(|| rows::decode("series", UnknownSeries(number)))?;
    let currency = rows::text_or_nothing(row, 4)?;
    Ok((series, row.try_get(1)?, rows::number(row, 2)?, rows::number(row, 3)?, currency))
}

/// The table has a series of which this version knows nothing.
#[derive(Debug, Error)]
#[error("there is no series {0}")]
struct UnknownSeries(u64);

/// A row that begins with the columns of [`COUNTER`].
pub(crate) fn read(row: &MySqlRow) -> Result<(Key, Change), sqlx::Error> {
    let key = read_key(row)?;
    let mut change = Change::default();
    if key.4.is_none() {
        let count = |column: usize| row.try_get::<Option<i64>, _>(column).map(Option::unwrap_or_default);
        (change.clicks, change.human_clicks, change.unique_clicks) = (count(5)?, count(6)?, count(7)?);
    } else {
        for (status, first) in ConversionStatus::ALL.into_iter().zip([8, 11, 14]) {
            // Nothing was ever of this status there.
            let Some(conversions) = row.try_get(first)? else { continue };
            *change.worth_mut(status) =
                Worth { conversions, amount: row.try_get(first + 1)?, payout: row.try_get(first + 2)? };
        }
    }
    Ok((key, change))
}
const _: () = assert!(matches!(
    ConversionStatus::ALL,
    [ConversionStatus::Pending, ConversionStatus::Approved, ConversionStatus::Rejected]
));

/// The columns of what is counted.
pub(crate) fn figures() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().flat_map(|columns| columns.names)
}

/// The columns of what is counted but for money; conversions in the order of [`ConversionStatus::ALL`].
pub(crate) const COUNTS: [&str; 6] =
    ["clicks", "human_clicks", "unique_clicks", "pending_conversions", "approved_conversions", "rejected_conversions"];

/// What a row counts that has those of [`COUNTS`] from this place on.
pub(crate) fn read_counts(row: &MySqlRow, first: usize) -> Result<Change, sqlx::Error> {
    let count = |place: usize| row.try_get::<Option<i64>, _>(first + place).map(Option::unwrap_or_default);
    let mut change =
        Change { clicks: count(0)?, human_clicks: count(1)?, unique_clicks: count(2)?, ..Change::default() };
    for (status, place) in ConversionStatus::ALL.into_iter().zip(3..) {
        change.worth_mut(status).conversions = count(place)?;
    }
    Ok(change)
}

/// Columns that change together.
struct Columns {
    names: [&'static str; 3],
    is_changed: fn(&Change) -> bool,
    /// Writes the values, with a comma before each.
    write: fn(&mut Sql, &Change),
}

const COLUMNS: &[Columns] = &[
    Columns {
        names: ["clicks", "human_clicks", "unique_clicks"],
        is_changed: |change| change.clicks != 0,
        write: |sql, change| {
            sql.push(", ").signed(change.clicks).push(", ").signed(change.human_clicks);
            sql.push(", ").signed(change.unique_clicks);
        },
    },
    Columns {
        names: ["pending_conversions", "pending_amount", "pending_payout"],
        is_changed: |change| change.pending.is_something(),
        write: |sql, change| change.pending.write(sql),
    },
    Columns {
        names: ["approved_conversions", "approved_amount", "approved_payout"],
        is_changed: |change| change.approved.is_something(),
        write: |sql, change| change.approved.write(sql),
    },
    Columns {
        names: ["rejected_conversions", "rejected_amount", "rejected_payout"],
        is_changed: |change| change.rejected.is_something(),
        write: |sql, change| change.rejected.write(sql),
    },
];

impl Worth {
    pub(crate) const fn is_something(&self) -> bool {
        self.conversions != 0 || !self.amount.is_zero() || !self.payout.is_zero()
    }

    fn write(&self, sql: &mut Sql) {
        sql.push(", ").signed(self.conversions).push(", ").decimal(self.amount).push(", ").decimal(self.payout);
    }
}
