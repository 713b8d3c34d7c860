use askama::Template;
use tracking_core::{Affiliate, CampaignId, Grouping, Report, ReportKey, ReportRow};

use super::chart::Drawing;
use super::format::{Money, Percent};
use super::period::{PeriodFigures, PeriodForm};
use super::{assets, format, sums};
use crate::report_query::ReportQuery;

/// The figures of everybody, or the way to the first of them.
#[derive(Debug, Template)]
#[template(path = "overview.html", whitespace = "minimize")]
pub(crate) struct OverviewPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
    pub(crate) root: &'a str,
    /// The absolute URL of the mount point, without a slash at its end.
    pub(crate) public_url: &'a str,
    /// Whose page can be opened. If there is nobody, the page says how that is changed.
    pub(crate) chooser: &'a Chooser,
    /// How the period is chosen.
    pub(crate) form: &'a PeriodForm,
    /// What was in it; `None` if there is nobody, or if the form says no period.
    pub(crate) overview: Option<&'a Overview>,
}

impl OverviewPage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }

    fn create_affiliate_command(&self) -> String {
        super::post_command(self.public_url, "/affiliates", r#"{"name": "First affiliate"}"#)
    }
}

/// What was in a period.
#[derive(Debug)]
pub(crate) struct Overview {
    pub(crate) figures: PeriodFigures,
    pub(crate) by_affiliate: Top,
    pub(crate) by_campaign: Top,
    pub(crate) sources: Sources,
    /// Affiliates, if nothing was counted of any.
    pub(crate) idle: Vec<Affiliate>,
}

/// Whom to choose from.
#[derive(Debug)]
pub(crate) struct Chooser {
    /// With the one that is chosen, who may be missing from the latest.
    pub(crate) affiliates: Vec<Affiliate>,
    /// Whether there are more than those: any can be opened by its id then.
    pub(super) has_more: bool,
    /// The id of the one that is chosen.
    chosen: Option<tracking_core::AffiliateId>,
    /// What else the URL says, and keeps on saying.
    pub(super) kept: Vec<(String, String)>,
}

impl Chooser {
    /// `query` is a period, as a URL says it.
    pub(crate) fn new(mut affiliates: Vec<Affiliate>, has_more: bool, chosen: Option<&Affiliate>, query: &str) -> Self {
        if let Some(chosen) = chosen
            && affiliates.iter().all(|affiliate| affiliate.id != chosen.id)
        {
            affiliates.insert(0, chosen.clone());
        }
        let kept = crate::query::parse(Some(query)).unwrap_or_default();
        let kept = kept.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { affiliates, has_more, chosen: chosen.map(|chosen| chosen.id), kept }
    }

    pub(super) fn is_none_chosen(&self) -> bool {
        self.chosen.is_none()
    }

    pub(super) fn is_chosen(&self, affiliate: &Affiliate) -> bool {
        self.chosen == Some(affiliate.id)
    }
}

/// The best of what figures are grouped by.
#[derive(Debug)]
pub(crate) struct Top {
    /// In what they are told apart.
    pub(super) grouping: Grouping,
    pub(super) rows: Vec<TopRow>,
    /// How many there are in all.
    pub(super) row_count: u64,
    /// Why there are none.
    pub(super) problem: Option<String>,
    /// The query of the whole report.
    pub(super) report: String,
}

#[derive(Debug)]
pub(super) struct TopRow {
    pub(super) id: String,
    pub(super) name: String,
    /// Where it leads, below the mount point.
    pub(super) path: String,
    pub(super) clicks: u64,
    pub(super) conversions: u64,
    pub(super) rate: Option<Percent>,
    pub(super) revenue: Vec<Money>,
}

impl Top {
    /// What a report with this grouping, of the query's period and records, says.
    pub(crate) fn new(query: ReportQuery, grouping: Grouping, report: Report) -> Self {
        let row = |row: ReportRow| {
            let (id, path) = path(query, &row.key)?;
            Some(TopRow {
                id,
                name: row.name.map(|name| name.to_string()).unwrap_or_default(),
                path,
                clicks: row.figures.clicks,
                conversions: row.figures.conversions(),
                rate: Percent::of(row.figures.conversions(), row.figures.clicks),
                revenue: sums(&row.figures.revenue()),
            })
        };
        Self {
            grouping,
            row_count: report.row_count,
            rows: report.rows.into_iter().filter_map(row).collect(),
            problem: None,
            report: query.group_by(grouping).to_query(),
        }
    }

    /// There is none, for this reason.
    pub(crate) fn failed(query: ReportQuery, grouping: Grouping, problem: String) -> Self {
        let report = query.group_by(grouping).to_query();
        Self { grouping, rows: Vec::new(), row_count: 0, problem: Some(problem), report }
    }

    /// Whether nothing was counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.problem.is_none()
    }

    pub(super) fn id(&self) -> String {
        format!("top-{}s", self.grouping)
    }

    pub(super) fn title(&self) -> &'static str {
        if self.grouping == Grouping::Affiliate { "Affiliates" } else { "Campaigns" }
    }
}

/// The id of an affiliate or campaign, and where its page is, below the mount point.
pub(super) fn path(query: ReportQuery, key: &ReportKey) -> Option<(String, String)> {
    let query = query.group_by(Grouping::Day);
    match *key {
        ReportKey::Affiliate(id) => {
            let query = query.affiliate(Some(id)).campaign(None).to_query();
            Some((id.to_string(), with_query("dashboard", &query)))
        }
        ReportKey::Campaign(id) => Some((id.to_string(), campaign_path(query, id, ""))),
        _ => None,
    }
}

/// Where the page of a campaign is, or what is below it, for the period of a query.
pub(crate) fn campaign_path(query: ReportQuery, id: CampaignId, below: &str) -> String {
    let query = query.group_by(Grouping::Day).affiliate(None).campaign(None).to_query();
    with_query(&format!("dashboard/campaigns/{id}{below}"), &query)
}

pub(super) fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Where the latest clicks of a period came from.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(super) rows: Vec<Source>,
    /// How many clicks were looked at.
    pub(super) clicks: u64,
    /// Whether there are more.
    pub(super) has_more: bool,
    /// Whether there are none because it took too long to list clicks. The page is asked for less often then.
    pub(super) is_too_slow: bool,
    /// The query of the whole report.
    pub(super) report: String,
}

/// A source of clicks.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its name; `None` is that of clicks that name none.
    pub(crate) name: Option<String>,
    pub(crate) clicks: u64,
    /// How many of them are people's.
    pub(crate) human: u64,
}

impl Sources {
    /// The sources of so many clicks of the query's period.
    pub(crate) fn new(rows: Vec<Source>, clicks: u64, has_more: bool, query: ReportQuery) -> Self {
        Self { rows, clicks, has_more, is_too_slow: false, report: Self::report(query) }
    }

    /// What is shown in the place of those that take too long.
    pub(crate) fn too_slow(query: ReportQuery) -> Self {
        Self { is_too_slow: true, ..Self::new(Vec::new(), 0, false, query) }
    }

    fn report(query: ReportQuery) -> String {
        query.group_by(Grouping::By(tracking_core::Attribute::Source)).to_query()
    }

    /// `The latest 1,000 clicks`
    pub(super) fn basis(&self) -> String {
        match self.has_more {
            true => format!("Of the latest {} clicks", format::grouped(self.clicks)),
            false => format!("Of all {} clicks", format::grouped(self.clicks)),
        }
    }

    pub(super) fn share(&self, source: &Source) -> Option<Percent> {
        Percent::of(source.clicks, self.clicks)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use tracking_core::rust_decimal::Decimal;
    use tracking_core::{AffiliateId, Parameters, Summary, TimeZone, Timestamp};

    use super::*;
    use crate::pages::tests::affiliate;
    use crate::pages::{InPeriod, PresetLink, ReportPage, Shown, asset};
    use crate::refusal::Refusal;
    use crate::viewer::Viewer;

    /// The most bytes of all that a browser loads for the overview.
    const MAX_PAGE: usize = 100_000;

    fn now() -> Timestamp {
        "2023-08-23T15:30:45Z".parse().unwrap()
    }

    fn query(text: &str) -> ReportQuery {
        ReportQuery::from_parameters(&crate::query::parse(Some(text)).unwrap(), TimeZone::UTC, now(), None).unwrap()
    }

    /// As much of everything as a large network has.
    fn summary(scale: u64) -> Summary {
        let mut summary = Summary {
            clicks: 1_234_567 * scale,
            human_clicks: 987_654 * scale,
            unique_clicks: 876_543 * scale,
            ..Summary::default()
        };
        for tally in [&mut summary.pending, &mut summary.approved] {
            tally.conversions = 54_321 * scale;
            for currency in ["USD", "EUR", "GBP", "JPY"] {
                let sum = Decimal::new(1_234_567_891_234 * scale as i64, 4);
                tally.revenue.add_sum(sum, currency.parse().unwrap());
                tally.payout.add_sum(sum / Decimal::TEN, currency.parse().unwrap());
            }
        }
        summary
    }

    fn figures(query: ReportQuery) -> PeriodFigures {
        let rows = |period: tracking_core::Period| -> Vec<ReportRow> {
            let row = |(index, date)| ReportRow {
                key: ReportKey::Day(date),
                name: None,
                figures: summary(1 + (index as u64 * 7) % 9),
            };
            period.dates().enumerate().map(row).collect()
        };
        let period = query.request.period;
        let before = period.before().unwrap();
        let (now, then) = (rows(period), rows(before));
        PeriodFigures::new(period, &now, &summary(30), Some((before, &then, &summary(29))))
    }

    fn report(key: fn(u64) -> ReportKey, name: &str) -> Report {
        let row = |id| ReportRow { key: key(id), name: Some(name.parse().unwrap()), figures: summary(3) };
        Report { rows: (1..=10).map(row).collect(), row_count: 4_312, total: summary(30), is_scanned: false }
    }

    fn affiliate_key(id: u64) -> ReportKey {
        ReportKey::Affiliate(AffiliateId::new(id).unwrap())
    }

    fn campaign_key(id: u64) -> ReportKey {
        ReportKey::Campaign(CampaignId::new(id).unwrap())
    }

    fn overview(query: ReportQuery, name: &str) -> Overview {
        let source = |clicks| Source { name: Some(name.to_owned()), clicks, human: clicks };
        Overview {
            figures: figures(query),
            by_affiliate: Top::new(query, Grouping::Affiliate, report(affiliate_key, name)),
            by_campaign: Top::new(query, Grouping::Campaign, report(campaign_key, name)),
            sources: Sources::new((90..100).map(source).collect(), 1_000, true, query),
            idle: affiliates(2, name),
        }
    }

    fn affiliates(count: u64, name: &str) -> Vec<Affiliate> {
        (1..=count).map(|id| affiliate(id, name)).collect()
    }

    fn form(query: ReportQuery, text: &str) -> PeriodForm {
        PeriodForm {
            path: "dashboard",
            presets: PresetLink::all(query, now(), true),
            from: text.to_owned(),
            to: text.to_owned(),
            time_zone: text.to_owned(),
            kept: vec![("affiliate_id", text.to_owned())],
            refusal: Some(Refusal::new(http::StatusCode::BAD_REQUEST, "invalid_parameter", text).parameter("from")),
        }
    }

    fn page(query: ReportQuery, name: &str) -> String {
        let (overview, form) = (overview(query, name), form(query, "2023-08-23"));
        let chooser = Chooser::new(affiliates(100, name), true, None, "");
        let page = OverviewPage {
            root: "../",
            public_url: "https://example.com/tracking",
            chooser: &chooser,
            form: &form,
            overview: Some(&overview),
        };
        page.render().unwrap()
    }

    #[test]
    fn all_that_a_browser_loads_for_the_overview_is_small() {
        let html = page(query(""), "An affiliate whose name is rather long");
        let names: Vec<&str> = html.split("../assets/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let assets: std::collections::BTreeSet<&str> = names.into_iter().collect();
        assert_eq!(assets.len(), 3, "{assets:?}");
        let loaded: usize = assets.iter().map(|name| asset(name).unwrap().bytes.len()).sum();
        assert!(html.len() + loaded < MAX_PAGE, "{} bytes of HTML, {loaded} of what it links to", html.len());
        assert_eq!(html.matches("<polyline").count(), 4, "all charts are there");
        assert!(html.contains("Without a chart: revenue in"), "{html}");
    }

    #[test]
    fn no_name_leaves_its_place() {
        let hostile = "\"><script>'&";
        let query = query("");
        let mut html = page(query, hostile);
        let marks = [Some(hostile.to_owned()), None];
        let row = |mark: &Option<String>| ReportRow {
            key: ReportKey::Mark(mark.clone()),
            name: None,
            figures: Summary { clicks: 1, ..Summary::default() },
        };
        let by_source = query.group_by("source".parse().unwrap());
        let scanned = Report {
            rows: marks.iter().map(row).collect(),
            row_count: 2,
            total: Summary { clicks: 2, ..Summary::default() },
            is_scanned: true,
        };
        for (query, report) in
            [(by_source, scanned), (query.group_by(Grouping::Affiliate), report(affiliate_key, hostile))]
        {
            let shown = Shown { report, charts: Some(figures(query)) };
            let page = ReportPage {
                root: "../",
                viewer: Viewer::Admin,
                query,
                form: &form(query, hostile),
                affiliate_id: hostile,
                campaign_id: hostile,
                affiliates: &affiliates(1, hostile),
                campaigns: &[],
                shown: Some(&shown),
            };
            html.push_str(&page.render().unwrap());
        }
        assert!(html.contains("counted by looking at each of 2 records"), "{html}");

        let form = form(query, hostile);
        let in_period =
            InPeriod { figures: figures(query), by_campaign: Top::failed(query, Grouping::Campaign, hostile.into()) };
        let (affiliate, summary) = (affiliates(1, hostile).remove(0), summary(1));
        let page = crate::pages::AffiliatePage {
            root: "../",
            public_url: "https://example.com/tracking",
            viewer: Viewer::Admin,
            chooser: None,
            form: &form,
            affiliate: &affiliate,
            summary: &summary,
            clicks: &[],
            conversions: &[],
            campaigns: &[],
            in_period: Some(&in_period),
        };
        html.push_str(&page.render().unwrap());

        assert!(!html.contains("<script>"), "{html}");
        assert!(html.matches("&#34;&#62;&#60;script&#62;&#39;&#38;").count() > 150, "{html}");
        assert!(!html.contains(" style="), "the policy of pages forbids it");
        let targets = ["href=\"", "src=\"", "action=\""].iter().flat_map(|attribute| html.split(attribute).skip(1));
        for target in targets {
            assert!(target.starts_with("../") || target.starts_with('#'), "{target}");
        }
    }

    #[test]
    fn links_keep_period_and_zone() {
        let query = query("period=yesterday&time_zone=Asia%2FKathmandu");
        let top = Top::new(query, Grouping::Affiliate, report(affiliate_key, "Ada"));
        assert_eq!(top.report, "period=yesterday&time_zone=Asia%2FKathmandu&group_by=affiliate");
        assert_eq!(top.rows[0].path, "dashboard?period=yesterday&time_zone=Asia%2FKathmandu&affiliate_id=1");
        let top = Top::new(query.affiliate(AffiliateId::new(1).ok()), Grouping::Campaign, report(campaign_key, "Shop"));
        assert_eq!(top.rows[0].path, "dashboard/campaigns/1?period=yesterday&time_zone=Asia%2FKathmandu");
        assert_eq!(
            Sources::new(Vec::new(), 0, false, query).report,
            "period=yesterday&time_zone=Asia%2FKathmandu&group_by=source"
        );
        let presets = PresetLink::all(query, now(), true);
        assert_eq!(presets[0].query, "period=today&time_zone=Asia%2FKathmandu");
        assert_eq!(presets.iter().filter(|preset| preset.is_current).count(), 1);
        let plain = ReportQuery::from_parameters(&Parameters::default(), TimeZone::UTC, now(), None).unwrap();
        assert_eq!(path(plain, &ReportKey::Mark(None)), None);
        assert_eq!(with_query("dashboard", &plain.to_query()), "dashboard");
    }
}
