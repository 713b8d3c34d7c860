#![doc = include_str!("../README.md")]

mod attempt;
mod clicks;
mod conversions;
mod counters;
mod details;
mod directory;
mod inserts;
mod lists;
mod lookups;
mod migrate;
mod numbers;
mod retention;
mod rows;
mod sql;
mod store;
mod transactions;
mod visitors;

pub use sqlx;

pub use crate::attempt::is_unavailable;
pub use crate::migrate::{MigrateError, Migrated};
pub use crate::sql::{InvalidPrefix, TablePrefix};
pub use crate::store::{MySqlStore, Options};
