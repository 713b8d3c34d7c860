use storage_memory::MemoryStore;
use tracking_core::{ClickError, ClickRequest, PageRequest, Parameters, Recorded, Secret, StoreError, Tracker};

use crate::{World, time};

#[tokio::test]
async fn supplied_id_is_kept_and_a_repeat_gets_the_first_click() {
    let world = World::new().await;
    let request = ClickRequest::new(world.affiliate, world.open).click_id("abc123".parse().unwrap());
    let Recorded::New(first) = world.tracker.record_click(request.clone()).await.unwrap() else { panic!("not new") };
    assert_eq!(first.click_id.as_str(), "abc123");
    world.clock.set(time("2025-05-01T12:00:00Z"));
    assert_eq!(world.tracker.record_click(request).await.unwrap(), Recorded::Duplicate(first.clone()));
    let listed = world.tracker.clicks(&world.affiliate.into(), PageRequest::default()).await.unwrap();
    assert_eq!(listed.items, [first]);
}

#[tokio::test]
async fn unknown_affiliate_or_campaign_is_refused() {
    let world = World::new().await;
    let (no_affiliate, no_campaign) = ("999".parse().unwrap(), "888".parse().unwrap());
    let refuse = async |request| world.tracker.record_click(request).await.unwrap_err();
    let error = refuse(ClickRequest::new(no_affiliate, world.open)).await;
    assert!(matches!(error, ClickError::Store(StoreError::UnknownAffiliate(id)) if id == no_affiliate), "{error:?}");
    let error = refuse(ClickRequest::new(world.affiliate, no_campaign)).await;
    assert!(matches!(error, ClickError::Store(StoreError::UnknownCampaign(id)) if id == no_campaign), "{error:?}");
    assert_eq!(world.tracker.summary(world.affiliate).await.unwrap().clicks, 0);
}

#[tokio::test]
async fn full_store_is_told() {
    let tracker = Tracker::new(MemoryStore::bounded(1), Secret::random());
    tracker.create_affiliate("Ada".parse().unwrap()).await.unwrap();
    let error = tracker.create_affiliate("Bob".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { capacity: 1 }), "{error:?}");
    tracker.ping().await.unwrap();
}

#[test]
fn request_is_read_from_parameters() {
    let read = |pairs: &[(&'static str, &'static str)]| {
        let parameters: Parameters<'_> = pairs.iter().copied().collect();
        ClickRequest::from_parameters(&parameters).map_err(|error| error.to_string())
    };
    let minted = ClickRequest::new("1".parse().unwrap(), "10".parse().unwrap());
    let supplied = minted.clone().click_id("abc123".parse().unwrap());
    let (affiliate, campaign) = (("affiliate_id", "1"), ("campaign_id", "10"));
    assert_eq!(read(&[affiliate, campaign]), Ok(minted.clone()));
    assert_eq!(read(&[affiliate, campaign, ("click_id", "")]), Ok(minted), "an empty click_id is none");
    assert_eq!(read(&[campaign, ("gclid", "x"), ("click_id", "abc123"), affiliate, ("gclid", "y")]), Ok(supplied));
    assert_eq!(read(&[affiliate]), Err("campaign_id is missing".to_owned()));
    assert_eq!(read(&[campaign]), Err("affiliate_id is missing".to_owned()));
    assert_eq!(read(&[affiliate, campaign, affiliate]), Err("affiliate_id is given more than once".to_owned()));
    let empty = "campaign_id is not valid: a campaign id must not be empty".to_owned();
    assert_eq!(read(&[affiliate, ("campaign_id", "")]), Err(empty));
}
