//! A document in the index, and the words by which it is found.
//!
//! The document is folded by the view's own fold, with personal fields sealed. Only its words are unsealed,
//! and only for the index's files; they are deleted when a user is erased.

use domain::{
    id::WorkspaceId,
    view::{self, AnyView},
    wire::SearchKind,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

/// The word in place of the name of an erased user.
pub(super) const ERASED: &str = "erased";

/// The longest indexed text, in characters: more than the names of all lines of an order.
const MAX_TEXT: usize = 8_000;

/// A document of a view in the index, as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct IndexedDocument {
    /// Its kind.
    pub(super) kind: SearchKind,
    /// Its key in the view.
    pub(super) key: String,
    /// The user that it belongs to.
    pub(super) owner: Option<Uuid>,
    /// Whether it can be found: it is in a listing of the view.
    pub(super) listed: bool,
    /// Whether its owner was erased.
    pub(super) erased: bool,
    /// The document; absent if the view has none, or no longer.
    pub(super) data: Option<Box<RawValue>>,
}

/// The texts by which a document is found, with personal parts still sealed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SearchText {
    /// Its title.
    pub(super) title: Vec<TextPart>,
    /// Its other texts.
    pub(super) text: Vec<TextPart>,
    /// Its tags.
    pub(super) tags: Vec<String>,
    /// Its status.
    pub(super) status: Option<String>,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TextPart {
    /// A text that is not personal.
    Plain(String),
    /// Personal data, possibly sealed.
    Personal(String),
}

/// The id of a document in the index.
pub(super) fn document_id(workspace: WorkspaceId, kind: SearchKind, key: &str) -> String {
    format!("{workspace}/{}/{key}", kind.as_str())
}

/// The views whose documents are indexed.
pub(super) fn views() -> impl Iterator<Item = (SearchKind, &'static dyn AnyView)> {
    SearchKind::ALL
        .into_iter()
        .filter_map(|kind| view::find(kind.as_str()).map(|view| (kind, view)))
}

impl IndexedDocument {
    /// The texts by which it is found.
    pub(super) fn words(&self) -> SearchText {
        let document: Value = match &self.data {
            Some(data) => serde_json::from_str(data.get()).unwrap_or_default(),
            None => return SearchText::default(),
        };
        let text = |field: &str| document[field].as_str().unwrap_or_default().to_owned();
        let plain = |text: String| TextPart::Plain(text);
        match self.kind {
            SearchKind::Products => SearchText {
                title: vec![plain(text("name"))],
                text: vec![plain(text("description")), plain(text("sku"))],
                tags: strings(&document["tags"]),
                status: None,
            },
            SearchKind::Orders => SearchText {
                title: lines(&document["lines"]),
                text: vec![
                    plain(text("id")),
                    self.personal(&document["customer"]["name"]),
                    plain(text("reason")),
                ],
                tags: Vec::new(),
                status: document["status"].as_str().map(str::to_owned),
            },
            SearchKind::Customers => SearchText {
                title: vec![self.personal(&document["display_name"])],
                text: vec![self.personal(&document["email"]), plain(text("id"))],
                tags: Vec::new(),
                status: None,
            },
        }
    }

    fn personal(&self, value: &Value) -> TextPart {
        match value.as_str() {
            Some(_) if self.erased => TextPart::Plain(ERASED.to_owned()),
            Some(text) => TextPart::Personal(text.to_owned()),
            None => TextPart::Plain(String::new()),
        }
    }
}

/// Joins the parts into one text.
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

fn lines(lines: &Value) -> Vec<TextPart> {
    let lines = lines.as_array().map(Vec::as_slice).unwrap_or_default();
    lines
        .iter()
        .filter_map(|line| line["name"].as_str())
        .map(|name| TextPart::Plain(name.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(kind: SearchKind, erased: bool, data: &Value) -> IndexedDocument {
        IndexedDocument {
            kind,
            key: "1".to_owned(),
            owner: None,
            listed: true,
            erased,
            data: Some(serde_json::value::to_raw_value(data).unwrap()),
        }
    }

    #[test]
    fn an_order_is_found_by_its_lines_and_by_its_customer() {
        let order = json!({
            "id": "7", "customer": {"id": "1", "name": "Ada"}, "status": "shipped",
            "lines": [{"name": "Blue mug"}, {"name": "Teapot"}],
        });
        let words = document(SearchKind::Orders, false, &order).words();
        let plain = |text: &str| TextPart::Plain(text.to_owned());
        assert_eq!(words.title, [plain("Blue mug"), plain("Teapot")]);
        assert!(words.text.contains(&TextPart::Personal("Ada".to_owned())));
        assert_eq!(words.status.as_deref(), Some("shipped"));
        let erased = document(SearchKind::Orders, true, &order).words();
        assert!(erased.text.contains(&plain(ERASED)) && erased.title == words.title);
    }

    #[test]
    fn an_empty_field_is_not_indexed() {
        let words = document(
            SearchKind::Customers,
            false,
            &json!({"id": "1", "display_name": "Ada"}),
        )
        .words();
        assert_eq!(words.text[0], TextPart::Plain(String::new()));
        assert_eq!(
            joined(vec![String::new(), "a".into(), String::new(), "b".into()]),
            "a · b"
        );
    }
}
