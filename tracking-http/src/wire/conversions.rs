use serde::{Deserialize, Serialize};
use tracking_core::rust_decimal::Decimal;
use tracking_core::{
    AffiliateId, CampaignId, ClickId, Conversion, ConversionId, Currency, EventName, NewConversion, Payout, SubId,
    Timestamp, TransactionId,
};
use utoipa::ToSchema;

use crate::wire::read::exact_number;

/// The answer to a postback, or to a call that sets the status of a conversion.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PostbackAnswer {
    /// Always true.
    pub(crate) success: bool,
    /// What happened, for people.
    pub(crate) message: String,
    /// Present, and true, if this had been recorded before: then `data` is the first record, unchanged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) duplicate: bool,
    /// Present if this had been recorded before, and has another status now: the one that it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) previous_status: Option<ConversionStatus>,
    pub(crate) data: ConversionTracked,
}

/// Whether a conversion counts. It goes one way only: from `pending` to `approved` or `rejected`, and from `approved` to
/// `rejected`, as after a refund. What is rejected is in no sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ConversionStatus {
    Pending,
    Approved,
    Rejected,
}

impl ConversionStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

impl From<tracking_core::ConversionStatus> for ConversionStatus {
    fn from(status: tracking_core::ConversionStatus) -> Self {
        match status {
            tracking_core::ConversionStatus::Pending => Self::Pending,
            tracking_core::ConversionStatus::Approved => Self::Approved,
            tracking_core::ConversionStatus::Rejected => Self::Rejected,
        }
    }
}

impl From<ConversionStatus> for tracking_core::ConversionStatus {
    fn from(status: ConversionStatus) -> Self {
        match status {
            ConversionStatus::Pending => Self::Pending,
            ConversionStatus::Approved => Self::Approved,
            ConversionStatus::Rejected => Self::Rejected,
        }
    }
}

/// What the affiliate gets for a conversion.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PayoutData {
    /// Exact, with up to twelve fractional digits.
    #[serde(serialize_with = "exact_number")]
    #[schema(value_type = f64, example = 12.5, minimum = 0)]
    pub(crate) amount: Decimal,
    /// ISO 4217.
    #[schema(value_type = String, example = "USD", min_length = 3, max_length = 3)]
    pub(crate) currency: Currency,
}

impl From<Payout> for PayoutData {
    fn from(payout: Payout) -> Self {
        Self { amount: payout.amount(), currency: payout.currency() }
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
    pub(crate) status: ConversionStatus,
    /// What the affiliate gets for it. Absent if the campaign paid nothing for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) payout: Option<PayoutData>,
    /// When it happened, if the postback said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = DateTime, example = "2023-08-23T16:40:00.000Z")]
    pub(crate) occurred_at: Option<Timestamp>,
    /// The advertiser's own mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "store-7")]
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
    #[schema(value_type = String, format = DateTime, example = "2023-08-23T16:45:30.456Z")]
    pub(crate) timestamp: Timestamp,
    /// How its status has changed, the earliest change first. Present only in the answer to a question for this one
    /// conversion.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) status_changes: Option<Vec<StatusChange>>,
}

impl From<Conversion> for ConversionTracked {
    fn from(conversion: Conversion) -> Self {
        let [sub1, sub2, sub3, sub4, sub5] = conversion.sub_ids.as_array().clone();
        Self {
            conversion_id: conversion.id,
            click_id: conversion.click_id,
            affiliate_id: conversion.affiliate_id,
            campaign_id: conversion.campaign_id,
            event: conversion.event,
            transaction_id: conversion.transaction_id,
            amount: conversion.amount.as_decimal(),
            currency: conversion.currency,
            status: conversion.status.into(),
            payout: conversion.payout.map(PayoutData::from),
            occurred_at: conversion.occurred_at,
            sub1,
            sub2,
            sub3,
            sub4,
            sub5,
            timestamp: conversion.created_at,
            status_changes: None,
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
    /// Present only in a list that is not that of one affiliate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>, nullable = false, example = 1, minimum = 1)]
    pub(crate) affiliate_id: Option<AffiliateId>,
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
    pub(crate) status: ConversionStatus,
    /// What the affiliate gets for it. Absent if the campaign paid nothing for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) payout: Option<PayoutData>,
    /// When it happened, if the postback said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = DateTime, example = "2023-08-23T16:40:00.000Z")]
    pub(crate) occurred_at: Option<Timestamp>,
    /// The advertiser's own mark. Only for those who may see everything, as the other four.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "store-7")]
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
    #[schema(value_type = String, format = DateTime, example = "2023-08-23T16:45:30.456Z")]
    pub(crate) created_at: Timestamp,
}

impl From<Conversion> for ConversionListed {
    fn from(conversion: Conversion) -> Self {
        let [sub1, sub2, sub3, sub4, sub5] = conversion.sub_ids.as_array().clone();
        Self {
            id: conversion.id,
            click_id: conversion.click_id,
            affiliate_id: None,
            campaign_id: conversion.campaign_id,
            event: conversion.event,
            transaction_id: conversion.transaction_id,
            amount: conversion.amount.as_decimal(),
            currency: conversion.currency,
            status: conversion.status.into(),
            payout: conversion.payout.map(PayoutData::from),
            occurred_at: conversion.occurred_at,
            sub1,
            sub2,
            sub3,
            sub4,
            sub5,
            created_at: conversion.created_at,
        }
    }
}

/// A change of a conversion's status.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusChange {
    pub(crate) from: ConversionStatus,
    pub(crate) to: ConversionStatus,
    #[schema(value_type = String, format = DateTime, example = "2023-09-01T08:00:00.000Z")]
    pub(crate) changed_at: Timestamp,
    /// `advertiser` by a postback, `admin` over HTTP or on the pages, `application` by itself.
    #[schema(example = "advertiser")]
    pub(crate) changed_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "returned")]
    pub(crate) reason: Option<String>,
}

impl From<tracking_core::StatusChange> for StatusChange {
    fn from(change: tracking_core::StatusChange) -> Self {
        let tracking_core::StatusChange { from, to, changed_at, changed_by, reason } = change;
        let reason = reason.map(|reason| reason.as_str().to_owned());
        Self { from: from.into(), to: to.into(), changed_at, changed_by: changed_by.as_str(), reason }
    }
}

/// The status that a conversion is to have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewStatus {
    /// `pending`, `approved` or `rejected`.
    #[schema(value_type = ConversionStatus, required = true)]
    pub(crate) status: Option<String>,
    /// Why: 1 to 255 characters.
    #[schema(example = "returned", min_length = 1, max_length = 255)]
    pub(crate) reason: Option<String>,
}

/// A conversion that would be recorded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversionForetold {
    #[schema(value_type = i32, example = 1, minimum = 1)]
    pub(crate) affiliate_id: AffiliateId,
    #[schema(value_type = i32, example = 10, minimum = 1)]
    pub(crate) campaign_id: CampaignId,
    #[schema(value_type = String, example = "conversion")]
    pub(crate) event: EventName,
    #[serde(serialize_with = "exact_number")]
    #[schema(value_type = f64, example = 100, minimum = 0)]
    pub(crate) amount: Decimal,
    /// ISO 4217.
    #[schema(value_type = String, example = "USD", min_length = 3, max_length = 3)]
    pub(crate) currency: Currency,
    pub(crate) status: ConversionStatus,
    /// What the affiliate would get for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) payout: Option<PayoutData>,
}

impl From<NewConversion> for ConversionForetold {
    fn from(conversion: NewConversion) -> Self {
        Self {
            affiliate_id: conversion.click.affiliate_id,
            campaign_id: conversion.click.campaign_id,
            event: conversion.event,
            amount: conversion.amount.as_decimal(),
            currency: conversion.currency,
            status: conversion.status.into(),
            payout: conversion.payout.map(PayoutData::from),
        }
    }
}
