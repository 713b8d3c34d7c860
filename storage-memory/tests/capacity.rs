//! A store with a capacity, and what it does when it is full.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::sync::Arc;

use storage_memory::MemoryStore;
use tokio::task::JoinSet;
use tracking_core::{
    Affiliate, AffiliateId, Campaign, CampaignRules, ChangedBy, Click, ClickDetails, ConversionStatus, Cursor, Limit,
    NewAffiliate, NewCampaign, NewClick, NewConversion, OutcomeKind, PageRequest, Postback, PostbackAccess,
    PostbackFilter, PostbackMethod, PurgeRequest, Recorded, StatusChange, Store, StoreError, SubIds, Timestamp,
};

fn new_affiliate(id: u64) -> NewAffiliate {
    let id = Some(AffiliateId::new(id).unwrap());
    NewAffiliate { id, name: "Ada's reviews".parse().unwrap(), created_at: Timestamp::MIN }
}

fn new_campaign() -> NewCampaign {
    NewCampaign {
        id: Some("10".parse().unwrap()),
        name: "Shop".parse().unwrap(),
        destination: "https://shop.example/".parse().unwrap(),
        rules: CampaignRules::default(),
        access: PostbackAccess::open(),
        created_at: Timestamp::MIN,
    }
}

async fn affiliate_and_campaign(store: &MemoryStore) -> (Affiliate, Campaign) {
    let affiliate = store.insert_affiliate(new_affiliate(1)).await.unwrap().into_record();
    (affiliate, store.insert_campaign(new_campaign()).await.unwrap().into_record())
}

fn new_click(affiliate_id: AffiliateId, click_id: &str) -> NewClick {
    let (campaign_id, click_id) = ("10".parse().unwrap(), click_id.parse().unwrap());
    let (details, visitor) = (ClickDetails::default(), None);
    NewClick { affiliate_id, campaign_id, click_id, created_at: Timestamp::MIN, details, visitor }
}

fn new_conversion(click: &Click, transaction_id: Option<&str>) -> NewConversion {
    NewConversion {
        click: click.clone(),
        alternatives: Vec::new(),
        event: "sale".parse().unwrap(),
        transaction_id: transaction_id.map(|id| id.parse().unwrap()),
        amount: "100".parse().unwrap(),
        currency: "USD".parse().unwrap(),
        payout: None,
        status: ConversionStatus::Approved,
        occurred_at: None,
        sub_ids: SubIds::default(),
        is_only_one: false,
        daily_cap: None,
        created_at: Timestamp::MIN,
    }
}

fn assert_full<T: std::fmt::Debug>(result: Result<T, StoreError>, expected: usize) {
    assert!(matches!(result, Err(StoreError::Full { capacity }) if capacity == expected), "{result:?}");
}

#[tokio::test]
async fn full_store_refuses_what_is_new_and_answers_the_rest() {
    let store = MemoryStore::bounded(4);
    let (affiliate, campaign) = affiliate_and_campaign(&store).await;
    let click = store.insert_click(new_click(affiliate.id, "abc123")).await.unwrap().into_record();
    let conversion = store.insert_conversion(new_conversion(&click, None)).await.unwrap().into_record();
    let before = store.summary(affiliate.id).await.unwrap();

    for _ in 0..3 {
        assert_full(store.insert_affiliate(new_affiliate(2)).await, 4);
        assert_full(store.insert_affiliate(NewAffiliate { id: None, ..new_affiliate(1) }).await, 4);
        assert_full(store.insert_campaign(NewCampaign { id: None, ..new_campaign() }).await, 4);
        assert_full(store.insert_click(new_click(affiliate.id, "abc124")).await, 4);
        assert_full(store.insert_conversion(new_conversion(&click, Some("order-1"))).await, 4);
    }

    let duplicate = store.insert_affiliate(new_affiliate(1)).await.unwrap();
    assert_eq!(duplicate, Recorded::Duplicate(affiliate.clone()));
    assert_eq!(store.insert_campaign(new_campaign()).await.unwrap(), Recorded::Duplicate(campaign.clone()));
    let duplicate = store.insert_click(new_click(affiliate.id, "abc123")).await.unwrap();
    assert_eq!(duplicate, Recorded::Duplicate(click.clone()));
    let duplicate = store.insert_conversion(new_conversion(&click, None)).await.unwrap();
    assert_eq!(duplicate, Recorded::Duplicate(conversion.clone()));

    let page = PageRequest::default();
    assert_eq!(store.summary(affiliate.id).await.unwrap(), before);
    assert_eq!(store.find_clicks(affiliate.id, None, &click.click_id).await.unwrap(), vec![click.clone()]);
    assert_eq!(store.campaigns(page).await.unwrap().items, [campaign]);
    assert_eq!(store.clicks(&affiliate.id.into(), page).await.unwrap().items, [click]);
    assert_eq!(store.conversions(&affiliate.id.into(), page).await.unwrap().items, [conversion]);
    assert_eq!(store.affiliates(page).await.unwrap().items, [affiliate]);
    store.ping().await.unwrap();
}

#[tokio::test]
async fn what_is_refused_for_another_reason_takes_no_place() {
    let store = MemoryStore::bounded(3);
    let (affiliate, _) = affiliate_and_campaign(&store).await;
    for _ in 0..5 {
        let unknown = new_click("999".parse().unwrap(), "abc123");
        assert!(matches!(store.insert_click(unknown).await, Err(StoreError::UnknownAffiliate(_))));
        let unknown = NewClick { campaign_id: "999".parse().unwrap(), ..new_click(affiliate.id, "abc123") };
        assert!(matches!(store.insert_click(unknown).await, Err(StoreError::UnknownCampaign(_))));
    }
    assert!(!store.insert_click(new_click(affiliate.id, "abc123")).await.unwrap().is_duplicate());
}

#[tokio::test]
async fn conversion_that_is_refused_for_lack_of_room_takes_no_place_in_the_daily_cap() {
    let store = MemoryStore::bounded(4);
    let (affiliate, campaign) = affiliate_and_campaign(&store).await;
    let click = store.insert_click(new_click(affiliate.id, "abc123")).await.unwrap().into_record();
    store.insert_click(new_click(affiliate.id, "abc124")).await.unwrap();
    let capped = NewConversion { daily_cap: Some(1), ..new_conversion(&click, None) };
    for _ in 0..3 {
        assert_full(store.insert_conversion(capped.clone()).await, 4);
        assert_eq!(store.daily_conversions(campaign.id, Timestamp::MIN).await.unwrap(), 0);
    }
    // A click is purged, and makes room for one.
    let request = PurgeRequest { before: Timestamp::MAX, limit: "1".parse().unwrap(), after: Some(cursor(&click)) };
    assert_eq!(store.purge_clicks(affiliate.id, request).await.unwrap().deleted, 1);
    let conversion = store.insert_conversion(capped.clone()).await.unwrap().into_record();
    assert_full(store.insert_click(new_click(affiliate.id, "abc125")).await, 4);
    let second = NewConversion { transaction_id: Some("order-1".parse().unwrap()), ..capped };
    let refused = store.insert_conversion(second).await;
    assert!(matches!(refused, Err(StoreError::DailyCapReached { cap: 1 })), "{refused:?}");
    assert_eq!(store.conversion(conversion.id).await.unwrap(), conversion);
}

/// Changes and the postback log take no place of the capacity.
#[tokio::test]
async fn full_store_takes_changes_and_postbacks() {
    let store = MemoryStore::bounded(4);
    let (affiliate, campaign) = affiliate_and_campaign(&store).await;
    let click = store.insert_click(new_click(affiliate.id, "abc123")).await.unwrap().into_record();
    let conversion = store.insert_conversion(new_conversion(&click, None)).await.unwrap().into_record();
    assert_full(store.insert_click(new_click(affiliate.id, "abc124")).await, 4);

    let paused = Affiliate { paused_at: Some(Timestamp::MIN), ..affiliate };
    assert_eq!(store.update_affiliate(paused).await.unwrap().unwrap().version, 2);
    let paused = Campaign { paused_at: Some(Timestamp::MIN), ..campaign };
    assert_eq!(store.update_campaign(paused).await.unwrap().unwrap().version, 2);
    let change = StatusChange {
        from: ConversionStatus::Approved,
        to: ConversionStatus::Rejected,
        changed_at: Timestamp::MIN,
        changed_by: ChangedBy::Admin,
        reason: None,
    };
    store.change_status(conversion.id, change).await.unwrap().unwrap();
    assert_eq!(store.summary(click.affiliate_id).await.unwrap().rejected.conversions, 1);

    store.log_postbacks((1..=10).map(postback).collect()).await.unwrap();
    let logged = store.postbacks(&PostbackFilter::default(), PageRequest::default()).await.unwrap();
    assert_eq!(logged.items.len(), 10);
    store
        .purge_clicks(click.affiliate_id, PurgeRequest { before: Timestamp::MAX, limit: Limit::default(), after: None })
        .await
        .unwrap();
    assert_full(store.insert_click(new_click(click.affiliate_id, "abc124")).await, 4);
}

fn cursor(click: &Click) -> Cursor {
    Cursor::after(click.created_at, click.id)
}

fn postback(id: u64) -> Postback {
    Postback {
        id,
        received_at: Timestamp::MIN,
        method: PostbackMethod::Get,
        source: None,
        parameters: String::new(),
        affiliate_id: None,
        campaign_id: None,
        click_id: None,
        conversion_id: None,
        outcome: OutcomeKind::UnknownClick,
        summary: String::new(),
        calls: 1,
    }
}

#[tokio::test]
async fn capacity_of_nothing_holds_nothing() {
    let store = MemoryStore::bounded(0);
    assert_full(store.insert_affiliate(new_affiliate(1)).await, 0);
    assert_eq!(store.affiliates(PageRequest::default()).await.unwrap().items, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_inserters_fill_it_exactly() {
    const CAPACITY: usize = 1000;
    let store = Arc::new(MemoryStore::bounded(CAPACITY));
    affiliate_and_campaign(&store).await;
    for id in 2..=4 {
        store.insert_affiliate(new_affiliate(id)).await.unwrap();
    }
    let mut inserters = JoinSet::new();
    for inserter in 0..16u64 {
        let store = Arc::clone(&store);
        inserters.spawn(async move {
            let affiliate = AffiliateId::new(inserter % 4 + 1).unwrap();
            let mut new = [0, 0];
            for index in 0..200 {
                // Of the four inserters of an affiliate two and two send the same clicks.
                let click_id = format!("{}-{index}", inserter / 8);
                let click = match store.insert_click(new_click(affiliate, &click_id)).await {
                    Ok(click) => click,
                    Err(StoreError::Full { capacity: CAPACITY }) => continue,
                    Err(error) => panic!("{error}"),
                };
                new[0] += u64::from(!click.is_duplicate());
                match store.insert_conversion(new_conversion(click.record(), None)).await {
                    Ok(conversion) => new[1] += u64::from(!conversion.is_duplicate()),
                    Err(StoreError::Full { capacity: CAPACITY }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            new
        });
    }
    let [clicks, conversions] = inserters.join_all().await.into_iter().fold([0, 0], |[a, b], [c, d]| [a + c, b + d]);
    let held = 5 + clicks + conversions;
    assert_eq!(held, CAPACITY as u64, "every place is taken, and none twice");

    let (mut counted, mut listed) = ([0, 0], [0, 0]);
    for id in 1..=4 {
        let affiliate = AffiliateId::new(id).unwrap();
        let summary = store.summary(affiliate).await.unwrap();
        counted = [counted[0] + summary.clicks, counted[1] + summary.conversions()];
        let whole = PageRequest { limit: "1000".parse().unwrap(), after: None };
        listed[0] += store.clicks(&affiliate.into(), whole).await.unwrap().items.len() as u64;
        listed[1] += store.conversions(&affiliate.into(), whole).await.unwrap().items.len() as u64;
    }
    assert_eq!(counted, [clicks, conversions], "counters must equal what was recorded");
    assert_eq!(listed, [clicks, conversions], "lists must hold what was recorded");
}
