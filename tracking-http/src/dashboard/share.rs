//! Links that are shared with an affiliate: whoever opens one is logged in as him.

use std::time::Duration;

use http::Response;
use tracking_core::{AffiliateId, Parameters};

use super::{Desk, rendered};
use crate::admin::share_url;
use crate::pages::SharePage;
use crate::refusal::Refusal;
use crate::{Body, answer};

/// Makes a link, and shows it this once.
pub(crate) async fn issue(desk: Desk<'_>, form: &Parameters<'_>) -> Result<Response<Body>, Refusal> {
    let id: AffiliateId = desk.at.id("affiliate_id")?;
    let (token, pass) = desk.tracker.issue_pass(id, wanted_lifetime(form)?).await?;
    let page = SharePage {
        root: &desk.at.root,
        affiliate: &desk.tracker.affiliate(id).await?,
        link: &share_url(desk.public_url, &token),
        expires_at: pass.expires_at,
    };
    Ok(answer::page(rendered(page.render())?, None))
}

/// Makes all links of an affiliate void, and leads back to where new ones are made.
pub(crate) async fn revoke(desk: Desk<'_>) -> Result<Response<Body>, Refusal> {
    let id: AffiliateId = desk.at.id("affiliate_id")?;
    desk.tracker.revoke_passes(id).await?;
    Ok(answer::see_other(&format!("{}dashboard?affiliate_id={id}#share", desk.at.root)))
}

/// One of those that the form offers.
fn wanted_lifetime(form: &Parameters<'_>) -> Result<Duration, Refusal> {
    const DAY: u64 = 24 * 60 * 60;
    let days = match form.text("lifetime_days")? {
        Some("1") => 1,
        Some("7") => 7,
        Some("30") => 30,
        Some("90") => 90,
        _ => return Err(Refusal::malformed("lifetime_days", "it must be 1, 7, 30 or 90")),
    };
    Ok(Duration::from_secs(days * DAY))
}
