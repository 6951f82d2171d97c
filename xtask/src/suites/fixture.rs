//! `cargo xtask fixture`: keeps what today's program leaves behind in its stores, made and carried on once by
//! the tests that make one in every run of the unit suite.

use std::process::ExitCode;

use anyhow::Result;

use super::{Counts, python, unit};
use crate::workspace::Workspace;

pub(crate) fn make(workspace: &Workspace, name: &str) -> Result<ExitCode> {
    unit::prepare_postgres()?;
    python::install(workspace)?;
    let counts = Counts::of_command(
        workspace
            .cargo()
            .env("FOLDLINE_TEST_FIXTURE", name)
            .args(["test", "--package", "server", "--test", "program"])
            // These alone: the others read the folder that these write to.
            .args(["this_version_leaves_behind", "--", "--test-threads", "1"]),
    )?;
    Ok(if counts.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
