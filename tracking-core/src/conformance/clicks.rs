use std::sync::Arc;

use super::given::*;
use crate::{BotReason, Click, ClickDetails, NewClick, Store};

pub(super) async fn click_comes_back_as_it_went_in(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let new = new_click(place, "abc123", time(123));
    let click = expect_new(insert_click(&store, new.clone()).await);
    let NewClick { affiliate_id, campaign_id, click_id, created_at, details, visitor: _ } = new;
    assert_eq!(
        click,
        Click { id: click.id, affiliate_id, campaign_id, click_id, created_at, details },
        "insert_click must return what it was given"
    );
    assert_eq!(find_click(&store, place.0, None, "abc123").await, Some(click.clone()), "find_clicks must find it");
    assert_eq!(all_clicks(&store, place.0).await, [click], "clicks must list it");
}

pub(super) async fn click_details_come_back_as_they_went_in(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let full = full_details();
    let one_each = [
        ClickDetails { sub_ids: full.sub_ids.clone(), ..ClickDetails::default() },
        ClickDetails { source: full.source.clone(), ..ClickDetails::default() },
        ClickDetails { ip: full.ip, ..ClickDetails::default() },
        ClickDetails { ip: Some(parse("203.0.113.7")), ..ClickDetails::default() },
        ClickDetails { user_agent: full.user_agent.clone(), ..ClickDetails::default() },
        ClickDetails { is_recovered: true, ..ClickDetails::default() },
        full,
    ];
    let bots = BotReason::ALL.iter().map(|reason| ClickDetails { bot: Some(*reason), ..ClickDetails::default() });
    for (index, details) in bots.chain(one_each).enumerate() {
        let id = format!("click-{index}");
        let new = NewClick { details, ..new_click(place, &id, time(0)) };
        let click = expect_new(insert_click(&store, new.clone()).await);
        assert_eq!(click.details, new.details, "insert_click must return what it was given");
        assert_eq!(find_click(&store, place.0, None, &id).await, Some(click), "find_clicks must return all of it");
    }
    let listed = all_clicks(&store, place.0).await;
    for click in &listed {
        let found = find_click(&store, place.0, None, click.click_id.as_str()).await;
        assert_eq!(found.as_ref(), Some(click), "clicks must list all of it");
    }
    assert_recount(&store, place.0).await;
}

pub(super) async fn repeated_click_returns_the_first(store: Arc<dyn Store>) {
    let first = one_click(&store).await;
    for created_at in [time(5_000), time(-5_000), time(0)] {
        let repeated = new_click((first.affiliate_id, first.campaign_id), first.click_id.as_str(), created_at);
        let again = expect_duplicate(insert_click(&store, repeated).await);
        assert_eq!(again, first, "a repeated click must return the first one's record, unchanged");
    }
    assert_eq!(all_clicks(&store, first.affiliate_id).await, std::slice::from_ref(&first), "an insert must not overwrite");
    assert_recount(&store, first.affiliate_id).await;
}

pub(super) async fn click_id_belongs_to_affiliate_and_campaign(store: Arc<dyn Store>) {
    let (affiliate, campaign) = an_affiliate_and_a_campaign(&store).await;
    let (other_affiliate, other_campaign) = an_affiliate_and_a_campaign(&store).await;
    let mut clicks = Vec::new();
    for place in [(affiliate, campaign), (affiliate, other_campaign), (other_affiliate, campaign)] {
        // `a_click` demands that each is new.
        clicks.push(a_click(&store, place, "abc123", time(0)).await);
    }
    assert_distinct(clicks.iter().map(|click| click.id));
    assert_eq!(summary(&store, affiliate).await.clicks, 2);
    assert_eq!(summary(&store, other_affiliate).await.clicks, 1);
}

pub(super) async fn click_ids_compare_byte_by_byte(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let ids = ["abc", "ABC", "aBc", "abc0", "abc00", "0", "00", "0.0", "a_c", "a%c", "a\\_c", "'", "''"];
    for id in ids {
        let found = find_click(&store, place.0, None, id).await;
        assert_eq!(found, None, "{id:?} is not there, and no other click id equals it");
        a_click(&store, place, id, time(0)).await;
    }
    for id in ids {
        let click = find_click(&store, place.0, None, id).await.expect("what was recorded is found");
        assert_eq!(click.click_id.as_str(), id, "click ids must compare byte by byte");
    }
    assert_eq!(summary(&store, place.0).await.clicks, ids.len() as u64);
}

pub(super) async fn every_click_id_can_be_kept(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let visible: String = ('!'..='~').collect();
    let longest = ["x".repeat(100), format!("{}y", "x".repeat(99)), format!("{:~<100}", visible)];
    for id in longest.iter().map(String::as_str).chain([visible.as_str(), "!", "~", "NULL", "-1", "1e5"]) {
        let click = a_click(&store, place, id, time(0)).await;
        assert_eq!(click.click_id.as_str(), id, "insert_click must return the click id as it was given");
        let found = find_click(&store, place.0, Some(place.1), id).await;
        assert_eq!(found, Some(click), "every click id of up to 100 visible ASCII characters must be found again");
    }
}

pub(super) async fn click_times_are_exact(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    for (index, created_at) in awkward_times().into_iter().enumerate() {
        let id = format!("click-{index}");
        a_click(&store, place, &id, created_at).await;
        let click = find_click(&store, place.0, None, &id).await.expect("what was recorded is found");
        assert_eq!(click.created_at, created_at, "times must be exact to the millisecond");
    }
}

pub(super) async fn parallel_identical_clicks_are_one(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let calls = (0..PARALLEL as i64).map(|n| {
        let store = Arc::clone(&store);
        async move { insert_click(&store, new_click(place, "abc123", time(n))).await }
    });
    let first = expect_one_new(in_parallel(calls).await);
    assert_eq!(all_clicks(&store, place.0).await, [first]);
    assert_eq!(summary(&store, place.0).await.clicks, 1, "a click that was sent many times must be counted once");
}

pub(super) async fn last_click_wins(store: Arc<dyn Store>) {
    let affiliate = an_affiliate(&store).await;
    // Recorded in another order than that of their times.
    for (created_at, latest) in [(50, 50), (10, 50), (90, 90), (70, 90), (91, 91)] {
        let campaign = a_campaign(&store).await;
        a_click(&store, (affiliate, campaign), "abc123", time(created_at)).await;
        let found = find_click(&store, affiliate, None, "abc123").await.expect("what was recorded is found");
        assert_eq!(found.created_at, time(latest), "without a campaign the latest click by time must be found");
    }
}

pub(super) async fn last_of_simultaneous_clicks_has_the_greatest_number(store: Arc<dyn Store>) {
    let affiliate = an_affiliate(&store).await;
    let mut clicks = Vec::new();
    for _ in 0..5 {
        let campaign = a_campaign(&store).await;
        clicks.push(a_click(&store, (affiliate, campaign), "abc123", time(0)).await);
    }
    clicks.sort_by_key(|click| std::cmp::Reverse(click.id));
    let found = find_clicks(&store, affiliate, None, "abc123").await;
    assert_eq!(found, clicks, "of equal times the greatest number is last, and so comes first");
}

pub(super) async fn all_clicks_of_one_id_are_found(store: Arc<dyn Store>) {
    let affiliate = an_affiliate(&store).await;
    let mut clicks = Vec::new();
    for index in 0..40 {
        let campaign = a_campaign(&store).await;
        clicks.insert(0, a_click(&store, (affiliate, campaign), "abc123", time(index)).await);
    }
    let found = find_clicks(&store, affiliate, None, "abc123").await;
    assert_eq!(found, clicks, "without a campaign those of all campaigns must be found, the latest first");
}

pub(super) async fn click_of_a_campaign_is_found(store: Arc<dyn Store>) {
    let affiliate = an_affiliate(&store).await;
    let (early, late) = (a_campaign(&store).await, a_campaign(&store).await);
    let early_click = a_click(&store, (affiliate, early), "abc123", time(0)).await;
    let late_click = a_click(&store, (affiliate, late), "abc123", time(1)).await;
    for (campaign, click) in [(early, early_click), (late, late_click)] {
        let found = find_clicks(&store, affiliate, Some(campaign), "abc123").await;
        assert_eq!(found, [click], "with a campaign its own click must be found, be it the latest or not");
    }
}

pub(super) async fn click_that_is_not_there_is_none(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let (affiliate, campaign) = (click.affiliate_id, Some(click.campaign_id));
    let (other_affiliate, other_campaign) = an_affiliate_and_a_campaign(&store).await;
    let (no_affiliate, no_campaign) = (affiliate_id(999_999), campaign_id(999_999));
    let cases = [
        ("another click id", affiliate, None, "abc124"),
        ("another click id in its campaign", affiliate, campaign, "abc124"),
        ("another campaign", affiliate, Some(other_campaign), "abc123"),
        ("another affiliate", other_affiliate, None, "abc123"),
        ("another affiliate in its campaign", other_affiliate, campaign, "abc123"),
        ("an affiliate that is not there", no_affiliate, None, "abc123"),
        ("a campaign that is not there", affiliate, Some(no_campaign), "abc123"),
        ("neither there", no_affiliate, Some(no_campaign), "abc123"),
    ];
    for (what, affiliate, campaign, click_id) in cases {
        let found = find_click(&store, affiliate, campaign, click_id).await;
        assert_eq!(found, None, "find_clicks must find nothing for {what}");
    }
}
