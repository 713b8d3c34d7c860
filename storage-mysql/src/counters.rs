//! Counters: what summaries and reports are made of.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use tracking_core::{
    AffiliateId, Amount, CampaignId, Conversion, ConversionStatus, Currency, NewClick, NewConversion, Payout, Timestamp,
};

use crate::sql::{Sql, TablePrefix};

/// Milliseconds of a quarter of an hour, on which the days of every time zone begin.
const QUARTER_HOUR: i64 = 15 * 60 * 1000;

/// By how much the counters change. Sorted, so that every transaction takes its locks in the same order.
#[derive(Debug, Default)]
pub(crate) struct Changes(BTreeMap<Counter, Change>);

/// What tells one counter from another, in the order of the primary key.
type Counter = (AffiliateId, Period, Option<CampaignId>, Option<Currency>, ConversionStatus);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Period {
    AllTimes,
    QuarterHour(Timestamp),
}

/// The quarter-hour of what is counted over all campaigns and all times.
pub(crate) const ALL_TIMES: &str = "'1000-01-01'";

/// The status under which clicks are counted, which have none: the default of the column.
const OF_CLICKS: ConversionStatus = ConversionStatus::Approved;

#[derive(Debug, Default, Clone, Copy)]
struct Change {
    clicks: u64,
    human_clicks: u64,
    unique_clicks: u64,
    conversions: i64,
    amount: Decimal,
    payout: Decimal,
}

/// What is counted of a conversion.
#[derive(Debug, Clone, Copy)]
struct Worth {
    conversions: i64,
    amount: Decimal,
    currency: Currency,
    payout: Option<(Decimal, Currency)>,
}

impl Worth {
    fn new(amount: Amount, currency: Currency, payout: Option<Payout>) -> Self {
        let payout = payout.map(|payout| (payout.amount(), payout.currency()));
        Self { conversions: 1, amount: amount.as_decimal(), currency, payout }
    }

    /// The same, to be counted no more.
    fn negated(self) -> Self {
        let payout = self.payout.map(|(amount, currency)| (-amount, currency));
        Self { conversions: -self.conversions, amount: -self.amount, payout, ..self }
    }
}

/// Whose it is, what was sold, and when it was recorded.
type Place = (AffiliateId, CampaignId, Timestamp);

impl Changes {
    pub(crate) fn count_click(&mut self, click: &NewClick) {
        let place = (click.affiliate_id, click.campaign_id, click.created_at);
        self.add(place, None, OF_CLICKS, |change| {
            change.clicks += 1;
            change.human_clicks += u64::from(click.details.is_human());
            change.unique_clicks += u64::from(click.details.is_unique());
        });
    }

    pub(crate) fn count_conversion(&mut self, new: &NewConversion) {
        let place = (new.click.affiliate_id, new.click.campaign_id, new.created_at);
        self.add_worth(place, new.status, Worth::new(new.amount, new.currency, new.payout));
    }

    /// Counts a conversion under one status in place of the other.
    pub(crate) fn count_status(&mut self, conversion: &Conversion, from: ConversionStatus, to: ConversionStatus) {
        let place = (conversion.affiliate_id, conversion.campaign_id, conversion.created_at);
        let worth = Worth::new(conversion.amount, conversion.currency, conversion.payout);
        self.add_worth(place, from, worth.negated());
        self.add_worth(place, to, worth);
    }

    fn add_worth(&mut self, place: Place, status: ConversionStatus, worth: Worth) {
        self.add(place, Some(worth.currency), status, |change| {
            change.conversions += worth.conversions;
            change.amount += worth.amount;
        });
        if let Some((amount, currency)) = worth.payout {
            self.add(place, Some(currency), status, |change| change.payout += amount);
        }
    }

    fn add(
        &mut self,
        (affiliate, campaign, time): Place,
        currency: Option<Currency>,
        status: ConversionStatus,
        change: impl Fn(&mut Change),
    ) {
        let quarter_hour = Period::QuarterHour(quarter_hour(time));
        change(self.0.entry((affiliate, quarter_hour, Some(campaign), currency, status)).or_default());
        change(self.0.entry((affiliate, Period::AllTimes, None, currency, status)).or_default());
    }

    /// The statement that makes these changes, in rows of this slot.
    pub(crate) fn statement(&self, prefix: &TablePrefix, slot: u8) -> Sql {
        let mut sql = Sql::with_capacity(512 + 64 * self.0.len());
        sql.push("INSERT INTO ").table(prefix, "counters");
        sql.push(" (affiliate_id, quarter_hour, campaign_id, currency, status, slot, ");
        sql.push("clicks, human_clicks, unique_clicks, conversions, amount, payout) VALUES ");
        sql.separated(", ", &self.0, |sql, ((affiliate, period, campaign, currency, status), change)| {
            sql.push("(").number(affiliate.as_u64()).push(", ");
            match period {
                Period::AllTimes => sql.push(ALL_TIMES),
                Period::QuarterHour(start) => sql.time(*start),
            };
            sql.push(", ").number(campaign.map_or(0, CampaignId::as_u64));
            sql.push(", ").ascii(currency.map_or("", Currency::code));
            sql.push(", ").ascii(status.as_str()).push(", ").number(slot.into());
            sql.push(", ").number(change.clicks).push(", ").number(change.human_clicks);
            sql.push(", ").number(change.unique_clicks).push(", ").signed(change.conversions);
            sql.push(", ").decimal(change.amount).push(", ").decimal(change.payout).push(")");
        });
        sql.push(" ON DUPLICATE KEY UPDATE clicks = clicks + VALUES(clicks), ");
        sql.push("human_clicks = human_clicks + VALUES(human_clicks), ");
        sql.push("unique_clicks = unique_clicks + VALUES(unique_clicks), ");
        sql.push("conversions = conversions + VALUES(conversions), amount = amount + VALUES(amount), ");
        sql.push("payout = payout + VALUES(payout)");
        sql
    }
}

fn quarter_hour(time: Timestamp) -> Timestamp {
    let millis = time.as_millis();
    // Earlier than a valid time, and not before the first.
    Timestamp::from_millis(millis - millis % QUARTER_HOUR).unwrap_or(Timestamp::MIN)
}
