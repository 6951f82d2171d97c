//! `cargo xtask bench`: builds `bench/`, which is a workspace of its own with its own lockfile, and becomes
//! it. What is measured, against whom, and how is told there; here is only what must be known before it is
//! compiled.

use std::{
    env,
    ffi::OsString,
    fs,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    machine::progress, process, server::become_program, suites::prepare_postgres, workspace::Workspace,
};

/// What may be asked of the benchmarks. Refused here where it is wrong: compiling them takes minutes.
#[derive(Args)]
pub(crate) struct Bench {
    /// Which benchmarks, as in `append`; all of them where none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// How long each contender is measured in each run
    #[arg(
        long,
        value_name = "S",
        default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(1..=600)
    )]
    seconds: u32,
    /// How often each contender is measured
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(1..=100)
    )]
    runs: u32,
    /// On one database only
    #[arg(long, value_name = "DATABASE", value_parser = ["sqlite", "postgres"])]
    on: Option<String>,
    /// Only the cases whose titles contain this, as in `64 callers`
    #[arg(long, value_name = "TEXT")]
    case: Option<String>,
    /// Only the contenders whose names contain this, as in `ours`: for a profile
    #[arg(long, value_name = "TEXT")]
    contender: Option<String>,
    /// The findings as JSON on standard output
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// The findings as Markdown on standard output
    #[arg(long)]
    markdown: bool,
}

impl Bench {
    /// Builds and becomes the benchmarks, so that Ctrl-C is theirs to handle.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<ExitCode> {
        self.check_names(workspace)?;
        prepare_postgres()?;
        let target = workspace.target.join("bench");
        progress("building the benchmarks (profile release)");
        // not `--locked`: what the product has come to need since is added to the lockfile, and the rest
        // stays
        process::run(
            without_package(&mut workspace.cargo())
                .args(["build", "--release", "--manifest-path"])
                .arg(workspace.root.join("bench/Cargo.toml"))
                .arg("--target-dir")
                .arg(&target),
        )?;
        let program = target.join(format!("release/bench{}", std::env::consts::EXE_SUFFIX));
        let mut command = Command::new(program);
        command.args(self.arguments());
        become_program(command)
    }

    fn check_names(&self, workspace: &Workspace) -> Result<()> {
        let known = names(workspace)?;
        if let Some(unknown) = self.names.iter().find(|name| !known.contains(name)) {
            bail!("there is no benchmark {unknown}; there are {}", known.join(", "));
        }
        Ok(())
    }

    /// As the program takes them.
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = self.names.iter().map(Into::into).collect();
        let mut option = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                arguments.push(format!("--{name}={value}").into());
            }
        };
        option("seconds", Some(self.seconds.to_string()));
        option("runs", Some(self.runs.to_string()));
        option("on", self.on.clone());
        option("case", self.case.clone());
        option("contender", self.contender.clone());
        for (name, wanted) in [("--json", self.json), ("--markdown", self.markdown)] {
            if wanted {
                arguments.push(name.into());
            }
        }
        arguments
    }
}

/// Hides what `cargo run` tells xtask about its own package. Build scripts look at these variables, and would
/// be run again, and all that depends on them compiled again, after every build by plain cargo.
fn without_package(cargo: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// The names of the benchmarks: each is a folder.
fn names(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root.join("bench/src/benchmarks");
    let entries = fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        bench: Bench,
    }

    fn parse(arguments: &[&str]) -> Result<Bench, clap::Error> {
        let program = ["bench"].iter().chain(arguments);
        Cli::try_parse_from(program).map(|cli| cli.bench)
    }

    #[test]
    fn what_was_asked_for_is_passed_on() {
        let bench = parse(&[
            "append",
            "--seconds",
            "5",
            "--on",
            "sqlite",
            "--case",
            "64 callers",
            "--json",
        ])
        .unwrap();
        assert_eq!(
            bench.arguments(),
            [
                "append",
                "--seconds=5",
                "--runs=3",
                "--on=sqlite",
                "--case=64 callers",
                "--json"
            ]
        );
    }

    #[test]
    fn what_is_not_allowed_is_refused() {
        for wrong in [
            &["--seconds", "0"][..],
            &["--runs", "many"],
            &["--on", "oracle"],
            &["--json", "--markdown"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_benchmark_that_is_not_there_is_refused_with_those_that_are() {
        let workspace = Workspace::locate().unwrap();
        let refusal = parse(&["appnd"])
            .unwrap()
            .check_names(&workspace)
            .unwrap_err()
            .to_string();
        assert!(
            refusal.contains("appnd") && refusal.contains("append, commands, project"),
            "{refusal}"
        );
        parse(&["project"]).unwrap().check_names(&workspace).unwrap();
    }
}
