//! What became of a postback.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use crate::{
    AffiliateId, Amount, CampaignId, ClickId, Conversion, ConversionStatus, Currency, EventName, NewConversion,
    ParameterError, ParseError, Problem, Recorded, Rule, StoreError, Timestamp, TransactionId,
};

/// What became of a postback. Whatever tells about it (the answer, the log, the metrics, the pages) derives from this.
///
/// Exhaustive on purpose: whoever answers for an outcome has to decide about a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A new conversion was recorded.
    Accepted(Conversion),
    /// The conversion had been recorded before; here it is. Nothing was changed.
    Duplicate(Conversion),
    /// The conversion had been recorded before, and has another status now.
    StatusChanged {
        /// The conversion as it is now.
        conversion: Conversion,
        /// The status that it had.
        from: ConversionStatus,
    },
    /// A conversion with this identity had been recorded before, with another amount or currency. Nothing was changed.
    Conflict {
        /// What is recorded.
        recorded: Conversion,
        /// The amount that was sent now.
        amount: Amount,
        /// The currency that was sent now.
        currency: Currency,
    },
    /// The conversion is recorded with a status from which there is no way to the one that was sent. Nothing was changed.
    StatusConflict {
        /// What is recorded.
        recorded: Conversion,
        /// The status that was sent now.
        status: ConversionStatus,
    },
    /// The click has a conversion of this event already, with another transaction id, and the campaign wants but one.
    AlreadyConverted(Conversion),
    /// Nothing was sent but a status, and there is no conversion that it could be the status of.
    UnknownConversion {
        /// The event that was sent.
        event: EventName,
        /// The transaction id that was sent.
        transaction_id: Option<TransactionId>,
    },
    /// There is no such affiliate.
    UnknownAffiliate(AffiliateId),
    /// There is no such campaign.
    UnknownCampaign(CampaignId),
    /// The affiliate has no click with this id (in this campaign, if one was named).
    UnknownClick {
        /// The affiliate.
        affiliate_id: AffiliateId,
        /// The campaign that the postback named.
        campaign_id: Option<CampaignId>,
        /// The click id that it named.
        click_id: ClickId,
    },
    /// The click id has the form of those that this tracker mints, and it did not mint it, or not so.
    ForgedClickId(ClickId),
    /// The campaign takes postbacks from some networks only, and this one came from elsewhere.
    AddressNotAllowed(CampaignId),
    /// The campaign demands one of its postback keys, and none was sent.
    MissingKey(CampaignId),
    /// The campaign demands one of its postback keys, and another one was sent.
    WrongKey(CampaignId),
    /// The signature was not made with one of the campaign's signing keys, or not of what was sent.
    WrongSignature(CampaignId),
    /// The signature is of another time.
    StaleSignature(CampaignId),
    /// There were too many calls from there that could not prove who sent them.
    TooManyFailures {
        /// When to try again.
        retry_after: Duration,
    },
    /// The affiliate is paused, and the click is not from before.
    AffiliatePaused {
        /// The affiliate.
        affiliate_id: AffiliateId,
        /// Since when.
        paused_at: Timestamp,
    },
    /// The campaign is paused, and takes no conversions, or none of this click.
    CampaignPaused {
        /// The campaign.
        campaign_id: CampaignId,
        /// Since when.
        paused_at: Timestamp,
    },
    /// The campaign takes conversions in one currency only, and it is another one.
    WrongCurrency {
        /// The campaign.
        campaign_id: CampaignId,
        /// Its currency.
        expected: Currency,
        /// The currency that was sent.
        received: Currency,
    },
    /// The campaign does not take this event.
    EventNotAllowed {
        /// The campaign.
        campaign_id: CampaignId,
        /// The event that was sent.
        event: EventName,
    },
    /// The conversion came too long after the click.
    OutsideWindow {
        /// The campaign.
        campaign_id: CampaignId,
        /// How long after its click a conversion is taken.
        window: Duration,
        /// How long after its click it came.
        elapsed: Duration,
    },
    /// The conversion came too soon after the click.
    TooFast {
        /// The campaign.
        campaign_id: CampaignId,
        /// How long after its click a conversion is taken at the earliest.
        minimum: Duration,
        /// How long after its click it came.
        elapsed: Duration,
    },
    /// The conversion is said to have happened before the click.
    BeforeClick {
        /// When the click was.
        click_at: Timestamp,
    },
    /// The campaign has taken as many conversions today as it may.
    DailyCapReached {
        /// The campaign.
        campaign_id: CampaignId,
        /// How many conversions it takes on a day.
        cap: u32,
    },
    /// A parameter is missing or not valid.
    InvalidParameter(ParameterError),
    /// The call can't be read.
    Unreadable(Unreadable),
}

/// Why a call can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// Its query is not the percent-encoding of UTF-8.
    #[error("the query is not valid: percent-encode each parameter as UTF-8, and a % as %25")]
    MalformedQuery,
    /// Its query is too long.
    #[error("the query has more than {max} bytes")]
    QueryTooLong {
        /// The most bytes that are read.
        max: usize,
    },
    /// Its body is neither a form nor JSON.
    #[error(
        "send a form (application/x-www-form-urlencoded) or JSON (application/json), and say which in Content-Type"
    )]
    UnsupportedMediaType,
    /// Its body is too long.
    #[error("the body has more than {max} bytes")]
    BodyTooLarge {
        /// The most bytes that are read.
        max: usize,
    },
    /// Its body ended too early.
    #[error("the body ended before its end")]
    BodyIncomplete,
    /// Its body is not what its type says, or not what is expected.
    #[error("the body is not what is expected: {0}")]
    InvalidBody(String),
    /// A parameter stands in the query, where the body is signed: the signature does not cover it.
    #[error("the query has {0}, which the signature of the body does not cover: put it into the body")]
    UnsignedParameter(&'static str),
}

impl Outcome {
    /// What became of a conversion of this amount, by what the store has returned for it.
    #[must_use]
    pub fn of(recorded: Recorded<Conversion>, amount: Amount, currency: Currency) -> Self {
        match recorded {
            Recorded::New(conversion) => Self::Accepted(conversion),
            Recorded::Duplicate(conversion) if (conversion.amount, conversion.currency) == (amount, currency) => {
                Self::Duplicate(conversion)
            }
            Recorded::Duplicate(recorded) => Self::Conflict { recorded, amount, currency },
        }
    }

    /// What became of this conversion, by what the store has said to it.
    ///
    /// For an application that records a conversion in its own transaction: that the click has been removed since it was
    /// found, or its affiliate or campaign, is an outcome like others then, and no reason to lose an order.
    ///
    /// # Errors
    /// The store's, if it could not do what it was asked.
    pub fn of_result(
        conversion: &NewConversion,
        result: Result<Recorded<Conversion>, StoreError>,
    ) -> Result<Self, StoreError> {
        match result {
            Ok(recorded) => Ok(Self::of(recorded, conversion.amount, conversion.currency)),
            Err(StoreError::UnknownAffiliate(id)) => Ok(Self::UnknownAffiliate(id)),
            Err(StoreError::UnknownCampaign(id)) => Ok(Self::UnknownCampaign(id)),
            Err(StoreError::UnknownClick(click_id)) => Ok(Self::UnknownClick {
                affiliate_id: conversion.click.affiliate_id,
                campaign_id: Some(conversion.click.campaign_id),
                click_id,
            }),
            Err(StoreError::AlreadyConverted(recorded)) => Ok(Self::AlreadyConverted(*recorded)),
            Err(StoreError::DailyCapReached { cap }) => {
                Ok(Self::DailyCapReached { campaign_id: conversion.click.campaign_id, cap })
            }
            Err(error) => Err(error),
        }
    }

    /// What it is, without what it is about.
    #[must_use]
    pub const fn kind(&self) -> OutcomeKind {
        match self {
            Self::Accepted(_) => OutcomeKind::Accepted,
            Self::Duplicate(_) => OutcomeKind::Duplicate,
            Self::StatusChanged { .. } => OutcomeKind::StatusChanged,
            Self::Conflict { .. } => OutcomeKind::Conflict,
            Self::StatusConflict { .. } => OutcomeKind::StatusConflict,
            Self::AlreadyConverted(_) => OutcomeKind::AlreadyConverted,
            Self::UnknownConversion { .. } => OutcomeKind::UnknownConversion,
            Self::UnknownAffiliate(_) => OutcomeKind::UnknownAffiliate,
            Self::UnknownCampaign(_) => OutcomeKind::UnknownCampaign,
            Self::UnknownClick { .. } => OutcomeKind::UnknownClick,
            Self::ForgedClickId(_) => OutcomeKind::ForgedClickId,
            Self::AddressNotAllowed(_) => OutcomeKind::AddressNotAllowed,
            Self::MissingKey(_) => OutcomeKind::MissingKey,
            Self::WrongKey(_) => OutcomeKind::WrongKey,
            Self::WrongSignature(_) => OutcomeKind::WrongSignature,
            Self::StaleSignature(_) => OutcomeKind::StaleSignature,
            Self::TooManyFailures { .. } => OutcomeKind::TooManyFailures,
            Self::AffiliatePaused { .. } => OutcomeKind::AffiliatePaused,
            Self::CampaignPaused { .. } => OutcomeKind::CampaignPaused,
            Self::WrongCurrency { .. } => OutcomeKind::WrongCurrency,
            Self::EventNotAllowed { .. } => OutcomeKind::EventNotAllowed,
            Self::OutsideWindow { .. } => OutcomeKind::OutsideWindow,
            Self::TooFast { .. } => OutcomeKind::TooFast,
            Self::BeforeClick { .. } => OutcomeKind::BeforeClick,
            Self::DailyCapReached { .. } => OutcomeKind::DailyCapReached,
            Self::InvalidParameter(error) if error.problem.is_well_formed() => OutcomeKind::ParameterOutOfRange,
            Self::InvalidParameter(_) => OutcomeKind::InvalidParameter,
            Self::Unreadable(unreadable) => match unreadable {
                Unreadable::MalformedQuery => OutcomeKind::MalformedQuery,
                Unreadable::QueryTooLong { .. } => OutcomeKind::QueryTooLong,
                Unreadable::UnsupportedMediaType => OutcomeKind::UnsupportedMediaType,
                Unreadable::BodyTooLarge { .. } => OutcomeKind::BodyTooLarge,
                Unreadable::BodyIncomplete => OutcomeKind::BodyIncomplete,
                Unreadable::InvalidBody(_) => OutcomeKind::InvalidBody,
                Unreadable::UnsignedParameter(_) => OutcomeKind::InvalidParameter,
            },
        }
    }

    /// A stable name for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind().code()
    }

    /// What happened, as a sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Accepted(conversion) if !conversion.status.counts() => "Conversion tracked, as rejected".to_owned(),
            Self::Accepted(_) => "Conversion tracked successfully".to_owned(),
            Self::Duplicate(_) => "Conversion was tracked before".to_owned(),
            Self::StatusChanged { conversion, from } => {
                format!("Conversion {} was {from}, and is {} now", conversion.id, conversion.status)
            }
            Self::Conflict { recorded, amount, currency } => format!(
                "Conversion {} is recorded with {} {}, and this postback says {amount} {currency}.",
                recorded.id, recorded.amount, recorded.currency
            ),
            Self::StatusConflict { recorded, status } => {
                format!("Conversion {} is {}, and can't become {status}.", recorded.id, recorded.status)
            }
            Self::AlreadyConverted(recorded) => format!(
                "The click has conversion {} of the event {}, and its campaign takes but one.",
                recorded.id, recorded.event
            ),
            Self::UnknownConversion { event, transaction_id: Some(id) } => {
                format!("The click has no conversion of the event {event} with the transaction_id {id}.")
            }
            Self::UnknownConversion { event, transaction_id: None } => {
                format!("The click has no conversion of the event {event} without a transaction_id.")
            }
            Self::UnknownAffiliate(id) => format!("There is no affiliate {id}."),
            Self::UnknownCampaign(id) => format!("There is no campaign {id}."),
            Self::UnknownClick { affiliate_id, campaign_id: None, .. } => {
                format!("Affiliate {affiliate_id} has no click with this click_id.")
            }
            Self::UnknownClick { affiliate_id, campaign_id: Some(campaign_id), .. } => {
                format!("Affiliate {affiliate_id} has no click with this click_id in campaign {campaign_id}.")
            }
            Self::ForgedClickId(_) => "The click_id is not one that was given out here, or it was changed.".to_owned(),
            Self::AddressNotAllowed(id) => {
                format!("Campaign {id} does not take postbacks from the address that this one came from.")
            }
            Self::MissingKey(id) => format!("Campaign {id} demands its postback key, and none was sent."),
            Self::WrongKey(id) => format!("The key that was sent is not a postback key of campaign {id}."),
            Self::WrongSignature(id) => {
                format!("The signature is not that of what was sent, by a signing key of campaign {id}.")
            }
            Self::StaleSignature(id) => {
                format!("The time of the signature, for campaign {id}, is missing, or not within five minutes of now.")
            }
            Self::TooManyFailures { retry_after } => format!(
                "Too many postbacks from this address could not prove who sent them. One that can is taken at once; others are told again in {} seconds what is wrong.",
                retry_after.as_secs()
            ),
            Self::AffiliatePaused { affiliate_id, paused_at } => {
                format!("Affiliate {affiliate_id} is paused since {paused_at}, and the click is not from before.")
            }
            Self::CampaignPaused { campaign_id, paused_at } => {
                format!(
                    "Campaign {campaign_id} is paused since {paused_at}, and does not take conversions of this click."
                )
            }
            Self::WrongCurrency { campaign_id, expected, received } => {
                format!("Campaign {campaign_id} takes conversions in {expected}, and this one is in {received}.")
            }
            Self::EventNotAllowed { campaign_id, event } => {
                format!("Campaign {campaign_id} does not take the event {event}.")
            }
            Self::OutsideWindow { campaign_id, window, elapsed } => format!(
                "Campaign {campaign_id} takes conversions up to {} after the click, and this one came {} after it.",
                Spoken(*window),
                // Later than the window, also where it is by less than a second.
                Spoken(*elapsed + Duration::from_millis(999))
            ),
            Self::TooFast { campaign_id, minimum, elapsed } => format!(
                "Campaign {campaign_id} takes conversions from {} after the click on, and this one came {} after it.",
                Spoken(*minimum),
                Spoken(*elapsed)
            ),
            Self::BeforeClick { click_at } => {
                format!("The conversion is said to have happened before its click, which was at {click_at}.")
            }
            Self::DailyCapReached { campaign_id, cap } => {
                format!("Campaign {campaign_id} takes {cap} conversions a day, and has taken as many today.")
            }
            Self::InvalidParameter(error) => format!("{error}."),
            Self::Unreadable(error) => {
                let text = error.to_string();
                let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
                format!("{}{rest}.", first.to_uppercase())
            }
        }
    }

    /// What the sender can do about it, as a sentence; `None` where nothing need be done.
    #[must_use]
    pub const fn remedy(&self) -> Option<&'static str> {
        self.kind().remedy()
    }

    /// The conversion that the postback stands for: recorded now, or before.
    #[must_use]
    pub const fn conversion(&self) -> Option<&Conversion> {
        match self {
            Self::Accepted(conversion) | Self::Duplicate(conversion) | Self::StatusChanged { conversion, .. } => {
                Some(conversion)
            }
            _ => None,
        }
    }

    /// The conversion that it can't be reconciled with.
    #[must_use]
    pub const fn recorded(&self) -> Option<&Conversion> {
        match self {
            Self::Conflict { recorded, .. }
            | Self::StatusConflict { recorded, .. }
            | Self::AlreadyConverted(recorded) => Some(recorded),
            _ => None,
        }
    }
}

/// A duration for people: `1 minute and 30 seconds`, `30 days and 1 hour`.
struct Spoken(Duration);

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [(24 * 60 * 60, "day"), (60 * 60, "hour"), (60, "minute"), (1, "second")];
        let greatest = units.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(units.len() - 1);
        let (unit, name) = units[greatest];
        write!(f, "{}", Counted(seconds / unit, name))?;
        let rest = seconds % unit;
        match units.iter().find(|(unit, _)| rest >= *unit) {
            Some((unit, name)) => write!(f, " and {}", Counted(rest / unit, name)),
            None => Ok(()),
        }
    }
}

struct Counted(u64, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $code:literal, $rule:ident, $meaning:literal, $remedy:expr;)+) => {
        /// An [`Outcome`] without what it is about, or why there was none.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum OutcomeKind {
            $($(#[$doc])* $kind),+
        }

        impl OutcomeKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// A stable name for machines.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$kind => $code),+
                }
            }

            /// The rule that has decided.
            #[must_use]
            pub const fn rule(self) -> Rule {
                match self {
                    $(Self::$kind => Rule::$rule),+
                }
            }

            /// What it means, as a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$kind => $meaning),+
                }
            }

            /// What the sender can do about it, as a sentence; `None` where nothing need be done.
            #[must_use]
            pub const fn remedy(self) -> Option<&'static str> {
                match self {
                    $(Self::$kind => $remedy),+
                }
            }
        }
    };
}

kinds! {
    /// [`Outcome::Accepted`]
    Accepted = "accepted", DailyCap, "A new conversion was recorded.", None;
    /// [`Outcome::Duplicate`]
    Duplicate = "duplicate", Identity, "The conversion had been recorded before. Nothing was changed.", None;
    /// [`Outcome::StatusChanged`]
    StatusChanged = "status_changed", Identity,
        "The conversion had been recorded before, and has the status now that was sent.", None;
    /// [`Outcome::Conflict`]
    Conflict = "conflict", Identity,
        "The conversion had been recorded before, with another amount or currency. Nothing was changed.",
        Some("Retry with the recorded amount and currency, or send the transaction_id of the other sale to have it recorded too.");
    /// [`Outcome::StatusConflict`]
    StatusConflict = "status_conflict", Identity,
        "The conversion has a status from which there is no way to the one that was sent. Nothing was changed.",
        Some("Leave it as it is: pending becomes approved or rejected, approved becomes rejected, and rejected stays. Send a new sale under a transaction_id of its own.");
    /// [`Outcome::AlreadyConverted`]
    AlreadyConverted = "already_converted", Repeats,
        "The click has a conversion of this event, and its campaign takes but one.",
        Some("Nothing need be done. If each sale should count, or the one that is recorded was rejected by mistake, ask the operator to have the campaign take repeats.");
    /// [`Outcome::UnknownConversion`]
    UnknownConversion = "unknown_conversion", Identity,
        "Nothing was sent but a status, and there is no conversion that it could be the status of.",
        Some("Send the sale first, with its amount. If it was sent a moment ago, try again in a few minutes; if not, look at event and transaction_id.");
    /// [`Outcome::UnknownAffiliate`]
    UnknownAffiliate = "unknown_affiliate", Click, "There is no such affiliate.",
        Some("Send the affiliate_id of the tracking link that the visitor came by.");
    /// [`Outcome::UnknownCampaign`]
    UnknownCampaign = "unknown_campaign", Click, "There is no such campaign.",
        Some("Send the campaign_id of the tracking link that the visitor came by, or none.");
    /// [`Outcome::UnknownClick`]
    UnknownClick = "unknown_click", Click, "The affiliate has no click with this click_id, in this campaign if one was named.",
        Some("Send the click_id exactly as the visitor brought it, with the affiliate_id that belongs to it.");
    /// [`Outcome::ForgedClickId`]
    ForgedClickId = "forged_click_id", ClickId, "The click_id is not one that was given out, or it was changed.",
        Some("Send the click_id exactly as the visitor brought it, to the last character.");
    /// [`Outcome::AddressNotAllowed`]
    AddressNotAllowed = "address_not_allowed", Address, "The campaign does not take postbacks from this address.",
        Some("Send it from one of the addresses that you have agreed on, or tell the operator the new one.");
    /// [`Outcome::MissingKey`]
    MissingKey = "missing_postback_key", Credential, "The campaign demands its postback key, and none was sent.",
        Some("Send the campaign's postback key as a bearer token, or as the parameter token, or sign the postback.");
    /// [`Outcome::WrongKey`]
    WrongKey = "wrong_postback_key", Credential, "The key is not a postback key of the campaign, or has expired.",
        Some("Send the campaign's postback key as a bearer token, or as the parameter token; one that begins with whsec_ is never sent, but signs. Ask the operator for a new one if it was changed.");
    /// [`Outcome::WrongSignature`]
    WrongSignature = "wrong_signature", Credential,
        "The signature is not that of what was sent, by a signing key of the campaign.",
        Some("Sign exactly what you send, with the campaign's signing key. The guide for advertisers has examples to compare with.");
    /// [`Outcome::StaleSignature`]
    StaleSignature = "stale_signature", Credential, "The time of the signature is missing, or not within five minutes.",
        Some("Sign each postback, each retry too, when you send it, and set the clock of your server.");
    /// [`Outcome::TooManyFailures`]
    TooManyFailures = "too_many_failures", Credential,
        "Too many postbacks came from this address that could not prove who sent them.",
        Some("Correct what the first of them was refused for, wait as long as Retry-After says, and send the postback again.");
    /// [`Outcome::AffiliatePaused`]
    AffiliatePaused = "affiliate_paused", Affiliate, "The affiliate is paused, and the click is not from before.",
        Some("Nothing need be done: the operator has paused this affiliate.");
    /// [`Outcome::CampaignPaused`]
    CampaignPaused = "campaign_paused", Campaign,
        "The campaign is paused, and takes no conversions, or only those of earlier clicks.",
        Some("Nothing need be done if you have agreed on the pause; otherwise ask the operator to end it, and send the postback again.");
    /// [`Outcome::WrongCurrency`]
    WrongCurrency = "wrong_currency", Currency, "The campaign takes conversions in another currency.",
        Some("Send the amount in the campaign's currency, or ask the operator to take others.");
    /// [`Outcome::EventNotAllowed`]
    EventNotAllowed = "event_not_allowed", Event, "The campaign does not take this event.",
        Some("Send one of the events that you have agreed on, spelled the same way, or ask the operator to add it.");
    /// [`Outcome::OutsideWindow`]
    OutsideWindow = "outside_window", AttributionWindow, "The conversion came too long after the click.",
        Some("Nothing need be done: it is not the affiliate's any more. If it happened in time, send its time as timestamp.");
    /// [`Outcome::TooFast`]
    TooFast = "too_fast", MinTime, "The conversion came too soon after the click.",
        Some("Nothing need be done if a program has made it. Ask the operator about the limit if people are as fast.");
    /// [`Outcome::BeforeClick`]
    BeforeClick = "before_click", MinTime, "The conversion is said to have happened before its click.",
        Some("Send the time of the sale as timestamp, with its offset from UTC, or leave it out; and set the clock of your server.");
    /// [`Outcome::DailyCapReached`]
    DailyCapReached = "daily_cap_reached", DailyCap, "The campaign has taken as many conversions today as it may.",
        Some("Ask the operator to raise the cap, or send the postback again tomorrow.");
    /// [`Outcome::InvalidParameter`], of a value that has the right form
    ParameterOutOfRange = "parameter_out_of_range", Parameters, "A parameter is well-formed, but out of range.",
        Some("Correct it and send the postback again; nothing was recorded.");
    /// [`Outcome::InvalidParameter`]
    InvalidParameter = "invalid_parameter", Parameters, "A parameter is missing or not valid.",
        Some("Correct it and send the postback again; nothing was recorded.");
    /// [`Unreadable::MalformedQuery`]
    MalformedQuery = "malformed_query", Parameters, "The query is not the percent-encoding of UTF-8.",
        Some("Correct it and send the postback again; nothing was recorded.");
    /// [`Unreadable::QueryTooLong`]
    QueryTooLong = "query_too_long", Parameters, "The query is too long.",
        Some("Send fewer parameters, or a POST; nothing was recorded.");
    /// [`Unreadable::UnsupportedMediaType`]
    UnsupportedMediaType = "unsupported_media_type", Parameters, "The body is neither a form nor JSON.",
        Some("Correct it and send the postback again; nothing was recorded.");
    /// [`Unreadable::BodyTooLarge`]
    BodyTooLarge = "body_too_large", Parameters, "The body is too long.",
        Some("Send less; nothing was recorded.");
    /// [`Unreadable::BodyIncomplete`]
    BodyIncomplete = "body_incomplete", Parameters, "The body ended too early.",
        Some("Send the postback again; nothing was recorded.");
    /// [`Unreadable::InvalidBody`]
    InvalidBody = "invalid_body", Parameters, "The body is not what its type says, or not what is expected.",
        Some("Correct it and send the postback again; nothing was recorded.");
    /// [`StoreError::Unavailable`]
    StoreUnavailable = "store_unavailable", Identity,
        "The store can't be reached. The conversion may be recorded or not.",
        Some("Send the same postback again: it will not be counted twice.");
    /// [`StoreError::Full`]
    StoreFull = "store_full", Identity, "The store has no room. Nothing was recorded.",
        Some("Tell the operator, and send the same postback again.");
    /// Any other [`StoreError`]
    Internal = "internal", Identity, "Something is broken. The conversion may be recorded or not.",
        Some("Send the same postback again: it will not be counted twice. If it goes on, tell the operator.");
    /// The sender did not wait for an answer.
    Abandoned = "abandoned", Identity,
        "The sender hung up before he had an answer. The conversion may be recorded or not.",
        Some("Wait for the answer, at least ten seconds, and send the same postback again: it will not be counted twice.");
}

impl OutcomeKind {
    /// What it is that the store has failed.
    #[must_use]
    pub const fn of_error(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable { .. } => Self::StoreUnavailable,
            StoreError::Full { .. } => Self::StoreFull,
            _ => Self::Internal,
        }
    }

    /// Whether the postback was taken: there is a conversion that it stands for.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Accepted | Self::Duplicate | Self::StatusChanged)
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for OutcomeKind {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = Self::ALL.iter().copied().find(|kind| kind.code() == text);
        found.ok_or(ParseError::new(
            "an outcome",
            Problem::Form { expected: "the code of an outcome, such as accepted" },
        ))
    }
}
