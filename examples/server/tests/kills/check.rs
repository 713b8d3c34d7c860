//! What is in the database, and what HTTP tells of it, against what the clients were told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::net::SocketAddr;

use serde_json::Value;
use storage_mysql::sqlx::mysql::MySqlRow;
use storage_mysql::sqlx::{Connection as _, MySqlConnection, Row, raw_sql};

use crate::http::{Connection, Request};
use crate::load::{ClickNote, ConversionNote, Notes, millionths, text};

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
            });
            let untrue = usize::from(!is_as_sent || !is_as_told);
            self.note(|found| &mut found.untrue, untrue, || format!("untrue: {note:?}, {found:?}"));
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
            // An amount, or the clicks of people and of new visitors.
            let of_what = |count: &Count| (count.amount, count.human_clicks, count.unique_clicks);
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
            let mut expected: Vec<&Conversion> =
                rows.conversions.iter().filter(|conversion| conversion.affiliate == affiliate).collect();
            listed.sort();
            expected.sort();
            let is_wrong = !listed.iter().eq(expected);
            self.note(|found| &mut found.untrue, is_wrong.into(), || format!("conversions of {affiliate} by {server}"));

            let mut answer = ask(&mut connection, &format!("/affiliates/{affiliate}/summary")).await;
            let summary = answer["data"].take();
            let revenue = summary["revenue"].as_array().into_iter().flatten();
            let revenue: BTreeMap<String, i64> =
                revenue.map(|sum| (text(&sum["currency"]), millionths(&sum["amount"]))).collect();
            let (mut counted, mut expected) = ([0; 4], BTreeMap::new());
            for (key, count) in totals.iter().filter(|(key, _)| key.affiliate == affiliate) {
                let counts = [count.clicks, count.human_clicks, count.unique_clicks, count.conversions];
                counted.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
                if !key.currency.is_empty() {
                    *expected.entry(key.currency.clone()).or_insert(0) += count.amount;
                }
            }
            let names = ["clicks", "human_clicks", "unique_clicks", "conversions"];
            let is_right = names.map(|name| summary[name].as_i64()) == counted.map(Some) && revenue == expected;
            self.note(|found| &mut found.untrue, usize::from(!is_right), || format!("{server}: {summary}"));
        }
    }
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

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Conversion {
    id: i64,
    affiliate: i64,
    campaign: i64,
    click_id: String,
    event: String,
    transaction_id: String,
    /// In millionths.
    amount: i64,
    currency: String,
    timestamp: String,
}

impl Conversion {
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
}

/// All that is in the database, at one moment.
#[derive(Debug)]
pub(crate) struct Rows {
    clicks: Vec<Click>,
    conversions: Vec<Conversion>,
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
                CAST(amount * 1000000 AS SIGNED) AS amount, currency,
                CONCAT(LEFT(DATE_FORMAT(conversions.timestamp, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z') AS timestamp
             FROM conversions LEFT JOIN clicks ON clicks.id = conversions.click_id
                AND clicks.affiliate_id = conversions.affiliate_id AND clicks.campaign_id = conversions.campaign_id",
        );
        let conversions = conversions.fetch_all(&mut connection).await.unwrap();
        let counters = raw_sql(
            "SELECT affiliate_id, campaign_id, currency, DATE_FORMAT(quarter_hour, '%Y-%m-%dT%H:%i') AS quarter_hour,
                CAST(SUM(clicks) AS SIGNED) AS clicks, CAST(SUM(human_clicks) AS SIGNED) AS human_clicks,
                CAST(SUM(unique_clicks) AS SIGNED) AS unique_clicks, CAST(SUM(conversions) AS SIGNED) AS conversions,
                CAST(SUM(amount) * 1000000 AS SIGNED) AS amount
             FROM counters WHERE campaign_id > 0 GROUP BY affiliate_id, campaign_id, currency, quarter_hour",
        );
        let counters = counters.fetch_all(&mut connection).await.unwrap();
        let totals = raw_sql(
            "SELECT affiliate_id, 0 AS campaign_id, currency, '' AS quarter_hour,
                CAST(SUM(clicks) AS SIGNED) AS clicks, CAST(SUM(human_clicks) AS SIGNED) AS human_clicks,
                CAST(SUM(unique_clicks) AS SIGNED) AS unique_clicks, CAST(SUM(conversions) AS SIGNED) AS conversions,
                CAST(SUM(amount) * 1000000 AS SIGNED) AS amount
             FROM counters WHERE campaign_id = 0 GROUP BY affiliate_id, currency",
        );
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
        let conversion = |row: &MySqlRow| Conversion {
            id: row.get("id"),
            affiliate: row.get("affiliate_id"),
            campaign: row.get("campaign_id"),
            click_id: row.get("click_id"),
            event: row.get("event"),
            transaction_id: row.get("transaction_id"),
            amount: row.get("amount"),
            currency: row.get("currency"),
            timestamp: row.get("timestamp"),
        };
        Self {
            clicks: clicks.iter().map(click).collect(),
            conversions: conversions.iter().map(conversion).collect(),
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
        }
        totals
    }

    fn recount(&self, period: impl Fn(&str) -> String) -> Counts {
        let mut counts = Counts::new();
        for Click { affiliate, campaign, timestamp, is_human, is_unique, .. } in &self.clicks {
            let (currency, quarter_hour) = (String::new(), period(timestamp));
            let key = CountKey { affiliate: *affiliate, campaign: *campaign, currency, quarter_hour };
            let count = counts.entry(key).or_default();
            count.clicks += 1;
            count.human_clicks += i64::from(*is_human);
            count.unique_clicks += i64::from(*is_unique);
        }
        for Conversion { affiliate, campaign, currency, timestamp, amount, .. } in &self.conversions {
            let (currency, quarter_hour) = (currency.clone(), period(timestamp));
            let key = CountKey { affiliate: *affiliate, campaign: *campaign, currency, quarter_hour };
            let count = counts.entry(key).or_default();
            count.conversions += 1;
            count.amount += amount;
        }
        counts
    }
}

fn count(row: &MySqlRow) -> (CountKey, Count) {
    let key = CountKey {
        affiliate: row.get("affiliate_id"),
        campaign: row.get("campaign_id"),
        currency: row.get("currency"),
        quarter_hour: row.get("quarter_hour"),
    };
    let count = Count {
        clicks: row.get("clicks"),
        human_clicks: row.get("human_clicks"),
        unique_clicks: row.get("unique_clicks"),
        conversions: row.get("conversions"),
        amount: row.get("amount"),
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
        let told = vec![ConversionTold { is_new: false, id: 6, campaign, timestamp: timestamp() }];
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
        assert_eq!(found(|rows, _| rows.totals.clear()), (2, 0, 0, 2));
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
        assert_eq!(found(other_amount), (0, 0, 0, 2));
        let not_human = |rows: &mut Rows, _: &mut Notes| rows.counters.values_mut().for_each(|c| c.human_clicks = 0);
        assert_eq!(found(not_human), (0, 0, 0, 1));
        let unique = |rows: &mut Rows, _: &mut Notes| rows.clicks[0].is_unique = true;
        assert_eq!(found(unique), (0, 0, 0, 2));
    }
}
