//! What is known of the visit behind a click, as columns. A text is empty where nothing is known.

use sqlx::Error;
use sqlx::mysql::MySqlRow;
use tracking_core::{ClickDetails, Source, SubId, SubIds, UserAgent};

use crate::columns::{Column, Value};
use crate::rows;

/// Takes from a row what came from the visitor or was said of him.
pub(crate) const FORGET: &str =
    "sub1 = '', sub2 = '', sub3 = '', sub4 = '', sub5 = '', source = '', ip = '', user_agent = ''";

/// Whether there is anything to take. By length, because a space is no different from nothing in most collations.
pub(crate) const IS_KNOWN: &str = "(LENGTH(sub1) + LENGTH(sub2) + LENGTH(sub3) + LENGTH(sub4) + LENGTH(sub5) \
     + LENGTH(source) + LENGTH(ip) + LENGTH(user_agent) > 0)";

/// Takes the advertiser's marks from a conversion.
pub(crate) const FORGET_MARKS: &str = "v.sub1 = '', v.sub2 = '', v.sub3 = '', v.sub4 = '', v.sub5 = ''";

pub(crate) const COLUMNS: &[Column<ClickDetails>] = &[
    Column { name: "sub1", value: |details| sub_id(&details.sub_ids, 0) },
    Column { name: "sub2", value: |details| sub_id(&details.sub_ids, 1) },
    Column { name: "sub3", value: |details| sub_id(&details.sub_ids, 2) },
    Column { name: "sub4", value: |details| sub_id(&details.sub_ids, 3) },
    Column { name: "sub5", value: |details| sub_id(&details.sub_ids, 4) },
    Column { name: "source", value: |details| Value::Text(details.source.as_ref().map(Source::as_str)) },
    Column { name: "ip", value: |details| Value::Ip(details.ip) },
    Column { name: "user_agent", value: |details| Value::Text(details.user_agent.as_ref().map(UserAgent::as_str)) },
    Column { name: "bot", value: |details| Value::Code(details.bot.map(|reason| reason.code())) },
    Column { name: "is_repeat", value: |details| Value::Flag(details.is_repeat) },
    Column { name: "is_recovered", value: |details| Value::Flag(details.is_recovered) },
];

/// The value of one of the columns `sub1` to `sub5`, counted from 0.
pub(crate) fn sub_id(sub_ids: &SubIds, index: usize) -> Value<'_> {
    Value::Text(sub_ids.as_array()[index].as_ref().map(SubId::as_str))
}

pub(crate) fn read(row: &MySqlRow) -> Result<ClickDetails, Error> {
    Ok(ClickDetails {
        sub_ids: sub_ids(row)?,
        source: rows::text_or_nothing(row, "source")?,
        ip: rows::text_or_nothing(row, "ip")?,
        user_agent: UserAgent::new(rows::text(row, "user_agent")?),
        bot: rows::text_or_nothing(row, "bot")?,
        is_repeat: rows::number(row, "is_repeat")? != 0,
        is_recovered: rows::number(row, "is_recovered")? != 0,
    })
}

pub(crate) fn sub_ids(row: &MySqlRow) -> Result<SubIds, Error> {
    let mut marks = [const { None }; SubIds::COUNT];
    for (mark, column) in marks.iter_mut().zip(SubIds::NAMES) {
        *mark = rows::text_or_nothing(row, column)?;
    }
    Ok(SubIds::new(marks))
}
