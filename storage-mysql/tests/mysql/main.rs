//! Everything that needs a server, on real MariaDB and on real MySQL.

#[macro_use]
mod support;

mod batches;
mod conformance;
mod faults;
mod migrations;
mod proxy;
mod transactions;
