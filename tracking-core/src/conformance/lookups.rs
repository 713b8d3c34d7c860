use std::sync::Arc;

use super::given::*;
use crate::{Click, ClickRecordId, Conversion, ConversionStatus, NewConversion, Store};

pub(super) async fn conversion_is_found_by_its_number(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let other = one_click(&store).await;
    let mut recorded = Vec::new();
    for n in [5, 1, 3, 1] {
        for click in [&click, &other] {
            let new = with_transaction(new_conversion(click, time(n)), &recorded.len().to_string());
            recorded.push(a_conversion(&store, new).await);
        }
    }
    assert_distinct(recorded.iter().map(|conversion| conversion.id));
    for conversion in recorded {
        assert_eq!(ok(store.conversion(conversion.id).await, "conversion"), conversion);
    }
}

pub(super) async fn conversion_is_found_by_its_identity(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let campaign = a_campaign(&store).await;
    let same_id = a_click(&store, (click.affiliate_id, campaign), "abc123", time(0)).await;
    let of_other = a_click(&store, (an_affiliate(&store).await, click.campaign_id), "abc123", time(0)).await;
    let other_click = a_click(&store, (click.affiliate_id, click.campaign_id), "ABC123", time(0)).await;
    let mut identities = Vec::new();
    for click in [&click, &same_id, &of_other, &other_click] {
        for event in ["sale", "SALE"] {
            let new = NewConversion { event: parse(event), ..new_conversion(click, time(1)) };
            identities.extend([with_transaction(new.clone(), "0"), with_transaction(new.clone(), "a"), new]);
        }
    }
    for (index, new) in identities.iter().enumerate() {
        assert_eq!(find_conversion(&store, new).await, None, "nothing of this identity is there yet");
        let recorded = a_conversion(&store, new.clone()).await;
        for (new, is_recorded) in identities.iter().zip((0..).map(|other| other <= index)) {
            assert_eq!(find_conversion(&store, new).await.is_some(), is_recorded, "each identity is found, and no other");
        }
        let other_worth = with_worth(of_status(new.clone(), ConversionStatus::Rejected), "77", "JPY");
        assert_eq!(find_conversion(&store, &other_worth).await, Some(recorded), "what it is worth makes no difference");
    }
}

pub(super) async fn conversion_is_found_as_an_insert_would(store: Arc<dyn Store>) {
    let first = one_click(&store).await;
    let mut clicks = vec![first.clone()];
    for n in 1..4 {
        let campaign = a_campaign(&store).await;
        clicks.push(a_click(&store, (first.affiliate_id, campaign), "abc123", time(n)).await);
    }
    // The earliest is that of the third click; two are of one time.
    let mut recorded = Vec::new();
    for (click, millis) in clicks.iter().zip([30, 20, 10, 20]) {
        recorded.push(a_conversion(&store, with_transaction(new_conversion(click, time(millis)), "order-1")).await);
    }
    let unknown = Click { campaign_id: campaign_id(999_999), ..first };
    for alternatives in [vec![], vec![0], vec![0, 1], vec![3, 1], vec![1, 3, 0], vec![0, 3, 2], vec![0, 1, 2, 3]] {
        for (index, click) in clicks.iter().enumerate() {
            let meant: Vec<usize> = alternatives.iter().copied().chain([index]).collect();
            let expected = meant.iter().map(|index| &recorded[*index]).min_by_key(|row| (row.created_at, row.id));
            let mut alternatives: Vec<&Click> = alternatives.iter().map(|index| &clicks[*index]).collect();
            alternatives.insert(0, &unknown);
            let new = with_transaction(new_conversion(click, time(99)), "order-1");
            let new = with_alternatives(new, &alternatives);
            let found = find_conversion(&store, &new).await;
            assert_eq!(found.as_ref(), expected, "of several the earliest must be found, by time and then by number");
            let inserted = expect_duplicate(insert_conversion(&store, new.clone()).await);
            assert_eq!(found, Some(inserted), "a look must find what an insert would return");
            assert_eq!(find_conversion(&store, &with_transaction(new, "order-2")).await, None);
        }
    }
}

pub(super) async fn first_conversion_is_the_earliest(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    assert_eq!(first_conversion(&store, &click, "sale").await, None, "there is none yet");
    let sale = |number: &str, millis| NewConversion {
        event: parse("sale"),
        ..with_transaction(new_conversion(&click, time(millis)), number)
    };
    let mut earliest: Option<Conversion> = None;
    for (number, millis) in [("e", 30), ("d", 40), ("c", 20), ("b", 20), ("a", 25), ("f", 10)] {
        let recorded = a_conversion(&store, sale(number, millis)).await;
        let is_earlier = earliest.as_ref().is_none_or(|first| {
            (recorded.created_at, recorded.id) < (first.created_at, first.id)
        });
        earliest = if is_earlier { Some(recorded) } else { earliest };
        let found = first_conversion(&store, &click, "sale").await;
        assert_eq!(found, earliest, "the earliest, by time and then by number, whatever its transaction");
    }
    let without = a_conversion(&store, NewConversion { transaction_id: None, ..sale("g", 5) }).await;
    assert_eq!(first_conversion(&store, &click, "sale").await, Some(without));
    assert_eq!(first_conversion(&store, &click, "SALE").await, None, "another event");
    let campaign_id = a_campaign(&store).await;
    let affiliate_id = an_affiliate(&store).await;
    for other in [
        Click { campaign_id, ..click.clone() },
        Click { affiliate_id, ..click.clone() },
        Click { click_id: parse("ABC123"), ..click.clone() },
    ] {
        assert_eq!(first_conversion(&store, &other, "sale").await, None, "another click");
    }
}

pub(super) async fn days_are_counted_by_campaign(store: Arc<dyn Store>) {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let click = one_click(&store).await;
    let affiliate = an_affiliate(&store).await;
    let of_other = a_click(&store, (affiliate, click.campaign_id), "abc124", time(0)).await;
    let campaign = a_campaign(&store).await;
    let elsewhere = a_click(&store, (affiliate, campaign), "abc124", time(0)).await;
    let assert_counts = |expected: [u64; 4], why| {
        let (store, campaign) = (Arc::clone(&store), click.campaign_id);
        async move {
            for (millis, expected) in [-1, 0, DAY - 1, DAY].into_iter().zip(expected) {
                assert_eq!(daily_conversions(&store, campaign, time(millis)).await, expected, "{why}");
            }
        }
    };
    assert_counts([0; 4], "nothing was recorded").await;
    let times = [(&click, 0), (&of_other, 1), (&click, DAY - 1), (&elsewhere, 0), (&of_other, DAY), (&click, -1)];
    for (index, (click, millis)) in times.into_iter().enumerate() {
        let new = with_transaction(new_conversion(click, time(millis)), &index.to_string());
        a_conversion(&store, new.clone()).await;
        expect_duplicate(insert_conversion(&store, NewConversion { created_at: time(DAY), ..new }).await);
    }
    assert_counts([1, 3, 3, 1], "each is counted once, on the day in UTC on which it was recorded").await;
    assert_eq!(daily_conversions(&store, campaign, time(0)).await, 1);
    assert_eq!(daily_conversions(&store, campaign_id(999_999), time(0)).await, 0, "nothing is of an unknown campaign");

    assert_eq!(ok(store.erase_clicks(&click.click_id, &parse("erased-1")).await, "erase_clicks"), 1);
    assert_counts([1, 3, 3, 1], "what was counted stays counted").await;
}

pub(super) async fn nothing_is_found_of_what_is_not_there(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    a_conversion(&store, new_conversion(&click, time(1))).await;
    let unknown = Click {
        id: ClickRecordId::new(999_999_999).expect("a valid id"),
        affiliate_id: affiliate_id(999_999),
        ..click.clone()
    };
    let in_unknown = Click { campaign_id: campaign_id(999_999), ..click };
    for click in [unknown, in_unknown] {
        assert_eq!(find_conversion(&store, &new_conversion(&click, time(1))).await, None);
        assert_eq!(first_conversion(&store, &click, "conversion").await, None);
    }
}
