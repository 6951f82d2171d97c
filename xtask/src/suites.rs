//! `cargo xtask test`: the suites in the order that finds a mistake soonest, each timed and counted. The
//! first suite that fails ends the run; the table at the end still names every suite, and the last line alone
//! says `N passed, M failed`. A service or a program that a suite needs and cannot get fails it; nothing is
//! skipped in silence.

mod browser;
mod count;
mod fixture;
mod fuzz;
mod history;
mod python;
mod records;
mod scratch;
mod unit;
mod wasm;

use std::{
    ffi::OsString,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::ValueEnum;

pub(crate) use self::{
    browser::take_screens,
    count::Counts,
    fixture::make as make_fixture,
    fuzz::{Fuzz, run as fuzz},
    history::{History, run as history},
    records::run_recorded,
    unit::prepare_postgres,
};
use self::{records::Records, scratch::Scratch};
use crate::workspace::Workspace;

/// A part of the tests that can be run by itself.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    /// Unit and integration tests of the workspace: `cargo test`
    Unit,
    /// Tests of `domain` and `app` compiled to WebAssembly, in a real browser
    Wasm,
    /// The whole system, used through a real browser
    Browser,
}

impl Suite {
    const ALL: [Self; 3] = [Self::Unit, Self::Wasm, Self::Browser];

    fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Wasm => "wasm",
            Self::Browser => "browser",
        }
    }

    fn run(
        self,
        workspace: &Workspace,
        arguments: &[OsString],
        records: Option<&Records>,
        scratch: &Scratch,
    ) -> Result<Counts> {
        match self {
            Self::Unit => unit::run(workspace, arguments, records, scratch),
            Self::Wasm => wasm::run(workspace, records),
            Self::Browser => browser::run(workspace, arguments, records, scratch),
        }
    }
}

/// Runs one suite or all, and tells how it went. What passed before and has not changed since is run again
/// only in CI and where `all` asks for it.
pub(crate) fn run(workspace: &Workspace, only: Option<Suite>, arguments: &[OsString], all: bool) -> ExitCode {
    let records = Records::of(workspace, all);
    let scratch = Scratch::new();
    let suites: Vec<Suite> = Suite::ALL
        .into_iter()
        .filter(|suite| only.is_none_or(|only| only == *suite))
        .collect();
    let mut table = Vec::new();
    let mut total = Counts::default();
    for suite in &suites {
        if total.failed > 0 {
            table.push((suite.name(), None));
            continue;
        }
        println!("── suite {} ──", suite.name());
        let start = Instant::now();
        let counts = suite
            .run(workspace, arguments, records.as_ref(), &scratch)
            .unwrap_or_else(|error| {
                eprintln!("xtask: suite {}: {error:#}", suite.name());
                // What kept a suite from running counts as one failure.
                Counts {
                    failed: 1,
                    ..Counts::default()
                }
            });
        total = total + counts;
        table.push((suite.name(), Some((counts, start.elapsed()))));
    }
    print_table(&table);
    if total.unchanged > 0 {
        println!(
            "{} more are unchanged since they passed; --all runs them again",
            total.unchanged
        );
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print_table(table: &[(&str, Option<(Counts, Duration)>)]) {
    println!();
    println!(
        "{:<10} {:>8} {:>8} {:>10} {:>10}",
        "suite", "passed", "failed", "unchanged", "duration"
    );
    for (name, result) in table {
        match result {
            Some((counts, duration)) => {
                println!(
                    "{name:<10} {:>8} {:>8} {:>10} {:>8.1} s",
                    counts.passed,
                    counts.failed,
                    counts.unchanged,
                    duration.as_secs_f64()
                );
            }
            None => println!("{name:<10} {:>8} {:>8} {:>10} {:>10}", "-", "-", "-", "not run"),
        }
    }
    println!();
}
