//! Everything that needs a server, on real MariaDB and on real MySQL.

mod conformance;
mod support;
