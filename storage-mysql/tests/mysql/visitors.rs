//! Visitors who are known again, whoever asks, and whatever becomes of the answer.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor, Row};
use storage_mysql::{MySqlStore, Options, sqlx};
use test_server::Kind;
use tokio::time::timeout;
use tracking_core::{Click, NewClick, Recorded, Store, StoreError, Timestamp};

use crate::faults::store_behind_proxy;
use crate::proxy::Fault;
use crate::support::*;

on_both_servers! {
    two_processes_find_one_first
    first_visit_long_ago_is_replaced_once
    visit_that_is_refused_leaves_no_trace
    visit_never_meets_itself
    whole_batch_of_visits_is_done_once_when_its_answer_is_lost
    visitor_is_known_in_the_applications_transaction
    visit_that_is_rolled_back_leaves_no_trace
    visitor_who_came_meanwhile_is_known_in_the_applications_transaction
    visitor_of_the_transaction_itself_is_known_elsewhere_in_it
    open_transaction_holds_up_its_own_visitor_alone
    visitor_who_is_held_up_costs_strangers_nothing
    visitor_who_is_replaced_holds_up_no_strangers
    visitors_are_forgotten_in_steps
    visitor_who_is_about_to_come_again_is_left_alone
}

const HOUR: i64 = 60 * 60 * 1000;

fn insert(store: &MySqlStore, new: NewClick) -> impl Future<Output = Click> + use<> {
    let store = store.clone();
    async move {
        match store.insert_click(new).await.unwrap() {
            Recorded::New(click) => click,
            Recorded::Duplicate(click) => panic!("{click:?} was there already"),
        }
    }
}

fn at(new: NewClick, created_at: Timestamp) -> NewClick {
    NewClick { created_at, ..new }
}

async fn visitors(store: &MySqlStore) -> i64 {
    store.pool().fetch_one("SELECT COUNT(*) AS visitors FROM visitors").await.unwrap().get("visitors")
}

async fn two_processes_find_one_first(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let mut stores = Vec::new();
    for _ in 0..2 {
        stores.push(Arc::new(store_on(pool(&url).await, Options::default()).await));
    }
    let place = affiliate_and_campaign(&stores[0]).await;
    for round in 0..5_u8 {
        // In an order of their own each.
        let calls: Vec<_> = (0..2_usize)
            .flat_map(|process| (0..100_u8).map(move |call| (process, if process == 0 { call } else { 99 - call })))
            .map(|(process, call)| {
                let new = new_visit(place, &format!("click-{round}-{process}-{call}"), round * 20 + call % 20);
                tokio::spawn(insert(&stores[process], new))
            })
            .collect();
        let mut firsts = 0;
        for call in calls {
            firsts += usize::from(!call.await.unwrap().details.is_repeat);
        }
        assert_eq!(firsts, 20, "each of twenty visitors has come once before all others");
    }
    assert_eq!(recount(&stores[0], place.0).await.unique_clicks, 100);
    assert_eq!(visitors(&stores[0]).await, 100);
}

async fn first_visit_long_ago_is_replaced_once(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let mut stores = Vec::new();
    for _ in 0..2 {
        stores.push(store_on(pool(&url).await, Options::default()).await);
    }
    let place = affiliate_and_campaign(&stores[0]).await;
    for visitor in 0..10 {
        insert(&stores[0], new_visit(place, &format!("first-{visitor}"), visitor)).await;
    }
    for day in 1..4 {
        let calls: Vec<_> = (0..200_usize)
            .map(|call| {
                let new = new_visit(place, &format!("click-{day}-{call}"), (call / 2 % 10) as u8);
                tokio::spawn(insert(&stores[call % 2], at(new, time(day * 25 * HOUR))))
            })
            .collect();
        let mut firsts = 0;
        for call in calls {
            firsts += usize::from(!call.await.unwrap().details.is_repeat);
        }
        assert_eq!(firsts, 10, "on day {day}");
    }
    // Both in one batch.
    let calls: Vec<_> = (0..20)
        .map(|call| {
            let new = new_visit(place, &format!("click-{call}"), 50);
            tokio::spawn(insert(&stores[0], at(new, time(call % 2 * 25 * HOUR))))
        })
        .collect();
    let mut firsts = 0;
    for call in calls {
        firsts += u64::from(!call.await.unwrap().details.is_repeat);
    }
    // Two, unless the later one was first.
    assert!((1..=2).contains(&firsts), "{firsts} of them are first ones");
    assert_eq!(recount(&stores[0], place.0).await.unique_clicks, 40 + firsts);
    assert_eq!(visitors(&stores[0]).await, 11, "one row for each");
}

async fn visit_that_is_refused_leaves_no_trace(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let nobody = (parse("999"), place.1);
    a_click(&store, place, "there").await;
    let calls: Vec<_> = (0..100)
        .map(|call| {
            let store = store.clone();
            // Each visitor comes by a link that is wrong, by one that is his click of before, and by one that is right.
            let (place, id) = match call % 4 {
                0 | 3 => (nobody, format!("click-{call}")),
                1 => (place, "there".to_owned()),
                _ => (place, format!("click-{call}")),
            };
            tokio::spawn(async move { store.insert_click(new_visit(place, &id, call / 4)).await })
        })
        .collect();
    for (call, result) in calls.into_iter().enumerate() {
        match (call % 4, result.await.unwrap()) {
            (0 | 3, result) => assert!(matches!(result, Err(StoreError::UnknownAffiliate(_))), "got {result:?}"),
            (1, result) => assert!(result.unwrap().is_duplicate()),
            (_, result) => assert!(!result.unwrap().record().details.is_repeat, "nothing was recorded of him before"),
        }
    }
    assert_eq!(visitors(&store).await, 25);
    assert_eq!(recount(&store, place.0).await.unique_clicks, 26);
}

async fn visit_never_meets_itself(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let mut visitor = 0;
    for _ in 0..4 {
        for fault in [Fault::LoseRequest, Fault::LoseAnswer] {
            visitor += 1;
            proxy.plan("COMMIT", fault);
            let first = insert(&store, new_visit(place, &format!("first-{visitor}"), visitor)).await;
            assert!(!first.details.is_repeat, "it is no repeat of its own first attempt");
            proxy.plan("FROM visitors", fault);
            proxy.plan("COMMIT", fault);
            let second = insert(&store, new_visit(place, &format!("second-{visitor}"), visitor)).await;
            assert!(second.details.is_repeat);
        }
    }
    assert_eq!(proxy.faults(), 24);
    let summary = recount(&store, place.0).await;
    assert_eq!((summary.clicks, summary.unique_clicks), (16, 8));
}

async fn whole_batch_of_visits_is_done_once_when_its_answer_is_lost(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    for round in 0..4_u8 {
        proxy.plan("COMMIT", Fault::LoseAnswer);
        proxy.plan("COMMIT", Fault::LoseRequest);
        proxy.plan("COMMIT", Fault::LoseAnswer);
        let calls: Vec<_> = (0..100_u8)
            .map(|call| {
                let new = new_visit(place, &format!("click-{round}-{call}"), round * 25 + call % 25);
                tokio::spawn(insert(&store, new))
            })
            .collect();
        let mut firsts = 0;
        for call in calls {
            firsts += usize::from(!call.await.unwrap().details.is_repeat);
        }
        assert_eq!(firsts, 25);
    }
    assert_eq!(proxy.faults(), 12);
    assert_eq!(recount(&store, place.0).await.unique_clicks, 100);
}

async fn visitor_is_known_in_the_applications_transaction(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    insert(&store, new_visit(place, "before", 1)).await;
    let mut transaction = store.pool().begin().await.unwrap();
    for (id, visitor, is_repeat) in [("a", 1, true), ("b", 2, false), ("c", 2, true), ("d", 3, false)] {
        let click = store.insert_click_on(&mut transaction, new_visit(place, id, visitor)).await.unwrap();
        assert_eq!(click.record().details.is_repeat, is_repeat, "click {id}");
    }
    let again = store.insert_click_on(&mut transaction, new_visit(place, "before", 9)).await.unwrap();
    assert!(again.is_duplicate());
    transaction.commit().await.unwrap();
    assert!(insert(&store, new_visit(place, "after", 2)).await.details.is_repeat);
    assert!(!insert(&store, new_visit(place, "another", 9)).await.details.is_repeat, "a duplicate is no visit");

    // On a connection that is in no transaction.
    let mut connection = store.pool().acquire().await.unwrap();
    for (id, is_repeat) in [("e", false), ("f", true)] {
        let click = store.insert_click_on(&mut connection, new_visit(place, id, 4)).await.unwrap().into_record();
        assert_eq!(click.details.is_repeat, is_repeat);
    }
    assert_eq!(recount(&store, place.0).await.unique_clicks, 5);
}

async fn visit_that_is_rolled_back_leaves_no_trace(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let mut transaction = store.pool().begin().await.unwrap();
    store.insert_click_on(&mut transaction, new_visit(place, "abc123", 1)).await.unwrap();
    transaction.rollback().await.unwrap();
    assert!(!insert(&store, new_visit(place, "abc123", 1)).await.details.is_repeat);
    assert_eq!(recount(&store, place.0).await.unique_clicks, 1);
}

async fn visitor_who_came_meanwhile_is_known_in_the_applications_transaction(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let mut transaction = store.pool().begin().await.unwrap();
    // From here on the transaction sees the database as it is now.
    transaction.execute("SELECT COUNT(*) FROM clicks").await.unwrap();
    insert(&store, new_visit(place, "elsewhere", 1)).await;
    let click = store.insert_click_on(&mut transaction, new_visit(place, "abc123", 1)).await.unwrap();
    assert!(!click.is_duplicate(), "what its first attempt left was taken back");
    assert!(click.record().details.is_repeat);
    transaction.commit().await.unwrap();
    let found = store.find_clicks(place.0, None, &parse("abc123")).await.unwrap();
    assert_eq!(found, [click.into_record()]);
    let summary = recount(&store, place.0).await;
    assert_eq!((summary.clicks, summary.unique_clicks), (2, 1));
}

async fn visitor_of_the_transaction_itself_is_known_elsewhere_in_it(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let mut transaction = store.pool().begin().await.unwrap();
    let first = store.insert_click_on(&mut transaction, new_visit(place, "first", 1)).await.unwrap();
    assert!(!first.record().details.is_repeat);
    // The transaction does not see this affiliate, and nobody else sees its visitor.
    let other = affiliate_and_campaign(&store).await;
    for (id, visitor, is_repeat) in [("a", 1, true), ("b", 2, false), ("c", 2, true)] {
        let click = store.insert_click_on(&mut transaction, new_visit(other, id, visitor)).await.unwrap();
        assert!(!click.is_duplicate());
        assert_eq!(click.record().details.is_repeat, is_repeat, "click {id}");
    }
    transaction.commit().await.unwrap();
    assert_eq!(recount(&store, place.0).await.unique_clicks, 1);
    assert_eq!(recount(&store, other.0).await.unique_clicks, 1);
}

async fn open_transaction_holds_up_its_own_visitor_alone(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let mut transaction = store.pool().begin().await.unwrap();
    store.insert_click_on(&mut transaction, new_visit(place, "held", 10)).await.unwrap();

    // Who is not he, on either side of him, does not wait.
    let quick = Duration::from_millis(1500);
    for visitor in [9, 11, 1, 100] {
        timeout(quick, insert(&store, new_visit(place, &format!("click-{visitor}"), visitor))).await.unwrap();
    }
    let calls: Vec<_> = (5..15)
        .map(|visitor| {
            let store = store.clone();
            let new = new_visit(place, &format!("batch-{visitor}"), visitor);
            tokio::spawn(async move { store.insert_click(new).await })
        })
        .collect();
    for (visitor, call) in (5..15).zip(calls) {
        match (visitor, call.await.unwrap()) {
            (10, result) => assert!(matches!(result, Err(StoreError::Unavailable { .. })), "got {result:?}"),
            (_, result) => assert_eq!(result.unwrap().record().details.is_repeat, [9, 11].contains(&visitor)),
        }
    }
    timeout(quick, store.forget_visitors(time(0))).await.unwrap().unwrap();
    timeout(quick, store.forget_visitors(time(1000))).await.unwrap().unwrap();
    assert_eq!(visitors(&store).await, 0);
    transaction.commit().await.unwrap();
    assert!(insert(&store, new_visit(place, "after", 10)).await.details.is_repeat);
    recount(&store, place.0).await;
}

async fn visitor_who_is_held_up_costs_strangers_nothing(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let mut transaction = store.pool().begin().await.unwrap();
    store.insert_click_on(&mut transaction, new_visit(place, "held", 10)).await.unwrap();
    let calls: Vec<_> = (0..40)
        .map(|call| {
            let store = store.clone();
            let new = new_visit(place, &format!("click-{call}"), if call < 30 { 10 } else { call });
            tokio::spawn(async move { store.insert_click(new).await })
        })
        .collect();
    for (call, result) in calls.into_iter().enumerate() {
        match (call < 30, result.await.unwrap()) {
            (true, result) => assert!(matches!(result, Err(StoreError::Unavailable { .. })), "got {result:?}"),
            (false, result) => assert!(!result.unwrap().record().details.is_repeat),
        }
    }
    transaction.commit().await.unwrap();
    assert_eq!(recount(&store, place.0).await.clicks, 11);
}

async fn visitor_who_is_replaced_holds_up_no_strangers(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    for visitor in [1, 5, 9] {
        insert(&store, new_visit(place, &format!("first-{visitor}"), visitor)).await;
    }
    let mut transaction = store.pool().begin().await.unwrap();
    let late = at(new_visit(place, "late", 5), time(25 * HOUR));
    assert!(!store.insert_click_on(&mut transaction, late).await.unwrap().record().details.is_repeat);
    let quick = Duration::from_millis(1500);
    for (index, millis) in [0, 1, 2, 10, HOUR, 25 * HOUR - 1, 25 * HOUR, 25 * HOUR + 1].into_iter().enumerate() {
        for visitor in [2, 20, 40, 60].map(|visitor| visitor + index as u8) {
            let new = at(new_visit(place, &format!("click-{visitor}"), visitor), time(millis));
            timeout(quick, insert(&store, new)).await.unwrap();
        }
    }
    transaction.commit().await.unwrap();
    recount(&store, place.0).await;
}

async fn visitor_who_is_about_to_come_again_is_left_alone(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    for visitor in 0..30 {
        insert(&store, new_visit(place, &format!("click-{visitor}"), visitor)).await;
    }
    let mut transaction = store.pool().begin().await.unwrap();
    transaction.execute("SELECT * FROM visitors WHERE visitor = REPEAT(CHAR(3), 16) FOR UPDATE").await.unwrap();
    let quick = Duration::from_millis(1500);
    timeout(quick, store.forget_visitors(time(1000))).await.unwrap().unwrap();
    assert_eq!(visitors(&store).await, 1, "nobody waits for the application's transaction");
    transaction.rollback().await.unwrap();
    store.forget_visitors(time(1000)).await.unwrap();
    assert_eq!(visitors(&store).await, 0);
}

async fn visitors_are_forgotten_in_steps(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let rows: Vec<String> = (0..5_000)
        .map(|row| format!("(UNHEX('{row:032x}'), '2024-01-01 00:00:00.000' + INTERVAL {row} SECOND)"))
        .collect();
    let statement = format!("INSERT INTO visitors (visitor, first_click) VALUES {}", rows.join(", "));
    store.pool().execute(AssertSqlSafe(statement)).await.unwrap();
    store.forget_visitors(time(4_500 * 1000)).await.unwrap();
    assert_eq!(visitors(&store).await, 500);
    store.forget_visitors(time(4_500 * 1000)).await.unwrap();
    assert_eq!(visitors(&store).await, 500);
}
