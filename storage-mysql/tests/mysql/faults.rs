//! Exactly once, whatever becomes of the connection.

use std::time::Duration;

use sqlx::MySqlPool;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use storage_mysql::{MySqlStore, Options, sqlx};
use test_server::{Kind, Server};
use tracking_core::{Recorded, Store, StoreError};

use crate::proxy::{Fault, Proxy};
use crate::support::*;

on_both_servers! {
    insert_is_done_once_when_the_request_is_lost
    insert_is_done_once_when_the_answer_is_lost
    insert_is_done_once_when_the_server_falls_silent
    whole_batch_is_done_once_when_its_answer_is_lost
    duplicate_stays_a_duplicate_when_an_answer_is_lost
    conversion_with_alternatives_is_done_once_when_its_commit_is_lost
    click_that_is_erased_before_its_answer_does_not_come_back
    conversion_of_a_click_that_is_erased_before_its_answer_is_recorded
    reads_survive_a_broken_connection
    restart_of_the_database_is_not_noticed_by_the_next_call
    database_that_is_away_is_unavailable_and_comes_back
}

/// A store behind a proxy, with a short patience.
pub(crate) async fn store_behind_proxy(kind: Kind) -> Option<(MySqlStore, Proxy)> {
    let server = Server::shared(kind)?;
    let url = database(kind).await?;
    let proxy = Proxy::start(server.port()).await;
    let options = Options::default().timeout(Duration::from_secs(3));
    let store = store_on(pool(&proxy.url(server.port(), &url)).await, options).await;
    Some((store, proxy))
}

async fn insert_is_done_once_when_the_request_is_lost(kind: Kind) {
    inserts_are_done_once(kind, Fault::LoseRequest).await;
}

async fn insert_is_done_once_when_the_answer_is_lost(kind: Kind) {
    inserts_are_done_once(kind, Fault::LoseAnswer).await;
}

async fn inserts_are_done_once(kind: Kind, fault: Fault) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    for round in 0..5 {
        proxy.plan("COMMIT", fault);
        let click = a_click(&store, place, &format!("click-{round}")).await;
        proxy.plan("COMMIT", fault);
        let recorded = store.insert_conversion(new_conversion(&click)).await.unwrap();
        assert!(!recorded.is_duplicate(), "it is the caller's own, though it was there when it was looked for");
    }
    assert_eq!(proxy.faults(), 10);
    let summary = recount(&store, place.0).await;
    assert_eq!((summary.clicks, summary.conversions()), (5, 5));
}

async fn insert_is_done_once_when_the_server_falls_silent(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    a_click(&store, place, "first").await;
    proxy.plan("COMMIT", Fault::Silence);
    let error = store.insert_click(new_click(place, "abc123")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "got {error:?}");
    // The caller tries again, as he has been told to.
    let again = store.insert_click(new_click(place, "abc123")).await.unwrap();
    assert!(again.is_duplicate(), "it was recorded, and nobody could know");
    assert_eq!(recount(&store, place.0).await.clicks, 2);
}

async fn whole_batch_is_done_once_when_its_answer_is_lost(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    for round in 0..4 {
        proxy.plan("COMMIT", Fault::LoseAnswer);
        proxy.plan("COMMIT", Fault::LoseRequest);
        proxy.plan("COMMIT", Fault::LoseAnswer);
        let calls = (0..100).map(|call| {
            let store = store.clone();
            // Two callers for each.
            let new = new_click(place, &format!("click-{round}-{}", call / 2));
            tokio::spawn(async move { store.insert_click(new).await.unwrap() })
        });
        let mut new = 0;
        for call in calls.collect::<Vec<_>>() {
            new += usize::from(!call.await.unwrap().is_duplicate());
        }
        assert_eq!(new, 50, "one of each two is new");
    }
    assert_eq!(proxy.faults(), 12);
    assert_eq!(recount(&store, place.0).await.clicks, 200);
}

async fn duplicate_stays_a_duplicate_when_an_answer_is_lost(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let first = a_click(&store, place, "abc123").await;
    for fault in [Fault::LoseRequest, Fault::LoseAnswer] {
        proxy.plan("COMMIT", fault);
        assert_eq!(store.insert_click(new_click(place, "abc123")).await.unwrap(), Recorded::Duplicate(first.clone()));
    }
    assert_eq!(recount(&store, place.0).await.clicks, 1);
}

async fn conversion_with_alternatives_is_done_once_when_its_commit_is_lost(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let (_, other) = affiliate_and_campaign(&store).await;
    for (round, fault) in [Fault::LoseRequest, Fault::LoseAnswer].into_iter().enumerate() {
        let id = format!("click-{round}");
        let (one, two) = (a_click(&store, place, &id).await, a_click(&store, (place.0, other), &id).await);
        let mut new = new_conversion(&two);
        new.alternatives = vec![one.campaign_id];
        proxy.plan("COMMIT", fault);
        assert!(!store.insert_conversion(new.clone()).await.unwrap().is_duplicate());
        assert!(store.insert_conversion(new).await.unwrap().is_duplicate());
    }
    assert_eq!(proxy.faults(), 2);
    assert_eq!(recount(&store, place.0).await.conversions(), 2);
}

async fn click_that_is_erased_before_its_answer_does_not_come_back(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    a_click(&store, place, "first").await;
    for n in 0..3 {
        let (id, replacement) = (parse(&format!("click-{n}")), parse(&format!("erased-{n}")));
        proxy.plan("COMMIT", Fault::Withhold);
        let inserting = tokio::spawn({
            let (store, new) = (store.clone(), new_visit(place, &format!("click-{n}"), n));
            async move { store.insert_click(new).await.unwrap() }
        });
        while store.find_clicks(place.0, None, &id).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(store.erase_clicks(&id, &replacement).await.unwrap(), 1);
        proxy.release();
        assert!(!inserting.await.unwrap().is_duplicate(), "it was recorded, and is called otherwise now");
        assert_eq!(store.find_clicks(place.0, None, &id).await.unwrap(), [], "nobody has the id any more");
    }
    assert_eq!(proxy.faults(), 3);
    assert_eq!(recount(&store, place.0).await.clicks, 4);
}

async fn conversion_of_a_click_that_is_erased_before_its_answer_is_recorded(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    proxy.plan("COMMIT", Fault::Withhold);
    let inserting = tokio::spawn({
        let (store, new) = (store.clone(), new_conversion(&click));
        async move { store.insert_conversion(new).await.unwrap() }
    });
    while store.summary(place.0).await.unwrap().conversions() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.erase_clicks(&click.click_id, &parse("erased-1")).await.unwrap(), 1);
    proxy.release();
    let recorded = inserting.await.unwrap();
    assert!(!recorded.is_duplicate());
    assert_eq!(recorded.record().click_id, parse("erased-1"), "it names its click as it is named now");
    assert_eq!(recount(&store, place.0).await.conversions(), 1);
}

async fn reads_survive_a_broken_connection(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;
    for fault in [Fault::LoseRequest, Fault::LoseAnswer] {
        proxy.plan("FROM clicks", fault);
        assert_eq!(store.find_clicks(place.0, None, &click.click_id).await.unwrap(), std::slice::from_ref(&click));
        proxy.plan("STRAIGHT_JOIN figures", fault);
        assert_eq!(store.summary(place.0).await.unwrap().clicks, 1);
    }
    assert_eq!(proxy.faults(), 4);
}

/// A pool as `MySqlStore::connect` makes it: broken connections are not noticed before they are used.
async fn trusting_pool(url: &str) -> MySqlPool {
    let connect: MySqlConnectOptions = url.parse().unwrap();
    let pool = MySqlPoolOptions::new().max_connections(4).test_before_acquire(false);
    pool.acquire_timeout(Duration::from_secs(1)).connect_with(connect).await.unwrap()
}

async fn restart_of_the_database_is_not_noticed_by_the_next_call(kind: Kind) {
    let Some(mut server) = Server::start(kind) else { return };
    let store = store_on(trusting_pool(&create_database(server.url()).await).await, Options::default()).await;
    let place = affiliate_and_campaign(&store).await;
    a_click(&store, place, "abc123").await;
    let mut restart = async || {
        let mut all = Vec::new();
        for _ in 0..4 {
            all.push(store.pool().acquire().await.unwrap());
        }
        for connection in &mut all {
            connection.return_to_pool().await;
        }
        assert_eq!(store.pool().num_idle(), 4, "four connections that are about to break");
        server.restart();
    };
    restart().await;
    assert_eq!(store.summary(place.0).await.unwrap().clicks, 1);
    restart().await;
    assert!(store.insert_click(new_click(place, "abc123")).await.unwrap().is_duplicate());
}

async fn database_that_is_away_is_unavailable_and_comes_back(kind: Kind) {
    let Some(mut server) = Server::start(kind) else { return };
    let pool = trusting_pool(&create_database(server.url()).await).await;
    let store = store_on(pool, Options::default().timeout(Duration::from_secs(1))).await;
    let place = affiliate_and_campaign(&store).await;
    let click = a_click(&store, place, "abc123").await;

    server.kill();
    let conversion = new_conversion(&click);
    for error in [
        store.ping().await.unwrap_err(),
        store.insert_click(new_click(place, "abc124")).await.unwrap_err(),
        store.insert_conversion(conversion.clone()).await.unwrap_err(),
        store.find_clicks(place.0, None, &click.click_id).await.unwrap_err(),
        store.campaign(place.1).await.unwrap_err(),
        store.summary(place.0).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Unavailable { .. }), "got {error:?}");
    }

    server.restart();
    assert!(!store.insert_click(new_click(place, "abc124")).await.unwrap().is_duplicate());
    assert!(!store.insert_conversion(conversion).await.unwrap().is_duplicate());
    store.ping().await.unwrap();
    let summary = recount(&store, place.0).await;
    assert_eq!((summary.clicks, summary.conversions()), (2, 1));
}
