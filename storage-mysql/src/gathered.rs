//! Counters of several slots are gathered in one.
//!
//! Each slot in which something was counted is one more row for a report to read. One of a process that was restarted stays, and
//! transactions beside the batches have slots by the dozen. So what they have counted is moved to the slot of what was gathered, a
//! little at a time: a report, which sees the table as it was at one moment, finds it in one place or in the other.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::Utc;
use parking_lot::Mutex;
use sqlx::{Error, Row, raw_sql};
use tokio::time::Instant;
use tracking_core::StoreError;

use crate::attempt::{Failure, Lease, Reader, store_error, within};
use crate::counters::{KEY, Key, Series, TABLE, code, figures, quarter_hour, read_key};
use crate::migrate::write_is_done;
use crate::spans::Span;
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;

/// In which slot is what was gathered, and what was counted before there were these series.
const GATHERED: i8 = -1;

/// How many rows a look goes over, and how many a call.
const AT_ONE_LOOK: usize = 5_000;
const AT_ONE_CALL: usize = 50_000;

/// How many counters are gathered in one transaction. Whoever counts in one of them waits for its end.
const AT_ONCE: usize = 50;

/// How many rows a counter may have of a time that goes on. To take away those in which somebody is counting has him insert them
/// again, for which MySQL may have him wait until an application's transaction has ended.
const MOST_AT_PRESENT: usize = 8;

/// How far the counters have been gathered.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    walk: Mutex<Walk>,
    /// Whether migrations have nothing to do in slot -1 any more.
    may_begin: AtomicBool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Walk {
    /// How many series are done, in the order of the longest times first: these have the fewest rows, and are read most.
    series: usize,
    /// The last counter of the next one that was looked at.
    after: Option<Key>,
}

#[derive(Debug, Default)]
struct Look {
    /// Counters that have more rows than they may.
    scattered: Vec<Key>,
    /// The last one that was looked at, unless there are no more in its series.
    last: Option<Key>,
    /// How many rows they all have.
    rows: usize,
}

impl Database {
    /// Looks at the next counters, at the first ones again after the last, and gathers those that are in several slots. What fails
    /// is left for the next time.
    pub(crate) async fn gather(&self) -> Result<(), StoreError> {
        if !self.may_gather().await? {
            return Ok(());
        }
        // Of shorter times there are by far the most counters, and few that a report reads.
        let mut order: Vec<Series> = Series::each().filter(|series| series.span >= Span::SixHours).collect();
        order.sort_by_key(|series| Reverse(series.span));
        let (mut looked_at, mut failure) = (0, None);
        // A server that is away will be away for the rest, too.
        let mut note = |error: Error| match Failure::of(&error) {
            Failure::Unavailable => Err(failed(error)),
            _ => Ok(_ = failure.get_or_insert(error)),
        };
        while looked_at < AT_ONE_CALL {
            let walk = *self.gathered.walk.lock();
            let Some(series) = order.get(walk.series) else {
                *self.gathered.walk.lock() = Walk::default();
                break;
            };
            let started = Instant::now();
            let look = match self.scattered(*series, walk.after).await {
                Ok(look) => look,
                Err(error) => {
                    note(error)?;
                    Look::default()
                }
            };
            pause(started).await;
            looked_at += look.rows;
            for keys in look.scattered.chunks(AT_ONCE) {
                let started = Instant::now();
                self.gather_these(keys, started + self.timeout).await.or_else(&mut note)?;
                pause(started).await;
            }
            *self.gathered.walk.lock() = match look.last {
                Some(_) => Walk { after: look.last, ..walk },
                None => Walk { series: walk.series + 1, after: None },
            };
        }
        failure.map_or(Ok(()), |error| Err(failed(error)))
    }

    /// A migration sees by its own rows in slot -1 how far it has come.
    async fn may_gather(&self) -> Result<bool, StoreError> {
        let may_begin = &self.gathered.may_begin;
        if !may_begin.load(Ordering::Relaxed) {
            let done = self.reader().rows(|sql| write_is_done(sql, &self.prefix)).await.map_err(failed)?;
            may_begin.store(!done.is_empty(), Ordering::Relaxed);
        }
        Ok(may_begin.load(Ordering::Relaxed))
    }

    /// Looks at the next counters of this series.
    async fn scattered(&self, series: Series, after: Option<Key>) -> Result<Look, Error> {
        let query = |sql: &mut Sql| {
            sql.push("SELECT ").push(KEY).push(" FROM ").table(&self.prefix, TABLE);
            sql.push(" FORCE INDEX (PRIMARY) WHERE series = ").number(series.number());
            if let Some(key) = &after {
                write_after(sql, key);
            }
            sql.push(" ORDER BY series, start, owner, part, currency, slot LIMIT ").number(AT_ONE_LOOK as u64);
        };
        let rows = self.reader().rows(query).await?;
        let keys = rows.iter().map(read_key).collect::<Result<Vec<_>, _>>()?;
        let mut counters: Vec<&[Key]> = keys.chunk_by(|key, next| key == next).collect();
        let is_end = keys.len() < AT_ONE_LOOK;
        if !is_end {
            // Some of its rows may be beyond the limit.
            counters.pop();
        }
        let last = counters.last().filter(|_| !is_end).map(|rows| rows[0]);
        let now = quarter_hour(Utc::now().into());
        let most = |(series, start, ..): Key| if series.span.end(start) < now { 1 } else { MOST_AT_PRESENT };
        let scattered = counters.iter().filter(|rows| rows.len() > most(rows[0])).map(|rows| rows[0]);
        Ok(Look { scattered: scattered.collect(), last, rows: keys.len() })
    }

    /// One transaction: what is added to what has been gathered, and no more, is taken away from the other slots. If nobody hears
    /// of its commit nothing is missing: it has happened, or it has not.
    async fn gather_these(&self, keys: &[Key], deadline: Instant) -> Result<(), Error> {
        let mut lease = Lease::take(&self.pool, deadline).await?;
        let transaction = async {
            raw_sql(self.lock_wait.begin_change()).execute(lease.connection()).await?;
            let query = |sql: &mut Sql| {
                sql.push("SELECT ").push(KEY).push(", slot FROM ").table(&self.prefix, TABLE);
                sql.push(" FORCE INDEX (PRIMARY) WHERE ");
                sql.separated(" OR ", keys, |sql, (series, start, owner, part, currency)| {
                    sql.push("(series = ").number(series.number()).push(" AND start = ").signed(*start);
                    sql.push(" AND owner = ").number(*owner).push(" AND part = ").number(*part);
                    sql.push(" AND currency = ").ascii(code(*currency)).push(" AND slot <> ").signed(GATHERED.into());
                    sql.push(")");
                });
                // Those are left for later in which somebody is counting.
                sql.push(" FOR UPDATE SKIP LOCKED");
            };
            let found = Reader::Transaction(lease.connection()).rows(query).await?;
            let mut rows = Vec::with_capacity(found.len());
            for row in &found {
                rows.push((read_key(row)?, row.try_get("slot")?));
            }
            rows.sort_by_key(|((.., currency), _): &(Key, i64)| *currency);
            for rows in rows.chunk_by(|((.., currency), _), ((.., next), _)| currency == next) {
                for statement in [add(&self.prefix, rows), delete(&self.prefix, rows)] {
                    raw_sql(statement).execute(lease.connection()).await?;
                }
            }
            raw_sql(self.lock_wait.commit()).execute(lease.connection()).await.map(drop)
        };
        let done = within(deadline, transaction).await;
        match lease.end(done, self.lock_wait, deadline).await {
            // Somebody else was in the way.
            Err(error) if matches!(Failure::of(&error), Failure::Conflict | Failure::LockWait) => Ok(()),
            done => done,
        }
    }
}

fn failed(error: Error) -> StoreError {
    store_error("gather counters", error)
}

/// Half of the time is left to those who wait for an answer.
async fn pause(since: Instant) {
    tokio::time::sleep(since.elapsed()).await;
}

/// The condition that a row comes after all those of this counter, in the order of the primary key.
fn write_after(sql: &mut Sql, (_, start, owner, part, currency): &Key) {
    sql.push(" AND (start > ").signed(*start);
    sql.push(" OR (start = ").signed(*start).push(" AND (owner > ").number(*owner);
    sql.push(" OR (owner = ").number(*owner).push(" AND (part > ").number(*part);
    sql.push(" OR (part = ").number(*part).push(" AND currency > ").ascii(code(*currency)).push("))))))");
}

/// The statement that adds what these rows count, which are all of one currency, to what was gathered. The sums are those of the
/// database: exact, and nothing where nothing was counted.
fn add(prefix: &TablePrefix, rows: &[(Key, i64)]) -> Sql {
    let mut sql = Sql::default();
    sql.push("INSERT INTO ").table(prefix, TABLE).push(" (").push(KEY).push(", slot");
    figures().for_each(|column| _ = sql.push(", ").push(column));
    sql.push(") SELECT * FROM (SELECT of_series, of_start, of_owner, of_part, ").ascii(code(rows[0].0.4));
    sql.push(" AS of_currency, ").signed(GATHERED.into()).push(" AS of_slots");
    figures().for_each(|column| _ = sql.push(", SUM(").push(column).push(") AS sum_of_").push(column));
    write_rows(sql.push(" FROM "), prefix, rows);
    sql.push(" GROUP BY of_series, of_start, of_owner, of_part) g ON DUPLICATE KEY UPDATE ");
    sql.separated(", ", figures(), |sql, column| {
        sql.push(column).push(" = COALESCE(").push(column).push(" + VALUES(").push(column).push("), ");
        sql.push(column).push(", VALUES(").push(column).push("))");
    });
    sql
}

/// The statement that deletes these rows, which are all of one currency.
fn delete(prefix: &TablePrefix, rows: &[(Key, i64)]) -> Sql {
    let mut sql = Sql::default();
    write_rows(sql.push("DELETE f FROM "), prefix, rows);
    sql
}

/// Writes what these rows, which are all of one currency, are read from.
///
/// By a join, and not by a condition: that would go over ranges, and wait for the row that comes after one, which may be
/// somebody else's.
fn write_rows(sql: &mut Sql, prefix: &TablePrefix, rows: &[(Key, i64)]) {
    sql.push("JSON_TABLE('[");
    sql.separated(", ", rows, |sql, ((series, start, owner, part, _), slot)| {
        sql.push("[").number(series.number()).push(", ").signed(*start).push(", ").number(*owner);
        sql.push(", ").number(*part).push(", ").signed(*slot).push("]");
    });
    sql.push("]', '$[*]' COLUMNS (of_series INT PATH '$[0]', of_start INT PATH '$[1]', of_owner INT PATH '$[2]', ");
    sql.push("of_part INT PATH '$[3]', of_slot INT PATH '$[4]')) p STRAIGHT_JOIN ").table(prefix, TABLE);
    sql.push(
        " f FORCE INDEX (PRIMARY) ON series = of_series AND start = of_start AND owner = of_owner AND part = of_part",
    );
    sql.push(" AND currency = ").ascii(code(rows[0].0.4)).push(" AND slot = of_slot");
}
