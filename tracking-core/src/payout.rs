//! What an affiliate gets for a conversion.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, Serializer};

use crate::{Amount, Currency, ParseError, Problem};

/// What an affiliate gets for a conversion, exact: a share of an amount has up to twelve fractional digits, and none is
/// rounded off. Rounding is for whoever pays a sum of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payout {
    amount: Decimal,
    currency: Currency,
}

impl Payout {
    /// The most fractional digits: those of an [`Amount`], of a [`Percentage`], and two for the hundredth.
    pub const MAX_FRACTIONAL_DIGITS: u32 = Amount::MAX_FRACTIONAL_DIGITS + Percentage::MAX_FRACTIONAL_DIGITS + 2;

    /// # Errors
    /// If `amount` is negative, has more than twelve digits before the point, or more than twelve after it.
    pub fn new(amount: Decimal, currency: Currency) -> Result<Self, ParseError> {
        let amount = amount.normalize();
        let max = 10u64.pow(Amount::MAX_INTEGER_DIGITS) - 1;
        if amount.is_sign_negative() || amount.trunc() > Decimal::from(max) {
            return Err(ParseError::new("a payout", Problem::Range { min: 0, max }));
        }
        if amount.scale() > Self::MAX_FRACTIONAL_DIGITS {
            return Err(ParseError::new("a payout", Problem::TooPrecise { max: Self::MAX_FRACTIONAL_DIGITS }));
        }
        Ok(Self { amount, currency })
    }

    /// How much.
    #[must_use]
    pub const fn amount(self) -> Decimal {
        self.amount
    }

    /// Of what.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }
}

/// `9.995 USD`
impl fmt::Display for Payout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

/// How much an affiliate gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayoutRule {
    /// The same for each conversion.
    Fixed {
        /// How much.
        amount: Amount,
        /// Of what, which need not be the currency of the sale.
        currency: Currency,
    },
    /// A share of the conversion's amount, in its currency.
    Percent(Percentage),
}

impl PayoutRule {
    /// What a conversion of this amount pays.
    #[must_use]
    pub fn of(self, amount: Amount, currency: Currency) -> Payout {
        match self {
            Self::Fixed { amount, currency } => Payout { amount: amount.as_decimal(), currency },
            // 18 digits by 7 fit into the 28 of a Decimal, as do the two more of the hundredth.
            Self::Percent(Percentage(percent)) => {
                Payout { amount: (amount.as_decimal() * percent / Decimal::ONE_HUNDRED).normalize(), currency }
            }
        }
    }
}

/// `5 EUR`, `12.5%`
impl fmt::Display for PayoutRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed { amount, currency } => write!(f, "{amount} {currency}"),
            Self::Percent(percentage) => write!(f, "{percentage}%"),
        }
    }
}

/// `5 EUR`, `12.5%`
impl FromStr for PayoutRule {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let text = text.trim();
        if let Some(percentage) = text.strip_suffix('%') {
            return percentage.trim_end().parse().map(Self::Percent);
        }
        let expected = "an amount with its currency such as \"5 EUR\", or a percentage such as \"12.5%\"";
        let (amount, currency) = text.split_once(' ').ok_or(ParseError::new("a payout", Problem::Form { expected }))?;
        Ok(Self::Fixed { amount: amount.parse()?, currency: currency.trim_start().parse()? })
    }
}

/// From 0 to 100, with at most four fractional digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Percentage(Decimal);

impl Percentage {
    /// The most fractional digits.
    pub const MAX_FRACTIONAL_DIGITS: u32 = 4;

    /// The percentage as a decimal number: 12.5 for an eighth.
    #[must_use]
    pub const fn as_decimal(self) -> Decimal {
        self.0
    }
}

impl FromStr for Percentage {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let expected = "a number from 0 to 100 such as 12.5, with at most four fractional digits";
        let refused = ParseError::new("a percentage", Problem::Form { expected });
        // Written as an amount is, with narrower bounds.
        let value = text.parse::<Amount>().map_err(|_| refused.clone())?.as_decimal();
        if value > Decimal::ONE_HUNDRED || value.scale() > Self::MAX_FRACTIONAL_DIGITS {
            return Err(refused);
        }
        Ok(Self(value))
    }
}

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for Percentage {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl Serialize for Percentage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
