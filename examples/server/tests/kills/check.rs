//! What is in the database, and what HTTP tells of it, against what the clients were told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::net::SocketAddr;

use serde_json::Value;
use storage_mysql::sqlx::mysql::MySqlRow;
use storage_mysql::sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, Row, raw_sql};

use crate::http::{Connection, Request};
use crate::load::{ClickNote, ConversionNote, Notes, millionths, text};
use crate::sales::{Arrived, Sale};

/// What is wrong.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Acknowledged, and not there.
    pub(crate) lost: usize,
    /// Recorded, told to be new, or counted more than once.
    pub(crate) twice: usize,
    /// There, and sent by nobody.
    pub(crate) strangers: usize,
    /// Told otherwise than it is.
    pub(crate) untrue: usize,
    /// The first of each.
    examples: String,
}

impl Findings {
    pub(crate) fn assert_none(&self) {
        let Self { lost, twice, strangers, untrue, examples } = self;
        assert_eq!((lost, twice, strangers, untrue), (&0, &0, &0, &0), "lost, twice, strangers, untrue\n{examples}");
    }

    pub(crate) fn note(&mut self, what: fn(&mut Self) -> &mut usize, count: usize, example: impl FnOnce() -> String) {
        *what(self) += count;
        if count > 0 && *what(self) < 10 + count {
            _ = writeln!(self.examples, "{}", example());
        }
    }

    pub(crate) fn note_oddities(&mut self, notes: &[Notes]) {
        for oddity in notes.iter().flat_map(|notes| &notes.oddities) {
            self.note(|found| &mut found.untrue, 1, || oddity.clone());
        }
    }

    /// Compares the database with the notes, and itself with its counters.
    pub(crate) fn check_rows(&mut self, rows: &Rows, notes: &[Notes]) {
        self.check_clicks(rows, notes);
        self.check_conversions(rows, notes);
        self.check_counts_and_histories(rows);
    }

    /// Compares what is in the database with itself.
    pub(crate) fn check_counts_and_histories(&mut self, rows: &Rows) {
        for conversion in rows.conversions.iter().filter(|conversion| !conversion.has_legal_history()) {
            self.note(|found| &mut found.untrue, 1, || format!("no way to go: {conversion:?}"));
        }
        self.check_counts("counters", &rows.counters, &rows.recount(quarter_hour));
        self.check_counts("totals", &rows.totals, &rows.recount_totals());
    }

    fn check_clicks(&mut self, rows: &Rows, notes: &[Notes]) {
        let mut there: HashMap<_, Vec<&Click>> = HashMap::new();
        for click in &rows.clicks {
            there.entry((click.affiliate, click.campaign, &*click.click_id)).or_default().push(click);
        }
        for note in notes.iter().flat_map(|notes| &notes.clicks) {
            let ClickNote { affiliate, campaign, click_id, told } = note;
            let Some(found) = there.remove(&(*affiliate, *campaign, &**click_id)) else {
                let is_acknowledged = !told.is_empty();
                self.note(|found| &mut found.lost, is_acknowledged.into(), || format!("lost: {note:?}"));
                continue;
            };
            let extra = found.len() - 1 + told.iter().filter(|told| told.is_new).count().saturating_sub(1);
            self.note(|found| &mut found.twice, extra, || format!("twice: {note:?}, {found:?}"));
            let untrue = told.iter().filter(|told| told.timestamp != found[0].timestamp).count();
            self.note(|found| &mut found.untrue, untrue, || format!("untrue: {note:?}, {found:?}"));
        }
        for stranger in there.into_values().flatten() {
            self.note(|found| &mut found.strangers, 1, || format!("nobody sent: {stranger:?}"));
        }
    }

    fn check_conversions(&mut self, rows: &Rows, notes: &[Notes]) {
        let mut there: HashMap<_, Vec<&Conversion>> = HashMap::new();
        for conversion in &rows.conversions {
            let Conversion { affiliate, click_id, event, transaction_id, .. } = conversion;
            there.entry((*affiliate, &**click_id, &**event, &**transaction_id)).or_default().push(conversion);
        }
        for note in notes.iter().flat_map(|notes| &notes.conversions) {
            let ConversionNote { affiliate, click_id, event, transaction_id, amount, currency, told } = note;
            let Some(found) = there.remove(&(*affiliate, &**click_id, *event, &**transaction_id)) else {
                let is_acknowledged = !told.is_empty();
                self.note(|found| &mut found.lost, is_acknowledged.into(), || format!("lost: {note:?}"));
                continue;
            };
            let extra = found.len() - 1 + told.iter().filter(|told| told.is_new).count().saturating_sub(1);
            self.note(|found| &mut found.twice, extra, || format!("twice: {note:?}, {found:?}"));
            let recorded = found[0];
            let is_as_sent = (recorded.amount, &*recorded.currency) == (*amount, *currency);
            let is_as_told = told.iter().all(|told| {
                (told.id, told.campaign, &told.timestamp) == (recorded.id, recorded.campaign, &recorded.timestamp)
                    && (&told.status, &told.payout) == (&recorded.status, &recorded.payout)
            });
            let untrue = usize::from(!is_as_sent || !is_as_told);
            self.note(|found| &mut found.untrue, untrue, || format!("untrue: {note:?}, {found:?}"));
        }
        for stranger in there.into_values().flatten() {
            self.note(|found| &mut found.strangers, 1, || format!("nobody sent: {stranger:?}"));
        }
    }

    /// Compares the conversions of these sales, which are all that there are, with what was answered.
    pub(crate) fn check_sales(&mut self, rows: &Rows, sales: &[Sale], arrived: Arrived) {
        let mut there: HashMap<&str, Vec<&Conversion>> = HashMap::new();
        for conversion in &rows.conversions {
            there.entry(&conversion.click_id).or_default().push(conversion);
        }
        for sale in sales {
            sale.check(&there.remove(&*sale.click_id).unwrap_or_default(), arrived, self);
        }
        for stranger in there.into_values().flatten() {
            self.note(|found| &mut found.strangers, 1, || format!("nobody sent: {stranger:?}"));
        }
    }

    fn check_counts(&mut self, table: &str, counted: &Counts, recount: &Counts) {
        if counted == recount {
            return;
        }
        let nothing = Count::default();
        for (key, count) in counted {
            let rows = recount.get(key).unwrap_or(&nothing);
            let extra = (count.clicks - rows.clicks).max(0) + (count.conversions - rows.conversions).max(0);
            self.note(
                |found| &mut found.twice,
                extra as usize,
                || format!("{table} of {key:?}: {count:?}, not {rows:?}"),
            );
        }
        for (key, rows) in recount {
            let count = counted.get(key).unwrap_or(&nothing);
            let missing = (rows.clicks - count.clicks).max(0) + (rows.conversions - count.conversions).max(0);
            // An amount, a payout, or the clicks of people and of new visitors.
            let of_what = |count: &Count| (count.amount, count.payout, count.human_clicks, count.unique_clicks);
            let is_amount_wrong = of_what(count) != of_what(rows);
            let example = || format!("{table} of {key:?}: {count:?}, not {rows:?}");
            self.note(|found| &mut found.lost, missing as usize, example);
            self.note(|found| &mut found.untrue, usize::from(is_amount_wrong), example);
        }
    }

    /// Compares the database with the lists and summaries of this server.
    pub(crate) async fn check_http(&mut self, rows: &Rows, server: SocketAddr, affiliates: &[i64]) {
        let mut connection = Connection::open(server).await.unwrap();
        let totals = rows.recount_totals();
        for &affiliate in affiliates {
            let listed = list(&mut connection, &format!("/affiliates/{affiliate}/clicks")).await;
            let mut listed: Vec<Click> = listed.iter().map(|click| Click::of_json(affiliate, click)).collect();
            let mut expected: Vec<&Click> = rows.clicks.iter().filter(|click| click.affiliate == affiliate).collect();
            listed.sort();
            expected.sort();
            let is_wrong = !listed.iter().eq(expected);
            self.note(|found| &mut found.untrue, is_wrong.into(), || format!("clicks of {affiliate} by {server}"));

            let listed = list(&mut connection, &format!("/affiliates/{affiliate}/conversions")).await;
            let mut listed: Vec<Conversion> = listed.iter().map(|row| Conversion::of_json(affiliate, row)).collect();
            let of_affiliate = |conversion: &&Conversion| conversion.affiliate == affiliate;
            let listed_as = |conversion: &Conversion| Conversion { history: Vec::new(), ..conversion.clone() };
            let mut expected: Vec<Conversion> = rows.conversions.iter().filter(of_affiliate).map(listed_as).collect();
            listed.sort();
            expected.sort();
            let is_wrong = listed != expected;
            self.note(|found| &mut found.untrue, is_wrong.into(), || format!("conversions of {affiliate} by {server}"));

            let mut answer = ask(&mut connection, &format!("/affiliates/{affiliate}/summary")).await;
            let summary = answer["data"].take();
            let mut counted = [0; 3];
            let mut tallies: BTreeMap<&str, Tally> = STATUSES.map(|status| (status, Tally::default())).into();
            for (key, count) in totals.iter().filter(|(key, _)| key.affiliate == affiliate) {
                let counts = [count.clicks, count.human_clicks, count.unique_clicks];
                counted.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
                tallies.get_mut(&*key.status).unwrap().add(&key.currency, count);
            }
            let names = ["clicks", "human_clicks", "unique_clicks"];
            let is_right = names.map(|name| summary[name].as_i64()) == counted.map(Some)
                && tallies.iter().all(|(status, tally)| *tally == Tally::of_json(&summary["by_status"][status]));
            self.note(|found| &mut found.untrue, usize::from(!is_right), || format!("{server}: {summary}"));
        }
    }
}

/// All of them, in the order in which a conversion can have them.
pub(crate) const STATUSES: [&str; 3] = ["pending", "approved", "rejected"];

/// The place of a status in their order.
pub(crate) fn rank(status: &str) -> usize {
    STATUSES.iter().position(|known| *known == status).unwrap_or_else(|| panic!("no status: {status}"))
}

/// Conversions of a status, as a summary has them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    conversions: i64,
    /// By currency, in millionths, and without what is zero.
    revenue: BTreeMap<String, i64>,
    /// As many digits as are left of a sum in a float.
    payout: BTreeMap<String, i64>,
}

impl Tally {
    fn add(&mut self, currency: &str, count: &Count) {
        self.conversions += count.conversions;
        for (sums, sum) in [(&mut self.revenue, count.amount), (&mut self.payout, thousandths(count.payout))] {
            if sum != 0 {
                *sums.entry(currency.to_owned()).or_default() += sum;
            }
        }
    }

    fn of_json(tally: &Value) -> Self {
        let sums = |name: &str, factor: f64| {
            let sums = tally[name].as_array().into_iter().flatten();
            sums.map(|sum| (text(&sum["currency"]), (sum["amount"].as_f64().unwrap() * factor).round() as i64))
                .collect()
        };
        let conversions = tally["conversions"].as_i64().unwrap();
        Self { conversions, revenue: sums("revenue", 1e6), payout: sums("payout", 1e3) }
    }
}

/// Of so many 10⁻¹².
fn thousandths(payout: i128) -> i64 {
    (payout as f64 / 1e9).round() as i64
}

/// The whole list.
async fn list(connection: &mut Connection, path: &str) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let cursor_parameter = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let mut answer = ask(connection, &format!("{path}?limit=1000{cursor_parameter}")).await;
        let Value::Array(mut page) = answer["data"].take() else { panic!("no list: {answer}") };
        rows.append(&mut page);
        match answer["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return rows,
        }
    }
}

/// Asks again while the server finds out which of its connections to the database a kill has broken.
async fn ask(connection: &mut Connection, path: &str) -> Value {
    for _ in 0..100 {
        let answer = connection.call(&Request::get(path)).await.unwrap();
        if answer.status != 503 {
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            return answer.body;
        }
    }
    panic!("{path} stays unavailable");
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Click {
    id: i64,
    affiliate: i64,
    campaign: i64,
    click_id: String,
    timestamp: String,
    is_human: bool,
    is_unique: bool,
    is_recovered: bool,
}

impl Click {
    fn of_json(affiliate: i64, click: &Value) -> Self {
        Self {
            id: click["id"].as_i64().unwrap(),
            affiliate,
            campaign: click["campaign_id"].as_i64().unwrap(),
            click_id: text(&click["click_id"]),
            timestamp: text(&click["created_at"]),
            is_human: click["bot"].is_null(),
            is_unique: click["unique"] == true,
            is_recovered: click["recovered"] == true,
        }
    }
}

/// What an affiliate gets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Payout {
    /// In 10⁻¹².
    pub(crate) amount: i128,
    pub(crate) currency: String,
}

impl Payout {
    /// `None` of null. The amount has to be small enough for a float to be exact.
    pub(crate) fn of_json(payout: &Value) -> Option<Self> {
        let amount = (payout["amount"].as_f64()? * 1e12).round() as i128;
        Some(Self { amount, currency: text(&payout["currency"]) })
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Conversion {
    pub(crate) id: i64,
    pub(crate) affiliate: i64,
    pub(crate) campaign: i64,
    pub(crate) click_id: String,
    pub(crate) event: String,
    pub(crate) transaction_id: String,
    /// In millionths.
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) timestamp: String,
    pub(crate) status: String,
    pub(crate) payout: Option<Payout>,
    /// Each change, from one status to another, in order. A list does not tell.
    pub(crate) history: Vec<[String; 2]>,
}

impl Conversion {
    /// Whether the changes are steps forward, each from where the last one led, and lead to its status.
    fn has_legal_history(&self) -> bool {
        let goes_forward = self.history.iter().all(|[from, to]| rank(from) < rank(to));
        let is_unbroken = self.history.windows(2).all(|pair| pair[0][1] == pair[1][0]);
        let ends_here = self.history.last().is_none_or(|[_, to]| *to == self.status);
        goes_forward && is_unbroken && ends_here
    }

    /// The status that it was recorded with.
    pub(crate) fn first_status(&self) -> &str {
        self.history.first().map_or(&self.status, |[from, _]| from)
    }

    fn of_json(affiliate: i64, conversion: &Value) -> Self {
        Self {
            id: conversion["id"].as_i64().unwrap(),
            affiliate,
            campaign: conversion["campaign_id"].as_i64().unwrap(),
            click_id: text(&conversion["click_id"]),
            event: text(&conversion["event"]),
            transaction_id: conversion["transaction_id"].as_str().unwrap_or_default().to_owned(),
            amount: millionths(&conversion["amount"]),
            currency: text(&conversion["currency"]),
            timestamp: text(&conversion["created_at"]),
            status: text(&conversion["status"]),
            payout: Payout::of_json(&conversion["payout"]),
            history: Vec::new(),
        }
    }
}

type Counts = BTreeMap<CountKey, Count>;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct CountKey {
    affiliate: i64,
    campaign: i64,
    /// Empty for clicks.
    currency: String,
    /// Clicks have none, and are counted as approved.
    status: String,
    /// Empty from the beginning.
    quarter_hour: String,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    clicks: i64,
    human_clicks: i64,
    unique_clicks: i64,
    conversions: i64,
    /// In millionths.
    amount: i64,
    /// In 10⁻¹².
    payout: i128,
}

/// All that is in the database, at one moment.
#[derive(Debug)]
pub(crate) struct Rows {
    clicks: Vec<Click>,
    pub(crate) conversions: Vec<Conversion>,
    counters: Counts,
    totals: Counts,
}

impl Rows {
    pub(crate) async fn read(database_url: &str, is_cluster: bool) -> Self {
        let mut connection = MySqlConnection::connect(database_url).await.unwrap();
        if is_cluster {
            // Wait for what other nodes have committed.
            raw_sql("SET SESSION wsrep_sync_wait = 1").execute(&mut connection).await.unwrap();
        }
        raw_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT").execute(&mut connection).await.unwrap();
        let clicks = raw_sql(
            "SELECT id, affiliate_id, campaign_id, click_id, CAST(bot = '' AS SIGNED) AS is_human,
                CAST(bot = '' AND is_repeat = 0 AS SIGNED) AS is_unique, CAST(is_recovered AS SIGNED) AS is_recovered,
                CONCAT(LEFT(DATE_FORMAT(timestamp, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z') AS timestamp
             FROM clicks",
        );
        let clicks = clicks.fetch_all(&mut connection).await.unwrap();
        // The click is asked for where it was made, and has to be the conversion's own.
        let conversions = raw_sql(
            "SELECT conversions.id, conversions.affiliate_id, conversions.campaign_id,
                COALESCE(clicks.click_id, '') AS click_id, event, transaction_id,
                CAST(amount * 1000000 AS SIGNED) AS amount, currency, status,
                CAST(CAST(payout * 1000000000000 AS DECIMAL(50, 0)) AS CHAR) AS payout, payout_currency,
                CONCAT(LEFT(DATE_FORMAT(conversions.timestamp, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z') AS timestamp
             FROM conversions LEFT JOIN clicks ON clicks.id = conversions.click_id
                AND clicks.affiliate_id = conversions.affiliate_id AND clicks.campaign_id = conversions.campaign_id",
        );
        let conversions = conversions.fetch_all(&mut connection).await.unwrap();
        let changes = raw_sql(
            "SELECT conversion_id, from_status, to_status FROM status_changes ORDER BY conversion_id, to_status",
        );
        let mut histories: HashMap<i64, Vec<[String; 2]>> = HashMap::new();
        for row in changes.fetch_all(&mut connection).await.unwrap() {
            let change = [row.get("from_status"), row.get("to_status")];
            histories.entry(row.get("conversion_id")).or_default().push(change);
        }
        // A row has the conversions of each status, and clicks where there is no currency.
        let of_status = |column: &str| {
            let of = |status| format!("WHEN '{status}' THEN COALESCE({status}_{column}, 0)");
            format!("CASE status {} {} {} END", of("pending"), of("approved"), of("rejected"))
        };
        let of_clicks = |column: &str| format!("IF(status = 'approved', COALESCE({column}, 0), 0)");
        let sums = format!(
            "CAST(SUM({}) AS SIGNED) AS clicks, CAST(SUM({}) AS SIGNED) AS human_clicks,
                CAST(SUM({}) AS SIGNED) AS unique_clicks, CAST(SUM({}) AS SIGNED) AS conversions,
                CAST(SUM({}) * 1000000 AS SIGNED) AS amount,
                CAST(CAST(SUM({}) * 1000000000000 AS DECIMAL(50, 0)) AS CHAR) AS payout
             FROM figures JOIN (SELECT 'pending' AS status UNION ALL SELECT 'approved' UNION ALL SELECT 'rejected') s",
            of_clicks("clicks"),
            of_clicks("human_clicks"),
            of_clicks("unique_clicks"),
            of_status("conversions"),
            of_status("amount"),
            of_status("payout")
        );
        let counters = raw_sql(AssertSqlSafe(format!(
            "SELECT owner AS affiliate_id, part AS campaign_id, currency, status,
                DATE_FORMAT('1970-01-01 00:00:00' + INTERVAL 15 * start MINUTE, '%Y-%m-%dT%H:%i') AS quarter_hour, {sums}
             WHERE series = 11 GROUP BY owner, part, currency, status, start"
        )));
        let counters = counters.fetch_all(&mut connection).await.unwrap();
        let totals = raw_sql(AssertSqlSafe(format!(
            "SELECT owner AS affiliate_id, 0 AS campaign_id, currency, status, '' AS quarter_hour, {sums}
             WHERE series = 26 GROUP BY owner, currency, status"
        )));
        let totals = totals.fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let click = |row: &MySqlRow| Click {
            id: row.get("id"),
            affiliate: row.get("affiliate_id"),
            campaign: row.get("campaign_id"),
            click_id: row.get("click_id"),
            timestamp: row.get("timestamp"),
            is_human: row.get::<i64, _>("is_human") != 0,
            is_unique: row.get::<i64, _>("is_unique") != 0,
            is_recovered: row.get::<i64, _>("is_recovered") != 0,
        };
        let mut conversion = |row: &MySqlRow| Conversion {
            id: row.get("id"),
            affiliate: row.get("affiliate_id"),
            campaign: row.get("campaign_id"),
            click_id: row.get("click_id"),
            event: row.get("event"),
            transaction_id: row.get("transaction_id"),
            amount: row.get("amount"),
            currency: row.get("currency"),
            timestamp: row.get("timestamp"),
            status: row.get("status"),
            payout: row
                .get::<Option<String>, _>("payout")
                .map(|amount| Payout { amount: amount.parse().unwrap(), currency: row.get("payout_currency") }),
            history: histories.remove(&row.get("id")).unwrap_or_default(),
        };
        Self {
            clicks: clicks.iter().map(click).collect(),
            conversions: conversions.iter().map(&mut conversion).collect(),
            counters: counters.iter().map(count).collect(),
            totals: totals.iter().map(count).collect(),
        }
    }

    /// The ids of all clicks.
    pub(crate) fn click_ids(&self) -> BTreeSet<&str> {
        self.clicks.iter().map(|click| &*click.click_id).collect()
    }

    /// The ids of those that were rebuilt when their postback came.
    pub(crate) fn recovered(&self) -> BTreeSet<&str> {
        self.clicks.iter().filter(|click| click.is_recovered).map(|click| &*click.click_id).collect()
    }

    /// Over all campaigns and times.
    fn recount_totals(&self) -> Counts {
        let mut totals = Counts::new();
        for (key, count) in self.recount(|_| String::new()) {
            let total = totals.entry(CountKey { campaign: 0, ..key }).or_default();
            total.clicks += count.clicks;
            total.human_clicks += count.human_clicks;
            total.unique_clicks += count.unique_clicks;
            total.conversions += count.conversions;
            total.amount += count.amount;
            total.payout += count.payout;
        }
        totals
    }

    fn recount(&self, period: impl Fn(&str) -> String) -> Counts {
        let mut counts = Counts::new();
        for Click { affiliate, campaign, timestamp, is_human, is_unique, .. } in &self.clicks {
            let (currency, status) = (String::new(), "approved".to_owned());
            let quarter_hour = period(timestamp);
            let key = CountKey { affiliate: *affiliate, campaign: *campaign, currency, status, quarter_hour };
            let count = counts.entry(key).or_default();
            count.clicks += 1;
            count.human_clicks += i64::from(*is_human);
            count.unique_clicks += i64::from(*is_unique);
        }
        for conversion in &self.conversions {
            let key = |currency: &String| CountKey {
                affiliate: conversion.affiliate,
                campaign: conversion.campaign,
                currency: currency.clone(),
                status: conversion.status.clone(),
                quarter_hour: period(&conversion.timestamp),
            };
            let count = counts.entry(key(&conversion.currency)).or_default();
            count.conversions += 1;
            count.amount += conversion.amount;
            // In whatever currency it is.
            if let Some(payout) = &conversion.payout {
                counts.entry(key(&payout.currency)).or_default().payout += payout.amount;
            }
        }
        counts
    }
}

fn count(row: &MySqlRow) -> (CountKey, Count) {
    let key = CountKey {
        affiliate: row.get("affiliate_id"),
        campaign: row.get("campaign_id"),
        currency: row.get("currency"),
        status: row.get("status"),
        quarter_hour: row.get("quarter_hour"),
    };
    let count = Count {
        clicks: row.get("clicks"),
        human_clicks: row.get("human_clicks"),
        unique_clicks: row.get("unique_clicks"),
        conversions: row.get("conversions"),
        amount: row.get("amount"),
        payout: row.get::<String, _>("payout").parse().unwrap(),
    };
    (key, count)
}

/// `2023-08-23T15:30` of `2023-08-23T15:38:45.123Z`.
fn quarter_hour(timestamp: &str) -> String {
    let minute: u32 = timestamp[14..16].parse().unwrap();
    format!("{}{:02}", &timestamp[..14], minute / 15 * 15)
}

/// What is wrong does not go unnoticed.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{ClickTold, ConversionTold};

    const TIME: &str = "2023-08-23T15:38:45.123Z";

    /// One click and one conversion, as they should be.
    fn sound() -> (Rows, Notes) {
        let (affiliate, campaign, timestamp) = (1, 10, || TIME.to_owned());
        let click_id = || "abc123".to_owned();
        let click = Click {
            id: 5,
            affiliate,
            campaign,
            click_id: click_id(),
            timestamp: timestamp(),
            is_human: true,
            is_unique: false,
            is_recovered: false,
        };
        let (event, currency, transaction_id, amount) = ("sale", "EUR", String::new, 7_000_000);
        let (status, payout) =
            ("approved".to_owned(), || Some(Payout { amount: 5_000_000_000_000, currency: "USD".to_owned() }));
        let conversion = Conversion {
            id: 6,
            affiliate,
            campaign,
            click_id: click_id(),
            event: event.to_owned(),
            transaction_id: transaction_id(),
            amount,
            currency: currency.to_owned(),
            timestamp: timestamp(),
            status: "approved".to_owned(),
            payout: payout(),
            history: vec![["pending".to_owned(), "approved".to_owned()]],
        };
        let (clicks, conversions) = (vec![click], vec![conversion]);
        let mut rows = Rows { clicks, conversions, counters: Counts::new(), totals: Counts::new() };
        rows.counters = rows.recount(quarter_hour);
        rows.totals = rows.recount_totals();

        let told = vec![
            ClickTold { is_new: true, timestamp: timestamp() },
            ClickTold { is_new: false, timestamp: timestamp() },
        ];
        let clicks = vec![ClickNote { affiliate, campaign, click_id: click_id(), told }];
        let told = ConversionTold { is_new: false, id: 6, campaign, timestamp: timestamp(), status, payout: payout() };
        let told = vec![told];
        let (click_id, transaction_id) = (click_id(), transaction_id());
        let conversion = ConversionNote { affiliate, click_id, event, transaction_id, amount, currency, told };
        (rows, Notes { clicks, conversions: vec![conversion], oddities: Vec::new() })
    }

    /// How much is lost, twice, strange and untrue after something has gone wrong.
    fn found(spoil: impl FnOnce(&mut Rows, &mut Notes)) -> (usize, usize, usize, usize) {
        let (mut rows, mut notes) = sound();
        spoil(&mut rows, &mut notes);
        let mut findings = Findings::default();
        let notes = [notes];
        findings.note_oddities(&notes);
        findings.check_rows(&rows, &notes);
        (findings.lost, findings.twice, findings.strangers, findings.untrue)
    }

    fn recount(rows: &mut Rows) {
        rows.counters = rows.recount(quarter_hour);
        rows.totals = rows.recount_totals();
    }

    #[test]
    fn sound_records_pass() {
        assert_eq!(found(|_, _| {}), (0, 0, 0, 0));
        let not_acknowledged = |rows: &mut Rows, notes: &mut Notes| {
            rows.conversions.clear();
            notes.conversions[0].told.clear();
            recount(rows);
        };
        assert_eq!(found(not_acknowledged), (0, 0, 0, 0));
    }

    #[test]
    fn losses_are_found() {
        let of_click = |rows: &mut Rows, _: &mut Notes| {
            rows.clicks.clear();
            recount(rows);
        };
        assert_eq!(found(of_click), (1, 0, 0, 0));
        let of_conversion = |rows: &mut Rows, _: &mut Notes| {
            rows.conversions.clear();
            recount(rows);
        };
        assert_eq!(found(of_conversion), (1, 0, 0, 0));
        assert_eq!(found(|rows, _| rows.totals.clear()), (2, 0, 0, 3));
    }

    #[test]
    fn doubles_are_found() {
        let twice_new = |_: &mut Rows, notes: &mut Notes| notes.clicks[0].told.iter_mut().for_each(|t| t.is_new = true);
        assert_eq!(found(twice_new), (0, 1, 0, 0));
        let counted_twice = |rows: &mut Rows, _: &mut Notes| rows.counters.values_mut().for_each(|c| c.clicks *= 2);
        assert_eq!(found(counted_twice), (0, 1, 0, 0));
        let in_another_campaign = |rows: &mut Rows, _: &mut Notes| {
            let (double, _) = sound();
            rows.conversions.extend(double.conversions.into_iter().map(|row| Conversion {
                id: 7,
                campaign: 11,
                ..row
            }));
            recount(rows);
        };
        assert_eq!(found(in_another_campaign), (0, 1, 0, 0));
    }

    #[test]
    fn strangers_are_found() {
        assert_eq!(found(|_, notes| notes.clicks.clear()), (0, 0, 1, 0));
        assert_eq!(found(|_, notes| notes.conversions.clear()), (0, 0, 1, 0));
    }

    #[test]
    fn untrue_answers_are_found() {
        assert_eq!(found(|_, notes| notes.clicks[0].told[1].timestamp.clear()), (0, 0, 0, 1));
        assert_eq!(found(|_, notes| notes.conversions[0].told[0].id = 7), (0, 0, 0, 1));
        assert_eq!(found(|_, notes| notes.conversions[0].amount += 1), (0, 0, 0, 1));
        assert_eq!(found(|_, notes| notes.oddities.push("odd".to_owned())), (0, 0, 0, 1));
        let other_amount = |rows: &mut Rows, _: &mut Notes| rows.totals.values_mut().for_each(|c| c.amount += 1);
        assert_eq!(found(other_amount), (0, 0, 0, 3));
        let other_payout = |rows: &mut Rows, _: &mut Notes| rows.totals.values_mut().for_each(|c| c.payout += 1);
        assert_eq!(found(other_payout), (0, 0, 0, 3));
        let other_status = |rows: &mut Rows, _: &mut Notes| rows.conversions[0].status = "rejected".to_owned();
        // Told and gone otherwise, and not counted so.
        assert_eq!(found(other_status), (2, 2, 0, 6));
        let backwards = |rows: &mut Rows, _: &mut Notes| rows.conversions[0].history[0].reverse();
        assert_eq!(found(backwards), (0, 0, 0, 1));
        let broken = |rows: &mut Rows, _: &mut Notes| {
            rows.conversions[0].history.push(["pending", "approved"].map(str::to_owned))
        };
        assert_eq!(found(broken), (0, 0, 0, 1));
        let not_human = |rows: &mut Rows, _: &mut Notes| rows.counters.values_mut().for_each(|c| c.human_clicks = 0);
        assert_eq!(found(not_human), (0, 0, 0, 1));
        let unique = |rows: &mut Rows, _: &mut Notes| rows.clicks[0].is_unique = true;
        assert_eq!(found(unique), (0, 0, 0, 2));
    }
}
