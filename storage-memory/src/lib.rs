#![doc = include_str!("../README.md")]

mod counters;
mod groups;
mod ledger;
mod log;
mod register;
mod store;
mod table;
mod user_agents;

pub use crate::store::MemoryStore;
