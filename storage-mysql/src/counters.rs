//! Counters: what summaries and reports are made of.
//!
//! Each record is counted in several series: of its affiliate and its campaign, of either, and of all, by quarters of an
//! hour, on which the days of every time zone begin, and by longer times. `reports` puts together from them what is asked.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use tracking_core::{
    AffiliateId, Amount, CampaignId, Conversion, ConversionStatus, Currency, NewClick, NewConversion, Payout, Timestamp,
};

use crate::sql::{Sql, TablePrefix};

pub(crate) const TABLE: &str = "figures";

/// What is counted together, and by which times. The discriminant is in the column `series`.
///
/// Each record costs a row of each series, unless others of its batch share it; so there are only those without which some
/// report would have to read thousands of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Series {
    /// Of an affiliate and a campaign. All others are sums of these.
    PairQuarter = 1,
    PairDay = 2,
    /// The owner is the campaign: what is asked of spans of days is all the affiliates of one campaign.
    PairSpan = 3,
    AffiliateHour = 4,
    AffiliateSpan = 5,
    CampaignQuarter = 6,
    CampaignHour = 7,
    CampaignDay = 8,
    AllQuarter = 9,
    AllHour = 10,
    AllDay = 11,
    AllSpan = 12,
}

impl Series {
    const EACH: [Self; 12] = [
        Self::PairQuarter,
        Self::PairDay,
        Self::PairSpan,
        Self::AffiliateHour,
        Self::AffiliateSpan,
        Self::CampaignQuarter,
        Self::CampaignHour,
        Self::CampaignDay,
        Self::AllQuarter,
        Self::AllHour,
        Self::AllDay,
        Self::AllSpan,
    ];

    pub(crate) const fn number(self) -> u64 {
        self as u64
    }

    /// How long its times are, in quarters of an hour. They start at multiples of that, counted from 1970, so a span of days
    /// is eight of them.
    pub(crate) const fn width(self) -> i64 {
        match self {
            Self::PairQuarter | Self::CampaignQuarter | Self::AllQuarter => 1,
            Self::AffiliateHour | Self::CampaignHour | Self::AllHour => 4,
            Self::PairDay | Self::CampaignDay | Self::AllDay => 96,
            Self::PairSpan | Self::AffiliateSpan | Self::AllSpan => 768,
        }
    }

    /// Under which owner, and as which part of it, records of this affiliate and campaign are counted.
    fn place(self, affiliate: AffiliateId, campaign: CampaignId) -> (u64, u64) {
        match self {
            Self::PairQuarter | Self::PairDay => (affiliate.as_u64(), campaign.as_u64()),
            Self::PairSpan => (campaign.as_u64(), affiliate.as_u64()),
            Self::AffiliateHour | Self::AffiliateSpan => (affiliate.as_u64(), 0),
            Self::CampaignQuarter | Self::CampaignHour | Self::CampaignDay => (campaign.as_u64(), 0),
            Self::AllQuarter | Self::AllHour | Self::AllDay | Self::AllSpan => (0, 0),
        }
    }
}

/// The quarter of an hour that this time is in, counted from 1970.
pub(crate) const fn quarter_hour(time: Timestamp) -> i64 {
    time.as_millis() / (15 * 60 * 1000)
}

/// By how much the counters change.
#[derive(Debug, Default)]
pub(crate) struct Changes(BTreeMap<Counted, Change>);

/// What is counted in the same rows of all series.
type Counted = (AffiliateId, CampaignId, i64, Option<Currency>);

/// The key of a row, in the order of the primary key.
type Key = (Series, i64, u64, u64, Option<Currency>);

#[derive(Debug, Default, Clone, Copy)]
struct Change {
    clicks: i64,
    human_clicks: i64,
    unique_clicks: i64,
    pending: Worth,
    approved: Worth,
    rejected: Worth,
}

/// What is counted of conversions of a status.
#[derive(Debug, Default, Clone, Copy)]
struct Worth {
    conversions: i64,
    amount: Decimal,
    payout: Decimal,
}

impl Change {
    fn add(&mut self, other: &Self) {
        self.clicks += other.clicks;
        self.human_clicks += other.human_clicks;
        self.unique_clicks += other.unique_clicks;
        self.pending.add(other.pending);
        self.approved.add(other.approved);
        self.rejected.add(other.rejected);
    }

    fn worth_mut(&mut self, status: ConversionStatus) -> &mut Worth {
        match status {
            ConversionStatus::Pending => &mut self.pending,
            ConversionStatus::Approved => &mut self.approved,
            ConversionStatus::Rejected => &mut self.rejected,
        }
    }
}

impl Worth {
    fn add(&mut self, other: Self) {
        self.conversions += other.conversions;
        self.amount += other.amount;
        self.payout += other.payout;
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
            for series in Series::EACH {
                let (owner, part) = series.place(*affiliate, *campaign);
                let start = quarter - quarter % series.width();
                rows.entry((series, start, owner, part, *currency)).or_default().add(change);
            }
        }
        rows
    }

    /// The statement that makes these changes, in rows of this slot.
    ///
    /// It names those columns only that change in some row: a batch has clicks or conversions, and mostly of one status.
    pub(crate) fn statement(&self, prefix: &TablePrefix, slot: u8) -> Sql {
        let rows = self.rows();
        let columns: Vec<&Columns> =
            COLUMNS.iter().filter(|columns| self.0.values().any(|change| (columns.is_changed)(change))).collect();
        let names = || columns.iter().flat_map(|columns| columns.names);
        let mut sql = Sql::with_capacity(1024 + 64 * rows.len());
        sql.push("INSERT INTO ").table(prefix, TABLE).push(" (series, start, owner, part, currency, slot");
        names().for_each(|name| _ = sql.push(", ").push(name));
        sql.push(") VALUES ");
        sql.separated(", ", &rows, |sql, ((series, start, owner, part, currency), change)| {
            sql.push("(").number(series.number()).push(", ").signed(*start);
            sql.push(", ").number(*owner).push(", ").number(*part);
            sql.push(", ").ascii(currency.map_or("", Currency::code)).push(", ").number(slot.into());
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
    fn is_something(&self) -> bool {
        self.conversions != 0 || !self.amount.is_zero() || !self.payout.is_zero()
    }

    fn write(&self, sql: &mut Sql) {
        sql.push(", ").signed(self.conversions).push(", ").decimal(self.amount).push(", ").decimal(self.payout);
    }
}
