//! The page with the postback log.

use http::Response;
use tracking_core::{Limit, PageRequest, Parameters, PostbackFilter, Timestamp, Tracker};

use super::{limit, rendered};
use crate::Body;
use crate::location::Location;
use crate::pages::{FilterForm, PostbacksPage};
use crate::refusal::Refusal;
use crate::{admin, answer};

/// How many calls are on a page.
const CALLS: Limit = limit(50);

/// The form with what it says, and the calls that this admits.
pub(crate) async fn show(
    tracker: &Tracker,
    at: &Location<'_>,
    parameters: &Parameters<'_>,
) -> Result<Response<Body>, Refusal> {
    let parameters = &with_offsets(parameters);
    let (page, refusal) = match wanted(parameters) {
        Ok((filter, request)) => (Some(tracker.postbacks(&filter, request).await?), None),
        Err(refusal) => (None, Some(refusal)),
    };
    let form = form(parameters);
    let page = PostbacksPage {
        root: &at.root,
        older: page.as_ref().and_then(|page| Some(form.query(Some(page.next?)))),
        is_first: parameters.text("cursor").is_ok_and(|cursor| cursor.unwrap_or_default().is_empty()),
        postbacks: page.as_ref().map(|page| &*page.items),
        refusal: refusal.as_ref(),
        form,
    };
    Ok(answer::page(rendered(page.render())?, refusal.as_ref()))
}

fn wanted(parameters: &Parameters<'_>) -> Result<(PostbackFilter, PageRequest), Refusal> {
    let filter = admin::postback_filter(parameters)?;
    Ok((filter, PageRequest { limit: CALLS, after: parameters.optional("cursor")? }))
}

/// What the form says, be it right or wrong.
fn form<'a>(parameters: &'a Parameters<'_>) -> FilterForm<'a> {
    let text = |name| parameters.text(name).ok().flatten().unwrap_or_default();
    FilterForm {
        outcome: text("outcome"),
        problems: text("problems") == "true",
        affiliate_id: text("affiliate_id"),
        campaign_id: text("campaign_id"),
        click_id: text("click_id"),
        from: text("from"),
        to: text("to"),
    }
}

/// The same with an offset to times that have none: a browser sends times as its user has entered them, and the page
/// speaks of UTC.
fn with_offsets<'a>(parameters: &'a Parameters<'_>) -> Parameters<'a> {
    let is_time = |text: &String| text.parse::<Timestamp>().is_ok();
    let with_offset = |name, value: &str| match name {
        "from" | "to" => ["", "Z", ":00Z"].map(|end| format!("{value}{end}")).into_iter().find(is_time),
        _ => None,
    };
    let pairs = parameters.iter();
    pairs.map(|(name, value)| (name.to_owned(), with_offset(name, value).unwrap_or_else(|| value.to_owned()))).collect()
}
