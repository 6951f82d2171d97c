//! `cargo xtask test`: the suites in the order that finds a mistake soonest, each timed and counted. The
//! first suite that fails ends the run; the table at the end still names every suite, and the last line alone
//! says `N passed, M failed`. A service or a program that a suite needs and cannot get fails it; nothing is
//! skipped in silence.

mod browser;
mod count;
mod fixture;
mod history;
mod python;
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
    history::{Database, run as history},
    unit::prepare_postgres,
};
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

    fn run(self, workspace: &Workspace, arguments: &[OsString]) -> Result<Counts> {
        match self {
            Self::Unit => unit::run(workspace, arguments),
            Self::Wasm => wasm::run(workspace),
            Self::Browser => browser::run(workspace, arguments),
        }
    }
}

/// Runs one suite or all, and tells how it went.
pub(crate) fn run(workspace: &Workspace, only: Option<Suite>, arguments: &[OsString]) -> ExitCode {
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
        let counts = suite.run(workspace, arguments).unwrap_or_else(|error| {
            eprintln!("xtask: suite {}: {error:#}", suite.name());
            // What kept a suite from running counts as one failure.
            Counts { passed: 0, failed: 1 }
        });
        total = total + counts;
        table.push((suite.name(), Some((counts, start.elapsed()))));
    }
    print_table(&table);
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
        "{:<10} {:>8} {:>8} {:>10}",
        "suite", "passed", "failed", "duration"
    );
    for (name, result) in table {
        match result {
            Some((counts, duration)) => {
                println!(
                    "{name:<10} {:>8} {:>8} {:>8.1} s",
                    counts.passed,
                    counts.failed,
                    duration.as_secs_f64()
                );
            }
            None => println!("{name:<10} {:>8} {:>8} {:>10}", "-", "-", "not run"),
        }
    }
    println!();
}
