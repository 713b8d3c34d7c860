//! How a period is put together from counters of longer and shorter times.

use std::collections::BTreeMap;

/// Where a counter is: at which of the levels, counted from the shortest time, and where it starts.
pub(crate) type Node = (usize, i64);

/// Counters that together count what was from one time on and before another, and how often each is to be added: those of
/// which there is too much in the others are taken away, so that a day that begins five hours after that of UTC is the latter
/// without its first five hours, and with the first five of the next.
///
/// `widths` says how long the times of each level are; each is a multiple of the one before it, and starts at multiples of
/// itself. Both ends are multiples of the first one.
pub(crate) fn cover(widths: &[i64], from: i64, to: i64) -> BTreeMap<Node, i64> {
    let mut nodes = BTreeMap::new();
    if from < to {
        add(&mut nodes, widths, (from, to));
    }
    nodes.retain(|_, sign| *sign != 0);
    nodes
}

fn add(nodes: &mut BTreeMap<Node, i64>, widths: &[i64], (mut from, mut to): (i64, i64)) {
    for (level, width) in widths.iter().copied().enumerate() {
        let next = widths.get(level + 1).copied().filter(|next| {
            let (outer_from, outer_to) = (nearest(from, *next), nearest(to, *next));
            // By way of the next level it would be more.
            cost(&widths[level + 1..], outer_from, outer_to)
                + ((from - outer_from).abs() + (to - outer_to).abs()) / width
                < (to - from) / width
        });
        let Some(next) = next else {
            add_run(nodes, level, width, (from, to));
            return;
        };
        let (outer_from, outer_to) = (nearest(from, next), nearest(to, next));
        add_run(nodes, level, width, (from, outer_from));
        add_run(nodes, level, width, (outer_to, to));
        (from, to) = (outer_from, outer_to);
    }
}

/// How many counters it takes.
fn cost(widths: &[i64], from: i64, to: i64) -> i64 {
    let Some((width, longer)) = widths.split_first() else { return i64::MAX };
    let direct = (to - from) / width;
    let Some(next) = longer.first() else { return direct };
    let (outer_from, outer_to) = (nearest(from, *next), nearest(to, *next));
    let by_the_next = cost(longer, outer_from, outer_to) + ((from - outer_from).abs() + (to - outer_to).abs()) / width;
    direct.min(by_the_next)
}

/// Adds the counters from one time to another, or takes them away if that comes first.
fn add_run(nodes: &mut BTreeMap<Node, i64>, level: usize, width: i64, (from, to): (i64, i64)) {
    let sign = (to - from).signum();
    let mut start = from.min(to);
    while start < from.max(to) {
        *nodes.entry((level, start)).or_default() += sign;
        start += width;
    }
}

/// The multiple of the width that is nearest to this time; the earlier one of two.
fn nearest(time: i64, width: i64) -> i64 {
    let over = time.rem_euclid(width);
    if over * 2 <= width { time - over } else { time - over + width }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};
    use proptest::sample::select;

    const LEVELS: &[&[i64]] = &[&[1, 4, 96, 768], &[1, 4, 96], &[1, 96, 768], &[1, 96]];

    /// How often each quarter-hour is counted.
    fn counted(widths: &[i64], nodes: &BTreeMap<Node, i64>) -> BTreeMap<i64, i64> {
        let mut counted: BTreeMap<i64, i64> = BTreeMap::new();
        for ((level, start), sign) in nodes {
            assert_eq!(start % widths[*level], 0, "there is no such counter");
            (*start..start + widths[*level]).for_each(|quarter| *counted.entry(quarter).or_default() += sign);
        }
        counted.retain(|_, count| *count != 0);
        counted
    }

    fn levels() -> impl Strategy<Value = &'static [i64]> {
        select(LEVELS)
    }

    proptest! {
        #[test]
        fn each_quarter_hour_of_the_period_is_counted_once(
            widths in levels(), from in 0..3000_i64, quarters in 0..6000_i64,
        ) {
            let counted = counted(widths, &cover(widths, from, from + quarters));
            prop_assert_eq!(counted, (from..from + quarters).map(|quarter| (quarter, 1)).collect());
        }

        #[test]
        fn any_period_takes_few_counters(from in 0..30_000_i64, quarters in 0..30_000_i64) {
            let nodes = cover(LEVELS[0], from, from + quarters).len() as i64;
            // Two quarter-hours, twelve hours and four days at each end.
            prop_assert!(nodes <= quarters / 768 + 1 + 2 * (2 + 12 + 4), "{nodes} for {quarters}");
            prop_assert!(nodes <= quarters, "{nodes} for {quarters}");
        }
    }

    #[test]
    fn days_of_time_zones_take_few_counters() {
        let day = |offset: i64| cover(LEVELS[1], 96 * 1000 + offset, 96 * 1001 + offset).len();
        assert_eq!(day(0), 1, "UTC");
        assert_eq!(day(5 * 4), 1 + 2 * 5, "New York in winter");
        assert_eq!(day(-(5 * 4 + 3)), 1 + 2 * (6 + 1), "Kathmandu");
        assert_eq!(day(12 * 4), 24, "Auckland in winter");
    }

    #[test]
    fn nothing_takes_no_counters() {
        assert!(cover(LEVELS[0], 17, 17).is_empty());
        assert!(cover(LEVELS[0], 17, 3).is_empty());
    }
}
