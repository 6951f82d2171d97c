//! `cargo xtask history`: the history checker by itself, with any number of kills. The unit suite runs it
//! with fifty on each database.

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;

use super::{Counts, unit};
use crate::workspace::Workspace;

/// Where the server under test keeps everything.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Database {
    Sqlite,
    Postgresql,
}

pub(crate) fn run(workspace: &Workspace, kills: u32, database: Option<Database>) -> Result<ExitCode> {
    let filter = match database {
        Some(Database::Sqlite) => Some("sqlite"),
        Some(Database::Postgresql) => Some("postgresql"),
        None => None,
    };
    if !matches!(database, Some(Database::Sqlite)) {
        unit::prepare_postgres()?;
    }
    let counts = Counts::of_command(
        workspace
            .cargo()
            .env("FOLDLINE_TEST_KILLS", kills.to_string())
            .args([
                "test",
                "--package",
                "server",
                "--test",
                "program",
                "history::",
                "--",
            ])
            .args(["--nocapture", "--test-threads", "1"])
            .args(filter),
    )?;
    Ok(if counts.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
