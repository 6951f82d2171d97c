//! Where things are: the workspace's root and its target folder, as cargo itself answers. Every other module
//! gets its paths from here, so nothing depends on the current folder.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The folders of this checkout.
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, as the settings name it.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks `cargo metadata`.
    pub(crate) fn locate() -> Result<Self> {
        let text = process::answer(
            Command::new(cargo())
                .args([
                    "metadata",
                    "--no-deps",
                    "--format-version",
                    "1",
                    "--manifest-path",
                ])
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")),
        )?;
        let metadata: Value = serde_json::from_str(&text).context("`cargo metadata` printed no JSON")?;
        let folder = |field: &str| {
            metadata[field]
                .as_str()
                .map(PathBuf::from)
                .with_context(|| format!("`cargo metadata` has no {field}"))
        };
        Ok(Self {
            root: folder("workspace_root")?,
            target: folder("target_directory")?,
        })
    }

    /// The client as the server reads it: `manifest.json` and `pkg/`. The server's build script reads the
    /// same variable, which `.cargo/config.toml` sets.
    pub(crate) fn site(&self) -> PathBuf {
        env::var_os("FOLDLINE_SITE").map_or_else(|| self.root.join("target/site"), PathBuf::from)
    }

    /// `cargo` of the toolchain that runs xtask, in the workspace's root.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(cargo());
        command.current_dir(&self.root);
        // These variables describe xtask. A build script that reads one, as that of `ring` does, would run
        // again, and all that depends on it be compiled again, whenever cargo is called with it and without
        // it in turns.
        for (name, _) in env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| OF_XTASK.iter().any(|prefix| name.starts_with(prefix)))
            {
                command.env_remove(name);
            }
        }
        command
    }
}

/// Variables that cargo sets for the program that it runs.
const OF_XTASK: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// The cargo that started xtask, so that `cargo +stable xtask` stays on stable.
fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
