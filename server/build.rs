//! Names the commit that the program is built from, for `foldline --version`. It is unknown outside of a git
//! checkout.
//!
//! Both the commit and its date are the repository's, so two builds of one commit say the same.

use std::{path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let commit = commit();
    if commit.is_some() {
        watch_head();
    }
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    // Without our prefix: cargo also sets it for the tests, whose servers refuse unknown `FOLDLINE_*`
    // variables.
    println!("cargo::rustc-env=BUILT_FROM_COMMIT={commit}");
}

/// The commit and its date, as in `0330cdc1a2b3 of 2026-11-28`.
fn commit() -> Option<String> {
    // A release without `.git` may be in another project's checkout, whose commit is not ours.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    git(&[
        "-c",
        "log.showSignature=false",
        "log",
        "-1",
        "--abbrev=12",
        "--format=%h of %cs",
    ])
}

/// Has cargo run this again when another commit is checked out or made. A file that is missing is not named
/// to cargo: cargo would run this every time.
fn watch_head() {
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD"].into_iter().chain(branch.as_deref()) {
        let file = git(&["rev-parse", "--git-path", name]);
        if let Some(file) = file.filter(|file| Path::new(file).is_file()) {
            println!("cargo::rerun-if-changed={file}");
        }
    }
}

/// What git prints, if it succeeds.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
