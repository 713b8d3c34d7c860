//! Charts: drawn on the server, as SVG that needs neither script nor style attributes.
//!
//! A bar for each step of a period, and a line for the period before. What is drawn is told in a sentence, too, and stands in
//! a table.

use std::fmt::Write;

use tracking_core::Currency;
use tracking_core::rust_decimal::Decimal;
use tracking_core::rust_decimal::prelude::ToPrimitive;

use super::format::{Money, grouped};

/// The size of the drawing, in units of which a phone shows nine tenths of a pixel. Texts are 13 of them high.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 168.0;

/// Where bars stand: what is left of it is for the numbers of the axis, what is below for dates.
const LEFT: f64 = 44.0;
const RIGHT: f64 = 358.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 142.0;

/// A bar is no wider, however few there are.
const MAX_BAR: f64 = 36.0;

/// How many dates stand below the bars at the most, so that there is room between them on a phone.
const MAX_LABELS: usize = 4;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Things.
    Count,
    /// Money.
    Money(Currency),
}

impl Unit {
    fn print(self, value: Decimal) -> String {
        match self {
            Self::Count => value.to_u64().map_or_else(|| value.to_string(), grouped),
            Self::Money(currency) => Money::new(value, currency).amount,
        }
    }
}

/// What was counted in one step of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    /// Its name where there is little room: `3 Aug`.
    pub(crate) short: String,
    /// Its whole name: `Thu 3 Aug 2023`.
    pub(crate) long: String,
    /// What was counted.
    pub(crate) value: Decimal,
    /// What was counted in the same step of the period before, if there is one.
    pub(crate) before: Option<Decimal>,
}

/// What a chart shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chart {
    /// Tells its parts from those of other charts on the page.
    pub(crate) id: String,
    /// What is counted: `Clicks`.
    pub(crate) name: String,
    /// In which steps: `day`.
    pub(crate) step: &'static str,
    /// What is counted.
    pub(crate) unit: Unit,
    /// The period before, in words: `30 days before`.
    pub(crate) before: String,
    /// The steps, in order.
    pub(crate) points: Vec<Point>,
}

impl Chart {
    pub(super) fn print(&self, value: &Decimal) -> String {
        self.unit.print(*value)
    }

    /// The code of the currency, if it is money.
    pub(super) fn currency(&self) -> Option<Currency> {
        match self.unit {
            Unit::Count => None,
            Unit::Money(currency) => Some(currency),
        }
    }

    pub(super) fn sum(&self) -> String {
        self.unit.print(sum(self.points.iter().map(|point| point.value)))
    }

    /// `None` if there is no period before.
    pub(super) fn sum_before(&self) -> Option<String> {
        self.has_before().then(|| self.unit.print(sum(self.points.iter().filter_map(|point| point.before))))
    }

    pub(super) fn has_before(&self) -> bool {
        self.points.iter().any(|point| point.before.is_some())
    }

    /// `Clicks by day`.
    pub(super) fn title(&self) -> String {
        match self.currency() {
            Some(currency) => format!("{} in {currency} by {}", self.name, self.step),
            None => format!("{} by {}", self.name, self.step),
        }
    }

    /// What one sees, in a sentence.
    pub(super) fn description(&self) -> String {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else { return "Nothing.".into() };
        let mut text = format!("From {} to {}: {} in all", first.long, last.long, self.sum());
        // Of equals the first one.
        let highest = self.points.iter().rev().max_by_key(|point| point.value);
        let lowest = self.points.iter().min_by_key(|point| point.value);
        if let (Some(highest), Some(lowest)) = (highest, lowest) {
            let (most, least) = (self.print(&highest.value), self.print(&lowest.value));
            let _ = match highest.value == lowest.value {
                true => write!(text, ", {most} in each {}", self.step),
                false => write!(text, ", highest {most} ({}), lowest {least} ({})", highest.long, lowest.long),
            };
        }
        if let Some(before) = self.sum_before() {
            let _ = write!(text, "; {}: {before} in all", self.before);
        }
        text.push('.');
        text
    }

    /// What a step says to whoever points at it.
    fn tip(&self, point: &Point) -> String {
        let mut text = format!("{}: {}", point.long, self.print(&point.value));
        if let Some(before) = &point.before {
            let _ = write!(text, " (before: {})", self.print(before));
        }
        text
    }

    /// Where everything is.
    pub(super) fn drawing(&self) -> Drawing {
        let values = self.points.iter().flat_map(|point| [Some(point.value), point.before]).flatten();
        let top = top_of(self.unit, values.filter_map(|value| value.to_f64()).fold(0.0, f64::max));
        let height_of = |value: Decimal| {
            let share = value.to_f64().unwrap_or_default() / top;
            share.clamp(0.0, 1.0) * (BOTTOM - TOP)
        };
        let slot = (RIGHT - LEFT) / self.points.len().max(1) as f64;
        let width = (slot * 0.74).min(MAX_BAR);
        let start_of = |index: usize| LEFT + slot * index as f64;
        let mut bars = String::new();
        let mut steps = Vec::new();
        for (index, point) in self.points.iter().enumerate() {
            // What is there is seen, however small it is.
            let height = if point.value > Decimal::ZERO { round(height_of(point.value).max(1.0)) } else { 0.0 };
            if height > 0.0 {
                let (x, width) = (round(start_of(index) + (slot - width) / 2.0), round(width));
                let _ = write!(bars, "M{x} {BOTTOM}v-{height}h{width}v{height}z");
            }
            steps.push(Bar { x: round(start_of(index)), height, tip: self.tip(point) });
        }
        let befores: Vec<(usize, Decimal)> =
            self.points.iter().enumerate().filter_map(|(index, point)| Some((index, point.before?))).collect();
        let line = befores.iter().flat_map(|(index, before)| {
            let y = round(BOTTOM - height_of(*before));
            // A line through one point is one across its step.
            let shares: &[f64] = if befores.len() == 1 { &[0.0, 1.0] } else { &[0.5] };
            shares.iter().map(move |share| (round(start_of(*index) + slot * share), y)).collect::<Vec<_>>()
        });
        let mut points = String::new();
        for (x, y) in line {
            let _ = write!(points, "{}{x},{y}", if points.is_empty() { "" } else { " " });
        }
        Drawing {
            slot: round(slot),
            steps,
            bars,
            line: Some(points).filter(|points| !points.is_empty()),
            ticks: [0.0, 0.5, 1.0]
                .map(|share| Tick { y: round(BOTTOM - share * (BOTTOM - TOP)), label: compact(top * share) })
                .into(),
            labels: labels(self.points.len())
                .map(|index| {
                    let (x, anchor) = match index {
                        _ if self.points.len() == 1 => (start_of(0) + slot / 2.0, "middle"),
                        0 => (LEFT, "start"),
                        index if index + 1 == self.points.len() => (RIGHT, "end"),
                        index => (start_of(index) + slot / 2.0, "middle"),
                    };
                    Label { x: round(x), anchor, text: self.points[index].short.clone() }
                })
                .collect(),
        }
    }
}

/// A chart as it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Drawing {
    /// How wide a step is.
    pub(super) slot: f64,
    /// All of them, whose whole height answers to whoever points at it.
    pub(super) steps: Vec<Bar>,
    /// The outline of their bars.
    pub(super) bars: String,
    /// The points of the line of the period before.
    pub(super) line: Option<String>,
    /// What stands beside the bars.
    pub(super) ticks: Vec<Tick>,
    /// What stands below them.
    pub(super) labels: Vec<Label>,
}

impl Drawing {
    pub(super) const WIDTH: f64 = WIDTH;
    pub(super) const HEIGHT: f64 = HEIGHT;
    pub(super) const LEFT: f64 = LEFT;
    pub(super) const RIGHT: f64 = RIGHT;
    pub(super) const TOP: f64 = TOP;
    /// How high the highest bar may be.
    pub(super) const DEPTH: f64 = BOTTOM - TOP;
    /// Where the texts below the bars stand.
    pub(super) const FOOT: f64 = HEIGHT - 6.0;
    /// Where the numbers beside them end.
    pub(super) const AXIS: f64 = LEFT - 6.0;
}

/// A step, and its bar.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    /// Where the step begins.
    pub(super) x: f64,
    /// How high the bar is.
    height: f64,
    /// What it says to whoever points at it.
    pub(super) tip: String,
}

/// A number on the axis, with its line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) y: f64,
    pub(super) label: String,
}

impl Tick {
    /// Where its text stands, so that its middle is on the line.
    pub(super) fn text_y(&self) -> f64 {
        round(self.y + 4.5)
    }
}

/// The name of a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Label {
    pub(super) x: f64,
    /// Which part of it stands there.
    pub(super) anchor: &'static str,
    pub(super) text: String,
}

/// Which steps are named: the first, the last, and some between them at even distances.
fn labels(points: usize) -> impl Iterator<Item = usize> {
    let count = points.min(MAX_LABELS);
    (0..count).map(move |label| if count == 1 { 0 } else { (label * (points - 1) + (count - 1) / 2) / (count - 1) })
}

/// A round number that is not less, and whose half is round, too: what the highest line stands for.
fn top_of(unit: Unit, max: f64) -> f64 {
    let least = if unit == Unit::Count { 2.0 } else { f64::MIN_POSITIVE };
    if max <= 0.0 {
        return 2.0;
    }
    let max = max.max(least);
    let power = 10f64.powf(max.log10().floor());
    // A hair less, because 0.3 / 0.1 is more than 3.
    let leading = max / power - 1e-9;
    [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0].into_iter().find(|round| leading <= *round).unwrap_or(10.0) * power
}

/// A number in five characters or a few more: `1.5k`.
fn compact(value: f64) -> String {
    let short = |value: f64| {
        let text = format!("{value:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match value {
        0.0 => "0".to_owned(),
        value if !(0.01..1e15).contains(&value) => format!("{value:.1e}").replace(".0e", "e"),
        value if value < 1e4 => short(value),
        value if value < 1e6 => format!("{}k", short(value / 1e3)),
        value if value < 1e9 => format!("{}M", short(value / 1e6)),
        value if value < 1e12 => format!("{}B", short(value / 1e9)),
        value => format!("{}T", short(value / 1e12)),
    }
}

/// To a tenth of a unit, which nobody sees.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// No sum of ours is greater than a `Decimal` can hold, but for those that were cut off there.
pub(super) fn sum(values: impl Iterator<Item = Decimal>) -> Decimal {
    values.fold(Decimal::ZERO, |sum, value| sum.checked_add(value).unwrap_or(Decimal::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use super::*;

    fn chart(values: &[(u64, Option<u64>)]) -> Chart {
        let points = values.iter().enumerate().map(|(index, (value, before))| Point {
            short: format!("{} Aug", index + 1),
            long: format!("{} Aug 2023", index + 1),
            value: (*value).into(),
            before: before.map(Decimal::from),
        });
        Chart {
            id: "clicks".into(),
            name: "Clicks".into(),
            step: "day",
            unit: Unit::Count,
            before: "30 days before".into(),
            points: points.collect(),
        }
    }

    #[test]
    fn of_nothing_there_is_an_empty_axis() {
        let none = chart(&[(0, Some(0)), (0, Some(0)), (0, None)]);
        let drawing = none.drawing();
        assert!(drawing.steps.iter().all(|bar| bar.height == 0.0) && drawing.bars.is_empty(), "{drawing:?}");
        let ticks: Vec<&str> = drawing.ticks.iter().map(|tick| &*tick.label).collect();
        assert_eq!(ticks, ["0", "1", "2"]);
        assert_eq!(drawing.line.as_deref(), Some("96.3,142 201,142"), "on the ground");
        assert_eq!(
            none.description(),
            "From 1 Aug 2023 to 3 Aug 2023: 0 in all, 0 in each day; 30 days before: 0 in all."
        );
        assert_eq!(chart(&[]).drawing().steps, []);
        assert_eq!(chart(&[]).drawing().labels, []);
    }

    #[test]
    fn one_point_is_a_bar_in_the_middle_and_a_line_across() {
        let one = chart(&[(3, Some(4))]);
        let drawing = one.drawing();
        assert_eq!(drawing.bars, "M183 142v-99h36v99z", "three quarters of 132");
        assert_eq!(drawing.line.as_deref(), Some("44,10 358,10"));
        assert_eq!(drawing.labels.len(), 1);
        assert_eq!(drawing.labels[0].anchor, "middle");
    }

    #[test]
    fn nothing_leaves_the_drawing_however_much_there_is() {
        let mut huge = chart(&[(u64::MAX, Some(1)), (1, Some(u64::MAX)), (0, None)]);
        for unit in [Unit::Count, Unit::Money("JPY".parse().unwrap())] {
            huge.unit = unit;
            huge.points[2].value = if unit == Unit::Count { u64::MAX.into() } else { Decimal::MAX };
            let drawing = huge.drawing();
            let heights: Vec<f64> = drawing.steps.iter().map(|bar| bar.height).collect();
            assert!(heights.iter().all(|height| *height <= BOTTOM - TOP), "{heights:?}");
            assert_eq!(heights[1], 1.0, "one of very many is seen");
            assert!(drawing.ticks.iter().all(|tick| tick.label.len() <= 6), "{:?}", drawing.ticks);
        }
        huge.points[1].value = Decimal::MAX;
        assert!(huge.description().contains("in all"), "a sum that is too great is cut off");
    }

    #[test]
    fn lines_of_the_axis_are_round_numbers_that_are_not_less() {
        for (max, top) in
            [(1.0, 2.0), (2.0, 2.0), (3.0, 3.0), (5.0, 6.0), (7.0, 8.0), (9.0, 10.0), (11.0, 20.0), (312.0, 400.0)]
        {
            assert_eq!(top_of(Unit::Count, max), top, "{max}");
        }
        let money = Unit::Money("USD".parse().unwrap());
        assert_eq!((top_of(money, 0.3), top_of(money, 0.0)), (0.30000000000000004, 2.0));
        for exponent in -6..29 {
            for leading in 1..100 {
                let max = f64::from(leading) / 10.0 * 10f64.powi(exponent);
                assert!(top_of(money, max) >= max * (1.0 - 1e-9), "{max}");
            }
        }
    }

    #[test]
    fn numbers_of_the_axis_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.15, "0.15"),
            (1.5, "1.5"),
            (8_000.0, "8000"),
            (15_000.0, "15k"),
            (150_000.0, "150k"),
            (1_500_000.0, "1.5M"),
            (2e9, "2B"),
            (4e12, "4T"),
            (2e19, "2e19"),
        ] {
            assert_eq!(compact(value), text);
        }
    }

    #[test]
    fn few_steps_are_named() {
        let named = |points| labels(points).collect::<Vec<_>>();
        assert_eq!(named(0), Vec::<usize>::new());
        assert_eq!(named(1), [0]);
        assert_eq!(named(2), [0, 1]);
        assert_eq!(named(30), [0, 10, 19, 29]);
        assert_eq!(named(92), [0, 30, 61, 91]);
    }

    #[test]
    fn a_sentence_says_what_is_seen() {
        let mut chart = chart(&[(312, Some(300)), (20, Some(20)), (312, Some(0))]);
        assert_eq!(chart.title(), "Clicks by day");
        assert_eq!(
            chart.description(),
            "From 1 Aug 2023 to 3 Aug 2023: 644 in all, highest 312 (1 Aug 2023), lowest 20 (2 Aug 2023); \
             30 days before: 320 in all."
        );
        assert_eq!(chart.drawing().steps[0].tip, "1 Aug 2023: 312 (before: 300)");
        chart.unit = Unit::Money("EUR".parse().unwrap());
        chart.points.iter_mut().for_each(|point| point.before = None);
        assert_eq!(chart.title(), "Clicks in EUR by day");
        assert_eq!(chart.drawing().steps[1].tip, "2 Aug 2023: 20.00");
        assert_eq!(chart.drawing().line, None);
    }
}
