//! The tables, from version to version.
//!
//! Neither server can undo the creation of a table, so a migration is a list of statements, each of which is noted when
//! it is done. One that creates or alters a table does no harm when it is repeated; one that changes rows is noted in the
//! same transaction, and a few rows at a time where they may be many. No lock is held, which not every cluster has:
//! processes that migrate at the same time do the same work, and wait for each other's rows.

use std::time::{Duration, Instant};

use sqlx::{Error, Executor, MySqlConnection, Row, raw_sql};
use thiserror::Error;

use crate::attempt::{Failure, is_mariadb, is_unavailable, number_of};
use crate::rows;
use crate::sql::{Sql, TablePrefix};
use crate::store::Database;

/// In order; versions count from one.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/1_records.sql"),
    include_str!("../migrations/2_counters.sql"),
    include_str!("../migrations/3_visits.sql"),
    include_str!("../migrations/4_postbacks.sql"),
    include_str!("../migrations/5_reports.sql"),
];

/// How often, and after which pause, a step is tried that another process is at.
const ATTEMPTS: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// How often a step that takes long is told of.
const PROGRESS: Duration = Duration::from_secs(5);

const ER_NO_SUCH_TABLE: u16 = 1146;
const ER_BAD_FIELD_ERROR: u16 = 1054;

const NOTES: &str = "tracking_migrations";
const TABLES: &[&str] = &[
    "affiliates",
    "campaigns",
    "clicks",
    "conversions",
    "sequences",
    "counters",
    "visitors",
    "status_changes",
    "capped_campaigns",
    "postbacks",
    "figures",
];
/// Those that came with later versions, and the columns of each, by which it is told from a table of the application's.
const LATER_TABLES: &[(u32, &str, &str)] = &[
    (2, "counters", "affiliate_id, quarter_hour, campaign_id, currency, slot, clicks, conversions, amount"),
    (3, "visitors", "visitor, first_click"),
    (4, "status_changes", "conversion_id, from_status, to_status, changed_at, changed_by, reason"),
    (4, "capped_campaigns", "campaign_id, turns"),
    (4, "postbacks", "received_at, id, method, source, parameters, outcome, summary, calls"),
    (5, "figures", "series, start, owner, part, currency, slot, clicks, approved_amount, rejected_payout"),
];

/// What a migration has done: `from` equals `to` where there was nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The version of the tables before; 0 if there were none.
    pub from: u32,
    /// Their version now.
    pub to: u32,
}

/// Why the tables are not as they have to be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// A table of this name is there that no migration has created.
    #[error(
        "there is a table {0} already, which is not of this library; set a table prefix, rename that table, or use another database"
    )]
    ForeignTable(String),
    /// The tables are newer than this library.
    #[error("the tables have version {found}, and this library knows versions up to {known}; use a newer one")]
    TooNew {
        /// The version of the tables.
        found: u32,
        /// The latest version that this library knows.
        known: u32,
    },
    /// The database failed.
    #[error("migration to version {version} failed at its statement {step}")]
    Statement {
        /// The version that the tables would have had.
        version: u32,
        /// The statement, counted from one.
        step: u32,
        /// What the database said.
        source: Error,
    },
    /// The database can't be asked for the version of the tables.
    #[error("the version of the tables is not known")]
    Version(#[source] Error),
}

impl MigrateError {
    /// Whether the database was not there, so that the same may succeed later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.database_error().is_some_and(is_unavailable)
    }

    /// What the database said, if it was the database that failed.
    #[must_use]
    pub fn database_error(&self) -> Option<&Error> {
        match self {
            Self::Statement { source, .. } | Self::Version(source) => Some(source),
            Self::ForeignTable(_) | Self::TooNew { .. } => None,
        }
    }
}

pub(crate) async fn migrate(database: &Database) -> Result<Migrated, MigrateError> {
    let mut connection = database.pool.acquire().await.map_err(MigrateError::Version)?;
    let migration = Migration { database, connection: &mut connection };
    migration.run().await
}

/// Writes the query that has a row when these migrations are done.
pub(crate) fn write_is_done(sql: &mut Sql, prefix: &TablePrefix) {
    let (version, last) =
        (MIGRATIONS.len() as u64, MIGRATIONS.last().map_or(0, |last| statements(last).count() as u64));
    sql.push("SELECT version FROM ").table(prefix, NOTES).push(" WHERE version > ").number(version);
    sql.push(" OR (version = ").number(version).push(" AND step = ").number(last).push(") LIMIT 1");
}

struct Migration<'a> {
    database: &'a Database,
    connection: &'a mut MySqlConnection,
}

impl Migration<'_> {
    async fn run(mut self) -> Result<Migrated, MigrateError> {
        if !self.has_notes().await? {
            self.create_notes().await.map_err(MigrateError::Version)?;
        }
        let known = MIGRATIONS.len() as u32;
        let found = self.version().await.map_err(MigrateError::Version)?;
        if found > known {
            return Err(MigrateError::TooNew { found, known });
        }
        for (version, name, columns) in LATER_TABLES {
            if *version > found && !self.can_be_ours(name, columns).await.map_err(MigrateError::Version)? {
                return Err(MigrateError::ForeignTable(format!("{}{name}", self.database.prefix)));
            }
        }
        let bytewise = self.bytewise().await.map_err(MigrateError::Version)?;
        let mut from = found;
        for (version, migration) in (1..).zip(MIGRATIONS) {
            for (step, statement) in (1..).zip(statements(migration)) {
                let failed = |source| MigrateError::Statement { version, step, source };
                let (mut attempts, mut told) = (0, None);
                while !self.is_done(version, step).await.map_err(failed)? {
                    // One that was broken off is not what the tables had.
                    from = from.min(version - 1);
                    // A step may have thousands of parts.
                    if told.is_none_or(|told: Instant| told.elapsed() >= PROGRESS) {
                        tracing::info!(version, step, "migrating");
                        told = Some(Instant::now());
                    }
                    let statement = Sql::of_migration(statement, &self.database.prefix, bytewise);
                    let Err(error) = self.do_step(version, step, statement).await else { continue };
                    // Somebody else may have done it meanwhile, and a later one that drops what it is about.
                    if self.is_done(version, step).await.map_err(failed)? {
                        continue;
                    }
                    // Somebody else may be at the same step.
                    attempts += 1;
                    if !matches!(Failure::of(&error), Failure::Conflict | Failure::LockWait) || attempts == ATTEMPTS {
                        return Err(failed(error));
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        Ok(Migrated { from, to: known })
    }

    /// Whether a migration has begun here. If not, there must be no table of ours either.
    async fn has_notes(&mut self) -> Result<bool, MigrateError> {
        if self.is_there(NOTES).await.map_err(MigrateError::Version)? {
            return Ok(true);
        }
        for name in TABLES {
            if self.is_there(name).await.map_err(MigrateError::Version)? {
                // Unless another process has begun meanwhile, which makes the notes first.
                return match self.is_there(NOTES).await.map_err(MigrateError::Version)? {
                    true => Ok(true),
                    false => Err(MigrateError::ForeignTable(format!("{}{name}", self.database.prefix))),
                };
            }
        }
        Ok(false)
    }

    /// Whether there is a table of this name, by whatever rules the server has for names.
    async fn is_there(&mut self, name: &'static str) -> Result<bool, Error> {
        let mut sql = Sql::default();
        sql.push("SELECT 1 FROM ").table(&self.database.prefix, name).push(" LIMIT 0");
        match raw_sql(sql).execute(&mut *self.connection).await {
            Ok(_) => Ok(true),
            Err(error) if number_of(&error) == Some(ER_NO_SUCH_TABLE) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether there is no table of this name, or one that a migration which was broken off may have created.
    async fn can_be_ours(&mut self, name: &'static str, columns: &'static str) -> Result<bool, Error> {
        let mut sql = Sql::default();
        sql.push("SELECT ").push(columns).push(" FROM ").table(&self.database.prefix, name).push(" LIMIT 0");
        match raw_sql(sql).execute(&mut *self.connection).await {
            Err(error) if number_of(&error) == Some(ER_BAD_FIELD_ERROR) => Ok(false),
            Err(error) if number_of(&error) != Some(ER_NO_SUCH_TABLE) => Err(error),
            _ => Ok(true),
        }
    }

    async fn create_notes(&mut self) -> Result<(), Error> {
        let mut sql = Sql::default();
        sql.push("CREATE TABLE IF NOT EXISTS ").table(&self.database.prefix, NOTES);
        sql.push(" (version INT NOT NULL, step INT NOT NULL, PRIMARY KEY (version, step)) ENGINE = InnoDB");
        self.connection.execute(raw_sql(sql)).await.map(drop)
    }

    async fn version(&mut self) -> Result<u32, Error> {
        let mut sql = Sql::default();
        sql.push("SELECT COALESCE(MAX(version), 0) AS version FROM ").table(&self.database.prefix, NOTES);
        let version = rows::number(&raw_sql(sql).fetch_one(&mut *self.connection).await?, "version")?;
        Ok(version.try_into().unwrap_or(u32::MAX))
    }

    /// How texts are stored that compare byte by byte, trailing spaces included. The servers have no such collation in
    /// common.
    async fn bytewise(&mut self) -> Result<&'static str, Error> {
        let row = raw_sql("SELECT VERSION() AS version").fetch_one(&mut *self.connection).await?;
        let version: &str = row.try_get("version")?;
        Ok(if is_mariadb(version) {
            "CHARACTER SET ascii COLLATE ascii_nopad_bin"
        } else {
            "CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin"
        })
    }

    async fn is_done(&mut self, version: u32, step: u32) -> Result<bool, Error> {
        let mut sql = Sql::default();
        sql.push("SELECT version FROM ").table(&self.database.prefix, NOTES);
        sql.push(" WHERE version = ").number(version.into()).push(" AND step = ").number(step.into());
        Ok(raw_sql(sql).fetch_optional(&mut *self.connection).await?.is_some())
    }

    /// Does the step, or a part of it if it has several.
    async fn do_step(&mut self, version: u32, step: u32, statement: Sql) -> Result<(), Error> {
        let mut note = Sql::default();
        note.push("INSERT INTO ").table(&self.database.prefix, NOTES).push(" (version, step) VALUES (");
        note.number(version.into()).push(", ").number(step.into()).push(")");
        if statement.changes_schema() {
            let tidies = statement.tidies();
            match self.connection.execute(raw_sql(statement)).await {
                // A user without the right to drop tables leaves it there.
                Err(error) if is_done_already(&error) || tidies && is_denied(&error) => {}
                done => _ = done?,
            }
            return match self.connection.execute(raw_sql(note)).await {
                Err(error) if Failure::of(&error) != Failure::Duplicate => Err(error),
                _ => Ok(()),
            };
        }
        // Rows are changed together with the note, which waits for whoever is at the same step, and then is a duplicate.
        let mut transaction = sqlx::Connection::begin(&mut *self.connection).await?;
        match transaction.execute(raw_sql(note)).await {
            Ok(_) => {}
            Err(error) if Failure::of(&error) == Failure::Duplicate => return Ok(()),
            Err(error) => return Err(error),
        }
        let goes_on = statement.goes_in_steps();
        let changed = transaction.execute(raw_sql(statement)).await?.rows_affected();
        if goes_on && changed > 0 {
            let mut sql = Sql::default();
            sql.push("DELETE FROM ").table(&self.database.prefix, NOTES);
            sql.push(" WHERE version = ").number(version.into()).push(" AND step = ").number(step.into());
            transaction.execute(raw_sql(sql)).await?;
        }
        transaction.commit().await
    }
}

/// Whether the error says that a table, a column or a key is there, or gone, already.
fn is_done_already(error: &Error) -> bool {
    // ER_TABLE_EXISTS_ERROR, ER_DUP_FIELDNAME, ER_DUP_KEYNAME, ER_CANT_DROP_FIELD_OR_KEY
    matches!(number_of(error), Some(1050 | 1060 | 1061 | 1091))
}

/// Whether the error says that the user may not do this with a table: ER_TABLEACCESS_DENIED_ERROR.
fn is_denied(error: &Error) -> bool {
    number_of(error) == Some(1142)
}

/// The statements of a migration: what ends with a semicolon at the end of a line.
fn statements(migration: &'static str) -> impl Iterator<Item = &'static str> {
    migration.split(";\n").filter(|statement| statement.lines().any(|line| !line.is_empty() && !line.starts_with("--")))
}
