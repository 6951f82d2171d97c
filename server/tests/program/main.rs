//! The program `foldline` as operators have it: a process with a data folder, that is killed, refused and starved.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod fulfilled;
mod full_disk;
mod history;
#[path = "../postgres/mod.rs"]
#[expect(dead_code, reason = "shared with tests that crash the database")]
mod postgres;
mod refused;
mod running;
mod traces;
