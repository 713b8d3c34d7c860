//! Reports: as JSON those rows that are asked for, as CSV all of them.

use std::collections::BTreeSet;
use std::{io, iter};

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use tracking_core::{
    ConversionStatus, Currency, Grouping, Parameters, Report, ReportKey, ReportRequest, ReportRow, Summary, Totals,
    Tracker,
};

use crate::answer;
use crate::chunks::{Body, Chunks};
use crate::csv::{Lines, Row};
use crate::lists::Format;
use crate::refusal::Refusal;
use crate::report_query::ReportQuery;
use crate::wire::reports::{ReportData, local_text};

pub(crate) async fn show(
    tracker: &Tracker,
    wanted: &ReportQuery,
    parameters: &Parameters<'_>,
) -> Result<Response<Body>, Refusal> {
    let request = &wanted.request;
    match Format::wanted(parameters)? {
        Format::Json => Ok(answer::found(ReportData::new(request, tracker.report(request).await?))),
        Format::Csv => {
            Format::check_whole(parameters, &["limit", "offset"], "report")?;
            Ok(export(request, tracker.whole_report(request).await?))
        }
    }
}

/// How many rows are written at once.
const ROWS_AT_ONCE: usize = 1000;

fn export(request: &ReportRequest, report: Report) -> Response<Body> {
    let table = Table::new(request, &report.total);
    let (mut rows, mut is_first) = (report.rows.into_iter(), true);
    let parts = iter::from_fn(move || {
        let part: Vec<ReportRow> = rows.by_ref().take(ROWS_AT_ONCE).collect();
        let is_over = part.is_empty() && !is_first;
        let with_header = std::mem::take(&mut is_first);
        (!is_over).then(|| table.lines(&part, with_header))
    });
    let (grouping, period) = (request.grouping, request.period);
    let name = format!("report-by-{grouping}-{}-to-{}", period.first(), period.last());
    answer::csv(&name, Chunks::new(stream::iter(parts)))
}

/// A report as a table. A row is one line whatever currencies there are, so that a column can be summed up: each sum has as many
/// columns as there are currencies in the report.
struct Table {
    request: ReportRequest,
    currencies: Vec<Currency>,
}

impl Table {
    fn new(request: &ReportRequest, total: &Summary) -> Self {
        let sums = ConversionStatus::ALL.into_iter().flat_map(|status| {
            let tally = total.tally(status);
            tally.revenue.iter().chain(tally.payout.iter()).map(|(currency, _)| currency).collect::<Vec<_>>()
        });
        // The one that was asked for has its columns even if there is nothing in it.
        let currencies: BTreeSet<Currency> = sums.chain(request.currency).collect();
        Self { request: *request, currencies: currencies.into_iter().collect() }
    }

    fn lines(&self, rows: &[ReportRow], with_header: bool) -> io::Result<Bytes> {
        let mut lines = Lines::new();
        if with_header {
            lines.push(|row| self.header(row))?;
        }
        for counted in rows {
            lines.push(|row| {
                self.key(counted, row);
                self.figures(&counted.figures, row);
            })?;
        }
        lines.finish()
    }

    fn header(&self, row: &mut Row) {
        let key: &[&str] = match self.request.grouping {
            Grouping::Day => &["date"],
            Grouping::Hour => &["start", "local"],
            Grouping::Affiliate => &["affiliate_id", "name"],
            Grouping::Campaign => &["campaign_id", "name"],
            Grouping::By(_) => &["value"],
        };
        let counts = ["clicks", "human_clicks", "unique_clicks", "conversions", "conversion_rate"];
        key.iter().chain(&counts).for_each(|name| row.text(name));
        let mut sums =
            |name: &str| self.currencies.iter().for_each(|currency| row.text(format_args!("{name}_{currency}")));
        ["revenue", "payout", "profit", "epc"].into_iter().for_each(&mut sums);
        for status in ConversionStatus::ALL {
            row.text(format_args!("{status}_conversions"));
            for name in ["revenue", "payout"] {
                self.currencies.iter().for_each(|currency| row.text(format_args!("{status}_{name}_{currency}")));
            }
        }
    }

    fn key(&self, counted: &ReportRow, row: &mut Row) {
        match &counted.key {
            ReportKey::Day(date) => row.number(date),
            ReportKey::Hour(start) => {
                row.number(start);
                row.number(local_text(*start, self.request.period.zone()));
            }
            ReportKey::Affiliate(id) => {
                row.number(id);
                row.text_if_any(counted.name.as_ref());
            }
            ReportKey::Campaign(id) => {
                row.number(id);
                row.text_if_any(counted.name.as_ref());
            }
            ReportKey::Mark(value) => row.text_if_any(value.as_ref()),
        }
    }

    fn figures(&self, figures: &Summary, row: &mut Row) {
        for count in [figures.clicks, figures.human_clicks, figures.unique_clicks, figures.conversions()] {
            row.number(count);
        }
        row.number(figures.conversion_rate());
        for totals in [figures.revenue(), figures.payout(), figures.profit(), figures.epc()] {
            self.sums(&totals, row);
        }
        for status in ConversionStatus::ALL {
            let tally = figures.tally(status);
            row.number(tally.conversions);
            self.sums(&tally.revenue, row);
            self.sums(&tally.payout, row);
        }
    }

    fn sums(&self, totals: &Totals, row: &mut Row) {
        self.currencies.iter().for_each(|currency| row.number(totals.of(*currency)));
    }
}
