//! The program `foldline` as operators run it: a process with a data folder that is killed, refused and
//! starved, with foreign peers.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod client;
mod crash_log;
mod file_size_limit;
mod for_tests;
mod fulfilment;
mod full_disk;
mod history;
mod hops;
mod load;
mod mails;
#[cfg(unix)]
mod private_files;
mod python;
mod refused;
mod running;
mod security_log;
mod traces;
mod upgrade;
mod warehouse;
