//! A database full of clicks, faster than one could record them.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{Display, Write};

use chrono::{DateTime, Datelike};
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, raw_sql};
use storage_mysql::{MySqlStore, Options};
use tracking_core::Timestamp;

/// 2025-01-01T00:00:00Z, in milliseconds.
const FIRST: i64 = 1_735_689_600_000;
const YEAR: i64 = 365 * 24 * 60 * 60 * 1000;
const QUARTER_HOUR: i64 = 15 * 60 * 1000;
const DAY: i64 = 96 * QUARTER_HOUR;
/// So many affiliates and campaigns are there at least, so that lists of them have a whole page.
const LISTED: u32 = 100;
/// The rules of a campaign, and who may send its postbacks: none, and anyone.
const OPEN: &str = r#"'{}', '{"auth":"open"}'"#;
/// One statement's rows.
const CHUNK: usize = 4000;

/// Which clicks there will be. `scripts/load-mysql` knows how they are numbered, spread and named, too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clicks {
    /// Click n is that of affiliate 1 + (n - 1) mod `affiliates`.
    pub(crate) affiliates: u32,
    /// The affiliate's first click is of campaign 1, his next one of campaign 2, and so on around.
    pub(crate) campaigns: u32,
    /// Evenly spread over a year.
    pub(crate) count: u32,
    /// How many of a hundred clicks convert.
    pub(crate) percent: u32,
}

/// Creates the tables, and fills them as if all that had been recorded.
pub(crate) async fn fill(url: &str, clicks: Clicks) -> Result<(), Box<dyn Error>> {
    if clicks.affiliates == 0 || clicks.campaigns == 0 || clicks.percent > 100 {
        return Err("clicks need an affiliate and a campaign, and convert up to 100 of 100".into());
    }
    let store = MySqlStore::connect(url, Options::default()).await?;
    store.migrate().await?;
    let mut connection = store.pool().acquire().await?.detach();
    // Rows are made so that nothing of it can fail.
    connection.execute("SET SESSION unique_checks = 0, foreign_key_checks = 0").await?;
    let affiliates = (1..=clicks.affiliates.max(LISTED)).map(|id| format!("{id}, 'Affiliate {id}', '2024-12-01'"));
    insert(&mut connection, "affiliates (id, name, created_at)", affiliates).await?;
    let campaigns = (1..=clicks.campaigns.max(LISTED))
        .map(|id| format!("{id}, 'Campaign {id}', 'https://shop.example/?ref={{click_id}}', {OPEN}, '2024-12-01'"));
    insert(&mut connection, "campaigns (id, name, destination_url, rules, access, created_at)", campaigns).await?;

    let rows = (1..=clicks.count).map(|n| {
        let click = clicks.click(n);
        let Click { affiliate, campaign, millis, .. } = click;
        format!("{n}, {affiliate}, {campaign}, '{}', '{}'", click.id(), time(millis))
    });
    insert(&mut connection, "clicks (id, affiliate_id, campaign_id, click_id, timestamp)", rows).await?;
    let converted = (1..=clicks.count).filter(|n| clicks.converts(*n));
    let mut conversions = 0;
    let rows = converted.map(|n| {
        let Click { affiliate, campaign, millis, .. } = clicks.click(n);
        conversions += 1;
        let (amount, time) = (amount(n), time(millis));
        format!("{conversions}, {n}, {affiliate}, {campaign}, 'conversion', '', {amount}, 'USD', '{time}'")
    });
    let table =
        "conversions (id, click_id, affiliate_id, campaign_id, event, transaction_id, amount, currency, timestamp)";
    insert(&mut connection, table, rows).await?;
    count(&mut connection, clicks).await?;

    let sequences = format!(
        "UPDATE sequences SET last = {} WHERE name = 'clicks'; \
         UPDATE sequences SET last = {conversions} WHERE name = 'conversions'",
        clicks.count
    );
    // Numbers only.
    raw_sql(AssertSqlSafe(sequences)).execute(&mut connection).await?;
    connection.execute("ANALYZE TABLE clicks, conversions, figures").await?;
    Ok(connection.close().await?)
}

/// What the conversion of this click is worth.
fn amount(number: u32) -> u64 {
    u64::from(1 + number % 90)
}

#[derive(Debug, Clone, Copy)]
struct Click {
    number: u32,
    affiliate: u32,
    campaign: u32,
    millis: i64,
}

impl Clicks {
    fn click(self, number: u32) -> Click {
        let index = number - 1;
        Click {
            number,
            affiliate: 1 + index % self.affiliates,
            campaign: 1 + index / self.affiliates % self.campaigns,
            millis: FIRST + i64::from(index) * (YEAR / i64::from(self.count)),
        }
    }

    fn converts(self, number: u32) -> bool {
        number % 100 < self.percent
    }
}

impl Click {
    /// Has the form of a UUID of version 7, as minted ones have: sorted by time, with bits behind it that are not.
    fn id(self) -> String {
        let n = u64::from(self.number);
        let (high, low) = (self.millis >> 16, self.millis & 0xffff);
        format!("{high:08x}-{low:04x}-7{:03x}-8{:03x}-{:012x}", n * 1597 % 4096, n * 977 % 4096, n * 25_214_903)
    }
}

/// Makes the counters of these clicks, and of their conversions.
async fn count(connection: &mut MySqlConnection, clicks: Clicks) -> Result<(), sqlx::Error> {
    let mut counters = Counters::default();
    let mut day = FIRST / DAY;
    for n in 1..=clicks.count {
        let Click { affiliate, campaign, millis, .. } = clicks.click(n);
        if millis / DAY > day {
            day = millis / DAY;
            counters.take_days().insert(connection).await?;
        }
        counters.add(affiliate, campaign, millis, "", [1, 0]);
        if clicks.converts(n) {
            counters.add(affiliate, campaign, millis, "USD", [1, amount(n)]);
        }
    }
    counters.insert(connection).await
}

/// By series, start, owner, part and currency: how many there are, and what they are worth.
#[derive(Debug, Default)]
struct Counters(BTreeMap<(u8, i64, u32, u32, &'static str), [u64; 2]>);

impl Counters {
    fn add(&mut self, affiliate: u32, campaign: u32, millis: i64, currency: &'static str, by: [u64; 2]) {
        // Those of `storage-mysql/migrations/5_reports.sql`.
        let quarter = millis / QUARTER_HOUR;
        let date = DateTime::from_timestamp_millis(millis).unwrap_or_default();
        let day = quarter / 96;
        let third = day - i64::from(date.day0()) + 10 * i64::from(date.day0() / 10).min(2);
        let year = day - i64::from(date.ordinal0());
        let starts = [quarter, quarter / 4 * 4, quarter / 24 * 24, day * 96, third * 96, year * 96];
        let counted = [
            (10, &[1][..], (affiliate, campaign)),
            (10, &[4, 5, 6], (campaign, affiliate)),
            (20, &[2, 3, 4, 5, 6], (affiliate, 0)),
            (30, &[1, 2, 3, 4, 5, 6], (campaign, 0)),
            (40, &[1, 2, 3, 4, 5, 6], (0, 0)),
        ];
        for (first, spans, (owner, part)) in counted {
            for span in spans {
                let key = (first + span, starts[usize::from(*span) - 1], owner, part, currency);
                self.0.entry(key).or_default().iter_mut().zip(by).for_each(|(sum, by)| *sum += by);
            }
        }
    }

    /// Those of a day and less, of which nothing more is to come when it is over.
    fn take_days(&mut self) -> Self {
        let (days, longer) = std::mem::take(&mut self.0).into_iter().partition(|((series, ..), _)| series % 10 <= 4);
        self.0 = longer;
        Self(days)
    }

    async fn insert(self, connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
        let rows = self.0.into_iter().map(|((series, start, owner, part, currency), [count, amount])| {
            // Of persons who come once.
            let values = match currency {
                "" => format!("{count}, {count}, {count}, NULL, NULL, NULL"),
                _ => format!("NULL, NULL, NULL, {count}, {amount}, 0"),
            };
            format!("{series}, {start}, {owner}, {part}, '{currency}', 0, {values}")
        });
        let table = "figures (series, start, owner, part, currency, slot, clicks, human_clicks, unique_clicks, \
                     approved_conversions, approved_amount, approved_payout)";
        insert(connection, table, rows).await
    }
}

/// As SQL has it.
fn time(millis: i64) -> String {
    let mut text = Timestamp::from_millis(millis).unwrap_or(Timestamp::MIN).to_string();
    text.truncate("2025-01-01T00:00:00.000".len());
    text
}

async fn insert(
    connection: &mut MySqlConnection,
    table: &str,
    mut rows: impl Iterator<Item = impl Display>,
) -> Result<(), sqlx::Error> {
    loop {
        let mut sql = format!("INSERT INTO {table} VALUES ");
        let start = sql.len();
        for row in rows.by_ref().take(CHUNK) {
            let separator = if sql.len() == start { "" } else { ", " };
            // Writing into a String can't fail.
            _ = write!(sql, "{separator}({row})");
        }
        if sql.len() == start {
            return Ok(());
        }
        // All of it is made above: numbers, times, and texts without single quotes.
        raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
}
