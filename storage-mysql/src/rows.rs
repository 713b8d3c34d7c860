//! Rows of the database as records, parsed as strictly as anything else that comes from outside.

use std::fmt::Display;
use std::num::TryFromIntError;
use std::str::FromStr;

use chrono::NaiveDateTime;
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use sqlx::mysql::MySqlRow;
use sqlx::{ColumnIndex, Error, Row};
use tracking_core::{
    Affiliate, AffiliateId, Amount, Campaign, CampaignId, Click, ClickId, ClickRecordId, Conversion, ConversionId,
    ConversionStatus, ParseError, Payout, Timestamp, TransactionId,
};

use crate::details;

// Texts of any characters are read as bytes: as texts they would come in the character set of the session.
pub(crate) const AFFILIATE: &str = "id, CAST(name AS BINARY) AS name, paused_at, revoked_at, created_at, version";
pub(crate) const CAMPAIGN: &str = "id, CAST(name AS BINARY) AS name, destination_url, CAST(rules AS BINARY) AS rules, \
     CAST(access AS BINARY) AS access, paused_at, created_at, version";
pub(crate) const CLICK: &str = "id, affiliate_id, campaign_id, click_id, timestamp, CAST(sub1 AS BINARY) AS sub1, \
     CAST(sub2 AS BINARY) AS sub2, CAST(sub3 AS BINARY) AS sub3, CAST(sub4 AS BINARY) AS sub4, CAST(sub5 AS BINARY) AS sub5, \
     CAST(source AS BINARY) AS source, ip, CAST(user_agent AS BINARY) AS user_agent, bot, is_repeat, is_recovered";
/// Of the table `conversions` under the name `v`, which has a column of clicks in common with others.
pub(crate) const CONVERSION: &str = "v.id, v.click_id, v.affiliate_id, v.campaign_id, v.event, v.transaction_id, v.amount, \
     v.currency, v.timestamp, v.status, v.payout, v.payout_currency, v.occurred_at, CAST(v.sub1 AS BINARY) AS sub1, \
     CAST(v.sub2 AS BINARY) AS sub2, CAST(v.sub3 AS BINARY) AS sub3, CAST(v.sub4 AS BINARY) AS sub4, \
     CAST(v.sub5 AS BINARY) AS sub5";

pub(crate) fn affiliate(row: &MySqlRow) -> Result<Affiliate, Error> {
    Ok(Affiliate {
        id: parse("id", AffiliateId::new(number(row, "id")?))?,
        name: parse("name", text(row, "name")?.parse())?,
        paused_at: time_or_null(row, "paused_at")?,
        revoked_at: time_or_null(row, "revoked_at")?,
        created_at: time(row, "created_at")?,
        version: number_of(row, "version")?,
    })
}

pub(crate) fn campaign(row: &MySqlRow) -> Result<Campaign, Error> {
    Ok(Campaign {
        id: parse("id", CampaignId::new(number(row, "id")?))?,
        name: parse("name", text(row, "name")?.parse())?,
        destination: parse("destination_url", text(row, "destination_url")?.parse())?,
        rules: json(row, "rules")?,
        access: json(row, "access")?,
        paused_at: time_or_null(row, "paused_at")?,
        created_at: time(row, "created_at")?,
        version: number_of(row, "version")?,
    })
}

pub(crate) fn click(row: &MySqlRow) -> Result<Click, Error> {
    Ok(Click {
        id: parse("id", ClickRecordId::new(number(row, "id")?))?,
        affiliate_id: parse("affiliate_id", AffiliateId::new(number(row, "affiliate_id")?))?,
        campaign_id: parse("campaign_id", CampaignId::new(number(row, "campaign_id")?))?,
        click_id: parse("click_id", text(row, "click_id")?.parse())?,
        created_at: time(row, "timestamp")?,
        details: details::read(row)?,
    })
}

/// A row of `conversions`, and the text of the click id, which is in another table.
pub(crate) fn conversion(row: &MySqlRow, click_id: ClickId) -> Result<Conversion, Error> {
    let amount: Decimal = row.try_get("amount")?;
    Ok(Conversion {
        id: parse("id", ConversionId::new(number(row, "id")?))?,
        affiliate_id: parse("affiliate_id", AffiliateId::new(number(row, "affiliate_id")?))?,
        campaign_id: parse("campaign_id", CampaignId::new(number(row, "campaign_id")?))?,
        click_id,
        event: parse("event", text(row, "event")?.parse())?,
        transaction_id: transaction_id(row)?,
        amount: parse("amount", Amount::new(amount))?,
        currency: parse("currency", text(row, "currency")?.parse())?,
        payout: payout(row)?,
        status: status(row, "status")?,
        occurred_at: time_or_null(row, "occurred_at")?,
        sub_ids: details::sub_ids(row)?,
        created_at: time(row, "timestamp")?,
    })
}

/// The same where the row has the text of the click id, too, as `click`.
pub(crate) fn conversion_with_click(row: &MySqlRow) -> Result<Conversion, Error> {
    conversion(row, parse("click", text(row, "click")?.parse())?)
}

fn payout(row: &MySqlRow) -> Result<Option<Payout>, Error> {
    let Some(amount) = row.try_get::<Option<Decimal>, _>("payout")? else { return Ok(None) };
    let currency = parse("payout_currency", text(row, "payout_currency")?.parse())?;
    parse("payout", Payout::new(amount, currency)).map(Some)
}

pub(crate) fn status(row: &MySqlRow, column: &'static str) -> Result<ConversionStatus, Error> {
    parse(column, text(row, column)?.parse())
}

/// The transaction id of a row of `conversions`, where an empty text says that there is none.
pub(crate) fn transaction_id(row: &MySqlRow) -> Result<Option<TransactionId>, Error> {
    text_or_nothing(row, "transaction_id")
}

/// The name or the place of a column.
pub(crate) trait Column: ColumnIndex<MySqlRow> + Display + Copy {}

impl<T: ColumnIndex<MySqlRow> + Display + Copy> Column for T {}

/// A whole number that is not negative, from a column of any width.
pub(crate) fn number(row: &MySqlRow, column: impl Column) -> Result<u64, Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|error| decode(column, error))
}

/// The same in a type that may be too small for it.
fn number_of<T: TryFrom<u64, Error = TryFromIntError>>(row: &MySqlRow, column: &'static str) -> Result<T, Error> {
    T::try_from(number(row, column)?).map_err(|error| decode(column, error))
}

/// The same where it may be missing.
pub(crate) fn number_or_null(row: &MySqlRow, column: &'static str) -> Result<Option<u64>, Error> {
    match row.try_get::<Option<i64>, _>(column)? {
        Some(_) => number(row, column).map(Some),
        None => Ok(None),
    }
}

pub(crate) fn text(row: &MySqlRow, column: impl Column) -> Result<&str, Error> {
    str::from_utf8(row.try_get(column)?).map_err(|error| decode(column, error))
}

/// A text that may be missing.
pub(crate) fn text_or_null<'r>(row: &'r MySqlRow, column: &'static str) -> Result<Option<&'r str>, Error> {
    match row.try_get::<Option<&[u8]>, _>(column)? {
        Some(_) => text(row, column).map(Some),
        None => Ok(None),
    }
}

/// A text where an empty one says that there is none.
pub(crate) fn text_or_nothing<T: FromStr<Err = ParseError>>(
    row: &MySqlRow,
    column: impl Column,
) -> Result<Option<T>, Error> {
    match text(row, column)? {
        "" => Ok(None),
        text => parse(column, text.parse()).map(Some),
    }
}

pub(crate) fn time(row: &MySqlRow, column: &'static str) -> Result<Timestamp, Error> {
    let time: NaiveDateTime = row.try_get(column)?;
    parse(column, Timestamp::from_millis(time.and_utc().timestamp_millis()))
}

pub(crate) fn time_or_null(row: &MySqlRow, column: &'static str) -> Result<Option<Timestamp>, Error> {
    match row.try_get::<Option<NaiveDateTime>, _>(column)? {
        Some(_) => time(row, column).map(Some),
        None => Ok(None),
    }
}

fn json<T: DeserializeOwned>(row: &MySqlRow, column: &'static str) -> Result<T, Error> {
    serde_json::from_str(text(row, column)?).map_err(|error| decode(column, error))
}

pub(crate) fn parse<T>(column: impl Display, parsed: Result<T, ParseError>) -> Result<T, Error> {
    parsed.map_err(|error| decode(column, error))
}

pub(crate) fn decode(column: impl Display, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::ColumnDecode { index: column.to_string(), source: source.into() }
}
