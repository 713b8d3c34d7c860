//! Parts of JSON that are read and written more strictly than by themselves.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use tracking_core::rust_decimal::Decimal;

/// A decimal as a JSON number with exactly its digits, which no float could promise.
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

/// A field that may be left out, and not be null.
pub(crate) fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// What has to be written as an object. Otherwise a list of the fields, in their order, would do as well.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}
