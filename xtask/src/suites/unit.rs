//! The unit and integration tests of the workspace's native half, run by `cargo test`.

use std::ffi::OsString;

use anyhow::Result;

use super::Counts;
use crate::workspace::Workspace;

pub(super) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<Counts> {
    Counts::of_command(workspace.cargo().arg("test").args(arguments))
}
