//! The tests that run inside a browser: `tests/wasm.rs` of `domain` and of `app`, compiled to WebAssembly.
//! This does the work of `wasm-bindgen-test-runner`, whose own build takes minutes: it makes the JavaScript
//! glue, and `end2end/wasm-tests.mjs` runs the exported tests on a page.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use wasm_bindgen_cli_support::Bindgen;

use super::{Counts, Records, browser};
use crate::{machine::progress, process, toolchain::WasmToolchain, workspace::Workspace};

/// The crates with a `tests/wasm.rs`, and the features of their browser half.
const CRATES: [(&str, &[&str]); 2] = [
    ("domain", &[]),
    ("app", &["--no-default-features", "--features", "hydrate"]),
];

pub(super) fn run(workspace: &Workspace, records: Option<&Records>) -> Result<Counts> {
    browser::prepare(workspace)?;
    let toolchain = WasmToolchain::prepare(workspace)?;
    let mut folders = Vec::new();
    for (package, features) in CRATES {
        progress(&format!("building the browser tests of {package}"));
        let mut command = toolchain.cargo(workspace, "test");
        command.args([
            "--no-run",
            "--quiet",
            "--profile",
            "client-dev",
            "--package",
            package,
            "--test",
            "wasm",
        ]);
        command
            .args(features)
            .args(["--message-format", "json-render-diagnostics"]);
        let messages = process::answer(command.stdin(Stdio::null()))?;
        let module = executable(&messages).with_context(|| format!("cargo built no test of {package}"))?;
        let folder = workspace.target.join("wasm-tests").join(package);
        glue(&module, &folder)?;
        folders.push(folder);
    }
    let modules: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| ["tests.js", "tests_bg.wasm"].map(|name| folder.join(name)))
        .collect();
    let run = || {
        Counts::of_command(
            Command::new("node")
                .current_dir(workspace.root.join("end2end"))
                .arg("wasm-tests.mjs")
                .args(folders),
        )
    };
    match records {
        Some(records) => records.suite(workspace, "wasm", (&["end2end/"], &modules), run),
        None => run(),
    }
}

/// The test program among cargo's messages.
fn executable(messages: &str) -> Result<PathBuf> {
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line)?;
        if message["target"]["name"] == "wasm"
            && let Some(path) = message["executable"].as_str()
        {
            return Ok(PathBuf::from(path));
        }
    }
    bail!("no executable")
}

/// Writes `tests.js` and `tests_bg.wasm`. The tests are plain exports of the module, which the glue must not
/// start and must hand out.
fn glue(module: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Bindgen::new()
        .input_path(module)
        .out_name("tests")
        .web(true)?
        .typescript(false)
        .debug(true)
        .export_wasm(true)
        .emit_start(false)
        .generate(folder)
}
