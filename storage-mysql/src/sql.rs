//! The text of statements.
//!
//! Batches go to the server as text: a prepared statement for each length of batch would cost it hundreds of megabytes.
//! Whatever comes from outside is written in letters, digits and a few signs that mean nothing in a quoted text, or else
//! as hexadecimal digits. So nothing in it can be taken for SQL, whatever the server's `sql_mode` makes of quotes and
//! backslashes.

use std::fmt::{self, Write};
use std::str::FromStr;
use std::time::Duration;

use rust_decimal::Decimal;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use thiserror::Error;
use tracking_core::Timestamp;

/// What the names of all tables start with: up to 32 ASCII letters, digits and underscores, and no digit first; empty if
/// nothing else is said.
///
/// ```
/// use storage_mysql::TablePrefix;
///
/// assert!("tracking_".parse::<TablePrefix>().is_ok());
/// assert!("tracking.".parse::<TablePrefix>().is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TablePrefix(String);

/// A text that no table prefix can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a table prefix has up to {} ASCII letters, digits and underscores, and no digit first", TablePrefix::MAX_LEN)]
pub struct InvalidPrefix;

impl TablePrefix {
    /// The most characters that it may have.
    pub const MAX_LEN: usize = 32;

    /// The prefix as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TablePrefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let starts_with_digit = text.starts_with(|c: char| c.is_ascii_digit());
        if text.len() > Self::MAX_LEN || starts_with_digit || !text.bytes().all(is_allowed) {
            return Err(InvalidPrefix);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TablePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How it is that no statement of a batch waits for longer than two seconds for a lock of somebody else's, such as the
/// application's own transaction, and that a join may change rows, whatever `sql_safe_updates` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockWait {
    /// [`SHORT_LOCK_WAIT`] has been executed on every connection.
    OfSession,
    /// Each transaction sets it, and then puts back what the application has set.
    OfTransaction,
}

pub(crate) const SHORT_LOCK_WAIT: &str = "SET SESSION innodb_lock_wait_timeout = 2, SESSION sql_safe_updates = 0";

/// On a Galera cluster, has a read wait for what was committed on other nodes before: a postback has to find its click,
/// whichever node it comes to.
pub(crate) const CAUSAL_READS: &str = "SET SESSION wsrep_sync_wait = @@SESSION.wsrep_sync_wait | 1";

impl LockWait {
    pub(crate) const fn begin(self) -> &'static str {
        match self {
            Self::OfSession => "START TRANSACTION",
            Self::OfTransaction => {
                "SET @tracking_lock_wait = @@SESSION.innodb_lock_wait_timeout, \
                 @tracking_safe_updates = @@SESSION.sql_safe_updates; \
                 SET SESSION innodb_lock_wait_timeout = 2, SESSION sql_safe_updates = 0; START TRANSACTION"
            }
        }
    }

    /// Begins a transaction that locks nothing but the rows that it changes, and no gap between them.
    pub(crate) const fn begin_change(self) -> &'static str {
        match self {
            Self::OfSession => "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION",
            Self::OfTransaction => {
                "SET @tracking_lock_wait = @@SESSION.innodb_lock_wait_timeout, \
                 @tracking_safe_updates = @@SESSION.sql_safe_updates; \
                 SET SESSION innodb_lock_wait_timeout = 2, SESSION sql_safe_updates = 0; \
                 SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION"
            }
        }
    }

    pub(crate) const fn commit(self) -> &'static str {
        match self {
            Self::OfSession => "COMMIT",
            Self::OfTransaction => {
                "COMMIT; SET SESSION innodb_lock_wait_timeout = @tracking_lock_wait, \
                 SESSION sql_safe_updates = @tracking_safe_updates"
            }
        }
    }

    pub(crate) const fn rollback(self) -> &'static str {
        match self {
            Self::OfSession => "ROLLBACK",
            Self::OfTransaction => {
                "ROLLBACK; SET SESSION innodb_lock_wait_timeout = @tracking_lock_wait, \
                 SESSION sql_safe_updates = @tracking_safe_updates"
            }
        }
    }
}

/// A statement under construction. It grows by fragments from the source code and by values that are written here.
#[derive(Debug, Default)]
pub(crate) struct Sql(String);

impl Sql {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(String::with_capacity(capacity))
    }

    /// A statement of a migration, for tables of this prefix.
    pub(crate) fn of_migration(statement: &'static str, prefix: &TablePrefix, bytewise: &'static str) -> Self {
        Self(statement.replace("{prefix}", prefix.as_str()).replace("{bytewise}", bytewise))
    }

    /// Whether it commits by itself whatever comes before it.
    pub(crate) fn changes_schema(&self) -> bool {
        ["CREATE ", "ALTER ", "DROP "].iter().any(|word| self.begins_with(word))
    }

    /// Whether it only takes away what nobody needs any more.
    pub(crate) fn tidies(&self) -> bool {
        self.begins_with("DROP ")
    }

    fn begins_with(&self, word: &str) -> bool {
        let first = self.0.lines().find(|line| !line.is_empty() && !line.starts_with("--"));
        first.is_some_and(|line| line.starts_with(word))
    }

    /// Whether it changes a few rows at a time, and is to be repeated until it changes none.
    pub(crate) fn goes_in_steps(&self) -> bool {
        self.0.lines().last().is_some_and(|line| line.starts_with("LIMIT "))
    }

    /// Another statement, whole.
    pub(crate) fn statement(&mut self, statement: &Self) -> &mut Self {
        self.0.push_str(&statement.0);
        self
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push(&mut self, fragment: &'static str) -> &mut Self {
        self.0.push_str(fragment);
        self
    }

    /// The beginning of a query that the server stops when it takes longer than this.
    pub(crate) fn select_for(&mut self, limit: Duration) -> &mut Self {
        // 0 would be no limit.
        let millis = limit.as_millis().clamp(1, i32::MAX as u128) as i64;
        // Each server takes the other's limit for a comment.
        self.push("/*M! SET STATEMENT max_statement_time = ").decimal(Decimal::new(millis, 3));
        self.push(" FOR */ SELECT /*+ MAX_EXECUTION_TIME(").signed(millis).push(") */ ")
    }

    /// The name of a table.
    pub(crate) fn table(&mut self, prefix: &TablePrefix, name: &'static str) -> &mut Self {
        self.0.push_str(prefix.as_str());
        self.push(name)
    }

    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        // Writing into a String can't fail.
        _ = write!(self.0, "{number}");
        self
    }

    pub(crate) fn decimal(&mut self, number: Decimal) -> &mut Self {
        _ = write!(self.0, "{number}");
        self
    }

    /// A whole number that may be negative.
    pub(crate) fn signed(&mut self, number: i64) -> &mut Self {
        _ = write!(self.0, "{number}");
        self
    }

    pub(crate) fn decimal_or_null(&mut self, number: Option<Decimal>) -> &mut Self {
        match number {
            Some(number) => self.decimal(number),
            None => self.push("NULL"),
        }
    }

    pub(crate) fn number_or_null(&mut self, number: Option<u64>) -> &mut Self {
        match number {
            Some(number) => self.number(number),
            None => self.push("NULL"),
        }
    }

    /// A text of ASCII characters.
    pub(crate) fn ascii(&mut self, text: &str) -> &mut Self {
        if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':')) {
            self.push("'");
            self.0.push_str(text);
            return self.push("'");
        }
        self.push("_ascii ").bytes(text.as_bytes())
    }

    /// A text of any characters.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        // What most texts are made of, those in which browsers describe themselves and queries of URLs included.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" -_.:;,/()+=&%".contains(&byte);
        if text.bytes().all(is_plain) {
            self.push("'");
            self.0.push_str(text);
            return self.push("'");
        }
        self.push("_utf8mb4 ").bytes(text.as_bytes())
    }

    /// A text of ASCII characters, if there is one.
    pub(crate) fn ascii_or_null(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.ascii(text),
            None => self.push("NULL"),
        }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.push("x'").digits(bytes).push("'")
    }

    /// Bytes as hexadecimal digits.
    pub(crate) fn digits(&mut self, bytes: &[u8]) -> &mut Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for byte in bytes {
            self.0.push(DIGITS[usize::from(byte >> 4)].into());
            self.0.push(DIGITS[usize::from(byte & 15)].into());
        }
        self
    }

    pub(crate) fn time(&mut self, time: Timestamp) -> &mut Self {
        self.push("'").time_digits(time).push("'")
    }

    pub(crate) fn time_or_null(&mut self, time: Option<Timestamp>) -> &mut Self {
        match time {
            Some(time) => self.time(time),
            None => self.push("NULL"),
        }
    }

    /// A time without the quotes around it.
    pub(crate) fn time_digits(&mut self, time: Timestamp) -> &mut Self {
        // `2023-08-23T15:30:45.123Z`, without what MySQL before 8.0.19 does not take.
        let mut text = [0; 24];
        text.copy_from_slice(time.to_string().as_bytes());
        text[10] = b' ';
        self.0.extend(text[..23].iter().map(|byte| char::from(*byte)));
        self
    }

    /// Each item, written by `write`, with this separator between them.
    pub(crate) fn separated<T>(
        &mut self,
        separator: &'static str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.push(separator);
            }
            write(self, item);
        }
        self
    }

    pub(crate) fn numbers(&mut self, numbers: impl IntoIterator<Item = u64>) -> &mut Self {
        self.separated(", ", numbers, |sql, number| _ = sql.number(number))
    }
}

impl SqlSafeStr for Sql {
    fn into_sql_str(self) -> SqlStr {
        // Fragments are from the source code, a prefix has letters, digits and underscores only, texts have no sign that
        // could end them, and all other values are numbers and times.
        AssertSqlSafe(self.0).into_sql_str()
    }
}
