//! Python programs that take part in tests: Schemathesis, which makes requests up from the OpenAPI
//! description, and the mail server and the database that read what the server sends and writes. They are
//! installed from their locked requirements into one environment of ours; `server/tests/program/python.rs`
//! looks for it there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    machine::{self, progress},
    process,
    workspace::Workspace,
};

/// The folder of the installed programs, and of the interpreter that has their packages. Installed where it
/// is missing, or of other versions than those that are locked.
pub(super) fn install(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("tools/python");
    let programs = folder.join("bin");
    let requirements = workspace.root.join("xtask/requirements.txt");
    let wanted = fs::read(&requirements)?;
    let installed = folder.join("installed-requirements.txt");
    if fs::read(&installed).is_ok_and(|before| before == wanted) {
        return Ok(programs);
    }
    progress("installing Python packages with pip");
    make_environment(&folder).context("some tests run Python programs, on Python 3.11 or newer with venv")?;
    process::run_quietly(
        Command::new(programs.join("pip"))
            .args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(&requirements),
    )?;
    fs::write(installed, wanted)?;
    Ok(programs)
}

fn make_environment(folder: &Path) -> Result<()> {
    let make = || {
        process::run_quietly(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(folder),
        )
    };
    if make().is_err() {
        machine::apt_install(&["python3", "python3-venv"])?;
        make()?;
    }
    Ok(())
}
