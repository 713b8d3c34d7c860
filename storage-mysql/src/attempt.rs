//! What became of an attempt: which errors mean that nothing happened, and which that nobody knows.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::{MySqlDatabaseError, MySqlRow};
use sqlx::pool::PoolConnection;
use sqlx::{ConnectOptions, Connection, Error, MySql, MySqlConnection, MySqlPool, Row, raw_sql};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use tracking_core::StoreError;

use crate::rows;
use crate::sql::{CAUSAL_READS, LockWait, Sql};
use crate::store::Database;

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A key is there already. Nothing happened.
    Duplicate,
    /// A row that is referred to is not there. Nothing happened.
    MissingReference,
    /// Somebody else was in the way: a deadlock, or a conflict between nodes of a cluster. Nothing happened.
    Conflict,
    /// Somebody else has held a lock for too long. Nothing happened.
    LockWait,
    /// The server can't be reached, or went away. It may have happened.
    Unavailable,
    /// Something that trying again does not mend. Nothing happened.
    Broken,
}

impl Failure {
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Database(error) => match error.try_downcast_ref::<MySqlDatabaseError>() {
                Some(error) => Self::of_number(error.number(), error.code()),
                None => Self::Broken,
            },
            Error::Io(_) | Error::Protocol(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => {
                Self::Unavailable
            }
            _ => Self::Broken,
        }
    }

    /// Whether the same may succeed later.
    pub(crate) fn may_pass(self) -> bool {
        matches!(self, Self::Unavailable | Self::Conflict | Self::LockWait)
    }

    /// By the number that both servers have given to it, see
    /// [MySQL's list](https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html) and
    /// [MariaDB's](https://mariadb.com/kb/en/mariadb-error-code-reference/).
    fn of_number(number: u16, sql_state: Option<&str>) -> Self {
        match number {
            // ER_DUP_ENTRY, ER_DUP_ENTRY_WITH_KEY_NAME
            1062 | 1586 => Self::Duplicate,
            // ER_NO_REFERENCED_ROW, ER_NO_REFERENCED_ROW_2
            1216 | 1452 => Self::MissingReference,
            // ER_LOCK_WAIT_TIMEOUT, ER_LOCK_NOWAIT
            1205 | 3572 => Self::LockWait,
            // ER_LOCK_DEADLOCK, ER_CHECKREAD, ER_TRANSACTION_ROLLBACK_DURING_COMMIT; and ER_SP_DOES_NOT_EXIST, of a savepoint
            // that went with its transaction
            1213 | 1020 | 3101 | 1305 => Self::Conflict,
            // ER_CON_COUNT_ERROR, ER_OUT_OF_RESOURCES, WSREP not ready (ER_UNKNOWN_COM_ERROR), ER_SERVER_SHUTDOWN,
            // ER_NORMAL_SHUTDOWN, ER_HOST_IS_BLOCKED, ER_ABORTING_CONNECTION, ER_NEW_ABORTING_CONNECTION,
            // ER_TOO_MANY_USER_CONNECTIONS, ER_USER_LIMIT_REACHED
            1040 | 1041 | 1047 | 1053 | 1077 | 1129 | 1152 | 1184 | 1203 | 1226 => Self::Unavailable,
            // ER_OPTION_PREVENTS_STATEMENT and ER_READ_ONLY_MODE (a former primary), ER_SERVER_OFFLINE_MODE,
            // ER_RUN_HOOK_ERROR (a cluster without a majority)
            1290 | 1836 | 3032 | 3100 => Self::Unavailable,
            // ER_QUERY_INTERRUPTED, ER_CONNECTION_KILLED, ER_STATEMENT_TIMEOUT, ER_QUERY_TIMEOUT, ER_SESSION_WAS_KILLED,
            // ER_CLIENT_INTERACTION_TIMEOUT
            1317 | 1927 | 1969 | 3024 | 3169 | 4031 => Self::Unavailable,
            // ER_NET_PACKET_TOO_LARGE, which has the state of a broken connection: it is as large the next time.
            1153 => Self::Broken,
            _ if sql_state.is_some_and(|state| state.starts_with("40")) => Self::Conflict,
            _ if sql_state.is_some_and(|state| state.starts_with("08")) => Self::Unavailable,
            _ => Self::Broken,
        }
    }
}

/// Whether an error means that the database can't be reached, is overloaded, or had somebody else in the way, so that the
/// same may succeed later: for an application that waits for a database which is still starting.
#[must_use]
pub fn is_unavailable(error: &Error) -> bool {
    Failure::of(error).may_pass()
}

/// The number of an error that the server sent.
pub(crate) fn number_of(error: &Error) -> Option<u16> {
    let error = error.as_database_error()?;
    error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

/// How much longer than it was told to stop a server may take to do so.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// Whether it was the server that has found the time to be over: ER_STATEMENT_TIMEOUT of MariaDB, ER_QUERY_TIMEOUT of MySQL.
pub(crate) fn is_time_over(error: &Error) -> bool {
    matches!(number_of(error), Some(1969 | 3024))
}

/// Whether somebody has stopped this statement, and may not want to see it again: ER_QUERY_INTERRUPTED.
fn is_stopped(error: &Error) -> bool {
    is_time_over(error) || number_of(error) == Some(1317)
}

/// The error that a whole batch has in common.
#[derive(Debug, Clone)]
pub(crate) struct SharedError(Arc<Error>);

impl From<Error> for SharedError {
    fn from(error: Error) -> Self {
        Self(Arc::new(error))
    }
}

impl SharedError {
    pub(crate) fn failure(&self) -> Failure {
        Failure::of(&self.0)
    }

    pub(crate) fn into_store_error(self, operation: &'static str) -> StoreError {
        match self.failure() {
            Failure::Broken | Failure::Duplicate | Failure::MissingReference => StoreError::backend(operation, self),
            Failure::Conflict | Failure::LockWait | Failure::Unavailable => StoreError::unavailable(operation, self),
        }
    }
}

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for SharedError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

pub(crate) fn store_error(operation: &'static str, error: Error) -> StoreError {
    SharedError::from(error).into_store_error(operation)
}

/// The server has not answered in time.
#[derive(Debug, Error)]
#[error("the database has not answered in time")]
struct Late;

/// In such a session nothing would ever be committed.
#[derive(Debug, Error)]
#[error("the connections of the pool have autocommit off, which the store needs to be on")]
struct NoAutocommit;

/// What was there a moment ago is not, or the other way round: it is to be looked at again.
#[derive(Debug, Error)]
#[error("what is referred to has changed meanwhile")]
struct Moved;

/// The error of an attempt that has met something which was about to change.
pub(crate) fn moved() -> Error {
    Error::Io(io::Error::other(Moved))
}

/// A connection of the pool that goes back there only in a known state: unless it is [given back](Self::give_back) it is
/// closed, and with it ends whatever was under way.
pub(crate) struct Lease {
    connection: PoolConnection<MySql>,
    is_settled: bool,
}

impl Lease {
    pub(crate) async fn take(pool: &MySqlPool, deadline: Instant) -> Result<Self, Error> {
        Ok(Self::of(within(deadline, pool.acquire()).await?))
    }

    pub(crate) fn of(connection: PoolConnection<MySql>) -> Self {
        Self { connection, is_settled: false }
    }

    pub(crate) fn connection(&mut self) -> &mut MySqlConnection {
        &mut self.connection
    }

    pub(crate) fn give_back(mut self) {
        self.is_settled = true;
    }

    /// Gives it back after this error of a single statement, of which nothing is left, unless it may be broken.
    pub(crate) fn give_back_after(self, error: &Error) {
        if Failure::of(error) != Failure::Unavailable || is_stopped(error) {
            self.give_back();
        }
    }

    /// Gives it back after a transaction. After an error, that has to be undone before.
    pub(crate) async fn end<T>(
        mut self,
        result: Result<T, Error>,
        lock_wait: LockWait,
        deadline: Instant,
    ) -> Result<T, Error> {
        let is_settled = match &result {
            Ok(_) => true,
            Err(error) if Failure::of(error) == Failure::Unavailable => false,
            Err(_) => within(deadline, raw_sql(lock_wait.rollback()).execute(self.connection())).await.is_ok(),
        };
        if is_settled {
            self.give_back();
        }
        result
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_settled {
            self.connection.close_on_drop();
        }
    }
}

/// Waits no longer than until the deadline, and begins nothing after it.
pub(crate) async fn within<T>(deadline: Instant, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = || Error::Io(io::Error::new(io::ErrorKind::TimedOut, Late));
    if Instant::now() >= deadline {
        return Err(late());
    }
    timeout_at(deadline, call).await.unwrap_or_else(|_| Err(late()))
}

/// Whether the server of this version is a MariaDB.
pub(crate) fn is_mariadb(version: &str) -> bool {
    version.to_ascii_lowercase().contains("mariadb")
}

/// How the statements of a transaction go to the server.
///
/// Not as several statements in one packet: on a Galera cluster a transaction that is in the way of another node's is rolled
/// back even between two of them, and the rest of the packet is executed all the same, outside of any transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    /// As one compound statement, which MariaDB has: one round trip, and the first error ends it, that of a cluster
    /// included.
    Compound,
    /// Each by itself.
    OneByOne,
}

/// How much is sent in one transaction at the most: enough to make a transaction cheap for each of its rows.
const MOST_BYTES: usize = 4 << 20;

impl Sending {
    /// What suits this server, and how many bytes a transaction may have.
    pub(crate) async fn to(connection: &mut MySqlConnection) -> Result<(Self, usize), Error> {
        let query = "SELECT VERSION() AS version, @@sql_mode AS mode, IF(@@autocommit, 'on', 'off') AS autocommit, \
             CAST(@@max_allowed_packet AS SIGNED) AS packet";
        let row = raw_sql(query).fetch_one(connection).await?;
        let (version, mode): (&str, &str) = (row.try_get("version")?, row.try_get("mode")?);
        if row.try_get::<&str, _>("autocommit")? != "on" {
            return Err(Error::Configuration(NoAutocommit.into()));
        }
        // Where MariaDB plays Oracle, compound statements have another form.
        let has_compounds = is_mariadb(version) && !mode.contains("ORACLE");
        let sending = if has_compounds { Self::Compound } else { Self::OneByOne };
        // With room for what comes with the rows.
        let half_a_packet = usize::try_from(rows::number(&row, "packet")? / 2).unwrap_or(usize::MAX);
        Ok((sending, half_a_packet.min(MOST_BYTES)))
    }

    async fn execute(
        self,
        connection: &mut MySqlConnection,
        statements: Vec<Sql>,
        lock_wait: LockWait,
    ) -> Result<(), Error> {
        let (begin, commit) = (lock_wait.begin(), lock_wait.commit());
        match self {
            Self::OneByOne => {
                raw_sql(begin).execute(&mut *connection).await?;
                for statement in statements {
                    raw_sql(statement).execute(&mut *connection).await?;
                }
                raw_sql(commit).execute(connection).await.map(drop)
            }
            Self::Compound => {
                let mut compound = Sql::with_capacity(statements.iter().map(Sql::len).sum::<usize>() + 512);
                compound.push("BEGIN NOT ATOMIC ").push(begin).push("; ");
                for statement in &statements {
                    compound.statement(statement).push("; ");
                }
                compound.push(commit).push("; END");
                raw_sql(compound).execute(connection).await.map(drop)
            }
        }
    }
}

/// Runs these statements as one transaction. Of an error that says that nothing happened nothing is left: what had been
/// begun is rolled back.
pub(crate) async fn transact(
    database: &Database,
    sending: Sending,
    statements: Vec<Sql>,
    deadline: Instant,
) -> Result<(), Error> {
    let mut lease = Lease::take(&database.pool, deadline).await?;
    let done = within(deadline, sending.execute(lease.connection(), statements, database.lock_wait)).await;
    lease.end(done, database.lock_wait, deadline).await
}

/// Runs these statements in a transaction that locks nothing but the rows that it changes, and returns how many the first
/// one has changed.
pub(crate) async fn change(database: &Database, statements: Vec<Sql>, deadline: Instant) -> Result<u64, Error> {
    let mut lease = Lease::take(&database.pool, deadline).await?;
    let transaction = async {
        raw_sql(database.lock_wait.begin_change()).execute(lease.connection()).await?;
        let mut changed = None;
        for statement in statements {
            let done = raw_sql(statement).execute(lease.connection()).await?;
            changed.get_or_insert(done.rows_affected());
        }
        raw_sql(database.lock_wait.commit()).execute(lease.connection()).await?;
        Ok(changed.unwrap_or_default())
    };
    let done = within(deadline, transaction).await;
    lease.end(done, database.lock_wait, deadline).await
}

/// Where rows are read from.
pub(crate) enum Reader<'a> {
    /// From what has been committed.
    Pool(&'a MySqlPool, Instant),
    /// From what has been committed, without waiting for a connection: where all of the pool's are taken, on one beyond it.
    /// They may all be held by transactions of the application, each of which waits for this.
    Beside(&'a MySqlPool, Instant),
    /// From what this connection sees, in its transaction if it is in one.
    Transaction(&'a mut MySqlConnection),
    /// From both, as from `Beside`: rows that are in both come twice, what has been committed last.
    Both(&'a mut MySqlConnection, &'a MySqlPool, Instant),
}

impl Reader<'_> {
    /// Reads these rows. From the pool on another connection if one turns out to be broken: after the server was
    /// restarted, all that were idle are.
    pub(crate) async fn rows(&mut self, query: impl Fn(&mut Sql)) -> Result<Vec<MySqlRow>, Error> {
        let (pool, deadline) = match self {
            Self::Pool(pool, deadline) => (*pool, *deadline),
            Self::Beside(pool, deadline) => return rows_beside(pool, *deadline, &query).await,
            Self::Transaction(connection) => return rows_of(connection, &query).await,
            Self::Both(connection, pool, deadline) => {
                let mut found = rows_of(connection, &query).await?;
                found.extend(rows_beside(pool, *deadline, &query).await?);
                return Ok(found);
            }
        };
        let mut broken = 0;
        loop {
            let mut lease = Lease::take(pool, deadline).await?;
            match within(deadline, rows_of(lease.connection(), &query)).await {
                Ok(rows) => {
                    lease.give_back();
                    return Ok(rows);
                }
                Err(error) => {
                    lease.give_back_after(&error);
                    broken += 1;
                    let may_be_broken = Failure::of(&error) == Failure::Unavailable && !is_stopped(&error);
                    if !may_be_broken || Instant::now() >= deadline || broken > pool.options().get_max_connections() {
                        return Err(error);
                    }
                }
            }
        }
    }
}

/// Reads these rows without waiting for a connection of the pool.
async fn rows_beside(pool: &MySqlPool, deadline: Instant, query: &impl Fn(&mut Sql)) -> Result<Vec<MySqlRow>, Error> {
    if let Some(connection) = pool.try_acquire() {
        let mut lease = Lease::of(connection);
        match within(deadline, rows_of(lease.connection(), query)).await {
            // It may have been idle for too long.
            Err(error) if Failure::of(&error) == Failure::Unavailable => {}
            done => {
                lease.give_back();
                return done;
            }
        }
    }
    within(deadline, async {
        let mut connection = connect_beside(pool).await?;
        let found = rows_of(&mut connection, query).await?;
        _ = connection.close().await;
        Ok(found)
    })
    .await
}

/// A connection beyond those of the pool.
pub(crate) async fn connect_beside(pool: &MySqlPool) -> Result<MySqlConnection, Error> {
    let mut connection = pool.connect_options().connect().await?;
    causal_reads(&mut connection).await?;
    Ok(connection)
}

/// Sees to it that what is read here was committed on any node of a cluster before.
pub(crate) async fn causal_reads(connection: &mut MySqlConnection) -> Result<(), Error> {
    match raw_sql(CAUSAL_READS).execute(connection).await {
        // A server that can't be a node of such a cluster does not know the setting.
        Ok(_) | Err(Error::Database(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn rows_of(connection: &mut MySqlConnection, query: &impl Fn(&mut Sql)) -> Result<Vec<MySqlRow>, Error> {
    let mut sql = Sql::default();
    query(&mut sql);
    raw_sql(sql).fetch_all(connection).await
}

/// Repeats what may succeed next time, with growing pauses, until there is no time left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    deadline: Instant,
    pause: Duration,
}

impl Patience {
    const FIRST_PAUSE: Duration = Duration::from_millis(5);
    const LONGEST_PAUSE: Duration = Duration::from_millis(250);

    pub(crate) fn new(timeout: Duration) -> Self {
        Self { deadline: Instant::now() + timeout, pause: Self::FIRST_PAUSE }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits before the next attempt; `false` if there is no time for one.
    pub(crate) async fn pause(&mut self) -> bool {
        let next = Instant::now() + self.pause;
        if next >= self.deadline {
            return false;
        }
        tokio::time::sleep_until(next).await;
        self.pause = (self.pause * 2).min(Self::LONGEST_PAUSE);
        true
    }
}
