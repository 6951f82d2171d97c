//! Programs in Python that are the server's peers in tests, each a file beside the test that runs it.
//!
//! What they import is what `xtask/requirements.txt` locks; `cargo xtask test` installs it into the target folder, where it
//! is looked for here. So plain `cargo test` finds it too, once that was run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::running::clean;

/// What must have been installed.
const REQUIREMENTS: &str = include_str!("../../../xtask/requirements.txt");

/// A program, by its name beside the tests, with an interpreter that has what it imports.
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
        .expect("it lies in the target folder");
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
