//! Rows of the database as records, parsed as strictly as anything else that comes from outside.

use chrono::NaiveDateTime;
use rust_decimal::Decimal;
use sqlx::mysql::MySqlRow;
use sqlx::{Error, Row};
use tracking_core::{
    Affiliate, AffiliateId, Amount, Campaign, CampaignId, Click, ClickId, ClickRecordId, Conversion, ConversionId,
    ParseError, PostbackKeyHash, Timestamp, TransactionId,
};

use crate::details;

// Texts of any characters are read as bytes: as texts they would come in the character set of the session.
pub(crate) const AFFILIATE: &str = "id, CAST(name AS BINARY) AS name, created_at";
pub(crate) const CAMPAIGN: &str = "id, CAST(name AS BINARY) AS name, destination_url, postback_key_hash, created_at";
pub(crate) const CLICK: &str = "id, affiliate_id, campaign_id, click_id, timestamp, CAST(sub1 AS BINARY) AS sub1, \
     CAST(sub2 AS BINARY) AS sub2, CAST(sub3 AS BINARY) AS sub3, CAST(sub4 AS BINARY) AS sub4, CAST(sub5 AS BINARY) AS sub5, \
     CAST(source AS BINARY) AS source, ip, CAST(user_agent AS BINARY) AS user_agent, bot, is_repeat, is_recovered";

pub(crate) fn affiliate(row: &MySqlRow) -> Result<Affiliate, Error> {
    Ok(Affiliate {
        id: parse("id", AffiliateId::new(number(row, "id")?))?,
        name: parse("name", text(row, "name")?.parse())?,
        created_at: time(row, "created_at")?,
    })
}

pub(crate) fn campaign(row: &MySqlRow) -> Result<Campaign, Error> {
    let hash: Option<Vec<u8>> = row.try_get("postback_key_hash")?;
    let hash = hash
        .map(<[u8; 32]>::try_from)
        .transpose()
        .map_err(|hash| decode("postback_key_hash", format!("{} bytes are no SHA-256 hash", hash.len())))?;
    Ok(Campaign {
        id: parse("id", CampaignId::new(number(row, "id")?))?,
        name: parse("name", text(row, "name")?.parse())?,
        destination: parse("destination_url", text(row, "destination_url")?.parse())?,
        postback_key: hash.map(PostbackKeyHash::from_bytes),
        created_at: time(row, "created_at")?,
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
        created_at: time(row, "timestamp")?,
    })
}

/// The transaction id of a row of `conversions`, where an empty text says that there is none.
pub(crate) fn transaction_id(row: &MySqlRow) -> Result<Option<TransactionId>, Error> {
    match text(row, "transaction_id")? {
        "" => Ok(None),
        text => parse("transaction_id", text.parse()).map(Some),
    }
}

/// A whole number that is not negative, from a column of any width.
pub(crate) fn number(row: &MySqlRow, column: &'static str) -> Result<u64, Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|error| decode(column, error))
}

pub(crate) fn text<'r>(row: &'r MySqlRow, column: &'static str) -> Result<&'r str, Error> {
    str::from_utf8(row.try_get(column)?).map_err(|error| decode(column, error))
}

pub(crate) fn time(row: &MySqlRow, column: &'static str) -> Result<Timestamp, Error> {
    let time: NaiveDateTime = row.try_get(column)?;
    parse(column, Timestamp::from_millis(time.and_utc().timestamp_millis()))
}

pub(crate) fn parse<T>(column: &'static str, parsed: Result<T, ParseError>) -> Result<T, Error> {
    parsed.map_err(|error| decode(column, error))
}

fn decode(column: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::ColumnDecode { index: column.to_owned(), source: source.into() }
}
