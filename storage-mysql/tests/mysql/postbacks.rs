//! The postback log: floods, long lists, and what is removed.

use sqlx::mysql::MySqlPoolOptions;
use sqlx::{AssertSqlSafe, Executor, MySqlPool, Row};
use storage_mysql::{Options, sqlx};
use test_server::{Kind, Server};
use tracking_core::{
    ClickId, Limit, OutcomeKind, Page, PageRequest, Postback, PostbackFilter, PostbackMethod, Store, Timestamp,
};

use crate::faults::store_behind_proxy;
use crate::proxy::Fault;
use crate::support::*;

on_both_servers! {
    flood_goes_in_parts
    log_is_added_once_when_an_answer_is_lost
    pages_read_no_more_than_they_need
    filters_that_contradict_each_other_find_nothing
    excess_is_removed_in_steps
    great_excess_is_found_step_by_step
    log_that_is_small_enough_is_not_read
    two_processes_purge_as_much_as_one
    everything_of_a_click_is_made_anonymous
}

fn postback(number: u64) -> Postback {
    Postback {
        id: number + 1,
        received_at: time(number as i64 * 1000),
        method: PostbackMethod::Get,
        source: Some("2001:db8::1".parse().unwrap()),
        parameters: format!("click_id=click-{number}&amount=10%2E5"),
        affiliate_id: Some(parse("1")),
        campaign_id: Some(parse("10")),
        click_id: Some(parse(&format!("click-{number}"))),
        conversion_id: None,
        outcome: OutcomeKind::Accepted,
        summary: "A new conversion was recorded.".to_owned(),
        calls: 1,
    }
}

fn request(limit: u64) -> PageRequest {
    PageRequest { limit: Limit::new(limit).unwrap(), after: None }
}

async fn rows(pool: &MySqlPool) -> i64 {
    pool.fetch_one("SELECT COUNT(*) AS number FROM postbacks").await.unwrap().get("number")
}

async fn flood_goes_in_parts(kind: Kind) {
    let Some(server) = Server::start(kind) else { return };
    let root = pool(server.url()).await;
    root.execute("SET GLOBAL max_allowed_packet = 65536").await.unwrap();
    let store = store_on(pool(&create_database(server.url()).await).await, Options::default()).await;
    // As long as rows can be, and of signs that take the most room.
    let flood: Vec<Postback> = (0..500)
        .map(|number| Postback {
            parameters: "🎈".repeat(Postback::MAX_PARAMETERS_LEN / 4),
            summary: "'\\\"ü".repeat(Postback::MAX_SUMMARY_LEN / 5),
            calls: u64::from(u32::MAX) + 1,
            ..postback(number)
        })
        .collect();
    store.log_postbacks(flood.clone()).await.unwrap();
    store.log_postbacks(flood.clone()).await.unwrap();
    let page = store.postbacks(&PostbackFilter::default(), request(1000)).await.unwrap();
    assert_eq!(page.next, None);
    assert!(page.items.iter().rev().eq(&flood), "each is there once, as it was");
}

async fn log_is_added_once_when_an_answer_is_lost(kind: Kind) {
    let Some((store, proxy)) = store_behind_proxy(kind).await else { return };
    for (round, fault) in [Fault::LoseRequest, Fault::LoseAnswer].into_iter().enumerate() {
        proxy.plan("INSERT INTO postbacks", fault);
        let round = round as u64;
        store.log_postbacks((round * 10..round * 10 + 10).map(postback).collect()).await.unwrap();
        assert_eq!(rows(store.pool()).await as u64, (round + 1) * 10);
    }
    proxy.plan("DELETE FROM postbacks", Fault::LoseAnswer);
    proxy.plan("COMMIT", Fault::LoseRequest);
    store.purge_postbacks(time(5000), 100).await.unwrap();
    assert_eq!((rows(store.pool()).await, proxy.faults()), (15, 4));
}

/// Many rows, of which one in a thousand is a problem.
async fn fill(pool: &MySqlPool, rows: u64) {
    for part in 0..rows.div_ceil(5000) {
        let values: Vec<String> = (part * 5000..rows.min((part + 1) * 5000))
            .map(|row| {
                let outcome = if row % 1000 == 7 { "unknown_click" } else { "accepted" };
                let (click, affiliate) = (row % 500, row % 10 + 1);
                format!(
                    "('2024-01-01' + INTERVAL {row} SECOND, {row} + 1, 'GET', '', 'amount=10', {affiliate}, {affiliate}0,
                     'click-{click}', NULL, '{outcome}', 'Something.', 1)"
                )
            })
            .collect();
        pool.execute(AssertSqlSafe(format!("INSERT INTO postbacks VALUES {}", values.join(", ")))).await.unwrap();
    }
    pool.execute("ANALYZE TABLE postbacks").await.unwrap();
}

async fn reads(pool: &MySqlPool) -> u64 {
    let rows = pool.fetch_all("SHOW SESSION STATUS LIKE 'Handler_read_%'").await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(1).parse::<u64>().unwrap()).sum()
}

async fn pages_read_no_more_than_they_need(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let pool = MySqlPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    let store = store_on(pool, Options::default()).await;
    fill(store.pool(), 20_000).await;
    // A pair that is rare, of which each is not.
    let rare = "UPDATE postbacks SET affiliate_id = 9 WHERE campaign_id = 80 AND id % 5000 = 8";
    assert!(store.pool().execute(rare).await.unwrap().rows_affected() > 0);
    let all = PostbackFilter::default;
    let of_campaign = || all().campaign_id(parse("80"));
    let of_both = || of_campaign().affiliate_id(parse("8"));
    let of_click = || all().click_id(parse("click-7"));
    // How many there are on a page, and how many are read for each of them.
    let filters = [
        (all(), 100, 5),
        (all().affiliate_id(parse("8")), 100, 8),
        (of_campaign(), 100, 8),
        (of_both(), 100, 8),
        (of_click(), 20, 8),
        (all().outcome(OutcomeKind::UnknownClick), 10, 8),
        // Of each kind of problem a page, and then those of all.
        (all().problems_only(), 10, 20),
        (all().affiliate_id(parse("8")).problems_only(), 10, 20),
        (all().affiliate_id(parse("8")).outcome(OutcomeKind::UnknownClick), 10, 8),
        (of_campaign().problems_only(), 10, 20),
        (of_campaign().outcome(OutcomeKind::UnknownClick), 10, 8),
        (of_both().problems_only(), 10, 20),
        (of_campaign().affiliate_id(parse("9")), 2, 20),
        (of_click().problems_only(), 10, 20),
        (of_click().campaign_id(parse("80")).affiliate_id(parse("8")), 20, 8),
    ];
    for (filter, of_page, factor) in filters {
        let mut filter = filter;
        (filter.from, filter.to) = (Some(time(1_000_000)), Some(time(19_000_000)));
        let mut request = PageRequest { limit: Limit::new(of_page).unwrap(), after: None };
        for _ in 0..3 {
            let before = reads(store.pool()).await;
            let Page { items, next } = store.postbacks(&filter, request).await.unwrap();
            let read = reads(store.pool()).await - before;
            assert!(items.iter().all(|postback| filter.admits(postback)) && !items.is_empty());
            assert!(items.is_sorted_by_key(|postback| std::cmp::Reverse(postback.cursor())));
            // And those of the status itself.
            assert!(read < of_page * factor + 100, "{read} reads for {filter:?}");
            let Some(next) = next else { break };
            request.after = Some(next);
        }
    }
}

async fn filters_that_contradict_each_other_find_nothing(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    fill(store.pool(), 100).await;
    let taken = PostbackFilter::default().outcome(OutcomeKind::Accepted);
    assert_eq!(store.postbacks(&taken, request(10)).await.unwrap().items.len(), 10);
    for filter in [taken.clone(), taken.campaign_id(parse("80"))] {
        let page = store.postbacks(&filter.problems_only(), request(10)).await.unwrap();
        assert_eq!(page, Page { items: Vec::new(), next: None });
    }
}

async fn excess_is_removed_in_steps(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    fill(store.pool(), 9_000).await;
    store.purge_postbacks(time(1_000_000), 100_000).await.unwrap();
    assert_eq!(rows(store.pool()).await, 8_000, "the old ones");
    store.purge_postbacks(Timestamp::MIN, 1_000).await.unwrap();
    let left = rows(store.pool()).await;
    assert!((900..=1_000).contains(&left), "{left} are left");
    let newest = store.postbacks(&PostbackFilter::default(), request(1)).await.unwrap().items.remove(0);
    assert_eq!(newest.id, 9_000, "the newest stay");
    store.purge_postbacks(Timestamp::MIN, 7).await.unwrap();
    assert_eq!(rows(store.pool()).await, 7);
    // What is added is noticed.
    store.log_postbacks((20_000..20_005).map(postback).collect()).await.unwrap();
    store.purge_postbacks(Timestamp::MIN, 7).await.unwrap();
    assert_eq!(rows(store.pool()).await, 7);
    store.purge_postbacks(Timestamp::MIN, 0).await.unwrap();
    assert_eq!(rows(store.pool()).await, 0);
}

async fn great_excess_is_found_step_by_step(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    fill(store.pool(), 120_000).await;
    store.purge_postbacks(Timestamp::MIN, 10_000).await.unwrap();
    assert_eq!(rows(store.pool()).await, 9_500);
    let oldest = "SELECT id FROM postbacks ORDER BY received_at, id LIMIT 1";
    assert_eq!(store.pool().fetch_one(oldest).await.unwrap().get::<i64, _>("id"), 110_501, "the newest stay");
}

async fn log_that_is_small_enough_is_not_read(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let pool = MySqlPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    let store = store_on(pool, Options::default()).await;
    fill(store.pool(), 10_000).await;
    store.purge_postbacks(time(0), 20_000).await.unwrap();
    store.log_postbacks((20_000..20_100).map(postback).collect()).await.unwrap();
    let before = reads(store.pool()).await;
    store.purge_postbacks(time(0), 20_000).await.unwrap();
    let read = reads(store.pool()).await - before;
    assert!(read < 100, "{read} reads");
}

async fn two_processes_purge_as_much_as_one(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let one = store_on(pool(&url).await, Options::default()).await;
    let two = store_on(pool(&url).await, Options::default()).await;
    fill(one.pool(), 9_000).await;
    let (of_one, of_two) = tokio::join!(one.purge_postbacks(time(0), 5_000), two.purge_postbacks(time(0), 5_000));
    of_one.and(of_two).unwrap();
    let left = rows(one.pool()).await;
    assert!((4_500..=5_000).contains(&left), "{left} are left");
}

async fn everything_of_a_click_is_made_anonymous(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let (id, replacement): (ClickId, ClickId) = (parse("click-7"), parse("erased-1"));
    fill(store.pool(), 3_000).await;
    store.pool().execute("UPDATE postbacks SET click_id = 'click-7' WHERE id > 500").await.unwrap();
    assert_eq!(
        store.erase_clicks(&id, &replacement).await.unwrap(),
        0,
        "there is no such click, but postbacks name it"
    );
    let of = async |click_id: &ClickId| {
        let mut filter = PostbackFilter::default();
        filter.click_id = Some(click_id.clone());
        store.postbacks(&filter, request(1000)).await.unwrap()
    };
    assert_eq!(of(&id).await.items, []);
    let erased = of(&replacement).await;
    assert!(erased.next.is_some());
    assert!(erased.items.iter().all(|postback| *postback == postback.anonymous(replacement.clone())));
    let count = "SELECT COUNT(*) AS number FROM postbacks WHERE parameters = ''";
    let anonymous: i64 = store.pool().fetch_one(count).await.unwrap().get("number");
    assert_eq!(anonymous, 2_501);
}
