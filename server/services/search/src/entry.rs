//! What is kept of a document, and by which words it is found.
//!
//! The document is folded by the view's own fold, with personal fields sealed as everywhere. Only the words that it is found
//! by are opened, and only for the index's files: so those go where a person is erased.

use domain::{
    id::WorkspaceId,
    view::{self, AnyView},
    wire::SearchKind,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

/// What stands for the name of somebody who was erased.
pub(super) const ERASED: &str = "erased";

/// The longest text that is found by, in characters.
const MAX_TEXT: usize = 4_000;

/// A document of a view in the index, as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// What it is.
    pub(super) kind: SearchKind,
    /// Its key in the view.
    pub(super) key: String,
    /// Whose it is.
    pub(super) owner: Option<Uuid>,
    /// Whether it can be found at all: it is in a listing of the view.
    pub(super) listed: bool,
    /// Whether its owner was erased.
    pub(super) erased: bool,
    /// The document; absent where the view has none (any more).
    pub(super) data: Option<Box<RawValue>>,
}

/// The words that a document is found by, with what is sealed still sealed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Words {
    /// What to call it.
    pub(super) title: Vec<Piece>,
    /// What else it is found by.
    pub(super) text: Vec<Piece>,
    /// Its tags.
    pub(super) tags: Vec<String>,
    /// Its status.
    pub(super) status: Option<String>,
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// For everybody.
    Plain(String),
    /// Of a person; perhaps sealed.
    Personal(String),
}

/// Where a document lies in the index.
pub(super) fn place(workspace: WorkspaceId, kind: SearchKind, key: &str) -> String {
    format!("{workspace}/{}/{key}", kind.as_str())
}

/// The views whose documents are found.
pub(super) fn views() -> impl Iterator<Item = (SearchKind, &'static dyn AnyView)> {
    SearchKind::ALL
        .into_iter()
        .filter_map(|kind| view::find(kind.as_str()).map(|view| (kind, view)))
}

impl Kept {
    /// By which words it is found.
    pub(super) fn words(&self) -> Words {
        let document: Value = match &self.data {
            Some(data) => serde_json::from_str(data.get()).unwrap_or_default(),
            None => return Words::default(),
        };
        let text = |field: &str| document[field].as_str().unwrap_or_default().to_owned();
        let plain = |text: String| Piece::Plain(text);
        match self.kind {
            SearchKind::Products => Words {
                title: vec![plain(text("name"))],
                text: vec![plain(text("description")), plain(text("sku"))],
                tags: strings(&document["tags"]),
                status: None,
            },
            SearchKind::Orders => Words {
                title: lines(&document["lines"]),
                text: vec![
                    plain(text("id")),
                    self.personal(&document["customer"]["name"]),
                    plain(text("reason")),
                ],
                tags: Vec::new(),
                status: document["status"].as_str().map(str::to_owned),
            },
            SearchKind::Customers => Words {
                title: vec![self.personal(&document["display_name"])],
                text: vec![self.personal(&document["email"]), plain(text("id"))],
                tags: Vec::new(),
                status: None,
            },
        }
    }

    fn personal(&self, value: &Value) -> Piece {
        match value.as_str() {
            Some(_) if self.erased => Piece::Plain(ERASED.to_owned()),
            Some(text) => Piece::Personal(text.to_owned()),
            None => Piece::Plain(String::new()),
        }
    }
}

/// The pieces as one text.
pub(super) fn joined(pieces: Vec<String>) -> String {
    let pieces: Vec<_> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
    pieces.join(" · ").chars().take(MAX_TEXT).collect()
}

fn strings(values: &Value) -> Vec<String> {
    let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
    values
        .iter()
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}

fn lines(lines: &Value) -> Vec<Piece> {
    let lines = lines.as_array().map(Vec::as_slice).unwrap_or_default();
    lines
        .iter()
        .filter_map(|line| line["name"].as_str())
        .map(|name| Piece::Plain(name.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kept(kind: SearchKind, erased: bool, data: &Value) -> Kept {
        Kept {
            kind,
            key: "1".to_owned(),
            owner: None,
            listed: true,
            erased,
            data: Some(serde_json::value::to_raw_value(data).unwrap()),
        }
    }

    #[test]
    fn an_order_is_found_by_its_lines_and_by_who_ordered() {
        let order = json!({
            "id": "7", "customer": {"id": "1", "name": "Ada"}, "status": "shipped",
            "lines": [{"name": "Blue mug"}, {"name": "Teapot"}],
        });
        let words = kept(SearchKind::Orders, false, &order).words();
        let plain = |text: &str| Piece::Plain(text.to_owned());
        assert_eq!(words.title, [plain("Blue mug"), plain("Teapot")]);
        assert!(words.text.contains(&Piece::Personal("Ada".to_owned())));
        assert_eq!(words.status.as_deref(), Some("shipped"));
        let erased = kept(SearchKind::Orders, true, &order).words();
        assert!(erased.text.contains(&plain(ERASED)) && erased.title == words.title);
    }

    #[test]
    fn what_has_no_value_is_nothing_to_find() {
        let words = kept(
            SearchKind::Customers,
            false,
            &json!({"id": "1", "display_name": "Ada"}),
        )
        .words();
        assert_eq!(words.text[0], Piece::Plain(String::new()));
        assert_eq!(
            joined(vec![String::new(), "a".into(), String::new(), "b".into()]),
            "a · b"
        );
    }
}
