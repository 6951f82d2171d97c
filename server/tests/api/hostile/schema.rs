//! The schemas of commands: where their data has texts, and data that has every field.

use domain::aggregate::Command;
use serde_json::{Value, json};
use uuid::Uuid;

/// The schema of a command's data.
fn schema(name: &str) -> Value {
    let known = Command::schemas().into_iter().find(|(known, _)| *known == name);
    known.unwrap_or_else(|| panic!("there is no command {name}")).1
}

/// Data of a command with every field of its schema, each of the right type.
pub(crate) fn sample(name: &str) -> Value {
    let schema = schema(name);
    sample_of(&schema, &schema)
}

/// The texts of a command's data, as pointers into data whose lists have one item: also texts with a form,
/// such as ids and words of a few.
pub(crate) fn texts(name: &str) -> Vec<String> {
    let schema = schema(name);
    let mut found = Vec::new();
    collect(&schema, &schema, "", &mut found);
    found.sort();
    found.dedup();
    found
}

/// The definition that a part of a schema refers to, or the part itself.
fn resolved<'a>(part: &'a Value, root: &'a Value) -> &'a Value {
    match part["$ref"].as_str() {
        Some(reference) => {
            let at = reference.strip_prefix('#').unwrap();
            root.pointer(at)
                .unwrap_or_else(|| panic!("{reference} is no definition"))
        }
        None => part,
    }
}

fn alternatives(part: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf", "allOf"]
        .into_iter()
        .flat_map(move |keyword| part[keyword].as_array().into_iter().flatten())
}

fn has_type(part: &Value, wanted: &str) -> bool {
    match &part["type"] {
        Value::Array(types) => types.iter().any(|one| one == wanted),
        one => one == wanted,
    }
}

fn sample_of(part: &Value, root: &Value) -> Value {
    let part = resolved(part, root);
    if let Some(value) = part.get("const").or_else(|| part["enum"].get(0)) {
        return value.clone();
    }
    if let Some(other) = alternatives(part).find(|other| !has_type(other, "null")) {
        return sample_of(other, root);
    }
    if has_type(part, "object") {
        let members = part["properties"].as_object().into_iter().flatten();
        return members
            .map(|(name, member)| (name.clone(), sample_of(member, root)))
            .collect();
    }
    if has_type(part, "array") {
        return json!([sample_of(&part["items"], root)]);
    }
    if has_type(part, "string") {
        return match part["format"].as_str() {
            Some("uuid") => json!(Uuid::from_u128(7)),
            _ => json!("text"),
        };
    }
    if has_type(part, "boolean") {
        json!(true)
    } else {
        json!(1)
    }
}

fn collect(part: &Value, root: &Value, pointer: &str, found: &mut Vec<String>) {
    let part = resolved(part, root);
    for other in alternatives(part) {
        collect(other, root, pointer, found);
    }
    let is_word = part["const"].is_string() || part["enum"].get(0).is_some_and(Value::is_string);
    if has_type(part, "string") || is_word {
        found.push(pointer.to_owned());
    }
    if has_type(part, "array") {
        collect(&part["items"], root, &format!("{pointer}/0"), found);
    }
    for (name, member) in part["properties"].as_object().into_iter().flatten() {
        collect(member, root, &format!("{pointer}/{name}"), found);
    }
}

/// The name of a field in a problem: `data.lines[0].sku` for `/lines/0/sku`.
pub(crate) fn field(pointer: &str) -> String {
    let segments = pointer.split('/').skip(1);
    segments.fold("data".to_owned(), |path, segment| {
        match segment.parse::<usize>() {
            Ok(n) => format!("{path}[{n}]"),
            Err(_) => format!("{path}.{segment}"),
        }
    })
}

#[test]
fn the_texts_of_a_command_are_found_in_its_schema() {
    assert_eq!(texts("PlaceOrder"), ["/lines/0/sku", "/payment_method"]);
    assert_eq!(
        texts("RegisterUser"),
        ["/display_name", "/email", "/language", "/password", "/role"]
    );
    assert_eq!(texts("ReadNotifications"), ["/events/0"]);
    assert_eq!(field("/lines/0/sku"), "data.lines[0].sku");
    for name in Command::names() {
        let data = sample(name);
        for pointer in texts(name) {
            assert!(
                data.pointer(&pointer).is_some_and(Value::is_string),
                "{name}{pointer}: {data}"
            );
        }
    }
}
