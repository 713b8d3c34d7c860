//! Spans of time that are counted, and how a period is put together from them.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate};

/// A length of times for which there are counters. Each begins where one of the shorter ones begins, in UTC; all times here are
/// in quarters of an hour since 1970. The discriminant is the last digit of the column `series`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Span {
    Quarter = 1,
    Hour = 2,
    SixHours = 3,
    Day = 4,
    /// From the 1st, the 11th or the 21st of a month on.
    Third = 5,
    Year = 6,
}

const QUARTERS_OF_DAY: i64 = 96;

impl Span {
    pub(crate) const EACH: [Self; 6] = [Self::Quarter, Self::Hour, Self::SixHours, Self::Day, Self::Third, Self::Year];

    /// How long it is at least.
    const fn least(self) -> i64 {
        match self {
            Self::Quarter => 1,
            Self::Hour => 4,
            Self::SixHours => 24,
            Self::Day => QUARTERS_OF_DAY,
            Self::Third => 8 * QUARTERS_OF_DAY,
            Self::Year => 365 * QUARTERS_OF_DAY,
        }
    }

    /// Which one a time is in, of those that follow each other.
    fn index(self, time: i64) -> i64 {
        let date = |time: i64| {
            // As long as there are dates, which is thousands of years longer than there are records.
            DateTime::from_timestamp(time * 15 * 60, 0).map(|time| time.date_naive()).unwrap_or_default()
        };
        match self {
            Self::Quarter | Self::Hour | Self::SixHours | Self::Day => time.div_euclid(self.least()),
            Self::Third => {
                let date = date(time);
                let third = (i64::from(date.day0()) / 10).min(2);
                (i64::from(date.year()) * 12 + i64::from(date.month0())) * 3 + third
            }
            Self::Year => date(time).year().into(),
        }
    }

    /// Where the one of this index begins.
    fn start(self, index: i64) -> i64 {
        let date = |year: i64, month: i64, day: i64| {
            let date = NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32).unwrap_or_default();
            i64::from(date.to_epoch_days()) * QUARTERS_OF_DAY
        };
        match self {
            Self::Quarter | Self::Hour | Self::SixHours | Self::Day => index * self.least(),
            Self::Third => date(index.div_euclid(36), index.rem_euclid(36) / 3 + 1, index.rem_euclid(3) * 10 + 1),
            Self::Year => date(index, 1, 1),
        }
    }

    /// Where the one begins that this time is in.
    pub(crate) fn start_of(self, time: i64) -> i64 {
        self.start(self.index(time))
    }

    /// Where the one ends, and the next one begins, that this time is in.
    pub(crate) fn end(self, time: i64) -> i64 {
        self.start(self.index(time) + 1)
    }
}

/// Where a counter is: for times of which length, and where it starts.
pub(crate) type Node = (Span, i64);

/// Counters that together count what was from one time on and before another, and how often each is to be added: those of
/// which there is too much in the others are taken away, so that a day that begins five hours after that of UTC is the latter
/// without its first six hours, with the sixth of them, and so on.
///
/// `spans` are those for which there are counters, the shortest first; both ends are multiples of that one. From `now` on there
/// is hardly anything, so that what lies there is best left in a counter, or taken away from it.
pub(crate) fn cover(spans: &[Span], (from, to): (i64, i64), now: i64) -> BTreeMap<Node, i64> {
    let mut nodes = BTreeMap::new();
    if from < to {
        Cover { now, nodes: &mut nodes }.add(spans, (from, to));
    }
    nodes.retain(|_, sign| *sign != 0);
    nodes
}

struct Cover<'a> {
    now: i64,
    nodes: &'a mut BTreeMap<Node, i64>,
}

/// What it costs to read a counter; one for times that are to come is hardly ever there.
const COST: i64 = 16;
const COST_OF_FUTURE: i64 = 1;

impl Cover<'_> {
    fn add(&mut self, spans: &[Span], ends: (i64, i64)) {
        let Some((span, longer)) = spans.split_first() else { return };
        match self.outer(spans, ends) {
            Some((outer, _)) => {
                self.add_run(*span, (ends.0, outer.0));
                self.add_run(*span, (outer.1, ends.1));
                self.add(longer, outer);
            }
            None => self.add_run(*span, ends),
        }
    }

    /// Ends of longer spans near these, and what it costs by way of them, if that is less than without. Spans of eight
    /// times the period or more are not tried.
    fn outer(&self, spans: &[Span], (from, to): (i64, i64)) -> Option<((i64, i64), i64)> {
        let (span, longer) = spans.split_first()?;
        let next = longer.first().filter(|next| next.least() < 8 * (to - from))?;
        let outer = (self.nearest(*span, *next, from), self.nearest(*span, *next, to));
        let sides = self.cost(*span, (from, outer.0)) + self.cost(*span, (outer.1, to));
        let inner = self.outer(longer, outer).map_or_else(|| self.cost(*next, outer), |(_, cost)| cost);
        (sides + inner < self.cost(*span, (from, to))).then_some((outer, sides + inner))
    }

    /// The end of a longer span from which it costs least to come to this time.
    fn nearest(&self, span: Span, next: Span, time: i64) -> i64 {
        let index = next.index(time);
        let before = next.start(index);
        if before == time {
            return time;
        }
        let after = next.start(index + 1);
        if self.cost(span, (before, time)) <= self.cost(span, (time, after)) { before } else { after }
    }

    /// What it costs to read all counters between two times, in whichever order they are.
    fn cost(&self, span: Span, (one, other): (i64, i64)) -> i64 {
        let (from, to) = (span.index(one.min(other)), span.index(one.max(other)));
        let past = (span.index(self.now) + 1).clamp(from, to) - from;
        past * COST + (to - from - past) * COST_OF_FUTURE
    }

    /// Adds the counters from one time to another, or takes them away if that comes first.
    fn add_run(&mut self, span: Span, (from, to): (i64, i64)) {
        let sign = (to - from).signum();
        for index in span.index(from.min(to))..span.index(from.max(to)) {
            *self.nodes.entry((span, span.start(index))).or_default() += sign;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};
    use proptest::sample::subsequence;

    /// Long after all that is asked for.
    const LATER: i64 = 10_000_000;

    /// A time of the year 2024, whose February is longer.
    fn time(month: u32, day: u32, quarters: i64) -> i64 {
        let date = NaiveDate::from_ymd_opt(2024, month, day).unwrap();
        i64::from(date.to_epoch_days()) * QUARTERS_OF_DAY + quarters
    }

    /// How often each quarter-hour is counted.
    fn counted(nodes: &BTreeMap<Node, i64>) -> BTreeMap<i64, i64> {
        let mut counted: BTreeMap<i64, i64> = BTreeMap::new();
        for ((span, start), sign) in nodes {
            assert_eq!(span.start_of(*start), *start, "there is no such counter");
            let end = span.start(span.index(*start) + 1);
            (*start..end).for_each(|quarter| *counted.entry(quarter).or_default() += sign);
        }
        counted.retain(|_, count| *count != 0);
        counted
    }

    /// Those of some levels, with quarter-hours.
    fn spans() -> impl Strategy<Value = Vec<Span>> {
        subsequence(&Span::EACH[1..], 0..6).prop_map(|longer| [&[Span::Quarter], &longer[..]].concat())
    }

    proptest! {
        #[test]
        fn each_quarter_hour_of_the_period_is_counted_once(
            spans in spans(), from in 0..80_000_i64, quarters in 0..40_000_i64, now in 0..120_000_i64,
        ) {
            let counted = counted(&cover(&spans, (from, from + quarters), now));
            prop_assert_eq!(counted, (from..from + quarters).map(|quarter| (quarter, 1)).collect());
        }

        #[test]
        fn any_period_takes_few_counters(from in 0..3_000_000_i64, quarters in 0..350_000_i64) {
            let nodes = cover(&Span::EACH, (from, from + quarters), LATER).len() as i64;
            // At each end two quarter-hours, three hours, two times six hours, five days, and half a year of thirds.
            prop_assert!(nodes <= 2 * (2 + 3 + 2 + 5 + 18) + 10, "{nodes} for {quarters}");
            prop_assert!(nodes <= quarters, "{nodes} for {quarters}");
        }

        #[test]
        fn a_time_is_in_the_span_that_starts_before_it(time in -100_000..20_000_000_i64) {
            for span in Span::EACH {
                let (start, next) = (span.start_of(time), span.start(span.index(time) + 1));
                prop_assert!(start <= time && time < next, "{span:?}");
                prop_assert_eq!(span.start_of(start), start);
            }
        }
    }

    #[test]
    fn thirds_of_months_and_years_are_those_of_the_calendar() {
        let third = |month, day| Span::Third.start_of(time(month, day, 17));
        assert_eq!([third(2, 1), third(2, 10)], [time(2, 1, 0); 2]);
        assert_eq!([third(2, 11), third(2, 20)], [time(2, 11, 0); 2]);
        assert_eq!([third(2, 21), third(2, 29)], [time(2, 21, 0); 2]);
        assert_eq!([third(12, 31), third(12, 21)], [time(12, 21, 0); 2]);
        assert_eq!([Span::Year.start_of(time(12, 31, 95)), Span::Year.start_of(time(1, 1, 0))], [time(1, 1, 0); 2]);
    }

    #[test]
    fn days_of_time_zones_take_few_counters() {
        let day = |offset: i64| cover(&Span::EACH, (time(5, 5, offset), time(5, 6, offset)), LATER).len();
        assert_eq!(day(0), 1, "UTC");
        assert_eq!(day(4 * 4), 1 + 2 * 3, "New York in summer");
        assert_eq!(day(5 * 4), 1 + 2 * 2, "New York in winter");
        assert_eq!(day(-(5 * 4 + 3)), 1 + 2 * 2, "Kathmandu");
        assert_eq!(day(12 * 4), 4, "Auckland in winter");
    }

    #[test]
    fn what_is_to_come_is_left_in_a_counter() {
        let now = time(5, 4, 40);
        let nodes = cover(&Span::EACH, (time(1, 1, 0), time(5, 5, 0)), now);
        let past: Vec<&Node> = nodes.keys().filter(|(_, start)| *start < now).collect();
        assert_eq!(past, [&(Span::Year, time(1, 1, 0))], "of {nodes:?}");
    }

    #[test]
    fn nothing_takes_no_counters() {
        assert!(cover(&Span::EACH, (17, 17), LATER).is_empty());
        assert!(cover(&Span::EACH, (17, 3), LATER).is_empty());
    }
}
