//! The unit and integration tests of the workspace's native half, run by `cargo test`. The stores are tested
//! on real databases: SQLite is inside the program, PostgreSQL's programs have to be on the machine. Emails
//! go to a real mail server, and the warehouse is read by a real database; both are Python's.

use std::{ffi::OsString, fs};

use anyhow::{Context, Result};

use super::{Counts, Records, python, scratch::Scratch};
use crate::{machine, process, workspace::Workspace};

pub(super) fn run(
    workspace: &Workspace,
    arguments: &[OsString],
    records: Option<&Records>,
    scratch: &Scratch,
) -> Result<Counts> {
    prepare_postgres()?;
    python::install(workspace)?;
    let mut product = workspace.cargo();
    if let Some(records) = records {
        records.recorded(&mut product)?;
    }
    let product = Counts::of_command(scratch.used_by(product.arg("test").args(arguments)))?;
    // Some of its tests read every source, so they are run each time: they take a second.
    let xtask = Counts::of_command(
        workspace
            .cargo()
            .args(["test", "--package", "xtask"])
            .args(arguments),
    )?;
    Ok(product + xtask)
}

/// PostgreSQL's programs. Also where `FOLDLINE_TEST_POSTGRES` names a server: some tests crash one, and
/// theirs must be their own.
pub(crate) fn prepare_postgres() -> Result<()> {
    if has_postgres() {
        return Ok(());
    }
    machine::apt_install(&["postgresql"]).context(
        "the stores are tested and measured on PostgreSQL: its programs initdb and pg_ctl are wanted in \
         /usr/lib/postgresql or in PATH",
    )
}

/// Whether the programs are where Debian puts them, or in `PATH`: where the tests look too.
fn has_postgres() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    versions
        .map(|version| version.path().join("bin/initdb"))
        .any(|program| program.is_file())
        || process::find("initdb").is_some()
}
