//! The page with reports.

use http::Response;
use tracking_core::{Grouping, ReportError, Tracker};

use super::{Asked, CHOICES, Desk, first, period, rendered, says};
use crate::pages::{ReportPage, Shown};
use crate::refusal::Refusal;
use crate::report_query::ReportQuery;
use crate::{Body, answer};

/// The form with what it says, and the report that this asks for.
pub(crate) async fn show(asked: &Asked<'_>) -> Result<Response<Body>, Refusal> {
    let Desk { tracker, viewer, at, .. } = asked.desk;
    let (query, mut refusal) = match asked.query(|_| true) {
        Ok(query) => (query, None),
        Err(refusal) if refusal.parameter.is_none() => return Err(refusal),
        // What the form says comes back as it was, but for the choice that is at fault.
        Err(refusal) => (choices_left(asked, refusal.parameter)?, Some(refusal)),
    };
    let mut shown = None;
    if refusal.is_none() {
        match report(tracker, query).await {
            Ok(report) => shown = Some(report),
            Err(ReportError::Store(error)) => {
                let problem = Refusal::from(error);
                if problem.parameter.is_none() {
                    return Err(problem);
                }
                refusal = Some(problem);
            }
            Err(error) => refusal = Some(error.into()),
        }
    }
    let (affiliates, campaigns) = match viewer.only() {
        Some(_) => (Vec::new(), tracker.campaigns(first(CHOICES)).await?.items),
        None => (tracker.affiliates(first(CHOICES)).await?.items, tracker.campaigns(first(CHOICES)).await?.items),
    };
    let page = ReportPage {
        root: &at.root,
        viewer,
        query,
        form: &period::form(asked, "dashboard/reports", query, Vec::new(), refusal),
        affiliate_id: says(asked.parameters, "affiliate_id"),
        campaign_id: says(asked.parameters, "campaign_id"),
        affiliates: &affiliates,
        campaigns: &campaigns,
        shown: shown.as_ref(),
    };
    let refusal = page.form.refusal.as_ref();
    Ok(answer::page(rendered(page.render())?, refusal))
}

/// What the form says but for the parameter at fault; those that tell a period together are right or wrong together. If
/// there is another fault, nothing is left.
fn choices_left(asked: &Asked<'_>, at_fault: Option<&str>) -> Result<ReportQuery, Refusal> {
    let of_period = |name: &str| matches!(name, "period" | "from" | "to" | "time_zone");
    let is_left = |name: &str| match at_fault {
        Some(fault) if of_period(fault) => !of_period(name),
        fault => Some(name) != fault,
    };
    asked.query(is_left).or_else(|_| asked.query(|_| false))
}

/// The rows that are asked for, and charts where these say more.
async fn report(tracker: &Tracker, query: ReportQuery) -> Result<Shown, ReportError> {
    let report = tracker.report(&query.request).await?;
    let charts = match query.request.grouping {
        Grouping::Day | Grouping::Hour => Some(period::load(tracker, query.request.scope, query.request.period).await?),
        _ => None,
    };
    Ok(Shown { report, charts })
}
