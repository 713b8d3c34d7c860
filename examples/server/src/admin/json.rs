//! Records as JSON, in the same form as over HTTP.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tracking_core::ipnet::IpNet;
use tracking_core::rust_decimal::Decimal;
use tracking_core::{
    Affiliate, AffiliateId, Campaign, Conversion, CreatedCampaign, EventRule, IssuedKey, Pass, Payout, PayoutRule,
    Postback, PostbackAuth, PostbackKeyRecord, StatusChange, SubIds, Timestamp,
};

#[derive(Debug, Serialize)]
pub(super) struct AffiliateJson<'a> {
    id: u64,
    name: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
    created_at: Timestamp,
    version: u32,
}

impl<'a> From<&'a Affiliate> for AffiliateJson<'a> {
    fn from(affiliate: &'a Affiliate) -> Self {
        let Affiliate { id, name, paused_at, revoked_at, created_at, version } = affiliate;
        Self {
            id: id.as_u64(),
            name: name.as_str(),
            status: activity(*paused_at),
            paused_at: *paused_at,
            revoked_at: *revoked_at,
            created_at: *created_at,
            version: *version,
        }
    }
}

/// The same but for the URL, because it is not known here where the server is.
#[derive(Debug, Serialize)]
pub(super) struct PassJson<'a> {
    affiliate_id: u64,
    token: &'a str,
    issued_at: Timestamp,
    expires_at: Timestamp,
}

impl<'a> PassJson<'a> {
    pub(super) fn new(id: AffiliateId, token: &'a str, pass: Pass) -> Self {
        let Pass { issued_at, expires_at, .. } = pass;
        Self { affiliate_id: id.as_u64(), token, issued_at, expires_at }
    }
}

fn activity(paused_at: Option<Timestamp>) -> &'static str {
    if paused_at.is_some() { "paused" } else { "active" }
}

#[derive(Debug, Serialize)]
pub(super) struct CampaignJson<'a> {
    id: u64,
    name: &'a str,
    destination_url: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_at: Option<Timestamp>,
    rules: RulesJson<'a>,
    postback_auth: &'static str,
    networks: &'a [IpNet],
    keys: Vec<KeyJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postback_key: Option<&'a str>,
    created_at: Timestamp,
    version: u32,
}

impl<'a> From<&'a Campaign> for CampaignJson<'a> {
    fn from(campaign: &'a Campaign) -> Self {
        let Campaign { id, name, destination, rules, access, paused_at, created_at, version } = campaign;
        Self {
            id: id.as_u64(),
            name: name.as_str(),
            destination_url: destination.as_str(),
            status: activity(*paused_at),
            paused_at: *paused_at,
            rules: RulesJson {
                attribution_window_seconds: rules.attribution_window.map(|window| window.as_secs()),
                min_seconds_to_convert: rules.min_time_to_convert.map(|minimum| minimum.as_secs()),
                currency: rules.currency.map(|currency| currency.to_string()),
                payout: rules.payout.map(PayoutRuleJson::from),
                events: rules.events.iter().map(|(name, rule)| (name.as_str(), rule.into())).collect(),
                default_status: rules.default_status.as_str(),
                repeats: rules.repeats.as_str(),
                daily_cap: rules.daily_cap,
                while_paused: rules.while_paused.as_str(),
            },
            postback_auth: match access.auth {
                PostbackAuth::Key => "key",
                PostbackAuth::Open => "open",
            },
            networks: &access.networks,
            keys: access.keys.iter().map(KeyJson::from).collect(),
            postback_key: None,
            created_at: *created_at,
            version: *version,
        }
    }
}

impl<'a> From<&'a CreatedCampaign> for CampaignJson<'a> {
    fn from(created: &'a CreatedCampaign) -> Self {
        Self { postback_key: created.postback_key.as_ref().map(|key| key.expose()), ..Self::from(&created.campaign) }
    }
}

#[derive(Debug, Serialize)]
struct RulesJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    attribution_window_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_seconds_to_convert: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payout: Option<PayoutRuleJson>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    events: BTreeMap<&'a str, EventJson>,
    default_status: &'static str,
    repeats: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    daily_cap: Option<u32>,
    while_paused: &'static str,
}

#[derive(Debug, Serialize)]
struct EventJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    payout: Option<PayoutRuleJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Exact>,
}

impl From<&EventRule> for EventJson {
    fn from(rule: &EventRule) -> Self {
        Self {
            payout: rule.payout.map(PayoutRuleJson::from),
            amount: rule.amount.map(|amount| Exact(amount.as_decimal())),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum PayoutRuleJson {
    Percent { percent: Exact },
    Fixed { amount: Exact, currency: String },
}

impl From<PayoutRule> for PayoutRuleJson {
    fn from(rule: PayoutRule) -> Self {
        match rule {
            PayoutRule::Percent(percentage) => Self::Percent { percent: Exact(percentage.as_decimal()) },
            PayoutRule::Fixed { amount, currency } => {
                Self::Fixed { amount: Exact(amount.as_decimal()), currency: currency.to_string() }
            }
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct KeyJson<'a> {
    id: u32,
    kind: &'static str,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postback_key: Option<&'a str>,
}

impl From<&PostbackKeyRecord> for KeyJson<'_> {
    fn from(key: &PostbackKeyRecord) -> Self {
        let kind = key.kind().as_str();
        Self { id: key.id, kind, created_at: key.created_at, expires_at: key.expires_at, postback_key: None }
    }
}

impl<'a> KeyJson<'a> {
    /// The key that was made just now, with what is told of it this once.
    pub(super) fn of_issued(issued: &'a IssuedKey) -> Option<Self> {
        let record = issued.campaign.access.keys.iter().find(|key| key.id == issued.key_id)?;
        Some(Self { postback_key: Some(issued.key.expose()), ..Self::from(record) })
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ConversionJson<'a> {
    conversion_id: u64,
    click_id: &'a str,
    affiliate_id: u64,
    campaign_id: u64,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<&'a str>,
    amount: Exact,
    currency: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payout: Option<PayoutJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<Timestamp>,
    #[serde(flatten)]
    sub_ids: BTreeMap<&'static str, &'a str>,
    timestamp: Timestamp,
    status_changes: Vec<StatusChangeJson<'a>>,
}

impl<'a> ConversionJson<'a> {
    pub(super) fn new(conversion: &'a Conversion, changes: &'a [StatusChange]) -> Self {
        let marks = SubIds::NAMES.into_iter().zip(conversion.sub_ids.as_array());
        Self {
            conversion_id: conversion.id.as_u64(),
            click_id: conversion.click_id.as_str(),
            affiliate_id: conversion.affiliate_id.as_u64(),
            campaign_id: conversion.campaign_id.as_u64(),
            event: conversion.event.as_str(),
            transaction_id: conversion.transaction_id.as_ref().map(|id| id.as_str()),
            amount: Exact(conversion.amount.as_decimal()),
            currency: conversion.currency.to_string(),
            status: conversion.status.as_str(),
            payout: conversion.payout.map(PayoutJson::from),
            occurred_at: conversion.occurred_at,
            sub_ids: marks.filter_map(|(name, mark)| Some((name, mark.as_ref()?.as_str()))).collect(),
            timestamp: conversion.created_at,
            status_changes: changes.iter().map(StatusChangeJson::from).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
struct PayoutJson {
    amount: Exact,
    currency: String,
}

impl From<Payout> for PayoutJson {
    fn from(payout: Payout) -> Self {
        Self { amount: Exact(payout.amount()), currency: payout.currency().to_string() }
    }
}

#[derive(Debug, Serialize)]
struct StatusChangeJson<'a> {
    from: &'static str,
    to: &'static str,
    changed_at: Timestamp,
    changed_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> From<&'a StatusChange> for StatusChangeJson<'a> {
    fn from(change: &'a StatusChange) -> Self {
        Self {
            from: change.from.as_str(),
            to: change.to.as_str(),
            changed_at: change.changed_at,
            changed_by: change.changed_by.as_str(),
            reason: change.reason.as_ref().map(|reason| reason.as_str()),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct PostbackJson<'a> {
    /// A text, because it has more digits than many readers of JSON keep of a number.
    id: String,
    received_at: Timestamp,
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<IpAddr>,
    parameters: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    affiliate_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    click_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversion_id: Option<u64>,
    outcome: &'static str,
    status: u16,
    problem: Option<&'a str>,
    remedy: Option<&'static str>,
    calls: u64,
}

impl<'a> From<&'a Postback> for PostbackJson<'a> {
    fn from(postback: &'a Postback) -> Self {
        let outcome = postback.outcome;
        Self {
            id: postback.id.to_string(),
            received_at: postback.received_at,
            method: postback.method.as_str(),
            source: postback.source,
            parameters: &postback.parameters,
            affiliate_id: postback.affiliate_id.map(|id| id.as_u64()),
            campaign_id: postback.campaign_id.map(|id| id.as_u64()),
            click_id: postback.click_id.as_ref().map(|id| id.as_str()),
            conversion_id: postback.conversion_id.map(|id| id.as_u64()),
            outcome: outcome.code(),
            status: tracking_http::postback_status(outcome).as_u16(),
            problem: (!outcome.is_success()).then_some(&postback.summary),
            remedy: outcome.remedy(),
            calls: postback.calls,
        }
    }
}

/// A decimal as a JSON number with exactly its digits, which no float could promise.
#[derive(Debug)]
struct Exact(Decimal);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}
