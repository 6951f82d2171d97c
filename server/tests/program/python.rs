//! Python programs that are the server's peers in tests, each a file beside its test.
//!
//! `xtask/requirements.txt` locks what they import; `cargo xtask test` installs it into the target folder,
//! where this finds it. So plain `cargo test` works too after one such run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::running::clean;

/// The required packages.
const REQUIREMENTS: &str = include_str!("../../../xtask/requirements.txt");

/// A program beside the tests, run by an interpreter that has the required packages.
pub(crate) fn program(name: &str) -> Command {
    let mut command = clean(interpreter().to_str().expect("the target folder is text"));
    command.arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/program")
            .join(name),
    );
    command
}

fn interpreter() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("it is in the target folder");
    let environment = target.join("tools/python");
    let installed = fs::read_to_string(environment.join("installed-requirements.txt")).unwrap_or_default();
    assert!(
        installed == REQUIREMENTS,
        "this test runs a Python program, and {} has not what xtask/requirements.txt locks: \
         `cargo xtask test unit` installs it",
        environment.display()
    );
    environment.join("bin/python")
}
