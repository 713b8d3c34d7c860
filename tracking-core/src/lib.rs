#![doc = include_str!("../README.md")]

#[cfg(feature = "conformance")]
pub mod conformance;

mod batch;
mod campaign;
mod event;
mod id;
mod mint;
mod model;
mod money;
mod outcome;
mod page;
mod parameters;
mod parse;
mod store;
mod time;
mod tracker;

pub use async_trait::async_trait;
pub use chrono;
pub use rust_decimal;

pub use crate::batch::{Batch, BatchLimits, Batcher};
pub use crate::campaign::{Campaign, DestinationUrl, Name, NewCampaign, PostbackKey, PostbackKeyHash};
pub use crate::event::{Event, Events, Received};
pub use crate::id::{AffiliateId, CampaignId, ClickId, ClickRecordId, ConversionId, EventName, TransactionId};
pub use crate::model::{Affiliate, Click, Conversion, NewAffiliate, NewClick, NewConversion, Recorded, Summary};
pub use crate::money::{Amount, Currency, Totals};
pub use crate::outcome::Outcome;
pub use crate::page::{Cursor, Limit, Page, PageRequest};
pub use crate::parameters::{ParameterError, ParameterProblem, Parameters};
pub use crate::parse::{ParseError, Problem};
pub use crate::store::{Store, StoreError};
pub use crate::time::{Clock, ManualClock, SystemClock, Timestamp};
pub use crate::tracker::{
    Attribution, CampaignRequest, ClickRequest, ConversionRequest, CreatedCampaign, PostbackAuth, Tracker,
};
