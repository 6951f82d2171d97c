//! The cursor of a page: opaque to clients, and valid only for the listing, group and order that gave it.
//!
//! JSON in hexadecimal. It holds the place of the row at the edge of the page, and which way to go on from there, so paging
//! never skips or repeats a row, whatever is inserted in between.

use domain::wire::Order;
use serde::{Deserialize, Serialize};

use super::{Listed, QueryError};
use cache::CachedRow;
use documents::SeekKey;

/// The longest cursor that is read; sort keys come from documents, whose fields are bounded.
const LONGEST: usize = 8_192;

/// Which way a page lies from the one that gave its cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Way {
    /// Behind it: its `next`.
    #[default]
    #[serde(rename = "n")]
    Next,
    /// Before it: its `previous`.
    #[serde(rename = "p")]
    Previous,
}

impl Way {
    /// The order in which rows are read from the cursor's place on.
    pub(super) fn reads(self, order: Order) -> Order {
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
    way: Way,
    #[serde(rename = "s")]
    sort: std::borrow::Cow<'a, str>,
    #[serde(rename = "k")]
    key: std::borrow::Cow<'a, str>,
}

impl Cursor<'_> {
    /// The text of a cursor from a row on.
    pub(super) fn text(listed: &Listed, order: Order, way: Way, row: &CachedRow) -> String {
        let cursor = Cursor {
            view: listed.view.name().into(),
            listing: listed.listing.into(),
            group: listed.group.as_str().into(),
            order,
            way,
            sort: row.sort.as_str().into(),
            key: row.key.as_str().into(),
        };
        // A struct of strings always serialises.
        hex::encode(serde_json::to_vec(&cursor).unwrap_or_default())
    }

    /// The place that a cursor names, and which way to go from there.
    pub(super) fn parse(text: &str, listed: &Listed, order: Order) -> Result<(SeekKey, Way), QueryError> {
        if text.len() > LONGEST {
            return Err(QueryError::BadCursor);
        }
        let bytes = hex::decode(text).map_err(|_| QueryError::BadCursor)?;
        let cursor: Cursor<'_> = serde_json::from_slice(&bytes).map_err(|_| QueryError::BadCursor)?;
        let same = cursor.view == listed.view.name()
            && cursor.listing == listed.listing
            && cursor.group == listed.group
            && cursor.order == order;
        if !same {
            return Err(QueryError::BadCursor);
        }
        // No text that comes in has it, and PostgreSQL takes none that does: no listing has given such a place.
        if [&cursor.sort, &cursor.key].iter().any(|text| text.contains('\0')) {
            return Err(QueryError::BadCursor);
        }
        let place = SeekKey {
            sort: cursor.sort.into_owned(),
            key: cursor.key.into_owned(),
        };
        Ok((place, cursor.way))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> Listed {
        Listed {
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
        Cursor::text(&listed(), Order::Asc, Way::Next, &row)
    }

    #[test]
    fn a_cursor_leads_back_to_its_row() {
        let (place, way) = Cursor::parse(&cursor("mug", "mug-1"), &listed(), Order::Asc).unwrap();
        assert_eq!(
            (place.sort.as_str(), place.key.as_str(), way),
            ("mug", "mug-1", Way::Next)
        );
    }

    #[test]
    fn what_no_listing_has_given_is_no_cursor() {
        for made_up in [
            cursor("mu\0g", "mug-1"),
            cursor("mug", "mug-\0"),
            cursor(&"x".repeat(LONGEST), "mug-1"),
            hex::encode("{}"),
            // a key that is not UTF-8
            cursor("mug", "mug-1").replace(&hex::encode("mug-1"), "ff"),
            "mug".to_owned(),
        ] {
            let parsed = Cursor::parse(&made_up, &listed(), Order::Asc);
            assert!(
                matches!(parsed, Err(QueryError::BadCursor)),
                "{made_up}: {parsed:?}"
            );
        }
    }
}
