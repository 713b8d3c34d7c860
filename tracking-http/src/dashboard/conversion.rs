//! The page of a conversion, and the change of its status.

use http::{Response, StatusCode};
use tracking_core::{ChangedBy, Conversion, ConversionId, Outcome, ParameterError, Parameters, Tracker};

use super::rendered;
use crate::Body;
use crate::answer;
use crate::location::Location;
use crate::pages::{ConversionPage, ListForm};
use crate::query;
use crate::refusal::Refusal;
use crate::viewer::Viewer;

/// The conversion with its history.
pub(crate) async fn show(tracker: &Tracker, viewer: Viewer, at: &Location<'_>) -> Result<Response<Body>, Refusal> {
    page(tracker, viewer, at, at.id("conversion_id")?, "", None).await
}

/// Changes the status, and leads back to where the form was. A change that is refused shows why.
pub(crate) async fn change_status(
    tracker: &Tracker,
    viewer: Viewer,
    at: &Location<'_>,
    form: &Parameters<'_>,
) -> Result<Response<Body>, Refusal> {
    let id = at.id("conversion_id")?;
    match changed(tracker, id, form).await? {
        Ok(conversion) => Ok(answer::see_other(&format!("{}{}", at.root, back(&conversion, form)))),
        Err(refusal) => {
            let reason = form.text("reason").ok().flatten().unwrap_or_default();
            page(tracker, viewer, at, id, reason, Some(&refusal)).await
        }
    }
}

/// The conversion with its new status, or why it has not got it.
async fn changed(
    tracker: &Tracker,
    id: ConversionId,
    form: &Parameters<'_>,
) -> Result<Result<Conversion, Refusal>, Refusal> {
    let wanted = || -> Result<_, ParameterError> { Ok((form.required("status")?, form.optional("reason")?)) };
    let (status, reason) = match wanted() {
        Ok(wanted) => wanted,
        Err(error) => return Ok(Err(error.into())),
    };
    Ok(match tracker.change_status(id, status, ChangedBy::Admin, reason).await? {
        Outcome::StatusChanged { conversion, .. } | Outcome::Duplicate(conversion) => Ok(conversion),
        outcome => {
            let message =
                format!("{} Somebody may have changed it meanwhile: this is how it is now.", outcome.summary());
            Err(Refusal::new(StatusCode::CONFLICT, outcome.code(), message))
        }
    })
}

/// Where the form was, below the mount point.
fn back(conversion: &Conversion, form: &Parameters<'_>) -> String {
    match form.text("back") {
        Ok(Some("affiliate")) => {
            format!("dashboard?affiliate_id={}#conversion-{}", conversion.affiliate_id, conversion.id)
        }
        Ok(Some("conversions")) => {
            // Written anew, so that it is the query of a list whatever was sent.
            let list = query::parse(form.text("list").ok().flatten()).unwrap_or_default();
            format!("dashboard/conversions{}#conversion-{}", ListForm::of(&list).url_query(), conversion.id)
        }
        _ => format!("dashboard/conversions/{}", conversion.id),
    }
}

async fn page(
    tracker: &Tracker,
    viewer: Viewer,
    at: &Location<'_>,
    id: ConversionId,
    reason: &str,
    refusal: Option<&Refusal>,
) -> Result<Response<Body>, Refusal> {
    let conversion = tracker.conversion(id).await?;
    let page = ConversionPage {
        root: &at.root,
        viewer,
        conversion: &conversion,
        changes: &tracker.status_changes(id).await?,
        affiliate: &tracker.affiliate(conversion.affiliate_id).await?,
        campaign: &tracker.campaign(conversion.campaign_id).await?,
        reason,
        refusal,
    };
    Ok(answer::page(rendered(page.render())?, refusal))
}
