//! Reports: what is asked, and what the answer looks like.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use thiserror::Error;

use crate::{
    AffiliateId, CampaignId, ClickDetails, Conversion, Currency, Limit, Name, ParseError, Period, Problem, Scope,
    StoreError, Summary, Timestamp,
};

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportRequest {
    /// When clicks and conversions were recorded that are in it.
    pub period: Period,
    /// What each of its rows is about.
    pub grouping: Grouping,
    /// Whose records are in it, and of which campaign.
    pub scope: Scope,
    /// In which order its rows are; `None` is [that of the grouping](Grouping::sort).
    pub sort: Option<Sort>,
    /// By whose sums rows are sorted; `None` is the first currency, by its code, in which there are any.
    pub currency: Option<Currency>,
    /// How many rows are wanted at the most.
    pub limit: Limit,
    /// How many rows are left out before them.
    pub offset: u64,
    /// The affiliate who asks; `None` is somebody to whom every affiliate's reports are of the same concern. This changes nothing
    /// about what is in the report: it is [scanned](Grouping::is_scanned) ones that affiliates must not keep others from.
    pub asked_by: Option<AffiliateId>,
}

impl ReportRequest {
    /// A report of everything in a period: the first hundred rows, in the order of the grouping.
    #[must_use]
    pub fn new(period: Period, grouping: Grouping) -> Self {
        let (scope, limit) = (Scope::ALL, Limit::default());
        Self { period, grouping, scope, sort: None, currency: None, limit, offset: 0, asked_by: None }
    }

    /// The same of these records only.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<Scope>) -> Self {
        self.scope = scope.into();
        self
    }

    /// The same in this order.
    #[must_use]
    pub const fn sort(mut self, sort: Sort) -> Self {
        self.sort = Some(sort);
        self
    }

    /// The same, sorted by sums in this currency.
    #[must_use]
    pub const fn currency(mut self, currency: Currency) -> Self {
        self.currency = Some(currency);
        self
    }

    /// The same with so many rows at the most.
    #[must_use]
    pub const fn limit(mut self, limit: Limit) -> Self {
        self.limit = limit;
        self
    }

    /// The same without so many of the first rows.
    #[must_use]
    pub const fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// The same, asked for by this affiliate.
    #[must_use]
    pub const fn asked_by(mut self, affiliate: AffiliateId) -> Self {
        self.asked_by = Some(affiliate);
        self
    }

    /// In which order its rows are.
    pub(crate) fn order(&self) -> Sort {
        self.sort.unwrap_or(self.grouping.sort())
    }
}

/// What each row of a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grouping {
    /// A day.
    Day,
    /// An hour.
    Hour,
    /// An affiliate.
    Affiliate,
    /// A campaign.
    Campaign,
    /// A mark of clicks or conversions. For these no counters are kept: the store looks at each record of the period that it
    /// still has, so that what has been [purged](crate::Store::purge_clicks) is missing.
    By(Attribute),
}

impl Grouping {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Day,
        Self::Hour,
        Self::Affiliate,
        Self::Campaign,
        Self::By(Attribute::Event),
        Self::By(Attribute::Source),
        Self::By(Attribute::Sub1),
        Self::By(Attribute::Sub2),
        Self::By(Attribute::Sub3),
        Self::By(Attribute::Sub4),
        Self::By(Attribute::Sub5),
    ];

    /// Its name in parameters and JSON: `day`, `source`, `sub1`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Affiliate => "affiliate",
            Self::Campaign => "campaign",
            Self::By(attribute) => attribute.as_str(),
        }
    }

    /// In which order its rows are if nothing else is said: days and hours one after the other, anything else by its
    /// conversions, those with the most first.
    #[must_use]
    pub const fn sort(self) -> Sort {
        match self {
            Self::Day | Self::Hour => Sort { by: SortBy::Key, order: Order::Ascending },
            _ => Sort { by: SortBy::Conversions, order: Order::Descending },
        }
    }

    /// Whether the store has to look at each record.
    #[must_use]
    pub const fn is_scanned(self) -> bool {
        matches!(self, Self::By(_))
    }
}

impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Grouping {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let expected = "one of day, hour, affiliate, campaign, event, source and sub1 to sub5";
        let found = Self::ALL.into_iter().find(|grouping| grouping.as_str() == text);
        found.ok_or(ParseError::new("a grouping", Problem::Form { expected }))
    }
}

/// A mark by which clicks and conversions can be told apart. But for the event, a conversion has that of its click.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// What happened: of conversions only.
    Event,
    /// Where the visitor came from, as the affiliate says.
    Source,
    /// The affiliate's first mark.
    Sub1,
    /// His second.
    Sub2,
    /// His third.
    Sub3,
    /// His fourth.
    Sub4,
    /// His fifth.
    Sub5,
}

impl Attribute {
    /// Its name in parameters and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Source => "source",
            Self::Sub1 => "sub1",
            Self::Sub2 => "sub2",
            Self::Sub3 => "sub3",
            Self::Sub4 => "sub4",
            Self::Sub5 => "sub5",
        }
    }

    /// What a click with these details has; `None` for an event, which no click has.
    #[must_use]
    pub fn of_click(self, details: &ClickDetails) -> Option<&str> {
        match self {
            Self::Event => None,
            Self::Source => details.source.as_ref().map(|source| source.as_str()),
            Self::Sub1 | Self::Sub2 | Self::Sub3 | Self::Sub4 | Self::Sub5 => {
                details.sub_ids.by_name(self.as_str()).map(|sub_id| sub_id.as_str())
            }
        }
    }

    /// What a conversion of a click with these details has.
    #[must_use]
    pub fn of_conversion<'a>(self, conversion: &'a Conversion, click: &'a ClickDetails) -> Option<&'a str> {
        match self {
            Self::Event => Some(conversion.event.as_str()),
            _ => self.of_click(click),
        }
    }
}

/// What a [`Store`](crate::Store) is to look at, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breakdown {
    /// By what records are told apart.
    pub by: Attribute,
    /// Which records are counted.
    pub scope: Scope,
    /// Those from this time on.
    pub from: Timestamp,
    /// Those before this time.
    pub to: Timestamp,
    /// How many groups there may be at the most.
    pub max_groups: usize,
    /// How long it may take. One of zero is over before the first record.
    pub time_limit: Duration,
}

/// An order of rows. Rows between which it finds no difference are in the order of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sort {
    /// By what rows are sorted.
    pub by: SortBy,
    /// Which of them come first.
    pub order: Order,
}

impl Sort {
    /// Whether sums of money make no difference to it.
    #[must_use]
    pub const fn is_by_counts(self) -> bool {
        !matches!(self.by, SortBy::Revenue | SortBy::Payout | SortBy::Profit | SortBy::Epc)
    }

    /// Puts rows in this order, by sums in this currency.
    fn sorted<R, K: Ord>(
        self,
        rows: Vec<R>,
        currency: Option<Currency>,
        parts: impl Fn(&R) -> (&K, &Summary),
    ) -> Vec<R> {
        let mut ranked: Vec<(Rank, R)> =
            rows.into_iter().map(|row| (Rank::of(parts(&row).1, self.by, currency), row)).collect();
        ranked.sort_by(|(rank, row), (other_rank, other)| {
            let (by_rank, by_key) = (rank.cmp(other_rank), parts(row).0.cmp(parts(other).0));
            match (self.by, self.order) {
                (SortBy::Key, Order::Descending) => by_key.reverse(),
                (_, Order::Descending) => by_rank.reverse().then(by_key),
                (_, Order::Ascending) => by_rank.then(by_key),
            }
        });
        ranked.into_iter().map(|(_, row)| row).collect()
    }
}

/// Which of many groups a [`Store`](crate::Store) is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranking {
    /// In which order they are: one that is [by counts](Sort::is_by_counts).
    pub sort: Sort,
    /// How many of the first ones are left out.
    pub offset: usize,
    /// How many of the next ones are wanted at the most.
    pub limit: usize,
    /// How many groups there may be in all.
    pub max_groups: usize,
}

impl Ranking {
    /// Those of these groups that are wanted, in their order. Their sums of money are not looked at.
    pub fn pick<K: Ord>(&self, groups: Vec<(K, Summary)>) -> Vec<(K, Summary)> {
        let sorted = self.sort.sorted(groups, None, |(key, figures)| (key, figures));
        sorted.into_iter().skip(self.offset).take(self.limit).collect()
    }
}

/// Some of many groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranked<K> {
    /// Those that were asked for, in their order.
    pub groups: Vec<(K, Summary)>,
    /// How many there are in all.
    pub count: usize,
    /// The sum of all.
    pub total: Summary,
}

impl<K: Ord> Ranked<K> {
    /// Those that are wanted of these.
    pub fn of(groups: Vec<(K, Summary)>, ranking: &Ranking) -> Self {
        let mut total = Summary::default();
        groups.iter().for_each(|(_, figures)| total.add(figures));
        Self { count: groups.len(), groups: ranking.pick(groups), total }
    }
}

/// Which rows come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Those with the least.
    Ascending,
    /// Those with the most.
    Descending,
}

/// By what rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortBy {
    /// What the row is about: a time, a number, a text.
    Key,
    /// Clicks.
    Clicks,
    /// Clicks of people.
    HumanClicks,
    /// The first clicks of people.
    UniqueClicks,
    /// Conversions that count.
    Conversions,
    /// Conversions per click.
    ConversionRate,
    /// What conversions are worth.
    Revenue,
    /// What affiliates get for them.
    Payout,
    /// What is left.
    Profit,
    /// What affiliates get per click.
    Epc,
}

impl SortBy {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Key,
        Self::Clicks,
        Self::HumanClicks,
        Self::UniqueClicks,
        Self::Conversions,
        Self::ConversionRate,
        Self::Revenue,
        Self::Payout,
        Self::Profit,
        Self::Epc,
    ];

    /// Its name in parameters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Clicks => "clicks",
            Self::HumanClicks => "human_clicks",
            Self::UniqueClicks => "unique_clicks",
            Self::Conversions => "conversions",
            Self::ConversionRate => "conversion_rate",
            Self::Revenue => "revenue",
            Self::Payout => "payout",
            Self::Profit => "profit",
            Self::Epc => "epc",
        }
    }
}

/// `clicks`, or `-clicks` where those with the most come first.
impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.order == Order::Descending { "-" } else { "" };
        write!(f, "{sign}{}", self.by.as_str())
    }
}

impl FromStr for Sort {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let expected = "one of key, clicks, human_clicks, unique_clicks, conversions, conversion_rate, revenue, payout, \
                        profit and epc, with a \"-\" in front for the most first";
        let (name, order) = match text.strip_prefix('-') {
            Some(name) => (name, Order::Descending),
            None => (text, Order::Ascending),
        };
        let by = SortBy::ALL.into_iter().find(|by| by.as_str() == name);
        let by = by.ok_or(ParseError::new("an order", Problem::Form { expected }))?;
        Ok(Self { by, order })
    }
}

/// What a report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Those rows that were asked for. Days and hours are all there; anything else is there if something was counted of it.
    pub rows: Vec<ReportRow>,
    /// How many rows there are in all.
    pub row_count: u64,
    /// The sum of all rows.
    pub total: Summary,
    /// Whether the store had to [look at each record](Grouping::is_scanned).
    pub is_scanned: bool,
}

/// What a report says of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// What it is about.
    pub key: ReportKey,
    /// The name of the affiliate or campaign that it is about.
    pub name: Option<Name>,
    /// What was counted.
    pub figures: Summary,
}

/// What a row of a report is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReportKey {
    /// This date in the period's zone.
    Day(NaiveDate),
    /// The hour that begins now.
    Hour(Timestamp),
    /// This affiliate.
    Affiliate(AffiliateId),
    /// This campaign.
    Campaign(CampaignId),
    /// What has this mark; `None` is what has none.
    Mark(Option<String>),
}

impl Report {
    /// Makes a report out of all its rows, in the order that is asked for, and leaves all of them in it.
    pub(crate) fn whole(request: &ReportRequest, rows: Vec<ReportRow>) -> Self {
        let mut total = Summary::default();
        rows.iter().for_each(|row| total.add(&row.figures));
        let sort = request.order();
        let currency = request.currency.or_else(|| {
            let (revenue, payout) = (total.revenue(), total.payout());
            revenue.iter().chain(payout.iter()).map(|(currency, _)| currency).min()
        });
        let rows = sort.sorted(rows, currency, |row| (&row.key, &row.figures));
        Self { row_count: rows.len() as u64, rows, total, is_scanned: request.grouping.is_scanned() }
    }

    /// Leaves those rows that are asked for.
    pub(crate) fn cut(mut self, request: &ReportRequest) -> Self {
        let skipped = usize::try_from(request.offset).unwrap_or(usize::MAX);
        self.rows = self.rows.into_iter().skip(skipped).take(request.limit.as_usize()).collect();
        self
    }
}

/// What a row is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Nothing,
    Count(u64),
    Share(Share),
    Sum(Decimal),
}

impl Rank {
    fn of(figures: &Summary, by: SortBy, currency: Option<Currency>) -> Self {
        let sum = |totals: crate::Totals| Self::Sum(currency.map_or(Decimal::ZERO, |currency| totals.of(currency)));
        match by {
            SortBy::Key => Self::Nothing,
            SortBy::Clicks => Self::Count(figures.clicks),
            SortBy::HumanClicks => Self::Count(figures.human_clicks),
            SortBy::UniqueClicks => Self::Count(figures.unique_clicks),
            SortBy::Conversions => Self::Count(figures.conversions()),
            SortBy::ConversionRate => Self::Share(Share { part: figures.conversions(), whole: figures.clicks }),
            SortBy::Revenue => sum(figures.revenue()),
            SortBy::Payout => sum(figures.payout()),
            SortBy::Profit => sum(figures.profit()),
            SortBy::Epc => sum(figures.epc()),
        }
    }
}

/// A fraction that is compared without being rounded. Of nothing it is nothing.
#[derive(Debug, Clone, Copy)]
struct Share {
    part: u64,
    whole: u64,
}

impl Ord for Share {
    fn cmp(&self, other: &Self) -> Ordering {
        let parts = |share: &Self| (if share.whole == 0 { 0 } else { share.part }, share.whole.max(1));
        let ((part, whole), (other_part, other_whole)) = (parts(self), parts(other));
        (u128::from(part) * u128::from(other_whole)).cmp(&(u128::from(other_part) * u128::from(whole)))
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Share {}

/// Why there is no report.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// There are too many hours in the period.
    #[error("a report by hour is of {max} days at the most; choose a shorter period, or group by day")]
    TooManyHours {
        /// How many days it may be of.
        max: u64,
    },
    /// For this grouping each record has to be looked at, and there are too many.
    #[error(
        "this grouping has to look at {records} records, and may look at {max}; choose a shorter period, an affiliate or a campaign"
    )]
    TooManyRecords {
        /// How many there are.
        records: u64,
        /// How many there may be.
        max: u64,
    },
    /// The report would have too many rows.
    #[error("the report has more than {max} rows; choose a shorter period, an affiliate or a campaign")]
    TooManyRows {
        /// How many there may be.
        max: usize,
    },
    /// To look at each record has taken too long.
    #[error("the report was given up after {} seconds; choose a shorter period, an affiliate or a campaign", .limit.as_secs())]
    TooSlow {
        /// How long it may take.
        limit: Duration,
    },
    /// Other reports that have to look at each record are being made. The same request may succeed later.
    #[error("other reports of this kind are being made; try again in a few seconds")]
    Busy,
    /// The store did not do it, or there is no such affiliate or campaign.
    #[error(transparent)]
    Store(#[from] StoreError),
}
