//! `cargo xtask fuzz`: hostile bytes for every parser, for as long as one likes. The unit suite tries each of
//! them for a moment. A failing input is made small and printed.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use super::Counts;
use crate::workspace::Workspace;

/// The packages with such tests: that of the public parsers, and those with private ones.
const PACKAGES: [&str; 5] = ["fuzz", "gateway", "mail", "query", "search"];

/// What is parsed, and how many tests it has. The tests are named `hostile_<target>_…`.
const TARGETS: [(&str, u32); 19] = [
    ("access_tokens", 1),
    ("bodies", 2),
    ("cloud_events", 2),
    ("commands", 2),
    ("cookies", 1),
    ("cursors", 2),
    ("frames", 3),
    ("ids", 1),
    ("instants", 1),
    ("languages", 2),
    ("mails", 1),
    ("money", 2),
    ("names", 1),
    ("pictures", 1),
    ("queries", 1),
    ("searches", 1),
    ("settings", 4),
    ("tokens", 3),
    ("urls", 3),
];

/// For how long, and what.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// How many minutes the inputs are tried, in all
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_080))]
    minutes: u64,
    /// One parser alone, as in cursors
    #[arg(long)]
    target: Option<String>,
}

impl Fuzz {
    /// The filter of the tests, and the seconds that each has.
    fn plan(&self) -> Result<(String, u64)> {
        let chosen = self.target.as_deref();
        let tests: u32 = TARGETS
            .iter()
            .filter(|(target, _)| chosen.is_none_or(|chosen| chosen == *target))
            .map(|(_, tests)| tests)
            .sum();
        if tests == 0 {
            let known: Vec<&str> = TARGETS.iter().map(|(target, _)| *target).collect();
            bail!("there is no such target; there are {}", known.join(", "));
        }
        let filter = chosen.map_or_else(|| "hostile_".to_owned(), |chosen| format!("hostile_{chosen}_"));
        Ok((filter, (self.minutes * 60 / u64::from(tests)).max(1)))
    }
}

pub(crate) fn run(workspace: &Workspace, fuzz: &Fuzz) -> Result<ExitCode> {
    let (filter, seconds) = fuzz.plan()?;
    println!("each test tries inputs for {seconds} s");
    let mut command = workspace.cargo();
    command
        .env("FOLDLINE_TEST_FUZZ_SECONDS", seconds.to_string())
        .arg("test");
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    // One after the other, so that the minutes are those of a clock.
    command.args([filter.as_str(), "--", "--nocapture", "--test-threads", "1"]);
    let counts = Counts::of_command(&mut command)?;
    Ok(if counts.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use super::*;

    /// The names of all tests with hostile bytes, by their target.
    fn tests_in(folder: &Path, found: &mut BTreeMap<String, u32>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                tests_in(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).unwrap();
                let tests = source.lines().filter(|line| line.ends_with("() {"));
                let names = tests.filter_map(|line| line.trim().strip_prefix("fn hostile_"));
                for name in names {
                    let target = TARGETS
                        .iter()
                        .find(|(target, _)| name.starts_with(&format!("{target}_")));
                    let target = target.map_or(name, |(target, _)| *target);
                    *found.entry(target.to_owned()).or_default() += 1;
                }
            }
        }
    }

    #[test]
    fn every_test_with_hostile_bytes_is_of_a_target_of_a_package_that_is_run() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut found = BTreeMap::new();
        for folder in ["app", "domain", "drawing", "fuzz", "server"] {
            tests_in(&root.join(folder), &mut found);
        }
        let expected = TARGETS.map(|(target, tests)| (target.to_owned(), tests));
        let expected = BTreeMap::from(expected);
        assert_eq!(found, expected);
    }

    #[test]
    fn the_minutes_are_shared_by_the_tests_of_a_target() {
        let plan = |target: Option<&str>| {
            let target = target.map(str::to_owned);
            Fuzz { minutes: 6, target }.plan()
        };
        assert_eq!(plan(Some("frames")).unwrap(), ("hostile_frames_".to_owned(), 120));
        assert_eq!(plan(None).unwrap().0, "hostile_");
        assert!(plan(Some("nothing")).is_err());
    }
}
