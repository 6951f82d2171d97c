//! The whole system through a real browser: the release client inside a debug server, used by the tests in
//! `end2end/`. The client of the release is the one that is sent to people, so it is the one that is tested, and held
//! to its budget.

use std::{ffi::OsString, fs, process::Command};

use anyhow::{Context, Result};

use super::{Counts, python};
use crate::{
    assets::Effort,
    client::Client,
    machine::{self, progress},
    process, server,
    workspace::Workspace,
};

/// Names under which a Chromium may be installed.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

pub(super) fn run(workspace: &Workspace, filters: &[OsString]) -> Result<Counts> {
    prepare(workspace)?;
    let schemathesis = python::install(workspace)?.join("st");
    let client = build_client(workspace)?;
    client.print_sizes();
    // The budget counts as a test of its own, so that a client that is too heavy is still tested.
    let budget = match client.check_budget() {
        Ok(()) => Counts { passed: 1, failed: 0 },
        Err(error) => {
            eprintln!("xtask: {error:#}");
            Counts { passed: 0, failed: 1 }
        }
    };
    let binary = server::build_for_tests(workspace)?;
    let tests = Counts::of_command(
        Command::new("node")
            .current_dir(workspace.root.join("end2end"))
            .env("FOLDLINE_BINARY", binary)
            .env("SCHEMATHESIS", schemathesis)
            .arg("run.mjs")
            .args(filters),
    )?;
    Ok(budget + tests)
}

/// Pictures of every page, into `docs/`: with the client that is sent to people, and the server that the tests use.
pub(crate) fn take_screens(workspace: &Workspace) -> Result<()> {
    prepare(workspace)?;
    build_client(workspace)?;
    let binary = server::build_for_tests(workspace)?;
    process::run(
        Command::new("node")
            .current_dir(workspace.root.join("end2end"))
            .env("FOLDLINE_BINARY", binary)
            .arg("screens.mjs")
            .arg(workspace.root.join("docs")),
    )
}

/// The client that is tested: the one that is sent to people.
pub(super) fn build_client(workspace: &Workspace) -> Result<Client> {
    Client::build(workspace, Effort::Release)
}

/// A browser, and the packages of `end2end/`.
pub(super) fn prepare(workspace: &Workspace) -> Result<()> {
    if std::env::var_os("FOLDLINE_CHROMIUM").is_none()
        && !BROWSERS.iter().any(|browser| process::find(browser).is_some())
    {
        machine::apt_install(&["chromium"])
            .context("the browser tests need Chromium: please install it, or name it in FOLDLINE_CHROMIUM")?;
    }
    install_packages(workspace)
}

/// `npm ci`, when the lock file is not the one that was installed last.
fn install_packages(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root.join("end2end");
    let lock = fs::read(folder.join("package-lock.json"))?;
    let installed = folder.join("node_modules/installed-lock.json");
    if fs::read(&installed).is_ok_and(|before| before == lock) {
        return Ok(());
    }
    progress("npm ci in end2end");
    process::run_quietly(
        Command::new("npm")
            .current_dir(&folder)
            .args(["ci", "--no-audit", "--no-fund"]),
    )
    .context("the browser tests need Node.js 20 or newer with npm")?;
    fs::write(installed, lock)?;
    Ok(())
}
