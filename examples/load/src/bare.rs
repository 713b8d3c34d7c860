//! What a handler does that somebody writes by hand, without any tracking.

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

/// The same JSON as the tracker's.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    success: bool,
    message: &'static str,
    data: ClickTracked,
}

#[derive(Debug, Serialize)]
struct ClickTracked {
    click_id: String,
    affiliate_id: u32,
    campaign_id: u32,
    timestamp: String,
}

pub(crate) fn answer(affiliate_id: u32, campaign_id: u32, click_id: String) -> Answer {
    let timestamp = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let data = ClickTracked { click_id, affiliate_id, campaign_id, timestamp };
    Answer { success: true, message: "Click tracked successfully", data }
}
