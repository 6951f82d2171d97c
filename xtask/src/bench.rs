//! `cargo xtask bench`: builds `bench/`, which is a workspace of its own with its own lockfile, and becomes
//! it. What is measured, against whom, and how is told there; here is only what must be known before it is
//! compiled, and what is built for it: the product's release, which some benchmarks measure from outside, the
//! peer Emmett, and a browser with the packages that drive it.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    assets::Effort,
    client::Client,
    machine::{self, progress},
    process, server,
    server::become_program,
    suites::prepare_postgres,
    workspace::Workspace,
};

/// The benchmarks that measure the product from outside.
const OUTSIDE: [&str; 7] = ["client", "growth", "http", "live", "orders", "soak", "verify"];

/// The benchmark that is run only when it is named.
const ONLY_NAMED: &str = "soak";

/// The benchmark that uses a browser.
const WITH_BROWSER: &str = "client";

/// The names of the browser's program; its path may be in `FOLDLINE_CHROMIUM` as well.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// The benchmark that Emmett takes part in.
const WITH_EMMETT: &str = "append";

/// The report whose ratios `--check` compares with.
const RECORDED: &str = "docs/performance-figures.md";

/// What may be asked of the benchmarks. Refused here where it is wrong: compiling them takes minutes.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Bench {
    /// Which benchmarks, as in `append`; all of them but `soak` where none is named
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
    /// Also the sizes that take hours: 10 million events, 100,000 open orders, 5,000 subscribers, a soak of
    /// an hour
    #[arg(long)]
    big: bool,
    /// Compares the ratios with those of docs/performance-figures.md, and fails where one is worse beyond
    /// both spreads
    #[arg(long)]
    check: bool,
    /// The findings as JSON on standard output
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// The findings as Markdown on standard output
    #[arg(long)]
    markdown: bool,
    /// Plots of growth, latency and a soak as SVG, into this folder
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
}

impl Bench {
    /// Builds and becomes the benchmarks, so that Ctrl-C is theirs to handle.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<ExitCode> {
        self.check_names(workspace)?;
        prepare_postgres()?;
        if process::find("protoc").is_none() {
            machine::apt_install(&["protobuf-compiler"]).context("the peer UmaDB is built with protoc")?;
        }
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
        if OUTSIDE.iter().any(|name| self.runs_benchmark(name)) {
            Client::build(workspace, Effort::Release)?;
            command
                .arg("--foldline")
                .arg(server::build(workspace, Effort::Release)?);
        }
        if self.runs_benchmark(WITH_EMMETT) {
            command.arg("--emmett").arg(install_emmett(workspace));
        }
        if self.runs_benchmark(WITH_BROWSER)
            && let Some(folder) = prepare_browser(workspace)
        {
            command.arg("--client").arg(folder);
        }
        if let Some(folder) = &self.plots {
            command.arg("--plots").arg(folder);
        }
        if self.check {
            command.arg("--check").arg(workspace.root.join(RECORDED));
        }
        become_program(command)
    }

    fn runs_benchmark(&self, name: &str) -> bool {
        if self.names.is_empty() {
            return name != ONLY_NAMED;
        }
        self.names.iter().any(|wanted| wanted == name)
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
        for (name, wanted) in [
            ("--big", self.big),
            ("--json", self.json),
            ("--markdown", self.markdown),
        ] {
            if wanted {
                arguments.push(name.into());
            }
        }
        arguments
    }
}

/// Installs Emmett's packages for both databases; returns its folder. The packages for SQLite include a
/// native module, which not every machine can get or build. Without its packages Emmett is not measured on
/// that database.
fn install_emmett(workspace: &Workspace) -> PathBuf {
    let folder = workspace.root.join("bench/peers/emmett");
    for database in ["postgresql", "sqlite"] {
        if let Err(error) = npm_ci(&folder.join(database)) {
            eprintln!("xtask: Emmett is not measured on {database}: {error:#}");
        }
    }
    folder
}

/// Installs a browser, and the packages of the browser tests, which drive it; returns the folder of the
/// program that uses them. Without one of these the client is not measured.
fn prepare_browser(workspace: &Workspace) -> Option<PathBuf> {
    let is_named = env::var_os("FOLDLINE_CHROMIUM").is_some();
    let prepared = if is_named || BROWSERS.iter().any(|browser| process::find(browser).is_some()) {
        Ok(())
    } else {
        machine::apt_install(&["chromium"])
    };
    match prepared.and_then(|()| npm_ci(&workspace.root.join("end2end"))) {
        Ok(()) => Some(workspace.root.join("bench/client")),
        Err(error) => {
            eprintln!("xtask: the client is not measured: {error:#}");
            None
        }
    }
}

/// `npm ci`, when the lock file is not the one that was installed last.
fn npm_ci(folder: &Path) -> Result<()> {
    let lock = fs::read(folder.join("package-lock.json"))?;
    let installed = folder.join("node_modules/installed-lock.json");
    if fs::read(&installed).is_ok_and(|before| before == lock) {
        return Ok(());
    }
    progress(&format!("npm ci in {}", folder.display()));
    process::run_quietly(
        Command::new("npm")
            .current_dir(folder)
            .args(["ci", "--no-audit", "--no-fund"])
            // The browser is the system's.
            .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1"),
    )?;
    fs::write(installed, lock)?;
    Ok(())
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
            "--big",
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
                "--big",
                "--json"
            ]
        );
    }

    #[test]
    fn the_product_and_emmett_are_built_for_the_benchmarks_that_use_them() {
        let all = parse(&[]).unwrap();
        assert!(all.runs_benchmark("orders") && all.runs_benchmark(WITH_EMMETT));
        let one = parse(&["append"]).unwrap();
        assert!(!OUTSIDE.iter().any(|name| one.runs_benchmark(name)));
        assert!(one.runs_benchmark(WITH_EMMETT));
    }

    #[test]
    fn a_soak_is_run_only_when_it_is_named() {
        assert!(!parse(&[]).unwrap().runs_benchmark(ONLY_NAMED));
        assert!(parse(&["soak"]).unwrap().runs_benchmark(ONLY_NAMED));
    }

    #[test]
    fn every_benchmark_that_needs_the_product_exists() {
        let names = names(&Workspace::locate().unwrap()).unwrap();
        for name in OUTSIDE.iter().chain([&WITH_EMMETT, &WITH_BROWSER, &ONLY_NAMED]) {
            assert!(
                names.iter().any(|known| known == name),
                "{name} is none of {names:?}"
            );
        }
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
            refusal.contains("appnd") && refusal.contains("append, client, commands, growth"),
            "{refusal}"
        );
        parse(&["project"]).unwrap().check_names(&workspace).unwrap();
    }
}
