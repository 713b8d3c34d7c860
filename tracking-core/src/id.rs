//! Identifiers: numbers that a store gives out, and texts that callers choose.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ParseError, Problem};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty as $plain:ty), $subject:literal, max $max:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u64", into = "u64")]
        pub struct $name($inner);

        impl $name {
            /// The greatest id.
            pub const MAX: u64 = $max;

            /// # Errors
            /// If `id` is 0 or greater than [`MAX`](Self::MAX).
            pub const fn new(id: u64) -> Result<Self, ParseError> {
                if id <= Self::MAX
                    && let Some(inner) = <$inner>::new(id as $plain)
                {
                    return Ok(Self(inner));
                }
                Err(ParseError::new($subject, Problem::Range { min: 1, max: Self::MAX }))
            }

            /// The id as a plain number.
            #[must_use]
            #[allow(clippy::useless_conversion, reason = "u64::from is the identity for the wider ids")]
            pub fn as_u64(self) -> u64 {
                u64::from(self.0.get())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        /// Decimal digits and nothing else.
        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                if text.is_empty() {
                    return Err(ParseError::new($subject, Problem::Empty));
                }
                if !text.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(ParseError::new($subject, Problem::Form { expected: "a whole number" }));
                }
                // All digits: the only error left is a number too great for u64.
                Self::new(text.parse().unwrap_or(u64::MAX))
            }
        }

        impl TryFrom<u64> for $name {
            type Error = ParseError;

            fn try_from(id: u64) -> Result<Self, ParseError> {
                Self::new(id)
            }
        }

        impl From<$name> for u64 {
            fn from(id: $name) -> Self {
                id.as_u64()
            }
        }
    };
}

number!(
    /// Identifies an [`Affiliate`](crate::Affiliate): 1 to 2,147,483,647, the positive range of SQL's `INT`.
    AffiliateId(NonZeroU32 as u32), "an affiliate id", max i32::MAX as u64
);
number!(
    /// Identifies a [`Campaign`](crate::Campaign): 1 to 2,147,483,647, the positive range of SQL's `INT`.
    CampaignId(NonZeroU32 as u32), "a campaign id", max i32::MAX as u64
);
number!(
    /// The number of a [`Click`](crate::Click)'s record in its store: 1 to 2⁶³−1, given out by the store, unique in
    /// it, neither gap-free nor in the order of time. Visitors and advertisers know a click by its [`ClickId`].
    ClickRecordId(NonZeroU64 as u64), "a click record id", max i64::MAX as u64
);
number!(
    /// Identifies a [`Conversion`](crate::Conversion): 1 to 2⁶³−1, given out by the store, unique in it, neither
    /// gap-free nor in the order of time.
    ConversionId(NonZeroU64 as u64), "a conversion id", max i64::MAX as u64
);

/// What all types have in common that hold a text which their `new` has checked.
macro_rules! impl_text {
    ($name:ident) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.0, f)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ParseError;

            fn from_str(text: &str) -> Result<Self, $crate::ParseError> {
                Self::new(text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}
pub(crate) use impl_text;

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $subject:literal, max $max:literal, $allowed:literal, $is_allowed:expr) => {
        $(#[$doc])*
        ///
        /// Cloning shares the text and allocates nothing.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The most characters that it may have.
            pub const MAX_LEN: usize = $max;

            /// # Errors
            /// If `text` is empty, too long, or has a character that is not allowed.
            pub fn new(text: &str) -> Result<Self, ParseError> {
                if text.is_empty() {
                    return Err(ParseError::new($subject, Problem::Empty));
                }
                let is_allowed: fn(char) -> bool = $is_allowed;
                if let Some((index, found)) = text.chars().enumerate().find(|(_, c)| !is_allowed(*c)) {
                    let position = index + 1;
                    return Err(ParseError::new(
                        $subject,
                        Problem::Character { position, found, allowed: $allowed },
                    ));
                }
                // Only ASCII gets here, so bytes are characters.
                if text.len() > Self::MAX_LEN {
                    return Err(ParseError::new($subject, Problem::TooLong { max: Self::MAX_LEN }));
                }
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl_text!($name);

        impl TryFrom<String> for $name {
            type Error = ParseError;

            fn try_from(text: String) -> Result<Self, ParseError> {
                Self::new(&text)
            }
        }
    };
}

text!(
    /// Identifies a click to visitors, affiliates and advertisers: 1 to 100 visible ASCII characters (U+0021 to
    /// U+007E), compared byte by byte, case included. The caller supplies it, or the [`Tracker`](crate::Tracker)
    /// mints it.
    ClickId, "a click id", max 100, "visible ASCII characters", |c| c.is_ascii_graphic()
);
text!(
    /// The advertiser's own number of an order or lead, by which a retried postback is known again: 1 to 100 visible
    /// ASCII characters (U+0021 to U+007E), compared byte by byte, case included.
    TransactionId, "a transaction id", max 100, "visible ASCII characters", |c| c.is_ascii_graphic()
);
text!(
    /// What happened: `sale`, `lead`, `trial_started`. 1 to 64 ASCII letters, digits, `_`, `-` and `.`, compared byte
    /// by byte. The default is [`conversion`](EventName::default).
    EventName, "an event", max 64, "ASCII letters, digits, '_', '-' and '.'",
    |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
);

/// `conversion`, the event of a postback that names none.
impl Default for EventName {
    fn default() -> Self {
        // One allocation for the life of the process: this is on the path of every postback.
        static DEFAULT: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(|| "conversion".into());
        Self(Arc::clone(&DEFAULT))
    }
}
