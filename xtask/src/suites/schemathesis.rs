//! Schemathesis, which makes requests up from the OpenAPI description: installed from its locked requirements into a
//! Python environment of ours.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{
    machine::{self, progress},
    process,
    workspace::Workspace,
};

/// The program, installed where it is missing or of other versions than those that are locked.
pub(super) fn install(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("tools/schemathesis");
    let program = folder.join("bin/st");
    let requirements = workspace.root.join("end2end/requirements.txt");
    let wanted = fs::read(&requirements)?;
    let installed = folder.join("installed-requirements.txt");
    if fs::read(&installed).is_ok_and(|before| before == wanted) {
        return Ok(program);
    }
    progress("installing schemathesis with pip");
    make_environment(&folder)
        .context("the test of the interface's description needs Python 3.11 or newer, with venv")?;
    process::run_quietly(
        Command::new(folder.join("bin/pip"))
            .args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(&requirements),
    )?;
    fs::write(installed, wanted)?;
    Ok(program)
}

fn make_environment(folder: &PathBuf) -> Result<()> {
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
