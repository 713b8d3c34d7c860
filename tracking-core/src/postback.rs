//! Postbacks: calls as they come in, and what is kept of them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::secret::random_bytes;
use crate::{
    AffiliateId, CampaignId, ClickId, ConversionId, Cursor, OutcomeKind, Parameters, ParseError, Problem, Timestamp,
    WebhookHeaders,
};

/// A call of the postback route, as it came in. `Debug` shows neither keys nor signatures, nor the body.
#[derive(Clone)]
#[non_exhaustive]
pub struct PostbackCall<'a> {
    /// How it was sent.
    pub method: PostbackMethod,
    /// Its query, and its form or JSON.
    pub parameters: Parameters<'a>,
    /// The token of an `Authorization: Bearer` header, which goes before the parameter `token`.
    pub bearer: Option<&'a str>,
    /// The headers by which its body is signed, and the body.
    pub webhook: Option<(WebhookHeaders<'a>, &'a [u8])>,
    /// Where it came from.
    pub source: Option<IpAddr>,
}

impl<'a> PostbackCall<'a> {
    /// A `GET` from nowhere, with these parameters.
    #[must_use]
    pub const fn new(parameters: Parameters<'a>) -> Self {
        Self { method: PostbackMethod::Get, parameters, bearer: None, webhook: None, source: None }
    }

    /// The same by this method.
    #[must_use]
    pub const fn method(mut self, method: PostbackMethod) -> Self {
        self.method = method;
        self
    }

    /// The same with this token.
    #[must_use]
    pub const fn bearer(mut self, token: &'a str) -> Self {
        self.bearer = Some(token);
        self
    }

    /// The same with a body that is signed by these headers.
    #[must_use]
    pub const fn webhook(mut self, headers: WebhookHeaders<'a>, body: &'a [u8]) -> Self {
        self.webhook = Some((headers, body));
        self
    }

    /// The same from this address.
    #[must_use]
    pub const fn source(mut self, address: IpAddr) -> Self {
        self.source = Some(address);
        self
    }
}

impl fmt::Debug for PostbackCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, parameters, bearer, webhook, source } = self;
        f.debug_struct("PostbackCall")
            .field("method", method)
            .field("parameters", parameters)
            .field("bearer", &bearer.map(|_| "…"))
            .field("webhook", &webhook.map(|(headers, _)| headers.id))
            .field("source", source)
            .finish()
    }
}

/// How a postback was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PostbackMethod {
    /// As a `GET`.
    #[default]
    Get,
    /// As a `POST`.
    Post,
    /// As a line of a file that was [imported](crate::Tracker::import_conversion).
    Import,
}

impl PostbackMethod {
    /// `GET`, `POST` or `IMPORT`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Import => "IMPORT",
        }
    }
}

impl fmt::Display for PostbackMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PostbackMethod {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "GET" => Ok(Self::Get),
            "POST" => Ok(Self::Post),
            "IMPORT" => Ok(Self::Import),
            _ => Err(ParseError::new("a method", Problem::Form { expected: "GET, POST or IMPORT" })),
        }
    }
}

/// A call of the postback route, and what became of it, as the postback log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postback {
    /// Unique in its store, random: 1 to 2⁶³−1.
    pub id: u64,
    /// When it was received.
    pub received_at: Timestamp,
    /// How it was sent.
    pub method: PostbackMethod,
    /// Where it came from.
    pub source: Option<IpAddr>,
    /// What was sent, as a query without secrets: no longer than [`MAX_PARAMETERS_LEN`](Self::MAX_PARAMETERS_LEN) bytes.
    pub parameters: String,
    /// Whose click it named, as far as that could be told.
    pub affiliate_id: Option<AffiliateId>,
    /// What was sold, as far as that could be told.
    pub campaign_id: Option<CampaignId>,
    /// The click that it named.
    pub click_id: Option<ClickId>,
    /// The conversion that it stands for, or that it can't be reconciled with.
    pub conversion_id: Option<ConversionId>,
    /// What became of it.
    pub outcome: OutcomeKind,
    /// What happened, as a sentence: no longer than [`MAX_SUMMARY_LEN`](Self::MAX_SUMMARY_LEN) bytes.
    pub summary: String,
    /// How many calls with this outcome it stands for: 1, or more where there were too many to keep each.
    pub calls: u64,
}

impl Postback {
    /// The most bytes of its parameters.
    pub const MAX_PARAMETERS_LEN: usize = 2000;

    /// The most bytes of its summary.
    pub const MAX_SUMMARY_LEN: usize = 500;

    /// A new random id.
    pub(crate) fn random_id() -> u64 {
        (u64::from_le_bytes(random_bytes()) >> 1).max(1)
    }

    /// Its place in lists.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor::after(self.received_at, self.id)
    }

    /// The same without what could lead to a visitor: its parameters, and its click id, in whose place this one stands.
    #[must_use]
    pub fn anonymous(&self, replacement: ClickId) -> Self {
        Self { parameters: String::new(), click_id: Some(replacement), ..self.clone() }
    }
}

/// Which postbacks are wanted: those to which all of it applies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostbackFilter {
    /// Those with this outcome.
    pub outcome: Option<OutcomeKind>,
    /// Those that were [not taken](OutcomeKind::is_success).
    pub problems_only: bool,
    /// Those of this affiliate.
    pub affiliate_id: Option<AffiliateId>,
    /// Those of this campaign.
    pub campaign_id: Option<CampaignId>,
    /// Those that named this click.
    pub click_id: Option<ClickId>,
    /// Those that were received at this time or later.
    pub from: Option<Timestamp>,
    /// Those that were received before this time.
    pub to: Option<Timestamp>,
}

impl PostbackFilter {
    /// The same for this outcome.
    #[must_use]
    pub fn outcome(mut self, outcome: OutcomeKind) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// The same for problems only.
    #[must_use]
    pub const fn problems_only(mut self) -> Self {
        self.problems_only = true;
        self
    }

    /// The same for this affiliate.
    #[must_use]
    pub fn affiliate_id(mut self, affiliate_id: AffiliateId) -> Self {
        self.affiliate_id = Some(affiliate_id);
        self
    }

    /// The same for this campaign.
    #[must_use]
    pub fn campaign_id(mut self, campaign_id: CampaignId) -> Self {
        self.campaign_id = Some(campaign_id);
        self
    }

    /// The same for this click.
    #[must_use]
    pub fn click_id(mut self, click_id: ClickId) -> Self {
        self.click_id = Some(click_id);
        self
    }

    /// The same from this time on.
    #[must_use]
    pub fn from(mut self, from: Timestamp) -> Self {
        self.from = Some(from);
        self
    }

    /// The same before this time.
    #[must_use]
    pub fn to(mut self, to: Timestamp) -> Self {
        self.to = Some(to);
        self
    }

    /// Whether it lets this one through.
    #[must_use]
    pub fn admits(&self, postback: &Postback) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        is(self.outcome.as_ref(), Some(&postback.outcome))
            && !(self.problems_only && postback.outcome.is_success())
            && is(self.affiliate_id.as_ref(), postback.affiliate_id.as_ref())
            && is(self.campaign_id.as_ref(), postback.campaign_id.as_ref())
            && is(self.click_id.as_ref(), postback.click_id.as_ref())
            && self.from.is_none_or(|from| postback.received_at >= from)
            && self.to.is_none_or(|to| postback.received_at < to)
    }
}
