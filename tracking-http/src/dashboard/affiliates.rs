//! The page with all affiliates.

use http::Response;
use tracking_core::{AffiliateId, Limit, Name, PageRequest, Parameters, Pause};

use super::{Desk, limit, older_query, rendered, says};
use crate::Body;
use crate::answer;
use crate::pages::{AffiliatesPage, Wrong};
use crate::refusal::Refusal;

/// How many affiliates are on a page.
const AFFILIATES: Limit = limit(50);

/// The list, and the form for another one.
pub(crate) async fn show(desk: Desk<'_>, parameters: &Parameters<'_>) -> Result<Response<Body>, Refusal> {
    page(desk, parameters, "", None).await
}

/// Creates an affiliate, and leads to him in the list. A form that can't be read comes back.
pub(crate) async fn create(desk: Desk<'_>, form: &Parameters<'_>) -> Result<Response<Body>, Refusal> {
    match form.required::<Name>("name") {
        Ok(name) => {
            let affiliate = desk.tracker.create_affiliate(name).await?;
            Ok(answer::see_other(&format!("{}dashboard/affiliates#affiliate-{}", desk.at.root, affiliate.id)))
        }
        Err(error) => page(desk, &Parameters::default(), says(form, "name"), Some(&error.into())).await,
    }
}

/// Pauses an affiliate, or makes him active again, and leads back to him in the list, of which the query tells the place.
pub(crate) async fn pause(
    desk: Desk<'_>,
    parameters: &Parameters<'_>,
    form: &Parameters<'_>,
) -> Result<Response<Body>, Refusal> {
    let id: AffiliateId = desk.at.id("affiliate_id")?;
    let place = parameters.optional("cursor")?.map(|cursor| format!("?{}", older_query(cursor))).unwrap_or_default();
    desk.tracker.pause_affiliate(id, wanted_pause(form)?).await?;
    Ok(answer::see_other(&format!("{}dashboard/affiliates{place}#affiliate-{id}", desk.at.root)))
}

/// What a button says that pauses or resumes.
pub(super) fn wanted_pause(form: &Parameters<'_>) -> Result<Pause, Refusal> {
    match form.text("paused")? {
        Some("true") => Ok(Pause::Begin),
        Some("false") => Ok(Pause::End),
        _ => Err(Refusal::malformed("paused", "it must be true or false")),
    }
}

async fn page(
    desk: Desk<'_>,
    parameters: &Parameters<'_>,
    name: &str,
    refusal: Option<&Refusal>,
) -> Result<Response<Body>, Refusal> {
    let after = parameters.optional("cursor")?;
    let found = desk.tracker.affiliates(PageRequest { limit: AFFILIATES, after }).await?;
    let page = AffiliatesPage {
        root: &desk.at.root,
        viewer: desk.viewer,
        affiliates: &found.items,
        after,
        older: found.next.map(older_query),
        name,
        wrong: Wrong::new(refusal, &["name"]),
    };
    Ok(answer::page(rendered(page.render())?, refusal))
}
