//! Numbers, times and commands, as people read them.

use std::fmt;
use std::time::Duration;

use percent_encoding::utf8_percent_encode;
use tracking_core::rust_decimal::Decimal;
use tracking_core::{BotReason, Currency, Payout, TimeZone, Timestamp};

use crate::query::RESERVED;

/// A count, its thousands grouped: `1,234,567`.
pub(crate) fn grouped(count: u64) -> String {
    group(&count.to_string())
}

/// A number that is not negative, exact to the digit, its thousands grouped: `1,234.5`.
pub(super) fn grouped_decimal(value: Decimal) -> String {
    let text = value.normalize().to_string();
    match text.split_once('.') {
        Some((integer, fraction)) => format!("{}.{fraction}", group(integer)),
        None => group(&text),
    }
}

/// An amount of money, exact to the digit: `1,234.50 USD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Money {
    pub(super) amount: String,
    pub(super) currency: Currency,
}

impl Money {
    pub(super) fn new(value: Decimal, currency: Currency) -> Self {
        let text = value.normalize().to_string();
        let (integer, fraction) = text.split_once('.').unwrap_or((&text, ""));
        // Filled up to what is usual for the currency, and never cut off.
        let fraction = format!("{fraction:0<width$}", width = currency.minor_digits());
        let point = if fraction.is_empty() { "" } else { "." };
        let (sign, integer) = integer.strip_prefix('-').map_or(("", integer), |digits| ("−", digits));
        Self { amount: format!("{sign}{}{point}{fraction}", group(integer)), currency }
    }

    pub(super) fn of_payout(payout: Payout) -> Self {
        Self::new(payout.amount(), payout.currency())
    }

    /// Whether it needs more room than a figure among others has.
    pub(super) fn is_long(&self) -> bool {
        self.amount.len() > 9
    }
}

/// A ratio in percent, rounded to two decimals at the most: `12.5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Percent {
    hundredths: u128,
    is_zero: bool,
}

impl Percent {
    /// `part` of `whole`; `None` if there is no whole.
    pub(super) fn of(part: u64, whole: u64) -> Option<Self> {
        let (part, whole) = (u128::from(part), u128::from(whole));
        let hundredths = (part * 10_000 + whole / 2).checked_div(whole)?;
        Some(Self { hundredths, is_zero: part == 0 })
    }

    /// It, times a hundred.
    pub(super) const fn hundredths(self) -> u128 {
        self.hundredths
    }

    /// The whole percents and tenths, up to 100, as the width of a bar.
    pub(super) fn width(self) -> String {
        let tenths = self.hundredths.div_ceil(10).min(1000);
        format!("{}.{}%", tenths / 10, tenths % 10)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hundredths == 0 && !self.is_zero {
            return f.write_str("<0.01%");
        }
        let fraction = format!("{:02}", self.hundredths % 100);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{}{point}{fraction}%", grouped_u128(self.hundredths / 100))
    }
}

/// `23 Aug 2023`
pub(super) fn day(time: &Timestamp) -> impl fmt::Display {
    time.to_datetime().format("%-d %b %Y")
}

/// `15:30:45`
pub(super) fn clock_time(time: &Timestamp) -> impl fmt::Display {
    time.to_datetime().format("%H:%M:%S")
}

/// The same where clocks show this zone's time.
pub(super) fn day_in(zone: &TimeZone, time: &Timestamp) -> impl fmt::Display {
    zone.local(*time).format("%-d %b %Y")
}

/// The same where clocks show this zone's time.
pub(super) fn clock_time_in(zone: &TimeZone, time: &Timestamp) -> impl fmt::Display {
    zone.local(*time).format("%H:%M:%S")
}

/// `30 days`, `36 hours`, `90 seconds`: exact, in the greatest unit in which it is a whole number.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(24 * 60 * 60, "day"), (60 * 60, "hour"), (60, "minute")];
    let unit = units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    let (count, name) = unit.map_or((seconds, "second"), |(unit, name)| (seconds / unit, name));
    format!("{} {name}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// Why a click is not taken for a person's, in a word or two.
pub(super) fn bot(reason: BotReason) -> &'static str {
    match reason {
        BotReason::Crawler => "crawler",
        BotReason::NoUserAgent => "no user agent",
        BotReason::Prefetch => "prefetched",
        BotReason::Test => "test click",
        reason => reason.code(),
    }
}

/// For the value of a query parameter.
pub(super) fn encoded(text: &str) -> impl fmt::Display {
    utf8_percent_encode(text, RESERVED)
}

/// As one word of a POSIX shell, whatever is in it.
pub(super) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn grouped_u128(number: u128) -> String {
    group(&number.to_string())
}

/// Puts a comma between groups of three digits.
fn group(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")];
        for (count, expected) in cases {
            assert_eq!(grouped(count), expected);
        }
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn money_is_filled_up_and_never_rounded() {
        let cases = [
            ("0", "USD", "0.00"),
            ("100", "USD", "100.00"),
            ("1234.5", "EUR", "1,234.50"),
            ("0.000001", "USD", "0.000001"),
            ("12345", "JPY", "12,345"),
            ("12345.5", "JPY", "12,345.5"),
            ("1.25", "KWD", "1.250"),
            ("999999999999.999999", "USD", "999,999,999,999.999999"),
            ("-0.5", "USD", "−0.50"),
            ("-123", "USD", "−123.00"),
            ("-1234567", "JPY", "−1,234,567"),
        ];
        for (value, currency, expected) in cases {
            assert_eq!(Money::new(value.parse().unwrap(), currency.parse().unwrap()).amount, expected);
        }
    }

    #[test]
    fn a_percentage_has_two_decimals_at_the_most() {
        let cases = [
            (0, 3, "0%"),
            (1, 4, "25%"),
            (1, 8, "12.5%"),
            (1, 3, "33.33%"),
            (2, 3, "66.67%"),
            (1, 10_000, "0.01%"),
            (1, 1_000_000, "<0.01%"),
            (5, 2, "250%"),
            (3000, 1, "300,000%"),
            (u64::MAX, u64::MAX, "100%"),
        ];
        for (part, whole, expected) in cases {
            assert_eq!(Percent::of(part, whole).unwrap().to_string(), expected);
        }
        assert_eq!(Percent::of(0, 0), None);
    }

    #[test]
    fn a_bar_is_never_wider_than_its_track() {
        let width = |part, whole| Percent::of(part, whole).unwrap().width();
        assert_eq!(width(0, 1), "0.0%");
        assert_eq!(width(1, 3), "33.4%");
        assert_eq!(width(7, 2), "100.0%");
    }

    #[test]
    fn times_are_short() {
        let time: Timestamp = "2023-08-03T05:30:45.123Z".parse().unwrap();
        assert_eq!(format!("{} {}", day(&time), clock_time(&time)), "3 Aug 2023 05:30:45");
    }

    #[test]
    fn times_are_those_of_the_zone() {
        let (time, zone) = ("2023-08-03T23:30:45.123Z".parse().unwrap(), "Asia/Kathmandu".parse().unwrap());
        assert_eq!(format!("{} {}", day_in(&zone, &time), clock_time_in(&zone, &time)), "4 Aug 2023 05:15:45");
    }

    #[test]
    fn spans_are_exact() {
        let hour = 60 * 60;
        for (seconds, expected) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (60, "1 minute"),
            (90, "90 seconds"),
            (36 * hour, "36 hours"),
            (30 * 24 * hour, "30 days"),
            (100_000, "100,000 seconds"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_shell_reads_one_word() {
        assert_eq!(shell_quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
