//! What a request brings along.

use std::str::FromStr;

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::de::DeserializeOwned;
use tracking_core::{ParameterError, ParameterProblem, ParseError};

use crate::refusal::Refusal;
use crate::wire::read::Object;
use crate::{Api, BodyError};

pub(crate) const JSON: &str = "application/json";
pub(crate) const CSV: &str = "text/csv";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// A body of JSON.
pub(crate) fn json<T: DeserializeOwned>(request: &Parts, body: Result<Bytes, BodyError>) -> Result<T, Refusal> {
    let body = whole(body, Api::MAX_BODY_LEN)?;
    if !is_json(request) {
        return Err(unsupported("Send JSON, with the header Content-Type: application/json."));
    }
    let read = serde_json::from_slice(&body).map(|Object(read)| read);
    read.map_err(|error| {
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_body", format!("The body is not what is expected: {error}."))
    })
}

/// The body of an HTML form, to be read as a query is.
pub(crate) fn form(request: &Parts, body: Result<Bytes, BodyError>) -> Result<String, Refusal> {
    let body = whole(body, Api::MAX_BODY_LEN)?;
    if !media_type(request).eq_ignore_ascii_case(FORM) {
        return Err(unsupported(
            "Send a form, with the header Content-Type: application/x-www-form-urlencoded. /links/test takes JSON, too.",
        ));
    }
    String::from_utf8(body.into()).map_err(|_| {
        let message = "The body is not that of a form: percent-encode each parameter as UTF-8.";
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_body", message)
    })
}

pub(crate) fn is_json(request: &Parts) -> bool {
    media_type(request).eq_ignore_ascii_case(JSON)
}

/// A field of JSON as what it stands for.
pub(crate) fn field<T>(name: &'static str, text: Option<String>) -> Result<T, ParameterError>
where
    T: FromStr<Err = ParseError>,
{
    let text = text.ok_or(ParameterError { name, problem: ParameterProblem::Missing })?;
    text.parse().map_err(|error| ParameterError { name, problem: ParameterProblem::Invalid(error) })
}

/// The body, if it arrived and has no more bytes than that.
pub(crate) fn whole(body: Result<Bytes, BodyError>, max_len: usize) -> Result<Bytes, Refusal> {
    body.map_err(|error| match error {
        BodyError::TooLarge => {
            let message = format!("The body has more than {max_len} bytes.");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
        }
        BodyError::Incomplete => {
            Refusal::new(StatusCode::BAD_REQUEST, "body_incomplete", "The body ended before its end.")
        }
    })
}

/// Without its parameters, such as the character set.
pub(crate) fn media_type(request: &Parts) -> &str {
    let content_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim()
}

pub(crate) fn unsupported(message: &str) -> Refusal {
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
}
