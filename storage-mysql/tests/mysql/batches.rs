//! Calls that share a batch, and know nothing of each other.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor, Row};
use storage_mysql::{MySqlStore, Options, sqlx};
use test_server::{Kind, Server};
use tokio::task::JoinHandle;
use tracking_core::{
    AffiliateId, CampaignId, Click, NewClick, NewConversion, Recorded, Store, StoreError, SubIds, UserAgent,
};

use crate::support::*;

on_both_servers! {
    bad_clicks_cost_their_neighbours_nothing
    bad_conversions_cost_their_neighbours_nothing
    batches_are_few
    batch_that_is_too_long_goes_in_parts
    affiliate_that_was_deleted_is_unknown
    number_that_is_taken_is_replaced
    rows_that_were_written_by_others_are_duplicates
    texts_compare_byte_by_byte_in_the_tables_too
    full_queue_is_unavailable
    close_lets_everybody_finish
    two_stores_on_one_database_never_deadlock_for_good
    pool_of_one_connection_is_enough
}

/// Makes these calls at the same time, as others are under way.
fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    calls: impl IntoIterator<Item = F>,
) -> Vec<JoinHandle<T>> {
    calls.into_iter().map(tokio::spawn).collect()
}

fn insert_click(
    store: &MySqlStore,
    new: NewClick,
) -> impl Future<Output = Result<Recorded<Click>, StoreError>> + use<> {
    let store = store.clone();
    async move { store.insert_click(new).await }
}

async fn bad_clicks_cost_their_neighbours_nothing(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let (no_affiliate, no_campaign): (AffiliateId, CampaignId) = (parse("999"), parse("999"));
    let first = a_click(&store, place, "first").await;
    let calls = at_once((0..300).map(|call| {
        let new = match call % 10 {
            0 => new_click((no_affiliate, place.1), &format!("click-{call}")),
            1 => new_click((place.0, no_campaign), &format!("click-{call}")),
            2 => new_click((no_affiliate, no_campaign), &format!("click-{call}")),
            3 => new_click(place, "first"),
            // Two with one id.
            4 | 5 => new_click(place, &format!("pair-{}", call / 10)),
            _ => new_click(place, &format!("click-{call}")),
        };
        insert_click(&store, new)
    }));
    let mut new_of_pairs = 0;
    for (call, result) in calls.into_iter().enumerate() {
        let result = result.await.unwrap();
        match call % 10 {
            0 | 2 => assert!(matches!(result, Err(StoreError::UnknownAffiliate(id)) if id == no_affiliate)),
            1 => assert!(matches!(result, Err(StoreError::UnknownCampaign(id)) if id == no_campaign)),
            3 => assert_eq!(result.unwrap(), Recorded::Duplicate(first.clone())),
            4 | 5 => new_of_pairs += usize::from(!result.unwrap().is_duplicate()),
            _ => assert!(!result.unwrap().is_duplicate()),
        }
    }
    assert_eq!(new_of_pairs, 30);
    assert_eq!(recount(&store, place.0).await.clicks, 1 + 30 + 120);
}

async fn bad_conversions_cost_their_neighbours_nothing(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let (_, other_campaign) = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    let elsewhere = a_click(&store, (place.0, other_campaign), "abc123").await;
    let first = store.insert_conversion(new_conversion(&click)).await.unwrap().into_record();
    let calls = at_once((0..300).map(|call| {
        let sale = NewConversion { transaction_id: Some(parse(&format!("order-{call}"))), ..new_conversion(&click) };
        let new = match call % 10 {
            0 => NewConversion { click: Click { affiliate_id: parse("999"), ..click.clone() }, ..sale },
            1 => NewConversion { click: Click { click_id: parse("another"), ..click.clone() }, ..sale },
            2 => new_conversion(&click),
            // Needs a look at the other campaign first.
            3 => NewConversion { alternatives: vec![elsewhere.campaign_id], ..sale },
            4 | 5 => NewConversion { transaction_id: Some(parse(&format!("pair-{}", call / 10))), ..sale },
            _ => sale,
        };
        let store = store.clone();
        async move { store.insert_conversion(new).await }
    }));
    let mut new_of_pairs = 0;
    for (call, result) in calls.into_iter().enumerate() {
        let result = result.await.unwrap();
        match call % 10 {
            0 => assert!(matches!(result, Err(StoreError::UnknownAffiliate(_))), "got {result:?}"),
            1 => assert!(matches!(&result, Err(StoreError::UnknownClick(id)) if id.as_str() == "another")),
            2 => assert_eq!(result.unwrap(), Recorded::Duplicate(first.clone())),
            4 | 5 => new_of_pairs += usize::from(!result.unwrap().is_duplicate()),
            _ => assert!(!result.unwrap().is_duplicate()),
        }
    }
    assert_eq!(new_of_pairs, 30);
    assert_eq!(recount(&store, place.0).await.conversions(), 1 + 30 + 150);
}

async fn batches_are_few(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    a_click(&store, place, "first").await;
    let commits = async || -> u64 {
        let row = store.pool().fetch_one("SHOW GLOBAL STATUS LIKE 'Com_insert'").await.unwrap();
        row.get::<String, _>(1).parse().unwrap()
    };
    // Other tests insert on the same server; so it is counted over many calls, and generously.
    let before = commits().await;
    let calls = at_once((0..2000).map(|call| insert_click(&store, new_click(place, &format!("click-{call}")))));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let inserts = commits().await - before;
    assert!(inserts < 2000, "{inserts} statements for 2,000 clicks, which are three of them each if they go alone");
}

async fn batch_that_is_too_long_goes_in_parts(kind: Kind) {
    let Some(server) = Server::start(kind) else { return };
    let pool_to = async |url: &str, packet: u32| {
        let root = pool(server.url()).await;
        root.execute(AssertSqlSafe(format!("SET GLOBAL max_allowed_packet = {packet}"))).await.unwrap();
        // What a session may send is decided when it begins.
        pool(url).await
    };
    let url = create_database(server.url()).await;
    for (round, packet) in [(0, 1 << 20), (1, 64 << 10)] {
        // It is a lot of work for a machine that has other things to do.
        let options = Options::default().timeout(Duration::from_secs(60));
        let store = store_on(pool_to(&url, packet).await, options).await;
        let place = affiliate_and_campaign(&store).await;
        a_click(&store, place, "first").await;
        let calls = at_once((0..400_u32).map(|call| {
            let mut new = new_visit(place, &format!("click-{round}-{call}"), (call % 100) as u8);
            // Every other one is as long as a click can be, nearly.
            if call % 2 == 0 {
                new.details.sub_ids =
                    SubIds::new([const { None }; 5].map(|_: Option<()>| Some(parse(&"🎈".repeat(255)))));
                new.details.user_agent = UserAgent::new(&"🎈".repeat(512));
            }
            insert_click(&store, new)
        }));
        let mut firsts = 0;
        for call in calls {
            let recorded = call.await.unwrap().unwrap();
            assert!(!recorded.is_duplicate());
            firsts += usize::from(!recorded.record().details.is_repeat);
        }
        assert_eq!(firsts, if round == 0 { 100 } else { 0 }, "each visitor came first once");
        assert_eq!(recount(&store, place.0).await.clicks, 401);
    }
}

async fn affiliate_that_was_deleted_is_unknown(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let (gone, there) = (affiliate_and_campaign(&store).await, affiliate_and_campaign(&store).await);
    // Known by now, and then deleted by hand.
    let click = a_click(&store, gone, "abc123").await;
    for statement in ["DELETE FROM figures", "DELETE FROM clicks"] {
        store.pool().execute(statement).await.unwrap();
    }
    let statement = format!("DELETE FROM affiliates WHERE id = {}", gone.0);
    store.pool().execute(AssertSqlSafe(statement)).await.unwrap();

    let calls = at_once((0..20).map(|call| {
        let place = if call % 2 == 0 { gone } else { there };
        insert_click(&store, new_click(place, &format!("click-{call}")))
    }));
    for (call, result) in calls.into_iter().enumerate() {
        match result.await.unwrap() {
            Ok(recorded) => assert!(call % 2 == 1 && !recorded.is_duplicate()),
            Err(error) => assert!(call % 2 == 0 && matches!(error, StoreError::UnknownAffiliate(id) if id == gone.0)),
        }
    }
    let error = store.insert_conversion(new_conversion(&click)).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownAffiliate(id) if id == gone.0), "got {error:?}");
    assert_eq!(recount(&store, there.0).await.clicks, 10);
}

async fn number_that_is_taken_is_replaced(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "first").await;
    // By somebody who writes to the table himself. He ought not to; but nothing may be lost by it.
    for number in [1, 3, 4] {
        let statement = format!(
            "INSERT INTO clicks (id, affiliate_id, campaign_id, click_id, timestamp)
             VALUES ({}, {}, {}, 'by-hand-{number}', '2024-01-01')",
            click.id.as_u64() + number,
            place.0,
            place.1
        );
        store.pool().execute(AssertSqlSafe(statement)).await.unwrap();
    }
    let calls = at_once((0..20).map(|call| insert_click(&store, new_click(place, &format!("click-{call}")))));
    for call in calls {
        assert!(!call.await.unwrap().unwrap().is_duplicate());
    }
    assert_eq!(store.summary(place.0).await.unwrap().clicks, 21);
}

async fn rows_that_were_written_by_others_are_duplicates(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let one = store_on(pool(&url).await, Options::default()).await;
    let two = store_on(pool(&url).await, Options::default()).await;
    let place = affiliate_and_campaign(&one).await;
    let click = a_click(&one, place, "abc123").await;
    assert_eq!(two.insert_click(new_click(place, "abc123")).await.unwrap(), Recorded::Duplicate(click.clone()));
    let conversion = two.insert_conversion(new_conversion(&click)).await.unwrap().into_record();
    assert_eq!(one.insert_conversion(new_conversion(&click)).await.unwrap(), Recorded::Duplicate(conversion));
    recount(&two, place.0).await;
}

async fn texts_compare_byte_by_byte_in_the_tables_too(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    for (id, text) in (1..).zip(["abc", "ABC", "Abc", "abc ", "abc  ", "ab", "abcd"]) {
        let statement = format!(
            "INSERT INTO clicks (id, affiliate_id, campaign_id, click_id, timestamp)
             VALUES ({}, {}, {}, '{text}', '2024-01-01')",
            1_000_000 + id,
            place.0,
            place.1
        );
        store.pool().execute(AssertSqlSafe(statement)).await.unwrap();
        let statement = format!("SELECT CAST(GROUP_CONCAT(id) AS CHAR) AS ids FROM clicks WHERE click_id = '{text}'");
        let row = store.pool().fetch_one(AssertSqlSafe(statement)).await.unwrap();
        assert_eq!(row.get::<String, _>("ids"), (1_000_000 + id).to_string(), "{text:?} is itself and no other");
    }
}

async fn full_queue_is_unavailable(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let store = store_on(pool(&url).await, Options::default().capacity(10)).await;
    let place = affiliate_and_campaign(&store).await;
    a_click(&store, place, "first").await;
    // Whoever holds the affiliate's row holds up every click of his.
    let mut holder = store.pool().begin().await.unwrap();
    holder.execute("SELECT * FROM affiliates FOR UPDATE").await.unwrap();
    let under_way = tokio::spawn(insert_click(&store, new_click(place, "under-way")));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let calls = at_once((0..30).map(|call| insert_click(&store, new_click(place, &format!("click-{call}")))));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let refused = calls.iter().filter(|call| call.is_finished()).count();
    assert_eq!(refused, 20, "ten may wait, and the others are told at once");
    holder.rollback().await.unwrap();
    let mut recorded = usize::from(under_way.await.unwrap().is_ok());
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => recorded += 1,
            Err(error) => assert!(matches!(error, StoreError::Unavailable { .. }), "got {error:?}"),
        }
    }
    assert_eq!(recorded, 11);
    assert_eq!(recount(&store, place.0).await.clicks, 12);
}

async fn close_lets_everybody_finish(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    a_click(&store, place, "first").await;
    let calls = at_once((0..500).map(|call| insert_click(&store, new_click(place, &format!("click-{call}")))));
    tokio::time::sleep(Duration::from_millis(5)).await;
    store.close().await;
    assert!(matches!(store.insert_click(new_click(place, "late")).await, Err(StoreError::Unavailable { .. })));
    let mut recorded = 1;
    for call in calls {
        recorded += u64::from(call.await.unwrap().is_ok());
    }
    assert_eq!(recount(&store, place.0).await.clicks, recorded, "what was acknowledged is there, and nothing else");
}

async fn two_stores_on_one_database_never_deadlock_for_good(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let mut stores = Vec::new();
    for _ in 0..2 {
        stores.push(Arc::new(store_on(pool(&url).await, Options::default()).await));
    }
    let place = affiliate_and_campaign(&stores[0]).await;
    // Each store gets the same ids, in another order.
    let calls = at_once((0..2).flat_map(|number| (0..400).map(move |call| (number, call))).map(|(number, call)| {
        let store = Arc::clone(&stores[number]);
        let id = if number == 0 { call } else { 399 - call };
        async move {
            let click = store.insert_click(new_click(place, &format!("click-{}", id % 200))).await.unwrap();
            let is_new = !click.is_duplicate();
            let conversion = store.insert_conversion(new_conversion(click.record())).await.unwrap();
            (is_new, !conversion.is_duplicate())
        }
    }));
    let (mut clicks, mut conversions) = (0, 0);
    for call in calls {
        let (click, conversion) = call.await.unwrap();
        clicks += usize::from(click);
        conversions += usize::from(conversion);
    }
    assert_eq!((clicks, conversions), (200, 200), "each is new exactly once, whoever was asked");
    let summary = recount(&stores[0], place.0).await;
    assert_eq!((summary.clicks, summary.conversions()), (200, 200));
}

async fn pool_of_one_connection_is_enough(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let pool = sqlx::mysql::MySqlPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    let store = store_on(pool, Options::default()).await;
    let place = affiliate_and_campaign(&store).await;
    let calls = at_once((0..100).map(|call| {
        let store = store.clone();
        async move {
            let click = store.insert_click(new_click(place, &format!("click-{call}"))).await.unwrap().into_record();
            store.insert_conversion(new_conversion(&click)).await.unwrap();
            store.find_clicks(place.0, None, &click.click_id).await.unwrap();
            store.campaign(place.1).await.unwrap();
            store.summary(place.0).await.unwrap();
        }
    }));
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(recount(&store, place.0).await.conversions(), 100);
}
