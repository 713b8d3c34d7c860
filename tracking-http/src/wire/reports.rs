use serde::Serialize;
use tracking_core::rust_decimal::Decimal;
use tracking_core::{
    AffiliateId, CampaignId, Currency, Name, Period, Report, ReportKey, ReportRequest, ReportRow, Summary, TimeZone,
    Timestamp, Totals,
};
use utoipa::ToSchema;

use crate::wire::read::exact_number;
use crate::wire::{Sum, SummaryByStatus, sums};

/// What was counted in a period.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportData {
    pub(crate) period: PeriodData,
    /// What each row is about.
    #[schema(example = "day")]
    pub(crate) group_by: &'static str,
    /// Whether each record had to be looked at, because there are no counters for this grouping. What was purged is missing then.
    pub(crate) scanned: bool,
    /// How many rows there are in all, of which `rows` may have a part.
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) row_count: u64,
    /// Of all rows, also of those that are not in `rows`.
    pub(crate) total: FiguresData,
    /// Days and hours are all there; anything else is there if something was counted of it.
    pub(crate) rows: Vec<ReportRowData>,
}

impl ReportData {
    pub(crate) fn new(request: &ReportRequest, report: Report) -> Self {
        let Report { rows, row_count, total, is_scanned: scanned } = report;
        let zone = request.period.zone();
        Self {
            period: request.period.into(),
            group_by: request.grouping.as_str(),
            scanned,
            row_count,
            total: (&total).into(),
            rows: rows.into_iter().map(|row| ReportRowData::new(row, zone)).collect(),
        }
    }
}

/// The days that a report is about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PeriodData {
    /// The first day.
    #[schema(format = Date, example = "2026-03-01")]
    pub(crate) from: String,
    /// The last day.
    #[schema(format = Date, example = "2026-03-31")]
    pub(crate) to: String,
    /// The zone whose days they are.
    #[schema(example = "Europe/Berlin")]
    pub(crate) time_zone: &'static str,
    /// When the first day begins.
    #[schema(value_type = String, format = DateTime, example = "2026-02-28T23:00:00.000Z")]
    pub(crate) start: Timestamp,
    /// When the last day is over.
    #[schema(value_type = String, format = DateTime, example = "2026-03-31T22:00:00.000Z")]
    pub(crate) end: Timestamp,
}

impl From<Period> for PeriodData {
    fn from(period: Period) -> Self {
        Self {
            from: period.first().to_string(),
            to: period.last().to_string(),
            time_zone: period.zone().name(),
            start: period.start(),
            end: period.end(),
        }
    }
}

/// What was counted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FiguresData {
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) clicks: u64,
    /// Those that are taken for a person's.
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) human_clicks: u64,
    /// Those of them that are the first of a person for a campaign in 24 hours.
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) unique_clicks: u64,
    /// Those that are pending or approved.
    #[schema(value_type = i64, minimum = 0)]
    pub(crate) conversions: u64,
    /// Conversions per click, 0.25 for one in four; 0 if there are no clicks.
    #[schema(minimum = 0)]
    pub(crate) conversion_rate: f64,
    /// What these conversions are worth: one sum per currency, in the order of the codes.
    pub(crate) revenue: Vec<Sum>,
    /// What affiliates get for them.
    pub(crate) payout: Vec<Sum>,
    /// What is left.
    pub(crate) profit: Vec<Balance>,
    /// What affiliates get per click, rounded to six fractional digits.
    pub(crate) epc: Vec<Sum>,
    pub(crate) by_status: SummaryByStatus,
}

impl From<&Summary> for FiguresData {
    fn from(figures: &Summary) -> Self {
        Self {
            clicks: figures.clicks,
            human_clicks: figures.human_clicks,
            unique_clicks: figures.unique_clicks,
            conversions: figures.conversions(),
            conversion_rate: figures.conversion_rate(),
            revenue: sums(&figures.revenue()),
            payout: sums(&figures.payout()),
            profit: balances(&figures.profit()),
            epc: sums(&figures.epc()),
            by_status: figures.into(),
        }
    }
}

fn balances(totals: &Totals) -> Vec<Balance> {
    totals.iter().map(|(currency, amount)| Balance { currency, amount }).collect()
}

/// An exact sum in one currency, which may be negative.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Balance {
    /// ISO 4217.
    #[schema(value_type = String, example = "USD", min_length = 3, max_length = 3)]
    pub(crate) currency: Currency,
    #[serde(serialize_with = "exact_number")]
    #[schema(value_type = f64, example = 87.5)]
    pub(crate) amount: Decimal,
}

/// What was counted of one thing, which is told by those of the first fields that the grouping has.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportRowData {
    /// The day, by `day`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Date, example = "2026-03-01")]
    pub(crate) date: Option<String>,
    /// When the hour begins, by `hour`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = DateTime, example = "2026-03-01T13:00:00.000Z")]
    pub(crate) start: Option<Timestamp>,
    /// The same as clocks in the zone show it, with their distance to UTC, by `hour`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime, example = "2026-03-01T14:00:00+01:00")]
    pub(crate) local: Option<String>,
    /// By `affiliate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>, nullable = false, example = 1, minimum = 1)]
    pub(crate) affiliate_id: Option<AffiliateId>,
    /// By `campaign`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>, nullable = false, example = 10, minimum = 1)]
    pub(crate) campaign_id: Option<CampaignId>,
    /// That of the affiliate or campaign.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "Ada's reviews")]
    pub(crate) name: Option<Name>,
    /// The event, source or sub id, by one of these; null where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, required = false, example = "newsletter")]
    pub(crate) value: Option<Option<String>>,
    #[serde(flatten)]
    pub(crate) figures: FiguresData,
}

impl ReportRowData {
    fn new(row: ReportRow, zone: TimeZone) -> Self {
        let ReportRow { key, name, figures } = row;
        let (mut date, mut start, mut local, mut affiliate_id, mut campaign_id, mut value) =
            (None, None, None, None, None, None);
        match key {
            ReportKey::Day(day) => date = Some(day.to_string()),
            ReportKey::Hour(hour) => (start, local) = (Some(hour), Some(local_text(hour, zone))),
            ReportKey::Affiliate(id) => affiliate_id = Some(id),
            ReportKey::Campaign(id) => campaign_id = Some(id),
            ReportKey::Mark(mark) => value = Some(mark),
        }
        Self { date, start, local, affiliate_id, campaign_id, name, value, figures: (&figures).into() }
    }
}

/// What calendars and clocks in the zone show, such as `2026-03-01T14:00:00+01:00`.
pub(crate) fn local_text(time: Timestamp, zone: TimeZone) -> String {
    zone.local(time).to_rfc3339()
}
