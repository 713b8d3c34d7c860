//! The page with the figures of everybody.

use std::collections::BTreeMap;

use futures_util::future::try_join;
use http::Response;
use tracking_core::{
    Affiliate, ClickFilter, Grouping, Limit, PageRequest, Period, ReportError, ReportRequest, Scope, StoreError,
    Tracker,
};

use super::{Asked, Desk, choices, limit, period, rendered};
use crate::pages::{Overview, OverviewPage, Source, Sources, Top};
use crate::refusal::Refusal;
use crate::report_query::ReportQuery;
use crate::{Body, answer};

/// How many of the best are shown.
const BEST: Limit = limit(10);

/// Of how many clicks sources are counted: for these there are no counters.
const LATEST: Limit = limit(Limit::MAX);

pub(crate) async fn show(asked: &Asked<'_>) -> Result<Response<Body>, Refusal> {
    let Desk { tracker, at, public_url, .. } = asked.desk;
    let (query, form) = period::wanted(asked, None)?;
    let chooser = choices(tracker, None, query).await?;
    let overview = match query {
        Some(query) if !chooser.affiliates.is_empty() => Some(overview(tracker, query, &chooser.affiliates).await?),
        _ => None,
    };
    let page = OverviewPage { root: &at.root, public_url, chooser: &chooser, form: &form, overview: overview.as_ref() };
    Ok(answer::page(rendered(page.render())?, form.refusal.as_ref()))
}

async fn overview(tracker: &Tracker, query: ReportQuery, affiliates: &[Affiliate]) -> Result<Overview, Refusal> {
    let period = query.request.period;
    // Two at a time: the one by affiliate takes about as long as all others.
    let by_affiliate = top(tracker, query, Grouping::Affiliate);
    let others = async {
        let figures = period::load(tracker, Scope::ALL, period).await?;
        let by_campaign = top(tracker, query, Grouping::Campaign).await?;
        Ok((figures, by_campaign, sources(tracker, &period, query).await?))
    };
    let (by_affiliate, (figures, by_campaign, sources)) = try_join(by_affiliate, others).await?;
    // Whom nobody has sent a visitor yet is found all the same.
    let idle = if by_affiliate.is_empty() { affiliates.to_vec() } else { Vec::new() };
    Ok(Overview { figures, by_affiliate, by_campaign, sources, idle })
}

/// The best of what figures are grouped by. That there are too many to tell is said in their place.
pub(crate) async fn top(tracker: &Tracker, query: ReportQuery, grouping: Grouping) -> Result<Top, Refusal> {
    let request = ReportRequest::new(query.request.period, grouping).scope(query.request.scope).limit(BEST);
    match tracker.report(&request).await {
        Ok(report) => Ok(Top::new(query, grouping, report)),
        Err(ReportError::Store(error)) => Err(error.into()),
        Err(error) => Ok(Top::failed(query, grouping, Refusal::from(error).message)),
    }
}

/// Where the latest clicks of a period came from. That it takes too long to list them is said in their place.
async fn sources(tracker: &Tracker, period: &Period, query: ReportQuery) -> Result<Sources, Refusal> {
    let filter = ClickFilter::default().since(period.start()).until(period.end());
    let page = match tracker.clicks(&filter, PageRequest { limit: LATEST, after: None }).await {
        Ok(page) => page,
        Err(StoreError::TooSlow { .. }) => return Ok(Sources::too_slow(query)),
        Err(error) => return Err(error.into()),
    };
    let mut counted: BTreeMap<Option<&str>, (u64, u64)> = BTreeMap::new();
    for click in &page.items {
        let (clicks, human) = counted.entry(click.details.source.as_ref().map(|source| source.as_str())).or_default();
        *clicks += 1;
        *human += u64::from(click.details.is_human());
    }
    let named =
        counted.into_iter().map(|(name, (clicks, human))| Source { name: name.map(str::to_owned), clicks, human });
    let mut rows: Vec<Source> = named.collect();
    rows.sort_by_key(|source| std::cmp::Reverse(source.clicks));
    rows.truncate(BEST.as_usize());
    Ok(Sources::new(rows, page.items.len() as u64, page.next.is_some(), query))
}
