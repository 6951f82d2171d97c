//! Binaryen's `wasm-opt`, which takes a third off the client. It comes from `PATH`, or else from npm into the
//! target folder; only release clients need it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{machine::progress, process, workspace::Workspace};

/// The version that npm installs.
const BINARYEN: &str = "132.0.0";

/// Older ones in distributions do not know what today's rustc writes.
const OLDEST_VERSION: u32 = 120;

/// Small first, with the features that rustc enables for the target by default. To find the control flow
/// anew, in a flat form, saves one percent more; it takes two passes to make that small again.
const FLAGS: [&str; 11] = [
    "-Oz",
    "--flatten",
    "--rereloop",
    "-Oz",
    "-Oz",
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// Finds it or installs it, once, before several modules are optimised side by side.
pub(crate) fn prepare(workspace: &Workspace) -> Result<()> {
    find_or_install(workspace).map(drop)
}

/// Reads the module `input` and writes a smaller one to `output`.
pub(crate) fn optimize(workspace: &Workspace, input: &Path, output: &Path) -> Result<()> {
    let program = find_or_install(workspace)?;
    progress("wasm-opt");
    process::run_quietly(Command::new(program).args(FLAGS).arg(input).arg("-o").arg(output))
}

fn find_or_install(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(program) = process::find("wasm-opt")
        && version(&program).is_some_and(|version| version >= OLDEST_VERSION)
    {
        return Ok(program);
    }
    let folder = workspace.target.join("tools/binaryen");
    let program = folder.join("node_modules/.bin/wasm-opt");
    if version(&program).is_none() {
        progress(&format!("installing binaryen {BINARYEN} with npm"));
        std::fs::create_dir_all(&folder)?;
        process::run_quietly(
            Command::new("npm")
                .args([
                    "install",
                    "--no-save",
                    "--no-package-lock",
                    "--no-audit",
                    "--no-fund",
                    "--prefix",
                ])
                .arg(&folder)
                .arg(format!("binaryen@{BINARYEN}")),
        )
        .context("a release client needs `wasm-opt`: please install binaryen, or Node.js with npm")?;
    }
    Ok(program)
}

/// The number in `wasm-opt version 132 (version_132)`.
fn version(program: &Path) -> Option<u32> {
    let output = Command::new(program).arg("--version").output().ok()?;
    String::from_utf8(output.stdout)
        .ok()?
        .split_whitespace()
        .find_map(|word| word.parse().ok())
}
