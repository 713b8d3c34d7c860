//! Time zones, and the days that a report is about.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone as _, Timelike, Utc};
use serde::{Deserialize, Serialize, Serializer};

use crate::{ParseError, Problem, Timestamp};

/// A time zone of the [IANA database](https://www.iana.org/time-zones), such as `Europe/Berlin`. Its days begin when clocks
/// there show midnight; where they skip it, at the first moment of the date.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct TimeZone(chrono_tz::Tz);

impl TimeZone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(chrono_tz::UTC);

    /// All that there are, in the order of their names.
    pub fn all() -> impl Iterator<Item = Self> {
        chrono_tz::TZ_VARIANTS.iter().copied().map(Self)
    }

    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// What a calendar and a clock there show at this moment, with the distance to UTC.
    #[must_use]
    pub fn local(self, time: Timestamp) -> DateTime<chrono::FixedOffset> {
        let local = time.to_datetime().with_timezone(&self.0);
        local.with_timezone(&local.offset().fix())
    }

    /// The date there at this moment.
    #[must_use]
    pub fn date_of(self, time: Timestamp) -> NaiveDate {
        self.local(time).date_naive()
    }

    /// When this date begins there. A date that was left out, because the zone has moved across the date line, begins and
    /// ends when the next one begins.
    #[must_use]
    pub fn start_of(self, date: NaiveDate) -> Timestamp {
        let midnight = date.and_time(NaiveTime::MIN);
        // Clocks are put forward by a day at the most, and at a quarter of an hour.
        let mut moments = (0..=96).map(|quarters| midnight + TimeDelta::minutes(15 * quarters));
        let start = moments.find_map(|moment| self.0.from_local_datetime(&moment).earliest());
        start.map_or_else(|| midnight.and_utc(), |start| start.with_timezone(&Utc)).into()
    }
}

impl fmt::Debug for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name, as the database spells it.
impl FromStr for TimeZone {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let expected = "the name of an IANA time zone such as Europe/Berlin, America/New_York or UTC";
        text.parse().map(Self).map_err(|_| ParseError::new("a time zone", Problem::Form { expected }))
    }
}

impl TryFrom<String> for TimeZone {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl Serialize for TimeZone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Some days on end in a time zone, from 2000 to 2099: since then the days of all zones begin on a quarter of an hour in UTC,
/// by which clicks and conversions are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    first: NaiveDate,
    last: NaiveDate,
    zone: TimeZone,
}

impl Period {
    /// The most days that a period has: ten years.
    pub const MAX_DAYS: u64 = 3_660;

    /// The days from the first to the last one, both included.
    ///
    /// # Errors
    /// If the last one is before the first one, if one of them is not within the years 2000 to 2099, or if there are more than
    /// [`MAX_DAYS`](Self::MAX_DAYS).
    pub fn new(first: NaiveDate, last: NaiveDate, zone: TimeZone) -> Result<Self, ParseError> {
        let refused = |expected| Err(ParseError::new("a period", Problem::Form { expected }));
        if [first, last].iter().any(|date| !(2000..2100).contains(&date.year())) {
            return refused("within the years 2000 to 2099");
        }
        if last < first {
            return refused("one whose last day is not before its first");
        }
        let period = Self { first, last, zone };
        if period.days() > Self::MAX_DAYS {
            return refused("of 3660 days at the most");
        }
        Ok(period)
    }

    /// The days that a preset means at this moment. What it would have of days before 2000 or after 2099 is left out.
    #[must_use]
    pub fn preset(preset: Preset, zone: TimeZone, now: Timestamp) -> Self {
        let (start, end) = (first_date(2000), first_date(2100).pred_opt().unwrap_or_default());
        let today = zone.date_of(now).clamp(start, end);
        let back = |days| today.checked_sub_days(Days::new(days)).unwrap_or(start);
        let month = today.with_day(1).unwrap_or(today);
        let (first, last) = match preset {
            Preset::Today => (today, today),
            Preset::Yesterday => (back(1), back(1)),
            Preset::Last7Days => (back(6), today),
            Preset::Last30Days => (back(29), today),
            Preset::Last90Days => (back(89), today),
            Preset::ThisMonth => (month, today),
            Preset::LastMonth => {
                (month.checked_sub_months(Months::new(1)).unwrap_or(start), month.pred_opt().unwrap_or(start))
            }
            Preset::ThisYear => (first_date(today.year()), today),
            Preset::LastYear => (first_date(today.year() - 1), first_date(today.year()).pred_opt().unwrap_or(start)),
        };
        Self { first: first.clamp(start, end), last: last.clamp(start, end), zone }
    }

    /// Its first day.
    #[must_use]
    pub const fn first(&self) -> NaiveDate {
        self.first
    }

    /// Its last day.
    #[must_use]
    pub const fn last(&self) -> NaiveDate {
        self.last
    }

    /// The zone whose days they are.
    #[must_use]
    pub const fn zone(&self) -> TimeZone {
        self.zone
    }

    /// How many days there are.
    #[must_use]
    pub fn days(&self) -> u64 {
        self.last.signed_duration_since(self.first).num_days().unsigned_abs() + 1
    }

    /// The moment at which it begins.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.zone.start_of(self.first)
    }

    /// The moment at which it is over, which is not of it any more.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.zone.start_of(following(self.last))
    }

    /// As many days, just before these. `None` if they would begin before 2000.
    #[must_use]
    pub fn before(&self) -> Option<Self> {
        let last = self.first.pred_opt()?;
        let first = last.checked_sub_days(Days::new(self.days() - 1))?;
        Self::new(first, last, self.zone).ok()
    }

    /// Its dates, in order.
    pub fn dates(&self) -> impl Iterator<Item = NaiveDate> + use<> {
        let last = self.last;
        self.first.iter_days().take_while(move |date| *date <= last)
    }

    /// When its hours begin, in order: whenever clocks in the zone show a full hour, and with each day. An hour that comes
    /// twice, because clocks are put back, is there twice; one in which they are put back or forward by less than an hour is
    /// longer or shorter than others.
    #[must_use]
    pub fn hours(&self) -> Vec<Timestamp> {
        let (mut time, end) = (self.start(), self.end());
        let mut hours = Vec::new();
        let mut date = None;
        while time < end {
            let local = self.zone.local(time);
            let is_new_day = date != Some(local.date_naive());
            if is_new_day || local.minute() == 0 {
                hours.push(time);
            }
            date = Some(local.date_naive());
            time = time.plus(QUARTER_HOUR);
        }
        hours
    }
}

/// What all time zones' days and all hours are made of.
pub(crate) const QUARTER_HOUR: Duration = Duration::from_secs(15 * 60);

/// When the quarter of an hour begins that this time is in.
pub(crate) fn quarter_of(time: Timestamp) -> Timestamp {
    let quarter = i64::try_from(QUARTER_HOUR.as_millis()).unwrap_or(i64::MAX);
    time.minus(Duration::from_millis(time.as_millis().rem_euclid(quarter).unsigned_abs()))
}

fn following(date: NaiveDate) -> NaiveDate {
    date.succ_opt().unwrap_or(date)
}

fn first_date(year: i32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default()
}

/// A period by its name, which moves on with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    /// The present day.
    Today,
    /// The day before.
    Yesterday,
    /// The present day and the 6 before.
    Last7Days,
    /// The present day and the 29 before.
    Last30Days,
    /// The present day and the 89 before.
    Last90Days,
    /// From the first of the month to the present day.
    ThisMonth,
    /// The whole month before this one.
    LastMonth,
    /// From the first of January to the present day.
    ThisYear,
    /// The whole year before this one.
    LastYear,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Today,
        Self::Yesterday,
        Self::Last7Days,
        Self::Last30Days,
        Self::Last90Days,
        Self::ThisMonth,
        Self::LastMonth,
        Self::ThisYear,
        Self::LastYear,
    ];

    /// Its name, such as `last_7_days`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Yesterday => "yesterday",
            Self::Last7Days => "last_7_days",
            Self::Last30Days => "last_30_days",
            Self::Last90Days => "last_90_days",
            Self::ThisMonth => "this_month",
            Self::LastMonth => "last_month",
            Self::ThisYear => "this_year",
            Self::LastYear => "last_year",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Preset {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let expected = "one of today, yesterday, last_7_days, last_30_days, last_90_days, this_month, last_month, \
                        this_year and last_year";
        let found = Self::ALL.into_iter().find(|preset| preset.as_str() == text);
        found.ok_or(ParseError::new("a period", Problem::Form { expected }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use super::*;

    fn period(first: &str, last: &str, zone: &str) -> Period {
        Period::new(first.parse().unwrap(), last.parse().unwrap(), zone.parse().unwrap()).unwrap()
    }

    #[test]
    fn every_day_of_every_zone_begins_on_a_quarter_of_an_hour_and_where_the_one_before_ends() {
        for zone in TimeZone::all() {
            for year in [2000, 2005, 2011, 2016, 2024, 2026] {
                for date in first_date(year).iter_days().take(366) {
                    let start = zone.start_of(date);
                    assert_eq!(start.as_millis() % QUARTER_HOUR.as_millis() as i64, 0, "{date} in {zone}");
                    let (at, before) = (zone.date_of(start), zone.date_of(start.minus(QUARTER_HOUR)));
                    assert!(before < date && date <= at, "{date} in {zone} begins at {start}, {before} to {at}");
                }
            }
        }
    }

    #[test]
    fn days_are_as_long_as_clocks_make_them() {
        let hours = |date, zone| {
            let day = period(date, date, zone);
            (day.end().as_millis() - day.start().as_millis(), day.hours().len())
        };
        const MINUTE: i64 = 60_000;
        assert_eq!(hours("2026-03-29", "Europe/Berlin"), (23 * 60 * MINUTE, 23));
        assert_eq!(hours("2026-10-25", "Europe/Berlin"), (25 * 60 * MINUTE, 25));
        assert_eq!(hours("2026-03-29", "Asia/Kathmandu"), (24 * 60 * MINUTE, 24));
        // Clocks are put forward and back by half an hour.
        assert_eq!(hours("2026-10-04", "Australia/Lord_Howe"), (23 * 60 * MINUTE + 30 * MINUTE, 23));
        assert_eq!(hours("2026-04-05", "Australia/Lord_Howe"), (24 * 60 * MINUTE + 30 * MINUTE, 24));
        // Midnight does not come, and comes twice.
        assert_eq!(hours("2024-04-26", "Africa/Cairo"), (23 * 60 * MINUTE, 23));
        assert_eq!(hours("2024-11-03", "America/Havana"), (25 * 60 * MINUTE, 25));
        // A day was left out.
        assert_eq!(hours("2011-12-30", "Pacific/Apia"), (0, 0));
        assert_eq!(period("2011-12-29", "2011-12-31", "Pacific/Apia").hours().len(), 48);
    }

    #[test]
    fn presets_follow_the_calendar_of_the_zone() {
        let now: Timestamp = "2026-03-01T03:00:00Z".parse().unwrap();
        let days = |preset, zone: &str| {
            let period = Period::preset(preset, zone.parse().unwrap(), now);
            format!("{} {}", period.first(), period.last())
        };
        assert_eq!(days(Preset::Today, "UTC"), "2026-03-01 2026-03-01");
        assert_eq!(days(Preset::Today, "America/New_York"), "2026-02-28 2026-02-28");
        assert_eq!(days(Preset::Yesterday, "UTC"), "2026-02-28 2026-02-28");
        assert_eq!(days(Preset::Last7Days, "UTC"), "2026-02-23 2026-03-01");
        assert_eq!(days(Preset::LastMonth, "UTC"), "2026-02-01 2026-02-28");
        assert_eq!(days(Preset::LastMonth, "America/New_York"), "2026-01-01 2026-01-31");
        assert_eq!(days(Preset::LastYear, "UTC"), "2025-01-01 2025-12-31");
        let of_1970 = Period::preset(Preset::Last90Days, TimeZone::UTC, Timestamp::MIN);
        assert_eq!((of_1970.first(), of_1970.days()), (first_date(2000), 1));
        for preset in Preset::ALL {
            assert_eq!(preset.as_str().parse(), Ok(preset));
        }
    }

    #[test]
    fn the_period_before_has_as_many_days() {
        let before = period("2026-03-01", "2026-03-31", "UTC").before().unwrap();
        assert_eq!((before.first().to_string(), before.last().to_string()), ("2026-01-29".into(), "2026-02-28".into()));
        assert_eq!(period("2000-01-01", "2000-01-01", "UTC").before(), None);
    }

    #[test]
    fn what_is_no_period_is_refused() {
        let new = |first: &str, last: &str| {
            Period::new(first.parse().unwrap(), last.parse().unwrap(), TimeZone::UTC).map_err(|error| error.to_string())
        };
        assert!(new("2026-01-02", "2026-01-01").unwrap_err().contains("last day"));
        assert!(new("1999-12-31", "2026-01-01").unwrap_err().contains("2000 to 2099"));
        assert!(new("2010-01-01", "2026-01-01").unwrap_err().contains("3660 days"));
        assert_eq!(new("2026-01-01", "2026-01-01").unwrap().days(), 1);
        assert!("Mars/Olympus".parse::<TimeZone>().is_err());
    }
}
