//! The cursor of a page: opaque to clients, and valid only for the listing, group and order that gave it.
//!
//! JSON in hexadecimal. It holds the sort key and the key of the row at the edge of the page, and the
//! direction to read from there. So paging never skips or repeats a row, even if rows are inserted in
//! between.

use domain::wire::Order;
use serde::{Deserialize, Serialize};

use super::{ListingGroup, QueryError};
use cache::CachedRow;
use documents::SeekKey;

/// The longest accepted cursor, in bytes; sort keys come from documents, whose fields are bounded.
const MAX_LENGTH: usize = 8_192;

/// The side of the requested page, seen from the page that gave the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum PageDirection {
    /// After it: its `next`.
    #[default]
    #[serde(rename = "n")]
    Next,
    /// Before it: its `previous`.
    #[serde(rename = "p")]
    Previous,
}

impl PageDirection {
    /// The order in which rows are read from the cursor on.
    pub(super) fn read_order(self, order: Order) -> Order {
        match (self, order) {
            (Self::Next, order) => order,
            (Self::Previous, Order::Asc) => Order::Desc,
            (Self::Previous, Order::Desc) => Order::Asc,
        }
    }
}

/// What a cursor holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor<'a> {
    #[serde(rename = "v")]
    view: std::borrow::Cow<'a, str>,
    #[serde(rename = "l")]
    listing: std::borrow::Cow<'a, str>,
    #[serde(rename = "g")]
    group: std::borrow::Cow<'a, str>,
    #[serde(rename = "o")]
    order: Order,
    #[serde(rename = "w", default)]
    direction: PageDirection,
    #[serde(rename = "s")]
    sort: std::borrow::Cow<'a, str>,
    #[serde(rename = "k")]
    key: std::borrow::Cow<'a, str>,
}

impl Cursor<'_> {
    /// The text of a cursor that starts at a row.
    pub(super) fn text(
        group: &ListingGroup,
        order: Order,
        direction: PageDirection,
        row: &CachedRow,
    ) -> String {
        let cursor = Cursor {
            view: group.view.name().into(),
            listing: group.listing.into(),
            group: group.group.as_str().into(),
            order,
            direction,
            sort: row.sort.as_str().into(),
            key: row.key.as_str().into(),
        };
        // A struct of strings always serialises.
        hex::encode(serde_json::to_vec(&cursor).unwrap_or_default())
    }

    /// Parses a cursor into its seek key and its direction.
    pub(super) fn parse(
        text: &str,
        group: &ListingGroup,
        order: Order,
    ) -> Result<(SeekKey, PageDirection), QueryError> {
        if text.len() > MAX_LENGTH {
            return Err(QueryError::BadCursor);
        }
        let bytes = hex::decode(text).map_err(|_| QueryError::BadCursor)?;
        let cursor: Cursor<'_> = serde_json::from_slice(&bytes).map_err(|_| QueryError::BadCursor)?;
        let same = cursor.view == group.view.name()
            && cursor.listing == group.listing
            && cursor.group == group.group
            && cursor.order == order;
        if !same {
            return Err(QueryError::BadCursor);
        }
        // No input text contains U+0000, and PostgreSQL does not accept it: no listing has given such a
        // cursor.
        if [&cursor.sort, &cursor.key].iter().any(|text| text.contains('\0')) {
            return Err(QueryError::BadCursor);
        }
        let seek_key = SeekKey {
            sort: cursor.sort.into_owned(),
            key: cursor.key.into_owned(),
        };
        Ok((seek_key, cursor.direction))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> ListingGroup {
        ListingGroup {
            view: domain::view::find("products").unwrap(),
            listing: "all",
            group: String::new(),
        }
    }

    fn cursor(sort: &str, key: &str) -> String {
        let row = CachedRow {
            key: key.to_owned(),
            sort: sort.to_owned(),
            owner: None,
            data: serde_json::value::to_raw_value(&1).unwrap(),
        };
        Cursor::text(&group(), Order::Asc, PageDirection::Next, &row)
    }

    #[test]
    fn a_cursor_leads_back_to_its_row() {
        let (seek_key, direction) = Cursor::parse(&cursor("mug", "mug-1"), &group(), Order::Asc).unwrap();
        assert_eq!(
            (seek_key.sort.as_str(), seek_key.key.as_str(), direction),
            ("mug", "mug-1", PageDirection::Next)
        );
    }

    #[test]
    fn a_text_that_no_listing_gave_is_not_a_cursor() {
        for made_up in [
            cursor("mu\0g", "mug-1"),
            cursor("mug", "mug-\0"),
            cursor(&"x".repeat(MAX_LENGTH), "mug-1"),
            hex::encode("{}"),
            // A key that is not UTF-8.
            cursor("mug", "mug-1").replace(&hex::encode("mug-1"), "ff"),
            "mug".to_owned(),
        ] {
            let parsed = Cursor::parse(&made_up, &group(), Order::Asc);
            assert!(
                matches!(parsed, Err(QueryError::BadCursor)),
                "{made_up}: {parsed:?}"
            );
        }
    }

    /// Any text that is accepted leads to a row that the listing may have, and is a cursor again.
    fn holds(text: &str) -> Result<(), fuzz::TestCaseError> {
        let Ok((SeekKey { sort, key }, direction)) = Cursor::parse(text, &group(), Order::Asc) else {
            return Ok(());
        };
        fuzz::prop_assert!(!sort.contains('\0') && !key.contains('\0'));
        let row = CachedRow {
            key: key.clone(),
            sort: sort.clone(),
            owner: None,
            data: serde_json::value::to_raw_value(&1).unwrap(),
        };
        let again = Cursor::text(&group(), Order::Asc, direction, &row);
        let (seek_key, same) = Cursor::parse(&again, &group(), Order::Asc).unwrap();
        fuzz::prop_assert_eq!((seek_key.sort, seek_key.key, same), (sort, key, direction));
        Ok(())
    }

    #[test]
    fn hostile_cursors_lead_to_a_row_or_are_refused() {
        const JSON: &[&str] = &[
            r#"{"v":"products","l":"all","g":"","o":"asc","w":"n","s":"mug","k":"mug-1"}"#,
            r#"{"v":"products","l":"all","g":"","o":"asc","w":"p","s":"","k":"\u00e9"}"#,
            r#"{"v":"products","l":"all","g":"","o":"asc","s":"a","k":"b"}"#,
        ];
        fuzz::check(&fuzz::bytes(JSON), |bytes| holds(&hex::encode(bytes)));
        fuzz::check(&fuzz::texts_like(&["7b7d", "7B7d", "6d7567"]), |text| {
            holds(&text)
        });
    }
}
