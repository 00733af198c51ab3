//! JSON that takes no more memory than a small multiple of its bytes.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads one JSON value that has no more parts than this. A list of a million zeros is two megabytes of text and
/// forty of memory, an empty object in it some twenty times as much as a number.
pub(crate) fn read(bytes: &[u8], most_parts: usize) -> serde_json::Result<Value> {
    let mut left = most_parts;
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = Bounded { left: &mut left }.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// What fails where there are too many parts; a text, because serde has no room for more.
pub(crate) const TOO_MANY: &str = "has too many values";

/// Reads a value, and counts its parts.
struct Bounded<'l> {
    left: &'l mut usize,
}

impl Bounded<'_> {
    fn spend<E: Error>(&mut self, parts: usize) -> Result<(), E> {
        *self.left = self.left.checked_sub(parts).ok_or_else(|| E::custom(TOO_MANY))?;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<Value, D::Error> {
        self.spend(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Bounded { left: self.left })? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Value, A::Error> {
        self.spend(PARTS_OF_AN_OBJECT)?;
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            // As much again as the value, for its name.
            *self.left = self.left.checked_sub(1).ok_or_else(|| A::Error::custom(TOO_MANY))?;
            object.insert(name, fields.next_value_seed(Bounded { left: self.left })?);
        }
        Ok(object.into())
    }
}

/// An object takes as much memory as so many numbers: 640 bytes with its first field.
const PARTS_OF_AN_OBJECT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_serde_reads() {
        for text in [
            "null",
            "true",
            "-1",
            "18446744073709551615",
            "1.5e3",
            r#""\u00e9\ud83d\ude00""#,
            r#"[1, "two", [3], {}]"#,
            r#"{"a": {"b": [null, false]}, "a": 2}"#,
        ] {
            assert_eq!(read(text.as_bytes(), 100).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        }
    }

    #[test]
    fn refuses_what_is_no_json_or_has_more_behind_it() {
        for text in ["", "{", "1 2", "[1,]", r#"{"a"}"#, "1e999", "\"\u{1}\""] {
            assert!(read(text.as_bytes(), 100).is_err(), "{text}");
        }
        assert!(read("[".repeat(100_000).as_bytes(), 1_000_000).is_err());
    }

    #[test]
    fn counts_values_and_objects_for_more() {
        let list = |items: usize, item: &str| format!("[{}]", vec![item; items].join(","));
        assert!(read(list(9, "0").as_bytes(), 10).is_ok());
        let refused = read(list(10, "0").as_bytes(), 10).unwrap_err();
        assert!(refused.to_string().contains(TOO_MANY), "{refused}");
        assert!(read(list(9, "{}").as_bytes(), 100).is_err());
        assert!(read(list(5, "{}").as_bytes(), 100).is_ok());
    }
}
