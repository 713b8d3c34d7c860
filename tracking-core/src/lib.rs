#![doc = include_str!("../README.md")]

#[cfg(feature = "conformance")]
pub mod conformance;

mod access;
mod backlog;
mod batch;
mod bots;
mod campaign;
mod click;
mod destination;
mod directory;
mod event;
mod failures;
mod filter;
mod id;
mod log;
mod model;
mod money;
mod outcome;
mod page;
mod parameters;
mod parse;
mod pass;
mod payout;
mod period;
mod postback;
mod recorder;
mod report;
mod request;
mod rules;
mod secret;
mod signature;
mod status;
mod store;
mod time;
mod tracker;

pub use async_trait::async_trait;
pub use chrono;
pub use chrono_tz;
pub use ipnet;
pub use rust_decimal;

pub use crate::access::{
    KeyKind, KeySecret, PostbackAccess, PostbackAuth, PostbackKey, PostbackKeyHash, PostbackKeyRecord, SigningKey,
};
pub use crate::batch::{Batch, BatchLimits, Batcher};
pub use crate::bots::BotReason;
pub use crate::campaign::{Campaign, Name, NewCampaign};
pub use crate::click::{
    Click, ClickDetails, ClientIp, NewClick, Source, SubId, SubIds, UserAgent, VisitorHash, VisitorHashes,
};
pub use crate::destination::DestinationUrl;
pub use crate::event::{Event, Events, Received};
pub use crate::failures::Failures;
pub use crate::filter::{ClickFilter, ConversionFilter, Scope};
pub use crate::id::{AffiliateId, CampaignId, ClickId, ClickRecordId, ConversionId, EventName, TransactionId};
pub use crate::model::{Affiliate, Conversion, NewAffiliate, NewConversion, Recorded, Summary, Tally};
pub use crate::money::{Amount, Currency, Totals};
pub use crate::outcome::{Outcome, OutcomeKind, Unreadable};
pub use crate::page::{Cursor, Limit, Page, PageRequest, PurgeRequest, Purged};
pub use crate::parameters::{ParameterError, ParameterProblem, Parameters};
pub use crate::parse::{ParseError, Problem};
pub use crate::pass::{Holder, Pass};
pub use crate::payout::{Payout, PayoutRule, Percentage};
pub use crate::period::{Period, Preset, TimeZone};
pub use crate::postback::{Postback, PostbackCall, PostbackFilter, PostbackMethod};
pub use crate::report::{
    Attribute, Breakdown, Grouping, Order, Ranked, Ranking, Report, ReportError, ReportKey, ReportRequest, ReportRow,
    Sort, SortBy,
};
pub use crate::request::{CampaignRequest, ClickRequest, ConversionRequest, CreatedCampaign, IssuedKey, Visitor};
pub use crate::rules::{CampaignRules, EventRule, Repeats, Rule, WhilePaused};
pub use crate::secret::{Claims, ClickIdOrigin, Secret, Secrets, WeakSecret};
pub use crate::signature::WebhookHeaders;
pub use crate::status::{ChangedBy, ConversionStatus, Reason, StatusChange};
pub use crate::store::{Store, StoreError, error_chain};
pub use crate::time::{Clock, ManualClock, SystemClock, Timestamp};
pub use crate::tracker::{
    Attribution, ClickError, ClickState, ExplainedRule, Explanation, KeyError, LinkStep, PassError, Pause, Redirect,
    StoredIp, Tracker, TrackerOptions, Verdict,
};
