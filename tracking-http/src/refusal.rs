//! Answers that say no: one place from which status, code, message and headers come.

use http::StatusCode;
use tracking_core::{ClickError, Outcome, ParameterError, StoreError, error_chain};

use crate::query::MalformedQuery;
use crate::wire::{ConversionTracked, RecordedAnswer};

/// Why a request is not answered as it wished.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) parameter: Option<&'static str>,
    pub(crate) recorded: Option<Box<ConversionTracked>>,
    pub(crate) header: Option<Header>,
}

/// The header without which the status would not be complete.
#[derive(Debug)]
pub(crate) enum Header {
    Allow(&'static str),
    RetryAfterSeconds(u16),
    Challenge(&'static str),
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), parameter: None, recorded: None, header: None }
    }

    pub(crate) fn header(mut self, header: Header) -> Self {
        self.header = Some(header);
        self
    }

    fn parameter(mut self, parameter: &'static str) -> Self {
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
        let status =
            if error.problem.is_well_formed() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
        Self::new(status, "invalid_parameter", format!("{error}.")).parameter(error.name)
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

impl Refusal {
    pub(crate) fn unknown_caller() -> Self {
        let message = "Log in, or send the access token as a bearer token.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .header(Header::Challenge(r#"Basic realm="Affiliate tracking", charset="UTF-8""#))
    }

    /// With a challenge that no browser answers by asking for a password.
    pub(crate) fn log_in_at(url: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", format!("Log in at {url}."))
            .header(Header::Challenge(r#"Cookie realm="Affiliate tracking""#))
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "This is not yours to see or to change.")
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

/// The one place where what became of a postback becomes an answer.
pub(crate) fn answer_postback(outcome: Outcome) -> Result<RecordedAnswer<ConversionTracked>, Refusal> {
    let (code, summary) = (outcome.code(), outcome.summary());
    let message = match outcome.remedy() {
        Some(remedy) => format!("{summary} {remedy}"),
        None => summary,
    };
    let duplicate = matches!(outcome, Outcome::Duplicate(_));
    let refusal = match outcome {
        Outcome::Accepted(conversion) | Outcome::Duplicate(conversion) => {
            return Ok(RecordedAnswer { success: true, message: message.into(), duplicate, data: conversion.into() });
        }
        Outcome::Conflict { recorded, .. } => {
            let recorded = Some(Box::new(recorded.into()));
            Refusal { recorded, ..Refusal::new(StatusCode::CONFLICT, code, message) }
        }
        Outcome::UnknownAffiliate(_) => Refusal::new(StatusCode::NOT_FOUND, code, message).parameter("affiliate_id"),
        Outcome::UnknownCampaign(_) => Refusal::new(StatusCode::NOT_FOUND, code, message).parameter("campaign_id"),
        Outcome::UnknownClick { .. } => Refusal::new(StatusCode::NOT_FOUND, code, message).parameter("click_id"),
        Outcome::ForgedClickId(_) => {
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, code, message).parameter("click_id")
        }
        Outcome::MissingKey(_) | Outcome::WrongKey(_) => Refusal::new(StatusCode::UNAUTHORIZED, code, message)
            .parameter("token")
            .header(Header::Challenge(r#"Bearer realm="Postbacks""#)),
        Outcome::InvalidParameter(error) => Refusal { message, ..error.into() },
    };
    Err(refusal)
}
