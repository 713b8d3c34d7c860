use std::sync::Arc;

use super::given::*;
use crate::{AffiliateId, BotReason, CampaignId, Click, Recorded, Store, StoreError};

type Place = (AffiliateId, CampaignId);

const HOUR: i64 = 60 * 60 * 1000;

/// The click of a visitor, who is known under these keys, so many milliseconds after the others.
async fn visit(store: &Arc<dyn Store>, place: Place, today: u8, yesterday: u8, millis: i64) -> Click {
    let id = format!("click-{today}-{yesterday}-{millis}");
    let new = of_visitor(new_click(place, &id, time(millis)), today, yesterday);
    expect_new(insert_click(store, new).await)
}

pub(super) async fn visitor_is_known_again_for_a_day(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let visits = [
        (1, 0, 0, false),
        (1, 0, 1, true),
        (1, 0, 5 * HOUR, true),
        // Under the next day's key.
        (2, 1, 20 * HOUR, true),
        (2, 1, 24 * HOUR - 1, true),
        (2, 1, 24 * HOUR, false),
        (2, 1, 24 * HOUR + 1, true),
        (3, 2, 48 * HOUR - 1, true),
        (3, 2, 48 * HOUR, false),
        // Earlier than the first one, because clocks differ.
        (3, 2, 48 * HOUR - 10, true),
        // Somebody else.
        (9, 8, 48 * HOUR, false),
    ];
    for (today, yesterday, millis, is_repeat) in visits {
        let click = visit(&store, place, today, yesterday, millis).await;
        assert_eq!(click.details.is_repeat, is_repeat, "{millis} ms after the first click, under key {today}");
        let found = find_click(&store, place.0, None, click.click_id.as_str()).await;
        assert_eq!(found, Some(click), "what was found out must be stored");
    }
    let summary = summary(&store, place.0).await;
    assert_eq!((summary.clicks, summary.human_clicks, summary.unique_clicks), (11, 11, 4));
    assert_recount(&store, place.0).await;
}

pub(super) async fn clicks_without_a_visitor_are_no_repeats(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    for n in 0..3 {
        let click = a_click(&store, place, &format!("click-{n}"), time(n)).await;
        assert!(!click.details.is_repeat, "nobody knows whether it is one");
    }
    assert_eq!(summary(&store, place.0).await.unique_clicks, 3);
}

pub(super) async fn visitor_is_the_same_everywhere(store: Arc<dyn Store>) {
    let (affiliate, campaign) = an_affiliate_and_a_campaign(&store).await;
    let (other_affiliate, other_campaign) = an_affiliate_and_a_campaign(&store).await;
    let places = [(affiliate, campaign), (affiliate, other_campaign), (other_affiliate, campaign)];
    for (index, place) in places.into_iter().enumerate() {
        let click = visit(&store, place, 1, 0, 0).await;
        assert_eq!(click.details.is_repeat, index > 0, "the hash alone tells whether it is the same visitor");
    }
    assert_eq!(summary(&store, affiliate).await.unique_clicks, 1);
    assert_eq!(summary(&store, other_affiliate).await.unique_clicks, 0);
    assert_recount(&store, affiliate).await;
    assert_recount(&store, other_affiliate).await;
}

pub(super) async fn claimed_repeat_is_not_believed(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    for (id, visitor) in [("nobody", None), ("somebody", Some(1))] {
        let mut new = new_click(place, id, time(0));
        if let Some(visitor) = visitor {
            new = of_visitor(new, visitor, 0);
        }
        new.details.is_repeat = true;
        let click = expect_new(insert_click(&store, new).await);
        assert!(!click.details.is_repeat, "the store finds out, whatever a caller says");
        assert_eq!(find_click(&store, place.0, None, id).await, Some(click));
    }
    assert_eq!(summary(&store, place.0).await.unique_clicks, 2);
    assert!(visit(&store, place, 1, 0, 1).await.details.is_repeat, "it was noted as a first one");
    assert_recount(&store, place.0).await;
}

pub(super) async fn click_that_is_not_recorded_leaves_no_visitor(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    a_click(&store, place, "abc123", time(0)).await;
    let again = of_visitor(new_click(place, "abc123", time(0)), 1, 0);
    expect_duplicate(insert_click(&store, again).await);
    let (no_affiliate, no_campaign) = (affiliate_id(999_999), campaign_id(999_999));
    for (place, visitor) in [((no_affiliate, place.1), 2), ((place.0, no_campaign), 3)] {
        let refused = store.insert_click(of_visitor(new_click(place, "abc124", time(0)), visitor, 0)).await;
        let is_unknown = matches!(refused, Err(StoreError::UnknownAffiliate(_) | StoreError::UnknownCampaign(_)));
        assert!(is_unknown, "got {refused:?}");
    }
    for visitor in [1, 2, 3] {
        let click = visit(&store, place, visitor, 0, 1).await;
        assert!(!click.details.is_repeat, "nothing was recorded of visitor {visitor} before");
    }
    assert_recount(&store, place.0).await;
}

pub(super) async fn repeated_record_is_no_repeated_visit(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let new = of_visitor(new_click(place, "abc123", time(0)), 1, 0);
    let first = expect_new(insert_click(&store, new.clone()).await);
    for _ in 0..2 {
        assert_eq!(expect_duplicate(insert_click(&store, new.clone()).await), first, "the first record is returned");
    }
    assert!(!first.details.is_repeat);
    assert_recount(&store, place.0).await;
}

pub(super) async fn parallel_visits_have_one_first(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let calls = (0..PARALLEL).map(|n| {
        let store = Arc::clone(&store);
        async move {
            let new = new_click(place, &format!("click-{n}"), time(n as i64));
            insert_click(&store, of_visitor(new, (n % 4) as u8, 100)).await
        }
    });
    let clicks: Vec<Click> = in_parallel(calls).await.into_iter().map(Recorded::into_record).collect();
    let first = clicks.iter().filter(|click| !click.details.is_repeat).count();
    assert_eq!(first, 4, "of parallel clicks of one visitor exactly one is his first");
    assert_eq!(summary(&store, place.0).await.unique_clicks, 4);
    assert_recount(&store, place.0).await;
}

pub(super) async fn bots_are_counted_apart(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    for (n, reason) in BotReason::ALL.iter().enumerate() {
        expect_new(insert_click(&store, of_bot(new_click(place, &format!("bot-{n}"), time(0)), *reason)).await);
    }
    a_click(&store, place, "abc123", time(0)).await;
    let summary = summary(&store, place.0).await;
    let bots = BotReason::ALL.len() as u64;
    assert_eq!((summary.clicks, summary.human_clicks, summary.unique_clicks), (bots + 1, 1, 1));
}

pub(super) async fn forgotten_visitor_is_a_new_one(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    visit(&store, place, 1, 0, 0).await;
    visit(&store, place, 2, 0, 1000).await;
    ok(store.forget_visitors(time(1000)).await, "forget_visitors");
    assert!(!visit(&store, place, 1, 0, 2000).await.details.is_repeat, "this one's first click is older");
    assert!(visit(&store, place, 2, 0, 2000).await.details.is_repeat, "this one's is not");
    ok(store.forget_visitors(time(0)).await, "forget_visitors");
    assert!(visit(&store, place, 1, 0, 3000).await.details.is_repeat, "nobody's first click is as old");
    assert_recount(&store, place.0).await;
}

pub(super) async fn forgetting_visitors_changes_no_figures(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    for (visitor, millis) in [(1, 0), (1, 1), (2, 2), (1, 3)] {
        visit(&store, place, visitor, 0, millis).await;
    }
    let before = (summary(&store, place.0).await, all_clicks(&store, place.0).await);
    ok(store.forget_visitors(time(1000)).await, "forget_visitors");
    assert_eq!((summary(&store, place.0).await, all_clicks(&store, place.0).await), before);
}
