//! Numbers that no two processes share.

use std::ops::Range;

use parking_lot::Mutex;
use sqlx::{Connection, Error, MySqlConnection, raw_sql};
use thiserror::Error;
use tokio::time::Instant;

use crate::attempt::{Failure, Lease, connect_beside, within};
use crate::sql::Sql;
use crate::store::Database;

/// Gives out numbers from blocks that the database has reserved for this process.
///
/// A record has its number before it is inserted. So an insert whose fate is unknown can be repeated under the same
/// number: either it meets itself, or it had not happened. What is left of a block when the process ends is lost.
#[derive(Debug)]
pub(crate) struct Sequence {
    name: &'static str,
    block: u64,
    left: Mutex<Range<u64>>,
}

impl Sequence {
    pub(crate) const fn new(name: &'static str, block: u64) -> Self {
        Self { name, block, left: Mutex::new(0..0) }
    }

    /// Takes so many numbers, ascending.
    pub(crate) async fn take(&self, database: &Database, deadline: Instant, count: usize) -> Result<Vec<u64>, Error> {
        let mut numbers: Vec<u64> = self.left.lock().by_ref().take(count).collect();
        let missing = (count - numbers.len()) as u64;
        if missing > 0 {
            let mut block = self.reserve(database, deadline, self.block.max(missing)).await?;
            numbers.extend(block.by_ref().take(missing as usize));
            let mut left = self.left.lock();
            // Somebody else may have reserved a block at the same time. One of them is enough.
            if block.end - block.start > left.end - left.start {
                *left = block;
            }
        }
        Ok(numbers)
    }

    async fn reserve(&self, database: &Database, deadline: Instant, count: u64) -> Result<Range<u64>, Error> {
        // All connections of the pool may be held by transactions of the application which wait for this.
        let done = match database.pool.try_acquire() {
            Some(connection) => {
                let mut lease = Lease::of(connection);
                let done = within(deadline, self.update(database, lease.connection(), count)).await;
                if done.is_ok() {
                    lease.give_back();
                }
                done
            }
            None => Err(Error::PoolTimedOut),
        };
        let last = match done {
            // It may have been idle for too long.
            Err(error) if Failure::of(&error) == Failure::Unavailable => {
                within(deadline, async {
                    let mut connection = connect_beside(&database.pool).await?;
                    let done = self.update(database, &mut connection, count).await?;
                    _ = connection.close().await;
                    Ok(done)
                })
                .await?
            }
            done => done?,
        };
        let start = last.checked_sub(count).ok_or_else(|| Error::Decode(NoSequence(self.name).into()))?;
        Ok(start + 1..last + 1)
    }

    async fn update(&self, database: &Database, connection: &mut MySqlConnection, count: u64) -> Result<u64, Error> {
        let mut sql = Sql::default();
        sql.push("UPDATE ").table(&database.prefix, "sequences");
        sql.push(" SET last = LAST_INSERT_ID(last + ").number(count);
        sql.push(") WHERE name = ").ascii(self.name);
        let done = raw_sql(sql).execute(connection).await?;
        match done.rows_affected() {
            0 => Err(Error::Decode(NoSequence(self.name).into())),
            _ => Ok(done.last_insert_id()),
        }
    }
}

/// The table of sequences is not as the migrations have made it.
#[derive(Debug, Error)]
#[error("the sequence {0} is missing, or gives no numbers")]
struct NoSequence(&'static str);

/// Slots of counters.
///
/// Rows that one transaction has changed hold up the next one that changes them. So each process that writes has rows of
/// its own, as far as the slots go; transactions of the application, of which each is open for as long as it likes, share
/// others.
pub(crate) mod slots {
    const PROCESSES: u64 = 16;
    const APPLICATION: u64 = 80;
    const SINGLES: u64 = 16;

    /// The slot of the process that is the `writer`th.
    pub(crate) fn of_process(writer: u64) -> u8 {
        (writer % PROCESSES) as u8
    }

    /// The slot of an application's transaction about this number.
    pub(crate) fn of_application(number: u64) -> u8 {
        (PROCESSES + number % APPLICATION) as u8
    }

    /// The slot of a short transaction about this number alone, of which a few are under way at once.
    pub(crate) fn of_single(number: u64) -> u8 {
        (PROCESSES + APPLICATION + number % SINGLES) as u8
    }
}
