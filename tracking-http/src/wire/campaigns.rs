mod form;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tracking_core::rust_decimal::Decimal;
use tracking_core::{
    Campaign, CampaignId, CampaignRequest, CampaignRules, Currency, DestinationUrl, EventRule, KeyKind, Name,
    ParameterError, ParameterProblem, Parameters, ParseError, PayoutRule, PostbackAccess, PostbackKeyRecord, Timestamp,
};
use utoipa::ToSchema;

pub(crate) use self::form::{CampaignForm, NewCampaignForm};
use crate::body::field;
use crate::refusal::Refusal;
use crate::wire::ActivityStatus;
use crate::wire::conversions::ConversionStatus;
use crate::wire::read::{ExactNumber, Object, exact_number, given};

/// A campaign. What is not for affiliates is left out for them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CampaignData {
    #[schema(value_type = i32, example = 10, minimum = 1)]
    pub(crate) id: CampaignId,
    #[schema(value_type = String, example = "Shop")]
    pub(crate) name: Name,
    #[schema(value_type = String, example = "https://shop.example/?ref={click_id}")]
    pub(crate) destination_url: DestinationUrl,
    pub(crate) status: ActivityStatus,
    /// Since when it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = DateTime, example = "2023-08-23T15:30:45.123Z")]
    pub(crate) paused_at: Option<Timestamp>,
    /// Which conversions it takes, and what they pay. Affiliates see the payouts of it.
    pub(crate) rules: RulesData,
    /// Only for those who may see everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) postback_auth: Option<PostbackAuth>,
    /// The networks that postbacks may come from; any if there is none. Only for those who may see everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, nullable = false, example = json!(["203.0.113.0/24"]))]
    pub(crate) networks: Option<Vec<IpNet>>,
    /// The keys of its advertiser, without what is secret. Only for those who may see everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) keys: Option<Vec<KeyData>>,
    /// The key of its advertiser: to be sent with each postback, or to sign with. Present only in the answer to the call
    /// that created the campaign: it can't be had again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) postback_key: Option<String>,
    #[schema(value_type = String, format = DateTime, example = "2023-08-23T15:30:45.123Z")]
    pub(crate) created_at: Timestamp,
    /// 1, and one more with each change. Only for those who may see everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, nullable = false, example = 1, minimum = 1)]
    pub(crate) version: Option<u32>,
}

impl CampaignData {
    /// For those who may see everything.
    pub(crate) fn whole(campaign: Campaign) -> Self {
        let Campaign { id, name, destination, rules, access, paused_at, created_at, version } = campaign;
        Self {
            id,
            name,
            destination_url: destination,
            status: ActivityStatus::of(paused_at),
            paused_at,
            rules: RulesData::whole(&rules),
            postback_auth: Some(access.auth.into()),
            networks: Some(access.networks),
            keys: Some(access.keys.iter().map(KeyData::from).collect()),
            postback_key: None,
            created_at,
            version: Some(version),
        }
    }

    /// For an affiliate.
    pub(crate) fn for_affiliate(campaign: Campaign) -> Self {
        let rules = RulesData::payouts(&campaign.rules);
        Self { rules, postback_auth: None, networks: None, keys: None, version: None, ..Self::whole(campaign) }
    }
}

/// Which conversions a campaign takes, and what they pay. A rule that is left out is none.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct RulesData {
    /// How long after its click a conversion may happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, nullable = false, example = 2_592_000, minimum = 1)]
    pub(crate) attribution_window_seconds: Option<u64>,
    /// How long after its click a conversion happens at the earliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, nullable = false, example = 5, minimum = 0)]
    pub(crate) min_seconds_to_convert: Option<u64>,
    /// The currency of all conversions, ISO 4217.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "USD", min_length = 3, max_length = 3)]
    pub(crate) currency: Option<Currency>,
    /// What a conversion pays whose event has no payout of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) payout: Option<PayoutRuleData>,
    /// The events that are taken, by name; all of them if there is none here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    pub(crate) events: BTreeMap<String, EventRuleData>,
    /// The status of a conversion whose postback names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) default_status: Option<ConversionStatus>,
    /// Whether a click can have several conversions of one event: `by_transaction`, as many as there are transaction ids,
    /// or `once`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "by_transaction")]
    pub(crate) repeats: Option<&'static str>,
    /// How many conversions are taken on a day in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, nullable = false, example = 1000, minimum = 1)]
    pub(crate) daily_cap: Option<u32>,
    /// What becomes of conversions while the campaign is paused: those of `earlier_clicks` are taken, or `nothing` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "earlier_clicks")]
    pub(crate) while_paused: Option<&'static str>,
}

impl RulesData {
    fn whole(rules: &CampaignRules) -> Self {
        let event = |rule: &EventRule| EventRuleData {
            payout: rule.payout.map(PayoutRuleData::from),
            amount: rule.amount.map(|amount| amount.as_decimal()),
        };
        Self {
            attribution_window_seconds: rules.attribution_window.map(|window| window.as_secs()),
            min_seconds_to_convert: rules.min_time_to_convert.map(|minimum| minimum.as_secs()),
            currency: rules.currency,
            payout: rules.payout.map(PayoutRuleData::from),
            events: rules.events.iter().map(|(name, rule)| (name.as_str().to_owned(), event(rule))).collect(),
            default_status: Some(rules.default_status.into()),
            repeats: Some(rules.repeats.as_str()),
            daily_cap: rules.daily_cap,
            while_paused: Some(rules.while_paused.as_str()),
        }
    }

    fn payouts(rules: &CampaignRules) -> Self {
        let Self { payout, mut events, .. } = Self::whole(rules);
        events.values_mut().for_each(|event| event.amount = None);
        Self { payout, events, ..Self::default() }
    }
}

/// What a campaign says of an event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventRuleData {
    /// What it pays; if left out, what the campaign pays otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    payout: Option<PayoutRuleData>,
    /// What it is worth if the postback does not say. Only for those who may see everything.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exact_number_if_any")]
    #[schema(value_type = Option<f64>, nullable = false, example = 25, minimum = 0)]
    amount: Option<Decimal>,
}

#[allow(clippy::ref_option, reason = "serde hands it over so")]
fn exact_number_if_any<S: serde::Serializer>(value: &Option<Decimal>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => exact_number(value, serializer),
        None => serializer.serialize_none(),
    }
}

/// What an affiliate gets: a share of the conversion's amount, or the same for each.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum PayoutRuleData {
    /// A share.
    Percent {
        /// From 0 to 100, with at most four fractional digits.
        #[serde(serialize_with = "exact_number")]
        #[schema(value_type = f64, example = 12.5, minimum = 0, maximum = 100)]
        percent: Decimal,
    },
    /// The same for each conversion.
    Fixed {
        #[serde(serialize_with = "exact_number")]
        #[schema(value_type = f64, example = 5, minimum = 0)]
        amount: Decimal,
        /// ISO 4217. It need not be that of the conversion.
        #[schema(value_type = String, example = "EUR", min_length = 3, max_length = 3)]
        currency: Currency,
    },
}

impl PayoutRuleData {
    /// The share, if it is one.
    pub(crate) fn percent(&self) -> Option<Decimal> {
        match self {
            Self::Percent { percent } => Some(*percent),
            Self::Fixed { .. } => None,
        }
    }

    /// What is the same for each, if it is.
    pub(crate) fn fixed(&self) -> Option<(Decimal, Currency)> {
        match self {
            Self::Percent { .. } => None,
            Self::Fixed { amount, currency } => Some((*amount, *currency)),
        }
    }
}

impl From<PayoutRule> for PayoutRuleData {
    fn from(rule: PayoutRule) -> Self {
        match rule {
            PayoutRule::Percent(percent) => Self::Percent { percent: percent.as_decimal() },
            PayoutRule::Fixed { amount, currency } => Self::Fixed { amount: amount.as_decimal(), currency },
        }
    }
}

/// A key of a campaign, without what is secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyData {
    /// Unique within the campaign.
    #[schema(value_type = i64, example = 1, minimum = 1)]
    pub(crate) id: u32,
    /// `token`, which is sent with each postback, or `signing`, which postbacks are signed with.
    #[schema(value_type = String, example = "token")]
    pub(crate) kind: &'static str,
    #[schema(value_type = String, format = DateTime, example = "2023-08-23T15:30:45.123Z")]
    pub(crate) created_at: Timestamp,
    /// From when on it does not open anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = DateTime, example = "2023-09-23T15:30:45.123Z")]
    pub(crate) expires_at: Option<Timestamp>,
    /// The key itself. Present only in the answer to the call that made it: it can't be had again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) postback_key: Option<String>,
}

impl From<&PostbackKeyRecord> for KeyData {
    fn from(key: &PostbackKeyRecord) -> Self {
        let kind = key.kind().as_str();
        Self { id: key.id, kind, created_at: key.created_at, expires_at: key.expires_at, postback_key: None }
    }
}

/// Who may send a campaign's postbacks: whoever has one of its postback keys, or anyone.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PostbackAuth {
    #[default]
    Key,
    Open,
}

impl PostbackAuth {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Open => "open",
        }
    }
}

impl From<PostbackAuth> for tracking_core::PostbackAuth {
    fn from(auth: PostbackAuth) -> Self {
        match auth {
            PostbackAuth::Key => Self::Key,
            PostbackAuth::Open => Self::Open,
        }
    }
}

impl From<tracking_core::PostbackAuth> for PostbackAuth {
    fn from(auth: tracking_core::PostbackAuth) -> Self {
        match auth {
            tracking_core::PostbackAuth::Key => Self::Key,
            tracking_core::PostbackAuth::Open => Self::Open,
        }
    }
}

/// A campaign to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCampaign {
    /// 1 to 100 characters, not counting white space at both ends, which is cut off.
    #[schema(value_type = String, required = true, example = "Shop", min_length = 1)]
    name: Option<String>,
    /// An absolute http or https URL, in whose path, query and fragment macros such as {click_id} may stand.
    #[schema(value_type = String, required = true, example = "https://shop.example/?ref={click_id}", max_length = 2000)]
    destination_url: Option<String>,
    /// `key` if left out.
    #[serde(default)]
    #[schema(required = false)]
    postback_auth: PostbackAuth,
    /// What kind of key its advertiser gets: `token`, which is sent with each postback, if left out; or `signing`.
    #[schema(example = "token")]
    key_kind: Option<String>,
    /// The networks that postbacks may come from, at most 100; any if left out.
    #[schema(example = json!(["203.0.113.0/24"]), max_items = 100)]
    networks: Option<Vec<String>>,
    /// Which conversions it takes, and what they pay. Without rules it takes all, and pays nothing.
    #[schema(value_type = Option<RulesChange>)]
    rules: Option<Object<RulesChange>>,
}

impl NewCampaign {
    pub(crate) fn into_request(self) -> Result<CampaignRequest, Refusal> {
        let Self { name, destination_url, postback_auth, key_kind, networks, rules: change } = self;
        let mut rules = CampaignRules::default();
        change.map_or(Ok(()), |Object(change)| change.apply(&mut rules))?;
        Ok(CampaignRequest::new(field("name", name)?, field("destination_url", destination_url)?)
            .postback_auth(postback_auth.into())
            .key_kind(or_default("key_kind", key_kind.as_deref())?)
            .networks(parse_networks(networks.as_deref().unwrap_or_default())?)
            .rules(rules))
    }
}

/// What is to be changed about a campaign: what is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CampaignChange {
    /// 1 to 100 characters, not counting white space at both ends, which is cut off.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, example = "Shop", min_length = 1)]
    name: Option<String>,
    /// An absolute http or https URL, in whose path, query and fragment macros such as {click_id} may stand.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, example = "https://shop.example/?ref={click_id}", max_length = 2000)]
    destination_url: Option<String>,
    /// Whether it is to rest.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    paused: Option<bool>,
    /// Where a key is demanded and the campaign has none, nobody can send postbacks until it gets one.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    postback_auth: Option<PostbackAuth>,
    /// The networks that postbacks may come from, at most 100; any if it is null or empty.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["203.0.113.0/24"]), max_items = 100)]
    networks: Option<Option<Vec<String>>>,
    /// Each rule in it takes the place of the one that there is, and a null removes it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<RulesChange>, nullable = false)]
    rules: Option<Object<RulesChange>>,
}

impl CampaignChange {
    /// Changes the campaign, or leaves it in any state.
    pub(crate) fn apply(&self, campaign: &mut Campaign, now: Timestamp) -> Result<(), Refusal> {
        if let Some(name) = &self.name {
            campaign.name = parse("name", name)?;
        }
        if let Some(url) = &self.destination_url {
            campaign.destination = parse("destination_url", url)?;
        }
        match self.paused {
            Some(true) => _ = campaign.paused_at.get_or_insert(now),
            Some(false) => campaign.paused_at = None,
            None => {}
        }
        if let Some(auth) = self.postback_auth {
            campaign.access.auth = auth.into();
        }
        if let Some(networks) = &self.networks {
            campaign.access.networks = parse_networks(networks.as_deref().unwrap_or_default())?;
        }
        self.rules.as_ref().map_or(Ok(()), |Object(rules)| rules.apply(&mut campaign.rules))
    }
}

/// Rules of a campaign. Those that are left out stay as they are, and a null removes one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RulesChange {
    /// How long after its click a conversion may happen.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, required = false, example = 2_592_000, minimum = 1, maximum = 3_153_600_000_u64)]
    attribution_window_seconds: Option<Option<u64>>,
    /// How long after its click a conversion happens at the earliest.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, required = false, example = 5, minimum = 0, maximum = 3_153_600_000_u64)]
    min_seconds_to_convert: Option<Option<u64>>,
    /// The currency of all conversions, ISO 4217.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, example = "USD", min_length = 3, max_length = 3)]
    currency: Option<Option<String>>,
    /// What a conversion pays whose event has no payout of its own.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<NewPayoutRule>, required = false)]
    payout: Option<Option<Object<NewPayoutRule>>>,
    /// The events that are taken, by name, at most 100; all of them if there is none here.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<BTreeMap<String, NewEventRule>>, required = false)]
    events: Option<Option<BTreeMap<String, Object<NewEventRule>>>>,
    /// The status of a conversion whose postback names none: `pending`, `approved` or `rejected`; `approved` if it is null.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, example = "pending")]
    default_status: Option<Option<String>>,
    /// `by_transaction` or `once`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, example = "once")]
    repeats: Option<Option<String>>,
    /// How many conversions are taken on a day in UTC.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, required = false, example = 1000, minimum = 1, maximum = 4_294_967_295_u64)]
    daily_cap: Option<Option<u64>>,
    /// `earlier_clicks` or `nothing`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, example = "nothing")]
    while_paused: Option<Option<String>>,
}

/// A payout: `percent`, or `amount` and `currency`. Numbers may be written as texts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPayoutRule {
    /// From 0 to 100, with at most four fractional digits.
    #[schema(value_type = Option<f64>, nullable = false, example = 12.5, minimum = 0, maximum = 100)]
    percent: Option<ExactNumber>,
    /// From 0, with up to 12 and 6 digits.
    #[schema(value_type = Option<f64>, nullable = false, minimum = 0)]
    amount: Option<ExactNumber>,
    /// ISO 4217. It need not be that of the conversion.
    #[schema(nullable = false, min_length = 3, max_length = 3)]
    currency: Option<String>,
}

/// What a campaign says of an event.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEventRule {
    /// What it pays; if left out, what the campaign pays otherwise.
    #[schema(value_type = Option<NewPayoutRule>, nullable = false)]
    payout: Option<Object<NewPayoutRule>>,
    /// What it is worth if the postback does not say.
    #[schema(value_type = Option<f64>, nullable = false, example = 25, minimum = 0)]
    amount: Option<ExactNumber>,
}

/// A hundred years, beyond which nobody wants to wait.
const MAX_SECONDS: u64 = 100 * 365 * 24 * 60 * 60;

impl RulesChange {
    /// Changes the rules, or leaves them in any state.
    fn apply(&self, rules: &mut CampaignRules) -> Result<(), Refusal> {
        if let Some(seconds) = self.attribution_window_seconds {
            rules.attribution_window = in_range("attribution_window_seconds", seconds, 1, MAX_SECONDS)?;
        }
        if let Some(seconds) = self.min_seconds_to_convert {
            rules.min_time_to_convert = in_range("min_seconds_to_convert", seconds, 0, MAX_SECONDS)?;
        }
        // An application may have set times that don't fit, and other rules can be changed all the same.
        let has_time = self.attribution_window_seconds.is_some() || self.min_seconds_to_convert.is_some();
        if let (Some(window), Some(minimum)) = (rules.attribution_window, rules.min_time_to_convert)
            && has_time
            && minimum > window
        {
            let problem = "it is more than attribution_window_seconds, so that no conversion could be taken";
            return Err(Refusal::unfit("min_seconds_to_convert", problem));
        }
        if let Some(currency) = &self.currency {
            rules.currency = currency.as_deref().map(|code| parse("currency", code)).transpose()?;
        }
        if let Some(payout) = &self.payout {
            rules.payout = payout.as_ref().map(|Object(payout)| payout.read("payout")).transpose()?;
        }
        if let Some(events) = &self.events {
            rules.events.clear();
            for (name, Object(event)) in events.iter().flatten() {
                rules.events.insert(parse("events", name)?, event.read()?);
            }
            let most = CampaignRules::MAX_EVENTS;
            if rules.events.len() > most {
                return Err(Refusal::unfit("events", format_args!("a campaign has at most {most} events")));
            }
        }
        if let Some(status) = &self.default_status {
            rules.default_status = or_default("default_status", status.as_deref())?;
        }
        if let Some(repeats) = &self.repeats {
            rules.repeats = or_default("repeats", repeats.as_deref())?;
        }
        if let Some(cap) = self.daily_cap {
            let read = |cap| u32::try_from(cap).ok().filter(|cap| *cap > 0);
            let cap = cap.map(|cap| read(cap).ok_or_else(|| out_of_range("daily_cap", 1, u32::MAX.into())));
            rules.daily_cap = cap.transpose()?;
        }
        if let Some(pause) = &self.while_paused {
            rules.while_paused = or_default("while_paused", pause.as_deref())?;
        }
        Ok(())
    }
}

impl NewPayoutRule {
    fn read(&self, name: &'static str) -> Result<PayoutRule, Refusal> {
        match (&self.percent, &self.amount, &self.currency) {
            (Some(percent), None, None) => Ok(PayoutRule::Percent(parse(name, &percent.0)?)),
            (None, Some(amount), Some(currency)) => {
                Ok(PayoutRule::Fixed { amount: parse(name, &amount.0)?, currency: parse(name, currency)? })
            }
            _ => Err(Refusal::malformed(name, "a payout has a percent, or an amount and a currency")),
        }
    }
}

impl NewEventRule {
    fn read(&self) -> Result<EventRule, Refusal> {
        let mut rule = EventRule::default();
        rule.payout = self.payout.as_ref().map(|Object(payout)| payout.read("events")).transpose()?;
        rule.amount = self.amount.as_ref().map(|amount| parse("events", &amount.0)).transpose()?;
        Ok(rule)
    }
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// `token`, which is sent with each postback, if left out; or `signing`, which postbacks are signed with.
    #[schema(example = "token")]
    kind: Option<String>,
    /// When all other keys of its kind expire, from now on; they stay as they are if left out.
    #[schema(value_type = Option<i64>, example = 604_800, minimum = 0, maximum = 3_153_600_000_u64)]
    expire_others_after_seconds: Option<u64>,
}

impl NewKey {
    /// The same as a form has it, in which what is left out is empty.
    pub(crate) fn from_form(form: &Parameters<'_>) -> Result<Self, Refusal> {
        let text = |name| form.text(name).map(|text| text.filter(|text| !text.is_empty()));
        let seconds = text("expire_others_after_seconds")?.map(str::parse).transpose();
        let seconds = seconds
            .map_err(|_| Refusal::malformed("expire_others_after_seconds", "it must be a whole number of seconds"))?;
        Ok(Self { kind: text("kind")?.map(str::to_owned), expire_others_after_seconds: seconds })
    }

    /// What kind of key it is, and when others expire.
    pub(crate) fn read(self) -> Result<(KeyKind, Option<Duration>), Refusal> {
        let overlap = in_range("expire_others_after_seconds", self.expire_others_after_seconds, 0, MAX_SECONDS)?;
        Ok((or_default("kind", self.kind.as_deref())?, overlap))
    }
}

fn parse_networks(texts: &[String]) -> Result<Vec<IpNet>, Refusal> {
    if texts.len() > PostbackAccess::MAX_NETWORKS {
        let most = PostbackAccess::MAX_NETWORKS;
        return Err(Refusal::unfit("networks", format_args!("a campaign has at most {most} networks")));
    }
    let network = |text: &String| {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        // Without what stands after the prefix.
        network.map(|network| network.trunc())
    };
    let networks = texts.iter().map(network).collect::<Result<_, _>>();
    networks
        .map_err(|_| Refusal::malformed("networks", "each must be a network such as 203.0.113.0/24 or 2001:db8::/32"))
}

fn in_range(name: &'static str, seconds: Option<u64>, min: u64, max: u64) -> Result<Option<Duration>, Refusal> {
    match seconds {
        Some(seconds) if !(min..=max).contains(&seconds) => Err(out_of_range(name, min, max)),
        seconds => Ok(seconds.map(Duration::from_secs)),
    }
}

fn out_of_range(name: &'static str, min: u64, max: u64) -> Refusal {
    Refusal::unfit(name, format_args!("it must be from {min} to {max}"))
}

fn or_default<T>(name: &'static str, text: Option<&str>) -> Result<T, Refusal>
where
    T: FromStr<Err = ParseError> + Default,
{
    text.map_or_else(|| Ok(T::default()), |text| parse(name, text))
}

fn parse<T>(name: &'static str, text: &str) -> Result<T, Refusal>
where
    T: FromStr<Err = ParseError>,
{
    text.parse().map_err(|error| ParameterError { name, problem: ParameterProblem::Invalid(error) }.into())
}
