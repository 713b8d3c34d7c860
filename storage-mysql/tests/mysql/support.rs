//! Databases for tests.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, MySqlPool};
use storage_mysql::{MySqlStore, Options, sqlx};
use test_server::{Kind, Server};

/// An empty database on the server that all tests of this process share; `None` if that server can't be had.
pub(crate) async fn database(kind: Kind) -> Option<MySqlPool> {
    let server = Server::shared(kind)?;
    Some(pool(&create_database(server.url()).await).await)
}

/// Creates a database, and returns its URL.
pub(crate) async fn create_database(server: &str) -> String {
    static CREATED: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", CREATED.fetch_add(1, Ordering::Relaxed));
    let mut connection = server.parse::<MySqlConnectOptions>().unwrap().connect().await.unwrap();
    // The name is made here.
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    format!("{server}/{name}")
}

/// Such a pool as an application has.
pub(crate) async fn pool(url: &str) -> MySqlPool {
    MySqlPoolOptions::new().max_connections(8).connect(url).await.unwrap()
}

/// An empty store.
pub(crate) async fn store(kind: Kind) -> Option<MySqlStore> {
    let store = MySqlStore::with_options(database(kind).await?, Options::default());
    store.migrate().await.unwrap();
    Some(store)
}
