use std::sync::Arc;

use super::given::*;
use crate::{Click, ClickRecordId, ConversionStatus, Currency, NewConversion, Store, StoreError, Timestamp};

pub(super) async fn conversion_comes_back_as_it_went_in(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let new = NewConversion {
        event: parse("trial_started"),
        payout: Some(payout("9.995", "USD")),
        status: ConversionStatus::Pending,
        occurred_at: Some(time(-5)),
        sub_ids: full_details().sub_ids,
        ..with_transaction(with_worth(new_conversion(&click, time(123)), "99.95", "EUR"), "order-1")
    };
    let one_each = [
        with_payout(new_conversion(&click, time(456)), "0", "JPY"),
        NewConversion { occurred_at: Some(Timestamp::MIN), ..new_conversion(&click, time(456)) },
        NewConversion { sub_ids: full_details().sub_ids, ..new_conversion(&click, time(456)) },
        of_status(new_conversion(&click, time(456)), ConversionStatus::Pending),
        of_status(new_conversion(&click, time(456)), ConversionStatus::Rejected),
    ];
    let one_each = one_each.into_iter().zip(2..).map(|(new, n)| with_transaction(new, &format!("order-{n}")));
    for new in [new, new_conversion(&click, time(456))].into_iter().chain(one_each) {
        let conversion = a_conversion(&store, new.clone()).await;
        assert_eq!(
            conversion,
            new.into_conversion(conversion.id),
            "insert_conversion must return what it was given, with the click's affiliate, campaign and click id"
        );
        let all = all_conversions(&store, click.affiliate_id).await;
        assert!(all.contains(&conversion), "conversions must list {conversion:?}, and lists {all:?}");
    }
}

pub(super) async fn repeated_conversion_returns_the_first(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let without = new_conversion(&click, time(1));
    for new in [without.clone(), with_transaction(without, "order-1")] {
        let first = a_conversion(&store, new.clone()).await;
        let repeated = [
            new.clone(),
            NewConversion { created_at: time(50_000), ..new.clone() },
            with_worth(new.clone(), "11", "USD"),
            with_worth(new.clone(), "10", "EUR"),
            with_worth(new.clone(), "0.000001", "JPY"),
            with_payout(of_status(new, ConversionStatus::Rejected), "5", "EUR"),
        ];
        for repeated in repeated {
            let again = expect_duplicate(insert_conversion(&store, repeated).await);
            assert_eq!(again, first, "a repeated conversion must return the first one's record, unchanged");
        }
    }
    assert_eq!(summary(&store, click.affiliate_id).await.conversions(), 2);
    assert_recount(&store, click.affiliate_id).await;
}

pub(super) async fn conversion_is_identified_by_click_event_and_transaction(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let of_campaign = (click.affiliate_id, click.campaign_id);
    let other_click = a_click(&store, of_campaign, "abc124", time(0)).await;
    let other_campaign = a_campaign(&store).await;
    let same_id = a_click(&store, (click.affiliate_id, other_campaign), "abc123", time(0)).await;
    let other_affiliate = an_affiliate(&store).await;
    let of_other = a_click(&store, (other_affiliate, click.campaign_id), "abc123", time(0)).await;

    let mut ids = Vec::new();
    for click in [&click, &other_click, &same_id, &of_other] {
        for event in ["conversion", "sale"] {
            let new = NewConversion { event: parse(event), ..new_conversion(click, time(1)) };
            for new in [new.clone(), with_transaction(new.clone(), "order-1"), with_transaction(new, "order-2")] {
                let first = a_conversion(&store, new.clone()).await;
                let again = expect_duplicate(insert_conversion(&store, new).await);
                assert_eq!(again, first, "a duplicate must get the record of its own identity");
                ids.push(first.id);
            }
        }
    }
    assert_distinct(ids);
    assert_eq!(summary(&store, click.affiliate_id).await.conversions(), 18);
    assert_eq!(summary(&store, other_affiliate).await.conversions(), 6);
}

pub(super) async fn conversion_of_an_alternative_is_a_duplicate(store: Arc<dyn Store>) {
    let first = one_click(&store).await;
    let other = a_campaign(&store).await;
    let later = a_click(&store, (first.affiliate_id, other), "abc123", time(1)).await;
    let sale = |click: &Click| with_transaction(new_conversion(click, time(2)), "order-1");
    let conversion = a_conversion(&store, sale(&first)).await;

    let again = expect_duplicate(insert_conversion(&store, with_alternatives(sale(&later), &[&first])).await);
    assert_eq!(again, conversion, "a conversion of an alternative with the same event and transaction must be returned");

    let other_event = NewConversion { event: parse("lead"), ..sale(&later) };
    for different in [new_conversion(&later, time(2)), with_transaction(sale(&later), "order-2"), other_event] {
        let recorded = a_conversion(&store, with_alternatives(different, &[&first])).await;
        assert_eq!(recorded.campaign_id, other, "what no alternative has is a conversion of the click itself");
    }
    let own = a_conversion(&store, NewConversion { created_at: time(3), ..sale(&later) }).await;
    assert_eq!(own.campaign_id, other, "without alternatives the click alone counts");
    let again = expect_duplicate(insert_conversion(&store, with_alternatives(sale(&later), &[&first])).await);
    assert_eq!(again, conversion, "of several the earliest must be returned");
    assert_recount(&store, first.affiliate_id).await;
}

pub(super) async fn alternative_that_is_not_there_makes_no_difference(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let new = new_conversion(&click, time(1));
    let alternatives = vec![campaign_id(999_999), a_campaign(&store).await, click.campaign_id];
    let new = NewConversion { alternatives, ..new };
    let first = a_conversion(&store, new.clone()).await;
    assert_eq!(expect_duplicate(insert_conversion(&store, new).await), first);
}

pub(super) async fn parallel_conversions_of_alternatives_are_one(store: Arc<dyn Store>) {
    let one = one_click(&store).await;
    let campaign = a_campaign(&store).await;
    let other = a_click(&store, (one.affiliate_id, campaign), "abc123", time(1)).await;
    let calls = (0..PARALLEL).map(|n| {
        let (click, alternative) = if n % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let new = with_alternatives(new_conversion(click, time(2)), &[alternative]);
        let store = Arc::clone(&store);
        async move { insert_conversion(&store, new).await }
    });
    let first = expect_one_new(in_parallel(calls).await);
    assert_eq!(all_conversions(&store, one.affiliate_id).await, [first]);
    assert_recount(&store, one.affiliate_id).await;
}

pub(super) async fn conversion_texts_compare_byte_by_byte(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let new = new_conversion(&click, time(1));
    // The last three would be the absent transaction id in a store that writes it as one of them.
    for transaction_id in ["abc", "ABC", "abc0", "0", "00", "a_c", "a%c", "'", "-", "NULL", "null"] {
        a_conversion(&store, with_transaction(new.clone(), transaction_id)).await;
    }
    for event in ["sale", "SALE", "Sale", "sale.", "sale-", "sale_"] {
        a_conversion(&store, NewConversion { event: parse(event), ..new.clone() }).await;
    }
    a_conversion(&store, new).await;
    assert_eq!(summary(&store, click.affiliate_id).await.conversions(), 18);
}

pub(super) async fn every_conversion_text_can_be_kept(store: Arc<dyn Store>) {
    let place = an_affiliate_and_a_campaign(&store).await;
    // The longest of all of them at once, which is what the identity's index has to hold.
    let click = a_click(&store, place, &"c".repeat(100), time(0)).await;
    let longest = NewConversion { event: parse(&"e".repeat(64)), ..new_conversion(&click, time(1)) };
    let visible: String = ('!'..='~').collect();
    let texts = ["t".repeat(100), format!("{}u", "t".repeat(99)), format!("{visible:~<100}"), visible];
    for transaction_id in &texts {
        let conversion = a_conversion(&store, with_transaction(longest.clone(), transaction_id)).await;
        let found = all_conversions(&store, place.0).await;
        assert!(found.contains(&conversion), "every transaction id of up to 100 visible ASCII characters must be kept");
        assert_eq!(conversion.transaction_id.as_ref().map(|id| id.as_str()), Some(transaction_id.as_str()));
        assert_eq!(conversion.event, longest.event);
    }
}

pub(super) async fn amounts_are_exact(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let amounts =
        ["0", "0.000001", "0.1", "0.3", "1", "100", "99.95", "123456789012.123456", "999999999999.999999", "999999999999"];
    for amount in amounts {
        let new = with_worth(with_transaction(new_conversion(&click, time(1)), amount), amount, "USD");
        let conversion = a_conversion(&store, new.clone()).await;
        assert_eq!(conversion.amount.to_string(), amount, "insert_conversion must return the amount as it was given");
        let again = expect_duplicate(insert_conversion(&store, new).await);
        assert_eq!(again.amount.to_string(), amount, "an amount must come back to the last digit");
    }
    for conversion in all_conversions(&store, click.affiliate_id).await {
        let transaction_id = conversion.transaction_id.expect("each has one");
        assert_eq!(conversion.amount.to_string(), transaction_id.as_str(), "an amount must come back to the last digit");
    }
}

pub(super) async fn payouts_are_exact(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let payouts = ["0", "0.000000000001", "0.1", "1", "12.345678901234", "999999999999.999999999999", "999999999999"];
    for amount in payouts {
        // Of another currency than the conversion's.
        let new = with_payout(with_transaction(new_conversion(&click, time(1)), amount), amount, "EUR");
        let conversion = a_conversion(&store, new.clone()).await;
        assert_eq!(conversion.payout, new.payout, "insert_conversion must return the payout as it was given");
        let again = expect_duplicate(insert_conversion(&store, new).await);
        assert_eq!(again, conversion, "a payout must come back to the last digit");
    }
    for conversion in all_conversions(&store, click.affiliate_id).await {
        let transaction_id = conversion.transaction_id.expect("each has one");
        let printed = conversion.payout.map(|payout| payout.to_string());
        assert_eq!(printed, Some(format!("{transaction_id} EUR")), "a payout must come back to the last digit");
    }
    assert_recount(&store, click.affiliate_id).await;
}

pub(super) async fn currencies_are_kept(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    for code in ["USD", "EUR", "JPY", "KWD", "CLF"] {
        let new = with_worth(with_transaction(new_conversion(&click, time(1)), code), "1.5", code);
        a_conversion(&store, new).await;
    }
    for conversion in all_conversions(&store, click.affiliate_id).await {
        let transaction_id = conversion.transaction_id.expect("each has one");
        assert_eq!(conversion.currency, parse::<Currency>(transaction_id.as_str()));
    }
}

pub(super) async fn conversion_times_are_exact(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    for (index, created_at) in awkward_times().into_iter().enumerate() {
        let new = with_transaction(new_conversion(&click, created_at), &index.to_string());
        // One of the others.
        let occurred_at = awkward_times().into_iter().rev().nth(index);
        let new = NewConversion { occurred_at, ..new };
        a_conversion(&store, new.clone()).await;
        let again = expect_duplicate(insert_conversion(&store, new).await);
        assert_eq!(again.created_at, created_at, "times must be exact to the millisecond");
        assert_eq!(again.occurred_at, occurred_at, "times must be exact to the millisecond");
    }
}

pub(super) async fn parallel_identical_conversions_are_one(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let without = new_conversion(&click, time(1));
    for new in [without.clone(), with_transaction(without, "order-1")] {
        let calls = (0..PARALLEL).map(|_| {
            let (store, new) = (Arc::clone(&store), new.clone());
            async move { insert_conversion(&store, new).await }
        });
        expect_one_new(in_parallel(calls).await);
    }
    assert_eq!(summary(&store, click.affiliate_id).await.conversions(), 2, "a repeated conversion must be counted once");
    assert_recount(&store, click.affiliate_id).await;
}

pub(super) async fn parallel_conflicting_conversions_are_one(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let calls = (1..=PARALLEL).map(|amount| {
        let currency = if amount % 2 == 0 { "USD" } else { "EUR" };
        let new = with_worth(new_conversion(&click, time(amount as i64)), &amount.to_string(), currency);
        let store = Arc::clone(&store);
        async move { insert_conversion(&store, new).await }
    });
    let first = expect_one_new(in_parallel(calls).await);
    assert_eq!(all_conversions(&store, click.affiliate_id).await, [first]);
    assert_recount(&store, click.affiliate_id).await;
}

pub(super) async fn conversion_without_its_click_is_refused(store: Arc<dyn Store>) {
    let click = one_click(&store).await;
    let other = a_click(&store, (click.affiliate_id, click.campaign_id), "other", time(0)).await;
    let (affiliate_id, campaign_id) = an_affiliate_and_a_campaign(&store).await;
    let id = ClickRecordId::new(999_999_999).expect("a valid id");
    let click_id = parse("abc124");
    let cases = [
        ("a record number that is not there", Click { id, ..click.clone() }),
        ("a click id that is not there", Click { click_id, ..click.clone() }),
        ("the record number of another click", Click { id: other.id, ..click.clone() }),
        ("another affiliate", Click { affiliate_id, ..click.clone() }),
        ("another campaign", Click { campaign_id, ..click.clone() }),
    ];
    for (what, missing) in cases {
        let error = store.insert_conversion(new_conversion(&missing, time(1))).await.err();
        assert!(
            matches!(&error, Some(StoreError::UnknownClick(id)) if *id == missing.click_id),
            "a conversion whose click has {what} must fail with UnknownClick, not {error:?}"
        );
    }
    for affiliate in [click.affiliate_id, affiliate_id] {
        assert_eq!(all_conversions(&store, affiliate).await, [], "a refused conversion must not be recorded");
        assert_recount(&store, affiliate).await;
    }
}
