use std::net::IpAddr;

use serde::Serialize;
use tracking_core::{AffiliateId, CampaignId, ClickId, ConversionId, Explanation, Postback, Timestamp};
use utoipa::ToSchema;

use crate::postback_status;
use crate::wire::ClickListed;
use crate::wire::conversions::{ConversionForetold, ConversionTracked};

/// A call of the postback route, as the log keeps it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PostbackListed {
    /// A text, because it has more digits than many readers of JSON keep of a number.
    #[schema(example = "4611686018427387904")]
    pub(crate) id: String,
    #[schema(value_type = String, format = DateTime, example = "2023-08-23T16:45:30.456Z")]
    pub(crate) received_at: Timestamp,
    pub(crate) method: PostbackMethod,
    /// The address that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "203.0.113.7")]
    pub(crate) source: Option<IpAddr>,
    /// What was sent, as a query, cut off where it is long, and with `…` in the place of each key and signature.
    #[schema(example = "affiliate_id=1&click_id=abc123&amount=100&currency=USD&token=…")]
    pub(crate) parameters: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>, nullable = false, example = 1, minimum = 1)]
    pub(crate) affiliate_id: Option<AffiliateId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>, nullable = false, example = 10, minimum = 1)]
    pub(crate) campaign_id: Option<CampaignId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "abc123")]
    pub(crate) click_id: Option<ClickId>,
    /// The conversion that it stands for, or that it can't be reconciled with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, nullable = false, example = 42, minimum = 1)]
    pub(crate) conversion_id: Option<ConversionId>,
    /// What became of it.
    #[schema(example = "wrong_postback_key")]
    pub(crate) outcome: &'static str,
    /// The status that it was answered with; of an `abandoned` one, the status that it would have been answered with.
    #[schema(example = 401)]
    pub(crate) status: u16,
    /// What was wrong; null if it was taken.
    #[schema(required)]
    pub(crate) problem: Option<String>,
    /// What the sender can do about it; null if nothing need be done.
    #[schema(required, value_type = Option<String>)]
    pub(crate) remedy: Option<&'static str>,
    /// How many calls with this outcome it stands for: more than 1 where there were too many to keep each.
    #[schema(value_type = i64, example = 1, minimum = 1)]
    pub(crate) calls: u64,
}

/// How a postback came: as a call by this method, or as a line of a file that was imported.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum PostbackMethod {
    Get,
    Post,
    Import,
}

impl PostbackMethod {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => tracking_core::PostbackMethod::Get.as_str(),
            Self::Post => tracking_core::PostbackMethod::Post.as_str(),
            Self::Import => tracking_core::PostbackMethod::Import.as_str(),
        }
    }
}

impl From<tracking_core::PostbackMethod> for PostbackMethod {
    fn from(method: tracking_core::PostbackMethod) -> Self {
        match method {
            tracking_core::PostbackMethod::Get => Self::Get,
            tracking_core::PostbackMethod::Post => Self::Post,
            tracking_core::PostbackMethod::Import => Self::Import,
        }
    }
}

impl From<Postback> for PostbackListed {
    fn from(postback: Postback) -> Self {
        let outcome = postback.outcome;
        Self {
            id: postback.id.to_string(),
            received_at: postback.received_at,
            method: postback.method.into(),
            source: postback.source,
            parameters: postback.parameters,
            affiliate_id: postback.affiliate_id,
            campaign_id: postback.campaign_id,
            click_id: postback.click_id,
            conversion_id: postback.conversion_id,
            outcome: outcome.code(),
            status: postback_status(outcome).as_u16(),
            problem: Some(postback.summary).filter(|_| !outcome.is_success()),
            remedy: outcome.remedy(),
            calls: postback.calls,
        }
    }
}

/// What would become of a postback, and what each rule says to it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explained {
    /// What would become of it, if it came now.
    #[schema(example = "outside_window")]
    pub(crate) outcome: &'static str,
    /// The status that goes with this outcome.
    #[schema(example = 422)]
    pub(crate) status: u16,
    /// The same for people.
    pub(crate) message: String,
    /// What the sender could do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(crate) remedy: Option<&'static str>,
    /// One for each rule, in the order in which they are asked.
    pub(crate) rules: Vec<ExplainedRule>,
    /// The click that it would be attributed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) click: Option<ClickListed>,
    /// The conversion that is recorded already, or that is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) recorded: Option<ConversionTracked>,
    /// What would be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) conversion: Option<ConversionForetold>,
}

/// What a rule says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainedRule {
    #[schema(example = "attribution_window")]
    pub(crate) rule: &'static str,
    /// What it asks.
    pub(crate) description: &'static str,
    /// `passed`, `failed`, or `skipped` if it could not be asked.
    #[schema(example = "failed")]
    pub(crate) verdict: &'static str,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) problem: Option<String>,
}

impl From<Explanation> for Explained {
    fn from(explanation: Explanation) -> Self {
        let Explanation { rules, outcome, summary, click, recorded, conversion } = explanation;
        let rules = rules.into_iter().map(|tracking_core::ExplainedRule { rule, verdict, problem }| ExplainedRule {
            rule: rule.as_str(),
            description: rule.description(),
            verdict: verdict.as_str(),
            problem,
        });
        Self {
            outcome: outcome.code(),
            status: postback_status(outcome).as_u16(),
            message: summary,
            remedy: outcome.remedy(),
            rules: rules.collect(),
            click: click.map(ClickListed::from),
            recorded: recorded.map(ConversionTracked::from),
            conversion: conversion.map(ConversionForetold::from),
        }
    }
}
