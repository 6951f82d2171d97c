//! The areas of the texts: which groups of `locales/*.json` a browser loads, and with which pages.
//!
//! A group that only the server's pages use belongs to [`PAGE`] and is never sent; its functions exist on the
//! server only, so an island that uses one does not compile. The texts of the lessons and the glossary belong
//! to it as well, and have no functions: see [`is_found_by_name`].

/// What the frame and the islands of the shop show: loaded by every page of a workspace.
pub(crate) const SHOP: &str = "shop";
/// What the islands of the back office show: loaded by its pages in addition.
pub(crate) const OFFICE: &str = "office";
/// What the islands of the lab show: loaded by its pages in addition to the shop's, and not with the back
/// office's.
pub(crate) const LAB: &str = "lab";
/// What only the server writes into pages.
pub(crate) const PAGE: &str = "page";

/// The group of the terms that the lessons teach, and of what each means.
const GLOSSARY: &str = "glossary";
/// The beginning of the groups that word one lesson each, as in `lesson_happy_path`.
const LESSON: &str = "lesson_";

/// Whether the server finds the texts of a group by their names while it renders: those of a lesson, by the
/// names of its steps, and the glossary, by the terms of the steps. So a lesson needs no code in `app`, and a
/// group of it no line in [`AREAS`]: it belongs to [`PAGE`].
pub(crate) fn is_found_by_name(group: &str) -> bool {
    group == GLOSSARY || group.starts_with(LESSON)
}

/// The areas in the order of their texts, each with its groups.
pub(crate) const AREAS: [(&str, &[&str]); 4] = [
    (
        SHOP,
        &[
            "basket",
            "class",
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
    (
        LAB,
        &[
            "lab",
            "lab_class",
            "lab_dials",
            "lab_handlers",
            "lab_lesson",
            "lab_log",
            "lab_views",
            "verify",
        ],
    ),
    (
        PAGE,
        &[
            "account",
            "class_page",
            "infographic",
            "join",
            "lab_page",
            "landing",
            "languages",
            "lessons",
            "mailbox",
            "not_found",
            "open",
            "stream",
            "streams",
            "theme",
        ],
    ),
];
