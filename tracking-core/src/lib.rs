#![doc = include_str!("../README.md")]

#[cfg(feature = "conformance")]
pub mod conformance;

mod backlog;
mod batch;
mod bots;
mod campaign;
mod click;
mod destination;
mod directory;
mod event;
mod id;
mod model;
mod money;
mod outcome;
mod page;
mod parameters;
mod parse;
mod recorder;
mod request;
mod secret;
mod store;
mod time;
mod tracker;

pub use async_trait::async_trait;
pub use chrono;
pub use rust_decimal;

pub use crate::batch::{Batch, BatchLimits, Batcher};
pub use crate::bots::BotReason;
pub use crate::campaign::{Campaign, Name, NewCampaign, PostbackKey, PostbackKeyHash};
pub use crate::click::{
    Click, ClickDetails, ClientIp, NewClick, Source, SubId, SubIds, UserAgent, VisitorHash, VisitorHashes,
};
pub use crate::destination::DestinationUrl;
pub use crate::event::{Event, Events, Received};
pub use crate::id::{AffiliateId, CampaignId, ClickId, ClickRecordId, ConversionId, EventName, TransactionId};
pub use crate::model::{Affiliate, Conversion, NewAffiliate, NewConversion, Recorded, Summary};
pub use crate::money::{Amount, Currency, Totals};
pub use crate::outcome::Outcome;
pub use crate::page::{Cursor, Limit, Page, PageRequest, PurgeRequest, Purged};
pub use crate::parameters::{ParameterError, ParameterProblem, Parameters};
pub use crate::parse::{ParseError, Problem};
pub use crate::request::{CampaignRequest, ClickRequest, ConversionRequest, CreatedCampaign, PostbackAuth, Visitor};
pub use crate::secret::{Claims, ClickIdOrigin, Secret, Secrets, WeakSecret};
pub use crate::store::{Store, StoreError, error_chain};
pub use crate::time::{Clock, ManualClock, SystemClock, Timestamp};
pub use crate::tracker::{Attribution, ClickError, ClickState, LinkStep, Redirect, StoredIp, Tracker, TrackerOptions};
