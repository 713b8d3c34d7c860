//! Links over HTTP: what to hand out, its QR code, and a test click.

use http::{Response, StatusCode};
use tracking_core::{AffiliateId, ClickId, ClickRequest, Parameters, Tracker};

use crate::Body;
use crate::refusal::Refusal;
use crate::wire::links::LinkData;
use crate::{TrackingLink, answer, qr};

/// What a link that is to be handed out is asked for with. `only` may ask for links of his own.
pub(crate) fn wanted(only: Option<AffiliateId>, parameters: &Parameters<'_>) -> Result<ClickRequest, Refusal> {
    let click = ClickRequest::from_parameters(parameters)?;
    check_own(only, &click)?;
    Ok(click)
}

pub(crate) fn check_own(only: Option<AffiliateId>, click: &ClickRequest) -> Result<(), Refusal> {
    if only.is_some_and(|own| own != click.affiliate_id) { Err(Refusal::forbidden()) } else { Ok(()) }
}

/// The link of such clicks, if affiliate and campaign are there.
pub(crate) async fn build(tracker: &Tracker, mut click: ClickRequest, base_url: &str) -> Result<LinkData, Refusal> {
    click.click_id = ClickId::new("example-click-id").ok();
    let destination_url = tracker.destination(&click).await?;
    let link = TrackingLink::from(click);
    let qr_code_url = format!("{base_url}/links/qr.svg?{}", link.query());
    Ok(LinkData { url: link.under(base_url), destination_url, qr_code_url })
}

/// Its QR code.
pub(crate) fn qr_code(link: &LinkData) -> Result<Response<Body>, Refusal> {
    match qr::svg(&link.url) {
        Ok(svg) => Ok(answer::svg(svg)),
        Err(_) => Err(too_long(link)),
    }
}

fn too_long(link: &LinkData) -> Refusal {
    let message = format!(
        "The link has {} characters, and a QR code holds {} at the most. Shorten its sub ids or its source.",
        link.url.len(),
        qr::MAX_LEN
    );
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "link_too_long", message)
}

/// Whether a link is short enough for a QR code.
pub(crate) fn fits_qr_code(link: &LinkData) -> bool {
    link.url.len() <= qr::MAX_LEN
}
