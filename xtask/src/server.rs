//! The server's half: building the binary `foldline` around the published client, and starting it. The server
//! finds the client by itself in the target folder (see `server/boxes/gateway/build.rs`), so a build by plain
//! cargo is the same build.

use std::{
    ffi::OsString,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::Result;

use crate::{assets::Effort, client::Client, machine::progress, process, workspace::Workspace};

/// The program, as cargo's arguments.
const FOLDLINE: [&str; 4] = ["--package", "server", "--bin", "foldline"];

/// Builds both halves and becomes the server, so that Ctrl-C is the server's to handle.
pub(crate) fn serve(workspace: &Workspace, effort: Effort, arguments: &[OsString]) -> Result<ExitCode> {
    let client = Client::build(workspace, effort)?;
    if effort == Effort::Release {
        client.print_sizes();
    }
    let binary = build(workspace, effort)?;
    progress("starting the server");
    let mut command = Command::new(binary);
    command.arg("serve").args(arguments);
    become_program(command)
}

/// Builds the binary, in the profile that the client's effort asks for.
pub(crate) fn build(workspace: &Workspace, effort: Effort) -> Result<PathBuf> {
    let (profile, folder) = match effort {
        Effort::Dev => ("dev", "debug"),
        Effort::Release => ("release", "release"),
    };
    progress(&format!("building the server (profile {profile})"));
    process::run(
        workspace
            .cargo()
            .arg("build")
            .args(FOLDLINE)
            .args(["--profile", profile]),
    )?;
    Ok(binary(workspace, folder))
}

/// Builds the release's binary without its symbols. What it is linked from is shared with [`build`].
pub(crate) fn build_stripped(workspace: &Workspace) -> Result<PathBuf> {
    progress("building the server (profile release, stripped)");
    process::run(workspace.cargo().arg("rustc").args(FOLDLINE).args([
        "--profile",
        "release",
        "--",
        "-C",
        "strip=symbols",
    ]))?;
    Ok(binary(workspace, "release"))
}

/// Builds the binary as `cargo test` does, for its integration tests: what the unit suite has compiled is not
/// compiled again with the features of a plain build.
pub(crate) fn build_for_tests(workspace: &Workspace) -> Result<PathBuf> {
    progress("building the server (profile dev)");
    process::run(workspace.cargo().args(["test", "--quiet", "--no-run"]))?;
    Ok(binary(workspace, "debug"))
}

fn binary(workspace: &Workspace, folder: &str) -> PathBuf {
    workspace
        .target
        .join(folder)
        .join(format!("foldline{}", std::env::consts::EXE_SUFFIX))
}

/// Runs a program in place of this one.
#[cfg(unix)]
pub(crate) fn become_program(mut command: Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;

    // `exec` only comes back when it failed.
    Err(command.exec().into())
}

/// Runs a program, and ends as it ends.
#[cfg(not(unix))]
pub(crate) fn become_program(mut command: Command) -> Result<ExitCode> {
    let status = command.status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
