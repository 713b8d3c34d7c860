#![doc = include_str!("../README.md")]

mod attempt;
mod breakdown;
mod clicks;
mod columns;
mod conversions;
mod counters;
mod details;
mod directory;
mod gathered;
mod inserts;
mod lists;
mod lookups;
mod migrate;
mod numbers;
mod postbacks;
mod ranked;
mod reports;
mod retention;
mod rows;
mod spans;
mod sql;
mod statuses;
mod store;
mod transactions;
mod updates;
mod visitors;

pub use sqlx;

pub use crate::attempt::is_unavailable;
pub use crate::migrate::{MigrateError, Migrated};
pub use crate::sql::{InvalidPrefix, TablePrefix};
pub use crate::store::{MySqlStore, Options};
