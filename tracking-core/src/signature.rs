//! Signatures of postbacks: over the parameters of a `GET`, and over the body of a `POST` as Standard Webhooks has it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::Mac;

use crate::access::unhex;
use crate::{ParameterError, Parameters, SigningKey, Timestamp};

/// The parameter that holds the signature of a `GET`.
pub(crate) const SIGNATURE: &str = "signature";

/// The parameter that says when a `GET` was signed, in seconds since 1970.
pub(crate) const SIGNED_AT: &str = "signed_at";

/// How far the clock of whoever signs may be from ours, in seconds. As
/// [Standard Webhooks](https://www.standardwebhooks.com) suggests.
const TOLERANCE: u64 = 5 * 60;

/// How many signatures of one message are looked at: some senders sign with an old and a new key.
const MOST_SIGNATURES: usize = 8;

/// The headers by which [Standard Webhooks](https://www.standardwebhooks.com) signs a body.
#[derive(Debug, Clone, Copy)]
pub struct WebhookHeaders<'a> {
    /// `webhook-id`
    pub id: &'a str,
    /// `webhook-timestamp`: seconds since 1970.
    pub timestamp: &'a str,
    /// `webhook-signature`: `v1,` and the signature in base64, or several of these with spaces between.
    pub signature: &'a str,
}

/// What was signed, when, and with which signatures.
pub(crate) struct Signed<'a> {
    message: Message<'a>,
    /// In seconds since 1970; `None` if that can't be read.
    at: Option<u64>,
    signatures: Vec<[u8; 32]>,
}

enum Message<'a> {
    Parameters(&'a Parameters<'a>),
    Body(WebhookHeaders<'a>, &'a [u8]),
}

/// Whether what was signed is as old as it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clocks {
    Agree,
    Apart,
}

impl<'a> Signed<'a> {
    /// What these parameters say; `None` if they are not signed.
    pub(crate) fn parameters(parameters: &'a Parameters<'a>) -> Result<Option<Self>, ParameterError> {
        let Some(signature) = parameters.text(SIGNATURE)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let at = parameters.text(SIGNED_AT)?.and_then(seconds);
        let message = Message::Parameters(parameters);
        Ok(Some(Self { message, at, signatures: unhex(signature).into_iter().collect() }))
    }

    pub(crate) fn body(headers: WebhookHeaders<'a>, body: &'a [u8]) -> Self {
        let decode = |signature: &str| BASE64_STANDARD.decode(signature.strip_prefix("v1,")?).ok()?.try_into().ok();
        Self {
            message: Message::Body(headers, body),
            at: seconds(headers.timestamp),
            signatures: headers.signature.split(' ').take(MOST_SIGNATURES).filter_map(decode).collect(),
        }
    }

    pub(crate) fn clocks(&self, now: Timestamp) -> Clocks {
        let now = now.as_millis().unsigned_abs() / 1000;
        match self.at {
            Some(at) if at.abs_diff(now) <= TOLERANCE => Clocks::Agree,
            _ => Clocks::Apart,
        }
    }

    /// Whether one of the signatures was made with one of these keys.
    pub(crate) fn is_by<'k>(&self, keys: impl Iterator<Item = &'k SigningKey>) -> bool {
        let mut keys = keys.peekable();
        // What nobody can have signed right need not be put together.
        if self.signatures.is_empty() || keys.peek().is_none() {
            return false;
        }
        let canonical;
        let (prefix, message) = match self.message {
            Message::Parameters(parameters) => {
                canonical = parameters.canonical();
                (String::new(), canonical.as_bytes())
            }
            Message::Body(headers, body) => (format!("{}.{}.", headers.id, headers.timestamp), body),
        };
        keys.any(|key| {
            let mac = key.mac().chain_update(&prefix).chain_update(message);
            self.signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
        })
    }
}

/// Digits and nothing else.
fn seconds(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
