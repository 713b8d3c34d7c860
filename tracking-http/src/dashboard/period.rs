//! The figures of a period, from the counters.

use std::time::Duration;

use tracking_core::{AffiliateId, Grouping, Period, ReportError, ReportRequest, Scope, Timestamp, Tracker};

use super::{Asked, says};
use crate::pages::{PeriodFigures, PeriodForm, PresetLink};
use crate::refusal::Refusal;
use crate::report_query::ReportQuery;

/// How many days at the most are shown by hour.
const DAYS_BY_HOUR: u64 = 2;

/// What was counted in a period, and in the period before: of that no more than of this one so far, if it is not over.
pub(crate) async fn load(tracker: &Tracker, scope: Scope, period: Period) -> Result<PeriodFigures, ReportError> {
    let grouping = if period.days() <= DAYS_BY_HOUR { Grouping::Hour } else { Grouping::Day };
    let now = tracker.whole_report(&ReportRequest::new(period, grouping).scope(scope)).await?;
    let so_far = so_far(&period, tracker.now());
    let before = match period.before() {
        Some(before) => {
            let request = ReportRequest::new(before, grouping).scope(scope);
            let mut report = tracker.whole_report(&request).await?;
            if let Some(so_far) = so_far {
                let until = before.start().plus(so_far).min(before.end());
                report.total = tracker.figures_between(scope, before.start(), until).await?;
            }
            Some((before, report))
        }
        None => None,
    };
    let before = before.as_ref().map(|(period, report)| (*period, &*report.rows, &report.total));
    let figures = PeriodFigures::new(period, &now.rows, &now.total, before);
    Ok(PeriodFigures { is_under_way: so_far.is_some(), ..figures })
}

/// How long a period has lasted that has begun and is not over.
fn so_far(period: &Period, now: Timestamp) -> Option<Duration> {
    let is_under_way = period.start() <= now && now < period.end();
    let millis = is_under_way.then(|| now.as_millis() - period.start().as_millis())?;
    Some(Duration::from_millis(millis.unsigned_abs()))
}

/// The period that a page about this affiliate, or about everybody, is asked for, and the form by which another one is chosen.
/// There is only the form if what it says is no period; what else is wrong with the parameters is a refusal.
pub(crate) fn wanted(
    asked: &Asked<'_>,
    affiliate: Option<AffiliateId>,
) -> Result<(Option<ReportQuery>, PeriodForm), Refusal> {
    let (query, refusal) = match asked.query(|name| matches!(name, "period" | "from" | "to" | "time_zone")) {
        Ok(query) => (query, None),
        Err(refusal) => (asked.query(|_| false)?, Some(refusal)),
    };
    let query = query.affiliate(affiliate);
    let kept = affiliate.filter(|_| !asked.desk.viewer.is_affiliate()).map(|id| ("affiliate_id", id.to_string()));
    let form = form(asked, "dashboard", query, kept.into_iter().collect(), refusal);
    Ok((form.refusal.is_none().then_some(query), form))
}

/// The form by which a period is chosen, as the query has it, or as it was filled in if that is refused.
pub(crate) fn form(
    asked: &Asked<'_>,
    path: &'static str,
    query: ReportQuery,
    kept: Vec<(&'static str, String)>,
    refusal: Option<Refusal>,
) -> PeriodForm {
    let period = query.request.period;
    let text = |name, of_query: String| match refusal {
        None => of_query,
        Some(_) => says(asked.parameters, name).to_owned(),
    };
    PeriodForm {
        path,
        presets: PresetLink::all(query, asked.desk.tracker.now(), refusal.is_none()),
        from: text("from", period.first().to_string()),
        to: text("to", period.last().to_string()),
        time_zone: text("time_zone", period.zone().to_string()),
        kept,
        refusal,
    }
}
