//! Records to look at: clicks and conversions of a few affiliates, over the last 30 days.
//!
//! Everything about a click follows from its number, so that the same number is the same click in every run.

use std::time::Duration;

use thiserror::Error;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracking_core::rust_decimal::Decimal;
use tracking_core::{
    AffiliateId, Amount, BotReason, CampaignId, CampaignRules, ChangedBy, ClickDetails, Conversion, ConversionStatus,
    KeyKind, NewAffiliate, NewCampaign, NewClick, NewConversion, ParseError, PayoutRule, PostbackAccess, PostbackKey,
    PostbackKeyRecord, Recorded, StatusChange, Store, StoreError, SubIds, Timestamp, Tracker, UserAgent,
};

use crate::sample;

/// Away from the ids that the database itself gives to the first affiliates and campaigns.
const AFFILIATES: [(u64, &str); 5] = [
    (101, "Trail & Summit"),
    (102, "Kitchen Notes"),
    (103, "Budget Traveller Weekly"),
    (104, "Nora Lindqvist"),
    (105, "Deals Before Breakfast"),
];

static CAMPAIGNS: [DemoCampaign; 4] = [
    DemoCampaign {
        id: 201,
        name: "Hiking boots, spring",
        event: "sale",
        currency: "EUR",
        prices: [8990, 12950, 17900],
        payout: Some("8%"),
        first_status: ConversionStatus::Approved,
    },
    DemoCampaign {
        id: 202,
        name: "Chef's knives",
        event: "sale",
        currency: "USD",
        prices: [4900, 7900, 14900],
        payout: Some("12.5%"),
        first_status: ConversionStatus::Pending,
    },
    DemoCampaign {
        id: 203,
        name: "Travel insurance",
        event: "lead",
        currency: "USD",
        prices: [1200, 1200, 2500],
        payout: Some("5 USD"),
        first_status: ConversionStatus::Pending,
    },
    DemoCampaign {
        id: 204,
        name: "Coffee subscription",
        event: "sale",
        currency: "GBP",
        prices: [999, 1499, 2399],
        payout: None,
        first_status: ConversionStatus::Approved,
    },
];

struct DemoCampaign {
    id: u64,
    name: &'static str,
    event: &'static str,
    currency: &'static str,
    /// In hundredths.
    prices: [i64; 3],
    payout: Option<&'static str>,
    /// The status of its conversions before somebody has looked at them, or a buyer has sent something back.
    first_status: ConversionStatus,
}

impl DemoCampaign {
    fn payout(&self) -> Result<Option<PayoutRule>, ParseError> {
        self.payout.map(str::parse).transpose()
    }

    fn rules(&self) -> Result<CampaignRules, ParseError> {
        let mut rules = CampaignRules::default();
        rules.currency = Some(self.currency.parse()?);
        rules.payout = self.payout()?;
        rules.events.insert(self.event.parse()?, Default::default());
        rules.default_status = self.first_status;
        Ok(rules)
    }
}

const DAYS: u64 = 30;
const DAY: u64 = 24 * 60 * 60 * 1000;
/// How many records are on their way at once; the store commits together what comes in together.
const AT_ONCE: usize = 500;

/// Why there are no records, or not all.
#[derive(Debug, Error)]
pub(crate) enum DemoDataError {
    #[error(
        "{kind} {id} is there already, and not of the demonstration; use a database of its own, or another table prefix"
    )]
    Taken { kind: &'static str, id: u64 },
    #[error("can't record the demonstration; the same command goes on where it ended")]
    Store(#[from] StoreError),
    #[error("can't record the demonstration")]
    Task(#[from] JoinError),
    #[error("a record of the demonstration is not valid")]
    Invalid(#[from] ParseError),
}

/// How many there are now, and how many of them are new.
#[derive(Debug, Default)]
pub(crate) struct Inserted {
    clicks: u64,
    new_clicks: u64,
    conversions: u64,
    new_conversions: u64,
}

impl std::fmt::Display for Inserted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { clicks, new_clicks, conversions, new_conversions } = self;
        write!(f, "{clicks} clicks, {new_clicks} of them new; {conversions} conversions, {new_conversions} of them new")
    }
}

/// Inserts that many clicks with their conversions, those of the sample affiliate among them.
pub(crate) async fn insert(tracker: &Tracker, clicks: u32) -> Result<Inserted, DemoDataError> {
    let now = tracker.now();
    insert_directory(tracker, now).await?;
    let (mut tasks, mut inserted, mut told) = (JoinSet::new(), Inserted::default(), Instant::now());
    for number in 1..=u64::from(clicks) {
        while tasks.len() >= AT_ONCE
            && let Some(visit) = tasks.join_next().await
        {
            inserted.add(visit??);
        }
        if told.elapsed() >= Duration::from_secs(1) {
            told = Instant::now();
            tracing::info!("demonstration: {} of {clicks} clicks", inserted.clicks);
        }
        let (store, visit) = (tracker.store().clone(), Visit::new(number, now)?);
        tasks.spawn(async move { visit.insert(&*store, now).await });
    }
    while let Some(visit) = tasks.join_next().await {
        inserted.add(visit??);
    }
    Ok(inserted)
}

async fn insert_directory(tracker: &Tracker, now: Timestamp) -> Result<(), DemoDataError> {
    let created_at = before(now, (DAYS + 1) * DAY)?;
    for (id, name) in AFFILIATES {
        let affiliate = NewAffiliate { id: Some(AffiliateId::new(id)?), name: name.parse()?, created_at };
        let recorded = tracker.store().insert_affiliate(affiliate).await?;
        if recorded.record().name.as_str() != name {
            return Err(DemoDataError::Taken { kind: "affiliate", id });
        }
    }
    for demo in &CAMPAIGNS {
        let &DemoCampaign { id, name, .. } = demo;
        // Nobody has its key: what a demonstration shows can't be changed from outside.
        let secret = PostbackKey::random(KeyKind::Token).secret();
        let key = PostbackKeyRecord { id: 1, secret, created_at, expires_at: None };
        let campaign = NewCampaign {
            id: Some(CampaignId::new(id)?),
            name: name.parse()?,
            destination: format!("https://shop.example/{id}?ref={{click_id}}").parse()?,
            rules: demo.rules()?,
            access: PostbackAccess::of_keys(vec![key]),
            created_at,
        };
        let recorded = tracker.store().insert_campaign(campaign).await?;
        if recorded.record().name.as_str() != name {
            return Err(DemoDataError::Taken { kind: "campaign", id });
        }
    }
    Ok(())
}

/// A click, and what becomes of it.
struct Visit {
    click: NewClick,
    sale: Option<Sale>,
}

struct Sale {
    campaign: &'static DemoCampaign,
    number: u64,
    amount: Amount,
    /// Between click and sale, in milliseconds.
    delay: u64,
    /// What somebody decides about it, and how many milliseconds after the sale.
    decision: Option<(Decision, u64)>,
}

#[derive(Clone, Copy)]
struct Decision {
    status: ConversionStatus,
    by: ChangedBy,
    reason: Option<&'static str>,
}

/// Most of what is pending is approved, and some of what counts is sent back.
const APPROVED: Decision = Decision { status: ConversionStatus::Approved, by: ChangedBy::Admin, reason: None };
const REFUSED: Decision =
    Decision { status: ConversionStatus::Rejected, by: ChangedBy::Admin, reason: Some("the address does not exist") };
const REFUNDED: Decision = Decision { status: ConversionStatus::Rejected, by: ChangedBy::Advertiser, reason: None };

impl Visit {
    fn new(number: u64, now: Timestamp) -> Result<Self, ParseError> {
        let mut chance = Chance(number);
        // One in six is of the sample affiliate, whose dashboard is the first that people see.
        let who = chance.below(6) as usize;
        let affiliate = AFFILIATES.get(who).map_or(sample::AFFILIATE, |(id, _)| *id);
        // Each affiliate is fond of one campaign.
        let what = if chance.below(2) == 0 { who } else { chance.below(4) as usize };
        let campaign = &CAMPAIGNS[what % CAMPAIGNS.len()];
        let click = NewClick {
            affiliate_id: AffiliateId::new(affiliate)?,
            campaign_id: CampaignId::new(campaign.id)?,
            click_id: format!("demo-{number:06}").parse()?,
            created_at: before(now, chance.age(now))?,
            details: details(number)?,
            visitor: None,
        };
        // From 3 to 8 of a hundred.
        let converts = chance.below(100) < 3 + who as u64;
        let (price, delay) = (campaign.prices[chance.below(3) as usize], chance.below(2 * DAY));
        let amount = Amount::new(Decimal::new(price, 2))?;
        let decision = match (campaign.first_status, chance.below(10)) {
            (ConversionStatus::Pending, 0) => Some(REFUSED),
            (ConversionStatus::Pending, _) => Some(APPROVED),
            (_, 0) => Some(REFUNDED),
            _ => None,
        };
        let decision = decision.map(|decision| (decision, DAY + chance.below(6 * DAY)));
        let sale = converts.then_some(Sale { campaign, number, amount, delay, decision });
        Ok(Self { click, sale })
    }

    async fn insert(self, store: &dyn Store, now: Timestamp) -> Result<Inserted, DemoDataError> {
        let click = store.insert_click(self.click).await?;
        let mut inserted = Inserted { clicks: 1, new_clicks: (!click.is_duplicate()).into(), ..Inserted::default() };
        if let Some(Sale { campaign, number, amount, delay, decision }) = self.sale {
            let click = click.into_record();
            let at = click.created_at.as_millis().saturating_add_unsigned(delay).min(now.as_millis());
            let currency = campaign.currency.parse()?;
            let conversion = NewConversion {
                created_at: Timestamp::from_millis(at)?,
                click,
                alternatives: Vec::new(),
                event: campaign.event.parse()?,
                transaction_id: Some(format!("demo-order-{number:06}").parse()?),
                amount,
                currency,
                payout: campaign.payout()?.map(|rule| rule.of(amount, currency)),
                status: campaign.first_status,
                occurred_at: None,
                sub_ids: SubIds::default(),
                is_only_one: false,
                daily_cap: None,
            };
            let recorded = store.insert_conversion(conversion).await?;
            inserted.conversions = 1;
            inserted.new_conversions = matches!(recorded, Recorded::New(_)).into();
            if let Some((decision, later)) = decision {
                decision.apply(store, recorded.record(), campaign.first_status, later, now).await?;
            }
        }
        Ok(inserted)
    }
}

impl Decision {
    /// Changes the status, if the time has come, and if nobody has done so yet.
    async fn apply(
        self,
        store: &dyn Store,
        conversion: &Conversion,
        from: ConversionStatus,
        later: u64,
        now: Timestamp,
    ) -> Result<(), DemoDataError> {
        let changed_at = Timestamp::from_millis(conversion.created_at.as_millis().saturating_add_unsigned(later))?;
        if conversion.status == from && changed_at <= now {
            let reason = self.reason.map(str::parse).transpose()?;
            let change = StatusChange { from, to: self.status, changed_at, changed_by: self.by, reason };
            store.change_status(conversion.id, change).await?;
        }
        Ok(())
    }
}

/// Who clicked, and how the affiliate marked it.
fn details(number: u64) -> Result<ClickDetails, ParseError> {
    const SOURCES: [&str; 4] = ["newsletter", "blog", "instagram", "search"];
    const ADS: [&str; 5] = ["banner-top", "review", "autumn-list", "story", "footer"];
    // Of its own, so that what a click is does not depend on it.
    let mut chance = Chance(!number);
    let ad = ADS[chance.below(5) as usize].parse()?;
    let mut details = ClickDetails {
        sub_ids: SubIds::new([Some(ad), None, None, None, None]),
        source: (chance.below(10) > 0).then(|| SOURCES[chance.below(4) as usize].parse()).transpose()?,
        ip: Some(format!("203.0.{}.0/24", chance.below(256)).parse()?),
        ..ClickDetails::default()
    };
    let browser = match chance.below(20) {
        0 => {
            details.bot = Some(BotReason::Crawler);
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
        }
        1..=3 => {
            details.is_repeat = true;
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:144.0) Gecko/20100101 Firefox/144.0"
        }
        4..=11 => {
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
        }
        _ => {
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
        }
    };
    details.user_agent = UserAgent::new(browser);
    Ok(details)
}

impl Inserted {
    fn add(&mut self, other: Self) {
        let Self { clicks, new_clicks, conversions, new_conversions } = other;
        self.clicks += clicks;
        self.new_clicks += new_clicks;
        self.conversions += conversions;
        self.new_conversions += new_conversions;
    }
}

fn before(now: Timestamp, millis: u64) -> Result<Timestamp, ParseError> {
    Timestamp::from_millis(now.as_millis().saturating_sub_unsigned(millis))
}

/// Numbers that look like chance and are none: [SplitMix64](https://prng.di.unimi.it/splitmix64.c).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// How long ago, in milliseconds: on any of the days, rather at noon than at night.
    fn age(&mut self, now: Timestamp) -> u64 {
        let time_of_day = (self.below(DAY) + self.below(DAY)) / 2;
        let since_midnight = now.as_millis().unsigned_abs() % DAY;
        // Today's later hours are still to come, and become those of the day before all others.
        let day = self.below(DAYS) * DAY;
        if time_of_day <= since_midnight {
            day + since_midnight - time_of_day
        } else {
            DAYS * DAY + since_midnight - time_of_day
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_is_the_same_click_and_all_are_of_the_last_days() {
        let now: Timestamp = "2026-03-08T00:00:00.500Z".parse().unwrap();
        let mut sales = 0;
        for number in 1..=2_000 {
            let (visit, again) = (Visit::new(number, now).unwrap(), Visit::new(number, now).unwrap());
            assert_eq!(visit.click, again.click);
            assert_eq!(visit.sale.as_ref().map(|sale| sale.amount), again.sale.map(|sale| sale.amount));
            let age = now.as_millis() - visit.click.created_at.as_millis();
            assert!((0..=(DAYS * DAY) as i64).contains(&age), "{age}");
            sales += i32::from(visit.sale.is_some());
        }
        assert!((60..200).contains(&sales), "{sales}");
    }
}
