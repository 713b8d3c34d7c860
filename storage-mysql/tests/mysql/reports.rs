//! Reports and lists by filter: what they read, and when they give up.

use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, MySqlConnection, MySqlPool, Row};
use storage_mysql::{MySqlStore, Options, sqlx};
use test_server::Kind;
use tracking_core::{
    AffiliateId, Attribute, Breakdown, CampaignId, ClickFilter, ConversionFilter, ConversionStatus, Limit, PageRequest,
    Scope, Store, StoreError, Timestamp,
};

use crate::support::*;

on_both_servers! {
    reports_read_few_counters
    ten_years_by_day_are_of_few_counters
    pages_by_filter_read_few_rows
    pages_by_two_conditions_read_few_rows
    page_that_takes_too_long_is_given_up
    breakdown_reads_few_rows
    breakdown_that_takes_too_long_is_given_up
    breakdown_that_was_stopped_does_not_begin_again
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
    for (scope, most) in [(affiliate.into(), 700), (campaign.into(), 500), (Scope::ALL, 700), (both, 1_800)] {
        let before = reads(store.pool()).await;
        assert_eq!(store.totals(scope, &days).await.unwrap().len(), 30);
        let of_days = reads(store.pool()).await - before;
        assert!(of_days < most, "{of_days} reads for thirty days of {scope:?}");
        store.totals(scope, &[from, to]).await.unwrap();
        let of_sum = reads(store.pool()).await - before - of_days;
        assert!(of_sum < 150, "{of_sum} reads for the sum of {scope:?}");
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
        (by_campaign, 200),
        (by_campaign_of_one, 500),
        (by_affiliate, 900),
        (by_affiliate_of_one, 900),
        (of_summary, 50),
    ] {
        assert!(reads < most, "{reads} reads, and not {most}");
    }
}

/// More counters than one statement asks for.
async fn ten_years_by_day_are_of_few_counters(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let store = filled(&url).await;
    let (affiliate, campaign): (AffiliateId, CampaignId) = (parse("1"), parse("1"));
    let both = Scope { affiliate_id: Some(affiliate), campaign_id: Some(campaign) };
    let days = bounds(3_660);
    for (scope, most) in [(affiliate.into(), 30_000), (both, 160_000)] {
        let before = reads(store.pool()).await;
        let by_day = store.totals(scope, &days).await.unwrap();
        let reads = reads(store.pool()).await - before;
        assert!(reads < most, "{reads} reads for ten years of {scope:?}");
        let sum = store.totals(scope, &[days[0], days[3_660]]).await.unwrap();
        assert!(sum[0].clicks > 0);
        assert_eq!(by_day.iter().map(|day| day.clicks).sum::<u64>(), sum[0].clicks);
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

/// One affiliate has nearly all, and what is asked for is rare and old.
async fn pages_by_two_conditions_read_few_rows(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let store = filled(&url).await;
    for change in [
        "UPDATE clicks SET affiliate_id = IF(id % 100 = 50, 2, 1), campaign_id = IF(id <= 60, 20, 1)",
        "UPDATE conversions SET affiliate_id = IF(id % 100 = 50, 2, 1), campaign_id = IF(id <= 60, 20, 1),
            status = IF(id <= 60, 'rejected', 'approved')",
        "ANALYZE TABLE clicks, conversions",
    ] {
        store.pool().execute(change).await.unwrap();
    }
    let request = PageRequest { limit: Limit::new(50).unwrap(), after: None };
    let scope = |affiliate: &str, campaign: &str| Scope {
        affiliate_id: Some(parse(affiliate)),
        campaign_id: Some(parse(campaign)),
    };
    let (rare, other, common) = (scope("1", "20"), scope("2", "1"), scope("1", "1"));
    let rejected = Some(ConversionStatus::Rejected);
    let of_affiliate = Scope { campaign_id: None, ..rare };
    let of_campaign = Scope { affiliate_id: None, ..rare };
    let wanted = [
        (rare, None),
        (other, None),
        (other, Some(ConversionStatus::Approved)),
        (rare, rejected),
        (of_affiliate, rejected),
        (of_campaign, rejected),
        (common, rejected),
    ];
    for (from, (scope, status)) in
        [None, Some(time(0))].into_iter().flat_map(|from| wanted.map(|wanted| (from, wanted)))
    {
        let mut clicks = ClickFilter::from(scope);
        clicks.from = from;
        let mut conversions = ConversionFilter::from(scope);
        (conversions.from, conversions.status) = (from, status);
        let before = reads(store.pool()).await;
        let found = store.clicks(&clicks, request).await.unwrap().items;
        let of_clicks = reads(store.pool()).await - before;
        assert_eq!(found.len(), 50, "{clicks:?}");
        assert!(of_clicks < 800, "{of_clicks} reads for fifty clicks of {clicks:?}");
        let found = store.conversions(&conversions, request).await.unwrap().items;
        let of_conversions = reads(store.pool()).await - before - of_clicks;
        let there = if (scope, status) == (common, rejected) { 0 } else { 50 };
        assert_eq!(found.len(), there, "{conversions:?}");
        assert!(of_conversions < 1_000, "{of_conversions} reads for fifty conversions of {conversions:?}");
    }
}

/// A connection for which everybody waits who wants clicks.
async fn locked(url: &str) -> MySqlConnection {
    let mut connection = url.parse::<MySqlConnectOptions>().unwrap().connect().await.unwrap();
    connection.execute("LOCK TABLES clicks WRITE").await.unwrap();
    connection
}

/// Which connections to the database wait for a table.
async fn waiting(connection: &mut MySqlConnection, url: &str) -> Vec<String> {
    let database = url.rsplit('/').next().unwrap();
    let rows = connection.fetch_all("SHOW FULL PROCESSLIST").await.unwrap();
    let text =
        |row: &MySqlRow, column: &str| row.try_get_unchecked::<Option<String>, _>(column).unwrap().unwrap_or_default();
    let is_waiting =
        |row: &&MySqlRow| text(row, "db") == database && text(row, "State").starts_with("Waiting for table");
    rows.iter().filter(is_waiting).map(|row| text(row, "Id")).collect()
}

async fn page_that_takes_too_long_is_given_up(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let pool = pool(&url).await;
    let (affiliate_id, campaign_id) = affiliate_and_campaign(&store_on(pool.clone(), Options::default()).await).await;
    let store = MySqlStore::with_options(pool, Options::default().timeout(Duration::from_millis(300)));
    let scope = Scope { affiliate_id: Some(affiliate_id), campaign_id: Some(campaign_id) };
    let mut connection = locked(&url).await;
    let error = store.clicks(&scope.into(), PageRequest::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::TooSlow { operation: "list clicks" }), "got {error:?}");
    let error = store.conversions(&scope.into(), PageRequest::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::TooSlow { operation: "list conversions" }), "got {error:?}");
    assert_eq!(waiting(&mut connection, &url).await, [""; 0], "the server has given it up, too");
}

fn by_source(time_limit: Duration) -> Breakdown {
    let (from, to) = (time(0), time(400 * DAY));
    Breakdown { by: Attribute::Source, scope: Scope::ALL, from, to, max_groups: 100_000, time_limit }
}

async fn breakdown_reads_few_rows(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let store = filled(&url).await;
    let (affiliate, campaign): (AffiliateId, CampaignId) = (parse("1"), parse("1"));
    let both = Scope { affiliate_id: Some(affiliate), campaign_id: Some(campaign) };
    let scopes = [(Scope::ALL, 900), (affiliate.into(), 45), (campaign.into(), 180), (both, 9)];
    // The last click of all bears a time in the middle: the ids of the period tell little any more.
    let far = "INSERT INTO clicks (id, affiliate_id, campaign_id, click_id, timestamp, source)
        VALUES (1000000000, 1, 1, 'far', '2024-01-12', 'far')";
    for is_far in [false, true] {
        if is_far {
            store.pool().execute(far).await.unwrap();
        }
        for ((scope, clicks), by) in
            scopes.into_iter().flat_map(|of| [Attribute::Source, Attribute::Event].map(|by| (of, by)))
        {
            let (from, to) = (time(10 * DAY), time(15 * DAY));
            let wanted = Breakdown { by, scope, from, to, ..by_source(Duration::from_secs(60)) };
            let before = reads(store.pool()).await;
            let groups = store.breakdown(&wanted).await.unwrap();
            let read = reads(store.pool()).await - before;
            let sum = groups
                .iter()
                .fold((0, 0), |sum, (_, of)| (sum.0 + of.clicks, sum.1 + of.conversions() + of.rejected.conversions));
            let expected = if by == Attribute::Source { clicks + u64::from(is_far) } else { 0 };
            assert_eq!(sum, (expected, clicks), "{wanted:?}");
            // What is passed on the way, the keys, clicks of conversions, and the groups.
            let most = 12 * clicks + 300;
            assert!(read < most, "{read} reads, and not {most}, for {clicks} clicks of {wanted:?}");
        }
    }
}

async fn breakdown_that_takes_too_long_is_given_up(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let store = filled(&url).await;
    let mut connection = locked(&url).await;
    for limit in [0, 300] {
        let error = store.breakdown(&by_source(Duration::from_millis(limit))).await.unwrap_err();
        assert!(matches!(error, StoreError::TooSlow { operation: "break down records" }), "got {error:?}");
        assert_eq!(waiting(&mut connection, &url).await, [""; 0], "the server has given it up, too");
    }
    connection.execute("UNLOCK TABLES").await.unwrap();
    // The only connection goes on.
    let groups = store.breakdown(&by_source(Duration::from_secs(60))).await.unwrap();
    assert_eq!(groups.len(), 8_000);
    assert!(groups.iter().all(|(_, counted)| counted.clicks == 1));
    let fewer = Breakdown { max_groups: 7_999, ..by_source(Duration::from_secs(60)) };
    let error = store.breakdown(&fewer).await.unwrap_err();
    assert!(matches!(error, StoreError::TooManyGroups { max: 7_999 }), "got {error:?}");
    store.ping().await.unwrap();
}

async fn breakdown_that_was_stopped_does_not_begin_again(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let store = store_on(pool(&url).await, Options::default()).await;
    for kill in ["KILL QUERY", "KILL CONNECTION"] {
        let mut connection = locked(&url).await;
        let stop = async {
            let id = loop {
                if let Some(id) = waiting(&mut connection, &url).await.pop() {
                    break id;
                }
            };
            connection.execute(AssertSqlSafe(format!("{kill} {id}"))).await.unwrap();
            connection.execute("UNLOCK TABLES").await.unwrap();
        };
        let wanted = by_source(Duration::from_secs(60));
        let (done, ()) = tokio::join!(store.breakdown(&wanted), stop);
        let error = done.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { operation: "break down records", .. }), "{kill}: {error:?}");
    }
    store.breakdown(&by_source(Duration::from_secs(60))).await.unwrap();
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
