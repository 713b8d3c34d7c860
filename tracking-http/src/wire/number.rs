//! Exact numbers in JSON, which no float could promise.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use tracking_core::rust_decimal::Decimal;

/// A decimal as a JSON number with exactly its digits.
pub(crate) fn exact_number<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(value.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

/// The digits of a number, which is written as a number or as a text.
#[derive(Debug, Clone)]
pub(crate) struct ExactNumber(pub(crate) String);

impl<'de> Deserialize<'de> for ExactNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        match crate::postback::plain(raw) {
            Ok(Some(text)) if !matches!(raw.get(), "true" | "false") => Ok(Self(text.into_owned())),
            _ => Err(serde::de::Error::custom("expected a number, or a text with one")),
        }
    }
}
