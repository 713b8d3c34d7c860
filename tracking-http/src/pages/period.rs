//! The figures of a period: totals, how they compare with the period before, and charts.

use tracking_core::chrono::{Datelike, NaiveDate, NaiveTime, Weekday};
use tracking_core::rust_decimal::Decimal;
use tracking_core::{Currency, Period, Preset, ReportKey, ReportRow, Summary, Timestamp, Totals};

use super::chart::{Chart, Point, Unit, sum};
use super::format::{self, Money, Percent};
use crate::refusal::Refusal;
use crate::report_query::ReportQuery;

/// How many days have a bar each; of more there is one for each week, and of more than two years one for each month.
const DAYS: usize = 45;
const DAYS_BY_WEEK: usize = 731;

/// In how many currencies revenue has a chart of its own.
const CHARTS_OF_MONEY: usize = 2;

/// What was counted in a period.
#[derive(Debug)]
pub(crate) struct PeriodFigures {
    /// The days.
    pub(crate) period: Period,
    /// As many days before, if there are that many.
    pub(crate) before: Option<Period>,
    /// Whether the period is not over: then what is compared is as much of those days.
    pub(crate) is_under_way: bool,
    /// What was counted in all.
    pub(crate) totals: Vec<Total>,
    /// How it went on.
    pub(crate) charts: Vec<Chart>,
    /// In which currencies there is revenue that has no chart.
    pub(crate) others: Vec<Currency>,
}

impl PeriodFigures {
    /// What is told of these rows, days or hours of the period, and of those of the period before, in order.
    pub(crate) fn new(
        period: Period,
        rows: &[ReportRow],
        total: &Summary,
        before: Option<(Period, &[ReportRow], &Summary)>,
    ) -> Self {
        let steps = Steps::of(&period, rows);
        let rows_before = before.map(|(before, rows, _)| steps.pair(&before, rows));
        let (shown, others) = largest(&total.revenue());
        let chart = |id: String, name: &str, unit, value: &dyn Fn(&Summary) -> Decimal| Chart {
            id,
            name: name.to_owned(),
            step: steps.name,
            unit,
            before: before_in_words(&period),
            points: steps.points(rows, rows_before.as_deref(), value),
        };
        let mut charts = vec![
            chart("chart-clicks".into(), "Clicks", Unit::Count, &|figures| figures.clicks.into()),
            chart("chart-conversions".into(), "Conversions", Unit::Count, &|figures| figures.conversions().into()),
        ];
        charts.extend(shown.into_iter().map(|currency| {
            let id = format!("chart-revenue-{}", currency.code().to_ascii_lowercase());
            chart(id, "Revenue", Unit::Money(currency), &|figures| figures.revenue().of(currency))
        }));
        let totals = totals(total, before.map(|(_, _, total)| total));
        let before = before.map(|(period, _, _)| period);
        Self { period, before, is_under_way: false, totals, charts, others }
    }

    pub(super) fn days(&self) -> String {
        days(self.period.first(), self.period.last())
    }

    pub(super) fn days_before(&self) -> Option<String> {
        self.before.map(|before| days(before.first(), before.last()))
    }

    pub(super) fn before_in_words(&self) -> String {
        before_in_words(&self.period)
    }

    /// Whether a sum needs the whole width of a phone.
    pub(super) fn has_long_sums(&self) -> bool {
        let is_long = |value: &Value| value.currency.is_some() && value.text.len() > 9;
        self.totals.iter().any(|total| total.values.len() > 1 || total.values.iter().any(is_long))
    }
}

/// `30 days before`
fn before_in_words(period: &Period) -> String {
    match period.days() {
        1 => "day before".to_owned(),
        days => format!("{} days before", format::grouped(days)),
    }
}

/// The currencies with the greatest sums, and all others.
fn largest(totals: &Totals) -> (Vec<Currency>, Vec<Currency>) {
    let mut sums: Vec<(Currency, Decimal)> = totals.iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(*sum));
    let mut shown: Vec<Currency> = sums.into_iter().map(|(currency, _)| currency).collect();
    let others = shown.split_off(CHARTS_OF_MONEY.min(shown.len()));
    (shown, others)
}

/// A figure, and how it compares.
#[derive(Debug)]
pub(crate) struct Total {
    pub(super) name: &'static str,
    /// By what tests find it.
    pub(super) test: &'static str,
    /// One for each currency, if it is money.
    pub(super) values: Vec<Value>,
    /// What it is made of.
    pub(super) note: Option<String>,
}

impl Total {
    pub(super) fn is_money(&self) -> bool {
        matches!(self.test, "revenue" | "payout" | "profit")
    }
}

#[derive(Debug)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) currency: Option<Currency>,
    pub(super) change: Option<Change>,
}

/// How much a figure is more or less than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// The sign, and the difference: `+12.5%`. Empty if there is no telling.
    pub(super) difference: String,
    /// `more than 1,203 before`
    pub(super) words: String,
}

fn totals(now: &Summary, before: Option<&Summary>) -> Vec<Total> {
    let count = |name, test, of: fn(&Summary) -> u64, note| Total {
        name,
        test,
        values: vec![Value {
            text: format::grouped(of(now)),
            currency: None,
            change: before.and_then(|before| {
                let (now, before) = (of(now), of(before));
                Change::between(now.into(), before.into(), format::grouped(before))
            }),
        }],
        note,
    };
    let money = |name, test, of: fn(&Summary) -> Totals| {
        let (now, before) = (of(now), before.map(of));
        let none = Totals::default();
        let then = before.as_ref().unwrap_or(&none);
        let mut currencies: Vec<Currency> = now.iter().chain(then.iter()).map(|(currency, _)| currency).collect();
        currencies.sort_unstable_by_key(|currency| currency.code());
        currencies.dedup();
        let values = currencies.into_iter().map(|currency| {
            let (now, then) = (now.of(currency), then.of(currency));
            let change = before.is_some().then(|| Change::between(now, then, Money::new(then, currency).amount));
            Value { text: Money::new(now, currency).amount, currency: Some(currency), change: change.flatten() }
        });
        Total { name, test, values: values.collect(), note: None }
    };
    let tallies = [(&now.pending, "pending"), (&now.approved, "approved"), (&now.rejected, "rejected")];
    let recorded: u64 = tallies.iter().map(|(tally, _)| tally.conversions).sum();
    let statuses = tallies.map(|(tally, status)| format!("{} {status}", format::grouped(tally.conversions)));
    let kinds = || {
        let (human, unique) = (format::grouped(now.human_clicks), format::grouped(now.unique_clicks));
        format!("{human} human · {unique} unique")
    };
    vec![
        count("Clicks", "clicks", |figures| figures.clicks, (now.clicks > 0).then(kinds)),
        count("Conversions", "conversions", Summary::conversions, (recorded > 0).then(|| statuses.join(" · "))),
        rate(now, before),
        money("EPC", "epc", Summary::epc),
        money("Revenue", "revenue", Summary::revenue),
        money("Payout", "payout", Summary::payout),
        money("Profit", "profit", Summary::profit),
    ]
}

fn rate(now: &Summary, before: Option<&Summary>) -> Total {
    let of = |figures: &Summary| Percent::of(figures.conversions(), figures.clicks);
    let change = of(now).zip(before.and_then(of)).map(|(now, before)| Change::of_rates(now, before));
    let values = of(now).map(|rate| Value { text: rate.to_string(), currency: None, change });
    Total { name: "Conversion rate", test: "rate", values: values.into_iter().collect(), note: None }
}

impl Change {
    /// `printed` is what was before, as people read it. `None` if there was and is nothing.
    fn between(now: Decimal, before: Decimal, printed: String) -> Option<Self> {
        if now == before {
            let is_nothing = now.is_zero();
            return (!is_nothing).then(|| Self { difference: String::new(), words: "the same as before".into() });
        }
        if before.is_zero() {
            return Some(Self { difference: String::new(), words: "none before".into() });
        }
        let difference = now.checked_sub(before).and_then(|more| more.checked_div(before.abs()));
        let percent = difference.and_then(|share| share.checked_mul(Decimal::ONE_HUNDRED));
        let difference = percent.map(|percent| format!("{}%", signed(percent, 1))).unwrap_or_default();
        let words = if now > before { "more than" } else { "less than" };
        Some(Self { difference, words: format!("{words} {printed} before") })
    }

    /// A rate is in percent already: what it is more or less is told in points of these.
    fn of_rates(now: Percent, before: Percent) -> Self {
        let points = Decimal::from(now.hundredths()) - Decimal::from(before.hundredths());
        if points.is_zero() {
            return Self { difference: String::new(), words: "the same as before".into() };
        }
        let words = if points > Decimal::ZERO { "more than" } else { "less than" };
        let points = signed(points / Decimal::ONE_HUNDRED, 2);
        Self { difference: format!("{points} points,"), words: format!("{words} {before} before") }
    }
}

/// With its sign, a comma between thousands, and so many decimals at the most. It is not zero.
fn signed(value: Decimal, decimals: u32) -> String {
    let sign = if value > Decimal::ZERO { '+' } else { '−' };
    let rounded = value.abs().round_dp(decimals);
    if rounded.is_zero() {
        return format!("{sign}<{}", Decimal::new(1, decimals));
    }
    format!("{sign}{}", format::grouped_decimal(rounded))
}

/// What a bar stands for: some rows on end.
struct Steps {
    name: &'static str,
    steps: Vec<Step>,
    /// What clocks show when each of them begins, if they are hours.
    clocks: Vec<ClockTime>,
}

struct Step {
    rows: std::ops::Range<usize>,
    short: String,
    long: String,
}

impl Steps {
    fn of(period: &Period, rows: &[ReportRow]) -> Self {
        let by_day = rows.iter().filter_map(|row| if let ReportKey::Day(date) = row.key { Some(date) } else { None });
        let dates: Vec<NaiveDate> = by_day.collect();
        if dates.is_empty() {
            return Self { name: "hour", steps: hours(period, rows), clocks: clocks(period, rows) };
        }
        let (name, begins): (_, fn(NaiveDate) -> bool) = match dates.len() {
            days if days <= DAYS => ("day", |_| true),
            days if days <= DAYS_BY_WEEK => ("week", |date| date.weekday() == Weekday::Mon),
            _ => ("month", |date| date.day() == 1),
        };
        let starts = dates.iter().enumerate().filter(|(index, date)| *index == 0 || begins(**date));
        let mut starts: Vec<usize> = starts.map(|(index, _)| index).collect();
        starts.push(dates.len());
        let steps = starts.windows(2).map(|of| {
            let (first, last) = (dates[of[0]], dates[of[1] - 1]);
            let (short, long) = match name {
                "month" => (first.format("%b %Y").to_string(), days(first, last)),
                _ => (first.format("%-d %b").to_string(), days(first, last)),
            };
            Step { rows: of[0]..of[1], short, long }
        });
        Self { name, steps: steps.collect(), clocks: Vec::new() }
    }

    fn points(
        &self,
        rows: &[ReportRow],
        before: Option<&[Paired<'_>]>,
        of: &dyn Fn(&Summary) -> Decimal,
    ) -> Vec<Point> {
        // There is none of an hour that clocks did not show then.
        let mut befores: Vec<Option<Decimal>> = vec![None; self.steps.len()];
        for Paired { step, row } in before.into_iter().flatten() {
            if let Some(before) = befores.get_mut(*step) {
                *before = Some(sum([before.unwrap_or_default(), of(&row.figures)].into_iter()));
            }
        }
        let points = self.steps.iter().zip(befores).map(|(step, before)| {
            let value = sum(rows[step.rows.clone()].iter().map(|row| of(&row.figures)));
            Point { short: step.short.clone(), long: step.long.clone(), value, before }
        });
        points.collect()
    }

    /// Which step each row of `period`, the one before, is compared with: days by their place in the period, hours by what clocks
    /// show. No row is lost: what clocks don't show in this period belongs to the hour before it.
    fn pair<'a>(&self, period: &Period, rows: &'a [ReportRow]) -> Vec<Paired<'a>> {
        let then = clocks(period, rows);
        let paired = rows.iter().enumerate().map(|(index, row)| {
            let step = match then.get(index) {
                Some(then) => {
                    let earlier = self.clocks.iter().enumerate().filter(|(_, now)| *now <= then);
                    earlier.max_by_key(|(_, now)| **now).map_or(0, |(step, _)| step)
                }
                None => self.steps.iter().position(|step| step.rows.contains(&index)).unwrap_or_default(),
            };
            Paired { step, row }
        });
        paired.collect()
    }
}

/// A row of the period before, and the step that it is compared with.
#[derive(Clone, Copy)]
struct Paired<'a> {
    step: usize,
    row: &'a ReportRow,
}

/// What clocks show when an hour begins: on which day of the period, at what time, and for which time on that day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ClockTime {
    day: i64,
    time: NaiveTime,
    repeat: usize,
}

/// What clocks show when each of these hours of a period begins; nothing if the rows are no hours.
fn clocks(period: &Period, rows: &[ReportRow]) -> Vec<ClockTime> {
    let mut clocks: Vec<ClockTime> = Vec::new();
    for row in rows {
        let ReportKey::Hour(start) = row.key else { continue };
        let local = period.zone().local(start);
        let (day, time) = ((local.date_naive() - period.first()).num_days(), local.time());
        let repeat = clocks.iter().filter(|earlier| (earlier.day, earlier.time) == (day, time)).count();
        clocks.push(ClockTime { day, time, repeat });
    }
    clocks
}

fn hours(period: &Period, rows: &[ReportRow]) -> Vec<Step> {
    let hours = rows.iter().enumerate().filter_map(|(index, row)| {
        let ReportKey::Hour(time) = row.key else { return None };
        let local = period.zone().local(time);
        let (short, long) = (local.format("%H:%M").to_string(), local.format("%-d %b %Y %H:%M").to_string());
        Some(Step { rows: index..index + 1, short, long })
    });
    hours.collect()
}

/// `3 Aug 2023`, `3 to 9 Aug 2023`, `28 Jul to 3 Aug 2023`
pub(super) fn days(first: NaiveDate, last: NaiveDate) -> String {
    let whole = last.format("%-d %b %Y");
    if first == last {
        return whole.to_string();
    }
    let pattern = match (first.year() == last.year(), first.month() == last.month()) {
        (true, true) => "%-d",
        (true, false) => "%-d %b",
        _ => "%-d %b %Y",
    };
    format!("{} to {whole}", first.format(pattern))
}

/// The form by which a period is chosen, and the ways to usual ones.
#[derive(Debug)]
pub(crate) struct PeriodForm {
    /// Where it leads, below the mount point.
    pub(crate) path: &'static str,
    /// The periods that have a name.
    pub(crate) presets: Vec<PresetLink>,
    /// The first day.
    pub(crate) from: String,
    /// The last day.
    pub(crate) to: String,
    /// The zone whose days they are.
    pub(crate) time_zone: String,
    /// What else the URL says.
    pub(crate) kept: Vec<(&'static str, String)>,
    /// What is wrong with it.
    pub(crate) refusal: Option<Refusal>,
}

/// The way to a period that has a name.
#[derive(Debug)]
pub(crate) struct PresetLink {
    pub(super) name: &'static str,
    pub(super) query: String,
    pub(super) is_current: bool,
}

impl PresetLink {
    /// All of them, with all else as in this query, whose own is the current one if it is shown.
    pub(crate) fn all(query: ReportQuery, now: Timestamp, is_shown: bool) -> Vec<Self> {
        let link = |preset| Self {
            name: preset_name(preset),
            query: query.preset(preset, now).to_query(),
            is_current: is_shown && query.preset == Some(preset),
        };
        Preset::ALL.into_iter().map(link).collect()
    }
}

const fn preset_name(preset: Preset) -> &'static str {
    match preset {
        Preset::Today => "Today",
        Preset::Yesterday => "Yesterday",
        Preset::Last7Days => "7 days",
        Preset::Last30Days => "30 days",
        Preset::Last90Days => "90 days",
        Preset::ThisMonth => "This month",
        Preset::LastMonth => "Last month",
        Preset::ThisYear => "This year",
        Preset::LastYear => "Last year",
    }
}

impl PeriodForm {
    /// Whether the field with this name is the one at fault.
    pub(super) fn is_wrong(&self, name: &str) -> bool {
        self.refusal.as_ref().is_some_and(|refusal| refusal.parameter == Some(name))
    }
}

/// Zones to choose from: one for most of the clocks that people have. Any other can be typed in.
pub(super) const ZONES: [&str; 37] = [
    "UTC",
    "Pacific/Honolulu",
    "America/Anchorage",
    "America/Los_Angeles",
    "America/Denver",
    "America/Phoenix",
    "America/Chicago",
    "America/Mexico_City",
    "America/New_York",
    "America/Bogota",
    "America/Halifax",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Argentina/Buenos_Aires",
    "Atlantic/Azores",
    "Europe/London",
    "Africa/Lagos",
    "Europe/Berlin",
    "Europe/Paris",
    "Europe/Madrid",
    "Europe/Athens",
    "Europe/Kyiv",
    "Africa/Cairo",
    "Africa/Johannesburg",
    "Europe/Istanbul",
    "Africa/Nairobi",
    "Asia/Dubai",
    "Asia/Karachi",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Dhaka",
    "Asia/Bangkok",
    "Asia/Shanghai",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Pacific/Auckland",
];

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use tracking_core::TimeZone;

    use super::*;

    fn change(now: &str, before: &str) -> Option<String> {
        let change = Change::between(now.parse().unwrap(), before.parse().unwrap(), before.to_owned())?;
        Some(format!("{} {}", change.difference, change.words).trim().to_owned())
    }

    #[test]
    fn a_change_is_told_by_sign_and_in_words() {
        for (now, before, expected) in [
            ("0", "0", None),
            ("5", "5", Some("the same as before")),
            ("5", "0", Some("none before")),
            ("0", "5", Some("−100% less than 5 before")),
            ("9", "8", Some("+12.5% more than 8 before")),
            ("2", "3", Some("−33.3% less than 3 before")),
            ("100001", "100000", Some("+<0.1% more than 100000 before")),
            ("123456", "1", Some("+12,345,500% more than 1 before")),
            // A loss became smaller, and a profit.
            ("-5", "-10", Some("+50% more than -10 before")),
            ("10", "-10", Some("+200% more than -10 before")),
            // There is no telling how many percent.
            ("79228162514264337593543950335", "0.000001", Some("more than 0.000001 before")),
        ] {
            assert_eq!(change(now, before).as_deref(), expected, "{now} after {before}");
        }
    }

    #[test]
    fn a_rate_changes_by_points() {
        let rate = |part, whole| Percent::of(part, whole).unwrap();
        let change = Change::of_rates(rate(5, 100), rate(1, 40));
        assert_eq!((change.difference.as_str(), change.words.as_str()), ("+2.5 points,", "more than 2.5% before"));
        let change = Change::of_rates(rate(0, 100), rate(1, 40));
        assert_eq!((change.difference.as_str(), change.words.as_str()), ("−2.5 points,", "less than 2.5% before"));
        assert_eq!(Change::of_rates(rate(1, 4), rate(2, 8)).words, "the same as before");
    }

    #[test]
    fn days_are_named_without_saying_anything_twice() {
        let named = |first: &str, last: &str| days(first.parse().unwrap(), last.parse().unwrap());
        assert_eq!(named("2023-08-03", "2023-08-03"), "3 Aug 2023");
        assert_eq!(named("2023-08-03", "2023-08-09"), "3 to 9 Aug 2023");
        assert_eq!(named("2023-07-28", "2023-08-03"), "28 Jul to 3 Aug 2023");
        assert_eq!(named("2022-08-03", "2023-08-03"), "3 Aug 2022 to 3 Aug 2023");
    }

    fn figures(first: &str, last: &str) -> PeriodFigures {
        let period = Period::new(first.parse().unwrap(), last.parse().unwrap(), TimeZone::UTC).unwrap();
        let rows: Vec<ReportRow> = period
            .dates()
            .map(|date| ReportRow {
                key: ReportKey::Day(date),
                name: None,
                figures: Summary { clicks: 1, ..Summary::default() },
            })
            .collect();
        let total = Summary { clicks: rows.len() as u64, ..Summary::default() };
        PeriodFigures::new(period, &rows, &total, period.before().map(|before| (before, &*rows, &total)))
    }

    #[test]
    fn many_days_are_weeks_and_months_of_which_none_is_lost() {
        for (first, last, step, steps, named) in [
            ("2023-08-01", "2023-08-01", "day", 1, "1 Aug 2023"),
            ("2023-08-01", "2023-09-14", "day", 45, "1 Aug 2023"),
            // A Tuesday: the first week has six days.
            ("2023-08-01", "2023-09-15", "week", 7, "1 to 6 Aug 2023"),
            ("2021-01-15", "2023-08-10", "month", 32, "15 to 31 Jan 2021"),
        ] {
            let figures = figures(first, last);
            let clicks = &figures.charts[0];
            assert_eq!((clicks.step, clicks.points.len()), (step, steps), "{first} to {last}");
            assert_eq!(clicks.points[0].long, named);
            assert_eq!(clicks.sum(), figures.totals[0].values[0].text);
            assert_eq!(clicks.sum_before(), Some(clicks.sum()));
        }
    }

    /// What is drawn of a day by hour, each with as many clicks as its number in the day, and of the day before.
    fn hours_of(date: &str, zone: &str) -> Vec<(String, u64, Option<u64>)> {
        let date: NaiveDate = date.parse().unwrap();
        let period = Period::new(date, date, zone.parse().unwrap()).unwrap();
        let before = period.before().unwrap();
        let rows = |period: &Period| -> Vec<ReportRow> {
            let row = |(clicks, start): (usize, Timestamp)| ReportRow {
                key: ReportKey::Hour(start),
                name: None,
                figures: Summary { clicks: clicks as u64, ..Summary::default() },
            };
            period.hours().into_iter().enumerate().map(row).collect()
        };
        let (now, then, total) = (rows(&period), rows(&before), Summary::default());
        let chart = PeriodFigures::new(period, &now, &total, Some((before, &then, &total))).charts.remove(0);
        let all: u64 = then.iter().map(|row| row.figures.clicks).sum();
        assert_eq!(chart.sum_before(), Some(format::grouped(all)), "nothing of the day before is lost");
        let number = |value: Decimal| value.to_string().parse().unwrap();
        let points = chart.points.into_iter();
        points.map(|point| (point.short, number(point.value), point.before.map(number))).collect()
    }

    #[test]
    fn hours_are_compared_with_what_clocks_showed_the_same() {
        let hour = |short: &str, now, before| (short.to_owned(), now, before);
        // 2:00 is left out, and what was counted at 2:00 the day before stands beside 1:00.
        let points = hours_of("2023-03-26", "Europe/Berlin");
        assert_eq!(points[1..4], [hour("01:00", 1, Some(1 + 2)), hour("03:00", 2, Some(3)), hour("04:00", 3, Some(4))]);
        assert_eq!(points.last(), Some(&hour("23:00", 22, Some(23))));
        // The day after it has an hour more than the day before.
        let points = hours_of("2023-03-27", "Europe/Berlin");
        assert_eq!(points[1..4], [hour("01:00", 1, Some(1)), hour("02:00", 2, None), hour("03:00", 3, Some(2))]);
        assert_eq!(points.last(), Some(&hour("23:00", 23, Some(22))));
        // 2:00 comes twice.
        let points = hours_of("2023-10-29", "Europe/Berlin");
        assert_eq!(points[2..5], [hour("02:00", 2, Some(2)), hour("02:00", 3, None), hour("03:00", 4, Some(3))]);
        assert_eq!(points.last(), Some(&hour("23:00", 24, Some(23))));
        let points = hours_of("2023-10-30", "Europe/Berlin");
        assert_eq!(points[2..4], [hour("02:00", 2, Some(2 + 3)), hour("03:00", 3, Some(4))]);
        assert_eq!(points.last(), Some(&hour("23:00", 23, Some(24))));
        // Clocks are put forward by half an hour, at 2:00: the hour from 1:00 on is longer.
        let points = hours_of("2023-10-01", "Australia/Lord_Howe");
        assert_eq!(points[1..3], [hour("01:00", 1, Some(1 + 2)), hour("03:00", 2, Some(3))]);
        // They are put forward by an hour, at midnight: the day begins at 1:00, and what was counted before that stands there.
        let points = hours_of("2023-04-28", "Africa/Cairo");
        assert_eq!(points[..2], [hour("01:00", 0, Some(1)), hour("02:00", 1, Some(2))]);
        assert_eq!(hours_of("2023-08-23", "UTC").len(), 24);
    }

    #[test]
    fn revenue_has_a_chart_for_each_of_the_largest_currencies() {
        let mut total = Summary::default();
        for (currency, sum) in [("USD", 5), ("EUR", 7), ("JPY", 900), ("CHF", 6)] {
            total.approved.revenue.add_sum(sum.into(), currency.parse().unwrap());
        }
        let date: NaiveDate = "2023-08-01".parse().unwrap();
        let period = Period::new(date, date, TimeZone::UTC).unwrap();
        let rows = [ReportRow { key: ReportKey::Day(date), name: None, figures: total.clone() }];
        let figures = PeriodFigures::new(period, &rows, &total, None);
        let ids: Vec<&str> = figures.charts.iter().map(|chart| &*chart.id).collect();
        assert_eq!(ids, ["chart-clicks", "chart-conversions", "chart-revenue-jpy", "chart-revenue-eur"]);
        assert_eq!(figures.others, ["CHF", "USD"].map(|currency| currency.parse::<Currency>().unwrap()));
        assert_eq!(figures.totals[4].values.len(), 4, "totals name all of them");
    }

    #[test]
    fn zones_to_choose_from_are_there() {
        for zone in ZONES {
            assert!(zone.parse::<TimeZone>().is_ok(), "{zone}");
        }
    }
}
