//! What is known of the visit behind a click, as columns. A text is empty where nothing is known.

use std::str::FromStr;

use sqlx::Error;
use sqlx::mysql::MySqlRow;
use tracking_core::{ClickDetails, ClientIp, ParseError, Source, SubId, SubIds, UserAgent};

use crate::rows;
use crate::sql::Sql;

/// Takes from a row what came from the visitor or was said of him.
pub(crate) const FORGET: &str =
    "sub1 = '', sub2 = '', sub3 = '', sub4 = '', sub5 = '', source = '', ip = '', user_agent = ''";

/// Whether there is anything to take. By length, because a space is no different from nothing in most collations.
pub(crate) const IS_KNOWN: &str = "(LENGTH(sub1) + LENGTH(sub2) + LENGTH(sub3) + LENGTH(sub4) + LENGTH(sub5) \
     + LENGTH(source) + LENGTH(ip) + LENGTH(user_agent) > 0)";

/// The columns that are not at their default in at least one row of a batch. The others need not be sent.
#[derive(Debug, Clone)]
pub(crate) struct Columns(Vec<&'static Column>);

#[derive(Debug)]
struct Column {
    name: &'static str,
    value: fn(&ClickDetails) -> Value<'_>,
}

enum Value<'a> {
    Text(Option<&'a str>),
    Ip(Option<ClientIp>),
    Code(Option<&'static str>),
    Flag(bool),
}

const COLUMNS: &[Column] = &[
    Column { name: "sub1", value: |details| sub_id(details, 0) },
    Column { name: "sub2", value: |details| sub_id(details, 1) },
    Column { name: "sub3", value: |details| sub_id(details, 2) },
    Column { name: "sub4", value: |details| sub_id(details, 3) },
    Column { name: "sub5", value: |details| sub_id(details, 4) },
    Column { name: "source", value: |details| Value::Text(details.source.as_ref().map(Source::as_str)) },
    Column { name: "ip", value: |details| Value::Ip(details.ip) },
    Column { name: "user_agent", value: |details| Value::Text(details.user_agent.as_ref().map(UserAgent::as_str)) },
    Column { name: "bot", value: |details| Value::Code(details.bot.map(|reason| reason.code())) },
    Column { name: "is_repeat", value: |details| Value::Flag(details.is_repeat) },
    Column { name: "is_recovered", value: |details| Value::Flag(details.is_recovered) },
];

fn sub_id(details: &ClickDetails, index: usize) -> Value<'_> {
    Value::Text(details.sub_ids.as_array()[index].as_ref().map(SubId::as_str))
}

impl Value<'_> {
    const fn is_default(&self) -> bool {
        matches!(self, Self::Text(None) | Self::Ip(None) | Self::Code(None) | Self::Flag(false))
    }
}

impl Columns {
    pub(crate) fn of<'a>(all: impl Iterator<Item = &'a ClickDetails> + Clone) -> Self {
        let is_needed = |column: &&Column| all.clone().any(|details| !(column.value)(details).is_default());
        Self(COLUMNS.iter().filter(is_needed).collect())
    }

    /// Writes their names, each after a comma.
    pub(crate) fn write_names(&self, sql: &mut Sql) {
        for column in &self.0 {
            sql.push(", ").push(column.name);
        }
    }

    /// Writes the values, each after a comma.
    pub(crate) fn write_values(&self, sql: &mut Sql, details: &ClickDetails) {
        for column in &self.0 {
            match (column.value)(details) {
                Value::Text(text) => sql.push(", ").text(text.unwrap_or_default()),
                Value::Ip(None) => sql.push(", ''"),
                Value::Ip(Some(ip)) => sql.push(", ").ascii(&ip.to_string()),
                Value::Code(code) => sql.push(", ").ascii(code.unwrap_or_default()),
                Value::Flag(flag) => sql.push(", ").number(flag.into()),
            };
        }
    }
}

pub(crate) fn read(row: &MySqlRow) -> Result<ClickDetails, Error> {
    let mut marks = [const { None }; SubIds::COUNT];
    for (mark, column) in marks.iter_mut().zip(SubIds::NAMES) {
        *mark = text(row, column, SubId::new)?;
    }
    Ok(ClickDetails {
        sub_ids: SubIds::new(marks),
        source: text(row, "source", Source::new)?,
        ip: text(row, "ip", FromStr::from_str)?,
        user_agent: UserAgent::new(rows::text(row, "user_agent")?),
        bot: text(row, "bot", FromStr::from_str)?,
        is_repeat: rows::number(row, "is_repeat")? != 0,
        is_recovered: rows::number(row, "is_recovered")? != 0,
    })
}

fn text<T>(
    row: &MySqlRow,
    column: &'static str,
    parse: impl Fn(&str) -> Result<T, ParseError>,
) -> Result<Option<T>, Error> {
    match rows::text(row, column)? {
        "" => Ok(None),
        text => rows::parse(column, parse(text)).map(Some),
    }
}
