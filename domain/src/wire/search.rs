//! What a search answers: hits with what matched in them, and how many there are of what.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::token::ConsistencyToken;

/// What can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SearchKind {
    /// Products on sale.
    Products,
    /// Orders.
    Orders,
    /// People who order.
    Customers,
}

impl SearchKind {
    /// Every kind.
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

/// A piece of a text, and whether it is what was searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HighlightPart {
    /// The piece.
    pub text: String,
    /// Whether it matched.
    pub matched: bool,
}

/// Where in a hit the words were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Highlight {
    /// Which text: `title`, or `text`.
    pub field: String,
    /// The text, in pieces.
    pub parts: Vec<HighlightPart>,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchHit<D = Value> {
    /// What it is.
    pub kind: SearchKind,
    /// The key of its document in the view of the same name.
    pub key: String,
    /// What to call it.
    pub title: String,
    /// How well it fits; hits come in the order of this.
    pub score: f32,
    /// What matched; empty where the words are in nothing that is shown.
    pub highlights: Vec<Highlight>,
    /// The document of the view, as far as the index has folded it.
    pub data: D,
}

/// How many hits there are of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Facet {
    /// Of what, as in `kitchen`.
    pub value: String,
    /// How many, on all pages.
    pub count: u64,
}

/// How many hits there are of what, the most first.
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
    /// What was found, the best first.
    pub hits: Vec<SearchHit<D>>,
    /// How many hits there are of what.
    pub facets: SearchFacets,
    /// How far the index is.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0:127"))]
    pub as_of: ConsistencyToken,
    /// Events of the workspace that the index has not seen yet.
    pub behind: u64,
}
