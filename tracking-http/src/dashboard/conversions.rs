//! The page with conversions.

use http::{Response, StatusCode};
use tracking_core::{ConversionFilter, ConversionStatus, Limit, PageRequest, Parameters};

use super::lists::{bounds, names};
use super::{Desk, limit, rendered};
use crate::Body;
use crate::answer;
use crate::pages::{ConversionsPage, ListForm, Wrong};
use crate::refusal::Refusal;
use crate::report_query;

/// How many conversions are on a page.
const CONVERSIONS: Limit = limit(25);

/// The form with what it says, and the conversions that this admits.
pub(crate) async fn show(desk: Desk<'_>, parameters: &Parameters<'_>) -> Result<Response<Body>, Refusal> {
    let zone = report_query::zone(parameters, desk.zone).unwrap_or(desk.zone);
    let (found, refusal) = match wanted(desk, parameters) {
        Ok((filter, request)) => match desk.tracker.conversions(&filter, request).await.map_err(Refusal::from) {
            Ok(found) => (Some(found), None),
            // There is no such affiliate or campaign.
            Err(refusal) if refusal.status.is_client_error() => (None, Some(refusal)),
            Err(refusal) => return Err(refusal),
        },
        Err(refusal) if refusal.status == StatusCode::FORBIDDEN => return Err(refusal),
        Err(refusal) => (None, Some(refusal)),
    };
    let conversions = found.as_ref().map(|found| &*found.items);
    let about = conversions.unwrap_or_default().iter();
    let about = about.map(|conversion| (conversion.affiliate_id, conversion.campaign_id)).collect();
    let names = names(desk, about).await?;
    let form = ListForm::of(parameters);
    let page = ConversionsPage {
        root: &desk.at.root,
        viewer: desk.viewer,
        form,
        wrong: Wrong::new(refusal.as_ref(), &ListForm::FIELDS),
        zone,
        conversions,
        names: &names,
        older: found.as_ref().and_then(|found| Some(form.older(found.next?))),
    };
    Ok(answer::page(rendered(page.render())?, refusal.as_ref()))
}

fn wanted(desk: Desk<'_>, parameters: &Parameters<'_>) -> Result<(ConversionFilter, PageRequest), Refusal> {
    let mut filter = ConversionFilter::from(report_query::scope(parameters, desk.viewer.only())?);
    filter.status = parameters.optional::<ConversionStatus>("status")?;
    (filter.from, filter.to) = bounds(desk, parameters)?;
    Ok((filter, PageRequest { limit: CONVERSIONS, after: parameters.optional("cursor")? }))
}
