//! The database of the records: waits for it, and creates its tables.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use sqlx::mysql::MySqlDatabaseError;
use sqlx::{ConnectOptions, Connection, Error};
use storage_mysql::{MigrateError, Migrated, MySqlStore, Options, is_unavailable};
use thiserror::Error;
use tokio::time::{Instant, sleep_until, timeout};

use crate::database_url::DatabaseUrl;
use crate::settings::Database;

/// How long one attempt may take to find out whether the database is there.
const ATTEMPT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(250);
/// How often somebody who waits is told so.
const PROGRESS: Duration = Duration::from_secs(4);

/// Why the database can't be used.
#[derive(Debug, Error)]
pub(crate) enum DatabaseError {
    #[error(
        "can't reach the database {url} after {} s of waiting (--store-wait, TRACKING_STORE_WAIT); start it, or correct \
         {setting}", .waited.as_secs()
    )]
    Unreachable { url: DatabaseUrl, setting: &'static str, waited: Duration, source: Unavailable },
    #[error("the password of user {} is wrong for the database {url}; correct {setting}", .url.user())]
    WrongPassword { url: DatabaseUrl, setting: &'static str, source: Error },
    #[error(
        "user {} has no rights on the database {url}; have them granted, or correct {setting}", .url.user()
    )]
    NoRights { url: DatabaseUrl, setting: &'static str, source: Error },
    #[error(
        "there is no database {url}; create it by CREATE DATABASE {}, or correct {setting}", quoted(.url.database())
    )]
    Unknown { url: DatabaseUrl, setting: &'static str, source: Error },
    #[error("the database {url} can't be reached by TLS, which this server does not speak; correct {setting}")]
    Tls { url: DatabaseUrl, setting: &'static str, source: Error },
    #[error("the database {url} refuses user {}; correct {setting}", .url.user())]
    Refused { url: DatabaseUrl, setting: &'static str, source: Error },
    #[error(
        "user {} may not create or change the tables of the database {url}; have the rights granted, or run \
         tracking-server migrate as a user who has them", .url.user()
    )]
    MayNotMigrate { url: DatabaseUrl, source: MigrateError },
    #[error("the tables of the database {url} can't be created or brought up to date")]
    Tables { url: DatabaseUrl, source: MigrateError },
}

/// Why an attempt has failed after which another one may succeed.
#[derive(Debug, Error)]
pub(crate) enum Unavailable {
    #[error("no answer within {} s", ATTEMPT.as_secs())]
    Silent,
    #[error("{}", cause(.0))]
    Failed(Error),
    #[error("{}", cause(.0))]
    Migration(MigrateError),
}

/// A store in this database, with its tables, and what was done to these. Waits for a database that is still starting.
pub(crate) async fn open(database: &Database) -> Result<(MySqlStore, Migrated), DatabaseError> {
    let (url, started) = (&database.url, Instant::now());
    let mut told: Option<Instant> = None;
    loop {
        let source = match attempt(database).await {
            Ok(opened) => {
                if told.is_some() {
                    tracing::info!(
                        "the database at {} is there, after {} s",
                        url.server(),
                        started.elapsed().as_secs()
                    );
                }
                return Ok(opened);
            }
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(source)) => source,
        };
        let next = Instant::now() + PAUSE;
        let waited = started.elapsed();
        if next - started >= database.wait {
            let (url, setting) = (url.clone(), database.setting);
            return Err(DatabaseError::Unreachable { url, setting, waited, source });
        }
        if told.is_none_or(|told| told.elapsed() >= PROGRESS) {
            told = Some(Instant::now());
            tracing::warn!("waiting for the database at {}, {} s so far: {source}", url.server(), waited.as_secs());
        }
        sleep_until(next).await;
    }
}

enum Failure {
    /// Waiting may mend it.
    Passing(Unavailable),
    Final(DatabaseError),
}

async fn attempt(database: &Database) -> Result<(MySqlStore, Migrated), Failure> {
    let Database { url, setting, table_prefix, .. } = database;
    let failed = |source: Error| match number(&source) {
        _ if is_unavailable(&source) => Failure::Passing(Unavailable::Failed(source)),
        number => Failure::Final({
            let (url, setting) = (url.clone(), *setting);
            match number {
                Some(1045) => DatabaseError::WrongPassword { url, setting, source },
                Some(1044) => DatabaseError::NoRights { url, setting, source },
                Some(1049) => DatabaseError::Unknown { url, setting, source },
                // ER_SECURE_TRANSPORT_REQUIRED
                Some(3159) => DatabaseError::Tls { url, setting, source },
                _ if matches!(source, Error::Tls(_)) => DatabaseError::Tls { url, setting, source },
                _ => DatabaseError::Refused { url, setting, source },
            }
        }),
    };
    // A pool would try again by itself, and say only that it took too long.
    let connection = timeout(ATTEMPT, url.options().connect()).await;
    let connection = connection.map_err(|_| Failure::Passing(Unavailable::Silent))?.map_err(failed)?;
    // It has served its purpose, whatever becomes of this.
    _ = timeout(ATTEMPT, connection.close()).await;

    let options = Options::default().table_prefix(table_prefix.clone());
    let store = MySqlStore::connect(url.expose(), options).await.map_err(failed)?;
    match store.migrate().await {
        Ok(migrated) => Ok((store, migrated)),
        Err(source) => {
            let number = source.database_error().and_then(number);
            let url = url.clone();
            Err(match number {
                _ if source.is_unavailable() => Failure::Passing(Unavailable::Migration(source)),
                // ER_DBACCESS_DENIED_ERROR, ER_TABLEACCESS_DENIED_ERROR
                Some(1044 | 1142) => Failure::Final(DatabaseError::MayNotMigrate { url, source }),
                _ => Failure::Final(DatabaseError::Tables { url, source }),
            })
        }
    }
}

fn number(error: &Error) -> Option<u16> {
    let Error::Database(error) = error else { return None };
    error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

/// The error at the bottom, which is what happened; those above it tell what it was good for.
fn cause<'a>(error: &'a (dyn StdError + 'static)) -> impl fmt::Display + 'a {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    fmt::from_fn(move |f| match cause.downcast_ref::<io::Error>() {
        // In words, and without the system's number.
        Some(error) if error.raw_os_error().is_some() => write!(f, "{}", error.kind()),
        _ => write!(f, "{cause}"),
    })
}

/// A name as SQL has it.
fn quoted(name: &str) -> impl fmt::Display + '_ {
    fmt::from_fn(move |f| {
        if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            f.write_str(name)
        } else {
            write!(f, "`{}`", name.replace('`', "``"))
        }
    })
}
