//! Visitors who are known again for a day.
//!
//! A visitor's first click leaves a row, in the transaction of the click itself. A click with a row under one of its two
//! hashes is a repeat. That is found out before the transaction, by a look at what has been committed; if somebody else
//! is faster, the key of the row refuses the whole transaction, and the next look sees what he has left.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use sqlx::mysql::MySqlRow;
use sqlx::{Error, Row, raw_sql};
use tokio::time::Instant;
use tracking_core::{NewClick, StoreError, Timestamp, VisitorHash};

use crate::attempt::{Failure, Lease, Patience, Reader, store_error, within};
use crate::rows;
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;

/// For how long a visitor is known, in milliseconds.
const DAY: i64 = Duration::from_secs(24 * 60 * 60).as_millis() as i64;

/// How many are forgotten in one transaction.
const FORGOTTEN_AT_ONCE: usize = 2_000;

/// A click on its way.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    /// Whether it is a repeat is as the latest look has found it.
    pub(crate) click: NewClick,
    /// When the visitor's row says that he came first, if that is so long ago that this click is a first one again.
    outdated: Option<Timestamp>,
}

impl From<NewClick> for Visit {
    fn from(click: NewClick) -> Self {
        Self { click, outdated: None }
    }
}

impl Visit {
    /// By what its visitor is noted, if it is his first click.
    fn noted_as(&self) -> Option<VisitorHash> {
        self.click.visitor.map(|visitor| visitor.today).filter(|_| !self.click.details.is_repeat)
    }
}

/// Finds out which of these are repeats, also of each other, in their order. Tells whether that changes anything.
pub(crate) async fn judge<'a>(
    reader: &mut Reader<'_>,
    prefix: &TablePrefix,
    visits: impl Iterator<Item = &'a mut Visit>,
) -> Result<bool, Error> {
    let visits: Vec<&mut Visit> = visits.collect();
    let hashes = visits.iter().filter_map(|visit| visit.click.visitor);
    let hashes: BTreeSet<VisitorHash> = hashes.flat_map(|visitor| [visitor.today, visitor.yesterday]).collect();
    let mut firsts = HashMap::new();
    if !hashes.is_empty() {
        let query = |sql: &mut Sql| {
            sql.push("SELECT visitor, first_click FROM ").table(prefix, "visitors").push(" WHERE visitor IN (");
            sql.separated(", ", &hashes, |sql, hash| _ = sql.bytes(hash.as_bytes())).push(")");
        };
        for row in reader.rows(query).await? {
            let (hash, first) = visitor(&row)?;
            // The latest, where a transaction has noted one and somebody else has committed another.
            let known = firsts.entry(hash).or_insert(first);
            *known = first.max(*known);
        }
    }
    let mut is_changed = false;
    for visit in visits {
        let Visit { click, outdated } = visit;
        let before = (click.details.is_repeat, *outdated);
        let is_first = |hash| match firsts.get(&hash) {
            Some(first) => click.created_at.as_millis() - Timestamp::as_millis(*first) >= DAY,
            None => true,
        };
        click.details.is_repeat =
            click.visitor.is_some_and(|visitor| !(is_first(visitor.today) && is_first(visitor.yesterday)));
        *outdated = match click.visitor {
            Some(visitor) if !click.details.is_repeat => firsts.insert(visitor.today, click.created_at),
            _ => None,
        };
        is_changed |= before != (click.details.is_repeat, *outdated);
    }
    Ok(is_changed)
}

/// The statements that note the visitors of first clicks. They fail if somebody else has noted one of them meanwhile.
///
/// All in the order of their keys, so that transactions of several processes wait for each other and never both.
pub(crate) fn statements<'a>(prefix: &TablePrefix, visits: impl Iterator<Item = &'a Visit> + Clone) -> Vec<Sql> {
    let mut statements = Vec::new();
    let outdated = visits.clone().filter_map(|visit| Some((visit.noted_as()?, visit.outdated?)));
    let outdated: BTreeSet<(VisitorHash, Timestamp)> = outdated.collect();
    if !outdated.is_empty() {
        // Only what the look has seen: somebody else may have replaced it, and the insert has to meet his row.
        statements.push(delete(prefix, outdated));
    }
    let firsts = visits.filter_map(|visit| Some((visit.noted_as()?, visit.click.created_at)));
    // The latest, where one visitor has several.
    let firsts: BTreeMap<VisitorHash, Timestamp> = firsts.collect();
    if !firsts.is_empty() {
        let mut sql = Sql::with_capacity(128 + 72 * firsts.len());
        sql.push("INSERT INTO ").table(prefix, "visitors").push(" (visitor, first_click) VALUES ");
        sql.separated(", ", firsts, |sql, (hash, first)| {
            sql.push("(").bytes(hash.as_bytes()).push(", ").time(first).push(")");
        });
        statements.push(sql);
    }
    statements
}

/// The statement that deletes these visitors, if their first click is this one.
///
/// By a join, and not by a condition: for that the server may go by the times, or read the whole table if it is small, and
/// lock, or wait for, what is somebody else's.
pub(crate) fn delete(prefix: &TablePrefix, visitors: impl IntoIterator<Item = (VisitorHash, Timestamp)>) -> Sql {
    let mut sql = Sql::default();
    sql.push("DELETE v FROM JSON_TABLE('[");
    sql.separated(", ", visitors, |sql, (hash, first)| {
        sql.push("[\"").digits(hash.as_bytes()).push("\", \"").time_digits(first).push("\"]");
    });
    sql.push("]', '$[*]' COLUMNS (visitor CHAR(32) CHARACTER SET ascii PATH '$[0]', ");
    sql.push("first_click CHAR(23) CHARACTER SET ascii PATH '$[1]')) p STRAIGHT_JOIN ");
    sql.table(prefix, "visitors").push(" v FORCE INDEX (PRIMARY) ON v.visitor = UNHEX(p.visitor)");
    sql.push(" AND v.first_click = CAST(p.first_click AS DATETIME(3))");
    sql
}

/// A visitor and his first click, from a row that has both.
fn visitor(row: &MySqlRow) -> Result<(VisitorHash, Timestamp), Error> {
    let hash: &[u8] = row.try_get("visitor")?;
    let hash = hash.try_into().map_err(|error| Error::Decode(Box::new(error)))?;
    Ok((VisitorHash::from_bytes(hash), rows::time(row, "first_click")?))
}

impl Database {
    /// Forgets, a few at a time, the visitors whose first click was before this time, but for those whose row somebody
    /// has locked.
    pub(crate) async fn forget_visitors(&self, before: Timestamp) -> Result<(), StoreError> {
        let mut patience = Patience::new(self.timeout);
        loop {
            match self.forget_some(before, patience.deadline()).await {
                Ok(forgotten) if forgotten < FORGOTTEN_AT_ONCE => return Ok(()),
                Ok(_) => patience = Patience::new(self.timeout),
                Err(error) if Failure::of(&error).may_pass() && patience.pause().await => {}
                Err(error) => return Err(store_error("forget visitors", error)),
            }
        }
    }

    /// The visitors whose first click was at one of these times.
    pub(crate) async fn visitors_of(
        &self,
        operation: &'static str,
        times: &BTreeSet<Timestamp>,
    ) -> Result<Vec<(VisitorHash, Timestamp)>, StoreError> {
        let query = |sql: &mut Sql| {
            sql.push("SELECT visitor, first_click FROM ").table(&self.prefix, "visitors");
            sql.push(" WHERE first_click IN (");
            sql.separated(", ", times, |sql, time| _ = sql.time(*time)).push(")");
        };
        self.read(operation, query, visitor).await
    }

    async fn forget_some(&self, before: Timestamp, deadline: Instant) -> Result<usize, Error> {
        let mut lease = Lease::take(&self.pool, deadline).await?;
        let transaction = async {
            raw_sql(self.lock_wait.begin_change()).execute(lease.connection()).await?;
            // Nobody waits for a row that somebody has locked while he holds up all others.
            let query = |sql: &mut Sql| {
                sql.push("SELECT visitor, first_click FROM ").table(&self.prefix, "visitors");
                sql.push(" FORCE INDEX (oldest) WHERE first_click < ").time(before);
                sql.push(" ORDER BY first_click LIMIT ").number(FORGOTTEN_AT_ONCE as u64);
                sql.push(" FOR UPDATE SKIP LOCKED");
            };
            let found = Reader::Transaction(lease.connection()).rows(query).await?;
            let found: Vec<_> = found.iter().map(visitor).collect::<Result<_, _>>()?;
            if !found.is_empty() {
                let delete = delete(&self.prefix, found.iter().copied());
                raw_sql(delete).execute(lease.connection()).await?;
            }
            raw_sql(self.lock_wait.commit()).execute(lease.connection()).await?;
            Ok(found.len())
        };
        let done = within(deadline, transaction).await;
        lease.end(done, self.lock_wait, deadline).await
    }
}
