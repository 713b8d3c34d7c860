//! Parameters as they are received: named texts that are still to be parsed.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::utf8_percent_encode;
use thiserror::Error;

use crate::destination::RESERVED;
use crate::signature::SIGNATURE;
use crate::{ParseError, Problem};

/// The parameter that holds a campaign's postback key.
pub(crate) const TOKEN: &str = "token";

/// Named texts, as a query or a form holds them, in the order in which they came.
///
/// Parameters that nobody asks for are ignored: advertising networks append their own.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    /// The value of a parameter that has to be there.
    ///
    /// # Errors
    /// If it is absent, repeated, or not a `T`.
    pub fn required<T>(&self, name: &'static str) -> Result<T, ParameterError>
    where
        T: FromStr<Err = ParseError>,
    {
        let text = self.text(name)?.ok_or(ParameterError { name, problem: ParameterProblem::Missing })?;
        parse(name, text)
    }

    /// The value of a parameter that may be left out, or left empty, as a macro that was not filled in leaves it.
    ///
    /// # Errors
    /// If it is repeated, or not a `T`.
    pub fn optional<T>(&self, name: &'static str) -> Result<Option<T>, ParameterError>
    where
        T: FromStr<Err = ParseError>,
    {
        self.text(name)?.filter(|text| !text.is_empty()).map(|text| parse(name, text)).transpose()
    }

    /// The text of a parameter; `None` if it is absent.
    ///
    /// # Errors
    /// If it is repeated: which one is meant can't be told.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, ParameterError> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| &**value);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(ParameterError { name, problem: ParameterProblem::Repeated }),
            (value, None) => Ok(value),
        }
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// These and those.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// What a `GET` signs: each parameter but `signature` as `name=value`, both percent-encoded but for letters, digits and
    /// `-._~`, sorted by bytes, with `&` between.
    #[must_use]
    pub fn canonical(&self) -> String {
        let encode = |text| utf8_percent_encode(text, RESERVED);
        let signed = self.iter().filter(|(name, _)| *name != SIGNATURE);
        let mut pairs: Vec<String> =
            signed.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        pairs.sort_unstable();
        pairs.join("&")
    }

    /// The same as a query, without what is secret, and no longer than so many bytes.
    #[must_use]
    pub fn redacted(&self, max_len: usize) -> String {
        const CUT: &str = "&…";
        let push = |pair: &mut String, text: &str, is_secret: bool| match is_secret {
            true => pair.push('…'),
            // Nobody needs more of one that is as long as all of them may be.
            false => pair.extend(utf8_percent_encode(&text[..text.floor_char_boundary(max_len)], RESERVED)),
        };
        let (mut query, mut is_cut) = (String::new(), false);
        for (name, value) in self.iter() {
            let mut pair = String::new();
            push(&mut pair, name, is_key(name));
            pair.push('=');
            push(&mut pair, value, is_secret(name, value));
            if query.len() + "&".len() + pair.len() + CUT.len() > max_len {
                is_cut = true;
                continue;
            }
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(&pair);
        }
        if is_cut && query.len() + CUT.len() <= max_len {
            query.push_str(CUT);
        }
        query
    }
}

/// Whether a parameter holds a key or a signature, also one that was sent by a wrong name.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    [TOKEN, SIGNATURE].contains(&name) || is_key(value)
}

fn is_key(text: &str) -> bool {
    ["pbk_", "whsec_"].iter().any(|prefix| text.contains(prefix))
}

fn parse<T>(name: &'static str, text: &str) -> Result<T, ParameterError>
where
    T: FromStr<Err = ParseError>,
{
    text.parse().map_err(|error| ParameterError { name, problem: ParameterProblem::Invalid(error) })
}

/// Without the values that are secret.
impl fmt::Debug for Parameters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.iter().map(|(name, value)| {
            (if is_key(name) { "…" } else { name }, if is_secret(name, value) { "…" } else { value })
        });
        f.debug_map().entries(shown).finish()
    }
}

impl<'a, K, V> FromIterator<(K, V)> for Parameters<'a>
where
    K: Into<Cow<'a, str>>,
    V: Into<Cow<'a, str>>,
{
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// Why a parameter was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name} {problem}")]
pub struct ParameterError {
    /// The parameter.
    pub name: &'static str,
    /// What is wrong with it.
    pub problem: ParameterProblem,
}

/// What is wrong with a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParameterProblem {
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// It is there more than once.
    #[error("is given more than once")]
    Repeated,
    /// Its value is not one that it may have.
    #[error("is not valid: {0}")]
    Invalid(ParseError),
}

impl ParameterProblem {
    /// Whether the value has the right form, but is refused for what it says.
    #[must_use]
    pub const fn is_well_formed(&self) -> bool {
        matches!(self, Self::Invalid(error) if matches!(error.problem(), Problem::Range { .. } | Problem::TooPrecise { .. } | Problem::Future))
    }
}
