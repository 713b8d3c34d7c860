//! The status of a conversion, and how it changes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::click::free_text;
use crate::{ParseError, Problem, Timestamp};

/// Whether a conversion counts.
///
/// It goes one way only: from pending to approved or rejected, and from approved to rejected. A refund is such a
/// change, and no sale of a negative amount. What has been rejected stays so, so that no call that arrives late, or
/// twice, can bring it back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConversionStatus {
    /// Somebody has to look at it yet. It counts until somebody says otherwise.
    Pending,
    /// It counts.
    #[default]
    Approved,
    /// It does not count: it was refunded, or should not have been reported.
    Rejected,
}

impl ConversionStatus {
    /// All of them, in the order in which a conversion can have them.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Approved, Self::Rejected];

    /// Its name in parameters and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }

    /// Whether a conversion of this status may get the other one.
    #[must_use]
    pub fn can_become(self, other: Self) -> bool {
        // In the order of the variants, from which there is no way back.
        self < other
    }

    /// Whether conversions of this status are part of conversions, revenue and payout.
    #[must_use]
    pub const fn counts(self) -> bool {
        !matches!(self, Self::Rejected)
    }
}

impl fmt::Display for ConversionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ConversionStatus {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or(ParseError::new("a status", Problem::Form { expected: "pending, approved or rejected" }))
    }
}

/// A change of a conversion's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusChange {
    /// The status before.
    pub from: ConversionStatus,
    /// The status from then on.
    pub to: ConversionStatus,
    /// When it changed.
    pub changed_at: Timestamp,
    /// Who changed it.
    pub changed_by: ChangedBy,
    /// Why.
    pub reason: Option<Reason>,
}

free_text!(
    /// Why a status was changed: 1 to 255 characters of any script, without control characters.
    Reason, "a reason"
);

/// Who changed a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangedBy {
    /// The advertiser, by a later postback.
    Advertiser,
    /// Somebody who may change everything, over HTTP or on the dashboard.
    Admin,
    /// The application itself.
    Application,
}

impl ChangedBy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Advertiser, Self::Admin, Self::Application];

    /// Its name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Advertiser => "advertiser",
            Self::Admin => "admin",
            Self::Application => "application",
        }
    }
}

impl fmt::Display for ChangedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ChangedBy {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = Self::ALL.into_iter().find(|by| by.as_str() == text);
        found.ok_or(ParseError::new("who changed it", Problem::Form { expected: "advertiser, admin or application" }))
    }
}
