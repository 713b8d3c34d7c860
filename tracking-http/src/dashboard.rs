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
pub(crate) mod report;
pub(crate) mod settings;
pub(crate) mod share;

mod affiliate;
mod overview;
mod period;

use http::Response;
use tracking_core::{Affiliate, Cursor, Grouping, Limit, PageRequest, Parameters, StoreError, TimeZone, Tracker};

use crate::location::Location;
use crate::pages::{Chooser, DeadLinkPage, ProblemPage};
use crate::refusal::Refusal;
use crate::report_query::{self, ReportQuery};
use crate::viewer::Viewer;
use crate::{Body, answer};

/// What a page with figures is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) desk: Desk<'a>,
    pub(crate) parameters: &'a Parameters<'a>,
}

impl Asked<'_> {
    /// The report that those parameters ask for that bear such a name.
    fn query(&self, is_meant: impl Fn(&str) -> bool) -> Result<ReportQuery, Refusal> {
        let pairs = self.parameters.iter().filter(|(name, _)| is_meant(name));
        let meant: Parameters<'_> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        ReportQuery::from_parameters(&meant, self.desk.zone, self.desk.tracker.now(), self.desk.viewer.only())
    }
}

/// The figures of everybody, or of one affiliate.
pub(crate) async fn show(asked: &Asked<'_>) -> Result<Response<Body>, Refusal> {
    match report_query::scope(asked.parameters, asked.desk.viewer.only())?.affiliate_id {
        Some(id) => affiliate::show(asked, id).await,
        None => overview::show(asked).await,
    }
}

/// Whom to choose from, with this one chosen, and for this period.
async fn choices(
    tracker: &Tracker,
    chosen: Option<&Affiliate>,
    query: Option<ReportQuery>,
) -> Result<Chooser, StoreError> {
    let page = tracker.affiliates(first(CHOICES)).await?;
    let query = query.map(|query| query.affiliate(None).group_by(Grouping::Day).to_query());
    Ok(Chooser::new(page.items, page.next.is_some(), chosen, &query.unwrap_or_default()))
}

/// How many affiliates the chooser holds.
const CHOICES: Limit = limit(100);

/// How many of the latest clicks and conversions are shown.
const RECENT: Limit = limit(10);

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
pub(crate) fn rendered(html: Result<String, askama::Error>) -> Result<String, Refusal> {
    html.map_err(|error| {
        tracing::error!(%error, "a page could not be rendered");
        Refusal::internal()
    })
}
