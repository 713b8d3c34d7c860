//! Runs the real server, on each framework, and uses it as people and machines do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod admin;
mod brief;
mod browser;
mod commands;
mod database;
mod demo;
mod links;
mod metrics;
mod pages;
mod reviews;
mod samples;
mod settings;
mod shutdown;
mod support;
