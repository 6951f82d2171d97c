//! The JSON Schemas of all event versions, derived from the structs, and the comparison of two schemas.
//!
//! Behind a feature, because the browser does not need it.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};

use super::EventSchema;

/// Keywords that explain a schema and do not affect validation.
const WORDS: [&str; 4] = ["title", "description", "examples", "$comment"];

/// Keywords whose value maps names to schemas.
const NAMED: [&str; 3] = ["properties", "patternProperties", "$defs"];

/// The schema of a payload, in JSON Schema 2020-12.
pub fn of<T: JsonSchema>(event_type: &str, version: u32) -> EventSchema {
    let schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>();
    EventSchema {
        event_type: event_type.to_owned(),
        version,
        schema: schema.to_value(),
    }
}

/// Whether both schemas accept the same payloads: they differ at most in explanations and in the order of
/// fields.
pub fn same_meaning(one: &Value, other: &Value) -> bool {
    without_words(one) == without_words(other)
}

fn without_words(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(keyword, _)| !WORDS.contains(&keyword.as_str()))
                .map(|(keyword, value)| (keyword.clone(), value_without_words(keyword, value)))
                .collect(),
        ),
        Value::Array(schemas) => Value::Array(schemas.iter().map(without_words).collect()),
        other => other.clone(),
    }
}

fn value_without_words(keyword: &str, value: &Value) -> Value {
    match value {
        // Under these keywords, a name such as `title` is a field and not a keyword.
        Value::Object(named) if NAMED.contains(&keyword) => {
            let each = named
                .iter()
                .map(|(name, schema)| (name.clone(), without_words(schema)));
            Value::Object(each.collect::<Map<_, _>>())
        }
        // The allowed values are data, not schemas.
        _ if ["const", "enum", "default"].contains(&keyword) => value.clone(),
        value => without_words(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::DomainEvent;

    #[test]
    fn every_version_from_the_first_has_its_schema() {
        let schemas = DomainEvent::schemas();
        for known in DomainEvent::types() {
            for version in 1..=known.schema_version {
                let of_version = schemas
                    .iter()
                    .filter(|schema| (schema.event_type.as_str(), schema.version) == (known.name, version));
                assert_eq!(of_version.count(), 1, "{} version {version}", known.name);
            }
        }
    }

    #[test]
    fn a_schema_lists_the_required_fields_of_its_version() {
        let schemas = DomainEvent::schemas();
        let failed: Vec<_> = schemas
            .iter()
            .filter(|schema| schema.event_type == "StockReservationFailed")
            .map(|schema| schema.schema["required"].clone())
            .collect();
        assert_eq!(
            failed,
            [
                json!(["order", "quantity", "available"]),
                json!(["order", "requested", "available"])
            ]
        );
    }

    #[test]
    fn a_new_language_changes_no_schema() {
        for schema in DomainEvent::schemas() {
            let language = &schema.schema["properties"]["language"];
            assert!(
                language.is_null() || language["type"] == "string" && language.get("enum").is_none(),
                "{}: {language}",
                schema.event_type
            );
        }
    }

    #[test]
    fn schemas_may_differ_in_explanations_only() {
        let schema = |title: &str, kind: &str| {
            json!({
                "title": title,
                "type": "object",
                "properties": {"title": {"type": kind, "description": title}},
            })
        };
        assert!(same_meaning(&schema("a", "string"), &schema("b", "string")));
        assert!(!same_meaning(&schema("a", "string"), &schema("a", "integer")));
        assert!(!same_meaning(
            &json!({"properties": {"title": {"type": "string"}}}),
            &json!({"properties": {}})
        ));
        assert!(!same_meaning(&json!({"enum": ["title"]}), &json!({"enum": []})));
    }
}
