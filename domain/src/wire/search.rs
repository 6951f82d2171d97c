//! The answer of a search: hits with highlights, and facets.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::token::ConsistencyToken;

/// The kinds of hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SearchKind {
    /// Products on sale.
    Products,
    /// Orders.
    Orders,
    /// Customers.
    Customers,
}

impl SearchKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Products, Self::Orders, Self::Customers];

    /// The name on the wire, which is the name of the view whose documents these are.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Products => "products",
            Self::Orders => "orders",
            Self::Customers => "customers",
        }
    }
}

/// A part of a text, and whether it matches the search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HighlightPart {
    /// The part.
    pub text: String,
    /// Whether it matched.
    pub matched: bool,
}

/// The matches in one text of a hit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Highlight {
    /// The text: `title` or `text`.
    pub field: String,
    /// The text, in parts.
    pub parts: Vec<HighlightPart>,
}

/// A hit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchHit<D = Value> {
    /// Its kind.
    pub kind: SearchKind,
    /// The key of its document in the view of the same name.
    pub key: String,
    /// Its title.
    pub title: String,
    /// Its score; hits are sorted by it.
    pub score: f32,
    /// The matches; empty if they are in texts that are not shown.
    pub highlights: Vec<Highlight>,
    /// The document of the view, at the index's position.
    pub data: D,
}

/// The number of hits with one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Facet {
    /// The value, as in `kitchen`.
    pub value: String,
    /// The number of hits, on all pages.
    pub count: u64,
}

/// The facets of a search, largest count first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchFacets {
    /// By kind.
    pub kinds: Vec<Facet>,
    /// By tag of products.
    pub tags: Vec<Facet>,
    /// By status of orders.
    pub statuses: Vec<Facet>,
}

/// `GET /api/v1/search`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchAnswer<D = Value> {
    /// The hits, best match first.
    pub hits: Vec<SearchHit<D>>,
    /// The facets.
    pub facets: SearchFacets,
    /// The position of the index.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0:127"))]
    pub as_of: ConsistencyToken,
    /// The number of events that the index has not folded yet.
    pub behind: u64,
}
