//! What is removed while others work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor, Row};
use storage_mysql::{MySqlStore, Options, sqlx};
use test_server::Kind;
use tokio::time::timeout;
use tracking_core::{
    AffiliateId, Click, ClickDetails, Cursor, Limit, NewClick, Outcome, PageRequest, PurgeRequest, Store, StoreError,
    SubIds, Timestamp, UserAgent,
};

use crate::faults::store_behind_proxy;
use crate::proxy::Fault;
use crate::support::*;

on_both_servers! {
    purge_takes_many_rows_in_steps
    steps_and_pages_read_no_more_than_they_need
    purge_forgets_what_looks_empty
    purge_passes_over_what_is_about_to_be_converted
    purge_disturbs_nobody
    purges_of_two_processes_share_the_work
    purge_is_done_once_when_an_answer_is_lost
    purged_click_is_unknown_where_it_was_found_before
    erased_click_is_unknown_where_it_was_found_before
    click_that_another_process_has_erased_keeps_its_conversion
    erasure_is_done_once_when_an_answer_is_lost
}

async fn step(
    store: &MySqlStore,
    affiliate: AffiliateId,
    before: Timestamp,
    limit: u64,
    after: Option<Cursor>,
) -> (u64, Option<Cursor>) {
    let request = PurgeRequest { before, limit: Limit::new(limit).unwrap(), after };
    let purged = store.purge_clicks(affiliate, request).await.unwrap();
    (purged.deleted, purged.next)
}

/// How many were deleted, and in how many steps.
async fn purge(store: &MySqlStore, affiliate: AffiliateId, before: Timestamp, limit: u64) -> (u64, usize) {
    let (mut deleted, mut steps, mut after) = (0, 0, None);
    loop {
        let (of_step, next) = step(store, affiliate, before, limit, after).await;
        (deleted, steps) = (deleted + of_step, steps + 1);
        if next.is_none() {
            return (deleted, steps);
        }
        after = next;
    }
}

async fn clicks(store: &MySqlStore) -> i64 {
    store.pool().fetch_one("SELECT COUNT(*) AS clicks FROM clicks").await.unwrap().get("clicks")
}

async fn purge_takes_many_rows_in_steps(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    // Several of a time, and times in another order than numbers.
    let rows: Vec<String> = (0..5_000)
        .map(|row| {
            let second = row * 7 % 1000;
            format!("({row}, {}, {}, 'c{row}', '2024-01-01' + INTERVAL {second} SECOND)", place.0, place.1)
        })
        .collect();
    let columns = "id, affiliate_id, campaign_id, click_id, timestamp";
    let statement = format!("INSERT INTO clicks ({columns}) VALUES {}", rows.join(", "));
    store.pool().execute(AssertSqlSafe(statement)).await.unwrap();
    let convert = "INSERT INTO conversions
        (id, click_id, affiliate_id, campaign_id, event, transaction_id, amount, currency, timestamp)
        SELECT id, id, affiliate_id, campaign_id, 'sale', '', 1, 'USD', timestamp FROM clicks WHERE id % 10 = 3";
    store.pool().execute(convert).await.unwrap();
    assert_eq!(purge(&store, place.0, time(900 * 1000), 1000).await, (4_050, 5));
    assert_eq!(clicks(&store).await, 950);
    // Those that are kept cost a look, and no more.
    assert_eq!(purge(&store, place.0, time(900 * 1000), 450).await, (0, 1));
    assert_eq!(purge(&store, place.0, time(900 * 1000), 449).await, (0, 2));
}

async fn steps_and_pages_read_no_more_than_they_need(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let pool = sqlx::mysql::MySqlPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    let store = store_on(pool, Options::default()).await;
    let place = affiliate_and_campaign(&store).await;
    let rows: Vec<String> = (1..=10_000)
        .map(|row| format!("({row}, {}, {}, 'c{row}', '2024-01-01' + INTERVAL {row} SECOND)", place.0, place.1))
        .collect();
    let columns = "id, affiliate_id, campaign_id, click_id, timestamp";
    let statement = format!("INSERT INTO clicks ({columns}) VALUES {}", rows.join(", "));
    store.pool().execute(AssertSqlSafe(statement)).await.unwrap();
    let convert = "INSERT INTO conversions
        (id, click_id, affiliate_id, campaign_id, event, transaction_id, amount, currency, timestamp)
        SELECT id, id, affiliate_id, campaign_id, 'sale', '', 1, 'USD', timestamp FROM clicks";
    store.pool().execute(convert).await.unwrap();
    store.pool().execute("ANALYZE TABLE clicks, conversions").await.unwrap();
    let reads = async || -> u64 {
        let rows = store.pool().fetch_all("SHOW SESSION STATUS LIKE 'Handler_read_%'").await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(1).parse::<u64>().unwrap()).sum()
    };
    let limit = Limit::new(100).unwrap();
    for row in [1_000, 3_000, 5_000, 7_000, 9_000_u64] {
        let after = Some(Cursor::after(time(row as i64 * 1000), row));
        let before = reads().await;
        let page = store.clicks(&place.0.into(), PageRequest { limit, after }).await.unwrap();
        assert_eq!(page.items[0].id.as_u64(), row - 1);
        let of_clicks = reads().await - before;
        store.conversions(&place.0.into(), PageRequest { limit, after }).await.unwrap();
        let of_conversions = reads().await - before - of_clicks;
        let request = PurgeRequest { before: time(20_000_000), limit, after };
        assert!(store.purge_clicks(place.0, request).await.unwrap().next.is_some());
        let of_purge = reads().await - before - of_clicks - of_conversions;
        // A few for each record. Asking for the numbers reads some, too.
        for reads in [of_clicks, of_conversions, of_purge] {
            assert!(reads < 1_500, "{reads} reads for a hundred of 10,000 records");
        }
    }
}

async fn purge_forgets_what_looks_empty(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let all_alike = |text: &str| ClickDetails {
        sub_ids: SubIds::new([Some(parse(text)), None, None, None, None]),
        ..ClickDetails::default()
    };
    let user_agent = ClickDetails { user_agent: UserAgent::new(&format!("{} b", "a".repeat(511))), ..all_alike("x") };
    for (id, details) in [("a", all_alike(" ")), ("b", all_alike("x ")), ("c", user_agent)] {
        let new = NewClick { details, ..new_click(place, id) };
        let click = store.insert_click(new.clone()).await.unwrap().into_record();
        let again = store.insert_click(new).await.unwrap();
        assert_eq!(*again.record(), click, "it comes back as it went in");
        store.insert_conversion(new_conversion(&click)).await.unwrap();
    }
    assert_eq!(purge(&store, place.0, time(100), 10).await, (0, 1));
    for id in ["a", "b", "c"] {
        let click = store.find_clicks(place.0, None, &parse(id)).await.unwrap().remove(0);
        assert_eq!(click.details, ClickDetails::default());
    }
}

async fn purge_passes_over_what_is_about_to_be_converted(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let mut all = Vec::new();
    for n in 0..10 {
        all.push(a_click(&store, place, &format!("click-{n}")).await);
    }
    let mut transaction = store.pool().begin().await.unwrap();
    store.insert_conversion_on(&mut transaction, new_conversion(&all[3])).await.unwrap();
    let purging = timeout(Duration::from_millis(1500), purge(&store, place.0, time(100), 4));
    assert_eq!(purging.await.unwrap(), (9, 3), "nobody waits for the application's transaction");
    transaction.commit().await.unwrap();
    assert_eq!(purge(&store, place.0, time(100), 4).await, (0, 1));
    assert_eq!(store.clicks(&place.0.into(), Default::default()).await.unwrap().items, [all.remove(3)]);

    // One that was not converted in the end goes the next time.
    let click = a_click(&store, place, "rolled-back").await;
    let mut transaction = store.pool().begin().await.unwrap();
    store.insert_conversion_on(&mut transaction, new_conversion(&click)).await.unwrap();
    assert_eq!(purge(&store, place.0, time(100), 4).await.0, 0);
    transaction.rollback().await.unwrap();
    assert_eq!(purge(&store, place.0, time(100), 4).await.0, 1);
    assert_counters_of(&store, place.0, (11, 1)).await;
}

async fn assert_counters_of(store: &MySqlStore, affiliate: AffiliateId, expected: (u64, u64)) {
    let summary = store.summary(affiliate).await.unwrap();
    assert_eq!((summary.clicks, summary.conversions()), expected, "what was counted stays counted");
}

async fn purge_disturbs_nobody(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let store = store_on(pool(&url).await, Options::default()).await;
    let purger = store_on(pool(&url).await, Options::default()).await;
    let place = affiliate_and_campaign(&store).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let (clicks, conversions) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let working: Vec<_> = (0..16)
        .map(|worker| {
            let (store, is_over) = (store.clone(), Arc::clone(&is_over));
            let (clicks, conversions) = (Arc::clone(&clicks), Arc::clone(&conversions));
            tokio::spawn(async move {
                let mut of_worker = 0_u64;
                while of_worker < 40 || !is_over.load(Ordering::Relaxed) {
                    let id = format!("click-{worker}-{of_worker}");
                    let click = store.insert_click(new_visit(place, &id, (of_worker % 7) as u8)).await.unwrap();
                    assert!(!click.is_duplicate());
                    clicks.fetch_add(1, Ordering::Relaxed);
                    match store.insert_conversion(new_conversion(click.record())).await {
                        Ok(_) => _ = conversions.fetch_add(1, Ordering::Relaxed),
                        Err(StoreError::UnknownClick(_)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                    of_worker += 1;
                }
            })
        })
        .collect();
    let mut deleted = 0;
    for _ in 0..20 {
        deleted += purge(&purger, place.0, time(100), 50).await.0;
    }
    is_over.store(true, Ordering::Relaxed);
    for worker in working {
        worker.await.unwrap();
    }
    deleted += purge(&purger, place.0, time(100), 50).await.0;
    let (clicks, conversions) = (clicks.load(Ordering::Relaxed), conversions.load(Ordering::Relaxed));
    assert_eq!(clicks - deleted, conversions, "a click is gone, or it has its conversion");
    assert_eq!(self::clicks(&store).await as u64, conversions);
    assert_counters_of(&store, place.0, (clicks, conversions)).await;
}

async fn purges_of_two_processes_share_the_work(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let one = store_on(pool(&url).await, Options::default()).await;
    let two = store_on(pool(&url).await, Options::default()).await;
    let place = affiliate_and_campaign(&one).await;
    for n in 0..100 {
        a_click(&one, place, &format!("click-{n}")).await;
    }
    let (of_one, of_two) = tokio::join!(purge(&one, place.0, time(100), 9), purge(&two, place.0, time(100), 9));
    // What one was at, the other has passed over.
    let of_rest = purge(&one, place.0, time(100), 9).await;
    assert_eq!(of_one.0 + of_two.0 + of_rest.0, 100, "each is deleted once");
    assert_eq!(clicks(&one).await, 0);
}

async fn purge_is_done_once_when_an_answer_is_lost(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    for n in 0..40 {
        let click = a_click(&store, place, &format!("click-{n}")).await;
        if n % 4 == 0 {
            store.insert_conversion(new_conversion(&click)).await.unwrap();
        }
    }
    for (text, fault) in [
        ("SELECT p.id", Fault::LoseAnswer),
        ("DELETE c FROM", Fault::LoseRequest),
        ("DELETE c FROM", Fault::LoseAnswer),
        ("COMMIT", Fault::LoseRequest),
    ] {
        proxy.plan(text, fault);
    }
    let (deleted, steps) = purge(&store, place.0, time(100), 10).await;
    assert_eq!((deleted, steps, proxy.faults()), (30, 4, 4));
    assert_eq!(clicks(&store).await, 10);
    a_click(&store, place, "another").await;
    proxy.plan("COMMIT", Fault::LoseAnswer);
    purge(&store, place.0, time(100), 10).await;
    assert_eq!((clicks(&store).await, proxy.faults()), (10, 5));
    assert_counters_of(&store, place.0, (41, 10)).await;
}

async fn purged_click_is_unknown_where_it_was_found_before(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let one = store_on(pool(&url).await, Options::default()).await;
    let two = store_on(pool(&url).await, Options::default()).await;
    let place = affiliate_and_campaign(&one).await;
    let mut found = Vec::new();
    for n in 0..3 {
        let click = a_click(&one, place, &format!("click-{n}")).await;
        found.extend(one.find_clicks(place.0, None, &click.click_id).await.unwrap());
    }
    assert_eq!(purge(&two, place.0, time(100), 10).await.0, 3);
    let error = one.insert_conversion(new_conversion(&found[0])).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownClick(_)), "got {error:?}");

    // An order stands all the same.
    one.pool().execute("CREATE TABLE orders (total INT NOT NULL) ENGINE = InnoDB").await.unwrap();
    let mut transaction = one.pool().begin().await.unwrap();
    transaction.execute("INSERT INTO orders (total) VALUES (10)").await.unwrap();
    let conversion = new_conversion(&found[1]);
    let result = one.insert_conversion_on(&mut transaction, conversion.clone()).await;
    let outcome = Outcome::of_result(&conversion, result).unwrap();
    assert_eq!(outcome.code(), "unknown_click");
    transaction.commit().await.unwrap();
    let orders: i64 = one.pool().fetch_one("SELECT COUNT(*) AS orders FROM orders").await.unwrap().get("orders");
    assert_eq!(orders, 1);

    let again = a_click(&one, place, "click-2").await;
    assert_ne!(again.id, found[2].id, "a number is never given twice");
    let error = one.insert_conversion(new_conversion(&found[2])).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownClick(_)), "got {error:?}");
    assert_counters_of(&one, place.0, (4, 0)).await;
}

/// A click that has been found, and so is known to this process.
async fn found(store: &MySqlStore, place: (AffiliateId, tracking_core::CampaignId)) -> Click {
    a_click(store, place, "abc123").await;
    store.find_clicks(place.0, None, &parse("abc123")).await.unwrap().remove(0)
}

async fn erased_click_is_unknown_where_it_was_found_before(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = found(&store, place).await;
    assert_eq!(store.erase_clicks(&click.click_id, &parse("erased-1")).await.unwrap(), 1);
    let error = store.insert_conversion(new_conversion(&click)).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownClick(_)), "got {error:?}");
    assert_eq!(recount(&store, place.0).await.conversions(), 0);
}

async fn click_that_another_process_has_erased_keeps_its_conversion(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let one = store_on(pool(&url).await, Options::default()).await;
    let two = store_on(pool(&url).await, Options::default()).await;
    let place = affiliate_and_campaign(&one).await;
    let click = found(&one, place).await;
    assert_eq!(two.erase_clicks(&click.click_id, &parse("erased-1")).await.unwrap(), 1);
    // As one that came just before.
    let recorded = one.insert_conversion(new_conversion(&click)).await;
    let listed = one.conversions(&place.0.into(), Default::default()).await.unwrap().items;
    match recorded {
        Ok(_) => assert_eq!(listed[0].click_id, parse("erased-1"), "nobody has the id any more"),
        Err(error) => assert!(matches!(error, StoreError::UnknownClick(_)), "got {error:?}"),
    }
    let error = one.insert_conversion(new_conversion(&click)).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownClick(_)), "it is looked up again: {error:?}");
    recount(&one, place.0).await;
}

async fn erasure_is_done_once_when_an_answer_is_lost(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let (place, other) = (affiliate_and_campaign(&store).await, affiliate_and_campaign(&store).await);
    for (round, fault) in [Fault::LoseRequest, Fault::LoseAnswer].into_iter().enumerate() {
        let (id, replacement) = (format!("click-{round}"), format!("erased-{round}"));
        a_click(&store, place, &id).await;
        a_click(&store, other, &id).await;
        proxy.plan("COMMIT", fault);
        assert_eq!(store.erase_clicks(&parse(&id), &parse(&replacement)).await.unwrap(), 2);
        assert_eq!(store.find_clicks(other.0, None, &parse(&id)).await.unwrap(), []);
        assert_eq!(store.find_clicks(other.0, None, &parse(&replacement)).await.unwrap().len(), 1);
    }
    assert_eq!(proxy.faults(), 2);
    recount(&store, place.0).await;
}
