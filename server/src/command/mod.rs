//! Box 3, Command Service: validates intent and creates domain commands.
//!
//! A command goes one way: parse → authorise → (repeated? the first answer again) → load the aggregate → `decide` →
//! append with the version that was decided on → where somebody was faster and the caller did not name a version, load
//! and decide again.
