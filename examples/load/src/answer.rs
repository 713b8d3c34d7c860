//! The same JSON as the tracker's, for handlers that are written by hand.

use chrono::{DateTime, SecondsFormat, Utc};
use rust_decimal::Decimal;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Answer<T> {
    pub(crate) success: bool,
    pub(crate) message: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) duplicate: bool,
    pub(crate) data: T,
}

#[derive(Debug, Serialize)]
pub(crate) struct Click {
    pub(crate) click_id: String,
    pub(crate) affiliate_id: u32,
    pub(crate) campaign_id: u32,
    pub(crate) timestamp: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Conversion {
    pub(crate) conversion_id: i64,
    pub(crate) click_id: String,
    pub(crate) affiliate_id: u32,
    pub(crate) campaign_id: u32,
    pub(crate) event: &'static str,
    #[serde(with = "rust_decimal::serde::float")]
    pub(crate) amount: Decimal,
    pub(crate) currency: String,
    pub(crate) timestamp: String,
}

pub(crate) fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
