//! The tables, from nothing and from each earlier version.

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, Executor, MySqlPool, Row};
use storage_mysql::{MigrateError, Migrated, MySqlStore, Options, sqlx};
use test_server::Kind;
use tracking_core::{
    AffiliateId, BotReason, CampaignRules, ChangedBy, Click, ClickDetails, ConversionStatus, KeySecret, Limit,
    NewAffiliate, NewCampaign, NewClick, NewConversion, PageRequest, PostbackAccess, PostbackAuth, PurgeRequest,
    StatusChange, Store, StoreError, SubIds, UserAgent,
};

use crate::support::*;

on_both_servers! {
    migrating_again_does_nothing
    many_may_migrate_at_once
    prefixes_keep_two_trackers_apart
    foreign_tables_are_left_alone
    newer_tables_are_left_alone
    migration_that_was_broken_off_is_finished
    version_1_is_upgraded_with_its_data
    version_2_is_upgraded_with_its_data
    version_3_is_upgraded_with_its_data
    version_4_is_upgraded_with_its_data
    upgrades_end_with_the_same_tables
    upgrade_from_version_3_that_was_broken_off_is_finished
    upgrade_from_version_4_that_was_broken_off_is_finished
    counters_that_are_half_made_are_finished
    upgrade_leaves_foreign_tables_alone
    upgrade_rewrites_no_clicks
    upgrade_rewrites_counters_in_steps
    upgrade_that_was_broken_off_is_finished
    sessions_without_autocommit_are_refused
    sessions_of_the_application_are_left_as_they_were
    store_does_not_depend_on_the_session
}

async fn migrating_again_does_nothing(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    a_click(&store, place, "abc123").await;
    assert_eq!(store.migrate().await.unwrap(), Migrated { from: LATEST, to: LATEST });
    assert_eq!(recount(&store, place.0).await.clicks, 1);
}

async fn many_may_migrate_at_once(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { store_on(pool(&url).await, Options::default()).await })
        })
        .collect();
    for call in calls {
        let store = call.await.unwrap();
        let place = affiliate_and_campaign(&store).await;
        a_click(&store, place, "abc123").await;
        recount(&store, place.0).await;
    }
}

async fn prefixes_keep_two_trackers_apart(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let pool = pool(&url).await;
    let mut stores = Vec::new();
    for prefix in ["", "a_", "B2_"] {
        let options = Options::default().table_prefix(prefix.parse().unwrap());
        stores.push((prefix, store_on(pool.clone(), options).await));
    }
    for (prefix, store) in &stores {
        let place = affiliate_and_campaign(store).await;
        let click = a_click(store, place, "abc123").await;
        store.insert_conversion(new_conversion(&click)).await.unwrap();
        assert_eq!(store.summary(place.0).await.unwrap().conversions(), 1);
        assert_counters(store.pool(), prefix).await;
    }
}

async fn foreign_tables_are_left_alone(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let pool = pool(&url).await;
    pool.execute("CREATE TABLE campaigns (subject VARCHAR(100))").await.unwrap();
    let store = MySqlStore::new(pool.clone());
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(&error, MigrateError::ForeignTable(name) if name == "campaigns"), "got {error:?}");
    assert!(error.to_string().contains("set a table prefix"), "got {error}");
    let tables = pool.fetch_all("SHOW TABLES").await.unwrap();
    assert_eq!(tables.len(), 1, "nothing was created");
    store_on(pool, Options::default().table_prefix("tracking_".parse().unwrap())).await;
}

async fn newer_tables_are_left_alone(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    store.pool().execute("INSERT INTO tracking_migrations (version, step) VALUES (999, 1)").await.unwrap();
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, MigrateError::TooNew { found: 999, .. }), "got {error:?}");
}

/// The version that there is no later one of.
const LATEST: u32 = MIGRATIONS.len() as u32;

const MIGRATIONS: [&str; 5] = [
    include_str!("../../migrations/1_records.sql"),
    include_str!("../../migrations/2_counters.sql"),
    include_str!("../../migrations/3_visits.sql"),
    include_str!("../../migrations/4_postbacks.sql"),
    include_str!("../../migrations/5_reports.sql"),
];

/// The statements of the migration to this version.
fn statements(version: usize, kind: Kind) -> Vec<String> {
    let migration = MIGRATIONS[version - 1].replace("{prefix}", "").replace("{bytewise}", bytewise(kind));
    let is_comment = |line: &str| line.is_empty() || line.starts_with("--");
    migration.split(";\n").filter(|part| !part.lines().all(is_comment)).map(str::to_owned).collect()
}

/// Does what a process has done of a migration that was killed after so many statements. What changes tables is noted after
/// it is done, and what changes rows at the same time.
async fn break_off(pool: &MySqlPool, kind: Kind, version: usize, after: usize) {
    for (step, statement) in (1..=after).zip(statements(version, kind)) {
        let changes_rows = ["INSERT INTO ", "\nUPDATE "].iter().any(|verb| format!("\n{statement}").contains(verb));
        let goes_in_steps = statement.lines().last().is_some_and(|line| line.starts_with("LIMIT "));
        while pool.execute(AssertSqlSafe(statement.clone())).await.unwrap().rows_affected() > 0 && goes_in_steps {}
        if step < after || changes_rows {
            let note = format!("INSERT INTO tracking_migrations (version, step) VALUES ({version}, {step})");
            pool.execute(AssertSqlSafe(note)).await.unwrap();
        }
    }
}

async fn migration_that_was_broken_off_is_finished(kind: Kind) {
    for version in 1..=MIGRATIONS.len() {
        for after in 0..statements(version, kind).len() {
            let Some(url) = database(kind).await else { return };
            let pool = pool(&url).await;
            let notes = "CREATE TABLE tracking_migrations (version INT NOT NULL, step INT NOT NULL,
                PRIMARY KEY (version, step)) ENGINE = InnoDB";
            pool.execute(notes).await.unwrap();
            for earlier in 1..version {
                break_off(&pool, kind, earlier, statements(earlier, kind).len()).await;
            }
            break_off(&pool, kind, version, after + 1).await;
            let store = store_on(pool, Options::default()).await;
            let place = affiliate_and_campaign(&store).await;
            let click = a_click(&store, place, "abc123").await;
            store.insert_conversion(new_conversion(&click)).await.unwrap();
            assert_eq!(recount(&store, place.0).await.conversions(), 1);
            store.pool().close().await;
        }
    }
}

async fn upgrade_from_version_3_that_was_broken_off_is_finished(kind: Kind) {
    for after in 1..=statements(4, kind).len() {
        let Some(url) = database(kind).await else { return };
        let pool = pool(&url).await;
        tables_of(3, &pool, kind).await;
        break_off(&pool, kind, 4, after).await;
        let store = MySqlStore::new(pool);
        store.migrate().await.unwrap();
        assert_eq!(recount(&store, parse("1")).await.conversions(), 4, "after {after}");
        assert_keys_are_kept(&store).await;
        assert_eq!(store.migrate().await.unwrap(), Migrated { from: LATEST, to: LATEST });
        store.pool().close().await;
    }
}

async fn upgrade_from_version_4_that_was_broken_off_is_finished(kind: Kind) {
    for after in 1..=statements(5, kind).len() {
        let Some(url) = database(kind).await else { return };
        let pool = pool(&url).await;
        tables_of(4, &pool, kind).await;
        // Of other statuses, and with a payout in another currency.
        for (id, status, amount) in [(5, "pending", 5), (6, "rejected", 7)] {
            let statement = format!(
                "INSERT INTO conversions (id, click_id, affiliate_id, campaign_id, event, transaction_id, amount, currency,
                    timestamp, status, payout, payout_currency)
                    VALUES ({id}, 2, 1, 10, '{status}', '', {amount}, 'USD', '2024-01-09 13:37:00', '{status}', 2.5, 'EUR');
                 INSERT INTO counters (affiliate_id, quarter_hour, campaign_id, currency, status, slot, clicks, conversions,
                    amount, payout) VALUES (1, '2024-01-09 13:30:00', 10, 'USD', '{status}', 2, 0, 1, {amount}, 0),
                    (1, '2024-01-09 13:30:00', 10, 'EUR', '{status}', 2, 0, 0, 0, 2.5)"
            );
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&pool).await.unwrap();
        }
        break_off(&pool, kind, 5, after).await;
        let store = MySqlStore::new(pool);
        store.migrate().await.unwrap();
        let summary = recount(&store, parse("1")).await;
        let conversions = [&summary.pending, &summary.approved, &summary.rejected].map(|tally| tally.conversions);
        assert_eq!(conversions, [1, 4, 1], "after {after}");
        assert_eq!(store.migrate().await.unwrap(), Migrated { from: LATEST, to: LATEST });
        store.pool().close().await;
    }
}

/// One that is killed between two parts of what goes in steps.
async fn counters_that_are_half_made_are_finished(kind: Kind) {
    let all = statements(5, kind);
    let in_steps = all.iter().enumerate().filter(|(_, statement)| statement.contains("INSERT INTO figures"));
    let positions: Vec<usize> = in_steps.map(|(position, _)| position).collect();
    assert_eq!(positions.len(), 6);
    for position in positions {
        counters_that_are_half_made_by(position, kind).await;
    }
}

async fn counters_that_are_half_made_by(position: usize, kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let pool = pool(&url).await;
    tables_of(4, &pool, kind).await;
    break_off(&pool, kind, 5, position).await;
    let statement = statements(5, kind).remove(position);
    assert!(sqlx::raw_sql(AssertSqlSafe(statement)).execute(&pool).await.unwrap().rows_affected() > 0);
    let store = MySqlStore::new(pool);
    store.migrate().await.unwrap();
    assert_eq!(recount(&store, parse("1")).await.clicks, 5, "broken off in statement {position}");
    store.pool().close().await;
}

/// Campaigns of version 3: one that is open, and one with a key.
async fn assert_keys_are_kept(store: &MySqlStore) {
    let shop = store.campaign(parse("10")).await.unwrap();
    assert_eq!((shop.access, shop.rules), (PostbackAccess::open(), CampaignRules::default()));
    assert_eq!((shop.paused_at, shop.version), (None, 1));
    let club = store.campaign(parse("11")).await.unwrap();
    assert_eq!(club.access.auth, PostbackAuth::Key);
    let [key] = &club.access.keys[..] else { panic!("it has one key: {:?}", club.access) };
    assert_eq!((key.id, key.created_at, key.expires_at), (1, club.created_at, None));
    assert_eq!(key.created_at.to_string(), "2024-01-01T00:00:00.007Z");
    let KeySecret::Token(hash) = &key.secret else { panic!("it is a token") };
    assert!(hash.matches("pbk_of_the_club"));
    let affiliate = store.affiliate(parse("2")).await.unwrap();
    assert_eq!((affiliate.paused_at, affiliate.version), (None, 1));
}

/// Tables and rows as an earlier version made them, long ago.
async fn tables_of(version: u32, pool: &MySqlPool, kind: Kind) {
    let script = match version {
        1 => include_str!("../upgrades/1.sql"),
        2 => include_str!("../upgrades/2.sql"),
        3 => include_str!("../upgrades/3.sql"),
        4 => include_str!("../upgrades/4.sql"),
        _ => panic!("there are no tables of version {version}"),
    };
    let script = script.replace("{bytewise}", bytewise(kind));
    sqlx::raw_sql(AssertSqlSafe(script)).execute(pool).await.unwrap();
}

/// How texts are stored that compare byte by byte.
fn bytewise(kind: Kind) -> &'static str {
    match kind {
        Kind::MariaDb => "CHARACTER SET ascii COLLATE ascii_nopad_bin",
        Kind::MySql => "CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin",
    }
}

async fn version_1_is_upgraded_with_its_data(kind: Kind) {
    _ = version_is_upgraded_with_its_data(1, kind).await;
}

async fn version_2_is_upgraded_with_its_data(kind: Kind) {
    _ = version_is_upgraded_with_its_data(2, kind).await;
}

async fn version_3_is_upgraded_with_its_data(kind: Kind) {
    let store = version_is_upgraded_with_its_data(3, kind).await;
    let Some(store) = store else { return };
    assert_keys_are_kept(&store).await;
    // What is there counts as approved, and can be rejected.
    let conversions = store.conversions(&parse::<AffiliateId>("1").into(), PageRequest::default()).await.unwrap().items;
    let sale = conversions.iter().find(|row| row.currency == parse("EUR")).unwrap();
    assert_eq!((sale.status, sale.payout, &sale.sub_ids), (ConversionStatus::Approved, None, &SubIds::default()));
    let change = StatusChange {
        from: ConversionStatus::Approved,
        to: ConversionStatus::Rejected,
        changed_at: time(0),
        changed_by: ChangedBy::Admin,
        reason: None,
    };
    store.change_status(sale.id, change).await.unwrap().unwrap();
    let summary = recount(&store, parse("1")).await;
    assert_eq!((summary.approved.conversions, summary.rejected.conversions), (3, 1));
    let new = NewConversion { daily_cap: Some(1), ..new_conversion(&click_of(&store, "abc").await) };
    let new = NewConversion { created_at: time(46 * 60 * 1000), transaction_id: Some(parse("order-2")), ..new };
    let error = store.insert_conversion(new).await.unwrap_err();
    assert!(matches!(error, StoreError::DailyCapReached { cap: 1 }), "got {error:?}");
}

async fn version_4_is_upgraded_with_its_data(kind: Kind) {
    let Some(store) = version_is_upgraded_with_its_data(4, kind).await else { return };
    assert_keys_are_kept(&store).await;
    let affiliate = store.affiliate(parse("3")).await.unwrap();
    let paused_at = Some(parse("2024-02-01T00:00:00.003Z"));
    assert_eq!((affiliate.paused_at, affiliate.revoked_at, affiliate.version), (paused_at, None, 2));
}

/// As if they had been of the latest version from the beginning.
async fn upgrades_end_with_the_same_tables(kind: Kind) {
    let Some(fresh) = store(kind).await else { return };
    let expected = tables(fresh.pool()).await;
    for version in 1..LATEST {
        let Some(url) = database(kind).await else { return };
        let pool = pool(&url).await;
        tables_of(version, &pool, kind).await;
        let store = MySqlStore::new(pool);
        store.migrate().await.unwrap();
        assert_eq!(tables(store.pool()).await, expected, "from version {version}");
        store.pool().close().await;
    }
}

/// How the tables are to be created again, but for the numbers that come next.
async fn tables(pool: &MySqlPool) -> Vec<String> {
    let mut tables = Vec::new();
    for row in pool.fetch_all("SHOW TABLES").await.unwrap() {
        let name: String = row.get(0);
        let row = pool.fetch_one(AssertSqlSafe(format!("SHOW CREATE TABLE {name}"))).await.unwrap();
        let words: Vec<String> = row.get::<String, _>(1).split(' ').map(str::to_owned).collect();
        tables
            .push(words.into_iter().filter(|word| !word.starts_with("AUTO_INCREMENT=")).collect::<Vec<_>>().join(" "));
    }
    tables
}

async fn click_of(store: &MySqlStore, id: &str) -> Click {
    store.find_clicks(parse("1"), Some(parse("10")), &parse(id)).await.unwrap().remove(0)
}

async fn version_is_upgraded_with_its_data(version: u32, kind: Kind) -> Option<MySqlStore> {
    let url = database(kind).await?;
    let pool = pool(&url).await;
    tables_of(version, &pool, kind).await;
    let store = MySqlStore::new(pool);
    assert_eq!(store.migrate().await.unwrap(), Migrated { from: version, to: LATEST });
    let summary = recount(&store, parse("1")).await;
    assert_eq!((summary.clicks, summary.conversions()), (5, 4));
    assert_eq!((summary.human_clicks, summary.unique_clicks), (5, 5), "nobody has judged them");
    let revenue: Vec<String> = summary.revenue().iter().map(|(currency, sum)| format!("{sum} {currency}")).collect();
    assert_eq!(revenue, ["0.000001 EUR", "1000000000010.05 USD"]);
    assert_eq!(recount(&store, parse("2")).await.clicks, 1);
    assert_eq!(store.summary(parse("3")).await.unwrap(), tracking_core::Summary::default());

    // It goes on from there.
    let click = store.find_clicks(parse("1"), None, &parse("late")).await.unwrap().remove(0);
    assert_eq!(click.details, ClickDetails::default(), "nothing is known of its visit");
    assert!(store.insert_conversion(new_conversion(&click)).await.unwrap().is_duplicate());
    let place = (parse("1"), parse("10"));
    a_click(&store, place, "after-the-upgrade").await;
    for (id, is_repeat) in [("visit", false), ("another", true)] {
        let click = store.insert_click(new_visit(place, id, 1)).await.unwrap().into_record();
        assert_eq!(click.details.is_repeat, is_repeat);
    }
    let summary = recount(&store, parse("1")).await;
    assert_eq!((summary.clicks, summary.human_clicks, summary.unique_clicks), (8, 8, 7));
    Some(store)
}

async fn upgrade_that_was_broken_off_is_finished(kind: Kind) {
    // Killed after the statement that created the table, and before the note of it.
    for (version, table) in [(1, "counters"), (2, "visitors")] {
        let Some(url) = database(kind).await else { return };
        let pool = pool(&url).await;
        tables_of(version, &pool, kind).await;
        let older = self::pool(&database(kind).await.unwrap()).await;
        if version == 1 {
            tables_of(2, &older, kind).await;
        } else {
            store_on(older.clone(), Options::default()).await;
        }
        let row = older.fetch_one(AssertSqlSafe(format!("SHOW CREATE TABLE {table}"))).await.unwrap();
        let create: String = row.get(1);
        pool.execute(AssertSqlSafe(create)).await.unwrap();
        let store = MySqlStore::new(pool);
        assert_eq!(store.migrate().await.unwrap(), Migrated { from: version, to: LATEST });
        assert_eq!(recount(&store, parse("1")).await.clicks, 5);
    }
}

async fn upgrade_leaves_foreign_tables_alone(kind: Kind) {
    for columns in
        ["name VARCHAR(100)", "name VARCHAR(100), first_click DATETIME(3)", "visitor BIGINT, last_click DATETIME"]
    {
        let Some(url) = database(kind).await else { return };
        let pool = pool(&url).await;
        tables_of(2, &pool, kind).await;
        pool.execute(AssertSqlSafe(format!("CREATE TABLE visitors ({columns})"))).await.unwrap();
        let store = MySqlStore::new(pool.clone());
        let error = store.migrate().await.unwrap_err();
        assert!(matches!(&error, MigrateError::ForeignTable(name) if name == "visitors"), "got {error:?}");
        assert!(error.to_string().contains("rename that table"), "got {error}");
        pool.execute("RENAME TABLE visitors TO shop_visitors").await.unwrap();
        assert_eq!(store.migrate().await.unwrap(), Migrated { from: 2, to: LATEST });
    }
}

/// An upgrade of millions of clicks and conversions has to take no longer than one of a few; but for the keys that are new,
/// which are made while clicks and conversions could be recorded.
async fn upgrade_rewrites_no_clicks(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let pool = pool(&url).await;
    tables_of(2, &pool, kind).await;
    let (mut instant, mut in_place) = (0, 0);
    for statement in [statements(3, kind), statements(4, kind), statements(5, kind)].concat() {
        let alters = statement.lines().find(|line| line.starts_with("ALTER TABLE")).unwrap_or_default();
        let adds_columns = statement.contains("ADD COLUMN") && !statement.contains("PRIMARY KEY");
        if adds_columns {
            // Fails where the server can't.
            pool.execute(AssertSqlSafe(format!("{statement}, ALGORITHM = INSTANT"))).await.unwrap();
            instant += usize::from(["ALTER TABLE clicks", "ALTER TABLE conversions"].contains(&alters));
        } else if statement.contains("ADD KEY recent") {
            pool.execute(AssertSqlSafe(format!("{statement}, ALGORITHM = INPLACE, LOCK = NONE"))).await.unwrap();
            in_place += 1;
        } else {
            pool.execute(AssertSqlSafe(statement)).await.unwrap();
        }
    }
    assert_eq!((instant, in_place), (3, 2));
}

async fn upgrade_rewrites_counters_in_steps(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let pool = pool(&url).await;
    tables_of(2, &pool, kind).await;
    for affiliate in 100..150 {
        let rows: Vec<String> = (0..1000)
            .map(|row| format!("({affiliate}, '2024-01-01' + INTERVAL {row} HOUR, 10, '', 0, 2, 0, 0)"))
            .collect();
        let columns = "affiliate_id, quarter_hour, campaign_id, currency, slot, clicks, conversions, amount";
        let statement = format!("INSERT INTO counters ({columns}) VALUES {}", rows.join(", "));
        pool.execute(AssertSqlSafe(statement)).await.unwrap();
    }
    let (one, two) = (MySqlStore::new(pool.clone()), MySqlStore::new(pool.clone()));
    let (one, two) = tokio::join!(one.migrate(), two.migrate());
    assert_eq!((one.unwrap().to, two.unwrap().to), (LATEST, LATEST));
    let left = "SELECT COUNT(*) AS rows_left FROM figures WHERE clicks <> unique_clicks OR clicks <> human_clicks";
    assert_eq!(pool.fetch_one(left).await.unwrap().get::<i64, _>("rows_left"), 0);
    // Two of each, and the six that were there.
    let sums = "SELECT CAST(SUM(clicks) AS SIGNED) AS clicks FROM figures GROUP BY series";
    let sums = pool.fetch_all(sums).await.unwrap();
    assert!(sums.iter().all(|row| row.get::<i64, _>("clicks") == 50 * 1000 * 2 + 6), "each series has all of them");
    assert_eq!(sums.len(), 21);
    let notes = "SELECT COUNT(DISTINCT version) AS versions FROM tracking_migrations";
    assert_eq!(pool.fetch_one(notes).await.unwrap().get::<i64, _>("versions"), i64::from(LATEST));
}

async fn sessions_without_autocommit_are_refused(kind: Kind) {
    let Some(store) = store(kind).await else { return };
    let place = affiliate_and_campaign(&store).await;
    let connect = store.pool().connect_options();
    let pool = MySqlPoolOptions::new().max_connections(2).after_connect(|connection, _| {
        Box::pin(async move { connection.execute("SET autocommit = 0").await.map(drop) })
    });
    let careless = MySqlStore::new(pool.connect_with((*connect).clone()).await.unwrap());
    let error = careless.insert_click(new_click(place, "abc123")).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("autocommit"), "got {source}");
    assert_eq!(recount(&store, place.0).await.clicks, 0);
}

async fn sessions_of_the_application_are_left_as_they_were(kind: Kind) {
    let Some(url) = database(kind).await else { return };
    let pool = MySqlPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    let store = store_on(pool, Options::default()).await;
    let place = affiliate_and_campaign(&store).await;
    store.pool().execute("SET SESSION innodb_lock_wait_timeout = 17, SESSION sql_safe_updates = 1").await.unwrap();
    let click = a_click(&store, place, "abc123").await;
    store.insert_click(new_click(place, "abc123")).await.unwrap();
    store.insert_conversion(new_conversion(&click)).await.unwrap();
    store.insert_conversion(new_conversion(&click)).await.unwrap();
    // By way of a transaction of its own.
    let mut alone = new_conversion(&click);
    alone.alternatives = vec![parse("999")];
    store.insert_conversion(alone).await.unwrap();
    store.insert_click(new_visit(place, "visit", 1)).await.unwrap();
    store.forget_visitors(time(1000)).await.unwrap();
    store.erase_clicks(&parse("abc123"), &parse("erased-1")).await.unwrap();
    let request = PurgeRequest { before: time(1000), limit: Limit::default(), after: None };
    assert_eq!(store.purge_clicks(place.0, request).await.unwrap().deleted, 1);
    let session = "SELECT CAST(@@SESSION.innodb_lock_wait_timeout AS SIGNED) AS wait,
        CAST(@@autocommit AS SIGNED) AS autocommit, CAST(@@SESSION.sql_safe_updates AS SIGNED) AS safe";
    let row = store.pool().fetch_one(session).await.unwrap();
    assert_eq!(["wait", "autocommit", "safe"].map(|setting| row.get::<i64, _>(setting)), [17, 1, 1]);
    let isolation = match kind {
        Kind::MariaDb => "SELECT @@SESSION.tx_isolation AS isolation",
        Kind::MySql => "SELECT @@SESSION.transaction_isolation AS isolation",
    };
    let row = store.pool().fetch_one(isolation).await.unwrap();
    assert_eq!(row.get::<String, _>("isolation"), "REPEATABLE-READ");
}

async fn store_does_not_depend_on_the_session(kind: Kind) {
    for setup in [
        // The server's own time zone, which is none that anybody would like.
        "SET time_zone = DEFAULT",
        "SET time_zone = '-11:00'",
        "SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PIPES_AS_CONCAT'",
        "SET sql_mode = ''",
        "SET NAMES latin1",
        "SET character_set_results = NULL",
        "SET SESSION sql_safe_updates = 1",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    ] {
        let Some(url) = database(kind).await else { return };
        let connect = url.parse::<MySqlConnectOptions>().unwrap().timezone(None).set_names(false);
        let pool = MySqlPoolOptions::new()
            .max_connections(4)
            .after_connect(move |connection, _| Box::pin(async move { connection.execute(setup).await.map(drop) }));
        let store = store_on(pool.connect_with(connect).await.unwrap(), Options::default()).await;
        let place = affiliate_and_campaign(&store).await;
        for id in ["abc", "ABC", r"a\b'c", r#""--;"#] {
            let click = a_click(&store, place, id).await;
            assert_eq!(
                store.find_clicks(place.0, None, &parse(id)).await.unwrap(),
                std::slice::from_ref(&click),
                "after {setup}"
            );
            let conversion = store.insert_conversion(new_conversion(&click)).await.unwrap().into_record();
            let again = store.insert_conversion(new_conversion(&click)).await.unwrap();
            assert_eq!(again, tracking_core::Recorded::Duplicate(conversion), "after {setup}");
            let mut missing = new_conversion(&click);
            missing.click.click_id = parse("missing");
            let error = store.insert_conversion(missing).await.unwrap_err();
            assert!(matches!(error, StoreError::UnknownClick(_)), "{error:?} after {setup}");
        }
        let script = "Ünï 🎈";
        for (visitor, text) in (1..).zip([r"a\b'c", r#""--;"#, "x y; (z)", " ", script, "%_"]) {
            let mut new = new_visit(place, &format!("visit-{visitor}"), visitor);
            new.details.sub_ids = SubIds::new([const { None }; 5].map(|_: Option<()>| Some(parse(text))));
            new.details.source = Some(parse(text));
            new.details.user_agent = UserAgent::new(&format!("Mozilla/5.0 {text}."));
            new.details.ip = Some(parse("2001:db8:1::/48"));
            new.details.bot = Some(BotReason::Prefetch);
            let click = store.insert_click(new).await.unwrap().into_record();
            let found = store.find_clicks(place.0, None, &click.click_id).await.unwrap();
            assert_eq!(found, [click], "after {setup}");
        }
        assert_eq!(store.affiliate(place.0).await.unwrap().created_at, time(0), "after {setup}");
        let new = NewAffiliate { id: None, name: parse(script), created_at: time(1) };
        let affiliate = store.insert_affiliate(new).await.unwrap().into_record();
        assert_eq!(store.affiliate(affiliate.id).await.unwrap(), affiliate, "after {setup}");
        let destination = parse("https://shop.example/?ref={click_id}");
        let new = NewCampaign { name: parse(script), ..new_campaign(destination) };
        let campaign = store.insert_campaign(new).await.unwrap().into_record();
        assert_eq!(store.campaign(campaign.id).await.unwrap(), campaign, "after {setup}");
        assert_eq!(store.campaigns(PageRequest::default()).await.unwrap().items[0], campaign, "after {setup}");
        // The visitor of before, when he is not known any more.
        let late = NewClick { created_at: time(25 * 60 * 60 * 1000), ..new_visit(place, "late", 1) };
        assert!(!store.insert_click(late).await.unwrap().record().details.is_repeat, "after {setup}");
        recount(&store, place.0).await;
        let request = PurgeRequest { before: time(1000), limit: Limit::default(), after: None };
        assert_eq!(store.purge_clicks(place.0, request).await.unwrap().deleted, 6, "after {setup}");
        assert_eq!(store.erase_clicks(&parse(r"a\b'c"), &parse("'erased'")).await.unwrap(), 1, "after {setup}");
        store.forget_visitors(time(26 * 60 * 60 * 1000)).await.unwrap();
        let visits = store.pool().fetch_one("SELECT COUNT(*) AS visits FROM visitors").await.unwrap();
        assert_eq!(visits.get::<i64, _>("visits"), 0, "after {setup}");
    }
}
