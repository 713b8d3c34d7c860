#![doc = include_str!("../README.md")]

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod guard;

mod admin;
mod answer;
mod api;
mod body;
mod chunks;
mod client_ip;
mod csv;
mod dashboard;
mod endpoint;
mod import;
mod link;
mod link_test;
mod links;
mod lists;
mod location;
mod meters;
mod openapi;
mod pages;
mod postback;
mod public_url;
mod qr;
mod query;
mod refusal;
mod report_query;
mod reports;
mod viewer;
mod visitor;
mod wire;

pub use bytes;
pub use futures_util;
pub use http;
pub use ipnet;
pub use tracking_core;
pub use url;

pub use crate::api::{Api, BodyError};
pub use crate::chunks::{Body, Chunks};
pub use crate::endpoint::{Allow, Match, Resolution};
pub use crate::link::TrackingLink;
pub use crate::public_url::{PublicUrl, UnfitPublicUrl};
pub use crate::refusal::postback_status;
