//! Time: UTC at millisecond precision, from a clock that is injected.

use std::fmt::{self, Debug};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Datelike, Timelike, Utc};
use serde::{Deserialize, Serialize, Serializer};

use crate::{ParseError, Problem};

/// A moment in UTC at millisecond precision, from 1970 to the end of 9999.
///
/// Printed as RFC 3339 with exactly three fractional digits and a `Z`: `2023-08-23T15:30:45.123Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00.000Z
    pub const MIN: Self = Self(0);

    /// 9999-12-31T23:59:59.999Z
    pub const MAX: Self = Self(253_402_300_799_999);

    /// `millis` are counted from the Unix epoch, without leap seconds.
    ///
    /// # Errors
    /// If `millis` is before [`MIN`](Self::MIN) or after [`MAX`](Self::MAX).
    pub const fn from_millis(millis: i64) -> Result<Self, ParseError> {
        if millis < Self::MIN.0 || millis > Self::MAX.0 {
            let problem = Problem::Form { expected: "between the years 1970 and 9999" };
            return Err(ParseError::new("a time", problem));
        }
        Ok(Self(millis))
    }

    /// Milliseconds since the Unix epoch, without leap seconds.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The moment that is so much earlier; [`MIN`](Self::MIN) if there is none. What is finer than a millisecond is cut off.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis).max(Self::MIN.0))
    }

    /// The moment that is so much later; [`MAX`](Self::MAX) if there is none. What is finer than a millisecond is cut off.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis).min(Self::MAX.0))
    }

    /// The same moment as a [`chrono`] time.
    #[must_use]
    pub fn to_datetime(self) -> DateTime<Utc> {
        // Every Timestamp is well within what chrono can hold.
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

/// What is finer than a millisecond is cut off; what is out of range becomes the nearest end of it.
impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_millis().clamp(Self::MIN.0, Self::MAX.0))
    }
}

impl Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Rfc3339::new(*self).as_str())
    }
}

/// The text of a timestamp, written digit by digit: nearly every answer bears one, and chrono's own formatting
/// allocates, and takes several times as long.
struct Rfc3339([u8; 24]);

impl Rfc3339 {
    fn new(timestamp: Timestamp) -> Self {
        let time = timestamp.to_datetime().naive_utc();
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let fields = [
            (0..4, time.year().unsigned_abs()),
            (5..7, time.month()),
            (8..10, time.day()),
            (11..13, time.hour()),
            (14..16, time.minute()),
            (17..19, time.second()),
            (20..23, time.nanosecond() / 1_000_000),
        ];
        for (place, mut value) in fields {
            for digit in text[place].iter_mut().rev() {
                *digit += (value % 10) as u8;
                value /= 10;
            }
        }
        Self(text)
    }

    fn as_str(&self) -> &str {
        // Only ASCII stands in it.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// RFC 3339 with any offset.
impl FromStr for Timestamp {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| {
            let expected = "an RFC 3339 time such as 2023-08-23T15:30:45.123Z";
            ParseError::new("a time", Problem::Form { expected })
        })?;
        Self::from_millis(time.timestamp_millis())
    }
}

impl TryFrom<String> for Timestamp {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Rfc3339::new(*self).as_str())
    }
}

/// Tells the time. A [`Tracker`](crate::Tracker) asks no other source.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Utc::now().into()
    }
}

/// A clock that stands still until it is set, for tests.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Sets the clock, forwards or back.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}
