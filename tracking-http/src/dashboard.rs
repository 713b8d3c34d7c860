//! What the pages show.

pub(crate) mod affiliates;
pub(crate) mod campaigns;
pub(crate) mod clicks;
pub(crate) mod conversion;
pub(crate) mod conversions;
pub(crate) mod explain;
pub(crate) mod import;
pub(crate) mod link;
mod lists;
pub(crate) mod postbacks;
pub(crate) mod settings;

use http::Response;
use tracking_core::{AffiliateId, Cursor, Limit, PageRequest, Parameters, TimeZone, Tracker};

use crate::Body;
use crate::answer;
use crate::location::Location;
use crate::pages::{Chosen, DashboardPage, DeadLinkPage, ProblemPage};
use crate::refusal::Refusal;
use crate::viewer::Viewer;

/// The dashboard, for somebody who may see everything, or for the affiliate `only`.
pub(crate) async fn show(
    tracker: &Tracker,
    only: Option<AffiliateId>,
    at: &Location<'_>,
    parameters: &Parameters<'_>,
    public_url: &str,
) -> Result<Response<Body>, Refusal> {
    let wanted = parameters.optional::<AffiliateId>("affiliate_id")?;
    if only.is_some_and(|own| wanted.is_some_and(|wanted| wanted != own)) {
        return Err(Refusal::forbidden());
    }
    let (affiliates, has_more_affiliates) = match only {
        Some(_) => (Vec::new(), false),
        None => {
            let page = tracker.affiliates(first(CHOICES)).await?;
            (page.items, page.next.is_some())
        }
    };
    let mut campaigns = tracker.campaigns(first(CHOICES)).await?.items;
    let chosen = match only.or(wanted) {
        None => None,
        Some(id) => Some((
            tracker.affiliate(id).await?,
            tracker.summary(id).await?,
            tracker.clicks(&id.into(), first(RECENT)).await?.items,
            tracker.conversions(&id.into(), first(RECENT)).await?.items,
        )),
    };
    // The command that reports a sale for the latest click depends on this campaign's key.
    if let Some(click) = chosen.as_ref().and_then(|(_, _, clicks, _)| clicks.first())
        && campaigns.iter().all(|campaign| campaign.id != click.campaign_id)
    {
        campaigns.push(tracker.campaign(click.campaign_id).await?);
    }
    let page = DashboardPage {
        root: &at.root,
        public_url,
        affiliates: &affiliates,
        has_more_affiliates,
        viewer_is_affiliate: only.is_some(),
        chosen: chosen.as_ref().map(|(affiliate, summary, clicks, conversions)| Chosen {
            affiliate,
            summary,
            clicks,
            conversions,
            campaigns: &campaigns,
        }),
    };
    Ok(answer::page(rendered(page.render())?, None))
}

/// How many affiliates the chooser holds.
const CHOICES: Limit = limit(100);

/// How many of the latest clicks and conversions are shown.
const RECENT: Limit = limit(20);

const fn limit(limit: u64) -> Limit {
    match Limit::new(limit) {
        Ok(limit) => limit,
        Err(_) => panic!("a limit is out of range"), // and this does not compile
    }
}

const fn first(limit: Limit) -> PageRequest {
    PageRequest { limit, after: None }
}

/// Whose page it is, and what most pages need to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Desk<'a> {
    pub(crate) tracker: &'a Tracker,
    pub(crate) viewer: Viewer,
    pub(crate) at: &'a Location<'a>,
    /// The absolute URL of the mount point, without a slash at its end.
    pub(crate) public_url: &'a str,
    /// The zone whose days are meant where nothing else is said.
    pub(crate) zone: TimeZone,
}

/// The query of a list that goes on after this place.
fn older_query(after: Cursor) -> String {
    format!("cursor={after}")
}

/// What a form says in a field, be it right or wrong.
fn says<'a>(form: &'a Parameters<'_>, name: &'static str) -> &'a str {
    form.text(name).ok().flatten().unwrap_or_default()
}

/// A refusal as a page.
pub(crate) fn problem(at: &Location<'_>, refusal: Refusal) -> Response<Body> {
    let title = refusal.status.canonical_reason().unwrap_or("Problem");
    let page = ProblemPage { root: &at.root, status: refusal.status.as_u16(), title, message: &refusal.message };
    match rendered(page.render()) {
        Ok(html) => answer::page(html, Some(&refusal)),
        Err(_) => answer::refuse(refusal),
    }
}

/// A refusal as a page for a visitor, who knows nothing of tracking.
pub(crate) fn dead_link(at: &Location<'_>, refusal: Refusal) -> Response<Body> {
    let is_for_now = refusal.status.is_server_error();
    let page = DeadLinkPage { root: &at.root, is_for_now, reason: &refusal.message };
    match rendered(page.render()) {
        Ok(html) => answer::page(html, Some(&refusal)),
        Err(_) => answer::refuse(refusal),
    }
}

/// The document, unless it could not be made, which is nobody's fault but ours.
fn rendered(html: Result<String, askama::Error>) -> Result<String, Refusal> {
    html.map_err(|error| {
        tracing::error!(%error, "a page could not be rendered");
        Refusal::internal()
    })
}
