use std::sync::Arc;

use super::given::*;
use crate::{
    AffiliateId, Click, Conversion, ConversionStatus, Cursor, Limit, NewClick, NewConversion, PurgeRequest, Store,
    StoreError, SubIds, Timestamp,
};

pub(super) async fn purge_deletes_old_clicks(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let (other, _) = an_affiliate_and_a_campaign(&store).await;
    for n in 0..25 {
        let details = full_details();
        let new = new_click(place, &format!("click-{n}"), time(n));
        expect_new(insert_click(&store, NewClick { details, ..new }).await);
        a_click(&store, (other, place.1), &format!("click-{n}"), time(n)).await;
    }
    let before = summary(&store, place.0).await;
    let (deleted, steps) = purge(&store, place.0, time(20), 7).await;
    assert_eq!((deleted, steps), (20, 3), "what is older goes, in steps of no more than the limit");
    let left = all_clicks(&store, place.0).await;
    let left: Vec<_> = left.iter().map(|click| click.created_at).collect();
    assert_eq!(left, [24, 23, 22, 21, 20].map(time), "what is not older stays");
    assert_eq!(find_clicks(&store, place.0, None, "click-3").await, [], "what is purged is not found");
    assert_eq!(summary(&store, place.0).await, before, "what was counted stays counted");
    assert_eq!(all_clicks(&store, other).await.len(), 25, "another affiliate's clicks stay");
    assert_eq!(purge(&store, place.0, time(20), 7).await, (0, 1), "a second purge finds nothing");

    // The id is free again.
    a_click(&store, place, "click-3", time(30)).await;
    assert_eq!(summary(&store, place.0).await.clicks, 26);
}

pub(super) async fn purge_takes_the_oldest_first(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    // Recorded in another order than that of their times.
    for n in 0..10 {
        let millis = n * 7 % 10;
        a_click(&store, place, &format!("click-{millis}"), time(millis)).await;
    }
    let (limit, mut after) = (Limit::new(4).expect("a valid limit"), None);
    for left in [6, 2, 0] {
        let request = PurgeRequest { before: time(100), limit, after };
        let purged = ok(store.purge_clicks(place.0, request).await, "purge_clicks");
        after = purged.next;
        assert_eq!(after.is_none(), left == 0, "a purge ends with its last click");
        let times: Vec<_> = all_clicks(&store, place.0).await.iter().map(|click| click.created_at).collect();
        let expected: Vec<_> = (10 - left..10).rev().map(time).collect();
        assert_eq!(times, expected, "the oldest must go first");
    }
}

pub(super) async fn purge_of_simultaneous_clicks_misses_none(store: Arc<dyn Store>) {
    for limit in 1..=3 {
        let place = an_affiliate_and_a_campaign(&store).await;
        let mut kept = Vec::new();
        for n in 0..12 {
            let click = a_click(&store, place, &format!("click-{n}"), time(n / 6)).await;
            if n % 4 == 1 {
                a_conversion(&store, new_conversion(&click, time(50))).await;
                kept.insert(0, click);
            }
        }
        let (deleted, steps) = purge(&store, place.0, time(100), limit).await;
        assert_eq!((deleted, steps as u64), (9, 12 / limit), "clicks of one moment are gone through by number");
        assert_eq!(all_clicks(&store, place.0).await, kept);
        assert_eq!(summary(&store, place.0).await.clicks, 12, "what was counted stays counted");
    }
}

pub(super) async fn purge_starts_at_any_place(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    for n in 0..4 {
        a_click(&store, place, &format!("click-{n}"), time(n)).await;
    }
    for (after, deleted) in [
        (Cursor::after(time(100), u64::MAX), 0),
        (Cursor::after(time(2), u64::MAX), 1),
        (Cursor::after(time(1), 0_u64), 2),
        (Cursor::after(time(0), u64::MAX), 0),
        (Cursor::after(Timestamp::MIN, 0_u64), 1),
    ] {
        let request = PurgeRequest { before: time(100), limit: Limit::default(), after: Some(after) };
        let purged = ok(store.purge_clicks(place.0, request).await, "purge_clicks");
        assert_eq!((purged.deleted, purged.next), (deleted, None), "after {after:?}");
    }
}

pub(super) async fn purge_forgets_no_visitors(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    expect_new(insert_click(&store, of_visitor(new_click(place, "abc123", time(0)), 1, 0)).await);
    assert_eq!(purge(&store, place.0, time(100), 10).await, (1, 1));
    let again = expect_new(insert_click(&store, of_visitor(new_click(place, "abc124", time(200)), 1, 0)).await);
    assert!(again.details.is_repeat, "his first click is gone, and was his first all the same");
    let summary = summary(&store, place.0).await;
    assert_eq!((summary.clicks, summary.unique_clicks), (2, 1));
}

pub(super) async fn purge_keeps_clicks_with_conversions_anonymous(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let mut converted = Vec::new();
    for n in 0..20 {
        let new = NewClick { details: full_details(), ..new_click(place, &format!("click-{n}"), time(n)) };
        let click = expect_new(insert_click(&store, new).await);
        if n % 3 == 0 {
            converted.push((a_conversion(&store, new_conversion(&click, time(n))).await, click));
        }
    }
    let before = summary(&store, place.0).await;
    let (deleted, _) = purge(&store, place.0, time(100), 4).await;
    assert_eq!(deleted, 13);
    assert_eq!(summary(&store, place.0).await, before, "what was counted stays counted");
    assert_eq!(all_clicks(&store, place.0).await.len(), converted.len());
    for (conversion, click) in converted {
        let kept = find_click(&store, place.0, None, click.click_id.as_str()).await.expect("a click with a conversion");
        let anonymous = Click { details: click.details.anonymous(), ..click.clone() };
        assert_eq!(kept, anonymous, "nothing of the visitor is kept, and everything else is");
        let again = expect_duplicate(insert_conversion(&store, new_conversion(&kept, time(99))).await);
        assert_eq!(again, conversion, "a repeated postback is still known");
    }
}

pub(super) async fn purge_during_conversions_loses_none(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let mut clicks = Vec::new();
    for n in 0..PARALLEL as i64 {
        clicks.push(a_click(&store, place, &format!("click-{n}"), time(n)).await);
    }
    let converting = clicks.into_iter().map(|click| {
        let store = Arc::clone(&store);
        async move { store.insert_conversion(new_conversion(&click, time(1000))).await }
    });
    let purging = tokio::spawn({
        let store = Arc::clone(&store);
        async move { purge(&store, place.0, time(1000), 3).await }
    });
    let results = in_parallel(converting).await;
    let (deleted, _) = purging.await.expect("a purge must not panic");
    let (done, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(refused.len() as u64, deleted, "a conversion is refused if its click is gone, and only then");
    assert!(refused.iter().all(|refused| matches!(refused, Err(StoreError::UnknownClick(_)))), "{refused:?}");
    assert_eq!(all_clicks(&store, place.0).await.len(), done.len(), "a click with a conversion is never deleted");
    assert_eq!(all_conversions(&store, place.0).await.len(), done.len());
    assert_eq!(summary(&store, place.0).await.conversions(), done.len() as u64);
}

pub(super) async fn erased_click_is_anonymous(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    let (other, second) = an_affiliate_and_a_campaign(&store).await;
    let mut conversions = Vec::new();
    for place in [place, (place.0, second), (other, second)] {
        let new = NewClick { details: full_details(), ..new_click(place, "abc123", time(5)) };
        let click = expect_new(insert_click(&store, new).await);
        let new = NewConversion { sub_ids: full_details().sub_ids, ..new_conversion(&click, time(6)) };
        conversions.push(a_conversion(&store, new).await);
    }
    let bystander = a_click(&store, place, "ABC123", time(5)).await;
    let before = (summary(&store, place.0).await, summary(&store, other).await);

    let erase = |id: &'static str| {
        let store = Arc::clone(&store);
        async move { ok(store.erase_clicks(&parse(id), &parse("erased-1")).await, "erase_clicks") }
    };
    assert_eq!(erase("abc123").await, 3, "all clicks with the id are meant");
    assert_eq!(erase("abc123").await, 0, "there is none left");
    assert_eq!(erase("unknown").await, 0);

    assert_eq!(find_clicks(&store, place.0, None, "abc123").await, [], "nobody has the id any more");
    assert_eq!((summary(&store, place.0).await, summary(&store, other).await), before, "what was counted stays counted");
    let erased = find_clicks(&store, place.0, None, "erased-1").await;
    assert_eq!(erased.len(), 2);
    assert!(erased.iter().all(|click| click.details == full_details().anonymous()), "nothing of the visitor is kept");
    let listed = all_conversions(&store, other).await;
    let expected = Conversion { click_id: parse("erased-1"), sub_ids: SubIds::default(), ..conversions.remove(2) };
    assert_eq!(listed, [expected], "a conversion names its click as it is named now, and has lost its marks");
    let found = find_click(&store, place.0, None, "ABC123").await;
    assert_eq!(found, Some(bystander), "others are left alone");
    // A conversion of the click as it is now is still the same.
    let again = insert_conversion(&store, new_conversion(&erased[0], time(9))).await;
    assert!(again.is_duplicate());
    assert_recount(&store, place.0).await;
}

pub(super) async fn erased_click_has_no_conversion_under_its_old_id(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    a_click(&store, place, "abc123", time(0)).await;
    let found = find_click(&store, place.0, None, "abc123").await.expect("what was recorded is found");
    assert_eq!(ok(store.erase_clicks(&found.click_id, &parse("erased-1")).await, "erase_clicks"), 1);
    let refused = store.insert_conversion(new_conversion(&found, time(1))).await;
    assert!(matches!(refused, Err(StoreError::UnknownClick(_))), "nobody has the id any more: {refused:?}");
    assert_eq!(summary(&store, place.0).await.conversions(), 0);
    let erased = find_click(&store, place.0, None, "erased-1").await.expect("what was erased is there");
    a_conversion(&store, new_conversion(&erased, time(1))).await;
    assert_recount(&store, place.0).await;
}

pub(super) async fn conversions_of_an_erased_click_are_found_under_its_new_id(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let bystander = a_click(&store, (click.affiliate_id, click.campaign_id), "ABC123", time(0)).await;
    let sub_ids = full_details().sub_ids;
    let of_bystander = NewConversion { sub_ids: sub_ids.clone(), ..new_conversion(&bystander, time(1)) };
    let of_bystander = a_conversion(&store, of_bystander).await;
    let new = |number, millis| with_transaction(new_conversion(&click, time(millis)), number);
    let second = a_conversion(&store, of_status(new("order-1", 8), ConversionStatus::Pending)).await;
    let first = a_conversion(&store, NewConversion { sub_ids, ..new("order-2", 7) }).await;
    let approval = change(ConversionStatus::Pending, ConversionStatus::Approved, time(9));
    assert!(change_status(&store, second.id, approval.clone()).await.is_some());

    assert_eq!(ok(store.erase_clicks(&click.click_id, &parse("erased-1")).await, "erase_clicks"), 1);
    let erased = find_click(&store, click.affiliate_id, None, "erased-1").await.expect("what was erased is there");
    let anonymous =
        |row: Conversion| Conversion { click_id: parse("erased-1"), sub_ids: SubIds::default(), ..row };
    let (first, second) = (anonymous(first), anonymous(second));
    let second = Conversion { status: ConversionStatus::Approved, ..second };
    assert_eq!(ok(store.conversion(first.id).await, "conversion"), first);
    assert_eq!(ok(store.conversion(second.id).await, "conversion"), second);
    assert_eq!(status_changes(&store, second.id).await, [approval], "what became of it stays");
    assert_eq!(first_conversion(&store, &erased, "conversion").await, Some(first.clone()));
    let repeated = NewConversion { click: erased, ..new("order-1", 99) };
    assert_eq!(find_conversion(&store, &repeated).await, Some(second.clone()));
    assert!(
        matches!(
            store.insert_conversion(only_one(with_transaction(repeated, "order-3"))).await,
            Err(StoreError::AlreadyConverted(found)) if *found == first
        ),
        "it is as much in the way as before"
    );
    assert_eq!(first_conversion(&store, &click, "conversion").await, None, "nobody has the id any more");
    assert_eq!(find_conversion(&store, &new("order-1", 99)).await, None, "nobody has the id any more");
    let rejection = change(ConversionStatus::Approved, ConversionStatus::Rejected, time(10));
    assert!(change_status(&store, second.id, rejection).await.is_some());
    assert_eq!(ok(store.conversion(of_bystander.id).await, "conversion"), of_bystander, "others are left alone");
    assert_recount(&store, click.affiliate_id).await;
}

pub(super) async fn erased_visitor_is_forgotten(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    for (visitor, id) in [(1, "abc123"), (2, "abc124")] {
        let new = new_click(place, id, time(i64::from(visitor)));
        expect_new(insert_click(&store, of_visitor(new, visitor, 0)).await);
    }
    let before = summary(&store, place.0).await;
    assert_eq!(ok(store.erase_clicks(&parse("abc123"), &parse("erased-1")).await, "erase_clicks"), 1);
    assert_eq!(summary(&store, place.0).await, before, "what was counted stays counted");
    for (visitor, is_repeat) in [(1, false), (2, true)] {
        let new = of_visitor(new_click(place, &format!("again-{visitor}"), time(10)), visitor, 0);
        let click = expect_new(insert_click(&store, new).await);
        assert_eq!(click.details.is_repeat, is_repeat, "by the time of the click its visitor could be found");
    }
    assert_recount(&store, place.0).await;
}

pub(super) async fn maintenance_of_an_unknown_affiliate_is_refused(store: Arc<dyn Store>) {
    let request = PurgeRequest { before: time(0), limit: Limit::default(), after: None };
    let refused = store.purge_clicks(affiliate_id(999), request).await;
    assert!(matches!(refused, Err(StoreError::UnknownAffiliate(id)) if id == affiliate_id(999)), "{refused:?}");
}

/// Purges step by step, and returns how many clicks were deleted, and in how many steps.
async fn purge(store: &Arc<dyn Store>, affiliate: AffiliateId, before: Timestamp, limit: u64) -> (u64, usize) {
    let limit = Limit::new(limit).expect("a valid limit");
    let (mut deleted, mut steps, mut after) = (0, 0, None);
    loop {
        let purged = ok(store.purge_clicks(affiliate, PurgeRequest { before, limit, after }).await, "purge_clicks");
        assert!(purged.deleted <= limit.as_usize() as u64, "a step must not delete more than its limit");
        (deleted, steps) = (deleted + purged.deleted, steps + 1);
        match purged.next {
            None => return (deleted, steps),
            next => {
                assert!(next > after, "a step must come further than the one before: a purge would never end");
                after = next;
            }
        }
    }
}
