//! Tells the compiler where the published client is, so that `assets.rs` can embed it: the folder that
//! `FOLDLINE_SITE` names, as `.cargo/config.toml` sets it for xtask and for every build. When no client was
//! built yet a placeholder takes its place, so that plain `cargo test`, clippy and rustdoc need no
//! WebAssembly toolchain.
//!
//! A debug build reads the folder while it runs, so a new client is no reason to compile it again.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=FOLDLINE_SITE");
    println!("cargo::rerun-if-changed=build.rs");
    let site = env::var_os("FOLDLINE_SITE").map(PathBuf::from);
    let site = site.ok_or("FOLDLINE_SITE is not set: please build inside of the workspace")?;
    let manifest = site.join("manifest.json");
    if !manifest.is_file() {
        // Written in the very place of the real one: cargo can only watch a file that exists.
        fs::create_dir_all(&site)?;
        fs::write(&manifest, "{}\n")?;
    }
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rerun-if-changed={}", manifest.display());
    }
    println!("cargo::rustc-env=FOLDLINE_SITE_DIR={}", site.display());
    Ok(())
}
