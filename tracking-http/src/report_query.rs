//! What a query says about a report: read in one place, and written back for links, so that filters live in the URL.

use std::fmt::Display;

use percent_encoding::utf8_percent_encode;
use tracking_core::chrono::{Datelike, NaiveDate};
use tracking_core::{
    AffiliateId, CampaignId, Currency, Grouping, ParameterError, ParameterProblem, Parameters, Period, Preset,
    ReportRequest, Scope, Sort, TimeZone, Timestamp,
};

use crate::query::RESERVED;
use crate::refusal::Refusal;

/// The period of a report for which none is named.
pub(crate) const DEFAULT_PERIOD: Preset = Preset::Last30Days;

/// A report that a query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReportQuery {
    /// The name of its period; `None` if its days were named.
    pub(crate) preset: Option<Preset>,
    pub(crate) request: ReportRequest,
    /// The zone of a query that names none.
    default_zone: TimeZone,
    /// The affiliate to whom the caller is bound.
    only: Option<AffiliateId>,
}

impl ReportQuery {
    /// What these parameters ask for. A caller who may see the figures of `only` gets nobody else's.
    pub(crate) fn from_parameters(
        parameters: &Parameters<'_>,
        default_zone: TimeZone,
        now: Timestamp,
        only: Option<AffiliateId>,
    ) -> Result<Self, Refusal> {
        let zone = zone(parameters, default_zone)?;
        let (preset, period) = match period(parameters, zone, now)? {
            Some(wanted) => wanted,
            None => (Some(DEFAULT_PERIOD), Period::preset(DEFAULT_PERIOD, zone, now)),
        };
        let grouping = parameters.optional("group_by")?.unwrap_or(Grouping::Day);
        let mut request = ReportRequest::new(period, grouping).scope(scope(parameters, only)?);
        request.asked_by = only;
        request.sort = parameters.optional("sort")?;
        request.currency = parameters.optional("currency")?;
        request.limit = parameters.optional("limit")?.unwrap_or_default();
        request.offset = match parameters.text("offset")? {
            None | Some("") => 0,
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map_err(|_| Refusal::unfit("offset", "there are not so many rows"))?
            }
            Some(_) => return Err(Refusal::malformed("offset", "it must be a whole number, from 0")),
        };
        Ok(Self { preset, request, default_zone, only })
    }
}

/// The same with one thing changed, for links.
#[allow(dead_code, reason = "each of them is for pages, which need not have a link for everything")]
impl ReportQuery {
    /// The rows from so many on.
    pub(crate) fn offset(mut self, offset: u64) -> Self {
        self.request.offset = offset;
        self
    }

    /// From the first row on, as are all changes below, which make other rows.
    pub(crate) fn sort(mut self, sort: Sort) -> Self {
        self.request.sort = Some(sort);
        self.offset(0)
    }

    /// In the order that is usual for the grouping.
    pub(crate) fn group_by(mut self, grouping: Grouping) -> Self {
        self.request.grouping = grouping;
        self.request.sort = None;
        self.offset(0)
    }

    /// Sorted by sums in this currency.
    pub(crate) fn currency(mut self, currency: Option<Currency>) -> Self {
        self.request.currency = currency;
        self.offset(0)
    }

    pub(crate) fn preset(mut self, preset: Preset, now: Timestamp) -> Self {
        self.preset = Some(preset);
        self.request.period = Period::preset(preset, self.request.period.zone(), now);
        self.offset(0)
    }

    /// The days of this period, in its zone.
    pub(crate) fn period(mut self, period: Period) -> Self {
        self.preset = None;
        self.request.period = period;
        self.offset(0)
    }

    /// Nothing changes for somebody who is bound to an affiliate.
    pub(crate) fn affiliate(mut self, id: Option<AffiliateId>) -> Self {
        if self.only.is_none() {
            self.request.scope.affiliate_id = id;
        }
        self.offset(0)
    }

    pub(crate) fn campaign(mut self, id: Option<CampaignId>) -> Self {
        self.request.scope.campaign_id = id;
        self.offset(0)
    }

    /// The query that asks for this, without what goes without saying. Empty if all of it does.
    pub(crate) fn to_query(self) -> String {
        let Self { preset, request, default_zone, only } = self;
        let mut query = Query::default();
        match preset {
            Some(preset) => query.push_unless("period", preset, DEFAULT_PERIOD),
            None => {
                query.push("from", request.period.first());
                query.push("to", request.period.last());
            }
        }
        query.push_unless("time_zone", request.period.zone(), default_zone);
        query.push_unless("group_by", request.grouping, Grouping::Day);
        query.push_some("affiliate_id", request.scope.affiliate_id.filter(|_| only.is_none()));
        query.push_some("campaign_id", request.scope.campaign_id);
        query.push_some("sort", request.sort);
        query.push_some("currency", request.currency);
        query.push_unless("limit", request.limit.as_usize(), tracking_core::Limit::default().as_usize());
        query.push_unless("offset", request.offset, 0);
        query.0
    }
}

/// A query that grows.
#[derive(Debug, Default)]
struct Query(String);

impl Query {
    fn push(&mut self, name: &str, value: impl Display) {
        let separator = if self.0.is_empty() { "" } else { "&" };
        let value = value.to_string();
        self.0.extend([separator, name, "="]);
        self.0.extend(utf8_percent_encode(&value, RESERVED));
    }

    fn push_some(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    fn push_unless<T: Display + PartialEq>(&mut self, name: &str, value: T, default: T) {
        if value != default {
            self.push(name, value);
        }
    }
}

/// Whose records are asked for, of which campaign.
pub(crate) fn scope(parameters: &Parameters<'_>, only: Option<AffiliateId>) -> Result<Scope, Refusal> {
    let wanted: Option<AffiliateId> = parameters.optional("affiliate_id")?;
    if only.is_some() && wanted.is_some() && wanted != only {
        return Err(Refusal::forbidden());
    }
    Ok(Scope { affiliate_id: only.or(wanted), campaign_id: parameters.optional("campaign_id")? })
}

/// The zone whose days are meant.
pub(crate) fn zone(parameters: &Parameters<'_>, default: TimeZone) -> Result<TimeZone, Refusal> {
    Ok(parameters.optional("time_zone")?.unwrap_or(default))
}

/// The period that is asked for, with its name if it was named; `None` if nothing is said about it.
pub(crate) fn period(
    parameters: &Parameters<'_>,
    zone: TimeZone,
    now: Timestamp,
) -> Result<Option<(Option<Preset>, Period)>, Refusal> {
    let preset: Option<Preset> = parameters.optional("period")?;
    let (from, to) = match (preset, date(parameters, "from")?, date(parameters, "to")?) {
        (None, None, None) => return Ok(None),
        (Some(preset), None, None) => return Ok(Some((Some(preset), Period::preset(preset, zone, now)))),
        (Some(_), _, _) => {
            return Err(Refusal::malformed(
                "period",
                "name either a period, or its first day in from and its last in to",
            ));
        }
        (None, None, Some(_)) => {
            return Err(Refusal::malformed("from", "where to is given, it must be, too: the first day that is wanted"));
        }
        (None, Some(from), to) => (from, to),
    };
    let last = to.unwrap_or_else(|| zone.date_of(now));
    let invalid = |name| move |error| ParameterError { name, problem: ParameterProblem::Invalid(error) };
    // Which of the two is at fault is told by a period of this day alone.
    Period::new(from, from, zone).map_err(invalid("from"))?;
    let is_known = (2000..2100).contains(&last.year());
    let at_fault = if to.is_some() && (!is_known || last < from) { "to" } else { "from" };
    let period = Period::new(from, last, zone).map_err(invalid(at_fault))?;
    Ok(Some((None, period)))
}

/// Ten characters, as forms send them: more than that would be read by `NaiveDate`.
fn date(parameters: &Parameters<'_>, name: &'static str) -> Result<Option<NaiveDate>, Refusal> {
    let Some(text) = parameters.text(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let is_digit =
        |(place, byte): (usize, u8)| if matches!(place, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    let has_form = text.len() == 10 && text.bytes().enumerate().all(is_digit);
    let date = text.parse().ok().filter(|_| has_form);
    date.map(Some).ok_or_else(|| Refusal::malformed(name, "it must be a date such as 2026-03-31"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T03:00:00Z".parse().unwrap()
    }

    fn read_for(query: &str, only: Option<AffiliateId>) -> Result<ReportQuery, Refusal> {
        ReportQuery::from_parameters(&crate::query::parse(Some(query)).unwrap(), TimeZone::UTC, now(), only)
    }

    fn read(query: &str) -> ReportQuery {
        read_for(query, None).unwrap()
    }

    fn days(query: &str) -> String {
        let period = read(query).request.period;
        format!("{} {}", period.first(), period.last())
    }

    #[test]
    fn what_is_left_out_goes_without_saying() {
        let plain = read("");
        assert_eq!(plain, read("period=&from=&to=&time_zone=&group_by=&affiliate_id=&sort=&limit=&offset="));
        assert_eq!((plain.preset, plain.request.grouping), (Some(Preset::Last30Days), Grouping::Day));
        assert_eq!(plain.request.period.zone(), TimeZone::UTC);
        assert_eq!(plain.to_query(), "");
    }

    #[test]
    fn days_are_those_of_the_zone() {
        assert_eq!(days(""), "2026-01-31 2026-03-01");
        assert_eq!(days("time_zone=America/New_York"), "2026-01-30 2026-02-28");
        assert_eq!(days("from=2026-02-01"), "2026-02-01 2026-03-01");
        assert_eq!(days("from=2026-02-01&time_zone=America/New_York"), "2026-02-01 2026-02-28");
        assert_eq!(days("from=2026-02-01&to=2026-02-02"), "2026-02-01 2026-02-02");
        assert_eq!(days("from=2026-03-02&to=2026-03-03"), "2026-03-02 2026-03-03");
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_its_name() {
        for (query, name) in [
            ("period=fortnight", "period"),
            ("period=today&from=2026-01-01", "period"),
            ("period=today&period=today", "period"),
            ("to=2026-01-01", "from"),
            ("from=2026-1-1", "from"),
            ("from=2026-02-30", "from"),
            ("from=%202026-01-01", "from"),
            ("from=2026-01-01T00:00:00Z", "from"),
            ("from=1999-12-31", "from"),
            ("from=2026-03-02", "from"),
            ("from=2010-01-01", "from"),
            ("from=2010-01-01&to=2026-01-01", "from"),
            ("from=2026-01-01&to=yesterday", "to"),
            ("from=2026-01-02&to=2026-01-01", "to"),
            ("from=2099-01-02&to=2100-01-01", "to"),
            ("time_zone=Mars/Olympus", "time_zone"),
            ("time_zone=europe/berlin", "time_zone"),
            ("group_by=weekday", "group_by"),
            ("affiliate_id=x", "affiliate_id"),
            ("campaign_id=0", "campaign_id"),
            ("sort=%2Bclicks", "sort"),
            ("sort=name", "sort"),
            ("currency=XXX", "currency"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("offset=-1", "offset"),
            ("offset=99999999999999999999", "offset"),
        ] {
            let refusal = read_for(query, None).unwrap_err();
            assert_eq!(refusal.parameter, Some(name), "{query}: {}", refusal.message);
            assert!(refusal.status.is_client_error(), "{query}");
            assert!(refusal.message.starts_with(name), "{query}: {}", refusal.message);
        }
    }

    #[test]
    fn an_affiliate_gets_his_own_only() {
        let own = AffiliateId::new(7).unwrap();
        for query in ["", "affiliate_id=7", "affiliate_id="] {
            let read = read_for(query, Some(own)).unwrap();
            assert_eq!(read.request.scope.affiliate_id, Some(own), "{query}");
            assert_eq!(read.request.asked_by, Some(own), "{query}");
            assert_eq!(read.affiliate(None).request.scope.affiliate_id, Some(own), "{query}");
            assert_eq!(read.to_query(), "", "{query}");
        }
        assert_eq!(read_for("affiliate_id=8", Some(own)).unwrap_err().code, "forbidden");
    }

    #[test]
    fn a_query_is_written_as_it_was_read() {
        for query in [
            "period=this_month&time_zone=America%2FNew_York&group_by=source&affiliate_id=3&campaign_id=10&sort=-revenue\
             &currency=EUR&limit=25&offset=50",
            "from=2026-01-01&to=2026-01-31&group_by=hour",
            "sort=key",
        ] {
            assert_eq!(read(query).to_query(), query);
            assert_eq!(read(&read(query).to_query()), read(query));
        }
        let read = read("period=today&group_by=affiliate&sort=clicks&offset=100");
        let other = |change: ReportQuery| change.to_query();
        assert_eq!(other(read.offset(200)), "period=today&group_by=affiliate&sort=clicks&offset=200");
        assert_eq!(other(read.sort("-epc".parse().unwrap())), "period=today&group_by=affiliate&sort=-epc");
        assert_eq!(other(read.group_by(Grouping::Day)), "period=today");
        assert_eq!(other(read.preset(DEFAULT_PERIOD, now())), "group_by=affiliate&sort=clicks");
        let of_one = read.affiliate(AffiliateId::new(3).ok()).campaign(None).currency(None);
        assert_eq!(other(of_one), "period=today&group_by=affiliate&affiliate_id=3&sort=clicks");
        let before = read.request.period.before().unwrap();
        assert_eq!(other(read.period(before)), "from=2026-02-28&to=2026-02-28&group_by=affiliate&sort=clicks");
    }
}
