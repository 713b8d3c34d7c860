use std::sync::Arc;

use super::given::*;
use super::terms::{any_terms, full_terms, no_terms};
use crate::{Affiliate, Campaign, NewAffiliate, NewCampaign, PageRequest, Store, StoreError, Timestamp};

async fn the_affiliate(store: &Arc<dyn Store>) -> Affiliate {
    expect_new(ok(store.insert_affiliate(new_affiliate(None)).await, "insert_affiliate"))
}

async fn the_campaign(store: &Arc<dyn Store>) -> Campaign {
    expect_new(ok(store.insert_campaign(new_campaign(None)).await, "insert_campaign"))
}

async fn update_affiliate(store: &Arc<dyn Store>, wanted: Affiliate) -> Option<Affiliate> {
    ok(store.update_affiliate(wanted).await, "update_affiliate")
}

async fn update_campaign(store: &Arc<dyn Store>, wanted: Campaign) -> Option<Campaign> {
    ok(store.update_campaign(wanted).await, "update_campaign")
}

pub(super) async fn affiliate_update_replaces_all_but_id_and_time(store: Arc<dyn Store>) {
    let mut affiliate = the_affiliate(&store).await;
    let pauses = awkward_times().into_iter().map(Some).chain([None, Some(time(7)), Some(time(7)), None]);
    // In another order, so that neither of the two times can be taken for the other one.
    let revocations = [None, Some(time(3))].into_iter().chain(awkward_times().into_iter().rev().map(Some)).cycle();
    for (index, (paused_at, revoked_at)) in pauses.zip(revocations).enumerate() {
        let wanted = Affiliate { name: parse(&format!("Ünïcödé 名前 {index} 🛒")), paused_at, revoked_at, ..affiliate };
        // When it was created is not for an update to say.
        let sent = Affiliate { created_at: time(99), ..wanted.clone() };
        let expected = Affiliate { version: wanted.version + 1, ..wanted };
        let updated = update_affiliate(&store, sent).await;
        assert_eq!(updated.as_ref(), Some(&expected), "an update must return the affiliate as it is then");
        assert_eq!(ok(store.affiliate(expected.id).await, "affiliate"), expected);
        affiliate = expected;
    }
    assert_eq!(ok(store.affiliates(PageRequest::default()).await, "affiliates").items, [affiliate]);
}

pub(super) async fn campaign_update_replaces_all_but_id_and_time(store: Arc<dyn Store>) {
    let mut campaign = the_campaign(&store).await;
    let longest_url = format!("https://shop.example/?ref={{click_id}}&x={:x<1961}", "");
    let wants = [
        ("Another shop", longest_url.as_str(), full_terms(), Some(time(5))),
        ("Another shop", "http://a.example", no_terms(), Some(Timestamp::MIN)),
        ("Ünïcödé 名前 🛒", "http://a.example", full_terms(), None),
    ];
    for (name, url, (rules, access), paused_at) in wants {
        let (name, destination) = (parse(name), parse(url));
        let wanted = Campaign { name, destination, rules, access, paused_at, ..campaign };
        let sent = Campaign { created_at: time(99), ..wanted.clone() };
        let expected = Campaign { version: wanted.version + 1, ..wanted };
        let updated = update_campaign(&store, sent).await;
        assert_eq!(updated.as_ref(), Some(&expected), "an update must return the campaign as it is then");
        assert_eq!(ok(store.campaign(expected.id).await, "campaign"), expected);
        campaign = expected;
    }
    assert_eq!(ok(store.campaigns(PageRequest::default()).await, "campaigns").items, [campaign]);
}

pub(super) async fn any_rules_and_access_come_back_as_they_went_in(store: Arc<dyn Store>) {
    let mut campaign: Option<Campaign> = None;
    for (rules, access) in any_terms(48) {
        let new = NewCampaign { rules: rules.clone(), access: access.clone(), ..new_campaign(None) };
        let inserted = expect_new(ok(store.insert_campaign(new).await, "insert_campaign"));
        assert_eq!((&inserted.rules, &inserted.access), (&rules, &access), "insert_campaign must return what it was given");
        let found = ok(store.campaign(inserted.id).await, "campaign");
        assert_eq!(found, inserted, "rules and access must come back as they went in");
        if let Some(before) = campaign {
            let wanted = Campaign { rules, access, ..before };
            let expected = Campaign { version: wanted.version + 1, ..wanted.clone() };
            assert_eq!(update_campaign(&store, wanted).await.as_ref(), Some(&expected));
            assert_eq!(ok(store.campaign(expected.id).await, "campaign"), expected, "and so they must after an update");
        }
        campaign = Some(inserted);
    }
}

pub(super) async fn update_of_another_version_changes_nothing(store: Arc<dyn Store>) {
    let affiliate = the_affiliate(&store).await;
    let affiliate = update_affiliate(&store, affiliate).await.expect("the version that is there");
    let campaign = the_campaign(&store).await;
    let campaign = update_campaign(&store, campaign).await.expect("the version that is there");
    assert_eq!((affiliate.version, campaign.version), (2, 2), "an update that changes nothing is one too");
    let (rules, access) = full_terms();
    for version in [0, 1, 3, u32::MAX] {
        let wanted = Affiliate { name: parse("Somebody else"), paused_at: Some(time(1)), version, ..affiliate.clone() };
        assert_eq!(update_affiliate(&store, wanted).await, None, "version {version} is not there");
        let (rules, access) = (rules.clone(), access.clone());
        let wanted = Campaign { rules, access, paused_at: Some(time(1)), version, ..campaign.clone() };
        assert_eq!(update_campaign(&store, wanted).await, None, "version {version} is not there");
    }
    assert_eq!(ok(store.affiliate(affiliate.id).await, "affiliate"), affiliate);
    assert_eq!(ok(store.campaign(campaign.id).await, "campaign"), campaign);
}

pub(super) async fn parallel_updates_from_one_version_happen_once(store: Arc<dyn Store>) {
    let (mut affiliate, mut campaign) = (the_affiliate(&store).await, the_campaign(&store).await);
    for version in 1..=2 {
        let calls = (0..PARALLEL as i64).map(|n| {
            // Some of them want the same.
            let wanted = Affiliate { paused_at: Some(time(n / 2)), ..affiliate.clone() };
            let store = Arc::clone(&store);
            async move { update_affiliate(&store, wanted).await }
        });
        let done: Vec<Affiliate> = in_parallel(calls).await.into_iter().flatten().collect();
        assert_eq!(done.len(), 1, "of parallel updates from one version exactly one must happen");
        assert_eq!(done[0].version, version + 1);
        affiliate = ok(store.affiliate(affiliate.id).await, "affiliate");
        assert_eq!(done, [affiliate.clone()], "what is there must be what the one that happened has returned");

        let calls = (0..PARALLEL as i64).map(|n| {
            let wanted = Campaign { paused_at: Some(time(n / 2)), ..campaign.clone() };
            let store = Arc::clone(&store);
            async move { update_campaign(&store, wanted).await }
        });
        let done: Vec<Campaign> = in_parallel(calls).await.into_iter().flatten().collect();
        assert_eq!(done.len(), 1, "of parallel updates from one version exactly one must happen");
        assert_eq!(done[0].version, version + 1);
        campaign = ok(store.campaign(campaign.id).await, "campaign");
        assert_eq!(done, [campaign.clone()], "what is there must be what the one that happened has returned");
    }
}

pub(super) async fn parallel_updates_that_look_again_all_happen(store: Arc<dyn Store>) {
    const CALLS: u32 = 16;
    let (affiliate, campaign) = (the_affiliate(&store).await, the_campaign(&store).await);
    let calls = (0..CALLS).map(|_| {
        let store = Arc::clone(&store);
        async move {
            loop {
                let mut wanted = ok(store.campaign(campaign.id).await, "campaign");
                wanted.rules.daily_cap = Some(wanted.rules.daily_cap.unwrap_or(0) + 1);
                if update_campaign(&store, wanted).await.is_some() {
                    break;
                }
            }
            loop {
                let mut wanted = ok(store.affiliate(affiliate.id).await, "affiliate");
                wanted.paused_at = Some(time(wanted.paused_at.map_or(1, |at| at.as_millis() - time(0).as_millis() + 1)));
                if update_affiliate(&store, wanted).await.is_some() {
                    break;
                }
            }
        }
    });
    in_parallel(calls).await;
    let campaign = ok(store.campaign(campaign.id).await, "campaign");
    assert_eq!((campaign.version, campaign.rules.daily_cap), (1 + CALLS, Some(CALLS)), "no change may be lost");
    let affiliate = ok(store.affiliate(affiliate.id).await, "affiliate");
    let paused_at = Some(time(i64::from(CALLS)));
    assert_eq!((affiliate.version, affiliate.paused_at), (1 + CALLS, paused_at), "no change may be lost");
}

pub(super) async fn update_changes_nothing_else(store: Arc<dyn Store>) {
    let others = (the_affiliate(&store).await, the_campaign(&store).await);
    let (affiliate, campaign) = (the_affiliate(&store).await, the_campaign(&store).await);
    let click = a_click(&store, (affiliate.id, campaign.id), "abc123", time(1)).await;
    let conversion = a_conversion(&store, new_conversion(&click, time(2))).await;
    let before = summary(&store, affiliate.id).await;

    let updated = update_affiliate(&store, Affiliate { paused_at: Some(time(3)), ..affiliate }).await;
    let affiliate = updated.expect("the version that is there");
    let updated = update_campaign(&store, Campaign { paused_at: Some(time(3)), ..campaign }).await;
    let campaign = updated.expect("the version that is there");

    assert_eq!(ok(store.affiliate(others.0.id).await, "affiliate"), others.0, "another affiliate stays as he is");
    assert_eq!(ok(store.campaign(others.1.id).await, "campaign"), others.1, "another campaign stays as it is");
    let page = PageRequest::default();
    assert_eq!(ok(store.affiliates(page).await, "affiliates").items, [affiliate.clone(), others.0]);
    assert_eq!(ok(store.campaigns(page).await, "campaigns").items, [campaign.clone(), others.1]);
    assert_eq!(summary(&store, affiliate.id).await, before);
    assert_eq!(all_clicks(&store, affiliate.id).await, std::slice::from_ref(&click));
    assert_eq!(all_conversions(&store, affiliate.id).await, [conversion]);
    // What a pause means is not for the store to know.
    a_conversion(&store, with_transaction(new_conversion(&click, time(4)), "order-1")).await;
    a_click(&store, (affiliate.id, campaign.id), "abc124", time(4)).await;

    let again = NewAffiliate { id: Some(affiliate.id), ..new_affiliate(None) };
    let again = expect_duplicate(ok(store.insert_affiliate(again).await, "insert_affiliate"));
    assert_eq!(again, affiliate, "a taken id must return the affiliate as it is by now");
    let again = NewCampaign { id: Some(campaign.id), ..new_campaign(None) };
    let again = expect_duplicate(ok(store.insert_campaign(again).await, "insert_campaign"));
    assert_eq!(again, campaign, "a taken id must return the campaign as it is by now");
}

pub(super) async fn update_of_what_is_not_there_is_refused(store: Arc<dyn Store>) {
    let (affiliate, campaign) = (the_affiliate(&store).await, the_campaign(&store).await);
    let unknown = affiliate_id(999_999);
    let refused = store.update_affiliate(Affiliate { id: unknown, ..affiliate.clone() }).await;
    assert!(matches!(refused, Err(StoreError::UnknownAffiliate(id)) if id == unknown), "{refused:?}");
    let unknown = campaign_id(999_999);
    let refused = store.update_campaign(Campaign { id: unknown, ..campaign.clone() }).await;
    assert!(matches!(refused, Err(StoreError::UnknownCampaign(id)) if id == unknown), "{refused:?}");
    let page = PageRequest::default();
    assert_eq!(ok(store.affiliates(page).await, "affiliates").items, [affiliate], "a refused call must change nothing");
    assert_eq!(ok(store.campaigns(page).await, "campaigns").items, [campaign], "a refused call must change nothing");
}
