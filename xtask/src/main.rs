//! `cargo xtask`: the one build tool. It builds the two halves of Foldline, the browser's and the server's,
//! runs them, tests them and packs them, on an ordinary machine and on one without network beyond package
//! registries. `docs/building.md` tells what it does and what it installs.

mod assets;
mod bench;
mod client;
mod css;
#[cfg(test)]
mod dependencies;
mod dev;
mod dist;
mod machine;
mod process;
mod server;
mod slim;
#[cfg(test)]
mod style_guide;
mod suites;
mod toolchain;
mod wasm_opt;
mod workspace;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{assets::Effort, suites::Suite, workspace::Workspace};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, runs, tests and packs Foldline")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Serves a development build, builds what changes in the sources, and reloads open pages
    Dev {
        /// For `foldline serve`
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Builds the client and the server, and starts the server
    Serve {
        /// Optimised: the small client, the fast server
        #[arg(long)]
        release: bool,
        /// For `foldline serve`
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Runs the tests: all, or one suite
    Test {
        /// The suite to run; all of them when none is named
        suite: Option<Suite>,
        /// Also what has not changed since it passed, as in CI
        #[arg(long)]
        all: bool,
        /// For the suite's runner: `cargo test`, or file name filters for the browser's
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Runs one test program for cargo, and keeps a record of its pass
    #[command(hide = true)]
    RunRecorded {
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Makes servers fail under load, and compares what their clients saw with the log
    History(suites::History),
    /// Feeds hostile bytes to every parser
    Fuzz(suites::Fuzz),
    /// Keeps what this version leaves behind in its stores, for later versions to be tested on
    Fixture {
        /// Its folder in server/tests/fixtures, as in 2026-11-28
        name: String,
    },
    /// Builds the client alone, into the site folder that the server embeds
    Client {
        /// Optimised, and held to its budget
        #[arg(long)]
        release: bool,
    },
    /// Takes a picture of every page, for `docs/screens.md`
    Screens,
    /// Measures Foldline against its peers and against the floor, in turns
    Bench(bench::Bench),
    /// Builds the one file to ship: target/dist/foldline
    Dist,
}

fn main() -> ExitCode {
    run(Cli::parse().task).unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(task: Task) -> Result<ExitCode> {
    let workspace = Workspace::locate()?;
    let effort = |release| if release { Effort::Release } else { Effort::Dev };
    match task {
        Task::Dev { arguments } => dev::dev(&workspace, &arguments),
        Task::Serve { release, arguments } => server::serve(&workspace, effort(release), &arguments),
        Task::Test {
            suite,
            all,
            arguments,
        } => Ok(suites::run(&workspace, suite, &arguments, all)),
        Task::RunRecorded { program, arguments } => suites::run_recorded(&program, &arguments),
        Task::History(history) => suites::history(&workspace, &history),
        Task::Fuzz(fuzz) => suites::fuzz(&workspace, &fuzz),
        Task::Fixture { name } => suites::make_fixture(&workspace, &name),
        Task::Client { release } => {
            let client = client::Client::build(&workspace, effort(release))?;
            client.print_sizes();
            if release {
                client.check_budget()?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Task::Screens => suites::take_screens(&workspace).map(|()| ExitCode::SUCCESS),
        Task::Bench(bench) => bench.run(&workspace),
        Task::Dist => dist::dist(&workspace).map(|()| ExitCode::SUCCESS),
    }
}
