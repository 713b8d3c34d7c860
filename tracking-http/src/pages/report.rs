use askama::Template;
use tracking_core::{
    Affiliate, Attribute, Campaign, Currency, Grouping, Limit, Order, Report, ReportKey, ReportRow, Sort, SortBy,
};

use super::chart::Drawing;
use super::format::{Money, Percent};
use super::overview::{path, with_query};
use super::period::{PeriodFigures, PeriodForm, days};
use super::{assets, format, sums};
use crate::report_query::ReportQuery;
use crate::viewer::Viewer;

/// Reports, with the form by which they are asked for.
#[derive(Debug, Template)]
#[template(path = "report.html", whitespace = "minimize")]
pub(crate) struct ReportPage<'a> {
    /// The relative path from the page to the mount point, with a slash at its end. Every link starts so.
    pub(crate) root: &'a str,
    /// Who looks at it: an affiliate sees his own figures only.
    pub(crate) viewer: Viewer,
    /// What is asked for; if that is refused, what goes without saying.
    pub(crate) query: ReportQuery,
    /// The form, and what is wrong with it.
    pub(crate) form: &'a PeriodForm,
    /// What the form says.
    pub(crate) affiliate_id: &'a str,
    /// What the form says.
    pub(crate) campaign_id: &'a str,
    /// Whose ids are proposed.
    pub(crate) affiliates: &'a [Affiliate],
    /// Whose ids are proposed.
    pub(crate) campaigns: &'a [Campaign],
    /// The report; `None` if there is none.
    pub(crate) shown: Option<&'a Shown>,
}

/// A report that was made.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) report: Report,
    /// How it went on, if it is grouped by time.
    pub(crate) charts: Option<PeriodFigures>,
}

/// A column of the table.
#[derive(Debug, Clone, Copy)]
struct Column {
    name: &'static str,
    /// By what the table is sorted then.
    sort: Option<SortBy>,
}

const fn sorted(name: &'static str, by: SortBy) -> Column {
    Column { name, sort: Some(by) }
}

const COLUMNS: [Column; 11] = [
    sorted("Clicks", SortBy::Clicks),
    sorted("Human", SortBy::HumanClicks),
    sorted("Unique", SortBy::UniqueClicks),
    sorted("Conversions", SortBy::Conversions),
    Column { name: "Pending", sort: None },
    Column { name: "Rejected", sort: None },
    sorted("Rate", SortBy::ConversionRate),
    sorted("Revenue", SortBy::Revenue),
    sorted("Payout", SortBy::Payout),
    sorted("Profit", SortBy::Profit),
    sorted("EPC", SortBy::Epc),
];

impl ReportPage<'_> {
    /// The HTML document.
    pub(crate) fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }

    fn columns(&self) -> impl Iterator<Item = Column> {
        std::iter::once(sorted(grouping_name(self.query.request.grouping), SortBy::Key)).chain(COLUMNS)
    }

    fn sort(&self) -> Sort {
        self.query.request.sort.unwrap_or(self.query.request.grouping.sort())
    }

    /// `ascending` or `descending`, if it is sorted by this column.
    fn order(&self, column: &Column) -> Option<&'static str> {
        let sort = self.sort();
        (column.sort == Some(sort.by)).then(|| if sort.order == Order::Ascending { "ascending" } else { "descending" })
    }

    /// Where a click on the head of a column leads: to the most first, or to the other way round.
    fn sorted_by(&self, by: SortBy) -> String {
        let sort = self.sort();
        let order = match (sort.by == by, sort.order) {
            (true, Order::Ascending) => Order::Descending,
            (true, Order::Descending) => Order::Ascending,
            (false, _) if by == SortBy::Key => Order::Ascending,
            (false, _) => Order::Descending,
        };
        self.link(self.query.sort(Sort { by, order }))
    }

    /// The orders that the form offers, with their names.
    fn orders(&self) -> Vec<(String, String, bool)> {
        let chosen = self.query.request.sort;
        let mut offered: Vec<Sort> = vec![Sort { by: SortBy::Key, order: Order::Ascending }];
        offered.extend(SortBy::ALL.map(|by| Sort { by, order: Order::Descending }));
        offered.extend(chosen.filter(|chosen| !offered.contains(chosen)));
        let named = |sort: Sort| {
            let first = match (sort.by, sort.order) {
                (SortBy::Key, Order::Ascending) => "first to last",
                (SortBy::Key, Order::Descending) => "last to first",
                (_, Order::Ascending) => "least first",
                (_, Order::Descending) => "most first",
            };
            (sort.to_string(), format!("{}, {first}", sort_name(sort.by)), chosen == Some(sort))
        };
        offered.into_iter().map(named).collect()
    }

    /// The currencies of all sums, by which sums may be sorted.
    fn currencies(&self) -> Vec<Currency> {
        let Some(shown) = self.shown else { return self.query.request.currency.into_iter().collect() };
        let (revenue, payout) = (shown.report.total.revenue(), shown.report.total.payout());
        let mut found: Vec<Currency> = revenue.iter().chain(payout.iter()).map(|(currency, _)| currency).collect();
        found.extend(self.query.request.currency);
        found.sort_unstable_by_key(|currency| currency.code());
        found.dedup();
        found
    }

    fn groupings(&self) -> impl Iterator<Item = (Grouping, &'static str)> {
        Grouping::ALL.into_iter().map(|grouping| (grouping, grouping_name(grouping)))
    }

    fn link(&self, query: ReportQuery) -> String {
        with_query("dashboard/reports", &query.to_query())
    }

    /// The whole report, to be downloaded.
    fn csv(&self) -> String {
        let mut query = self.query.offset(0);
        query.request.limit = Limit::default();
        match query.to_query() {
            query if query.is_empty() => "reports?format=csv".to_owned(),
            query => format!("reports?{query}&format=csv"),
        }
    }

    /// From beyond the end that is the last page.
    fn newer(&self) -> Option<String> {
        let (offset, limit) = (self.query.request.offset, self.query.request.limit.as_usize() as u64);
        let rows = self.shown?.report.row_count;
        let before = if offset < rows { offset.saturating_sub(limit) } else { rows.saturating_sub(1) / limit * limit };
        (offset > 0).then(|| self.link(self.query.offset(before)))
    }

    fn older(&self) -> Option<String> {
        let shown = self.shown?;
        let next = self.query.request.offset.saturating_add(shown.report.rows.len() as u64);
        let is_there = !shown.report.rows.is_empty() && next < shown.report.row_count;
        is_there.then(|| self.link(self.query.offset(next)))
    }

    /// What is reported, for where the form is folded: `1 to 20 Nov 2026 in UTC, by source, of affiliate 7`. How it is sorted
    /// stands in the table.
    fn asked(&self) -> String {
        let request = &self.query.request;
        let (period, grouping) = (&request.period, request.grouping);
        let days = days(period.first(), period.last());
        let affiliate = request.scope.affiliate_id.filter(|_| !self.viewer.is_affiliate());
        let affiliate = affiliate.map(|id| format!(", of affiliate {id}")).unwrap_or_default();
        let campaign = request.scope.campaign_id.map(|id| format!(", of campaign {id}")).unwrap_or_default();
        format!("{days} in {}, by {}{affiliate}{campaign}", period.zone(), grouping_name(grouping).to_lowercase())
    }

    /// `1 to 100 of 4,312 rows`
    fn extent(&self) -> String {
        let Some(Shown { report, .. }) = self.shown else { return String::new() };
        let (first, count) = (self.query.request.offset, report.rows.len() as u64);
        let of = format::grouped(report.row_count);
        match report.row_count {
            1 if count == 1 => "1 row".to_owned(),
            1 => "None of 1 row".to_owned(),
            all if count == all => format!("{of} rows"),
            _ if count == 0 => format!("None of {of} rows"),
            _ => format!("{} to {} of {of} rows", format::grouped(first + 1), format::grouped(first + count)),
        }
    }

    /// How many records were looked at.
    fn records(&self) -> String {
        let total = self.shown.map(|shown| &shown.report.total);
        let records = total.map_or(0, |total| total.clicks + total.conversions() + total.rejected.conversions);
        format::grouped(records)
    }

    /// What a row is about, and where that leads.
    fn name(&self, row: &ReportRow) -> RowName {
        let zone = self.query.request.period.zone();
        let plain = |text: String| RowName { text, note: String::new(), path: None };
        match &row.key {
            ReportKey::Day(date) => plain(date.format("%a %-d %b %Y").to_string()),
            ReportKey::Hour(time) => {
                let local = zone.local(*time);
                let note = local.format("%:z").to_string();
                RowName { note, ..plain(local.format("%a %-d %b %Y %H:%M").to_string()) }
            }
            ReportKey::Mark(Some(mark)) => plain(mark.clone()),
            ReportKey::Mark(None) => RowName { note: "none".into(), ..plain(String::new()) },
            key => {
                let (note, path) = path(self.query, key).unzip();
                let text = row.name.as_ref().map(ToString::to_string).unwrap_or_default();
                // An affiliate's own page has no other name.
                RowName { text, note: note.unwrap_or_default(), path }
            }
        }
    }

    fn cells(&self, row: &ReportRow) -> Vec<Cell> {
        cells(&row.figures)
    }

    fn totals(&self, shown: &Shown) -> Vec<Cell> {
        cells(&shown.report.total)
    }

    /// Whether the field with this name is the one at fault.
    fn is_wrong(&self, name: &str) -> bool {
        self.form.is_wrong(name)
    }
}

/// What a row is about.
#[derive(Debug)]
struct RowName {
    text: String,
    note: String,
    path: Option<String>,
}

/// Numbers of one column.
#[derive(Debug)]
enum Cell {
    Count(String),
    Sums(Vec<Money>),
}

fn cells(figures: &tracking_core::Summary) -> Vec<Cell> {
    let count = |count| Cell::Count(format::grouped(count));
    let rate = Percent::of(figures.conversions(), figures.clicks);
    vec![
        count(figures.clicks),
        count(figures.human_clicks),
        count(figures.unique_clicks),
        count(figures.conversions()),
        count(figures.pending.conversions),
        count(figures.rejected.conversions),
        Cell::Count(rate.map_or_else(|| "—".to_owned(), |rate| rate.to_string())),
        Cell::Sums(sums(&figures.revenue())),
        Cell::Sums(sums(&figures.payout())),
        Cell::Sums(sums(&figures.profit())),
        Cell::Sums(sums(&figures.epc())),
    ]
}

const fn grouping_name(grouping: Grouping) -> &'static str {
    match grouping {
        Grouping::Day => "Day",
        Grouping::Hour => "Hour",
        Grouping::Affiliate => "Affiliate",
        Grouping::Campaign => "Campaign",
        Grouping::By(Attribute::Event) => "Event",
        Grouping::By(Attribute::Source) => "Source",
        Grouping::By(Attribute::Sub1) => "sub1",
        Grouping::By(Attribute::Sub2) => "sub2",
        Grouping::By(Attribute::Sub3) => "sub3",
        Grouping::By(Attribute::Sub4) => "sub4",
        Grouping::By(Attribute::Sub5) => "sub5",
    }
}

const fn sort_name(by: SortBy) -> &'static str {
    match by {
        SortBy::Key => "Group",
        SortBy::Clicks => "Clicks",
        SortBy::HumanClicks => "Human clicks",
        SortBy::UniqueClicks => "Unique clicks",
        SortBy::Conversions => "Conversions",
        SortBy::ConversionRate => "Conversion rate",
        SortBy::Revenue => "Revenue",
        SortBy::Payout => "Payout",
        SortBy::Profit => "Profit",
        SortBy::Epc => "EPC",
    }
}
