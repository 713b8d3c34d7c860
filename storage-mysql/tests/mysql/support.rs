//! Databases for tests, and what is put into them.

use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, MySqlPool, Row};
use storage_mysql::{MySqlStore, Options, sqlx};
use test_server::{Kind, Server};
use tracking_core::{
    AffiliateId, CampaignId, CampaignRules, Click, ClickDetails, ConversionStatus, Cursor, DestinationUrl, EventName,
    Limit, NewAffiliate, NewCampaign, NewClick, NewConversion, PageRequest, ParseError, PostbackAccess, Recorded,
    Store, SubIds, Summary, Timestamp, VisitorHash, VisitorHashes,
};

/// Emits each of these `async fn(Kind)` as a test on MariaDB and as one on MySQL.
macro_rules! on_both_servers {
    ($($(#[$attribute:meta])* $test:ident)+) => {
        mod mariadb {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                super::$test(test_server::Kind::MariaDb).await;
            })+
        }

        mod mysql {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                super::$test(test_server::Kind::MySql).await;
            })+
        }
    };
}

/// The URL of an empty database on the server that all tests of this process share; `None` if that can't be had.
pub(crate) async fn database(kind: Kind) -> Option<String> {
    Some(create_database(Server::shared(kind)?.url()).await)
}

/// Creates a database on this server, and returns its URL.
pub(crate) async fn create_database(server: &str) -> String {
    static CREATED: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", CREATED.fetch_add(1, Ordering::Relaxed));
    let mut connection = server.parse::<MySqlConnectOptions>().unwrap().connect().await.unwrap();
    // The name is made here.
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    format!("{server}/{name}")
}

/// Such a pool as an application has.
pub(crate) async fn pool(url: &str) -> MySqlPool {
    MySqlPoolOptions::new().max_connections(8).connect(url).await.unwrap()
}

/// A store with its tables on the application's pool.
pub(crate) async fn store_on(pool: MySqlPool, options: Options) -> MySqlStore {
    let store = MySqlStore::with_options(pool, options);
    store.migrate().await.unwrap();
    store
}

/// An empty store.
pub(crate) async fn store(kind: Kind) -> Option<MySqlStore> {
    let url = database(kind).await?;
    Some(store_on(pool(&url).await, Options::default()).await)
}

pub(crate) fn parse<T: FromStr<Err = ParseError>>(text: &str) -> T {
    text.parse().unwrap()
}

pub(crate) fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_704_067_200_000 + millis).unwrap()
}

pub(crate) async fn affiliate_and_campaign(store: &MySqlStore) -> (AffiliateId, CampaignId) {
    let affiliate = NewAffiliate { id: None, name: parse("Ada's reviews"), created_at: time(0) };
    let destination = parse("https://shop.example/?ref={click_id}");
    let campaign = new_campaign(destination);
    let affiliate = store.insert_affiliate(affiliate).await.unwrap().into_record();
    (affiliate.id, store.insert_campaign(campaign).await.unwrap().into_record().id)
}

/// One that anybody may send postbacks of.
pub(crate) fn new_campaign(destination: DestinationUrl) -> NewCampaign {
    let (rules, access) = (CampaignRules::default(), PostbackAccess::open());
    NewCampaign { id: None, name: parse("Shop"), destination, rules, access, created_at: time(0) }
}

pub(crate) fn new_click((affiliate_id, campaign_id): (AffiliateId, CampaignId), click_id: &str) -> NewClick {
    let (click_id, details) = (parse(click_id), ClickDetails::default());
    NewClick { affiliate_id, campaign_id, click_id, created_at: time(1), details, visitor: None }
}

/// The click of a visitor who is known by this number.
pub(crate) fn new_visit(place: (AffiliateId, CampaignId), click_id: &str, visitor: u8) -> NewClick {
    let hash = |byte| VisitorHash::from_bytes([byte; 16]);
    let visitor = VisitorHashes { today: hash(visitor), yesterday: hash(visitor | 128) };
    NewClick { visitor: Some(visitor), ..new_click(place, click_id) }
}

/// 10 USD.
pub(crate) fn new_conversion(click: &Click) -> NewConversion {
    NewConversion {
        click: click.clone(),
        alternatives: Vec::new(),
        event: EventName::default(),
        transaction_id: None,
        amount: parse("10"),
        currency: parse("USD"),
        payout: None,
        status: ConversionStatus::Approved,
        occurred_at: None,
        sub_ids: SubIds::default(),
        created_at: time(2),
        is_only_one: false,
        daily_cap: None,
    }
}

pub(crate) async fn a_click(store: &MySqlStore, place: (AffiliateId, CampaignId), click_id: &str) -> Click {
    match store.insert_click(new_click(place, click_id)).await.unwrap() {
        Recorded::New(click) => click,
        Recorded::Duplicate(click) => panic!("{click:?} was there already"),
    }
}

/// The summary, which must be what counting both lists gives, and all counters must agree with it.
pub(crate) async fn recount(store: &MySqlStore, affiliate: AffiliateId) -> Summary {
    let limit = Limit::new(Limit::MAX).unwrap();
    let mut recount = Summary::default();
    let mut after: Option<Cursor> = None;
    loop {
        let page = store.clicks(&affiliate.into(), PageRequest { limit, after }).await.unwrap();
        page.items.iter().for_each(|click| recount.count_click(&click.details));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    loop {
        let page = store.conversions(&affiliate.into(), PageRequest { limit, after }).await.unwrap();
        page.items.iter().for_each(|row| recount.count_conversion(row));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let summary = store.summary(affiliate).await.unwrap();
    assert_eq!(summary, recount, "the summary must equal a recount");
    assert_counters(store.pool(), "").await;
    summary
}

/// What the series of counters are of: their numbers, starts, owners and parts.
pub(crate) fn series() -> Vec<(u8, String, &'static str, &'static str)> {
    let minutes = "TIMESTAMPDIFF(MINUTE, '1970-01-01 00:00:00', timestamp)";
    let days = |date: &str| format!("TIMESTAMPDIFF(DAY, '1970-01-01', {date}) * 96");
    let starts = [
        format!("{minutes} DIV 15"),
        format!("{minutes} DIV 60 * 4"),
        format!("{minutes} DIV 360 * 24"),
        days("DATE(timestamp)"),
        days("DATE(DATE_FORMAT(timestamp, '%Y-%m-01')) + INTERVAL 10 * LEAST((DAY(timestamp) - 1) DIV 10, 2) DAY"),
        days("DATE(DATE_FORMAT(timestamp, '%Y-01-01'))"),
    ];
    let counted = [
        (10, &[1][..], ("affiliate_id", "campaign_id")),
        (10, &[4, 5, 6], ("campaign_id", "affiliate_id")),
        (20, &[2, 3, 4, 5, 6], ("affiliate_id", "0")),
        (30, &[1, 2, 3, 4, 5, 6], ("campaign_id", "0")),
        (40, &[1, 2, 3, 4, 5, 6], ("0", "0")),
    ];
    let of = |(first, spans, (owner, part)): (u8, &'static [u8], _)| {
        let start = |span: u8| starts[usize::from(span) - 1].clone();
        spans.iter().map(move |span| (first + span, start(*span), owner, part)).collect::<Vec<_>>()
    };
    counted.into_iter().flat_map(of).collect()
}

/// All counters must be what counting the rows gives.
pub(crate) async fn assert_counters(pool: &MySqlPool, prefix: &str) {
    let rows = format!(
        "SELECT affiliate_id, campaign_id, timestamp, '' AS currency, 'approved' AS status, 1 AS clicks,
            bot = '' AS human_clicks, bot = '' AND is_repeat = 0 AS unique_clicks, 0 AS conversions, 0 AS amount,
            0 AS payout FROM {prefix}clicks
         UNION ALL
            SELECT affiliate_id, campaign_id, timestamp, currency, status, 0, 0, 0, 1, amount, 0
            FROM {prefix}conversions
         UNION ALL
            SELECT affiliate_id, campaign_id, timestamp, payout_currency, status, 0, 0, 0, 0, 0, payout
            FROM {prefix}conversions WHERE payout IS NOT NULL"
    );
    let of_series = series().into_iter().map(|(series, start, owner, part)| {
        format!("SELECT {series} AS series, {start} AS start, {owner} AS owner, {part} AS part, r.* FROM ({rows}) r")
    });
    let of_series = of_series.collect::<Vec<_>>().join(" UNION ALL ");
    let of_status = |column: &str, status: &str| format!("CASE WHEN status = '{status}' THEN {column} ELSE 0 END");
    let statuses = ["pending", "approved", "rejected"];
    let digits = [("conversions", 0), ("amount", 6), ("payout", 12)];
    let sum =
        |what: &str, digits: u32| format!("CAST(CAST(COALESCE(SUM({what}), 0) AS DECIMAL(38, {digits})) AS CHAR)");
    let clicks = ["clicks", "human_clicks", "unique_clicks"].map(|column| sum(column, 0)).join(", ");
    let sums = |column: &dyn Fn(&str, &str) -> String| {
        let sums = statuses.iter().flat_map(|status| {
            digits.iter().map(|(name, digits)| sum(&column(name, status), *digits)).collect::<Vec<_>>()
        });
        sums.collect::<Vec<_>>().join(", ")
    };
    let key = "CAST(series AS CHAR) AS a, CAST(CAST(start AS SIGNED) AS CHAR) AS b, CAST(owner AS CHAR) AS c,
        CAST(part AS CHAR) AS d, CAST(currency AS CHAR) AS e";
    let read = async |sql: String| -> Vec<Vec<String>> {
        // The statement is made here.
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(pool).await.unwrap();
        let texts = |row: &sqlx::mysql::MySqlRow| (0..row.len()).map(|column| row.get::<String, _>(column)).collect();
        // Where nothing is left after a change of status, a row may be left.
        let is_something = |row: &Vec<String>| row[5..].iter().any(|sum| sum.contains(|c| ('1'..='9').contains(&c)));
        rows.iter().map(texts).filter(is_something).collect()
    };
    let counted = read(format!(
        "SELECT {key}, {clicks}, {} FROM ({}) s GROUP BY a, b, c, d, e ORDER BY a, b, c, d, e",
        sums(&of_status),
        of_series
    ));
    let counters = read(format!(
        "SELECT {key}, {clicks}, {} FROM {prefix}figures GROUP BY a, b, c, d, e ORDER BY a, b, c, d, e",
        sums(&|column, status| format!("{status}_{column}"))
    ));
    assert_eq!(counters.await, counted.await, "the counters must equal a recount");
}
