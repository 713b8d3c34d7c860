//! Money: exact decimals and ISO 4217 codes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, Serializer};

use crate::{ParseError, Problem};

/// The worth of a conversion: from 0 to 999,999,999,999.999999, exact, with at most six fractional digits.
///
/// Amounts are compared as numbers, so `100`, `100.0` and `100.00` are one amount; it is printed in its shortest form,
/// `100`. Nothing is ever rounded: a seventh fractional digit is an error unless it is zero.
///
/// ```
/// use tracking_core::Amount;
///
/// let amount: Amount = "99.950".parse()?;
/// assert_eq!(amount.to_string(), "99.95");
/// assert!("0.0000001".parse::<Amount>().is_err());
/// # Ok::<(), tracking_core::ParseError>(())
/// ```
///
/// [`serde`] writes it as a text, because a JSON number is a float to most readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Amount(Decimal);

impl Amount {
    /// The most fractional digits.
    pub const MAX_FRACTIONAL_DIGITS: u32 = 6;

    /// The most digits before the decimal point.
    pub const MAX_INTEGER_DIGITS: u32 = 12;

    const SUBJECT: &str = "an amount";

    /// # Errors
    /// If `value` is negative, too great, or has more than six fractional digits that are not trailing zeros.
    pub fn new(value: Decimal) -> Result<Self, ParseError> {
        let value = value.normalize();
        if value.is_sign_negative() || value.trunc() > Decimal::from(Self::max_integer()) {
            let problem = Problem::Range { min: 0, max: Self::max_integer() };
            return Err(ParseError::new(Self::SUBJECT, problem));
        }
        if value.scale() > Self::MAX_FRACTIONAL_DIGITS {
            let problem = Problem::TooPrecise { max: Self::MAX_FRACTIONAL_DIGITS };
            return Err(ParseError::new(Self::SUBJECT, problem));
        }
        Ok(Self(value))
    }

    /// The amount as a decimal number.
    #[must_use]
    pub fn as_decimal(self) -> Decimal {
        self.0
    }

    const fn max_integer() -> u64 {
        10u64.pow(Self::MAX_INTEGER_DIGITS) - 1
    }
}

/// Digits, with a point and more digits if need be: `100`, `99.95`. No sign, no exponent, no separators.
impl FromStr for Amount {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.is_empty() {
            return Err(ParseError::new(Self::SUBJECT, Problem::Empty));
        }
        let (integer, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(integer) || !is_digits(fraction) {
            let expected = "a decimal number from 0 such as 100 or 99.95, without sign, exponent or separators";
            return Err(ParseError::new(Self::SUBJECT, Problem::Form { expected }));
        }
        // Shortened to what carries value, so that the checks below see the number and not its spelling.
        let integer = integer.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        if integer.len() > Self::MAX_INTEGER_DIGITS as usize {
            let problem = Problem::Range { min: 0, max: Self::max_integer() };
            return Err(ParseError::new(Self::SUBJECT, problem));
        }
        if fraction.len() > Self::MAX_FRACTIONAL_DIGITS as usize {
            let problem = Problem::TooPrecise { max: Self::MAX_FRACTIONAL_DIGITS };
            return Err(ParseError::new(Self::SUBJECT, problem));
        }
        // At most 18 digits, which a u64 holds.
        let digits = integer.bytes().chain(fraction.bytes());
        let mantissa = digits.fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0'));
        Ok(Self(Decimal::from_i128_with_scale(i128::from(mantissa), fraction.len() as u32)))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for Amount {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An ISO 4217 alphabetic code, such as `USD`. Read in any case, printed in capitals.
///
/// Codes that have gone out of use are known too, so that old records can still be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The three capital letters.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many fractional digits its amounts usually have: 2 for `USD`, 0 for `JPY`. An amount may have more.
    #[must_use]
    pub fn minor_digits(self) -> usize {
        self.0.exponent().map_or(2, usize::from)
    }
}

impl FromStr for Currency {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.is_empty() {
            return Err(ParseError::new("a currency", Problem::Empty));
        }
        let expected = "an ISO 4217 code such as USD or EUR";
        iso_currency::Currency::from_code(&text.to_ascii_uppercase())
            // For tests, and for no currency at all.
            .filter(|currency| !matches!(currency, iso_currency::Currency::XTS | iso_currency::Currency::XXX))
            .map(Self)
            .ok_or(ParseError::new("a currency", Problem::Form { expected }))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// In the order of the codes.
impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<String> for Currency {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// Exact sums of amounts, one for each currency: nothing is converted, nothing is rounded. A currency whose sum is zero is
/// not there.
///
/// ```
/// use tracking_core::Totals;
///
/// let mut totals = Totals::default();
/// totals.add("0.1".parse()?, "USD".parse()?);
/// totals.add("0.2".parse()?, "USD".parse()?);
/// totals.add("5".parse()?, "EUR".parse()?);
/// let printed: Vec<String> = totals.iter().map(|(currency, sum)| format!("{sum} {currency}")).collect();
/// assert_eq!(printed, ["5 EUR", "0.3 USD"]);
/// # Ok::<(), tracking_core::ParseError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals(BTreeMap<Currency, Decimal>);

impl Totals {
    /// Adds one amount.
    pub fn add(&mut self, amount: Amount, currency: Currency) {
        self.add_sum(amount.as_decimal(), currency);
    }

    /// Adds a sum of amounts, such as a row of a store's counters.
    ///
    /// A total is exact as long as it fits into the 28 digits of a [`Decimal`]: so do ten billion of the greatest
    /// [`Amount`]s, and payouts of twelve fractional digits up to 10¹⁶ together. Beyond that its last digits are rounded, and
    /// beyond what a [`Decimal`] can hold it stays at [`Decimal::MAX`].
    pub fn add_sum(&mut self, sum: Decimal, currency: Currency) {
        let total = self.0.entry(currency).or_default();
        // 28 digits, six of them fractional: the greatest amount fits ten billion times. `+` panics beyond that.
        *total = total.checked_add(sum).unwrap_or(Decimal::MAX).normalize();
        if total.is_zero() {
            self.0.remove(&currency);
        }
    }

    /// The sums of both.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut sums = self.clone();
        other.iter().for_each(|(currency, sum)| sums.add_sum(sum, currency));
        sums
    }

    /// What is left of these sums when those are taken away: some may be negative.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut sums = self.clone();
        other.iter().for_each(|(currency, sum)| sums.add_sum(-sum, currency));
        sums
    }

    /// These sums, each divided by a number of things and rounded to [`Amount::MAX_FRACTIONAL_DIGITS`], half to even. Of nothing it
    /// is nothing.
    #[must_use]
    pub fn per(&self, count: u64) -> Self {
        let mut shares = Self::default();
        for (currency, sum) in self.iter().filter(|_| count > 0) {
            shares.add_sum((sum / Decimal::from(count)).round_dp(Amount::MAX_FRACTIONAL_DIGITS), currency);
        }
        shares
    }

    /// The sum in this currency.
    #[must_use]
    pub fn of(&self, currency: Currency) -> Decimal {
        self.0.get(&currency).copied().unwrap_or_default()
    }

    /// Currencies with their sums, in the order of the codes.
    pub fn iter(&self) -> impl Iterator<Item = (Currency, Decimal)> {
        self.0.iter().map(|(currency, sum)| (*currency, *sum))
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
