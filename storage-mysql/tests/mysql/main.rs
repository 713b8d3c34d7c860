//! Everything that needs a server, on real MariaDB and on real MySQL.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[macro_use]
mod support;

mod batches;
mod conformance;
mod demands;
mod example;
mod faults;
mod gathered;
mod migrations;
mod postbacks;
mod proxy;
mod reports;
mod retention;
mod transactions;
mod visitors;
