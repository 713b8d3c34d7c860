//! Runs the real server, on each framework, and uses it as people and machines do.

mod brief;
mod browser;
mod metrics;
mod pages;
mod settings;
mod shutdown;
mod support;
