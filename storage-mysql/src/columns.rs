//! Columns with defaults, which are sent only where they are needed.

use rust_decimal::Decimal;
use tracking_core::{ClientIp, Timestamp};

use crate::sql::Sql;

/// A column of a table, and what stands in it for a record.
#[derive(Debug)]
pub(crate) struct Column<T> {
    pub(crate) name: &'static str,
    pub(crate) value: fn(&T) -> Value<'_>,
}

/// A value, or the default of its column.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    Text(Option<&'a str>),
    Ip(Option<ClientIp>),
    /// A text of ours, with the one that is the default.
    Choice(&'static str, &'static str),
    Code(Option<&'static str>),
    Flag(bool),
    Decimal(Option<Decimal>),
    Time(Option<Timestamp>),
}

impl Value<'_> {
    fn is_default(&self) -> bool {
        match self {
            Self::Text(None)
            | Self::Ip(None)
            | Self::Code(None)
            | Self::Flag(false)
            | Self::Decimal(None)
            | Self::Time(None) => true,
            Self::Choice(choice, default) => choice == default,
            _ => false,
        }
    }
}

/// The columns that are not at their default in at least one row of a batch. The others need not be sent.
#[derive(Debug)]
pub(crate) struct Columns<T: 'static>(Vec<&'static Column<T>>);

impl<T> Columns<T> {
    /// Those of `all` that these records need.
    pub(crate) fn of<'a>(all: &'static [Column<T>], records: impl Iterator<Item = &'a T> + Clone) -> Self {
        let is_needed = |column: &&Column<T>| records.clone().any(|record| !(column.value)(record).is_default());
        Self(all.iter().filter(is_needed).collect())
    }

    /// Writes their names, each after a comma.
    pub(crate) fn write_names(&self, sql: &mut Sql) {
        for column in &self.0 {
            sql.push(", ").push(column.name);
        }
    }

    /// Writes the values, each after a comma.
    pub(crate) fn write_values(&self, sql: &mut Sql, record: &T) {
        for column in &self.0 {
            sql.push(", ");
            match (column.value)(record) {
                Value::Text(text) => sql.text(text.unwrap_or_default()),
                Value::Ip(None) => sql.push("''"),
                Value::Ip(Some(ip)) => sql.ascii(&ip.to_string()),
                Value::Choice(choice, _) => sql.ascii(choice),
                Value::Code(code) => sql.ascii(code.unwrap_or_default()),
                Value::Flag(flag) => sql.number(flag.into()),
                Value::Decimal(number) => sql.decimal_or_null(number),
                Value::Time(time) => sql.time_or_null(time),
            };
        }
    }
}
