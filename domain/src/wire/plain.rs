//! Reads types from JSON values with as little code for each type as possible, for the browser.
//! `serde_json`'s own reader of values also reads structs from arrays, which doubles the code of each, and no
//! answer of ours has such.

use std::slice;

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Unexpected, Visitor,
        value::{BorrowedStrDeserializer, MapAccessDeserializer, MapDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Error, Value, map};

/// The name by which `serde_json` recognises `RawValue`.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Reads a type from a JSON value. Members that it does not know are ignored.
pub fn from_plain<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    T::deserialize(Plain(value))
}

#[derive(Clone, Copy)]
struct Plain<'a>(&'a Value);

impl<'a> Plain<'a> {
    /// What was found in place of another kind of value.
    fn unexpected(self) -> Unexpected<'a> {
        match self.0 {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Unexpected::Unsigned(number),
                (None, Some(number)) => Unexpected::Signed(number),
                _ => Unexpected::Float(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        }
    }

    /// The error for another kind of value, once for all types.
    #[inline(never)]
    fn refusal(self, expected: &dyn serde::de::Expected) -> Error {
        Error::invalid_type(self.unexpected(), expected)
    }

    fn scalar<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                _ => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(self.refusal(&visitor)),
        }
    }
}

/// Methods that read a value which is neither array nor object.
macro_rules! scalars {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.scalar(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Plain<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => self.scalar(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == RAW_VALUE {
            let raw = [(RAW_VALUE, self.0.to_string())];
            return visitor.visit_map(MapDeserializer::new(raw.into_iter()));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(elements) => visitor.visit_seq(Elements(elements.iter())),
            _ => Err(self.refusal(&visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(members) => visitor.visit_map(Members::of(members)),
            _ => Err(self.refusal(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(variant) => visitor.visit_enum(BorrowedStrDeserializer::new(variant)),
            Value::Object(members) => visitor.visit_enum(MapAccessDeserializer::new(Members::of(members))),
            _ => Err(self.refusal(&visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    scalars! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 deserialize_char
        deserialize_str deserialize_string deserialize_identifier
    }

    forward_to_deserialize_any! { bytes byte_buf unit unit_struct tuple tuple_struct }
}

struct Elements<'a>(slice::Iter<'a, Value>);

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.0
            .next()
            .map(|element| seed.deserialize(Plain(element)))
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Members<'a> {
    rest: map::Iter<'a>,
    value: &'a Value,
}

impl<'a> Members<'a> {
    fn of(members: &'a serde_json::Map<String, Value>) -> Self {
        Self {
            rest: members.iter(),
            value: &Value::Null,
        }
    }
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some((name, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = value;
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(Plain(self.value))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fmt::Debug};

    use serde::{Deserialize, Serialize};
    use serde_json::{json, value::RawValue};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Newtype(u32);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Choice {
        Plain,
        With(Newtype),
        Of { text: String },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct All {
        flag: bool,
        number: i64,
        fraction: f64,
        text: String,
        nothing: Option<Newtype>,
        something: Option<Newtype>,
        choices: Vec<Choice>,
        map: BTreeMap<String, u8>,
        pair: (u8, String),
        any: Value,
        #[serde(default)]
        absent: Option<u8>,
    }

    fn refusal<T: DeserializeOwned + Debug>(value: &Value) -> String {
        from_plain::<T>(value).unwrap_err().to_string()
    }

    #[test]
    fn what_was_written_is_read() {
        let all = All {
            flag: true,
            number: -5,
            fraction: 1.5,
            text: "ä".to_owned(),
            nothing: None,
            something: Some(Newtype(7)),
            choices: vec![
                Choice::Plain,
                Choice::With(Newtype(1)),
                Choice::Of { text: String::new() },
            ],
            map: BTreeMap::from([("a".to_owned(), 1)]),
            pair: (2, "b".to_owned()),
            any: json!({"a": [null, 1.5, "x"]}),
            absent: None,
        };
        let mut written = serde_json::to_value(&all).unwrap();
        written["unknown"] = json!([{"x": 1}]);
        assert_eq!(from_plain::<All>(&written).unwrap(), all);
    }

    #[test]
    fn raw_json_is_read_as_it_is() {
        let raw: Box<RawValue> = from_plain(&json!({"a": [1, 2]})).unwrap();
        assert_eq!(raw.get(), r#"{"a":[1,2]}"#);
    }

    #[test]
    fn another_kind_of_value_is_refused_as_serde_json_does() {
        let values = [
            json!(null),
            json!("x"),
            json!(-1),
            json!(1.5),
            json!([1]),
            json!({"a": 1}),
            json!(300),
        ];
        for value in values {
            let expected = serde_json::from_value::<u8>(value.clone())
                .unwrap_err()
                .to_string();
            assert_eq!(refusal::<u8>(&value), expected);
        }
        assert!(refusal::<Vec<u8>>(&json!({})).starts_with("invalid type: map"));
        assert!(refusal::<Choice>(&json!("other")).starts_with("unknown variant"));
        assert!(refusal::<All>(&json!({})).starts_with("missing field"));
    }
}
