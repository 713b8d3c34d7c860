//! Visits the shop on warp.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

#[path = "../../server/tests/server/support/process.rs"]
mod process;
mod visits;

const SHOP: &str = env!("CARGO_BIN_EXE_embed-warp");
