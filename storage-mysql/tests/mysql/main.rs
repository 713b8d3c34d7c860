//! Everything that needs a server, on real MariaDB and on real MySQL.

#[macro_use]
mod support;

mod conformance;
mod faults;
mod proxy;
mod transactions;
