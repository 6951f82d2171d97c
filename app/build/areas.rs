//! The areas of the texts: which groups of `locales/*.json` a browser loads, and with which pages.
//!
//! A group that only the server's pages use belongs to [`PAGE`] and is never sent; its functions exist on the
//! server only, so an island that uses one does not compile.

/// What the frame and the islands of the shop show: loaded by every page of a workspace.
pub(crate) const SHOP: &str = "shop";
/// What the islands of the back office show: loaded by its pages in addition.
pub(crate) const OFFICE: &str = "office";
/// What the islands of the lab show: loaded by its pages in addition to the shop's, and not with the back
/// office's.
pub(crate) const LAB: &str = "lab";
/// What only the server writes into pages.
pub(crate) const PAGE: &str = "page";

/// The areas in the order of their texts, each with its groups.
pub(crate) const AREAS: [(&str, &[&str]); 4] = [
    (
        SHOP,
        &[
            "basket",
            "connection",
            "dials",
            "event",
            "freshness",
            "inbox",
            "invalid",
            "layout",
            "order",
            "orders",
            "outgoing",
            "outside",
            "payment",
            "problem",
            "product",
            "reason",
            "refusal",
            "shop",
            "status",
            "stock",
        ],
    ),
    (OFFICE, &["office"]),
    (LAB, &["lab", "lab_dials", "lab_handlers", "lab_log", "verify"]),
    (
        PAGE,
        &[
            "account",
            "infographic",
            "join",
            "lab_page",
            "landing",
            "languages",
            "mailbox",
            "not_found",
            "open",
            "stream",
            "streams",
            "theme",
        ],
    ),
];
