use std::sync::Arc;

use super::given::*;
use super::terms::{full_terms, no_terms};
use crate::{
    Affiliate, AffiliateId, Campaign, CampaignId, Click, ClickRecordId, NewAffiliate, NewCampaign, PageRequest,
    Recorded, Store, StoreError,
};

/// As many characters as a name may have, none of them ASCII, some of them outside the basic plane.
fn longest_name() -> String {
    "Ünïcödé 名前 🛒".chars().cycle().filter(|c| !c.is_ascii()).take(100).collect()
}

pub(super) async fn ping_succeeds(store: Arc<dyn Store>) {
    ok(store.ping().await, "ping");
}

pub(super) async fn affiliate_comes_back_as_it_went_in(store: Arc<dyn Store>) {
    let new = NewAffiliate { id: Some(affiliate_id(7)), name: parse(&longest_name()), created_at: time(123) };
    let affiliate = expect_new(ok(store.insert_affiliate(new.clone()).await, "insert_affiliate"));
    let expected = Affiliate {
        id: affiliate_id(7),
        name: new.name,
        paused_at: None,
        revoked_at: None,
        created_at: new.created_at,
        version: 1,
    };
    assert_eq!(affiliate, expected, "insert_affiliate must return what it was given");
    assert_eq!(ok(store.affiliate(affiliate.id).await, "affiliate"), expected);
}

pub(super) async fn campaign_comes_back_as_it_went_in(store: Arc<dyn Store>) {
    let longest_url = format!("https://shop.example/?ref={{click_id}}&x={:x<1961}", "");
    for (id, (rules, access), url) in [(7, full_terms(), longest_url.as_str()), (8, no_terms(), "http://a.example")] {
        let (id, destination) = (campaign_id(id), parse(url));
        let name = parse(&longest_name());
        let new = NewCampaign { id: Some(id), name, destination, rules, access, created_at: time(123) };
        let campaign = expect_new(ok(store.insert_campaign(new.clone()).await, "insert_campaign"));
        let NewCampaign { name, destination, rules, access, created_at, .. } = new;
        let expected =
            Campaign { id, name, destination, rules, access, paused_at: None, created_at, version: 1 };
        assert_eq!(campaign, expected, "insert_campaign must return what it was given");
        assert_eq!(ok(store.campaign(id).await, "campaign"), expected);
    }
}

pub(super) async fn ids_are_chosen_where_none_is_given(store: Arc<dyn Store>) {
    let (mut affiliates, mut campaigns) = (Vec::new(), Vec::new());
    // More chosen ones than there are numbers up to the second given one.
    let ids = [Some(1), Some(10)].into_iter().chain([None; 12]).chain([Some(1000), None, None]);
    for id in ids {
        let new = new_affiliate(id.map(affiliate_id));
        affiliates.push(expect_new(ok(store.insert_affiliate(new).await, "insert_affiliate")).id);
        let new = new_campaign(id.map(campaign_id));
        campaigns.push(expect_new(ok(store.insert_campaign(new).await, "insert_campaign")).id);
    }
    assert_distinct(affiliates.iter().copied());
    assert_distinct(campaigns.iter().copied());
    for (affiliate, campaign) in affiliates.into_iter().zip(campaigns) {
        assert_eq!(ok(store.affiliate(affiliate).await, "affiliate").id, affiliate);
        assert_eq!(ok(store.campaign(campaign).await, "campaign").id, campaign);
    }
}

pub(super) async fn greatest_ids_can_be_given(store: Arc<dyn Store>) {
    let (affiliate, campaign) = (affiliate_id(AffiliateId::MAX), campaign_id(CampaignId::MAX));
    expect_new(ok(store.insert_affiliate(new_affiliate(Some(affiliate))).await, "insert_affiliate"));
    expect_new(ok(store.insert_campaign(new_campaign(Some(campaign))).await, "insert_campaign"));
    let click = a_click(&store, (affiliate, campaign), "abc123", time(0)).await;
    a_conversion(&store, new_conversion(&click, time(1))).await;
    assert_eq!(all_clicks(&store, affiliate).await, [click]);
    assert_recount(&store, affiliate).await;
}

pub(super) async fn taken_affiliate_id_returns_the_first(store: Arc<dyn Store>) {
    let new = new_affiliate(Some(affiliate_id(1)));
    let first = expect_new(ok(store.insert_affiliate(new.clone()).await, "insert_affiliate"));
    let other = NewAffiliate { name: parse("Somebody else"), created_at: time(5), ..new };
    let again = expect_duplicate(ok(store.insert_affiliate(other).await, "insert_affiliate"));
    assert_eq!(again, first, "a taken id must return the affiliate that has it");
    assert_eq!(ok(store.affiliate(first.id).await, "affiliate"), first, "an insert must not overwrite");
}

pub(super) async fn taken_campaign_id_returns_the_first(store: Arc<dyn Store>) {
    let new = new_campaign(Some(campaign_id(10)));
    let first = expect_new(ok(store.insert_campaign(new.clone()).await, "insert_campaign"));
    let other = NewCampaign {
        name: parse("Another shop"),
        destination: parse("https://other.example/"),
        rules: full_terms().0,
        access: full_terms().1,
        created_at: time(5),
        ..new
    };
    let again = expect_duplicate(ok(store.insert_campaign(other).await, "insert_campaign"));
    assert_eq!(again, first, "a taken id must return the campaign that has it");
    assert_eq!(ok(store.campaign(first.id).await, "campaign"), first, "an insert must not overwrite");
}

pub(super) async fn parallel_affiliates_with_one_id_are_one(store: Arc<dyn Store>) {
    let calls = (0..PARALLEL as i64).map(|n| {
        let store = Arc::clone(&store);
        let new = NewAffiliate { created_at: time(n), ..new_affiliate(Some(affiliate_id(1))) };
        async move { ok(store.insert_affiliate(new).await, "insert_affiliate") }
    });
    let first = expect_one_new(in_parallel(calls).await);
    assert_eq!(ok(store.affiliates(PageRequest::default()).await, "affiliates").items, [first]);
}

pub(super) async fn parallel_campaigns_with_one_id_are_one(store: Arc<dyn Store>) {
    let calls = (0..PARALLEL as i64).map(|n| {
        let store = Arc::clone(&store);
        let new = NewCampaign { created_at: time(n), ..new_campaign(Some(campaign_id(1))) };
        async move { ok(store.insert_campaign(new).await, "insert_campaign") }
    });
    let first = expect_one_new(in_parallel(calls).await);
    assert_eq!(ok(store.campaigns(PageRequest::default()).await, "campaigns").items, [first]);
}

pub(super) async fn parallel_affiliates_without_id_are_many(store: Arc<dyn Store>) {
    let calls = (0..PARALLEL).map(|_| {
        let store = Arc::clone(&store);
        async move { (an_affiliate(&store).await, a_campaign(&store).await) }
    });
    let (affiliates, campaigns): (Vec<_>, Vec<_>) = in_parallel(calls).await.into_iter().unzip();
    assert_distinct(affiliates);
    assert_distinct(campaigns);
}

pub(super) async fn unknown_affiliate_is_refused(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let unknown = affiliate_id(999_999);
    let of_unknown = Click { affiliate_id: unknown, ..click.clone() };
    let page = PageRequest::default();
    let refusals = [
        ("affiliate", store.affiliate(unknown).await.err()),
        ("clicks", store.clicks(&unknown.into(), page).await.err()),
        ("conversions", store.conversions(&unknown.into(), page).await.err()),
        ("summary", store.summary(unknown).await.err()),
        ("insert_click", store.insert_click(new_click((unknown, click.campaign_id), "new", time(1))).await.err()),
        ("insert_conversion", store.insert_conversion(new_conversion(&of_unknown, time(1))).await.err()),
    ];
    for (call, error) in refusals {
        assert!(
            matches!(error, Some(StoreError::UnknownAffiliate(id)) if id == unknown),
            "{call} of an affiliate that is not there must fail with UnknownAffiliate, not {error:?}"
        );
    }
    let affiliates = ok(store.affiliates(page).await, "affiliates").items;
    assert_eq!(affiliates.len(), 1, "a refused call must not bring the affiliate into being");
    assert_only_click(&store, &click).await;
}

pub(super) async fn unknown_campaign_is_refused(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let unknown = campaign_id(999_999);
    let of_unknown = Click { campaign_id: unknown, ..click.clone() };
    let refusals = [
        ("campaign", store.campaign(unknown).await.err()),
        ("insert_click", store.insert_click(new_click((click.affiliate_id, unknown), "new", time(1))).await.err()),
        ("insert_conversion", store.insert_conversion(new_conversion(&of_unknown, time(1))).await.err()),
    ];
    for (call, error) in refusals {
        assert!(
            matches!(error, Some(StoreError::UnknownCampaign(id)) if id == unknown),
            "{call} of a campaign that is not there must fail with UnknownCampaign, not {error:?}"
        );
    }
    let campaigns = ok(store.campaigns(PageRequest::default()).await, "campaigns").items;
    assert_eq!(campaigns.len(), 1, "a refused call must not bring the campaign into being");
    assert_only_click(&store, &click).await;
}

pub(super) async fn unknown_affiliate_is_named_before_unknown_campaign(store: Arc<dyn Store>) {
    let unknown = (affiliate_id(999), campaign_id(999));
    let new = new_click(unknown, "abc123", time(0));
    let click = Click {
        id: ClickRecordId::new(1).expect("a valid id"),
        affiliate_id: unknown.0,
        campaign_id: unknown.1,
        click_id: new.click_id.clone(),
        created_at: time(0),
        details: new.details.clone(),
    };
    let refusals = [
        ("insert_click", store.insert_click(new).await.map(Recorded::into_record).err()),
        ("insert_conversion", store.insert_conversion(new_conversion(&click, time(1))).await.err()),
    ];
    for (call, error) in refusals {
        assert!(
            matches!(error, Some(StoreError::UnknownAffiliate(id)) if id == unknown.0),
            "{call} must name the affiliate where both are missing, not {error:?}"
        );
    }
}

/// Nothing must have changed since this one click was recorded.
async fn assert_only_click(store: &Arc<dyn Store>, click: &Click) {
    assert_eq!(all_clicks(store, click.affiliate_id).await, std::slice::from_ref(click), "a refused call must change nothing");
    assert_eq!(all_conversions(store, click.affiliate_id).await, [], "a refused call must change nothing");
    assert_recount(store, click.affiliate_id).await;
}
