//! Hostile bytes for the parsers that are public. Those that are private have their tests in their crates,
//! under names that begin in the same way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cloud_events;
mod commands;
mod frames;
mod money;
mod names;
mod settings;
mod tokens;
mod urls;
