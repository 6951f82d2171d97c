//! Views of one's own as their page shows them: the form in which a learner defines one, the fields that the
//! chosen event types offer for it, what is wrong with an entry, and the cells of a view's documents.
//!
//! The server checks what it is sent by rules of its own. These only spare a request, and find the entry of
//! the form that a refusal names.

use domain::wire::{
    FieldKind, FoldOp, OfferedField, OfferedFields, OwnFold, OwnView, OwnViewDefinition,
    own_views::{MAX_OWN_FOLDS, MAX_OWN_NAME, MAX_OWN_TYPES},
};
use serde_json::Value;

/// The members of a document that no fold may be named like.
const TAKEN_MEMBERS: [&str; 4] = ["group", "key", "state", "truncated"];

/// How many values of a set a cell shows.
const VALUES_OF_A_CELL: usize = 8;

/// A row of the form: a fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldRow {
    /// The number of the row, which it keeps when others are removed.
    pub id: u32,
    /// The name of the member.
    pub field: String,
    /// What it is of the values.
    pub op: FoldOp,
    /// The path of the values; empty for none.
    pub of: String,
}

/// What a person has entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The name of the view.
    pub name: String,
    /// The chosen event types.
    pub on: Vec<String>,
    /// The path of the key; empty for none.
    pub key: String,
    /// The folds.
    pub folds: Vec<FoldRow>,
    /// The path of the group; empty for none.
    pub group: String,
    /// Whether an event that is delivered twice counts once.
    pub detect_duplicates: bool,
    next_row: u32,
}

impl Default for Draft {
    /// An empty form with one fold, which counts events.
    fn default() -> Self {
        let mut draft = Self {
            name: String::new(),
            on: Vec::new(),
            key: String::new(),
            folds: Vec::new(),
            group: String::new(),
            detect_duplicates: true,
            next_row: 0,
        };
        draft.add_fold();
        draft
    }
}

impl Draft {
    /// Adds a row for a fold; its number, or `None` if the form is full.
    pub fn add_fold(&mut self) -> Option<u32> {
        if self.folds.len() >= MAX_OWN_FOLDS {
            return None;
        }
        let id = self.next_row;
        self.next_row += 1;
        self.folds.push(FoldRow {
            id,
            field: String::new(),
            op: FoldOp::Count,
            of: String::new(),
        });
        Some(id)
    }

    /// Removes the row with this number; the last one stays.
    pub fn remove_fold(&mut self, id: u32) {
        if self.folds.len() > 1 {
            self.folds.retain(|row| row.id != id);
        }
    }

    /// The row with this number.
    pub fn fold(&self, id: u32) -> Option<&FoldRow> {
        self.folds.iter().find(|row| row.id == id)
    }

    /// The row with this number, to be changed.
    pub fn fold_mut(&mut self, id: u32) -> Option<&mut FoldRow> {
        self.folds.iter_mut().find(|row| row.id == id)
    }

    /// Chooses an event type, or takes the choice back.
    pub fn choose(&mut self, event_type: &str, is_chosen: bool) {
        self.on.retain(|chosen| chosen != event_type);
        if is_chosen {
            self.on.push(event_type.to_owned());
        }
    }

    /// The definition that is sent.
    pub fn definition(&self) -> OwnViewDefinition {
        let path = |path: &str| Some(path.to_owned()).filter(|path| !path.is_empty());
        let fold = self.folds.iter().map(|row| OwnFold {
            field: row.field.trim().to_owned(),
            op: row.op,
            of: path(&row.of),
        });
        OwnViewDefinition {
            name: self.name.trim().to_owned(),
            on: self.on.clone(),
            key: self.key.clone(),
            fold: fold.collect(),
            group: path(&self.group),
            detect_duplicates: self.detect_duplicates,
        }
    }
}

/// An entry of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The name of the view.
    Name,
    /// The event types.
    Types,
    /// The key.
    Key,
    /// The folds together.
    Folds,
    /// The name of the fold in the row with this number.
    FoldName(u32),
    /// The field of the fold in the row with this number.
    FoldField(u32),
    /// The group.
    Group,
}

impl Entry {
    /// The id of its element.
    pub fn id(self) -> String {
        let id = match self {
            Self::Name => "own-name",
            Self::Types => "own-types",
            Self::Key => "own-key",
            Self::Folds => "own-folds",
            Self::Group => "own-group",
            Self::FoldName(row) => return format!("own-fold-{row}-name"),
            Self::FoldField(row) => return format!("own-fold-{row}-of"),
        };
        id.to_owned()
    }

    /// The entry that the server names when it refuses what the form has sent, as in `fold[1].of`.
    pub fn of_violation(field: &str, draft: &Draft) -> Option<Self> {
        let parts: Vec<&str> = field
            .split(['.', '[', ']'])
            .filter(|part| !part.is_empty())
            .collect();
        match parts.as_slice() {
            ["name", ..] => Some(Self::Name),
            ["on", ..] => Some(Self::Types),
            ["key", ..] => Some(Self::Key),
            ["group", ..] => Some(Self::Group),
            ["fold"] => Some(Self::Folds),
            ["fold", place, member @ ..] => {
                let place: usize = place.parse().ok()?;
                let row = draft.folds.get(place)?.id;
                Some(match member {
                    ["op" | "of", ..] => Self::FoldField(row),
                    _ => Self::FoldName(row),
                })
            }
            _ => None,
        }
    }
}

/// What a field is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldRole {
    /// The key of documents, which each of the chosen types has to offer.
    Key,
    /// The group of documents.
    Group,
    /// The values of a fold.
    Values(FoldOp),
}

impl FieldRole {
    fn allows(self, kind: FieldKind) -> bool {
        match self {
            Self::Key | Self::Group => true,
            Self::Values(op) => kind.allows(op),
        }
    }
}

/// A field that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChoice {
    /// Its path.
    pub path: String,
    /// What its values are; `None` if the chosen types do not offer it any more.
    pub kind: Option<FieldKind>,
    /// The chosen types that offer it; empty if all do.
    pub only_of: Vec<String>,
}

/// The fields that may be chosen for a role: those of every event, and then those of the chosen event types.
/// `chosen` is among them even if it may not be chosen any more, so that the form shows what it has.
pub fn field_choices(
    offered: &OfferedFields,
    on: &[String],
    role: FieldRole,
    chosen: &str,
) -> Vec<FieldChoice> {
    let mut choices: Vec<FieldChoice> = Vec::new();
    // What one of the types has as a value that the role does not take.
    let mut unfit: Vec<&str> = Vec::new();
    let every = offered.every.iter().map(|field| (field, None::<&String>));
    let types = offered.types.iter().filter(|of| on.contains(&of.event_type));
    let of_types = types.flat_map(|of| of.fields.iter().map(move |field| (field, Some(&of.event_type))));
    for (OfferedField { path, kind, .. }, of) in every.chain(of_types) {
        if !role.allows(*kind) {
            unfit.push(path);
        }
        let place = choices.iter().position(|choice| choice.path == *path);
        let place = place.unwrap_or_else(|| {
            choices.push(FieldChoice {
                path: path.clone(),
                kind: Some(*kind),
                only_of: Vec::new(),
            });
            choices.len() - 1
        });
        choices[place].only_of.extend(of.cloned());
    }
    for choice in &mut choices {
        if choice.only_of.len() == on.len() {
            choice.only_of.clear();
        }
    }
    choices.retain(|choice| {
        let is_of_all = choice.only_of.is_empty();
        !unfit.contains(&choice.path.as_str()) && (is_of_all || role != FieldRole::Key)
    });
    if !chosen.is_empty() && choices.iter().all(|choice| choice.path != chosen) {
        choices.push(FieldChoice {
            path: chosen.to_owned(),
            kind: None,
            only_of: Vec::new(),
        });
    }
    choices
}

/// The entries of a form that cannot be sent as they are, in the order of the form. `names` are the names
/// that other views have.
pub fn faults(draft: &Draft, offered: &OfferedFields, names: &[String]) -> Vec<Entry> {
    let mut faults = Vec::new();
    let mut check = |holds: bool, entry: Entry| {
        if !holds {
            faults.push(entry);
        }
    };
    let is_offered = |path: &str, role: FieldRole| {
        let choices = field_choices(offered, &draft.on, role, "");
        choices.iter().any(|choice| choice.path == path)
    };
    let name = draft.name.trim();
    check(
        is_name(name) && names.iter().all(|taken| taken != name),
        Entry::Name,
    );
    check((1..=MAX_OWN_TYPES).contains(&draft.on.len()), Entry::Types);
    check(is_offered(&draft.key, FieldRole::Key), Entry::Key);
    check((1..=MAX_OWN_FOLDS).contains(&draft.folds.len()), Entry::Folds);
    for row in &draft.folds {
        let field = row.field.trim();
        let same = draft.folds.iter().filter(|other| other.field.trim() == field);
        let is_own = same.count() == 1 && !TAKEN_MEMBERS.contains(&field);
        check(is_name(field) && is_own, Entry::FoldName(row.id));
        let has_field = if row.of.is_empty() {
            !row.op.needs_field()
        } else {
            is_offered(&row.of, FieldRole::Values(row.op))
        };
        check(has_field, Entry::FoldField(row.id));
    }
    check(
        draft.group.is_empty() || is_offered(&draft.group, FieldRole::Group),
        Entry::Group,
    );
    faults
}

/// Whether a text can be the name of a view or a fold.
fn is_name(text: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= MAX_OWN_NAME
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(is_of_name)
}

/// The key of a view on its page: another one of the same name, made later, has another.
pub fn key_of(view: &OwnView) -> String {
    [view.name.as_str(), "@", &view.created_at.to_string()].concat()
}

/// What a cell shows of a member of a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    /// The value, or the first values of a set; empty if there is none.
    pub words: String,
    /// How many values of the set are not shown.
    pub more: usize,
    /// Whether the document does not have the whole value, because it was too long.
    pub is_cut: bool,
}

impl Cell {
    /// The cell of a member.
    pub fn of(document: &Value, member: &str) -> Self {
        let (words, more) = match document.get(member) {
            None => (String::new(), 0),
            Some(Value::Array(values)) => {
                let shown: Vec<String> = values.iter().take(VALUES_OF_A_CELL).map(words).collect();
                (shown.join(", "), values.len() - shown.len())
            }
            Some(value) => (words(value), 0),
        };
        let cut = document.get("truncated").and_then(Value::as_array);
        Self {
            words,
            more,
            is_cut: cut.is_some_and(|cut| cut.iter().any(|of| of == member)),
        }
    }
}

/// A value as a person reads it.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use domain::wire::OfferedEventType;
    use serde_json::json;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn field(path: &str, kind: FieldKind) -> OfferedField {
        OfferedField {
            path: path.to_owned(),
            kind,
            optional: false,
        }
    }

    fn offered() -> OfferedFields {
        let of = |event_type: &str, fields: Vec<OfferedField>| OfferedEventType {
            event_type: event_type.to_owned(),
            aggregate: "order".to_owned(),
            fields,
        };
        OfferedFields {
            every: vec![
                field("stream", FieldKind::Text),
                field("recorded_at", FieldKind::Time),
            ],
            types: vec![
                of(
                    "OrderCreated",
                    vec![
                        field("data.total.amount", FieldKind::Integer),
                        field("data.order", FieldKind::Text),
                        field("data.mixed", FieldKind::Integer),
                    ],
                ),
                of(
                    "OrderCancelled",
                    vec![
                        field("data.order", FieldKind::Text),
                        field("data.reason", FieldKind::Text),
                        field("data.mixed", FieldKind::Boolean),
                    ],
                ),
            ],
        }
    }

    fn on(types: &[&str]) -> Vec<String> {
        types.iter().map(|of| (*of).to_owned()).collect()
    }

    fn paths(types: &[&str], role: FieldRole) -> Vec<String> {
        let choices = field_choices(&offered(), &on(types), role, "");
        choices.into_iter().map(|choice| choice.path).collect()
    }

    /// A form that can be sent.
    fn whole() -> Draft {
        let mut draft = Draft {
            name: "spent".to_owned(),
            key: "data.order".to_owned(),
            ..Draft::default()
        };
        draft.choose("OrderCreated", true);
        draft.folds[0].field = "orders".to_owned();
        draft
    }

    #[test]
    fn the_chosen_types_say_which_fields_there_are() {
        assert_eq!(paths(&[], FieldRole::Group), ["stream", "recorded_at"]);
        let created = [
            "stream",
            "recorded_at",
            "data.total.amount",
            "data.order",
            "data.mixed",
        ];
        assert_eq!(paths(&["OrderCreated"], FieldRole::Group), created);
        let both = on(&["OrderCreated", "OrderCancelled"]);
        let both = field_choices(&offered(), &both, FieldRole::Group, "");
        let only = |path: &str| {
            let choice = both.iter().find(|choice| choice.path == path);
            choice.map(|choice| choice.only_of.clone())
        };
        assert_eq!(only("data.order"), Some(Vec::new()), "both have it");
        assert_eq!(only("data.reason"), Some(on(&["OrderCancelled"])));
        assert_eq!(only("stream"), Some(Vec::new()));
    }

    #[test]
    fn a_key_is_a_field_that_each_of_the_chosen_types_has() {
        assert!(paths(&["OrderCancelled"], FieldRole::Key).contains(&"data.reason".to_owned()));
        assert_eq!(
            paths(&["OrderCreated", "OrderCancelled"], FieldRole::Key),
            ["stream", "recorded_at", "data.order", "data.mixed"]
        );
    }

    #[test]
    fn a_fold_is_offered_the_fields_that_it_can_be_made_of() {
        let both = ["OrderCreated", "OrderCancelled"];
        let sum = FieldRole::Values(FoldOp::Sum);
        assert_eq!(paths(&["OrderCreated"], sum), ["data.total.amount", "data.mixed"]);
        assert_eq!(paths(&both, sum), ["data.total.amount"]);
        let set = FieldRole::Values(FoldOp::Set);
        assert!(paths(&both, set).contains(&"data.mixed".to_owned()));
    }

    #[test]
    fn what_was_chosen_stays_to_be_seen_when_no_type_offers_it_any_more() {
        let choices = field_choices(&offered(), &on(&["OrderCreated"]), FieldRole::Key, "data.reason");
        let last = choices.last().unwrap();
        assert_eq!((last.path.as_str(), last.kind), ("data.reason", None));
        let mut draft = whole();
        draft.key = "data.reason".to_owned();
        assert_eq!(faults(&draft, &offered(), &[]), [Entry::Key]);
    }

    #[test]
    fn an_empty_form_names_each_entry_that_it_needs_and_a_whole_one_none() {
        assert_eq!(
            faults(&Draft::default(), &offered(), &[]),
            [Entry::Name, Entry::Types, Entry::Key, Entry::FoldName(0)]
        );
        assert!(faults(&whole(), &offered(), &[]).is_empty());
        assert_eq!(faults(&whole(), &offered(), &on(&["spent"])), [Entry::Name]);
    }

    #[test]
    fn a_name_is_lower_case_and_each_fold_has_its_own() {
        let offered = offered();
        for name in [
            "Spent",
            "1st",
            "_a",
            "a b",
            "a-b",
            "é",
            &"a".repeat(MAX_OWN_NAME + 1),
        ] {
            let draft = Draft {
                name: name.to_owned(),
                ..whole()
            };
            assert_eq!(faults(&draft, &offered, &[]), [Entry::Name], "{name}");
        }
        let mut draft = whole();
        let second = draft.add_fold().unwrap();
        draft.fold_mut(second).unwrap().field = " orders".to_owned();
        assert_eq!(
            faults(&draft, &offered, &[]),
            [Entry::FoldName(0), Entry::FoldName(second)]
        );
        for taken in TAKEN_MEMBERS {
            draft.fold_mut(second).unwrap().field = taken.to_owned();
            assert_eq!(
                faults(&draft, &offered, &[]),
                [Entry::FoldName(second)],
                "{taken}"
            );
        }
    }

    #[test]
    fn all_but_a_count_need_a_field_that_fits_them() {
        let mut draft = whole();
        draft.folds[0].op = FoldOp::Sum;
        assert_eq!(faults(&draft, &offered(), &[]), [Entry::FoldField(0)]);
        draft.folds[0].of = "data.order".to_owned();
        assert_eq!(
            faults(&draft, &offered(), &[]),
            [Entry::FoldField(0)],
            "a text has no sum"
        );
        draft.folds[0].of = "data.total.amount".to_owned();
        assert!(faults(&draft, &offered(), &[]).is_empty());
        draft.folds[0].op = FoldOp::Count;
        assert!(
            faults(&draft, &offered(), &[]).is_empty(),
            "those that have the field are counted"
        );
        draft.group = "data.reason".to_owned();
        assert_eq!(faults(&draft, &offered(), &[]), [Entry::Group]);
    }

    #[test]
    fn rows_keep_their_numbers_and_the_last_one_stays() {
        let mut draft = Draft::default();
        let second = draft.add_fold().unwrap();
        draft.remove_fold(0);
        assert_eq!(draft.folds.iter().map(|row| row.id).collect::<Vec<_>>(), [second]);
        draft.remove_fold(second);
        assert_eq!(draft.folds.len(), 1);
        while draft.add_fold().is_some() {}
        assert_eq!(draft.folds.len(), MAX_OWN_FOLDS);
    }

    #[test]
    fn a_refusal_is_shown_at_the_entry_that_it_names() {
        let mut draft = whole();
        let second = draft.add_fold().unwrap();
        draft.remove_fold(0);
        let third = draft.add_fold().unwrap();
        let entry = |field: &str| Entry::of_violation(field, &draft);
        assert_eq!(entry("name"), Some(Entry::Name));
        assert_eq!(entry("on[3]"), Some(Entry::Types));
        assert_eq!(entry("key"), Some(Entry::Key));
        assert_eq!(entry("group"), Some(Entry::Group));
        assert_eq!(entry("fold"), Some(Entry::Folds));
        assert_eq!(entry("fold[0].field"), Some(Entry::FoldName(second)));
        assert_eq!(entry("fold.1.of"), Some(Entry::FoldField(third)));
        assert_eq!(entry("fold[1].op"), Some(Entry::FoldField(third)));
        assert_eq!(entry("fold[1]"), Some(Entry::FoldName(third)));
        assert_eq!(entry("fold[7].of"), None);
        assert_eq!(entry("shards"), None);
        assert_eq!(Entry::FoldField(third).id(), format!("own-fold-{third}-of"));
    }

    #[test]
    fn a_definition_leaves_out_what_was_not_chosen() {
        let mut draft = whole();
        draft.name = " spent ".to_owned();
        let sent = serde_json::to_value(draft.definition()).unwrap();
        assert_eq!(
            sent,
            json!({"name": "spent", "on": ["OrderCreated"], "key": "data.order",
                "fold": [{"field": "orders", "op": "count"}], "detect_duplicates": true})
        );
        draft.choose("OrderCreated", false);
        assert!(draft.definition().on.is_empty());
    }

    #[test]
    fn a_cell_shows_a_value_or_the_first_values_of_a_set() {
        let document = json!({"orders": 3, "last": "mug-01", "skus": (0..10).collect::<Vec<_>>(),
            "none": null, "open": true, "truncated": ["skus"]});
        let cell = |member: &str| {
            let Cell { words, more, is_cut } = Cell::of(&document, member);
            (words, more, is_cut)
        };
        assert_eq!(cell("orders"), ("3".to_owned(), 0, false));
        assert_eq!(cell("last"), ("mug-01".to_owned(), 0, false));
        assert_eq!(cell("skus"), ("0, 1, 2, 3, 4, 5, 6, 7".to_owned(), 2, true));
        assert_eq!(cell("open"), ("true".to_owned(), 0, false));
        assert_eq!(cell("none"), (String::new(), 0, false));
        assert_eq!(cell("absent"), (String::new(), 0, false));
    }
}
