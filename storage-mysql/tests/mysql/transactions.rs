//! Conversions and clicks in the application's own transaction.

use std::time::Duration;

use sqlx::{Executor, MySqlPool, Row};
use storage_mysql::{MySqlStore, Options, sqlx};
use test_server::Kind;
use tokio::time::timeout;
use tracking_core::{Attribution, Click, ConversionRequest, Outcome, Recorded, Secret, Store, StoreError, Tracker};

use crate::support::*;

on_both_servers! {
    commits_with_the_order
    rolls_back_with_the_order
    commits_at_once_outside_of_a_transaction
    joins_a_transaction_begun_in_plain_sql
    duplicate_leaves_the_transaction_as_it_was
    what_others_have_committed_meanwhile_is_a_duplicate
    refusals_leave_the_transaction_as_it_was
    alternatives_are_looked_at
    transaction_that_the_server_has_ended_is_not_replaced
    failure_leaves_no_transaction_open
    refusal_in_an_open_transaction_holds_up_nobody
    open_transaction_holds_up_nobody_else
    last_connection_of_the_pool_is_enough
    tracker_finds_the_click
}

/// A store in a database that has a table of orders, too.
async fn shop(kind: Kind) -> Option<MySqlStore> {
    let store = store(kind).await?;
    let table = "CREATE TABLE orders (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, total INT NOT NULL) ENGINE = InnoDB";
    store.pool().execute(table).await.unwrap();
    Some(store)
}

async fn orders(pool: &MySqlPool) -> i64 {
    pool.fetch_one("SELECT COUNT(*) AS orders FROM orders").await.unwrap().get("orders")
}

const ORDER: &str = "INSERT INTO orders (total) VALUES (10)";

async fn commits_with_the_order(kind: Kind) {
    let Some(store) = shop(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let mut transaction = store.pool().begin().await.unwrap();
    transaction.execute(ORDER).await.unwrap();
    let click = store.insert_click_on(&mut transaction, new_click(place, "abc123")).await.unwrap().into_record();
    let conversion = store.insert_conversion_on(&mut transaction, new_conversion(&click)).await.unwrap();
    assert!(!conversion.is_duplicate());
    assert_eq!(store.summary(place.0).await.unwrap().clicks, 0, "nobody sees it before it is committed");
    transaction.commit().await.unwrap();

    let summary = recount(&store, place.0).await;
    assert_eq!((summary.clicks, summary.conversions(), orders(store.pool()).await), (1, 1, 1));
    let again = store.insert_conversion(new_conversion(&click)).await.unwrap();
    assert_eq!(again, Recorded::Duplicate(conversion.into_record()));
}

async fn rolls_back_with_the_order(kind: Kind) {
    let Some(store) = shop(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let mut transaction = store.pool().begin().await.unwrap();
    transaction.execute(ORDER).await.unwrap();
    let click = store.insert_click_on(&mut transaction, new_click(place, "abc123")).await.unwrap().into_record();
    store.insert_conversion_on(&mut transaction, new_conversion(&click)).await.unwrap();
    transaction.rollback().await.unwrap();

    let summary = recount(&store, place.0).await;
    assert_eq!((summary.clicks, summary.conversions(), orders(store.pool()).await), (0, 0, 0));
    let click = a_click(&store, place, "abc123").await;
    assert!(!store.insert_conversion(new_conversion(&click)).await.unwrap().is_duplicate(), "as if it had never been");
}

async fn commits_at_once_outside_of_a_transaction(kind: Kind) {
    let Some(store) = shop(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let mut connection = store.pool().acquire().await.unwrap();
    let click = store.insert_click_on(&mut connection, new_click(place, "abc123")).await.unwrap().into_record();
    store.insert_conversion_on(&mut connection, new_conversion(&click)).await.unwrap();
    let summary = recount(&store, place.0).await;
    assert_eq!((summary.clicks, summary.conversions()), (1, 1));
}

async fn joins_a_transaction_begun_in_plain_sql(kind: Kind) {
    let Some(store) = shop(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    for end in ["ROLLBACK", "COMMIT"] {
        let mut connection = store.pool().acquire().await.unwrap();
        connection.execute("START TRANSACTION").await.unwrap();
        connection.execute(ORDER).await.unwrap();
        store.insert_conversion_on(&mut connection, new_conversion(&click)).await.unwrap();
        connection.execute(end).await.unwrap();
        let expected = i64::from(end == "COMMIT");
        assert_eq!(orders(store.pool()).await, expected, "after {end}");
        assert_eq!(recount(&store, place.0).await.conversions() as i64, expected, "after {end}");
    }
}

async fn duplicate_leaves_the_transaction_as_it_was(kind: Kind) {
    let Some(store) = shop(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    let first = store.insert_conversion(new_conversion(&click)).await.unwrap().into_record();
    let mut transaction = store.pool().begin().await.unwrap();
    transaction.execute(ORDER).await.unwrap();
    let again = store.insert_click_on(&mut transaction, new_click(place, "abc123")).await.unwrap();
    assert_eq!(again, Recorded::Duplicate(click.clone()));
    let again = store.insert_conversion_on(&mut transaction, new_conversion(&click)).await.unwrap();
    assert_eq!(again, Recorded::Duplicate(first));
    transaction.commit().await.unwrap();
    assert_eq!(orders(store.pool()).await, 1);
    assert_eq!(recount(&store, place.0).await.conversions(), 1);
}

async fn what_others_have_committed_meanwhile_is_a_duplicate(kind: Kind) {
    let Some(store) = shop(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    let mut transaction = store.pool().begin().await.unwrap();
    // From here on the transaction sees the database as it is now.
    transaction.execute("SELECT COUNT(*) FROM conversions").await.unwrap();
    let first = store.insert_conversion(new_conversion(&click)).await.unwrap().into_record();
    let again = store.insert_conversion_on(&mut transaction, new_conversion(&click)).await.unwrap();
    assert_eq!(again, Recorded::Duplicate(first));
    transaction.commit().await.unwrap();
}

async fn refusals_leave_the_transaction_as_it_was(kind: Kind) {
    let Some(store) = shop(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    let unknown = ("999999".parse().unwrap(), "999999".parse().unwrap());
    let mut transaction = store.pool().begin().await.unwrap();
    transaction.execute(ORDER).await.unwrap();

    let error = store.insert_click_on(&mut transaction, new_click((unknown.0, place.1), "x")).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownAffiliate(id) if id == unknown.0), "got {error:?}");
    let error = store.insert_click_on(&mut transaction, new_click((place.0, unknown.1), "x")).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownCampaign(id) if id == unknown.1), "got {error:?}");
    let mut other = new_conversion(&click);
    other.click.click_id = parse("another");
    let error = store.insert_conversion_on(&mut transaction, other).await.unwrap_err();
    assert!(matches!(&error, StoreError::UnknownClick(id) if id.as_str() == "another"), "got {error:?}");

    assert!(!store.insert_conversion_on(&mut transaction, new_conversion(&click)).await.unwrap().is_duplicate());
    transaction.commit().await.unwrap();
    assert_eq!(orders(store.pool()).await, 1);
    assert_eq!(recount(&store, place.0).await.conversions(), 1);
}

async fn alternatives_are_looked_at(kind: Kind) {
    let Some(store) = shop(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let (_, other) = affiliate_and_campaign(&store).await;
    let (one, two) = (a_click(&store, place, "abc123").await, a_click(&store, (place.0, other), "abc123").await);
    let first = store.insert_conversion(new_conversion(&one)).await.unwrap().into_record();
    let mut new = new_conversion(&two);
    new.alternatives = vec![one.campaign_id];
    let mut transaction = store.pool().begin().await.unwrap();
    assert_eq!(store.insert_conversion_on(&mut transaction, new).await.unwrap(), Recorded::Duplicate(first));
    transaction.commit().await.unwrap();
}

async fn transaction_that_the_server_has_ended_is_not_replaced(kind: Kind) {
    let Some(store) = shop(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    let mut transaction = store.pool().begin().await.unwrap();
    transaction.execute(ORDER).await.unwrap();
    // As after a deadlock: the order is gone, and only the server knows.
    transaction.execute("ROLLBACK").await.unwrap();
    let error = store.insert_conversion_on(&mut transaction, new_conversion(&click)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "got {error:?}");
    transaction.commit().await.unwrap();
    let summary = recount(&store, place.0).await;
    assert_eq!((orders(store.pool()).await, summary.conversions()), (0, 0), "neither without the other");
}

async fn failure_leaves_no_transaction_open(kind: Kind) {
    let Some(store) = shop(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    let mut unknown = new_conversion(&click);
    unknown.click.click_id = parse("another");
    let mut holder = store.pool().begin().await.unwrap();
    holder.execute("SELECT * FROM clicks FOR UPDATE").await.unwrap();
    let mut connection = store.pool().acquire().await.unwrap();
    connection.execute("SET SESSION innodb_lock_wait_timeout = 1").await.unwrap();
    for (failing, expected) in [(unknown, 1), (new_conversion(&click), 2)] {
        store.insert_conversion_on(&mut connection, failing).await.unwrap_err();
        connection.execute(ORDER).await.unwrap();
        assert_eq!(orders(store.pool()).await, expected, "the order is committed at once, as it was before");
    }
    holder.rollback().await.unwrap();
}

async fn refusal_in_an_open_transaction_holds_up_nobody(kind: Kind) {
    let Some(store) = shop(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let (_, other) = affiliate_and_campaign(&store).await;
    let (one, two) = (a_click(&store, place, "abc123").await, a_click(&store, (place.0, other), "abc123").await);
    let mut transaction = store.pool().begin().await.unwrap();
    let mut unknown = new_conversion(&one);
    unknown.click.id = tracking_core::ClickRecordId::new(999_999_999).unwrap();
    store.insert_conversion_on(&mut transaction, unknown).await.unwrap_err();
    let nobody = (parse("999999"), parse("999999"));
    store.insert_click_on(&mut transaction, new_click(nobody, "x")).await.unwrap_err();
    let mut with_alternatives = new_conversion(&two);
    with_alternatives.alternatives = vec![one.campaign_id];
    store.insert_conversion_on(&mut transaction, with_alternatives).await.unwrap();

    // All that would be next to what was not there.
    let quick = Duration::from_millis(1500);
    for id in ["abc122", "abc1234", "zzz"] {
        let click = timeout(quick, store.insert_click(new_click(place, id))).await.unwrap().unwrap().into_record();
        timeout(quick, store.insert_conversion(new_conversion(&click))).await.unwrap().unwrap();
    }
    timeout(quick, affiliate_and_campaign(&store)).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(recount(&store, place.0).await.conversions(), 4);
}

async fn open_transaction_holds_up_nobody_else(kind: Kind) {
    let Some(store) = shop(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    let sale = |click: &Click, order: &str| {
        let mut new = new_conversion(click);
        new.transaction_id = Some(parse(order));
        new
    };
    let mut transaction = store.pool().begin().await.unwrap();
    store.insert_click_on(&mut transaction, new_click(place, "in-the-transaction")).await.unwrap();
    for order in ["held-1", "held-2", "held-3"] {
        store.insert_conversion_on(&mut transaction, sale(&click, order)).await.unwrap();
    }

    // The counters are the same ones, and yet nobody waits.
    let quick = Duration::from_millis(1500);
    let other = timeout(quick, store.insert_click(new_click(place, "other"))).await.unwrap().unwrap().into_record();
    timeout(quick, store.insert_conversion(new_conversion(&other))).await.unwrap().unwrap();

    // Who asks about the very same conversion has to wait, and is sent away in the end. Those beside him are not.
    let held = |call: usize| [3, 7, 11].iter().position(|held| *held == call).map(|held| format!("held-{}", held + 1));
    let calls: Vec<_> = (0..20)
        .map(|call| {
            let store = store.clone();
            let new = match held(call) {
                Some(order) => sale(&click, &order),
                None => sale(&other, &format!("order-{call}")),
            };
            tokio::spawn(async move { store.insert_conversion(new).await })
        })
        .collect();
    for (index, call) in calls.into_iter().enumerate() {
        let result = call.await.unwrap();
        match held(index) {
            Some(_) => assert!(matches!(result, Err(StoreError::Unavailable { .. })), "got {result:?}"),
            None => assert!(!result.unwrap().is_duplicate()),
        }
    }
    transaction.commit().await.unwrap();
    assert!(store.insert_conversion(sale(&click, "held-1")).await.unwrap().is_duplicate());
    assert_eq!(recount(&store, place.0).await.conversions(), 3 + 1 + 17);
}

async fn last_connection_of_the_pool_is_enough(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let pool = sqlx::mysql::MySqlPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    let store = store_on(pool, Options::default()).await;
    let place = affiliate_and_campaign(&store).await;
    let mut transaction = store.pool().begin().await.unwrap();
    let click = store.insert_click_on(&mut transaction, new_click(place, "abc123")).await.unwrap().into_record();
    store.insert_conversion_on(&mut transaction, new_conversion(&click)).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(recount(&store, place.0).await.conversions(), 1);
}

async fn tracker_finds_the_click(kind: Kind) {
    let Some(store) = shop(kind).await else { return };
    let tracker = Tracker::new(store.clone(), Secret::random());
    let mut events = tracker.subscribe();
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    let sale = |amount| ConversionRequest::new(place.0, click.click_id.clone(), parse(amount), parse("USD"));
    for (amount, expected) in [("10", "accepted"), ("10", "duplicate"), ("11", "conflict")] {
        let Attribution::Found(conversion) = tracker.attribute(sale(amount)).await.unwrap() else { panic!("no click") };
        let mut transaction = store.pool().begin().await.unwrap();
        let recorded = store.insert_conversion_on(&mut transaction, conversion.clone()).await;
        transaction.commit().await.unwrap();
        let outcome = Outcome::of_result(&conversion, recorded).unwrap();
        tracker.announce(&outcome);
        assert_eq!(outcome.code(), expected);
    }
    let heard = timeout(Duration::from_secs(5), events.next()).await.unwrap();
    assert!(matches!(heard, Some(tracking_core::Received::Event(tracking_core::Event::ConversionAccepted(_)))));
    let mut unknown = sale("10");
    unknown.click_id = parse("another");
    let Attribution::Refused(outcome) = tracker.attribute(unknown).await.unwrap() else { panic!("a click") };
    assert!(matches!(outcome, Outcome::UnknownClick { .. }));
}
