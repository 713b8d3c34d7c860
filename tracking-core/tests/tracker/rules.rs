//! What a campaign's rules make of conversions.

use std::time::Duration;

use tracking_core::{Campaign, ConversionStatus, EventRule, OutcomeKind, Pause, Repeats, Timestamp, WhilePaused};

use crate::{NOON, World, accepted, duplicate, time};

async fn with_rules(change: impl Fn(&mut Campaign)) -> World {
    let world = World::new().await;
    world.tracker.update_campaign(world.open, change).await.unwrap();
    world.click(world.open, "abc123").await;
    world
}

fn event(payout: Option<&str>, amount: Option<&str>) -> EventRule {
    let mut rule = EventRule::default();
    rule.payout = payout.map(|text| text.parse().unwrap());
    rule.amount = amount.map(|text| text.parse().unwrap());
    rule
}

async fn outcome(world: &World, changes: &[(&str, &str)]) -> OutcomeKind {
    world.postback(changes).await.kind()
}

fn after(seconds: u64) -> Timestamp {
    time(NOON).plus(Duration::from_secs(seconds))
}

#[tokio::test]
async fn payouts_are_exact() {
    let world = with_rules(|campaign| {
        campaign.rules.payout = Some("12.3457%".parse().unwrap());
        campaign.rules.events.insert("lead".parse().unwrap(), event(Some("2.5 EUR"), Some("0")));
        campaign.rules.events.insert("sale".parse().unwrap(), event(None, None));
        campaign.rules.events.insert("gift".parse().unwrap(), event(Some("0%"), None));
    })
    .await;
    let payout = async |changes: &[(&str, &str)]| {
        accepted(world.postback(changes).await).payout.map(|payout| payout.to_string()).unwrap_or_default()
    };
    assert_eq!(payout(&[("event", "sale"), ("amount", "99.950001")]).await, "12.339527273457 USD");
    assert_eq!(payout(&[("event", "lead"), ("amount", "")]).await, "2.5 EUR");
    assert_eq!(payout(&[("event", "gift")]).await, "0 USD");
    assert_eq!(payout(&[("event", "sale"), ("amount", "999999999999.999999"), ("transaction_id", "1")]).await, {
        "123456999999.999999876543 USD"
    });
    let summary = world.tracker.summary(world.affiliate).await.unwrap();
    let paid: Vec<String> = summary.payout().iter().map(|(currency, sum)| format!("{sum} {currency}")).collect();
    assert_eq!(paid, ["2.5 EUR", "123457000012.33952715 USD"]);
}

#[tokio::test]
async fn events_that_are_not_listed_are_refused() {
    let world = with_rules(|campaign| {
        campaign.rules.events.insert("sale".parse().unwrap(), EventRule::default());
    })
    .await;
    assert_eq!(outcome(&world, &[]).await, OutcomeKind::EventNotAllowed);
    assert_eq!(outcome(&world, &[("event", "Sale")]).await, OutcomeKind::EventNotAllowed);
    assert_eq!(outcome(&world, &[("event", "Sale"), ("amount", "")]).await, OutcomeKind::EventNotAllowed);
    assert_eq!(accepted(world.postback(&[("event", "sale")]).await).payout, None);
}

#[tokio::test]
async fn a_currency_that_is_fixed_need_not_be_sent() {
    let world = with_rules(|campaign| campaign.rules.currency = Some("EUR".parse().unwrap())).await;
    assert_eq!(outcome(&world, &[]).await, OutcomeKind::WrongCurrency);
    assert_eq!(accepted(world.postback(&[("currency", "")]).await).currency.code(), "EUR");
    assert_eq!(duplicate(world.postback(&[("currency", "eur")]).await).currency.code(), "EUR");
}

#[tokio::test]
async fn the_window_is_from_click_to_sale() {
    let day = Duration::from_secs(24 * 60 * 60);
    let world = with_rules(|campaign| campaign.rules.attribution_window = Some(day)).await;
    world.clock.set(after(24 * 60 * 60));
    let last = accepted(world.postback(&[]).await);
    world.clock.set(after(24 * 60 * 60 + 1));
    let next = [("transaction_id", "2")];
    assert_eq!(outcome(&world, &next).await, OutcomeKind::OutsideWindow);
    assert_eq!(duplicate(world.postback(&[]).await), last, "what is recorded is no matter of the rules");
    assert_eq!(outcome(&world, &[("status", "rejected")]).await, OutcomeKind::StatusChanged, "nor is a refund");
    let in_time = accepted(world.postback(&[next[0], ("timestamp", "2024-05-02T13:59:00+02:00")]).await);
    assert_eq!(in_time.occurred_at, Some(time("2024-05-02T11:59:00Z")));
    assert_eq!(in_time.created_at, after(24 * 60 * 60 + 1));
}

#[tokio::test]
async fn nobody_buys_too_soon_or_before_he_comes() {
    let world = with_rules(|campaign| campaign.rules.min_time_to_convert = Some(Duration::from_secs(10))).await;
    world.clock.set(after(9));
    assert_eq!(outcome(&world, &[]).await, OutcomeKind::TooFast);
    let ahead = [("timestamp", "2024-05-01T12:04:00Z")];
    assert_eq!(outcome(&world, &ahead).await, OutcomeKind::TooFast, "a clock that is ahead makes nobody faster");
    world.clock.set(after(10));
    accepted(world.postback(&[]).await);

    let world = with_rules(|_| {}).await;
    world.clock.set(after(3600));
    let at = |text| [("timestamp", text), ("transaction_id", "2")];
    assert_eq!(outcome(&world, &at("2024-05-01T11:54:59Z")).await, OutcomeKind::BeforeClick);
    assert_eq!(outcome(&world, &at("2024-05-01T13:05:02Z")).await, OutcomeKind::ParameterOutOfRange, "in the future");
    assert_eq!(outcome(&world, &at("2024-05-01T11:56:00Z")).await, OutcomeKind::Accepted, "clocks differ");
    for (order, text) in [("3", "1714564800"), ("4", "1714564800000")] {
        let conversion = accepted(world.postback(&[("timestamp", text), ("transaction_id", order)]).await);
        assert_eq!(conversion.occurred_at, Some(time("2024-05-01T12:00:00Z")));
    }
    for wrong in ["yesterday", "2024-05-01", "-1", "99999999999999999999"] {
        assert_eq!(outcome(&world, &at(wrong)).await, OutcomeKind::InvalidParameter, "{wrong}");
    }
}

#[tokio::test]
async fn a_paused_campaign_takes_conversions_of_earlier_clicks() {
    let world = with_rules(|_| {}).await;
    world.clock.set(after(60));
    world.tracker.pause_campaign(world.open, Pause::Begin).await.unwrap();
    world.click(world.open, "later").await;
    let later = [("click_id", "later")];
    accepted(world.postback(&[]).await);
    assert_eq!(outcome(&world, &later).await, OutcomeKind::CampaignPaused);

    world
        .tracker
        .update_campaign(world.open, |campaign| campaign.rules.while_paused = WhilePaused::Nothing)
        .await
        .unwrap();
    assert_eq!(outcome(&world, &[("transaction_id", "2")]).await, OutcomeKind::CampaignPaused);
    assert_eq!(outcome(&world, &[]).await, OutcomeKind::Duplicate);

    world.tracker.pause_campaign(world.open, Pause::End).await.unwrap();
    accepted(world.postback(&later).await);
}

#[tokio::test]
async fn a_paused_affiliate_gets_nothing_for_later_clicks() {
    let world = with_rules(|_| {}).await;
    world.clock.set(after(60));
    world.tracker.pause_affiliate(world.affiliate, Pause::Begin).await.unwrap();
    world.click(world.open, "later").await;
    assert_eq!(outcome(&world, &[("click_id", "later")]).await, OutcomeKind::AffiliatePaused);
    accepted(world.postback(&[]).await);
}

#[tokio::test]
async fn once_is_once_for_each_event() {
    let world = with_rules(|campaign| campaign.rules.repeats = Repeats::Once).await;
    let first = accepted(world.postback(&[("transaction_id", "1")]).await);
    match world.postback(&[("transaction_id", "2")]).await {
        tracking_core::Outcome::AlreadyConverted(recorded) => assert_eq!(recorded, first),
        other => panic!("not refused: {other:?}"),
    }
    assert_eq!(duplicate(world.postback(&[("transaction_id", "1")]).await), first);
    accepted(world.postback(&[("transaction_id", "2"), ("event", "lead")]).await);
}

#[tokio::test]
async fn a_cap_is_for_a_day_in_utc() {
    let world = with_rules(|campaign| campaign.rules.daily_cap = Some(2)).await;
    for order in ["1", "2"] {
        accepted(world.postback(&[("transaction_id", order)]).await);
    }
    assert_eq!(outcome(&world, &[("transaction_id", "3")]).await, OutcomeKind::DailyCapReached);
    assert_eq!(outcome(&world, &[("transaction_id", "2")]).await, OutcomeKind::Duplicate);
    world.clock.set(time("2024-05-02T00:00:00Z"));
    accepted(world.postback(&[("transaction_id", "3")]).await);
}

#[tokio::test]
async fn the_status_is_the_campaigns_unless_the_postback_says() {
    let world = with_rules(|campaign| campaign.rules.default_status = ConversionStatus::Pending).await;
    assert_eq!(accepted(world.postback(&[]).await).status, ConversionStatus::Pending);
    let said = [("transaction_id", "2"), ("status", "approved")];
    assert_eq!(accepted(world.postback(&said).await).status, ConversionStatus::Approved);
    assert_eq!(outcome(&world, &[("status", "paid")]).await, OutcomeKind::InvalidParameter);
}

#[tokio::test]
async fn the_affiliate_follows_from_a_minted_id() {
    let world = World::new().await;
    let minted = world.tracker.record_click(tracking_core::ClickRequest::new(world.affiliate, world.open)).await;
    let click = minted.unwrap().into_record();
    let conversion = accepted(world.postback(&[("affiliate_id", ""), ("click_id", click.click_id.as_str())]).await);
    assert_eq!((conversion.affiliate_id, conversion.campaign_id), (world.affiliate, world.open));
    world.click(world.open, "abc123").await;
    match world.postback(&[("affiliate_id", "")]).await {
        tracking_core::Outcome::InvalidParameter(error) => assert_eq!(error.name, "affiliate_id"),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn marks_of_the_advertiser_are_kept() {
    let world = with_rules(|_| {}).await;
    let conversion = accepted(world.postback(&[("sub1", "size L"), ("sub5", "größe")]).await);
    let marks: Vec<_> = conversion.sub_ids.iter().map(|(name, mark)| (name, mark.as_str().to_owned())).collect();
    assert_eq!(marks, [("sub1", "size L".to_owned()), ("sub5", "größe".to_owned())]);
}
