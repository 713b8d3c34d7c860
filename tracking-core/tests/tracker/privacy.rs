//! What is kept of visitors, and for how long.

use std::sync::Arc;
use std::time::Duration;

use storage_memory::MemoryStore;
use tracking_core::{
    ClickRequest, ManualClock, Outcome, PageRequest, Secret, StoredIp, Tracker, TrackerOptions, UserAgent, Visitor,
};

use crate::support::open_campaign;
use crate::{NOON, World, accepted, secret, time};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn visitor(ip: &str) -> Visitor {
    Visitor { ip: Some(ip.parse().unwrap()), user_agent: UserAgent::new("Mozilla/5.0"), is_prefetch: false }
}

#[tokio::test]
async fn addresses_are_stored_as_far_as_was_chosen() {
    let addresses = ["203.0.113.77", "2001:db8:1:2:3:4:5:6", "::ffff:203.0.113.77"];
    let cases = [
        (StoredIp::Masked, [Some("203.0.113.0/24"), Some("2001:db8:1::/48"), Some("203.0.113.0/24")]),
        (StoredIp::Whole, [Some("203.0.113.77"), Some("2001:db8:1:2:3:4:5:6"), Some("203.0.113.77")]),
        (StoredIp::None, [None; 3]),
    ];
    assert_eq!(TrackerOptions::default().stored_ip, StoredIp::Masked);
    for (stored_ip, expected) in cases {
        let options = TrackerOptions::default().stored_ip(stored_ip);
        let tracker = Tracker::with_options(MemoryStore::new(), Secret::random(), options);
        let affiliate = tracker.create_affiliate("Ada".parse().unwrap()).await.unwrap().id;
        let campaign = open_campaign(&tracker).await;
        for (address, expected) in addresses.into_iter().zip(expected) {
            let request = ClickRequest::new(affiliate, campaign).visitor(visitor(address));
            let click = tracker.record_click(request).await.unwrap().into_record();
            assert_eq!(click.details.ip.map(|ip| ip.to_string()).as_deref(), expected, "{address}");
        }
    }
}

#[tokio::test]
async fn old_clicks_are_purged_and_their_totals_stay() {
    let clock = Arc::new(ManualClock::new(time(NOON)));
    let options = TrackerOptions::default().clock(Arc::clone(&clock)).retention(30 * DAY);
    let tracker = Tracker::with_options(MemoryStore::new(), secret(), options);
    let affiliate = tracker.create_affiliate("Ada".parse().unwrap()).await.unwrap().id;
    let campaign = open_campaign(&tracker).await;
    let mut ids = Vec::new();
    for _ in 0..250 {
        let request = ClickRequest::new(affiliate, campaign).visitor(visitor("192.0.2.1"));
        ids.push(tracker.record_click(request).await.unwrap().into_record().click_id);
    }
    let sale = |id: &tracking_core::ClickId| {
        tracking_core::ConversionRequest::new(affiliate, id.clone(), "10".parse().unwrap(), "USD".parse().unwrap())
    };
    let sold = accepted(tracker.record_conversion(sale(&ids[7])).await.unwrap());
    let before = tracker.summary(affiliate).await.unwrap();

    clock.set(time("2024-05-31T12:00:00.123Z"));
    assert_eq!(tracker.purge().await.unwrap(), 0, "30 days are not over yet");
    clock.set(time("2024-05-31T12:00:00.124Z"));
    assert_eq!(tracker.purge().await.unwrap(), 249);
    let left = tracker.clicks(&affiliate.into(), PageRequest::default()).await.unwrap().items;
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].details.ip, &left[0].details.user_agent), (None, &None));
    assert_eq!(tracker.summary(affiliate).await.unwrap(), before);

    let outcome = tracker.record_conversion(sale(&ids[7])).await.unwrap();
    assert_eq!(outcome, Outcome::Duplicate(sold), "a repeated postback is known for ever");
    let outcome = tracker.record_conversion(sale(&ids[8])).await.unwrap();
    assert!(matches!(outcome, Outcome::UnknownClick { .. }), "what was purged is not rebuilt: {outcome:?}");
    assert_eq!(tracker.summary(affiliate).await.unwrap(), before);
}

#[tokio::test]
async fn without_a_retention_nothing_is_purged() {
    let world = World::new().await;
    world.click(world.open, "abc123").await;
    world.clock.set(time("2999-01-01T00:00:00Z"));
    assert_eq!(world.tracker.purge().await.unwrap(), 0);
}

#[tokio::test]
async fn erased_click_does_not_come_back() {
    let world = World::new().await;
    let request = ClickRequest::new(world.affiliate, world.open).visitor(visitor("192.0.2.1"));
    let id = world.tracker.record_click(request).await.unwrap().into_record().click_id;
    accepted(world.tracker.record_conversion(world.sale(id.as_str())).await.unwrap());
    let before = world.tracker.summary(world.affiliate).await.unwrap();

    assert_eq!(world.tracker.erase(&id).await.unwrap(), 1);
    assert_eq!(world.tracker.erase(&id).await.unwrap(), 0, "there is nothing left");
    let clicks = world.tracker.clicks(&world.affiliate.into(), PageRequest::default()).await.unwrap().items;
    assert_eq!(clicks.len(), 1);
    assert!(clicks[0].click_id.as_str().starts_with("erased-"), "{}", clicks[0].click_id);
    assert_eq!((clicks[0].details.ip, &clicks[0].details.user_agent), (None, &None));
    let outcome = world.tracker.record_conversion(world.sale(id.as_str())).await.unwrap();
    assert!(matches!(outcome, Outcome::UnknownClick { .. }), "it is not rebuilt: {outcome:?}");
    assert_eq!(world.tracker.summary(world.affiliate).await.unwrap(), before, "and nothing is counted twice");
}

#[tokio::test]
async fn click_that_is_not_recorded_yet_can_be_erased() {
    let world = World::new().await;
    let elsewhere = World::new().await;
    let request = ClickRequest::new(elsewhere.affiliate, elsewhere.open);
    let id = elsewhere.tracker.record_click(request).await.unwrap().into_record().click_id;
    assert_eq!(world.tracker.erase(&id).await.unwrap(), 1);
    let outcome = world.tracker.record_conversion(world.sale(id.as_str())).await.unwrap();
    assert!(matches!(outcome, Outcome::UnknownClick { .. }), "{outcome:?}");
}

#[tokio::test]
async fn id_of_a_caller_can_be_erased_again_and_again() {
    let world = World::new().await;
    for _ in 0..3 {
        world.click(world.open, "abc123").await;
        world.click(world.keyed, "abc123").await;
        assert_eq!(world.tracker.erase(&"abc123".parse().unwrap()).await.unwrap(), 2);
    }
    assert_eq!(world.tracker.erase(&"unknown".parse().unwrap()).await.unwrap(), 0);
    assert_eq!(world.tracker.summary(world.affiliate).await.unwrap().clicks, 6);
}

#[tokio::test]
async fn erased_id_that_comes_in_again_can_be_erased_again() {
    let world = World::new().await;
    let request = ClickRequest::new(world.affiliate, world.open);
    let id = world.tracker.record_click(request.clone()).await.unwrap().into_record().click_id;
    for _ in 0..3 {
        assert_eq!(world.tracker.erase(&id).await.unwrap(), 1);
        // Another process had it in its queue.
        world.tracker.record_click(request.clone().click_id(id.clone())).await.unwrap();
    }
}
