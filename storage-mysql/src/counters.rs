//! Counters: what summaries and reports are made of.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use tracking_core::{AffiliateId, CampaignId, Currency, NewClick, NewConversion, Timestamp};

use crate::sql::{Sql, Statements, TablePrefix};

/// Milliseconds of a quarter of an hour, on which the days of every time zone begin.
const QUARTER_HOUR: i64 = 15 * 60 * 1000;

/// By how much the counters change. Sorted, so that every transaction takes its locks in the same order.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    by_quarter_hour: BTreeMap<(AffiliateId, Timestamp, CampaignId, Option<Currency>), Change>,
    totals: BTreeMap<(AffiliateId, CampaignId, Option<Currency>), Change>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Change {
    clicks: u64,
    conversions: u64,
    amount: Decimal,
}

impl Changes {
    pub(crate) fn count_click(&mut self, click: &NewClick) {
        self.add(click.affiliate_id, click.campaign_id, click.created_at, None, |change| change.clicks += 1);
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
        let quarter_hour = quarter_hour(time);
        change(self.by_quarter_hour.entry((affiliate, quarter_hour, campaign, currency)).or_default());
        change(self.totals.entry((affiliate, campaign, currency)).or_default());
    }

    /// Adds the statements that make these changes, in rows of this slot.
    pub(crate) fn write(&self, statements: &mut Statements, prefix: &TablePrefix, slot: u8) {
        let on_duplicate = " ON DUPLICATE KEY UPDATE clicks = clicks + VALUES(clicks), \
                            conversions = conversions + VALUES(conversions), amount = amount + VALUES(amount)";
        let mut counters = Sql::with_capacity(256 + 64 * self.by_quarter_hour.len());
        counters.push("INSERT INTO ").table(prefix, "counters");
        counters
            .push(" (affiliate_id, quarter_hour, campaign_id, currency, slot, clicks, conversions, amount) VALUES ");
        counters.separated(
            ", ",
            &self.by_quarter_hour,
            |sql, ((affiliate, quarter_hour, campaign, currency), change)| {
                sql.push("(").number(affiliate.as_u64()).push(", ").time(*quarter_hour);
                sql.push(", ").number(campaign.as_u64());
                change.write(sql, *currency, slot);
            },
        );
        counters.push(on_duplicate);
        statements.push(counters);

        let mut totals = Sql::with_capacity(256 + 32 * self.totals.len());
        totals.push("INSERT INTO ").table(prefix, "totals");
        totals.push(" (affiliate_id, campaign_id, currency, slot, clicks, conversions, amount) VALUES ");
        totals.separated(", ", &self.totals, |sql, ((affiliate, campaign, currency), change)| {
            sql.push("(").number(affiliate.as_u64()).push(", ").number(campaign.as_u64());
            change.write(sql, *currency, slot);
        });
        totals.push(on_duplicate);
        statements.push(totals);
    }
}

impl Change {
    fn write(&self, sql: &mut Sql, currency: Option<Currency>, slot: u8) {
        sql.push(", ").ascii(currency.map_or("", Currency::code));
        sql.push(", ").number(slot.into()).push(", ").number(self.clicks).push(", ").number(self.conversions);
        sql.push(", ").decimal(self.amount).push(")");
    }
}

fn quarter_hour(time: Timestamp) -> Timestamp {
    let millis = time.as_millis();
    // Earlier than a valid time, and not before the first.
    Timestamp::from_millis(millis - millis % QUARTER_HOUR).unwrap_or(Timestamp::MIN)
}
