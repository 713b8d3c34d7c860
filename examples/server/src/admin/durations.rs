//! Durations and other values, as they stand in arguments.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// A time span of whole seconds: `30d`, `12h`, `10m`, `10s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

const UNITS: [(char, u64); 4] = [('d', 24 * 60 * 60), ('h', 60 * 60), ('m', 60), ('s', 1)];

/// A hundred years of days.
const LONGEST: u64 = 36_500 * 24 * 60 * 60;

#[derive(Debug, Error)]
#[error("expected a whole number of days, hours, minutes or seconds, such as 30d, 12h, 10m or 10s")]
pub(crate) struct NoSpan;

impl FromStr for Span {
    type Err = NoSpan;

    fn from_str(text: &str) -> Result<Self, NoSpan> {
        let (number, unit) = text.char_indices().next_back().map(|(last, unit)| (&text[..last], unit)).ok_or(NoSpan)?;
        let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or(NoSpan)?;
        // `parse` would take a sign, too.
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = number.parse().ok().filter(|_| is_number).ok_or(NoSpan)?;
        let seconds = number.checked_mul(unit).filter(|seconds| *seconds <= LONGEST).ok_or(NoSpan)?;
        Ok(Self(Duration::from_secs(seconds)))
    }
}

/// In the greatest unit that it is a whole number of.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (name, unit) = UNITS.into_iter().find(|(_, unit)| seconds.is_multiple_of(*unit)).unwrap_or(('s', 1));
        write!(f, "{}{name}", seconds / unit)
    }
}

/// A value, or `none`, or `any`, which is the same in other words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OrNone<T>(pub(crate) Option<T>);

impl<T: FromStr> FromStr for OrNone<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        match text {
            "none" | "any" => Ok(Self(None)),
            text => text.parse().map(|value| Self(Some(value))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_shown_in_the_greatest_unit() {
        let cases = [
            ("30d", "30d"),
            ("24h", "1d"),
            ("36h", "36h"),
            ("10m", "10m"),
            ("90s", "90s"),
            ("60s", "1m"),
            ("0s", "0d"),
        ];
        for (text, shown) in cases {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in ["", "d", "30", "30 d", "+3d", "-3d", "1.5h", "36501d", "99999999999999999999d", "3w", "3é"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn none_and_any_are_no_value() {
        assert_eq!("none".parse::<OrNone<Span>>().unwrap().0, None);
        assert_eq!("any".parse::<OrNone<Span>>().unwrap().0, None);
        assert_eq!("1m".parse::<OrNone<Span>>().unwrap().0, Some(Span(Duration::from_secs(60))));
        assert!("None".parse::<OrNone<Span>>().is_err());
    }
}
