//! The page with clicks.

use http::{Response, StatusCode};
use tracking_core::{ClickFilter, Limit, PageRequest, Parameters};

use super::lists::{bounds, names};
use super::{Desk, limit, rendered};
use crate::Body;
use crate::answer;
use crate::pages::{ClicksPage, ListForm, Wrong};
use crate::refusal::Refusal;
use crate::report_query;

/// How many clicks are on a page.
const CLICKS: Limit = limit(50);

/// The form with what it says, and the clicks that this admits.
pub(crate) async fn show(desk: Desk<'_>, parameters: &Parameters<'_>) -> Result<Response<Body>, Refusal> {
    let zone = report_query::zone(parameters, desk.zone).unwrap_or(desk.zone);
    let (found, refusal) = match wanted(desk, parameters) {
        Ok((filter, request)) => match desk.tracker.clicks(&filter, request).await.map_err(Refusal::from) {
            Ok(found) => (Some(found), None),
            // There is no such affiliate or campaign.
            Err(refusal) if refusal.status.is_client_error() => (None, Some(refusal)),
            Err(refusal) => return Err(refusal),
        },
        Err(refusal) if refusal.status == StatusCode::FORBIDDEN => return Err(refusal),
        Err(refusal) => (None, Some(refusal)),
    };
    let clicks = found.as_ref().map(|found| &*found.items);
    let about = clicks.unwrap_or_default().iter();
    let about = about.map(|click| (click.affiliate_id, click.campaign_id)).collect();
    let names = names(desk, about).await?;
    let form = ListForm::of(parameters);
    let page = ClicksPage {
        root: &desk.at.root,
        viewer: desk.viewer,
        form,
        wrong: Wrong::new(refusal.as_ref(), &ListForm::FIELDS),
        zone,
        clicks,
        names: &names,
        older: found.as_ref().and_then(|found| Some(form.older(found.next?))),
    };
    Ok(answer::page(rendered(page.render())?, refusal.as_ref()))
}

fn wanted(desk: Desk<'_>, parameters: &Parameters<'_>) -> Result<(ClickFilter, PageRequest), Refusal> {
    let mut filter = ClickFilter::from(report_query::scope(parameters, desk.viewer.only())?);
    (filter.from, filter.to) = bounds(desk, parameters)?;
    Ok((filter, PageRequest { limit: CLICKS, after: parameters.optional("cursor")? }))
}
