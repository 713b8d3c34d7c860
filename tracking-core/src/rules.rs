//! The rules of a campaign: which conversions it takes, and what they pay.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Affiliate, Amount, Campaign, Click, ConversionStatus, Currency, EventName, Outcome, ParseError, Payout, PayoutRule,
    Problem, Timestamp,
};

/// Which conversions a campaign takes, and what they pay. The default takes any, at any time, and pays nothing.
///
/// The rules are for new conversions. One that is recorded stays, and a repeated postback of it is answered as before,
/// whatever the rules say by then.
///
/// [`serde`]'s form is for stores: durations are whole seconds, amounts are texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CampaignRules {
    /// How long after its click a conversion may happen; `None` is for ever.
    #[serde(with = "whole_seconds", skip_serializing_if = "Option::is_none")]
    pub attribution_window: Option<Duration>,
    /// How long after its click a conversion happens at the earliest: nobody fills in a form in a second.
    #[serde(with = "whole_seconds", skip_serializing_if = "Option::is_none")]
    pub min_time_to_convert: Option<Duration>,
    /// The currency of all conversions, which a postback need not name then; `None` takes any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// What a conversion pays whose event has no payout of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payout: Option<PayoutRule>,
    /// The events that are taken; all of them if there is none here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<EventName, EventRule>,
    /// The status of a conversion whose postback names none.
    pub default_status: ConversionStatus,
    /// Whether a click can have several conversions of one event.
    pub repeats: Repeats,
    /// How many conversions are taken on a day in UTC; `None` is any number. Those that were rejected later are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily_cap: Option<u32>,
    /// What becomes of conversions while the campaign is paused.
    pub while_paused: WhilePaused,
}

impl CampaignRules {
    /// The most events that a campaign should have. Whoever takes rules from elsewhere has to see to it.
    pub const MAX_EVENTS: usize = 100;
}

/// What a campaign says of an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EventRule {
    /// What it pays; `None` is what the campaign pays otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payout: Option<PayoutRule>,
    /// What it is worth if the postback does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident, $subject:literal, $expected:literal,
        $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl $name {
            /// Its name in parameters and JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                [$(Self::$variant),+]
                    .into_iter()
                    .find(|choice| choice.as_str() == text)
                    .ok_or(ParseError::new($subject, Problem::Form { expected: $expected }))
            }
        }
    };
}
pub(crate) use choice;

choice! {
    /// Whether a click can have several conversions of one event.
    Repeats, "a rule for repeats", "by_transaction or once",
    /// As many as there are transaction ids.
    #[default]
    ByTransaction = "by_transaction",
    /// One, whatever its transaction id, and also if it was rejected.
    Once = "once",
}

choice! {
    /// What becomes of conversions while a campaign is paused. Visitors are sent on, and their clicks recorded, in any case.
    WhilePaused, "a rule for pauses", "earlier_clicks or nothing",
    /// Those of clicks from before the pause are taken.
    #[default]
    EarlierClicks = "earlier_clicks",
    /// None is taken.
    Nothing = "nothing",
}

/// How far an advertiser's clock may be from ours.
pub(crate) const SKEW: Duration = Duration::from_secs(5 * 60);

/// A conversion that is to be judged by a campaign's rules.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) affiliate: &'a Affiliate,
    pub(crate) campaign: &'a Campaign,
    pub(crate) click: &'a Click,
    pub(crate) event: &'a EventName,
    pub(crate) amount: Amount,
    pub(crate) currency: Currency,
    /// When it happened, if the advertiser says.
    pub(crate) occurred_at: Option<Timestamp>,
    pub(crate) now: Timestamp,
}

/// A check of a campaign's rules: why the conversion is refused, if it is.
pub(crate) type Check = fn(&Candidate<'_>) -> Option<Outcome>;

/// The checks that need nothing but a candidate, in the order in which they are made, and what each is about.
pub(crate) const CHECKS: [(Rule, Check); 6] = [
    (Rule::Affiliate, |candidate| candidate.check_affiliate()),
    (Rule::Campaign, |candidate| candidate.check_campaign()),
    (Rule::Currency, |candidate| candidate.check_currency()),
    (Rule::Event, |candidate| candidate.check_event()),
    (Rule::AttributionWindow, |candidate| candidate.check_window()),
    (Rule::MinTime, |candidate| candidate.check_min_time()),
];

impl Candidate<'_> {
    /// Why the campaign does not take it, if it does not.
    pub(crate) fn check(&self) -> Option<Outcome> {
        CHECKS.iter().find_map(|(_, check)| check(self))
    }

    /// What it pays.
    pub(crate) fn payout(&self) -> Option<Payout> {
        let rules = &self.campaign.rules;
        let rule = rules.events.get(self.event).and_then(|rule| rule.payout).or(rules.payout)?;
        Some(rule.of(self.amount, self.currency))
    }

    fn check_affiliate(&self) -> Option<Outcome> {
        match self.affiliate.paused_at {
            Some(paused_at) if self.click.created_at >= paused_at => {
                Some(Outcome::AffiliatePaused { affiliate_id: self.affiliate.id, paused_at })
            }
            _ => None,
        }
    }

    fn check_campaign(&self) -> Option<Outcome> {
        let paused_at = self.campaign.paused_at?;
        match self.campaign.rules.while_paused {
            WhilePaused::EarlierClicks if self.click.created_at < paused_at => None,
            _ => Some(Outcome::CampaignPaused { campaign_id: self.campaign.id, paused_at }),
        }
    }

    fn check_currency(&self) -> Option<Outcome> {
        match self.campaign.rules.currency {
            Some(expected) if expected != self.currency => {
                Some(Outcome::WrongCurrency { campaign_id: self.campaign.id, expected, received: self.currency })
            }
            _ => None,
        }
    }

    fn check_event(&self) -> Option<Outcome> {
        refused_event(self.campaign, self.event)
    }

    fn check_window(&self) -> Option<Outcome> {
        let window = self.campaign.rules.attribution_window?;
        let elapsed = self.since_click(self.happened_at()).unwrap_or_default();
        if elapsed <= window {
            return None;
        }
        Some(Outcome::OutsideWindow { campaign_id: self.campaign.id, window, elapsed })
    }

    fn check_min_time(&self) -> Option<Outcome> {
        let minimum = self.campaign.rules.min_time_to_convert.unwrap_or_default();
        // A clock that is ahead makes nobody faster.
        let elapsed = match self.since_click(self.happened_at().min(self.now.max(self.click.created_at))) {
            Ok(elapsed) => elapsed,
            // Nobody buys before he comes, but clocks differ.
            Err(before) if before <= SKEW => Duration::ZERO,
            Err(_) => return Some(Outcome::BeforeClick { click_at: self.click.created_at }),
        };
        if elapsed >= minimum {
            return None;
        }
        Some(Outcome::TooFast { campaign_id: self.campaign.id, minimum, elapsed })
    }

    /// When it happened: as the advertiser says, or now. Of our own clocks one may be behind another.
    fn happened_at(&self) -> Timestamp {
        self.occurred_at.unwrap_or(self.now.max(self.click.created_at))
    }

    /// The time from the click to this one; as an error, how long before the click it is.
    fn since_click(&self, time: Timestamp) -> Result<Duration, Duration> {
        let millis = time.as_millis() - self.click.created_at.as_millis();
        let duration = Duration::from_millis(millis.unsigned_abs());
        if millis < 0 { Err(duration) } else { Ok(duration) }
    }
}

/// Why a campaign does not take an event, if it does not.
pub(crate) fn refused_event(campaign: &Campaign, event: &EventName) -> Option<Outcome> {
    let events = &campaign.rules.events;
    if events.is_empty() || events.contains_key(event) {
        return None;
    }
    Some(Outcome::EventNotAllowed { campaign_id: campaign.id, event: event.clone() })
}

/// What is asked of a postback, in the order in which it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The call can be read, and its parameters are valid.
    Parameters,
    /// A click id that looks like one of ours is one.
    ClickId,
    /// There is such a click, of this affiliate and campaign.
    Click,
    /// The call comes from where the campaign allows.
    Address,
    /// The sender proves that he is the advertiser.
    Credential,
    /// The affiliate is not paused.
    Affiliate,
    /// The campaign is not paused.
    Campaign,
    /// The currency is the campaign's.
    Currency,
    /// The event is one of the campaign's.
    Event,
    /// The conversion came soon enough after the click.
    AttributionWindow,
    /// It did not come too soon.
    MinTime,
    /// It is not recorded yet, or agrees with what is recorded.
    Identity,
    /// Its click has no other conversion of the event, if the campaign wants but one.
    Repeats,
    /// The campaign has taken fewer conversions today than it may.
    DailyCap,
}

impl Rule {
    /// All of them, in order.
    pub const ALL: [Self; 14] = [
        Self::Parameters,
        Self::ClickId,
        Self::Click,
        Self::Address,
        Self::Credential,
        Self::Affiliate,
        Self::Campaign,
        Self::Currency,
        Self::Event,
        Self::AttributionWindow,
        Self::MinTime,
        Self::Identity,
        Self::Repeats,
        Self::DailyCap,
    ];

    /// A stable name for machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parameters => "parameters",
            Self::ClickId => "click_id",
            Self::Click => "click",
            Self::Address => "address",
            Self::Credential => "credential",
            Self::Affiliate => "affiliate",
            Self::Campaign => "campaign",
            Self::Currency => "currency",
            Self::Event => "event",
            Self::AttributionWindow => "attribution_window",
            Self::MinTime => "min_time",
            Self::Identity => "identity",
            Self::Repeats => "repeats",
            Self::DailyCap => "daily_cap",
        }
    }

    /// What is asked, as a sentence.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Parameters => "The call can be read, and its parameters are valid.",
            Self::ClickId => "A click id that looks like one that is given out here is one.",
            Self::Click => "There is such a click, of this affiliate and campaign.",
            Self::Address => "The call comes from where the campaign allows.",
            Self::Credential => "The sender proves that he is the advertiser.",
            Self::Affiliate => "The affiliate was not paused at the time of the click.",
            Self::Campaign => "The campaign is active, or takes conversions of earlier clicks.",
            Self::Currency => "The currency is the campaign's.",
            Self::Event => "The event is one of the campaign's.",
            Self::AttributionWindow => "The conversion came soon enough after the click.",
            Self::MinTime => "The conversion did not come too soon after the click.",
            Self::Identity => "It is not recorded yet, or agrees with what is recorded.",
            Self::Repeats => "The click has no other conversion of this event, where the campaign wants but one.",
            Self::DailyCap => "The campaign has taken fewer conversions today than it may.",
        }
    }
}

/// Durations as whole seconds.
mod whole_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::ref_option, reason = "serde hands it over so")]
    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(|duration| duration.as_secs()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}
