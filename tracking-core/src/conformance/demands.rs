use std::sync::Arc;

use super::given::*;
use crate::{CampaignId, Click, Conversion, ConversionStatus, NewConversion, Recorded, Store, StoreError};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// The conversion that is in the way of the only one.
fn expect_converted(result: Result<Recorded<Conversion>, StoreError>) -> Conversion {
    match result {
        Err(StoreError::AlreadyConverted(first)) => *first,
        other => panic!("the click has a conversion of this event, and so it must be AlreadyConverted, not {other:?}"),
    }
}

fn assert_capped(result: Result<Recorded<Conversion>, StoreError>, expected: u32) {
    assert!(
        matches!(result, Err(StoreError::DailyCapReached { cap }) if cap == expected),
        "the campaign has its {expected} of the day, and so it must be DailyCapReached, not {result:?}"
    );
}

fn order(new: NewConversion, number: usize) -> NewConversion {
    with_transaction(new, &format!("order-{number}"))
}

pub(super) async fn only_one_is_of_its_click_and_event(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let new = |click: &Click, number| only_one(order(new_conversion(click, time(5)), number));
    let first = a_conversion(&store, new(&click, 1)).await;
    let before = summary(&store, click.affiliate_id).await;
    let none = only_one(new_conversion(&click, time(5)));
    for second in [new(&click, 2), none, NewConversion { created_at: time(1), ..new(&click, 3) }] {
        let refused = store.insert_conversion(second).await;
        assert_eq!(expect_converted(refused), first, "the conversion that is in the way must be returned");
    }
    assert_eq!(all_conversions(&store, click.affiliate_id).await, std::slice::from_ref(&first));
    assert_eq!(summary(&store, click.affiliate_id).await, before, "a refused conversion must not be counted");
    assert_eq!(daily_conversions(&store, click.campaign_id, time(5)).await, 1, "a refused conversion must not be counted");
    let again = expect_duplicate(insert_conversion(&store, new(&click, 1)).await);
    assert_eq!(again, first, "a conversion that is recorded is a duplicate whatever is demanded of new ones");

    let other_event = NewConversion { event: parse("lead"), ..new(&click, 2) };
    let other_click = a_click(&store, (click.affiliate_id, click.campaign_id), "abc124", time(0)).await;
    let campaign = a_campaign(&store).await;
    let other_campaign = a_click(&store, (click.affiliate_id, campaign), "abc123", time(0)).await;
    let affiliate = an_affiliate(&store).await;
    let other_affiliate = a_click(&store, (affiliate, click.campaign_id), "abc123", time(0)).await;
    for other in [other_event, new(&other_click, 2), new(&other_campaign, 2), new(&other_affiliate, 2)] {
        a_conversion(&store, other.clone()).await;
        expect_converted(store.insert_conversion(order(other, 9)).await);
    }
    assert_recount(&store, click.affiliate_id).await;
    assert_recount(&store, affiliate).await;
}

pub(super) async fn only_one_is_demanded_of_new_conversions_alone(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let new = |number, millis| order(new_conversion(&click, time(millis)), number);
    a_conversion(&store, only_one(new(1, 20))).await;
    // Of these it is not demanded.
    let earlier = a_conversion(&store, new(2, 10)).await;
    a_conversion(&store, of_status(new(3, 10), ConversionStatus::Rejected)).await;
    let found = expect_converted(store.insert_conversion(only_one(new(4, 30))).await);
    assert_eq!(found, earlier, "of several the earliest must be returned, by time and then by number");

    let other = a_click(&store, (click.affiliate_id, click.campaign_id), "abc124", time(0)).await;
    let rejected = a_conversion(&store, of_status(new_conversion(&other, time(1)), ConversionStatus::Rejected)).await;
    let found = expect_converted(store.insert_conversion(only_one(order(new_conversion(&other, time(2)), 1))).await);
    assert_eq!(found, rejected, "a rejected conversion is one, too");
    assert_recount(&store, click.affiliate_id).await;
}

pub(super) async fn only_one_is_not_of_alternatives(store: Arc<dyn Store>) {
    let first = one_click(&store).await;
    let other = a_campaign(&store).await;
    let later = a_click(&store, (first.affiliate_id, other), "abc123", time(1)).await;
    let recorded = a_conversion(&store, order(new_conversion(&first, time(2)), 1)).await;
    let new = |number| only_one(with_alternatives(order(new_conversion(&later, time(3)), number), &[&first]));
    let again = expect_duplicate(insert_conversion(&store, new(1)).await);
    assert_eq!(again, recorded, "a duplicate of an alternative is a duplicate, whatever is demanded of new conversions");
    let own = a_conversion(&store, new(2)).await;
    assert_eq!(own.campaign_id, other, "another conversion of an alternative is not in the way");
    assert_eq!(expect_converted(store.insert_conversion(new(3)).await), own);
    assert_eq!(expect_duplicate(insert_conversion(&store, new(1)).await), recorded);
    assert_recount(&store, first.affiliate_id).await;
}

pub(super) async fn parallel_conversions_have_only_one(store: Arc<dyn Store>) {
    let one = one_click(&store).await;
    let campaign = a_campaign(&store).await;
    let other = a_click(&store, (one.affiliate_id, campaign), "abc123", time(1)).await;
    // Without alternatives and with; each of them a transaction of its own.
    for event in ["sale", "lead"] {
        let calls = (0..PARALLEL).map(|n| {
            let (click, alternative) = if n % 2 == 0 { (&one, &other) } else { (&other, &one) };
            let new = NewConversion { event: parse(event), ..order(new_conversion(click, time(2)), n) };
            let new = if event == "lead" { with_alternatives(new, &[alternative]) } else { new };
            let store = Arc::clone(&store);
            async move { (new.click.campaign_id, store.insert_conversion(only_one(new)).await) }
        });
        let (mut new, mut in_the_way) = (Vec::new(), Vec::new());
        for (campaign, result) in in_parallel(calls).await {
            match result {
                Ok(recorded) => new.push((campaign, expect_new(recorded))),
                refused => in_the_way.push((campaign, expect_converted(refused))),
            }
        }
        assert_eq!(new.len(), 2, "of parallel conversions of one click and event exactly one must be recorded");
        assert_ne!(new[0].0, new[1].0, "each click has one");
        for refused in in_the_way {
            assert!(new.contains(&refused), "the one that was recorded is in the way, not {refused:?}");
        }
    }
    // All of them the same transaction.
    let calls = (0..PARALLEL).map(|n| {
        let (click, alternative) = if n % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let new = with_alternatives(order(new_conversion(click, time(2)), 1), &[alternative]);
        let store = Arc::clone(&store);
        async move { insert_conversion(&store, only_one(new)).await }
    });
    expect_one_new(in_parallel(calls).await);
    assert_eq!(all_conversions(&store, one.affiliate_id).await.len(), 5);
    assert_recount(&store, one.affiliate_id).await;
}

pub(super) async fn daily_cap_is_of_its_campaign(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let affiliate = an_affiliate(&store).await;
    let of_other = a_click(&store, (affiliate, click.campaign_id), "abc123", time(0)).await;
    let new = |click: &Click, number| capped(order(new_conversion(click, time(5)), number), 3);
    let mut recorded = Vec::new();
    for (click, number) in [(&click, 1), (&of_other, 2), (&click, 3)] {
        recorded.push((new(click, number), a_conversion(&store, new(click, number)).await));
    }
    let before = summary(&store, click.affiliate_id).await;
    for refused in [&click, &of_other] {
        assert_capped(store.insert_conversion(new(refused, 9)).await, 3);
    }
    assert_eq!(summary(&store, click.affiliate_id).await, before, "a refused conversion must not be counted");
    for (new, recorded) in recorded {
        let again = expect_duplicate(insert_conversion(&store, new).await);
        assert_eq!(again, recorded, "a conversion that is recorded is a duplicate, also when the cap is reached");
    }
    let campaign = a_campaign(&store).await;
    let elsewhere = a_click(&store, (click.affiliate_id, campaign), "abc123", time(0)).await;
    a_conversion(&store, new(&elsewhere, 9)).await;
    assert_capped(store.insert_conversion(capped(order(new_conversion(&elsewhere, time(5)), 10), 0)).await, 0);
    assert_eq!(daily_conversions(&store, click.campaign_id, time(5)).await, 3);
    assert_recount(&store, click.affiliate_id).await;
    assert_recount(&store, affiliate).await;
}

pub(super) async fn daily_cap_is_of_a_day_in_utc(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let mut number = 0;
    // A case's times begin at midnight.
    for (day, starts) in [(0, [0, DAY - 1]), (1, [DAY, 2 * DAY - 1]), (-1, [-1, -DAY])] {
        for millis in starts {
            // When it happened is another matter.
            let occurred_at = Some(time(10 * DAY));
            let new = NewConversion { occurred_at, ..order(new_conversion(&click, time(millis)), number) };
            a_conversion(&store, capped(new, 2)).await;
            number += 1;
        }
        for millis in [day * DAY, day * DAY + DAY / 2, (day + 1) * DAY - 1] {
            let new = order(new_conversion(&click, time(millis)), 99);
            assert_capped(store.insert_conversion(capped(new, 2)).await, 2);
        }
    }
    assert_recount(&store, click.affiliate_id).await;
}

pub(super) async fn daily_cap_counts_every_conversion(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let new = |number| order(new_conversion(&click, time(5)), number);
    // Those of which it is not demanded, those of another event, and those that are rejected, then or later.
    a_conversion(&store, new(1)).await;
    a_conversion(&store, NewConversion { event: parse("lead"), ..new(1) }).await;
    a_conversion(&store, of_status(new(2), ConversionStatus::Rejected)).await;
    let later = a_conversion(&store, new(3)).await;
    let rejection = change(ConversionStatus::Approved, ConversionStatus::Rejected, time(6));
    assert!(change_status(&store, later.id, rejection).await.is_some());
    for cap in [1, 3, 4] {
        assert_capped(store.insert_conversion(capped(new(4), cap)).await, cap);
    }
    a_conversion(&store, capped(new(4), 5)).await;
    assert_capped(store.insert_conversion(capped(new(5), 5)).await, 5);
    a_conversion(&store, new(5)).await;
    assert_eq!(daily_conversions(&store, click.campaign_id, time(5)).await, 6, "who demands no cap is not held to one");
    a_conversion(&store, capped(new(6), u32::MAX)).await;
    assert_recount(&store, click.affiliate_id).await;
}

pub(super) async fn only_one_is_asked_before_the_daily_cap(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let new = |number| only_one(capped(order(new_conversion(&click, time(5)), number), 1));
    let first = a_conversion(&store, new(1)).await;
    assert_eq!(expect_converted(store.insert_conversion(new(2)).await), first);
    assert_capped(store.insert_conversion(NewConversion { event: parse("lead"), ..new(2) }).await, 1);
    assert_eq!(expect_duplicate(insert_conversion(&store, new(1)).await), first);
    // What is missing goes before both.
    let missing = Click { click_id: parse("unknown"), ..click.clone() };
    let refused = store.insert_conversion(NewConversion { click: missing, ..new(2) }).await;
    assert!(matches!(refused, Err(StoreError::UnknownClick(_))), "{refused:?}");
}

/// A click of each of a few affiliates, in one campaign.
async fn clicks_of_several(store: &Arc<dyn Store>) -> (CampaignId, Vec<Click>) {
    let campaign = a_campaign(store).await;
    let mut clicks = Vec::new();
    for _ in 0..4 {
        let affiliate = an_affiliate(store).await;
        clicks.push(a_click(store, (affiliate, campaign), "abc123", time(0)).await);
    }
    (campaign, clicks)
}

pub(super) async fn parallel_conversions_keep_the_daily_cap(store: Arc<dyn Store>) {
    const CAP: usize = 10;
    let (campaign, clicks) = clicks_of_several(&store).await;
    let calls = (0..PARALLEL).map(|n| {
        let day = (n / 4 % 2) as i64 * DAY;
        let new = capped(order(new_conversion(&clicks[n % 4], time(day)), n), CAP as u32);
        let store = Arc::clone(&store);
        async move { (day, store.insert_conversion(new).await) }
    });
    let results = in_parallel(calls).await;
    for day in [0, DAY] {
        let (taken, refused): (Vec<_>, Vec<_>) =
            results.iter().filter(|(of, _)| *of == day).partition(|(_, result)| result.is_ok());
        assert_eq!(taken.len(), CAP, "of parallel conversions exactly as many must be taken as the cap allows");
        assert!(
            refused.iter().all(|(_, result)| matches!(result, Err(StoreError::DailyCapReached { .. }))),
            "{refused:?}"
        );
        assert_eq!(daily_conversions(&store, campaign, time(day)).await, CAP as u64);
    }
    let mut listed = 0;
    for click in clicks {
        listed += all_conversions(&store, click.affiliate_id).await.len();
        assert_recount(&store, click.affiliate_id).await;
    }
    assert_eq!(listed, 2 * CAP);
}

pub(super) async fn parallel_duplicates_are_one_of_the_daily_cap(store: Arc<dyn Store>) {
    const CAP: usize = 8;
    let (campaign, clicks) = clicks_of_several(&store).await;
    // Each is sent four times, and half of them have their place in the cap.
    let calls = (0..PARALLEL).map(|n| {
        let number = n % 16;
        let new = capped(order(new_conversion(&clicks[number % 4], time(1)), number), CAP as u32);
        let store = Arc::clone(&store);
        async move { (number, store.insert_conversion(new).await) }
    });
    let results = in_parallel(calls).await;
    let mut taken = Vec::new();
    for (number, result) in &results {
        match result {
            Ok(Recorded::New(_)) => taken.push(*number),
            Ok(Recorded::Duplicate(_)) => {}
            refused => assert!(matches!(refused, Err(StoreError::DailyCapReached { .. })), "{refused:?}"),
        }
    }
    assert_distinct(taken.iter().copied());
    assert_eq!(taken.len(), CAP, "duplicates take no place in the cap");
    for (number, result) in results {
        assert_eq!(result.is_ok(), taken.contains(&number), "what is recorded is a duplicate, and what is not is refused");
    }
    assert_eq!(daily_conversions(&store, campaign, time(1)).await, CAP as u64);
}
