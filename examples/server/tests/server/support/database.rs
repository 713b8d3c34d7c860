//! Databases on real servers.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};
use test_server::{Kind, Server};

/// A part of every password here, as it stands in a URL and elsewhere.
pub(crate) const PASSWORD: &str = "hunter2";

/// An empty database, with a user of its own who has a password and the rights that it takes.
pub(crate) struct Database {
    /// The URL for that user.
    pub(crate) url: String,
    pub(crate) name: String,
    pub(crate) user: String,
    /// The server, for root.
    root: String,
}

impl Database {
    /// On the server that all tests of this process share; `None` if it can't be had.
    pub(crate) fn create(kind: Kind) -> Option<Self> {
        Server::shared(kind).map(Self::create_on)
    }

    pub(crate) fn create_on(server: &Server) -> Self {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let (name, user) = (format!("tracking_{number}"), format!("tracker_{number}"));
        let database =
            Self { url: String::new(), root: server.url().to_owned(), name: name.clone(), user: user.clone() };
        database.execute(&format!("CREATE DATABASE {name}"));
        database.execute(&format!("CREATE USER {user} IDENTIFIED BY '{PASSWORD}/p@ss'"));
        // Those of docs/operating.md.
        let rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, REFERENCES";
        database.execute(&format!("GRANT {rights} ON {name}.* TO {user}"));
        let url = format!("mysql://{user}:{PASSWORD}%2Fp%40ss@127.0.0.1:{}/{name}", server.port());
        Self { url, ..database }
    }

    /// Runs this statement as root; returns the first column of what it finds.
    pub(crate) fn execute(&self, statement: &str) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = self.root.parse::<MySqlConnectOptions>().unwrap().connect().await.unwrap();
            // A test has made it.
            let rows = connection.fetch_all(AssertSqlSafe(statement.to_owned())).await.unwrap();
            rows.iter().map(|row| row.try_get(0).unwrap()).collect()
        })
    }
}
