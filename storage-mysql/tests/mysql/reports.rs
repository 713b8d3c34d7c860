//! Reports and lists by filter: what they read, and when they give up.

use std::time::{Duration, Instant};

use sqlx::mysql::MySqlPoolOptions;
use sqlx::{AssertSqlSafe, Executor, MySqlPool, Row};
use storage_mysql::{MySqlStore, Options, sqlx};
use test_server::Kind;
use tracking_core::{
    AffiliateId, Attribute, Breakdown, CampaignId, ClickFilter, ConversionFilter, ConversionStatus, Limit, PageRequest,
    Scope, Store, StoreError, Timestamp,
};

use crate::support::*;

on_both_servers! {
    reports_read_few_counters
    pages_by_filter_read_few_rows
    breakdown_that_takes_too_long_is_given_up
    breakdown_does_not_wait_for_locks
    affiliates_are_looked_up_together
}

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Clicks of twenty affiliates and five campaigns, one every eight minutes for forty-four days, each with a conversion; and
/// their counters.
async fn filled(url: &str) -> MySqlStore {
    let pool = MySqlPoolOptions::new().max_connections(1).connect(url).await.unwrap();
    let store = store_on(pool.clone(), Options::default()).await;
    for _ in 0..20 {
        affiliate_and_campaign(&store).await;
    }
    for part in 0..4 {
        let rows: Vec<String> = (part * 2_000..(part + 1) * 2_000)
            .map(|row| {
                let (affiliate, campaign) = (row % 20 + 1, row / 20 % 5 + 1);
                format!(
                    "({row} + 1, {affiliate}, {campaign}, 'c{row}', '2024-01-01' + INTERVAL {row} * 8 MINUTE, {row})"
                )
            })
            .collect();
        let columns = "id, affiliate_id, campaign_id, click_id, timestamp, source";
        let statement = format!("INSERT INTO clicks ({columns}) VALUES {}", rows.join(", "));
        pool.execute(AssertSqlSafe(statement)).await.unwrap();
    }
    let convert = "INSERT INTO conversions
        (id, click_id, affiliate_id, campaign_id, event, transaction_id, amount, currency, timestamp, status)
        SELECT id, id, affiliate_id, campaign_id, 'sale', '', 1, 'USD', timestamp, ELT(id % 3 + 1, 'pending', 'approved',
        'rejected') FROM clicks";
    pool.execute(convert).await.unwrap();
    for (number, start, owner, part) in series() {
        for (currency, columns, values, table) in [
            ("''", "clicks, human_clicks, unique_clicks", "COUNT(*), COUNT(*), COUNT(*)", "clicks"),
            (
                "'USD'",
                "pending_conversions, pending_amount, pending_payout, approved_conversions, approved_amount,
                 approved_payout, rejected_conversions, rejected_amount, rejected_payout",
                "SUM(status = 'pending'), SUM(status = 'pending'), 0, SUM(status = 'approved'), SUM(status = 'approved'), 0,
                 SUM(status = 'rejected'), SUM(status = 'rejected'), 0",
                "conversions",
            ),
        ] {
            let statement = format!(
                "INSERT INTO figures (series, start, owner, part, currency, slot, {columns})
                 SELECT {number}, {start} AS s, {owner} AS o, {part} AS p, {currency}, 0, {values}
                    FROM {table} GROUP BY s, o, p"
            );
            pool.execute(AssertSqlSafe(statement)).await.unwrap();
        }
    }
    pool.execute("ANALYZE TABLE clicks, conversions, figures").await.unwrap();
    store
}

async fn reads(pool: &MySqlPool) -> u64 {
    let rows = pool.fetch_all("SHOW SESSION STATUS LIKE 'Handler_read_%'").await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(1).parse::<u64>().unwrap()).sum()
}

/// So many days from the first on, which begin five hours after those of UTC.
fn bounds(days: i64) -> Vec<Timestamp> {
    (0..=days).map(|day| time(day * DAY + 5 * 60 * 60 * 1000)).collect()
}

async fn reports_read_few_counters(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let store = filled(&url).await;
    let (affiliate, campaign): (AffiliateId, CampaignId) = (parse("1"), parse("1"));
    let both = Scope { affiliate_id: Some(affiliate), campaign_id: Some(campaign) };
    let count = "SELECT COUNT(*) AS n FROM figures";
    assert!(
        store.pool().fetch_one(count).await.unwrap().get::<i64, _>("n") > 40_000,
        "there is much to be read in vain"
    );
    let days = bounds(30);
    let (from, to) = (days[0], days[30]);
    for (scope, most) in [(affiliate.into(), 6_000), (campaign.into(), 4_000), (Scope::ALL, 4_000), (both, 7_000)] {
        let before = reads(store.pool()).await;
        assert_eq!(store.totals(scope, &days).await.unwrap().len(), 30);
        let of_days = reads(store.pool()).await - before;
        assert!(of_days < most, "{of_days} reads for thirty days of {scope:?}");
        store.totals(scope, &[from, to]).await.unwrap();
        let of_sum = reads(store.pool()).await - before - of_days;
        assert!(of_sum < 800, "{of_sum} reads for the sum of {scope:?}");
    }
    let before = reads(store.pool()).await;
    assert_eq!(store.totals_by_campaign(None, from, to, 100).await.unwrap().len(), 5);
    let by_campaign = reads(store.pool()).await - before;
    assert_eq!(store.totals_by_campaign(Some(affiliate), from, to, 100).await.unwrap().len(), 5);
    let by_campaign_of_one = reads(store.pool()).await - before - by_campaign;
    assert_eq!(store.totals_by_affiliate(None, from, to, 100).await.unwrap().len(), 20);
    let by_affiliate = reads(store.pool()).await - before - by_campaign - by_campaign_of_one;
    assert_eq!(store.totals_by_affiliate(Some(campaign), from, to, 100).await.unwrap().len(), 20);
    let by_affiliate_of_one = reads(store.pool()).await - before - by_campaign - by_campaign_of_one - by_affiliate;
    store.summary(affiliate).await.unwrap();
    let all = by_campaign + by_campaign_of_one + by_affiliate + by_affiliate_of_one;
    let of_summary = reads(store.pool()).await - before - all;
    for (reads, most) in [
        (by_campaign, 1_500),
        (by_campaign_of_one, 2_000),
        (by_affiliate, 5_000),
        (by_affiliate_of_one, 5_000),
        (of_summary, 800),
    ] {
        assert!(reads < most, "{reads} reads, and not {most}");
    }
}

async fn pages_by_filter_read_few_rows(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let store = filled(&url).await;
    let scopes = [Scope::ALL, parse::<AffiliateId>("1").into(), parse::<CampaignId>("1").into()];
    let request = PageRequest { limit: Limit::new(50).unwrap(), after: None };
    for scope in scopes {
        for to in [None, Some(time(20 * DAY))] {
            let mut clicks = ClickFilter::from(scope);
            clicks.to = to;
            let before = reads(store.pool()).await;
            assert_eq!(store.clicks(&clicks, request).await.unwrap().items.len(), 50);
            let of_clicks = reads(store.pool()).await - before;
            assert!(of_clicks < 800, "{of_clicks} reads for fifty clicks of {clicks:?}");
            for status in [None, Some(ConversionStatus::Pending)] {
                let mut conversions = ConversionFilter::from(scope);
                (conversions.to, conversions.status) = (to, status);
                let before = reads(store.pool()).await;
                assert_eq!(store.conversions(&conversions, request).await.unwrap().items.len(), 50);
                let of_conversions = reads(store.pool()).await - before;
                assert!(of_conversions < 1_000, "{of_conversions} reads for fifty conversions of {conversions:?}");
            }
        }
    }
}

fn by_source(time_limit: Duration) -> Breakdown {
    let (from, to) = (time(0), time(400 * DAY));
    Breakdown { by: Attribute::Source, scope: Scope::ALL, from, to, max_groups: 100_000, time_limit }
}

async fn breakdown_that_takes_too_long_is_given_up(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let store = filled(&url).await;
    let error = store.breakdown(&by_source(Duration::from_millis(1))).await.unwrap_err();
    assert!(matches!(error, StoreError::TooSlow { operation: "break down records" }), "got {error:?}");
    // The only connection goes on.
    let groups = store.breakdown(&by_source(Duration::from_secs(60))).await.unwrap();
    assert_eq!(groups.len(), 8_000);
    assert!(groups.iter().all(|(_, counted)| counted.clicks == 1));
    let fewer = Breakdown { max_groups: 7_999, ..by_source(Duration::from_secs(60)) };
    let error = store.breakdown(&fewer).await.unwrap_err();
    assert!(matches!(error, StoreError::TooManyGroups { max: 7_999 }), "got {error:?}");
    store.ping().await.unwrap();
}

async fn breakdown_does_not_wait_for_locks(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    a_click(&store, place, "abc123").await;
    let mut transaction = store.pool().begin().await.unwrap();
    transaction.execute("UPDATE clicks SET source = 'blog'").await.unwrap();
    let started = Instant::now();
    let groups = store.breakdown(&by_source(Duration::from_secs(30))).await.unwrap();
    assert_eq!((groups.len(), &groups[0].0), (1, &None), "what was committed");
    assert!(started.elapsed() < Duration::from_secs(20));
    transaction.commit().await.unwrap();
    let groups = store.breakdown(&by_source(Duration::from_secs(30))).await.unwrap();
    assert_eq!(groups[0].0.as_deref(), Some("blog"));
}

/// Those of a report's rows, of which there may be a thousand.
async fn affiliates_are_looked_up_together(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(affiliate_and_campaign(&store).await.0);
    }
    let found = futures_util::future::join_all(ids.iter().map(|id| store.affiliate(*id))).await;
    let found: Vec<AffiliateId> = found.into_iter().map(|found| found.unwrap().id).collect();
    assert_eq!(found, ids);
    let unknown = store.affiliate(parse("999999")).await;
    assert!(matches!(unknown, Err(StoreError::UnknownAffiliate(_))));
}
