//! `cargo xtask history`: the history checker by itself, for as long as one likes: with kills of one server,
//! or with faults of several that are drawn from a seed. The unit suite runs seconds of both.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    process::ExitCode,
};

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::{Counts, unit};
use crate::workspace::Workspace;

/// How often a server is killed where nothing else is asked for.
const DEFAULT_KILLS: u32 = 50;
/// The servers on one PostgreSQL where no number is given.
const DEFAULT_SERVERS: u32 = 3;

/// Where the server under test keeps everything.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Database {
    Sqlite,
    Postgresql,
}

/// What the servers have to bear.
#[derive(Args)]
pub(crate) struct History {
    /// How often one server is killed, on each database [default: 50]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "faults")]
    kills: Option<u32>,
    /// How many faults are drawn from the seed, on each database: kills, pauses, cut connections, clocks,
    /// payments, views, mails, people
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    faults: Option<u32>,
    /// How many servers share a PostgreSQL [default: 3]; with SQLite there is one
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=5), requires = "faults")]
    servers: Option<u32>,
    /// The seed that the faults follow from [default: a new one, which is printed]
    #[arg(long, requires = "faults")]
    seed: Option<u64>,
    /// On one database only
    #[arg(long)]
    database: Option<Database>,
}

/// A variable of the environment, and its value.
type Variable = (&'static str, String);

impl History {
    /// The variables for the tests, and the name of the test for each database.
    fn settings(&self) -> (Vec<Variable>, [(Database, &'static str); 2]) {
        let Some(faults) = self.faults else {
            let kills = self.kills.unwrap_or(DEFAULT_KILLS).to_string();
            return (
                vec![("FOLDLINE_TEST_KILLS", kills)],
                [
                    (
                        Database::Sqlite,
                        "no_event_is_lost_doubled_or_stale_however_often_a_server_with_sqlite",
                    ),
                    (
                        Database::Postgresql,
                        "no_event_is_lost_doubled_or_stale_however_often_a_server_with_postgresql",
                    ),
                ],
            );
        };
        let seed = self
            .seed
            .unwrap_or_else(|| RandomState::new().build_hasher().finish());
        let servers = self.servers.unwrap_or(DEFAULT_SERVERS);
        (
            vec![
                ("FOLDLINE_TEST_FAULTS", faults.to_string()),
                ("FOLDLINE_TEST_SERVERS", servers.to_string()),
                ("FOLDLINE_TEST_SEED", seed.to_string()),
            ],
            [
                (
                    Database::Sqlite,
                    "faults_from_a_seed_leave_nothing_lost_doubled_or_out_of_order_at_a_server",
                ),
                (
                    Database::Postgresql,
                    "faults_from_a_seed_leave_nothing_lost_doubled_or_out_of_order_at_servers",
                ),
            ],
        )
    }
}

pub(crate) fn run(workspace: &Workspace, history: &History) -> Result<ExitCode> {
    let on = |database| history.database.is_none_or(|only| only == database);
    if on(Database::Postgresql) {
        unit::prepare_postgres()?;
    }
    if history.faults.is_some() {
        // The warehouse is read by DuckDB.
        super::python::install(workspace)?;
    }
    let (variables, tests) = history.settings();
    let counts = Counts::of_command(
        workspace
            .cargo()
            .envs(variables)
            .args(["test", "--package", "server", "--test", "program", "--"])
            .args(["--nocapture", "--test-threads", "1"])
            .args(
                tests
                    .into_iter()
                    .filter(|(database, _)| on(*database))
                    .map(|(_, test)| test),
            ),
    )?;
    Ok(if counts.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        history: History,
    }

    fn parsed(arguments: &[&str]) -> Result<History, clap::Error> {
        let arguments = ["history"].into_iter().chain(arguments.iter().copied());
        Cli::try_parse_from(arguments).map(|cli| cli.history)
    }

    #[test]
    fn faults_and_kills_are_two_runs() {
        let kills = parsed(&["--kills", "7"]).unwrap().settings();
        assert_eq!(kills.0, [("FOLDLINE_TEST_KILLS", "7".to_owned())]);
        let faults = parsed(&["--servers", "3", "--faults", "200", "--seed", "7"])
            .unwrap()
            .settings();
        let value = |name: &str| {
            let found = faults.0.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("FOLDLINE_TEST_FAULTS"), Some("200"));
        assert_eq!(value("FOLDLINE_TEST_SERVERS"), Some("3"));
        assert_eq!(value("FOLDLINE_TEST_SEED"), Some("7"));
        for refused in [
            ["--kills", "7", "--faults", "7"],
            ["--seed", "7", "--servers", "3"],
        ] {
            assert!(parsed(&refused).is_err(), "{refused:?}");
        }
    }
}
