//! The one file to ship: a release server with the release client inside, at `dist/foldline` in the target
//! folder. It needs nothing beside it.

use std::{fs, process::Command};

use anyhow::Result;
use sha2::{Digest, Sha256};

use crate::{assets::Effort, client::Client, process, server, workspace::Workspace};

/// Builds it, and prints its version, where it is, its size and its SHA-256.
pub(crate) fn dist(workspace: &Workspace) -> Result<()> {
    let client = Client::build(workspace, Effort::Release)?;
    client.print_sizes();
    client.check_budget()?;
    let binary = server::build_stripped(workspace)?;
    let folder = workspace.target.join("dist");
    fs::create_dir_all(&folder)?;
    let shipped = folder.join(binary.file_name().unwrap_or_default());
    fs::copy(&binary, &shipped)?;
    let content = fs::read(&shipped)?;
    println!("{}", process::answer(Command::new(&shipped).arg("--version"))?);
    println!("{}", shipped.display());
    println!("{} bytes", content.len());
    println!("sha256 {}", hex::encode(Sha256::digest(&content)));
    Ok(())
}
