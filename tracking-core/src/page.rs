//! Lists: newest first, by keyset cursor.

use std::fmt;
use std::str::FromStr;

use crate::{ParseError, Problem, Timestamp};

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageRequest {
    /// How many records at the most.
    pub limit: Limit,
    /// Only what comes after this place in the list; `None` starts with the newest.
    pub after: Option<Cursor>,
}

/// A part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The records.
    pub items: Vec<T>,
    /// Where the next page starts; `None` when the list ends here.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page out of up to `limit + 1` records: the one too many tells that there is a next page.
    pub fn from_one_more(mut items: Vec<T>, limit: Limit, cursor: impl Fn(&T) -> Cursor) -> Self {
        let has_next = items.len() > limit.as_usize();
        items.truncate(limit.as_usize());
        let next = if has_next { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

/// One step of a [purge](crate::Store::purge_clicks).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurgeRequest {
    /// Clicks created before this time are to go.
    pub before: Timestamp,
    /// How many of them to look at.
    pub limit: Limit,
    /// Only those that are newer than this place; `None` starts with the oldest.
    pub after: Option<Cursor>,
}

/// What one step of a purge has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// How many clicks were deleted.
    pub deleted: u64,
    /// Where the next step starts; `None` when there are no more clicks that are old enough.
    pub next: Option<Cursor>,
}

/// How many records a page has at the most: 1 to 1,000, 100 if nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit(u16);

impl Limit {
    /// The greatest limit.
    pub const MAX: u64 = 1000;

    /// # Errors
    /// If `limit` is 0 or greater than [`MAX`](Self::MAX).
    pub const fn new(limit: u64) -> Result<Self, ParseError> {
        if limit == 0 || limit > Self::MAX {
            return Err(ParseError::new("a limit", Problem::Range { min: 1, max: Self::MAX }));
        }
        Ok(Self(limit as u16))
    }

    /// The limit as a plain number.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl FromStr for Limit {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ParseError::new("a limit", Problem::Form { expected: "a whole number" }));
        }
        // All digits: the only error left is a number too great for u64.
        Self::new(text.parse().unwrap_or(u64::MAX))
    }
}

/// A place in a list: just after the record with this time and number.
///
/// Every list is sorted by time of creation and then by number, both descending: a total order, so that a record that
/// is added while somebody pages neither repeats nor hides another. As a text it is opaque to callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    created_at: Timestamp,
    id: u64,
}

impl Cursor {
    /// The place just after the record that was created at this time and has this number.
    pub fn after(created_at: Timestamp, id: impl Into<u64>) -> Self {
        Self { created_at, id: id.into() }
    }

    /// The time of the record before the place.
    #[must_use]
    pub fn created_at(self) -> Timestamp {
        self.created_at
    }

    /// The number of the record before the place.
    #[must_use]
    pub fn id(self) -> u64 {
        self.id
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.created_at.as_millis(), self.id)
    }
}

impl FromStr for Cursor {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parse = |text: &str| -> Option<Self> {
            let (millis, id) = text.split_once('-')?;
            // `from_str_radix` would take a sign too.
            if text.contains('+') {
                return None;
            }
            let created_at = Timestamp::from_millis(i64::from_str_radix(millis, 16).ok()?).ok()?;
            let id = u64::from_str_radix(id, 16).ok()?;
            Some(Self { created_at, id })
        };
        parse(text).ok_or(ParseError::new("a cursor", Problem::Form { expected: "the next_cursor of an earlier page" }))
    }
}
