//! The page that makes tracking links, and tests them.

use http::Response;
use tracking_core::{ClickRequest, Page, Parameters, StoreError, SubIds, Tracker};

use super::{CHOICES, first, rendered};
use crate::Body;
use crate::location::Location;
use crate::pages::{LinkPage, Made};
use crate::refusal::Refusal;
use crate::viewer::Viewer;
use crate::wire::links::LinkTested;
use crate::{answer, links};

/// The form with what it says, the link that this makes, if it makes one, and what became of a test of it.
pub(crate) async fn show(
    tracker: &Tracker,
    viewer: Viewer,
    at: &Location<'_>,
    parameters: &Parameters<'_>,
    tested: Option<&LinkTested>,
    public_url: &str,
) -> Result<Response<Body>, Refusal> {
    let value = |name| parameters.text(name).ok().flatten().unwrap_or_default();
    let only = viewer.only();
    let own = only.map(|own| own.to_string());
    if own.as_deref().is_some_and(|own| !["", own].contains(&value("affiliate_id"))) {
        return Err(Refusal::forbidden());
    }
    let affiliates = match only {
        Some(own) => tracker.affiliate(own).await.map(|own| Page { items: vec![own], next: None }),
        None => tracker.affiliates(first(CHOICES)).await,
    };
    let affiliates = choices(affiliates, tested)?;
    let campaigns = choices(tracker.campaigns(first(CHOICES)).await, tested)?;
    let is_complete = ["affiliate_id", "campaign_id"].iter().all(|name| !value(name).is_empty());
    let (made, refusal) = if is_complete {
        let click = match tested {
            None => links::wanted(only, parameters),
            // What is left out of a link that was tested, and why, stands in the steps.
            Some(_) => ClickRequest::from_link(parameters).map(|(click, _)| click).map_err(Refusal::from),
        };
        let made = match click {
            Ok(click) => make(tracker, click, public_url).await,
            Err(refusal) => Err(refusal),
        };
        match made {
            Ok(made) => (Some(made), None),
            Err(refusal) if refusal.status.is_client_error() || tested.is_some() => (None, Some(refusal)),
            Err(refusal) => return Err(refusal),
        }
    } else {
        (None, None)
    };
    // So does what is wrong with it.
    let refusal = refusal.filter(|_| tested.is_none());
    let page = LinkPage {
        root: &at.root,
        public_url,
        affiliates: &affiliates.items,
        has_more_affiliates: affiliates.next.is_some(),
        campaigns: &campaigns.items,
        has_more_campaigns: campaigns.next.is_some(),
        viewer,
        affiliate_id: own.as_deref().unwrap_or(value("affiliate_id")),
        campaign_id: value("campaign_id"),
        marks: SubIds::NAMES.map(|name| (name, value(name))),
        source: value("source"),
        refusal: refusal.as_ref(),
        made: made.as_ref(),
        tested,
    };
    Ok(answer::page(rendered(page.render())?, refusal.as_ref()))
}

/// A test that was made is told of also when the store has no more to say.
fn choices<T>(found: Result<Page<T>, StoreError>, tested: Option<&LinkTested>) -> Result<Page<T>, StoreError> {
    found.or_else(|error| match tested {
        Some(_) => Ok(Page { items: Vec::new(), next: None }),
        None => Err(error),
    })
}

async fn make(tracker: &Tracker, click: ClickRequest, public_url: &str) -> Result<Made, Refusal> {
    let affiliate = tracker.affiliate(click.affiliate_id).await?;
    let campaign = tracker.campaign(click.campaign_id).await?;
    let data = links::build(tracker, click.clone(), public_url).await?;
    let has_qr_code = links::fits_qr_code(&data);
    Ok(Made { affiliate, campaign, link: click.into(), data, has_qr_code })
}
