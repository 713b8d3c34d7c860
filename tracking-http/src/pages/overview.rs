use askama::Template;
use tracking_core::{Affiliate, Grouping, Report, ReportKey, ReportRow};

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
        ReportKey::Campaign(id) => Some((id.to_string(), format!("dashboard/campaigns/{id}"))),
        _ => None,
    }
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
        let grouping = Grouping::By(tracking_core::Attribute::Source);
        Self { rows, clicks, has_more, report: query.group_by(grouping).to_query() }
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
