use std::fmt;

use thiserror::Error;

/// Why a text or number is not a value of one of the domain's types.
///
/// `Display` is a sentence that can be shown to whoever sent the value. It never repeats the value itself, which may
/// be long, hostile or secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{subject} {problem}")]
pub struct ParseError {
    subject: &'static str,
    problem: Problem,
}

impl ParseError {
    pub(crate) const fn new(subject: &'static str, problem: Problem) -> Self {
        Self { subject, problem }
    }

    /// What is wrong with the value.
    #[must_use]
    pub const fn problem(&self) -> &Problem {
        &self.problem
    }
}

/// What is wrong with a value that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// It has no characters at all.
    Empty,
    /// It has more characters than allowed.
    TooLong {
        /// The most characters that are allowed.
        max: usize,
    },
    /// A character stands in it that may not.
    Character {
        /// The character's place, counted from 1.
        position: usize,
        /// The character.
        found: char,
        /// Which characters may stand there.
        allowed: &'static str,
    },
    /// It does not have the form that it must have.
    Form {
        /// The form, as a noun phrase: "a whole number", "YYYY-MM-DD".
        expected: &'static str,
    },
    /// It is a number outside the range.
    Range {
        /// The least value.
        min: u64,
        /// The greatest value.
        max: u64,
    },
    /// It is a time that has not come yet.
    Future,
    /// It is an amount with more fractional digits than can be kept without rounding.
    TooPrecise {
        /// The most fractional digits.
        max: u32,
    },
    /// A macro stands in a destination URL that is not one of those that can be filled in, or where none may stand.
    Macro {
        /// The macros that may stand there; empty where none may.
        allowed: &'static [&'static str],
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("must not be empty"),
            Self::TooLong { max } => write!(f, "must not be longer than {max} characters"),
            Self::Character { position, found, allowed } => {
                write!(f, "may contain {allowed} only, but character {position} is {found:?}")
            }
            Self::Form { expected } => write!(f, "must be {expected}"),
            Self::Range { min, max } => write!(f, "must be from {min} to {max}"),
            Self::Future => f.write_str("must not be in the future"),
            Self::TooPrecise { max } => write!(f, "must not have more than {max} fractional digits"),
            Self::Macro { allowed: [] } => f.write_str("must not have a macro in its scheme, host or port"),
            Self::Macro { allowed } => {
                f.write_str("has a macro that is not known; known are")?;
                allowed.iter().try_for_each(|name| write!(f, " {{{name}}}"))
            }
        }
    }
}
