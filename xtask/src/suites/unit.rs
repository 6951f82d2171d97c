//! The unit and integration tests of the workspace's native half, run by `cargo test`.

use std::ffi::OsString;

use anyhow::Result;

use super::Counts;
use crate::workspace::Workspace;

pub(super) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<Counts> {
    let product = Counts::of_command(workspace.cargo().arg("test").args(arguments))?;
    let xtask = Counts::of_command(
        workspace
            .cargo()
            .args(["test", "--package", "xtask"])
            .args(arguments),
    )?;
    Ok(product + xtask)
}
