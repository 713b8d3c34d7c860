//! What a handler does that somebody writes by hand, without any tracking.

use chrono::Utc;

use crate::answer::{Answer, Click, timestamp};

pub(crate) fn answer(affiliate_id: u32, campaign_id: u32, click_id: String) -> Answer<Click> {
    let data = Click { click_id, affiliate_id, campaign_id, timestamp: timestamp(Utc::now()) };
    Answer { success: true, message: "Click tracked successfully", duplicate: false, data }
}
