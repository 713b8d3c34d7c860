//! Counters of several slots are gathered in one, and nobody can tell.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor, MySqlPool, Row};
use storage_mysql::{MySqlStore, Options, sqlx};
use test_server::Kind;
use tokio::time::timeout;
use tracking_core::{ConversionStatus, Scope, StatusChange, Store, Summary};

use crate::support::*;

on_both_servers! {
    counters_of_many_slots_become_one
    what_is_counted_meanwhile_is_never_missed
    whoever_holds_a_counter_is_not_waited_for
    what_is_counted_now_is_left_where_it_is
    table_is_gone_through_bit_by_bit
    migration_comes_first
    what_fails_does_not_stop_the_rest
}

/// Rows of six hours and longer times, and counters that have more than one.
async fn rows(pool: &MySqlPool) -> (i64, i64) {
    let count =
        "SELECT CAST(COALESCE(SUM(n), 0) AS SIGNED) AS n, CAST(COALESCE(SUM(n > 1), 0) AS SIGNED) AS scattered FROM
        (SELECT COUNT(*) AS n FROM figures WHERE series % 10 > 2 GROUP BY series, start, owner, part, currency) c";
    let row = pool.fetch_one(count).await.unwrap();
    (row.get("n"), row.get("scattered"))
}

async fn all(store: &MySqlStore) -> Summary {
    store.totals(Scope::ALL, &[time(0), time(400 * 24 * 60 * 60 * 1000)]).await.unwrap().remove(0)
}

async fn counters_of_many_slots_become_one(kind: Kind) {
    let Some(first) = store(kind).await else { return };
    let place = affiliate_and_campaign(&first).await;
    let mut conversions = Vec::new();
    // Processes that are started one after the other, and conversions in transactions of their own.
    for process in 0..3 {
        let store = store_on(first.pool().clone(), Options::default()).await;
        for n in 0..4 {
            let click = a_click(&store, place, &format!("click-{process}-{n}")).await;
            let mut new = new_conversion(&click);
            new.is_only_one = n == 1;
            let done = match n {
                2 => store.insert_conversion_on(&mut first.pool().acquire().await.unwrap(), new).await,
                _ => store.insert_conversion(new).await,
            };
            conversions.push(done.unwrap().into_record());
        }
    }
    let (before, scattered) = rows(first.pool()).await;
    assert!(scattered >= 15 * 2, "{scattered} counters have several rows");
    let counted = all(&first).await;
    assert_eq!((counted.clicks, counted.conversions()), (12, 12));

    first.upkeep().await.unwrap();
    let (after, scattered) = rows(first.pool()).await;
    assert_eq!((after * 3 <= before, scattered), (true, 0), "{before} rows have become {after}");
    assert_eq!(all(&first).await, counted);
    assert_counters(first.pool(), "").await;

    // What changes afterwards is counted beside them, below zero if need be.
    for conversion in &conversions {
        let to = ConversionStatus::ALL.into_iter().find(|to| conversion.status.can_become(*to)).unwrap();
        let (from, changed_at, changed_by) = (conversion.status, time(5), parse("admin"));
        let change = StatusChange { from, to, changed_at, changed_by, reason: None };
        first.change_status(conversion.id, change).await.unwrap().unwrap();
    }
    let counted = all(&first).await;
    first.upkeep().await.unwrap();
    assert_eq!((rows(first.pool()).await.1, all(&first).await), (0, counted));
    assert_counters(first.pool(), "").await;
    first.upkeep().await.unwrap();
    assert_counters(first.pool(), "").await;
}

async fn what_is_counted_meanwhile_is_never_missed(kind: Kind) {
    let Some(first) = store(kind).await else { return };
    let place = affiliate_and_campaign(&first).await;
    let is_over = AtomicBool::new(false);
    let write = async |process: i64| {
        let store = store_on(first.pool().clone(), Options::default()).await;
        for n in 0..60 {
            let click = a_click(&store, place, &format!("click-{process}-{n}")).await;
            let mut new = new_conversion(&click);
            new.is_only_one = n % 3 == 0;
            store.insert_conversion(new).await.unwrap();
        }
    };
    let gather = async || {
        let store = store_on(first.pool().clone(), Options::default()).await;
        while !is_over.load(Ordering::Relaxed) {
            store.upkeep().await.unwrap();
        }
    };
    let read = async || {
        let mut last = 0;
        while !is_over.load(Ordering::Relaxed) {
            let counted = all(&first).await;
            assert!(counted.clicks >= last, "{last} clicks have become {}", counted.clicks);
            assert!(counted.conversions() <= counted.clicks, "a conversion is counted after its click");
            last = counted.clicks;
        }
    };
    let writing = async {
        tokio::join!(write(1), write(2), write(3));
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(writing, gather(), gather(), read());
    first.upkeep().await.unwrap();
    assert_eq!((all(&first).await.clicks, all(&first).await.conversions()), (180, 180));
    assert_eq!(rows(first.pool()).await.1, 0);
    assert_counters(first.pool(), "").await;
}

/// Locks are waited for for two seconds.
async fn whoever_holds_a_counter_is_not_waited_for(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    let other = store_on(store.pool().clone(), Options::default()).await;
    let mut transaction = store.pool().begin().await.unwrap();
    let mut more = Vec::new();
    for n in 0..3 {
        more.push(a_click(&other, place, &format!("click-{n}")).await);
    }
    other.insert_conversion_on(&mut transaction, new_conversion(&click)).await.unwrap();

    timeout(Duration::from_millis(1_900), other.upkeep()).await.unwrap().unwrap();
    assert_eq!(rows(store.pool()).await.1, 0, "the clicks of both are together, and nobody sees the conversion");
    // And they can go on while it is open.
    timeout(Duration::from_millis(1_900), other.insert_conversion(new_conversion(&more[0]))).await.unwrap().unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(rows(store.pool()).await.1, 15);
    other.upkeep().await.unwrap();
    assert_eq!((rows(store.pool()).await.1, all(&store).await.conversions()), (0, 2));
    assert_counters(store.pool(), "").await;
}

/// More rows than a call looks at, and of one time and one owner more than a look.
async fn table_is_gone_through_bit_by_bit(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let columns = "series, start, owner, part, currency, slot, clicks, human_clicks, unique_clicks";
    let numbers = |count: i64| {
        let digits =
            "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL
             SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
        format!(
            "(SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS n FROM {digits} a, {digits} b, {digits} c,
             {digits} e, {digits} f HAVING n < {count}) numbers"
        )
    };
    let fill = |rows: &str| {
        let statement = format!("INSERT INTO figures ({columns}) SELECT {rows}");
        store.pool().execute(AssertSqlSafe(statement))
    };
    fill(&format!("14, 5, 1, n + 1, '', 3, 1, 1, 1 FROM {}", numbers(12_000))).await.unwrap();
    fill(&format!("44, n, 0, 0, '', 3, 1, 1, 1 FROM {}", numbers(50_000))).await.unwrap();
    // Some have a second row, the first and the last ones among them.
    fill("series, start, owner, part, currency, 4, 1, 1, 1 FROM figures WHERE (part + start) % 500 IN (5, 499)")
        .await
        .unwrap();
    let (before, scattered) = rows(store.pool()).await;
    assert_eq!(before, 62_000 + scattered);
    store.upkeep().await.unwrap();
    let left = rows(store.pool()).await.1;
    assert!(0 < left && left < scattered / 3, "{left} of {scattered} are left for the next call");
    store.upkeep().await.unwrap();
    assert_eq!(rows(store.pool()).await, (62_000, 0));
    let sum = "SELECT CAST(SUM(clicks) AS SIGNED) AS n FROM figures";
    assert_eq!(store.pool().fetch_one(sum).await.unwrap().get::<i64, _>("n"), before);
    // And from its beginning again.
    fill("14, 5, 1, 1, '', 7, 1, 1, 1").await.unwrap();
    store.upkeep().await.unwrap();
    assert_eq!(rows(store.pool()).await, (62_000, 0));
}

/// Counters of everything in a year, the same in each of so many slots.
async fn count_in(pool: &MySqlPool, year: &str, slots: i64) {
    for slot in 0..slots {
        let statement = format!(
            "INSERT INTO figures (series, start, owner, part, currency, slot, clicks, human_clicks, unique_clicks)
             VALUES (46, TIMESTAMPDIFF(DAY, '1970-01-01', MAKEDATE({year}, 1)) * 96, 0, 0, '', {slot}, 1, 1, 1)"
        );
        pool.execute(AssertSqlSafe(statement)).await.unwrap();
    }
}

async fn what_is_counted_now_is_left_where_it_is(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    count_in(store.pool(), "YEAR(UTC_TIMESTAMP())", 5).await;
    count_in(store.pool(), "YEAR(UTC_TIMESTAMP()) - 1", 5).await;
    count_in(store.pool(), "YEAR(UTC_TIMESTAMP()) + 1", 30).await;
    store.upkeep().await.unwrap();
    assert_eq!(rows(store.pool()).await, (5 + 1 + 1, 1), "unless there is too much of it");
    let sums =
        store.pool().fetch_all("SELECT CAST(SUM(clicks) AS SIGNED) AS n FROM figures GROUP BY start ORDER BY start");
    let sums: Vec<i64> = sums.await.unwrap().iter().map(|row| row.get("n")).collect();
    assert_eq!(sums, [5, 5, 30]);
}

async fn migration_comes_first(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    count_in(store.pool(), "2024", 3).await;
    let last = "FROM tracking_migrations ORDER BY version DESC, step DESC LIMIT 1";
    let row = store.pool().fetch_one(AssertSqlSafe(format!("SELECT version, step {last}"))).await.unwrap();
    let (version, step): (i32, i32) = (row.get("version"), row.get("step"));
    store.pool().execute(AssertSqlSafe(format!("DELETE {last}"))).await.unwrap();
    store.upkeep().await.unwrap();
    assert_eq!(rows(store.pool()).await, (3, 1), "slot -1 is the migration's until it is over");
    let again = format!("INSERT INTO tracking_migrations (version, step) VALUES ({version}, {step})");
    store.pool().execute(AssertSqlSafe(again)).await.unwrap();
    store.upkeep().await.unwrap();
    assert_eq!(rows(store.pool()).await, (1, 0));
}

async fn what_fails_does_not_stop_the_rest(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    count_in(store.pool(), "2024", 3).await;
    // A code that is no currency's, and a sum that no column can hold.
    let broken = "INSERT INTO figures (series, start, owner, part, currency, slot, clicks) VALUES
        (36, 0, 1, 0, '??', 1, 1), (26, 0, 1, 0, '', 1, 9223372036854775807), (26, 0, 1, 0, '', 2, 9223372036854775807)";
    store.pool().execute(broken).await.unwrap();
    for _ in 0..2 {
        assert!(store.upkeep().await.is_err(), "it is told each time");
    }
    assert_eq!(rows(store.pool()).await, (1 + 1 + 2, 1));
}
