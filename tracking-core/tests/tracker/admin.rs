//! Affiliates and campaigns that are changed.

use std::sync::Arc;

use tokio::task::JoinSet;
use tracking_core::{Event, Pause, Received, StoreError, Timestamp};

use crate::{NOON, World, accepted, time};

#[tokio::test]
async fn an_affiliate_is_changed_and_paused() {
    let world = World::new().await;
    let mut events = world.tracker.subscribe();
    let renamed = world.tracker.update_affiliate(world.affiliate, |affiliate| {
        affiliate.name = "Grace".parse().unwrap();
        affiliate.created_at = Timestamp::MIN;
        affiliate.version = 99;
    });
    let renamed = renamed.await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.version, renamed.created_at), ("Grace", 2, time(NOON)));
    assert_eq!(events.next().await, Some(Received::Event(Event::AffiliateUpdated(renamed.clone()))));

    world.clock.set(time("2024-05-02T12:00:00Z"));
    let paused = world.tracker.pause_affiliate(world.affiliate, Pause::Begin).await.unwrap();
    assert_eq!(paused.paused_at, Some(time("2024-05-02T12:00:00Z")));
    world.clock.set(time("2024-05-03T12:00:00Z"));
    let again = world.tracker.pause_affiliate(world.affiliate, Pause::Begin).await.unwrap();
    assert_eq!(again, paused, "a pause goes on from when it began, and nothing is no update");
    let active = world.tracker.pause_affiliate(world.affiliate, Pause::End).await.unwrap();
    assert_eq!((active.paused_at, active.version), (None, 4));
    assert_eq!(world.tracker.affiliate(world.affiliate).await.unwrap(), active);

    let unknown = world.tracker.pause_affiliate("999".parse().unwrap(), Pause::Begin).await;
    assert!(matches!(unknown, Err(StoreError::UnknownAffiliate(_))));
}

#[tokio::test]
async fn a_change_is_seen_by_the_next_postback() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    accepted(world.postback(&[]).await);
    let payout = Some("5 EUR".parse().unwrap());
    world.tracker.update_campaign(world.open, |campaign| campaign.rules.payout = payout).await.unwrap();
    assert!(accepted(world.postback(&[("transaction_id", "2")]).await).payout.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_changes_all_happen() {
    let world = Arc::new(World::new().await);
    let mut changes = JoinSet::new();
    for _ in 0..20 {
        let world = Arc::clone(&world);
        changes.spawn(async move {
            let more = |campaign: &mut tracking_core::Campaign| {
                campaign.rules.daily_cap = Some(campaign.rules.daily_cap.unwrap_or(0) + 1);
            };
            world.tracker.update_campaign(world.open, more).await.unwrap()
        });
    }
    changes.join_all().await;
    let campaign = world.tracker.campaign(world.open).await.unwrap();
    assert_eq!((campaign.rules.daily_cap, campaign.version), (Some(20), 21));
}
