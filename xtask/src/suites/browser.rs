//! The whole system through a real browser: a client and a debug server, used by the tests in `end2end/`. CI
//! tests the release's client, which is the one that people get, and holds it to its budget; elsewhere the
//! tests use a development client.

use std::{env, ffi::OsString, fs, process::Command};

use anyhow::{Context, Result};

use super::{Counts, Records, python, scratch::Scratch};
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

pub(super) fn run(
    workspace: &Workspace,
    filters: &[OsString],
    records: Option<&Records>,
    scratch: &Scratch,
) -> Result<Counts> {
    prepare(workspace)?;
    let schemathesis = python::install(workspace)?.join("st");
    let budget = build_client(workspace)?;
    let binary = server::build_for_tests(workspace)?;
    let run = || {
        Counts::of_command(
            scratch
                .used_by(&mut playwright_test(workspace))
                .env("FOLDLINE_BINARY", &binary)
                .env("SCHEMATHESIS", schemathesis)
                .arg("--forbid-only")
                .args(filters),
        )
    };
    // The manifest names each of the client's files by its hash.
    let built = [binary.clone(), workspace.site().join("manifest.json")];
    let tests = match records {
        Some(records) if filters.is_empty() => {
            records.suite(workspace, "browser", (&["end2end/", "README.md"], &built), run)?
        }
        _ => run()?,
    };
    Ok(budget + tests)
}

/// Pictures of every page, into `docs/`: with the client that is sent to people, and the server that the
/// tests use.
pub(crate) fn take_screens(workspace: &Workspace) -> Result<()> {
    prepare(workspace)?;
    Client::build(workspace, Effort::Release)?;
    let binary = server::build_for_tests(workspace)?;
    process::run(
        playwright_test(workspace)
            .env("FOLDLINE_BINARY", binary)
            .args(["--config", "screens.config.mjs"]),
    )
}

/// Playwright's test runner, as `end2end/` has it installed.
fn playwright_test(workspace: &Workspace) -> Command {
    let mut command = Command::new("npx");
    command
        .current_dir(workspace.root.join("end2end"))
        .args(["--no", "playwright", "test"]);
    command
}

/// The client under test. Where `CI` is set it is the release's, and its budget counts as a test of its own,
/// so that a client over its budget is still tested. Elsewhere it is a development client, which is built in
/// a fraction of the time and has no budget.
fn build_client(workspace: &Workspace) -> Result<Counts> {
    if env::var_os("CI").is_none() {
        Client::build(workspace, Effort::Dev)?;
        println!("the development client is tested; the release's and its budget are tested where CI is set");
        return Ok(Counts::default());
    }
    let client = Client::build(workspace, Effort::Release)?;
    client.print_sizes();
    Ok(match client.check_budget() {
        Ok(()) => Counts {
            passed: 1,
            ..Counts::default()
        },
        Err(error) => {
            eprintln!("xtask: {error:#}");
            Counts {
                failed: 1,
                ..Counts::default()
            }
        }
    })
}

/// The fonts in which the picture is measured, in all of its scripts. Other systems have fonts of their own
/// for them.
const FONTS: [&str; 2] = ["fonts-noto-core", "fonts-noto-cjk"];

/// A browser, its fonts, and the packages of `end2end/`.
pub(super) fn prepare(workspace: &Workspace) -> Result<()> {
    if env::var_os("FOLDLINE_CHROMIUM").is_none()
        && !BROWSERS.iter().any(|browser| process::find(browser).is_some())
    {
        machine::apt_install(&["chromium"])
            .context("the browser tests need Chromium: please install it, or name it in FOLDLINE_CHROMIUM")?;
    }
    if machine::is_debian() {
        machine::apt_install(&FONTS)?;
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
            .args(["ci", "--no-audit", "--no-fund"])
            // The browser under test is the system's.
            .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1"),
    )
    .context("the browser tests need Node.js 20 or newer with npm")?;
    fs::write(installed, lock)?;
    Ok(())
}
