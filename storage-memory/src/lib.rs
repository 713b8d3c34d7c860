#![doc = include_str!("../README.md")]

mod ledger;
mod store;

pub use crate::store::MemoryStore;
