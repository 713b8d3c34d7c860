//! Records to look at in a database: the clicks and conversions of [a demonstration](crate::traffic), each on its own, so that
//! many are recorded at once, and that a command which was broken off can go on.

use std::time::Duration;

use thiserror::Error;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracking_core::{
    AffiliateId, CampaignId, ClickDetails, ClickError, ClickRequest, ClientIp, Conversion, ConversionStatus, KeyKind,
    NewClick, NewConversion, ParseError, PostbackKey, Recorded, StatusChange, Store, StoreError, SubIds, Timestamp,
    Tracker, Visitor,
};

use crate::sample;
use crate::traffic::{self, AFFILIATES, CAMPAIGNS, Decision, Visit};

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
    #[error(
        "the demonstration has more records than the {capacity} that the memory store may hold; raise --memory-capacity or \
         TRACKING_MEMORY_CAPACITY, or leave it out"
    )]
    TooSmall { capacity: usize },
    #[error("can't record the demonstration")]
    Click(#[source] ClickError),
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
    // Nobody has it: what the command shows can't be changed from outside.
    let key = PostbackKey::random(KeyKind::Token);
    insert_directory(&**tracker.store(), traffic::day_of(now), &key).await?;
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
        let (store, visit) = (tracker.store().clone(), Visit::of_the_past(number, now)?);
        tasks.spawn(async move { insert_visit(visit, &*store, now).await });
    }
    while let Some(visit) = tasks.join_next().await {
        inserted.add(visit??);
    }
    Ok(inserted)
}

/// Creates affiliates and campaigns, unless they are there, but for those of the sample. All campaigns get this key.
pub(crate) async fn insert_directory(store: &dyn Store, today: u64, key: &PostbackKey) -> Result<(), DemoDataError> {
    for affiliate in AFFILIATES.iter().filter(|affiliate| affiliate.id != sample::AFFILIATE) {
        let recorded = store.insert_affiliate(affiliate.record(today)?).await?;
        if recorded.record().name.as_str() != affiliate.name {
            return Err(DemoDataError::Taken { kind: "affiliate", id: affiliate.id });
        }
    }
    for campaign in CAMPAIGNS.iter().filter(|campaign| campaign.id != sample::CAMPAIGN) {
        let recorded = store.insert_campaign(campaign.record(today, key)?).await?;
        if recorded.record().name.as_str() != campaign.name {
            return Err(DemoDataError::Taken { kind: "campaign", id: campaign.id });
        }
    }
    Ok(())
}

async fn insert_visit(visit: Visit, store: &dyn Store, now: Timestamp) -> Result<Inserted, DemoDataError> {
    let click = store.insert_click(new_click(&visit)?).await?;
    let mut inserted = Inserted { clicks: 1, new_clicks: (!click.is_duplicate()).into(), ..Inserted::default() };
    if let Some(sale) = &visit.sale {
        let (click, campaign) = (click.into_record(), visit.campaign);
        let at = click.created_at.as_millis().saturating_add_unsigned(sale.delay).min(now.as_millis());
        let currency = campaign.currency.parse()?;
        let conversion = NewConversion {
            created_at: Timestamp::from_millis(at)?,
            click,
            alternatives: Vec::new(),
            event: campaign.event.parse()?,
            transaction_id: Some(visit.transaction_id()?),
            amount: sale.amount,
            currency,
            payout: campaign.payout()?.map(|rule| rule.of(sale.amount, currency)),
            status: campaign.first_status,
            occurred_at: None,
            sub_ids: SubIds::default(),
            is_only_one: false,
            daily_cap: None,
        };
        let recorded = store.insert_conversion(conversion).await?;
        inserted.conversions = 1;
        inserted.new_conversions = matches!(recorded, Recorded::New(_)).into();
        if let Some((decision, later)) = sale.decision {
            decide(decision, store, recorded.record(), campaign.first_status, later, now).await?;
        }
    }
    Ok(inserted)
}

fn new_click(visit: &Visit) -> Result<NewClick, ParseError> {
    let ClickRequest { sub_ids, source, visitor, .. } = visit.request()?;
    let visitor = visitor.unwrap_or_default();
    let bot = visitor.bot();
    let Visitor { ip, user_agent, .. } = visitor;
    Ok(NewClick {
        affiliate_id: AffiliateId::new(visit.affiliate.id)?,
        campaign_id: CampaignId::new(visit.campaign.id)?,
        click_id: visit.click_id()?,
        created_at: visit.at,
        details: ClickDetails {
            sub_ids,
            source,
            ip: ip.map(ClientIp::masked),
            user_agent,
            bot,
            is_repeat: visit.is_repeat(),
            ..ClickDetails::default()
        },
        visitor: None,
    })
}

/// Changes the status, if the time has come, and if nobody has done so yet.
async fn decide(
    decision: Decision,
    store: &dyn Store,
    conversion: &Conversion,
    from: ConversionStatus,
    later: u64,
    now: Timestamp,
) -> Result<(), DemoDataError> {
    let changed_at = Timestamp::from_millis(conversion.created_at.as_millis().saturating_add_unsigned(later))?;
    if conversion.status == from && changed_at <= now {
        let reason = decision.reason.map(str::parse).transpose()?;
        let change = StatusChange { from, to: decision.status, changed_at, changed_by: decision.by, reason };
        store.change_status(conversion.id, change).await?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{DAY, DAYS};

    #[test]
    fn the_same_number_is_the_same_click_and_all_are_of_the_last_days() {
        let now: Timestamp = "2026-03-08T00:00:00.500Z".parse().unwrap();
        let (mut sales, mut repeats) = (0, 0);
        for number in 1..=2_000 {
            let (visit, again) = (Visit::of_the_past(number, now).unwrap(), Visit::of_the_past(number, now).unwrap());
            let click = new_click(&visit).unwrap();
            assert_eq!(click, new_click(&again).unwrap());
            assert_eq!(visit.sale, again.sale);
            let age = now.as_millis() - click.created_at.as_millis();
            assert!((0..=(DAYS * DAY) as i64).contains(&age), "{age}");
            sales += i32::from(visit.sale.is_some());
            repeats += i32::from(click.details.is_repeat);
        }
        assert!((40..120).contains(&sales), "{sales}");
        assert!((120..240).contains(&repeats), "{repeats}");
    }
}
