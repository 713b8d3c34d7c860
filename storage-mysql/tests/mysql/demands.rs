//! Conversions that have to be the only ones, or within a daily cap, and statuses that change once, whoever else is at work.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Executor;
use sqlx::mysql::MySqlPoolOptions;
use storage_mysql::{MySqlStore, Options, sqlx};
use test_server::Kind;
use tokio::sync::Barrier;
use tokio::time::timeout;
use tracking_core::{
    Affiliate, Campaign, ChangedBy, Click, Conversion, ConversionStatus, NewConversion, PostbackAccess, Recorded,
    StatusChange, Store, StoreError,
};

use crate::faults::store_behind_proxy;
use crate::proxy::Fault;
use crate::support::*;

on_both_servers! {
    capped_conversion_is_done_once_when_its_commit_is_lost
    only_one_is_done_once_when_its_commit_is_lost
    two_stores_keep_one_cap
    two_stores_keep_only_one
    demands_cost_neighbours_nothing
    demands_are_kept_after_another_process_has_erased_the_click
    those_that_wait_for_a_cap_hold_up_nobody_else
    cap_that_is_reached_waits_for_nobody
    transactions_that_have_all_connections_get_on
    cap_counts_what_the_transaction_does_not_see
    cap_counts_what_only_the_transaction_sees
    only_one_is_kept_in_a_transaction
    refused_demands_leave_the_transaction_as_it_was
    status_is_changed_once_when_its_commit_is_lost
    status_that_changed_again_meanwhile_is_told_as_it_was_changed
    two_stores_change_a_status_once
    update_is_done_once_when_its_commit_is_lost
}

fn order(click: &Click, number: usize) -> NewConversion {
    NewConversion { transaction_id: Some(parse(&format!("order-{number}"))), ..new_conversion(click) }
}

fn capped(new: NewConversion, cap: u32) -> NewConversion {
    NewConversion { daily_cap: Some(cap), ..new }
}

fn only_one(new: NewConversion) -> NewConversion {
    NewConversion { is_only_one: true, ..new }
}

fn is_cap(result: &Result<Recorded<Conversion>, StoreError>) -> bool {
    matches!(result, Err(StoreError::DailyCapReached { .. }))
}

async fn two_stores(kind: Kind) -> Option<[MySqlStore; 2]> {
    let url = database(kind).await?;
    let one = store_on(pool(&url).await, Options::default()).await;
    Some([one, store_on(pool(&url).await, Options::default()).await])
}

async fn capped_conversion_is_done_once_when_its_commit_is_lost(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    for (number, fault) in [Fault::LoseRequest, Fault::LoseAnswer].into_iter().enumerate() {
        proxy.plan("COMMIT", fault);
        // The last one that there is room for, also when it is there already.
        let new = capped(order(&click, number), number as u32 + 1);
        assert!(!store.insert_conversion(new.clone()).await.unwrap().is_duplicate());
        assert!(store.insert_conversion(new).await.unwrap().is_duplicate(), "a duplicate is within any cap");
    }
    assert_eq!(proxy.faults(), 2);
    assert!(is_cap(&store.insert_conversion(capped(order(&click, 2), 2)).await));
    assert_eq!(recount(&store, place.0).await.conversions(), 2);
}

async fn only_one_is_done_once_when_its_commit_is_lost(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    for (number, fault) in [Fault::LoseRequest, Fault::LoseAnswer].into_iter().enumerate() {
        let click = a_click(&store, place, &format!("click-{number}")).await;
        proxy.plan("COMMIT", fault);
        let first = store.insert_conversion(only_one(order(&click, 1))).await.unwrap();
        assert!(!first.is_duplicate(), "it is not in its own way");
        let error = store.insert_conversion(only_one(order(&click, 2))).await.unwrap_err();
        assert!(matches!(&error, StoreError::AlreadyConverted(found) if **found == *first.record()), "got {error:?}");
    }
    assert_eq!(proxy.faults(), 2);
    assert_eq!(recount(&store, place.0).await.conversions(), 2);
}

async fn two_stores_keep_one_cap(kind: Kind) {
    let Some(stores) = two_stores(kind).await else { return };
    let place = affiliate_and_campaign(&stores[0]).await;
    for round in 0..3 {
        let mut calls = Vec::new();
        for number in 0..24 {
            let store = stores[number % 2].clone();
            let click = a_click(&store, place, &format!("click-{round}-{number}")).await;
            let day = time(round * 24 * 60 * 60 * 1000 + 10);
            let new = NewConversion { created_at: day, ..capped(new_conversion(&click), 7) };
            calls.push(tokio::spawn(async move { store.insert_conversion(new).await }));
        }
        let (mut taken, mut refused) = (0, 0);
        for call in calls {
            match call.await.unwrap() {
                Ok(recorded) => taken += usize::from(!recorded.is_duplicate()),
                Err(StoreError::DailyCapReached { cap: 7 }) => refused += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!((taken, refused), (7, 17), "each day begins anew");
    }
    assert_eq!(recount(&stores[0], place.0).await.conversions(), 21);
}

async fn two_stores_keep_only_one(kind: Kind) {
    let Some(stores) = two_stores(kind).await else { return };
    let place = affiliate_and_campaign(&stores[0]).await;
    for round in 0..5 {
        let click = a_click(&stores[0], place, &format!("click-{round}")).await;
        let calls: Vec<_> = (0..8)
            .map(|number| {
                let (store, new) = (stores[number % 2].clone(), only_one(order(&click, number)));
                tokio::spawn(async move { store.insert_conversion(new).await })
            })
            .collect();
        let (mut firsts, mut in_the_way) = (Vec::new(), Vec::new());
        for call in calls {
            match call.await.unwrap() {
                Ok(recorded) => firsts.push(recorded.into_record()),
                Err(StoreError::AlreadyConverted(found)) => in_the_way.push(*found),
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!((firsts.len(), in_the_way.len()), (1, 7));
        assert!(in_the_way.iter().all(|found| *found == firsts[0]));
    }
    assert_eq!(recount(&stores[0], place.0).await.conversions(), 5);
}

async fn demands_cost_neighbours_nothing(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let (_, other) = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    let elsewhere = a_click(&store, (place.0, other), "abc123").await;
    let calls: Vec<_> = (0..60)
        .map(|number| {
            let new = match number % 6 {
                0 => capped(order(&click, number), 0),
                1 => capped(order(&elsewhere, number), 1000),
                2 => only_one(order(&click, number)),
                // The same one, with a demand and without.
                3 => capped(order(&elsewhere, 5000 + number / 6), 0),
                4 => order(&elsewhere, 5000 + number / 6),
                _ => order(&click, number),
            };
            let store = store.clone();
            tokio::spawn(async move { store.insert_conversion(new).await })
        })
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        let result = call.await.unwrap();
        match number % 6 {
            0 => assert!(is_cap(&result), "got {result:?}"),
            // One of them may be the first.
            2 => assert!(matches!(result, Ok(_) | Err(StoreError::AlreadyConverted(_))), "got {result:?}"),
            3 => assert!(is_cap(&result) || result.unwrap().is_duplicate()),
            _ => assert!(!result.unwrap().is_duplicate()),
        }
    }
    recount(&store, place.0).await;
}

async fn demands_are_kept_after_another_process_has_erased_the_click(kind: Kind) {
    let Some([one, two]) = two_stores(kind).await else { return };
    let place = affiliate_and_campaign(&one).await;
    a_click(&one, place, "abc123").await;
    // Found, and so known to this process.
    let click = one.find_clicks(place.0, None, &parse("abc123")).await.unwrap().remove(0);
    let mut transaction = one.pool().begin().await.unwrap();
    transaction.fetch_all("SELECT * FROM clicks").await.unwrap();
    two.erase_clicks(&click.click_id, &parse("erased-1")).await.unwrap();
    let demanding = [only_one(order(&click, 1)), capped(order(&click, 2), 0)];
    for new in demanding.clone() {
        let error = one.insert_conversion_on(&mut transaction, new).await.unwrap_err();
        assert!(matches!(error, StoreError::UnknownClick(_)), "got {error:?}");
    }
    transaction.commit().await.unwrap();
    for new in demanding {
        let error = one.insert_conversion(new).await.unwrap_err();
        assert!(matches!(error, StoreError::UnknownClick(_)), "got {error:?}");
    }
    assert_eq!(recount(&one, place.0).await.conversions(), 0);
}

async fn those_that_wait_for_a_cap_hold_up_nobody_else(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let (_, other) = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    let elsewhere = a_click(&store, (place.0, other), "abc123").await;
    let mut transaction = store.pool().begin().await.unwrap();
    store.insert_conversion_on(&mut transaction, capped(order(&click, 0), 10)).await.unwrap();
    let late = a_click(&store, place, "late").await;
    let waiting = tokio::spawn({
        let (store, new) = (store.clone(), capped(new_conversion(&late), 10));
        async move { store.insert_conversion(new).await }
    });
    // Less than it waits.
    let quick = Duration::from_millis(1500);
    let mut answered = 0;
    while !waiting.is_finished() {
        for click in [&elsewhere, &a_click(&store, place, &format!("plain-{answered}")).await] {
            let plain = timeout(quick, store.insert_conversion(order(click, 1000 + answered))).await;
            plain.unwrap().unwrap();
        }
        answered += 1;
    }
    assert!(answered > 2, "{answered} were answered meanwhile");
    let result = waiting.await.unwrap();
    assert!(matches!(result, Err(StoreError::Unavailable { .. })), "got {result:?}");
    transaction.commit().await.unwrap();
    recount(&store, place.0).await;
}

async fn cap_that_is_reached_waits_for_nobody(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let (_, other) = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    let elsewhere = a_click(&store, (place.0, other), "abc123").await;
    let first = store.insert_conversion(order(&click, 0)).await.unwrap().into_record();
    // It has the turn of the campaign, and the click.
    let mut transaction = store.pool().begin().await.unwrap();
    store.insert_conversion_on(&mut transaction, only_one(capped(new_conversion(&elsewhere), 10))).await.unwrap();
    let of_another_event = NewConversion { event: parse("signup"), ..new_conversion(&click) };
    store.insert_conversion_on(&mut transaction, only_one(capped(of_another_event, 10))).await.unwrap();

    let quick = Duration::from_millis(1500);
    let again = timeout(quick, store.insert_conversion(capped(order(&click, 0), 1))).await.unwrap().unwrap();
    assert_eq!(again, Recorded::Duplicate(first.clone()));
    let result = timeout(quick, store.insert_conversion(capped(order(&click, 1), 1))).await.unwrap();
    assert!(is_cap(&result), "got {result:?}");
    let both = only_one(capped(order(&click, 1), 1));
    let error = timeout(quick, store.insert_conversion(both)).await.unwrap().unwrap_err();
    assert!(matches!(&error, StoreError::AlreadyConverted(found) if **found == first), "got {error:?}");
    let mut unknown = capped(order(&click, 1), 1);
    unknown.click.click_id = parse("another");
    let error = timeout(quick, store.insert_conversion(unknown)).await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::UnknownClick(_)), "got {error:?}");
    // Where the click may be another, too.
    let of_either = |number| NewConversion { alternatives: vec![place.1], ..capped(order(&elsewhere, number), 0) };
    let again = timeout(quick, store.insert_conversion(of_either(0))).await.unwrap().unwrap();
    assert_eq!(again.record().id, first.id);
    let result = timeout(quick, store.insert_conversion(of_either(1))).await.unwrap();
    assert!(is_cap(&result), "got {result:?}");

    // From another transaction, which holds up nobody after it was refused.
    let mut another = store.pool().begin().await.unwrap();
    let result = timeout(quick, store.insert_conversion_on(&mut another, capped(order(&click, 1), 1))).await.unwrap();
    assert!(is_cap(&result), "got {result:?}");
    let again = timeout(quick, store.insert_conversion_on(&mut another, capped(order(&click, 0), 1))).await.unwrap();
    assert_eq!(again.unwrap(), Recorded::Duplicate(first));
    transaction.rollback().await.unwrap();
    timeout(quick, store.insert_conversion(capped(order(&click, 1), 2))).await.unwrap().unwrap();
    another.commit().await.unwrap();
    assert_eq!(recount(&store, place.0).await.conversions(), 2);
}

async fn transactions_that_have_all_connections_get_on(kind: Kind) {
    const CONNECTIONS: usize = 4;
    let Some(url) = database(kind).await else { return };
    let pool = MySqlPoolOptions::new().max_connections(CONNECTIONS as u32).connect(&url).await.unwrap();
    let store = store_on(pool, Options::default()).await;
    let place = affiliate_and_campaign(&store).await;
    let (_, other) = affiliate_and_campaign(&store).await;
    let barrier = Arc::new(Barrier::new(CONNECTIONS));
    let mut calls = Vec::new();
    for number in 0..CONNECTIONS {
        let click = a_click(&store, place, &format!("click-{number}")).await;
        a_click(&store, (place.0, other), &format!("click-{number}")).await;
        let first = store.insert_conversion(order(&click, 0)).await.unwrap().into_record();
        let (store, barrier) = (store.clone(), Arc::clone(&barrier));
        calls.push(tokio::spawn(async move {
            let mut transaction = store.pool().begin().await.unwrap();
            barrier.wait().await;
            let again = store.insert_conversion_on(&mut transaction, capped(order(&click, 0), 1)).await.unwrap();
            assert_eq!(again, Recorded::Duplicate(first));
            let result = store.insert_conversion_on(&mut transaction, capped(order(&click, 1), 1)).await;
            assert!(is_cap(&result), "got {result:?}");
            let signup = NewConversion { event: parse("signup"), ..new_conversion(&click) };
            let of_either = NewConversion { alternatives: vec![other], ..only_one(signup) };
            store.insert_conversion_on(&mut transaction, of_either).await.unwrap();
            barrier.wait().await;
            // Those of one campaign go one after the other.
            store.insert_conversion_on(&mut transaction, capped(order(&click, 2), 100)).await.unwrap();
            transaction.commit().await.unwrap();
        }));
    }
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(recount(&store, place.0).await.conversions() as usize, 3 * CONNECTIONS);
}

async fn cap_counts_what_the_transaction_does_not_see(kind: Kind) {
    let Some([one, two]) = two_stores(kind).await else { return };
    let place = affiliate_and_campaign(&one).await;
    let click = a_click(&one, place, "abc123").await;
    let mut transaction = one.pool().begin().await.unwrap();
    transaction.fetch_all("SELECT * FROM conversions").await.unwrap();
    two.insert_conversion(order(&click, 1)).await.unwrap();
    two.insert_conversion(capped(order(&click, 2), 2)).await.unwrap();
    let result = one.insert_conversion_on(&mut transaction, capped(order(&click, 3), 2)).await;
    assert!(is_cap(&result), "got {result:?}");
    one.insert_conversion_on(&mut transaction, capped(order(&click, 4), 3)).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(one.daily_conversions(place.1, time(0)).await.unwrap(), 3);
    assert_eq!(recount(&one, place.0).await.conversions(), 3);
}

async fn cap_counts_what_only_the_transaction_sees(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    let mut transaction = store.pool().begin().await.unwrap();
    store.insert_conversion_on(&mut transaction, order(&click, 1)).await.unwrap();
    store.insert_conversion_on(&mut transaction, capped(order(&click, 2), 2)).await.unwrap();
    let result = store.insert_conversion_on(&mut transaction, capped(order(&click, 3), 2)).await;
    assert!(is_cap(&result), "got {result:?}");
    // Whoever comes meanwhile has to wait, and to try again: it is not known yet whether there is room for him.
    let other = a_click(&store, place, "other").await;
    let result = timeout(Duration::from_secs(10), store.insert_conversion(capped(new_conversion(&other), 2))).await;
    assert!(matches!(result, Ok(Err(StoreError::Unavailable { .. }))), "got {result:?}");
    // He who demands nothing does not wait.
    store.insert_conversion(new_conversion(&other)).await.unwrap();
    transaction.rollback().await.unwrap();
    store.insert_conversion(capped(order(&other, 1), 2)).await.unwrap();
    assert!(is_cap(&store.insert_conversion(capped(order(&other, 2), 2)).await));
    assert_eq!(recount(&store, place.0).await.conversions(), 2);
}

async fn only_one_is_kept_in_a_transaction(kind: Kind) {
    let Some([one, two]) = two_stores(kind).await else { return };
    let place = affiliate_and_campaign(&one).await;
    let (click, other) = (a_click(&one, place, "abc123").await, a_click(&one, place, "other").await);
    let mut transaction = one.pool().begin().await.unwrap();
    transaction.fetch_all("SELECT * FROM conversions").await.unwrap();
    // One that it does not see, and one that nobody else sees.
    let first = two.insert_conversion(order(&click, 1)).await.unwrap().into_record();
    let own = one.insert_conversion_on(&mut transaction, order(&other, 1)).await.unwrap().into_record();
    for (click, first) in [(&click, first), (&other, own)] {
        let error = one.insert_conversion_on(&mut transaction, only_one(order(click, 2))).await.unwrap_err();
        assert!(matches!(&error, StoreError::AlreadyConverted(found) if **found == first), "got {error:?}");
        let again = one.insert_conversion_on(&mut transaction, only_one(order(click, 1))).await.unwrap();
        assert_eq!(again, Recorded::Duplicate(first));
    }
    transaction.commit().await.unwrap();
    assert_eq!(recount(&one, place.0).await.conversions(), 2);
}

async fn refused_demands_leave_the_transaction_as_it_was(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    store.pool().execute("CREATE TABLE orders (total INT NOT NULL) ENGINE = InnoDB").await.unwrap();
    let mut transaction = store.pool().begin().await.unwrap();
    transaction.execute("INSERT INTO orders (total) VALUES (10)").await.unwrap();
    let result = store.insert_conversion_on(&mut transaction, capped(new_conversion(&click), 0)).await;
    assert!(is_cap(&result), "got {result:?}");
    transaction.commit().await.unwrap();
    // On a connection without a transaction, too.
    let mut connection = store.pool().acquire().await.unwrap();
    assert!(is_cap(&store.insert_conversion_on(&mut connection, capped(new_conversion(&click), 0)).await));
    store.insert_conversion_on(&mut connection, capped(new_conversion(&click), 1)).await.unwrap();
    let count = "SELECT (SELECT COUNT(*) FROM orders) + (SELECT COUNT(*) FROM conversions) AS number";
    let row = store.pool().fetch_one(count).await.unwrap();
    assert_eq!(sqlx::Row::get::<i64, _>(&row, "number"), 2);
    recount(&store, place.0).await;
}

fn to(from: ConversionStatus, to: ConversionStatus, millis: i64) -> StatusChange {
    StatusChange {
        from, to, changed_at: time(millis), changed_by: ChangedBy::Admin, reason: Some(parse("Ünï 🎈 '\\"))
    }
}

async fn status_is_changed_once_when_its_commit_is_lost(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    let mut faults = 0;
    for fault in [Fault::LoseRequest, Fault::LoseAnswer] {
        for text in ["UPDATE conversions", "INSERT INTO status_changes", "COMMIT"] {
            let conversion = store.insert_conversion(order(&click, faults)).await.unwrap().into_record();
            proxy.plan(text, fault);
            let change = to(ConversionStatus::Approved, ConversionStatus::Rejected, 10);
            let changed = store.change_status(conversion.id, change.clone()).await.unwrap();
            let expected = Conversion { status: ConversionStatus::Rejected, ..conversion.clone() };
            assert_eq!(changed, Some(expected), "{fault:?} of {text}");
            assert_eq!(store.status_changes(conversion.id).await.unwrap(), std::slice::from_ref(&change));
            let later = StatusChange { changed_at: time(11), ..change };
            assert_eq!(store.change_status(conversion.id, later).await.unwrap(), None, "that is another one");
            faults += 1;
            assert_eq!(proxy.faults(), faults);
        }
    }
    assert_eq!(recount(&store, place.0).await.rejected.conversions, 6);
}

async fn status_that_changed_again_meanwhile_is_told_as_it_was_changed(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    let pending = NewConversion { status: ConversionStatus::Pending, ..new_conversion(&click) };
    let conversion = store.insert_conversion(pending).await.unwrap().into_record();
    proxy.plan("COMMIT", Fault::Withhold);
    let changing = tokio::spawn({
        let (store, id) = (store.clone(), conversion.id);
        async move { store.change_status(id, to(ConversionStatus::Pending, ConversionStatus::Approved, 10)).await }
    });
    while store.conversion(conversion.id).await.unwrap().status == ConversionStatus::Pending {
        tokio::task::yield_now().await;
    }
    let change = to(ConversionStatus::Approved, ConversionStatus::Rejected, 11);
    store.change_status(conversion.id, change).await.unwrap().unwrap();
    proxy.release();
    let changed = changing.await.unwrap().unwrap();
    assert_eq!(changed.map(|conversion| conversion.status), Some(ConversionStatus::Approved));
    assert_eq!(store.status_changes(conversion.id).await.unwrap().len(), 2);
    recount(&store, place.0).await;
}

async fn two_stores_change_a_status_once(kind: Kind) {
    let Some(stores) = two_stores(kind).await else { return };
    let place = affiliate_and_campaign(&stores[0]).await;
    let click = a_click(&stores[0], place, "abc123").await;
    for round in 0..5 {
        let new = NewConversion { status: ConversionStatus::Pending, ..order(&click, round) };
        let new = NewConversion { payout: Some("0.5 EUR".parse().map(|rule| payout(rule, &new)).unwrap()), ..new };
        let conversion = stores[1].insert_conversion(new).await.unwrap().into_record();
        let calls: Vec<_> = (0..8)
            .map(|call| {
                let (store, id) = (stores[call % 2].clone(), conversion.id);
                let wanted = [ConversionStatus::Approved, ConversionStatus::Rejected][call / 2 % 2];
                let change = to(ConversionStatus::Pending, wanted, call as i64);
                tokio::spawn(async move { store.change_status(id, change).await.unwrap() })
            })
            .collect();
        let mut changed = Vec::new();
        for call in calls {
            changed.extend(call.await.unwrap());
        }
        assert_eq!(changed, [stores[0].conversion(conversion.id).await.unwrap()], "one has changed it");
        assert_eq!(stores[0].status_changes(conversion.id).await.unwrap().len(), 1);
    }
    let summary = recount(&stores[0], place.0).await;
    assert_eq!(summary.pending, tracking_core::Tally::default());
    assert_eq!(summary.approved.conversions + summary.rejected.conversions, 5);
}

fn payout(rule: tracking_core::PayoutRule, new: &NewConversion) -> tracking_core::Payout {
    rule.of(new.amount, new.currency)
}

async fn update_is_done_once_when_its_commit_is_lost(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    for (round, fault) in [Fault::LoseRequest, Fault::LoseAnswer].into_iter().enumerate() {
        let affiliate = store.affiliate(place.0).await.unwrap();
        let wanted = Affiliate { name: parse(&format!("Bob {round}")), paused_at: Some(time(5)), ..affiliate.clone() };
        proxy.plan("COMMIT", fault);
        let updated = store.update_affiliate(wanted.clone()).await.unwrap();
        assert_eq!(updated, Some(Affiliate { version: affiliate.version + 1, ..wanted.clone() }));
        let other = Affiliate { name: parse("Eve"), ..wanted };
        assert_eq!(store.update_affiliate(other).await.unwrap(), None, "that is another one");

        let campaign = store.campaign(place.1).await.unwrap();
        let access = PostbackAccess::of_keys(Vec::new());
        let wanted = Campaign { name: parse(&format!("Ünï 🎈 '{round}")), access, ..campaign.clone() };
        proxy.plan("COMMIT", fault);
        let updated = store.update_campaign(wanted.clone()).await.unwrap();
        assert_eq!(updated, Some(Campaign { version: campaign.version + 1, ..wanted }));
        assert_eq!(store.campaign(place.1).await.ok(), updated);
    }
    assert_eq!(proxy.faults(), 4);
}
