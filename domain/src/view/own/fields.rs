//! What the schemas of the event types offer to a view of one's own, and the rules of its definition.
//!
//! A field is offered if it is one value: a text, a whole number, a time, or true or false. Personal fields
//! are not offered: the log has them sealed, and a person may be erased.

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::{Map, Value};

use super::slot;
use crate::{
    event::{DomainEvent, personal},
    parse_error::shorten,
    policy,
    rejection::{Rejection, Violations},
    view,
    wire::{
        FieldKind, FoldOp, OfferedEventType, OfferedField, OfferedFields, OwnFold, OwnViewDefinition,
        own_views::{MAX_OWN_FOLDS, MAX_OWN_NAME, MAX_OWN_TYPES},
    },
};

/// The members of a document that no fold can be named after.
const RESERVED: [&str; 4] = ["group", "key", "state", "truncated"];

/// How deep the members of a payload are offered.
const MAX_DEPTH: usize = 8;

/// The most digits of a place in a list.
const MAX_PLACE_DIGITS: usize = 2;

/// The most bytes of a path.
const MAX_PATH: usize = 120;

/// The characters that a violation shows of a name that there is not.
const MAX_SHOWN: usize = 60;

/// The fields that event types offer, from their newest schemas.
pub fn offered_fields() -> &'static OfferedFields {
    static OFFERED: LazyLock<OfferedFields> = LazyLock::new(|| {
        let schemas = DomainEvent::schemas();
        let mut types: Vec<OfferedEventType> = DomainEvent::types()
            .filter_map(|known| {
                let schema = schemas.iter().find(|schema| {
                    schema.event_type == known.name && schema.version == known.schema_version
                })?;
                Some(OfferedEventType {
                    event_type: known.name.to_owned(),
                    aggregate: DomainEvent::category_of_type(known.name)?.to_owned(),
                    fields: fields_of(known.name, &schema.schema),
                })
            })
            .collect();
        types.sort_by(|one, other| {
            (&one.aggregate, &one.event_type).cmp(&(&other.aggregate, &other.event_type))
        });
        OfferedFields {
            every: every_event(),
            types,
        }
    });
    &OFFERED
}

/// The fields that every event has.
fn every_event() -> Vec<OfferedField> {
    let fields = [
        ("stream", FieldKind::Text),
        ("type", FieldKind::Text),
        ("recorded_at", FieldKind::Time),
        ("actor", FieldKind::Text),
    ];
    let field = |(path, kind): (&str, FieldKind)| OfferedField {
        path: path.to_owned(),
        kind,
        optional: false,
    };
    fields.map(field).into()
}

fn fields_of(event_type: &str, schema: &Value) -> Vec<OfferedField> {
    let mut found = Vec::new();
    let definitions = schema.get("$defs").and_then(Value::as_object);
    collect(schema, definitions, ("data", false), MAX_DEPTH, &mut found);
    found.retain(|field| !is_personal(event_type, &field.path));
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn is_personal(event_type: &str, path: &str) -> bool {
    personal::PATHS
        .iter()
        .any(|(of, personal)| *of == event_type && path.strip_prefix("data.") == Some(*personal))
}

/// Collects the fields below a schema. `optional`: an event may be without what the schema is of.
fn collect(
    schema: &Value,
    definitions: Option<&Map<String, Value>>,
    (path, optional): (&str, bool),
    depth: usize,
    found: &mut Vec<OfferedField>,
) {
    let (schema, is_nullable) = resolved(schema, definitions);
    let optional = optional || is_nullable;
    if depth == 0 {
        return;
    }
    if let Some(members) = schema.get("properties").and_then(Value::as_object) {
        let required: BTreeSet<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (name, member) in members {
            let is_optional = optional || !required.contains(name.as_str());
            let path = format!("{path}.{name}");
            collect(
                member,
                definitions,
                (path.as_str(), is_optional),
                depth - 1,
                found,
            );
        }
    } else if let Some(items) = schema.get("items") {
        // A list may be shorter than the place that is asked for.
        let path = format!("{path}.0");
        collect(items, definitions, (path.as_str(), true), depth - 1, found);
    } else if let Some(kind) = kind_of(schema) {
        found.push(OfferedField {
            path: path.to_owned(),
            kind,
            optional,
        });
    }
}

/// The schema itself, without references and without the alternative that it is null, and whether it has
/// that.
fn resolved<'a>(mut schema: &'a Value, definitions: Option<&'a Map<String, Value>>) -> (&'a Value, bool) {
    let mut is_nullable = false;
    for _ in 0..MAX_DEPTH {
        let reference = schema.get("$ref").and_then(Value::as_str);
        if let Some(name) = reference.and_then(|reference| reference.strip_prefix("#/$defs/")) {
            match definitions.and_then(|definitions| definitions.get(name)) {
                Some(referenced) => schema = referenced,
                None => break,
            }
            continue;
        }
        let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) else {
            break;
        };
        let is_null = |schema: &&Value| schema.get("type").and_then(Value::as_str) == Some("null");
        let mut others = alternatives.iter().filter(|schema| !is_null(schema));
        match (others.next(), others.next()) {
            (Some(only), None) => {
                is_nullable |= alternatives.len() > 1;
                schema = only;
            }
            _ => break,
        }
    }
    let has_null = |types: &Vec<Value>| types.iter().any(|one| one.as_str() == Some("null"));
    is_nullable |= schema.get("type").and_then(Value::as_array).is_some_and(has_null);
    (schema, is_nullable)
}

/// The kind of the values of a schema; `None`: they are not one value.
fn kind_of(schema: &Value) -> Option<FieldKind> {
    if let Some(alternatives) = schema.get("oneOf").and_then(Value::as_array) {
        // The names of an enumeration, each with its explanation.
        let mut kinds = alternatives.iter().map(kind_of);
        let first = kinds.next()??;
        return kinds.all(|kind| kind == Some(first)).then_some(first);
    }
    let types = match schema.get("type")? {
        Value::String(one) => vec![one.as_str()],
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let mut types = types.into_iter().filter(|one| *one != "null");
    let (only, None) = (types.next()?, types.next()) else {
        return None;
    };
    match only {
        "string" if schema.get("format").and_then(Value::as_str) == Some("date-time") => {
            Some(FieldKind::Time)
        }
        "string" => Some(FieldKind::Text),
        "integer" => Some(FieldKind::Integer),
        "boolean" => Some(FieldKind::Boolean),
        _ => None,
    }
}

/// Whether a name is of lower-case letters, digits and `_`, beginning with a letter.
fn is_name(name: &str) -> bool {
    name.len() <= MAX_OWN_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// What is at the path of a view with this name: the fields that are offered.
const FIELDS: &str = "fields";

/// Whether a view, a slot or a process manager of the program has the name, or no path could lead to it.
fn is_built_in(name: &str) -> bool {
    view::NAMES.contains(&name)
        || name == FIELDS
        || slot(name).is_some()
        || policy::all().iter().any(|policy| policy.name() == name)
}

/// Checks a definition against what the event types offer. `is_taken` says whether another event handler of
/// the program has a name.
pub fn check(definition: &OwnViewDefinition, is_taken: impl Fn(&str) -> bool) -> Result<(), Rejection> {
    let mut violations = Violations::default();
    let OwnViewDefinition {
        name,
        on,
        key,
        fold,
        group,
        detect_duplicates: _,
    } = definition;
    let rule = format!("has 1 to {MAX_OWN_NAME} lower-case letters, digits and '_', the first a letter");
    violations.require(is_name(name), "name", rule.as_str());
    let is_free = !is_built_in(name) && !is_taken(name);
    violations.require(
        is_free,
        "name",
        "is the name of a view, process manager or consumer of the program",
    );
    let types = check_types(on, &mut violations);
    if types.len() != on.len() || types.is_empty() {
        // Without them it is not known which fields there are.
        violations.finish()?;
        return Ok(());
    }
    let offer = Offer { types };
    offer.check(key, "key", None, true, &mut violations);
    if let Some(group) = group {
        offer.check(group, "group", None, false, &mut violations);
    }
    let count = fold.len();
    violations.require(
        (1..=MAX_OWN_FOLDS).contains(&count),
        "fold",
        format!("has 1 to {MAX_OWN_FOLDS} folds"),
    );
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for (index, fold) in fold.iter().take(MAX_OWN_FOLDS).enumerate() {
        let OwnFold { field, op, of } = fold;
        let at = |member: &str| format!("fold[{index}].{member}");
        violations.require(is_name(field), at("field"), rule.as_str());
        violations.require(
            !RESERVED.contains(&field.as_str()),
            at("field"),
            format!("is none of {}, which every document has", RESERVED.join(", ")),
        );
        violations.require(names.insert(field), at("field"), "is the name of another fold");
        match of {
            Some(of) => offer.check(of, &at("of"), Some(*op), false, &mut violations),
            None => violations.require(
                !op.needs_field(),
                at("of"),
                format!("is the path of a field: {} needs one", op.as_str()),
            ),
        }
    }
    violations.finish()
}

/// The event types that there are, of those that a definition names.
fn check_types(on: &[String], violations: &mut Violations) -> Vec<&'static OfferedEventType> {
    violations.require(
        (1..=MAX_OWN_TYPES).contains(&on.len()),
        "on",
        format!("has 1 to {MAX_OWN_TYPES} event types"),
    );
    let (mut types, mut names) = (Vec::new(), BTreeSet::new());
    let known = &offered_fields().types;
    for (index, name) in on.iter().take(MAX_OWN_TYPES).enumerate() {
        let at = format!("on[{index}]");
        let found = known.iter().find(|known| known.event_type == *name);
        violations.require(names.insert(name), at.as_str(), "is named twice");
        if let Some(found) = found {
            types.push(found);
        } else {
            let all: Vec<_> = known.iter().map(|known| known.event_type.as_str()).collect();
            violations.require(false, at, format!("is one of {}", all.join(", ")));
        }
    }
    types
}

/// What the event types of a definition offer.
struct Offer {
    types: Vec<&'static OfferedEventType>,
}

impl Offer {
    /// The field of this path in a type. A place in a list is offered as the first one.
    fn find<'a>(of: &'a OfferedEventType, path: &str) -> Option<&'a OfferedField> {
        let is_place = |part: &str| {
            part.len() <= MAX_PLACE_DIGITS
                && !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_digit())
                && (part == "0" || !part.starts_with('0'))
        };
        let parts: Vec<_> = path
            .split('.')
            .map(|part| if is_place(part) { "0" } else { part })
            .collect();
        let path = parts.join(".");
        let mut fields = offered_fields().every.iter().chain(&of.fields);
        fields.find(|field| field.path == path)
    }

    /// Checks a path. `by_all`: every type has to offer it; otherwise one is enough.
    fn check(&self, path: &str, at: &str, op: Option<FoldOp>, by_all: bool, violations: &mut Violations) {
        if path.len() > MAX_PATH {
            violations.require(false, at, format!("has at most {MAX_PATH} characters"));
            return;
        }
        if let Some(of) = self.types.iter().find(|of| is_personal(&of.event_type, path)) {
            let message = format!(
                "is personal in {}: such fields are sealed in the log",
                of.event_type
            );
            violations.require(false, at, message);
            return;
        }
        let missing = self.types.iter().find(|of| Self::find(of, path).is_none());
        let found: Vec<_> = self.types.iter().filter_map(|of| Self::find(of, path)).collect();
        if let Some(missing) = missing.filter(|_| by_all || found.is_empty()) {
            violations.require(false, at, unknown_field(missing, path));
            return;
        }
        if let Some(op) = op {
            let fits = found.iter().all(|field| field.kind.allows(op));
            let what = match op {
                FoldOp::Sum => "is a whole number, which can be added",
                _ => "is a text, a time or a whole number, which can be compared",
            };
            violations.require(fits, at, what);
        }
    }
}

fn unknown_field(of: &OfferedEventType, path: &str) -> String {
    let mut shown = path.to_owned();
    shorten(&mut shown, MAX_SHOWN);
    let fields = of.fields.iter().chain(&offered_fields().every);
    let names: Vec<_> = fields.map(|field| field.path.as_str()).collect();
    format!(
        "{} has no field {shown:?}; it has {}",
        of.event_type,
        names.join(", ")
    )
}
