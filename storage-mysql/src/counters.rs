//! Counters: what summaries and reports are made of.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use tracking_core::{AffiliateId, CampaignId, Currency, NewClick, NewConversion, Timestamp};

use crate::sql::{Sql, TablePrefix};

/// Milliseconds of a quarter of an hour, on which the days of every time zone begin.
const QUARTER_HOUR: i64 = 15 * 60 * 1000;

/// By how much the counters change. Sorted, so that every transaction takes its locks in the same order.
#[derive(Debug, Default)]
pub(crate) struct Changes(BTreeMap<Counter, Change>);

/// What tells one counter from another, in the order of the primary key.
type Counter = (AffiliateId, Period, Option<CampaignId>, Option<Currency>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Period {
    AllTimes,
    QuarterHour(Timestamp),
}

/// The quarter-hour of what is counted over all campaigns and all times.
pub(crate) const ALL_TIMES: &str = "'1000-01-01'";

#[derive(Debug, Default, Clone, Copy)]
struct Change {
    clicks: u64,
    human_clicks: u64,
    unique_clicks: u64,
    conversions: u64,
    amount: Decimal,
}

impl Changes {
    pub(crate) fn count_click(&mut self, click: &NewClick) {
        self.add(click.affiliate_id, click.campaign_id, click.created_at, None, |change| {
            change.clicks += 1;
            change.human_clicks += u64::from(click.details.is_human());
            change.unique_clicks += u64::from(click.details.is_unique());
        });
    }

    pub(crate) fn count_conversion(&mut self, conversion: &NewConversion) {
        let (click, currency) = (&conversion.click, Some(conversion.currency));
        self.add(click.affiliate_id, click.campaign_id, conversion.created_at, currency, |change| {
            change.conversions += 1;
            change.amount += conversion.amount.as_decimal();
        });
    }

    fn add(
        &mut self,
        affiliate: AffiliateId,
        campaign: CampaignId,
        time: Timestamp,
        currency: Option<Currency>,
        change: impl Fn(&mut Change),
    ) {
        let quarter_hour = Period::QuarterHour(quarter_hour(time));
        change(self.0.entry((affiliate, quarter_hour, Some(campaign), currency)).or_default());
        change(self.0.entry((affiliate, Period::AllTimes, None, currency)).or_default());
    }

    /// The statement that makes these changes, in rows of this slot.
    pub(crate) fn statement(&self, prefix: &TablePrefix, slot: u8) -> Sql {
        let mut sql = Sql::with_capacity(512 + 64 * self.0.len());
        sql.push("INSERT INTO ").table(prefix, "counters");
        sql.push(" (affiliate_id, quarter_hour, campaign_id, currency, slot, ");
        sql.push("clicks, human_clicks, unique_clicks, conversions, amount) VALUES ");
        sql.separated(", ", &self.0, |sql, ((affiliate, period, campaign, currency), change)| {
            sql.push("(").number(affiliate.as_u64()).push(", ");
            match period {
                Period::AllTimes => sql.push(ALL_TIMES),
                Period::QuarterHour(start) => sql.time(*start),
            };
            sql.push(", ").number(campaign.map_or(0, CampaignId::as_u64));
            sql.push(", ").ascii(currency.map_or("", Currency::code)).push(", ").number(slot.into());
            sql.push(", ").number(change.clicks).push(", ").number(change.human_clicks);
            sql.push(", ").number(change.unique_clicks).push(", ").number(change.conversions);
            sql.push(", ").decimal(change.amount).push(")");
        });
        sql.push(" ON DUPLICATE KEY UPDATE clicks = clicks + VALUES(clicks), ");
        sql.push("human_clicks = human_clicks + VALUES(human_clicks), ");
        sql.push("unique_clicks = unique_clicks + VALUES(unique_clicks), ");
        sql.push("conversions = conversions + VALUES(conversions), amount = amount + VALUES(amount)");
        sql
    }
}

fn quarter_hour(time: Timestamp) -> Timestamp {
    let millis = time.as_millis();
    // Earlier than a valid time, and not before the first.
    Timestamp::from_millis(millis - millis % QUARTER_HOUR).unwrap_or(Timestamp::MIN)
}
