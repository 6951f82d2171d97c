//! The cursor of a page: opaque to clients, and valid only for the listing, group and order that gave it.
//!
//! JSON in hexadecimal. It holds the place of the row at the edge of the page, and which way to go on from there, so paging
//! never skips or repeats a row, whatever is inserted in between.

use domain::wire::Order;
use serde::{Deserialize, Serialize};

use super::{Listed, QueryError};
use cache::CachedRow;
use documents::Place;

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
    pub(super) fn parse(text: &str, listed: &Listed, order: Order) -> Result<(Place, Way), QueryError> {
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
        let place = Place {
            sort: cursor.sort.into_owned(),
            key: cursor.key.into_owned(),
        };
        Ok((place, cursor.way))
    }
}
