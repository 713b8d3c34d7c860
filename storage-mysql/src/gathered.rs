//! Counters of several slots are gathered in one.
//!
//! Each slot in which something was counted is one more row for a report to read. One of a process that was restarted stays, and
//! transactions beside the batches have slots by the dozen. So what they count is moved to the slot of what was gathered, a little
//! at a time: a report, which sees the table as it was at one moment, finds it in one place or in the other.

use std::collections::BTreeMap;

use chrono::Utc;
use sqlx::{Error, Row, raw_sql};
use tokio::time::Instant;
use tracking_core::{Currency, StoreError};

use crate::attempt::{Failure, Lease, Patience, Reader, store_error, within};
use crate::counters::{COUNTER, Change, GATHERED, KEY, Key, TABLE, gather, quarter_hour, read, read_key};
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;

const OPERATION: &str = "gather counters";

/// How many rows a look goes over, and how many looks there are in a call.
const AT_ONE_LOOK: usize = 5_000;
const LOOKS: u32 = 10;

/// How many counters are gathered in one transaction. Whoever counts in one of them waits for its end.
const AT_ONCE: usize = 50;

impl Database {
    /// Looks at the next rows of the table, from its beginning again when it has come to the end, and gathers what is in
    /// several slots.
    pub(crate) async fn gather(&self) -> Result<(), StoreError> {
        for _ in 0..LOOKS {
            let started = Instant::now();
            let after = *self.gathered.lock();
            let (scattered, last) = self.scattered(after).await.map_err(|error| store_error(OPERATION, error))?;
            for keys in scattered.chunks(AT_ONCE) {
                self.gather_these(keys).await?;
            }
            *self.gathered.lock() = last;
            if last.is_none() {
                break;
            }
            // Half of the time is left to those who wait for an answer.
            tokio::time::sleep(started.elapsed()).await;
        }
        Ok(())
    }

    /// The counters that have more rows than they need, of the next ones after this, and the last one that was looked at, unless
    /// it was the last there is.
    async fn scattered(&self, after: Option<Key>) -> Result<(Vec<Key>, Option<Key>), Error> {
        let query = |sql: &mut Sql| {
            sql.push("SELECT ").push(KEY).push(", slot FROM ").table(&self.prefix, TABLE);
            sql.push(" FORCE INDEX (PRIMARY) WHERE ");
            match &after {
                Some(key) => write_after(sql, key),
                None => _ = sql.push("TRUE"),
            }
            sql.push(" ORDER BY series, start, owner, part, currency, slot LIMIT ").number(AT_ONE_LOOK as u64);
        };
        let keys = self.reader().rows(query).await?;
        let keys = keys.iter().map(read_key).collect::<Result<Vec<_>, _>>()?;
        let mut counters: Vec<&[Key]> = keys.chunk_by(|key, next| key == next).collect();
        let is_end = keys.len() < AT_ONE_LOOK;
        if !is_end {
            // Some of its rows may be beyond the limit.
            counters.pop();
        }
        let last = counters.last().filter(|_| !is_end).map(|rows| rows[0]);
        let now = quarter_hour(Utc::now().into());
        // Where something is counted now there is a row of that, too.
        let most = |(series, start, ..): Key| if series.span.end(start) <= now { 1 } else { 2 };
        let scattered = counters.iter().filter(|rows| rows.len() > most(rows[0])).map(|rows| rows[0]);
        Ok((scattered.collect(), last))
    }

    async fn gather_these(&self, keys: &[Key]) -> Result<(), StoreError> {
        let mut patience = Patience::new(self.timeout);
        loop {
            match self.try_to_gather(keys, patience.deadline()).await {
                Ok(()) => return Ok(()),
                Err(error) if Failure::of(&error).may_pass() && patience.pause().await => {}
                Err(error) => return Err(store_error(OPERATION, error)),
            }
        }
    }

    /// One transaction: what is added to what has been gathered, and no more, is taken away from the other slots. If nobody hears
    /// of its commit it can be repeated, as it finds nothing then.
    async fn try_to_gather(&self, keys: &[Key], deadline: Instant) -> Result<(), Error> {
        let mut lease = Lease::take(&self.pool, deadline).await?;
        let transaction = async {
            raw_sql(self.lock_wait.begin_change()).execute(lease.connection()).await?;
            let query = |sql: &mut Sql| {
                sql.push("SELECT ").push(COUNTER).push(", slot FROM ").table(&self.prefix, TABLE);
                sql.push(" FORCE INDEX (PRIMARY) WHERE ");
                sql.separated(" OR ", keys, |sql, key| {
                    write_key(sql.push("("), key).push(" AND slot <> ").signed(GATHERED.into()).push(")");
                });
                // Those are left for later in which somebody is counting.
                sql.push(" FOR UPDATE SKIP LOCKED");
            };
            let found = Reader::Transaction(lease.connection()).rows(query).await?;
            let mut sums: BTreeMap<Key, Change> = BTreeMap::new();
            let mut moved: BTreeMap<Option<Currency>, Vec<(Key, i64)>> = BTreeMap::new();
            for row in &found {
                let (key, change) = read(row)?;
                sums.entry(key).or_default().add(&change, 1);
                moved.entry(key.4).or_default().push((key, row.try_get("slot")?));
            }
            let deleted = moved.iter().map(|(currency, rows)| delete(&self.prefix, *currency, rows));
            for statement in gather(&self.prefix, sums).into_iter().chain(deleted) {
                raw_sql(statement).execute(lease.connection()).await?;
            }
            raw_sql(self.lock_wait.commit()).execute(lease.connection()).await.map(drop)
        };
        let done = within(deadline, transaction).await;
        lease.end(done, self.lock_wait, deadline).await
    }
}

/// The condition that a row is of this counter.
fn write_key<'s>(sql: &'s mut Sql, (series, start, owner, part, currency): &Key) -> &'s mut Sql {
    sql.push("series = ").number(series.number()).push(" AND start = ").signed(*start);
    sql.push(" AND owner = ").number(*owner).push(" AND part = ").number(*part);
    sql.push(" AND currency = ").ascii(currency.map_or("", Currency::code))
}

/// The condition that a row comes after all those of this counter, in the order of the primary key.
fn write_after(sql: &mut Sql, (series, start, owner, part, currency): &Key) {
    let series = series.number();
    sql.push("(series > ").number(series);
    sql.push(" OR (series = ").number(series).push(" AND (start > ").signed(*start);
    sql.push(" OR (start = ").signed(*start).push(" AND (owner > ").number(*owner);
    sql.push(" OR (owner = ").number(*owner).push(" AND (part > ").number(*part);
    sql.push(" OR (part = ").number(*part).push(" AND currency > ").ascii(currency.map_or("", Currency::code));
    sql.push("))))))))");
}

/// The statement that deletes these rows, which are all of this currency.
///
/// By a join, and not by a condition: that would go over ranges, and wait for the row that comes after one, which may be
/// somebody else's.
fn delete(prefix: &TablePrefix, currency: Option<Currency>, rows: &[(Key, i64)]) -> Sql {
    let mut sql = Sql::default();
    sql.push("DELETE f FROM JSON_TABLE('[");
    sql.separated(", ", rows, |sql, ((series, start, owner, part, _), slot)| {
        sql.push("[").number(series.number()).push(", ").signed(*start).push(", ").number(*owner);
        sql.push(", ").number(*part).push(", ").signed(*slot).push("]");
    });
    sql.push("]', '$[*]' COLUMNS (of_series INT PATH '$[0]', of_start INT PATH '$[1]', of_owner INT PATH '$[2]', ");
    sql.push("of_part INT PATH '$[3]', of_slot INT PATH '$[4]')) p STRAIGHT_JOIN ").table(prefix, TABLE);
    sql.push(
        " f FORCE INDEX (PRIMARY) ON series = of_series AND start = of_start AND owner = of_owner AND part = of_part",
    );
    sql.push(" AND currency = ").ascii(currency.map_or("", Currency::code)).push(" AND slot = of_slot");
    sql
}
