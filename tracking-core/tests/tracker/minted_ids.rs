//! Click ids that prove themselves.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracking_core::{
    ClickError, ClickId, ClickIdOrigin, ClickRequest, Outcome, PageRequest, Recorded, Secret, Secrets,
};

use crate::{NOON, World, accepted, duplicate, secret, time};

async fn minted(world: &World) -> ClickId {
    world.tracker.record_click(ClickRequest::new(world.affiliate, world.open)).await.unwrap().into_record().click_id
}

#[tokio::test]
async fn id_says_what_it_is_of() {
    let world = World::new().await;
    let id = minted(&world).await;
    assert!(id.as_str().len() <= 64);
    assert!(id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')), "{id}");
    let ClickIdOrigin::Minted(claims) = Secrets::from(secret()).origin(&id) else { panic!("not genuine: {id}") };
    assert_eq!((claims.affiliate_id, claims.campaign_id), (world.affiliate, world.open));
    assert_eq!(claims.created_at, time(NOON));
}

#[tokio::test]
async fn ids_are_unique() {
    let world = World::new().await;
    let mut ids = BTreeSet::new();
    for _ in 0..2000 {
        assert!(ids.insert(minted(&world).await), "an id was minted twice");
    }
}

#[test]
fn ids_of_retired_secrets_are_genuine() {
    let (old, new) = (Secret::random(), Secret::random());
    let id = Secrets::from(old.clone()).mint("1".parse().unwrap(), "10".parse().unwrap(), time(NOON));
    assert_eq!(Secrets::from(new.clone()).origin(&id), ClickIdOrigin::Forged);
    let both = Secrets::from(new.clone()).retired(old);
    assert!(matches!(both.origin(&id), ClickIdOrigin::Minted(_)));
    let id = both.mint("1".parse().unwrap(), "10".parse().unwrap(), time(NOON));
    assert!(matches!(Secrets::from(new).origin(&id), ClickIdOrigin::Minted(_)), "minted under the current one");
}

#[test]
fn secrets_are_long() {
    assert!(Secret::new(&"x".repeat(31)).is_err());
    assert!(Secret::new(&"x".repeat(32)).is_ok());
}

#[tokio::test]
async fn click_that_was_lost_is_rebuilt() {
    let world = World::new().await;
    // Another process, whose store is gone.
    let elsewhere = World::new().await;
    let id = minted(&elsewhere).await;
    world.clock.set(time("2024-05-03T12:00:00Z"));

    let sale = world.sale(id.as_str());
    let conversion = accepted(world.tracker.record_conversion(sale.clone()).await.unwrap());
    assert_eq!(
        (conversion.affiliate_id, conversion.campaign_id, &conversion.click_id),
        (world.affiliate, world.open, &id)
    );
    let clicks = world.tracker.clicks(&world.affiliate.into(), PageRequest::default()).await.unwrap().items;
    assert_eq!(clicks.len(), 1);
    assert_eq!((&clicks[0].click_id, clicks[0].created_at), (&id, time(NOON)), "the click is of its own time");
    assert!(clicks[0].details.is_recovered);

    assert_eq!(duplicate(world.tracker.record_conversion(sale).await.unwrap()), conversion);
    assert_eq!(world.tracker.summary(world.affiliate).await.unwrap().clicks, 1);
    // The record arrives after all.
    let late = ClickRequest::new(world.affiliate, world.open).click_id(id);
    assert!(matches!(world.tracker.record_click(late).await.unwrap(), Recorded::Duplicate(_)));
}

#[tokio::test]
async fn only_who_may_report_a_conversion_has_a_click_rebuilt() {
    let world = World::new().await;
    let elsewhere = World::new().await;
    let request = ClickRequest::new(elsewhere.affiliate, elsewhere.keyed);
    let id = elsewhere.tracker.record_click(request).await.unwrap().into_record().click_id;
    let changes = [("click_id", id.as_str())];
    assert_eq!(world.postback(&changes).await, Outcome::MissingKey(world.keyed));
    assert_eq!(world.postback_with(&changes, Some("pbk_wrong")).await, Outcome::WrongKey(world.keyed));
    assert_eq!(world.tracker.summary(world.affiliate).await.unwrap().clicks, 0, "a refused postback changes nothing");
    accepted(world.postback_with(&changes, Some(world.key.expose())).await);
}

#[tokio::test]
async fn parallel_postbacks_rebuild_one_click() {
    let world = Arc::new(World::new().await);
    let id = minted(&World::new().await).await;
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let (world, sale) = (Arc::clone(&world), world.sale(id.as_str()));
            tokio::spawn(async move { world.tracker.record_conversion(sale).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    for call in calls {
        new += u64::from(matches!(call.await.unwrap(), Outcome::Accepted(_)));
    }
    let summary = world.tracker.summary(world.affiliate).await.unwrap();
    assert_eq!((new, summary.clicks, summary.conversions()), (1, 1, 1));
}

#[tokio::test]
async fn id_of_another_affiliate_or_campaign_is_unknown() {
    let world = World::new().await;
    let other = world.tracker.create_affiliate("Grace".parse().unwrap()).await.unwrap().id;
    let id = minted(&world).await;
    let changes = [("click_id", id.as_str()), ("affiliate_id", &other.to_string())];
    assert!(matches!(world.postback(&changes).await, Outcome::UnknownClick { .. }));
    let changes = [("click_id", id.as_str()), ("campaign_id", &world.keyed.to_string())];
    let outcome = world.postback_with(&changes, Some(world.key.expose())).await;
    assert!(matches!(outcome, Outcome::UnknownClick { .. }), "{outcome:?}");
    assert_eq!(world.tracker.summary(world.affiliate).await.unwrap().clicks, 1, "nothing was rebuilt");
}

#[tokio::test]
async fn nobody_can_record_a_click_under_an_id_that_is_not_his() {
    let world = World::new().await;
    let id = minted(&world).await;
    let forged = Secrets::from(Secret::random()).mint(world.affiliate, world.open, time(NOON));
    for (campaign, id) in [(world.open, &forged), (world.keyed, &id)] {
        let request = ClickRequest::new(world.affiliate, campaign).click_id(id.clone());
        let error = world.tracker.record_click(request.clone()).await.unwrap_err();
        assert!(matches!(error, ClickError::ForgedClickId), "{error:?}");
        let redirect = world.tracker.follow(request).await.unwrap();
        assert_ne!(redirect.click_id, *id, "a visitor gets an id that will do");
    }
    let request = ClickRequest::new(world.affiliate, world.open).click_id(id.clone());
    assert!(world.tracker.record_click(request.clone()).await.unwrap().is_duplicate());
    assert_eq!(world.tracker.follow(request).await.unwrap().click_id, id, "it is the same click");
}
