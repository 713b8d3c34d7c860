//! What goes over the wire: the JSON of requests and answers, from which the OpenAPI document is made.

pub(crate) mod links;

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use tracking_core::rust_decimal::Decimal;
use tracking_core::{
    Affiliate, AffiliateId, BotReason, Campaign, CampaignId, Click, ClickDetails, ClickId, ClickRecordId, ClientIp,
    Conversion, ConversionId, Currency, DestinationUrl, EventName, Name, Source, SubId, Summary, Timestamp,
    TransactionId, UserAgent,
};
use utoipa::ToSchema;

/// The answer to a call that records something.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordedAnswer<T> {
    /// Always true.
    pub(crate) success: bool,
    /// What happened, for people.
    pub(crate) message: Cow<'static, str>,
    /// Present, and true, if this had been recorded before: then `data` is the first record, unchanged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) duplicate: bool,
    pub(crate) data: T,
}

/// The answer to a question for one thing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answer<T> {
    /// Always true.
    pub(crate) success: bool,
    pub(crate) data: T,
}

/// The answer to a question for a list, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListAnswer<T> {
    /// Always true.
    pub(crate) success: bool,
    pub(crate) data: Vec<T>,
    /// The `cursor` of the next page; null when the list ends here.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

/// The answer to a call that was refused, or that failed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorAnswer {
    /// Always false.
    pub(crate) success: bool,
    /// What is wrong and what to do about it, for people.
    pub(crate) message: String,
    pub(crate) error: ErrorData,
}

/// What is wrong, for machines.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorData {
    /// Stable.
    #[schema(example = "unknown_click")]
    pub(crate) code: &'static str,
    /// The parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "click_id")]
    pub(crate) parameter: Option<&'static str>,
    /// With which conversion a postback is in conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recorded: Option<Box<ConversionTracked>>,
}

/// A click, as `/click` answers it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClickTracked {
    #[schema(value_type = String, example = "abc123")]
    pub(crate) click_id: ClickId,
    #[schema(value_type = i32, example = 1, minimum = 1)]
    pub(crate) affiliate_id: AffiliateId,
    #[schema(value_type = i32, example = 10, minimum = 1)]
    pub(crate) campaign_id: CampaignId,
    #[schema(value_type = String, format = DateTime, example = "2023-08-23T15:30:45.123Z")]
    pub(crate) timestamp: Timestamp,
}

impl From<Click> for ClickTracked {
    fn from(click: Click) -> Self {
        let Click { affiliate_id, campaign_id, click_id, created_at: timestamp, .. } = click;
        Self { click_id, affiliate_id, campaign_id, timestamp }
    }
}

/// A conversion, as `/postback` answers it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversionTracked {
    #[schema(value_type = i64, example = 42, minimum = 1)]
    pub(crate) conversion_id: ConversionId,
    #[schema(value_type = String, example = "abc123")]
    pub(crate) click_id: ClickId,
    #[schema(value_type = i32, example = 1, minimum = 1)]
    pub(crate) affiliate_id: AffiliateId,
    #[schema(value_type = i32, example = 10, minimum = 1)]
    pub(crate) campaign_id: CampaignId,
    #[schema(value_type = String, example = "conversion")]
    pub(crate) event: EventName,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "order-1001")]
    pub(crate) transaction_id: Option<TransactionId>,
    /// Exact, with up to six fractional digits.
    #[serde(serialize_with = "exact_number")]
    #[schema(value_type = f64, example = 100, minimum = 0)]
    pub(crate) amount: Decimal,
    /// ISO 4217.
    #[schema(value_type = String, example = "USD", min_length = 3, max_length = 3)]
    pub(crate) currency: Currency,
    #[schema(value_type = String, format = DateTime, example = "2023-08-23T16:45:30.456Z")]
    pub(crate) timestamp: Timestamp,
}

impl From<Conversion> for ConversionTracked {
    fn from(conversion: Conversion) -> Self {
        Self {
            conversion_id: conversion.id,
            click_id: conversion.click_id,
            affiliate_id: conversion.affiliate_id,
            campaign_id: conversion.campaign_id,
            event: conversion.event,
            transaction_id: conversion.transaction_id,
            amount: conversion.amount.as_decimal(),
            currency: conversion.currency,
            timestamp: conversion.created_at,
        }
    }
}

/// A click in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClickListed {
    /// The number of the record.
    #[schema(value_type = i64, example = 1, minimum = 1)]
    pub(crate) id: ClickRecordId,
    #[schema(value_type = String, example = "abc123")]
    pub(crate) click_id: ClickId,
    #[schema(value_type = i32, example = 10, minimum = 1)]
    pub(crate) campaign_id: CampaignId,
    #[schema(value_type = String, format = DateTime, example = "2023-08-23T15:30:45.123Z")]
    pub(crate) created_at: Timestamp,
    /// The affiliate's own mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "ad-7")]
    pub(crate) sub1: Option<SubId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(crate) sub2: Option<SubId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(crate) sub3: Option<SubId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(crate) sub4: Option<SubId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(crate) sub5: Option<SubId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "newsletter")]
    pub(crate) source: Option<Source>,
    /// Where the visitor came from, as far as it is kept: masked, unless the operator has decided otherwise. Only for
    /// those who may see everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "203.0.113.0/24")]
    pub(crate) ip: Option<ClientIp>,
    /// The visitor's browser, by its own account. Only for those who may see everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "Mozilla/5.0")]
    pub(crate) user_agent: Option<UserAgent>,
    /// Why it is not taken for a person's click: `crawler`, `no_user_agent`, `prefetch` or `test`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "crawler")]
    pub(crate) bot: Option<BotReason>,
    /// Whether it is taken for a person's click, and the first of that person for the campaign in 24 hours.
    pub(crate) unique: bool,
    /// Present, and true, if the click was rebuilt from its id when its postback came.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) recovered: bool,
}

impl From<Click> for ClickListed {
    fn from(click: Click) -> Self {
        let Click { id, campaign_id, click_id, created_at, details, .. } = click;
        let unique = details.is_unique();
        let ClickDetails { sub_ids, source, ip, user_agent, bot, is_repeat: _, is_recovered: recovered } = details;
        let [sub1, sub2, sub3, sub4, sub5] = sub_ids.as_array().clone();
        Self {
            id,
            click_id,
            campaign_id,
            created_at,
            sub1,
            sub2,
            sub3,
            sub4,
            sub5,
            source,
            ip,
            user_agent,
            bot,
            unique,
            recovered,
        }
    }
}

/// A conversion in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversionListed {
    #[schema(value_type = i64, example = 42, minimum = 1)]
    pub(crate) id: ConversionId,
    #[schema(value_type = String, example = "abc123")]
    pub(crate) click_id: ClickId,
    #[schema(value_type = i32, example = 10, minimum = 1)]
    pub(crate) campaign_id: CampaignId,
    #[schema(value_type = String, example = "conversion")]
    pub(crate) event: EventName,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "order-1001")]
    pub(crate) transaction_id: Option<TransactionId>,
    /// Exact, with up to six fractional digits.
    #[serde(serialize_with = "exact_number")]
    #[schema(value_type = f64, example = 100, minimum = 0)]
    pub(crate) amount: Decimal,
    /// ISO 4217.
    #[schema(value_type = String, example = "USD", min_length = 3, max_length = 3)]
    pub(crate) currency: Currency,
    #[schema(value_type = String, format = DateTime, example = "2023-08-23T16:45:30.456Z")]
    pub(crate) created_at: Timestamp,
}

impl From<Conversion> for ConversionListed {
    fn from(conversion: Conversion) -> Self {
        Self {
            id: conversion.id,
            click_id: conversion.click_id,
            campaign_id: conversion.campaign_id,
            event: conversion.event,
            transaction_id: conversion.transaction_id,
            amount: conversion.amount.as_decimal(),
            currency: conversion.currency,
            created_at: conversion.created_at,
        }
    }
}

/// An affiliate.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AffiliateData {
    #[schema(value_type = i32, example = 1, minimum = 1)]
    pub(crate) id: AffiliateId,
    #[schema(value_type = String, example = "Ada's reviews")]
    pub(crate) name: Name,
    #[schema(value_type = String, format = DateTime, example = "2023-08-23T15:30:45.123Z")]
    pub(crate) created_at: Timestamp,
}

impl From<Affiliate> for AffiliateData {
    fn from(affiliate: Affiliate) -> Self {
        let Affiliate { id, name, created_at } = affiliate;
        Self { id, name, created_at }
    }
}

/// What an affiliate has brought, from the beginning.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SummaryData {
    #[schema(value_type = i32, example = 1, minimum = 1)]
    pub(crate) affiliate_id: AffiliateId,
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) clicks: u64,
    /// Those that are taken for a person's.
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) human_clicks: u64,
    /// Those of them that are the first of a person for a campaign in 24 hours.
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) unique_clicks: u64,
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) conversions: u64,
    /// Conversions per click, 0.25 for one in four; 0 while there are no clicks.
    #[schema(minimum = 0)]
    pub(crate) conversion_rate: f64,
    /// One sum per currency, in the order of the codes.
    pub(crate) revenue: Vec<Revenue>,
}

impl SummaryData {
    pub(crate) fn new(affiliate_id: AffiliateId, summary: &Summary) -> Self {
        Self {
            affiliate_id,
            clicks: summary.clicks,
            human_clicks: summary.human_clicks,
            unique_clicks: summary.unique_clicks,
            conversions: summary.conversions,
            conversion_rate: summary.conversion_rate(),
            revenue: summary.revenue.iter().map(|(currency, amount)| Revenue { currency, amount }).collect(),
        }
    }
}

/// An exact sum of amounts in one currency.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Revenue {
    /// ISO 4217.
    #[schema(value_type = String, example = "USD", min_length = 3, max_length = 3)]
    pub(crate) currency: Currency,
    #[serde(serialize_with = "exact_number")]
    #[schema(value_type = f64, example = 100, minimum = 0)]
    pub(crate) amount: Decimal,
}

/// A campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CampaignData {
    #[schema(value_type = i32, example = 10, minimum = 1)]
    pub(crate) id: CampaignId,
    #[schema(value_type = String, example = "Shop")]
    pub(crate) name: Name,
    #[schema(value_type = String, example = "https://shop.example/?ref={click_id}")]
    pub(crate) destination_url: DestinationUrl,
    pub(crate) postback_auth: PostbackAuth,
    /// The key that the advertiser has to send with each postback. Present only in the answer to the call that created
    /// the campaign: it can't be had again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) postback_key: Option<String>,
    #[schema(value_type = String, format = DateTime, example = "2023-08-23T15:30:45.123Z")]
    pub(crate) created_at: Timestamp,
}

impl From<Campaign> for CampaignData {
    fn from(campaign: Campaign) -> Self {
        let Campaign { id, name, destination, postback_key, created_at } = campaign;
        let postback_auth = if postback_key.is_some() { PostbackAuth::Key } else { PostbackAuth::Open };
        Self { id, name, destination_url: destination, postback_auth, postback_key: None, created_at }
    }
}

/// Who may send a campaign's postbacks: whoever has its postback key, or anyone.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PostbackAuth {
    #[default]
    Key,
    Open,
}

impl From<PostbackAuth> for tracking_core::PostbackAuth {
    fn from(auth: PostbackAuth) -> Self {
        match auth {
            PostbackAuth::Key => Self::Key,
            PostbackAuth::Open => Self::Open,
        }
    }
}

/// An affiliate to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAffiliate {
    /// 1 to 100 characters, not counting white space at both ends, which is cut off.
    #[schema(value_type = String, required = true, example = "Ada's reviews", min_length = 1)]
    pub(crate) name: Option<String>,
}

/// A campaign to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCampaign {
    /// 1 to 100 characters, not counting white space at both ends, which is cut off.
    #[schema(value_type = String, required = true, example = "Shop", min_length = 1)]
    pub(crate) name: Option<String>,
    /// An absolute http or https URL, in whose path, query and fragment macros such as {click_id} may stand.
    #[schema(value_type = String, required = true, example = "https://shop.example/?ref={click_id}", max_length = 2000)]
    pub(crate) destination_url: Option<String>,
    /// `key` if left out.
    #[serde(default)]
    #[schema(required = false)]
    pub(crate) postback_auth: PostbackAuth,
}

/// A click that is to be made anonymous.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EraseClicks {
    /// The id that the visitor brought to the advertiser.
    #[schema(value_type = String, required = true, example = "abc123", min_length = 1, max_length = 100)]
    pub(crate) click_id: Option<String>,
}

/// What was made anonymous.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Erased {
    /// How many clicks had the id.
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) erased: u64,
}

/// Whether the service is up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// `ok`
    pub(crate) status: &'static str,
}

/// A decimal as a JSON number with exactly its digits, which no float could promise.
fn exact_number<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(value.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
}
