//! Explanations: what each rule says, and that nothing is written.

use tracking_core::{
    Explanation, OutcomeKind, PageRequest, Parameters, Pause, PostbackCall, PostbackFilter, Repeats, Rule, Verdict,
};

use crate::support::SwitchedStore;
use crate::{World, accepted};

fn verdicts(explanation: &Explanation) -> String {
    let letter = |verdict| match verdict {
        Verdict::Passed => '+',
        Verdict::Failed => '-',
        Verdict::Skipped => '.',
    };
    assert!(explanation.rules.iter().map(|rule| rule.rule).eq(Rule::ALL));
    assert!(explanation.rules.iter().all(|rule| rule.problem.is_some() == (rule.verdict == Verdict::Failed)));
    explanation.rules.iter().map(|rule| letter(rule.verdict)).collect()
}

async fn explain(world: &World, changes: &[(&str, &str)]) -> Explanation {
    let affiliate = world.affiliate.to_string();
    let usual = [("affiliate_id", &*affiliate), ("click_id", "abc123"), ("amount", "100"), ("currency", "USD")];
    let kept = usual.into_iter().filter(|(name, _)| changes.iter().all(|(changed, _)| name != changed));
    let parameters: Parameters<'_> = kept.chain(changes.iter().copied()).collect();
    world.tracker.explain(&PostbackCall::new(parameters)).await.unwrap()
}

#[tokio::test]
async fn each_rule_has_its_say() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let fine = explain(&world, &[]).await;
    assert_eq!((verdicts(&fine).as_str(), fine.outcome), ("++++++++++++++", OutcomeKind::Accepted));
    assert_eq!(fine.conversion.unwrap().amount.to_string(), "100");
    assert_eq!(world.conversions().await, 0, "nothing is recorded");

    let bad = explain(&world, &[("amount", "x")]).await;
    assert_eq!((verdicts(&bad).as_str(), bad.outcome), ("-.............", OutcomeKind::InvalidParameter));
    let missing = explain(&world, &[("amount", "")]).await;
    assert_eq!((verdicts(&missing).as_str(), missing.outcome), ("-++++.........", OutcomeKind::InvalidParameter));
    let unknown = explain(&world, &[("amount", ""), ("status", "rejected")]).await;
    assert_eq!((verdicts(&unknown).as_str(), unknown.outcome), ("+++++......-..", OutcomeKind::UnknownConversion));
    let forged = explain(&world, &[("click_id", &format!("aptk_{}", "A".repeat(48)))]).await;
    assert_eq!((verdicts(&forged).as_str(), forged.outcome), ("+-............", OutcomeKind::ForgedClickId));
    let unknown = explain(&world, &[("click_id", "nope")]).await;
    assert_eq!((verdicts(&unknown).as_str(), unknown.outcome), ("++-...........", OutcomeKind::UnknownClick));

    // Several rules at once; the first one decides.
    let eur = Some("EUR".parse().unwrap());
    world
        .tracker
        .update_campaign(world.open, |campaign| {
            campaign.rules.currency = eur;
            campaign.rules.events.insert("sale".parse().unwrap(), tracking_core::EventRule::default());
            campaign.rules.daily_cap = Some(0);
        })
        .await
        .unwrap();
    world.tracker.pause_campaign(world.open, Pause::Begin).await.unwrap();
    let several = explain(&world, &[]).await;
    assert_eq!((verdicts(&several).as_str(), several.outcome), ("++++++---++++-", OutcomeKind::CampaignPaused));
}

#[tokio::test]
async fn what_is_recorded_is_no_matter_of_the_rules() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    let first = accepted(world.postback(&[]).await);
    let eur = Some("EUR".parse().unwrap());
    world.tracker.update_campaign(world.open, |campaign| campaign.rules.currency = eur).await.unwrap();
    let repeated = explain(&world, &[]).await;
    assert_eq!((verdicts(&repeated).as_str(), repeated.outcome), ("+++++++-++++..", OutcomeKind::Duplicate));
    assert_eq!(repeated.recorded.map(|conversion| conversion.id), Some(first.id));
    let refund = explain(&world, &[("status", "rejected")]).await;
    assert_eq!(refund.outcome, OutcomeKind::StatusChanged);
    assert_eq!(explain(&world, &[("status", "pending")]).await.outcome, OutcomeKind::Duplicate);
    let bare = explain(&world, &[("status", "rejected"), ("amount", ""), ("currency", "")]).await;
    assert_eq!((verdicts(&bare).as_str(), bare.outcome), ("+++++......+..", OutcomeKind::StatusChanged));
    assert_eq!(bare.recorded.map(|conversion| conversion.id), Some(first.id));
    assert_eq!(explain(&world, &[("amount", "7")]).await.outcome, OutcomeKind::Conflict);
    assert_eq!(world.tracker.conversion(first.id).await.unwrap(), first, "nothing is written");
    assert!(
        world.tracker.postbacks(&PostbackFilter::default(), PageRequest::default()).await.unwrap().items.len() == 1
    );
}

#[tokio::test]
async fn the_operator_need_not_have_the_key() {
    let world = World::new().await;
    world.click(world.keyed, "abc123").await;
    let without = explain(&world, &[]).await;
    assert_eq!((verdicts(&without).as_str(), without.outcome), ("++++-+++++++++", OutcomeKind::MissingKey));
    let with = explain(&world, &[("token", world.key.expose())]).await;
    assert_eq!((verdicts(&with).as_str(), with.outcome), ("++++++++++++++", OutcomeKind::Accepted));
}

#[tokio::test]
async fn limits_are_told() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    world
        .tracker
        .update_campaign(world.open, |campaign| {
            campaign.rules.repeats = Repeats::Once;
            campaign.rules.daily_cap = Some(1);
        })
        .await
        .unwrap();
    accepted(world.postback(&[("transaction_id", "1")]).await);
    let second = explain(&world, &[("transaction_id", "2")]).await;
    assert_eq!((verdicts(&second).as_str(), second.outcome), ("++++++++++++--", OutcomeKind::AlreadyConverted));
}

/// What explaining says is what happens.
#[tokio::test]
async fn it_agrees_with_what_happens() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    world.click(world.keyed, "keyed").await;
    let calls: &[&[(&str, &str)]] = &[
        &[("amount", "-1")],
        &[("click_id", "nope")],
        &[("affiliate_id", "77")],
        &[("campaign_id", "77")],
        &[("click_id", "keyed")],
        &[("click_id", "keyed"), ("token", "guess")],
        &[("currency", "")],
        &[],
        &[],
        &[("amount", "7")],
        &[("status", "rejected")],
        &[("status", "rejected")],
        &[("status", "approved")],
        &[("status", "pending")],
        &[("status", "rejected"), ("amount", ""), ("currency", "")],
        &[("status", "rejected"), ("amount", ""), ("transaction_id", "typo")],
        &[("status", "approved"), ("amount", ""), ("transaction_id", "typo")],
        &[("timestamp", "2044-05-01T10:00:00Z"), ("transaction_id", "9")],
        &[("timestamp", "2024-05-01T10:00:00Z"), ("transaction_id", "9")],
    ];
    for call in calls {
        let foretold = explain(&world, call).await;
        let happened = world.postback(call).await;
        assert_eq!(foretold.outcome, happened.kind(), "{call:?}");
    }
}

#[tokio::test]
async fn a_click_that_is_not_recorded_is_not_recorded_by_it() {
    let store = SwitchedStore::default();
    let elsewhere = tracking_core::Tracker::new(store, crate::secret());
    let affiliate = elsewhere.create_affiliate("Ada".parse().unwrap()).await.unwrap().id;
    let campaign = crate::support::open_campaign(&elsewhere).await;
    let minted = tracking_core::Secrets::from(crate::secret()).mint(affiliate, campaign, elsewhere.now());
    let sale = [("click_id", minted.as_str()), ("amount", "1"), ("currency", "USD")];
    let call = || PostbackCall::new(sale.into_iter().collect());
    let explanation = elsewhere.explain(&call()).await.unwrap();
    assert_eq!(explanation.outcome, OutcomeKind::Accepted);
    assert!(elsewhere.store().find_clicks(affiliate, None, &minted).await.unwrap().is_empty(), "nothing is written");
    assert_eq!(elsewhere.postback(&call()).await.unwrap().kind(), OutcomeKind::Accepted);
}
