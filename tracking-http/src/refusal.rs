//! Answers that say no: one place from which status, code, message and headers come.

use std::time::Duration;

use http::StatusCode;
use tracking_core::{
    ClickError, KeyError, Outcome, OutcomeKind, ParameterError, PassError, ReportError, Rule, StoreError, Unreadable,
    error_chain,
};

use crate::endpoint::Allow;
use crate::query::MalformedQuery;
use crate::wire::conversions::{ConversionTracked, PostbackAnswer};

/// Why a request is not answered as it wished.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) parameter: Option<&'static str>,
    /// Which rule of postbacks it was.
    pub(crate) rule: Option<Rule>,
    pub(crate) recorded: Option<Box<ConversionTracked>>,
    pub(crate) header: Option<Header>,
}

/// The header without which the status would not be complete.
#[derive(Debug)]
pub(crate) enum Header {
    Allow(Allow),
    RetryAfterSeconds(u64),
    Challenge(&'static str),
}

impl Header {
    /// A challenge that no browser answers by asking for a password.
    pub(crate) fn unanswered_challenge() -> Self {
        Self::Challenge(r#"Cookie realm="Affiliate tracking""#)
    }
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), parameter: None, rule: None, recorded: None, header: None }
    }

    pub(crate) fn header(mut self, header: Header) -> Self {
        self.header = Some(header);
        self
    }

    pub(crate) fn parameter(mut self, parameter: &'static str) -> Self {
        self.parameter = Some(parameter);
        self
    }
}

impl From<MalformedQuery> for Refusal {
    fn from(_: MalformedQuery) -> Self {
        let message = "The query is not valid: percent-encode each parameter as UTF-8, and a % as %25.";
        Self::new(StatusCode::BAD_REQUEST, "malformed_query", message)
    }
}

impl From<ParameterError> for Refusal {
    fn from(error: ParameterError) -> Self {
        let kind = match error.problem.is_well_formed() {
            true => OutcomeKind::ParameterOutOfRange,
            false => OutcomeKind::InvalidParameter,
        };
        Self::new(postback_status(kind), kind.code(), format!("{error}.")).parameter(error.name)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let unavailable = |code, message: &str| {
            Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).header(Header::RetryAfterSeconds(5))
        };
        match &error {
            StoreError::UnknownAffiliate(id) => {
                Self::new(StatusCode::NOT_FOUND, "unknown_affiliate", format!("There is no affiliate {id}."))
                    .parameter("affiliate_id")
            }
            StoreError::UnknownCampaign(id) => {
                Self::new(StatusCode::NOT_FOUND, "unknown_campaign", format!("There is no campaign {id}."))
                    .parameter("campaign_id")
            }
            StoreError::UnknownClick(_) => {
                Self::new(StatusCode::NOT_FOUND, "unknown_click", "There is no such click.").parameter("click_id")
            }
            StoreError::UnknownConversion(id) => {
                Self::new(StatusCode::NOT_FOUND, "unknown_conversion", format!("There is no conversion {id}."))
                    .parameter("conversion_id")
            }
            StoreError::TooManyGroups { max } => Self::from(ReportError::TooManyRows { max: *max }),
            StoreError::TooSlow { operation } => {
                let message = format!(
                    "To {operation} took too long, and was given up: choose a shorter period, or leave a filter out."
                );
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too_slow", message)
            }
            StoreError::Full { .. } => {
                tracing::warn!(error = %error_chain(&error), "request refused");
                unavailable("store_full", "The store is full: nothing was recorded. Tell the operator of this service.")
            }
            StoreError::Unavailable { .. } => {
                tracing::warn!(error = %error_chain(&error), "request failed for now");
                unavailable("store_unavailable", "The store can't be reached. Try again later.")
            }
            _ => {
                tracing::error!(error = %error_chain(&error), "request failed");
                Self::internal()
            }
        }
    }
}

/// What can't be done at once can be done in parts: the message says which.
impl From<ReportError> for Refusal {
    fn from(error: ReportError) -> Self {
        let too = |code| {
            let mut message = format!("{error}.");
            // Errors begin with a small letter, sentences don't.
            if let Some(first) = message.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message).parameter("group_by")
        };
        match error {
            ReportError::TooManyHours { .. } => too("too_many_hours"),
            ReportError::TooManyRecords { .. } => too("too_many_records"),
            ReportError::TooManyRows { .. } => too("too_many_rows"),
            ReportError::TooSlow { .. } => too("too_slow"),
            ReportError::Busy => {
                let message = "Other reports of this kind are being made. Try again in a few seconds.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "reports_busy", message).header(Header::RetryAfterSeconds(5))
            }
            ReportError::Store(error) => error.into(),
            error => {
                tracing::error!(error = %error_chain(&error), "report failed");
                Self::internal()
            }
        }
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Store(error) => error.into(),
            KeyError::Unknown(_) => Self::unknown_key(),
            KeyError::TooMany => {
                let message = format!("There are too many keys: {error}.");
                Self::new(StatusCode::CONFLICT, "too_many_keys", message)
            }
            error => {
                tracing::error!(error = %error_chain(&error), "keys could not be changed");
                Self::internal()
            }
        }
    }
}

impl From<PassError> for Refusal {
    fn from(error: PassError) -> Self {
        match error {
            PassError::Store(error) => error.into(),
            error => Self::unfit("lifetime_seconds", error),
        }
    }
}

impl Refusal {
    pub(crate) fn unknown_key() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_key", "The campaign has no such key.").parameter("key_id")
    }

    /// For a field that has the wrong form.
    pub(crate) fn malformed(parameter: &'static str, problem: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", format!("{parameter} is not valid: {problem}."))
            .parameter(parameter)
    }

    /// For a field that has the right form, and says what can't be.
    pub(crate) fn unfit(parameter: &'static str, problem: impl std::fmt::Display) -> Self {
        let kind = OutcomeKind::ParameterOutOfRange;
        Self { status: postback_status(kind), code: kind.code(), ..Self::malformed(parameter, problem) }
    }

    pub(crate) fn unknown_caller() -> Self {
        let message = "Log in, or send the access token as a bearer token.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .header(Header::Challenge(r#"Basic realm="Affiliate tracking", charset="UTF-8""#))
    }

    /// With a challenge that no browser answers by asking for a password.
    pub(crate) fn log_in_at(url: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", format!("Log in at {url}."))
            .header(Header::unanswered_challenge())
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "This is not yours to see or to change.")
    }

    pub(crate) fn read_only() -> Self {
        Self::new(StatusCode::FORBIDDEN, "read_only", "You may see everything here, and change nothing.")
    }

    /// For whoever has tried too many wrong tokens.
    pub(crate) fn too_many_logins(left: Duration) -> Self {
        let message = "Too many access tokens from this address were wrong. Wait a minute, then try again.";
        // Whole seconds, rounded up.
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_logins", message)
            .header(Header::RetryAfterSeconds(left.as_secs() + 1))
    }

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something is broken here; it has been logged.")
    }

    pub(crate) fn of_click(error: ClickError) -> Self {
        match error {
            ClickError::Store(error) => Self::of_repeatable(error),
            ClickError::ForgedClickId => {
                let message = "This click_id looks like one that is given out here, and was not given out for this \
                               affiliate and campaign. Leave it out to get one, or send one of your own.";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "forged_click_id", message).parameter("click_id")
            }
            error => {
                tracing::error!(error = %error_chain(&error), "click failed");
                Self::internal()
            }
        }
    }

    /// The same for a request whose record has an identity of its own: if the store failed, it may be there or not.
    pub(crate) fn of_repeatable(error: StoreError) -> Self {
        let mut refusal = Self::from(error);
        if refusal.status.is_server_error() {
            refusal.message.push_str(" Send the same request again: it will not be counted twice.");
        }
        refusal
    }
}

/// The status that a postback with this outcome is answered with. One whose sender has [hung
/// up](OutcomeKind::Abandoned) is answered with none, and counted with those that the store has failed.
#[must_use]
pub const fn postback_status(kind: OutcomeKind) -> StatusCode {
    match kind {
        OutcomeKind::Accepted | OutcomeKind::Duplicate | OutcomeKind::StatusChanged => StatusCode::OK,
        OutcomeKind::InvalidParameter
        | OutcomeKind::MalformedQuery
        | OutcomeKind::BodyIncomplete
        | OutcomeKind::InvalidBody => StatusCode::BAD_REQUEST,
        OutcomeKind::MissingKey | OutcomeKind::WrongKey | OutcomeKind::WrongSignature | OutcomeKind::StaleSignature => {
            StatusCode::UNAUTHORIZED
        }
        OutcomeKind::AddressNotAllowed => StatusCode::FORBIDDEN,
        OutcomeKind::UnknownAffiliate
        | OutcomeKind::UnknownCampaign
        | OutcomeKind::UnknownClick
        | OutcomeKind::UnknownConversion => StatusCode::NOT_FOUND,
        OutcomeKind::Conflict | OutcomeKind::StatusConflict | OutcomeKind::AlreadyConverted => StatusCode::CONFLICT,
        OutcomeKind::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        OutcomeKind::QueryTooLong => StatusCode::URI_TOO_LONG,
        OutcomeKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        OutcomeKind::ParameterOutOfRange
        | OutcomeKind::ForgedClickId
        | OutcomeKind::AffiliatePaused
        | OutcomeKind::CampaignPaused
        | OutcomeKind::WrongCurrency
        | OutcomeKind::EventNotAllowed
        | OutcomeKind::OutsideWindow
        | OutcomeKind::TooFast
        | OutcomeKind::BeforeClick
        | OutcomeKind::DailyCapReached => StatusCode::UNPROCESSABLE_ENTITY,
        OutcomeKind::TooManyFailures => StatusCode::TOO_MANY_REQUESTS,
        OutcomeKind::StoreUnavailable | OutcomeKind::StoreFull | OutcomeKind::Abandoned => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        OutcomeKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        // An outcome that is not in this table, which a test would have noticed.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The one place where what became of a postback becomes an answer.
pub(crate) fn answer_postback(outcome: Outcome) -> Result<PostbackAnswer, Refusal> {
    let message = match outcome.remedy() {
        Some(remedy) => format!("{} {remedy}", outcome.summary()),
        None => outcome.summary(),
    };
    let (conversion, duplicate, previous_status) = match outcome {
        Outcome::Accepted(conversion) => (conversion, false, None),
        Outcome::Duplicate(conversion) => (conversion, true, None),
        Outcome::StatusChanged { conversion, from } => (conversion, false, Some(from.into())),
        refused => return Err(refuse_postback(refused, message)),
    };
    Ok(PostbackAnswer { success: true, message, duplicate, previous_status, data: conversion.into() })
}

fn refuse_postback(outcome: Outcome, message: String) -> Refusal {
    let kind = outcome.kind();
    let mut refusal = Refusal::new(postback_status(kind), kind.code(), message);
    refusal.rule = Some(kind.rule());
    refusal.parameter = match &outcome {
        Outcome::UnknownAffiliate(_) => Some("affiliate_id"),
        Outcome::UnknownCampaign(_) => Some("campaign_id"),
        Outcome::UnknownClick { .. } | Outcome::ForgedClickId(_) => Some("click_id"),
        Outcome::MissingKey(_) | Outcome::WrongKey(_) => Some("token"),
        Outcome::StatusConflict { .. } => Some("status"),
        Outcome::UnknownConversion { .. } => Some("transaction_id"),
        Outcome::WrongCurrency { .. } => Some("currency"),
        Outcome::EventNotAllowed { .. } => Some("event"),
        Outcome::BeforeClick { .. } => Some("timestamp"),
        Outcome::InvalidParameter(error) => Some(error.name),
        Outcome::Unreadable(Unreadable::UnsignedParameter(name)) => Some(name),
        Outcome::Accepted(_)
        | Outcome::Duplicate(_)
        | Outcome::StatusChanged { .. }
        | Outcome::Conflict { .. }
        | Outcome::AlreadyConverted(_)
        | Outcome::AddressNotAllowed(_)
        | Outcome::WrongSignature(_)
        | Outcome::StaleSignature(_)
        | Outcome::TooManyFailures { .. }
        | Outcome::AffiliatePaused { .. }
        | Outcome::CampaignPaused { .. }
        | Outcome::OutsideWindow { .. }
        | Outcome::TooFast { .. }
        | Outcome::DailyCapReached { .. }
        | Outcome::Unreadable(_) => None,
    };
    match &outcome {
        Outcome::TooManyFailures { retry_after } => {
            refusal.header = Some(Header::RetryAfterSeconds(retry_after.as_secs()));
        }
        _ if refusal.status == StatusCode::UNAUTHORIZED => {
            refusal.header = Some(Header::Challenge(r#"Bearer realm="Postbacks""#));
        }
        _ => {}
    }
    refusal.recorded = outcome.recorded().map(|recorded| Box::new(recorded.clone().into()));
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_that_are_too_much_are_told_from_those_that_have_to_wait() {
        let limit = Duration::from_secs(10);
        for (error, status, code) in [
            (ReportError::TooManyHours { max: 92 }, 422, "too_many_hours"),
            (ReportError::TooManyRecords { records: 2, max: 1 }, 422, "too_many_records"),
            (ReportError::TooManyRows { max: 1 }, 422, "too_many_rows"),
            (ReportError::TooSlow { limit }, 422, "too_slow"),
            (ReportError::Busy, 503, "reports_busy"),
            (ReportError::Store(StoreError::unavailable("test", "test")), 503, "store_unavailable"),
        ] {
            let refusal = Refusal::from(error);
            assert_eq!((refusal.status.as_u16(), refusal.code), (status, code));
            assert!(
                refusal.message.starts_with(char::is_uppercase) && refusal.message.ends_with('.'),
                "{}",
                refusal.message
            );
            let has_to_wait = matches!(refusal.header, Some(Header::RetryAfterSeconds(1..)));
            assert_eq!(has_to_wait, status == 503, "{code}");
        }
    }

    #[test]
    fn each_outcome_has_a_status() {
        for kind in OutcomeKind::ALL {
            let status = postback_status(*kind);
            assert_eq!(status == StatusCode::INTERNAL_SERVER_ERROR, *kind == OutcomeKind::Internal, "{kind}");
            assert_eq!(status.is_success(), kind.is_success(), "{kind}");
        }
    }
}
