//! Tells the compiler where the published client is, so that `gateway/assets.rs` can embed it. That is `site/` in
//! cargo's target folder, where xtask puts it, or the folder that `FOLDLINE_SITE` names. When no client was built yet
//! a placeholder takes its place, so that plain `cargo test`, clippy and rustdoc need no WebAssembly toolchain.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=FOLDLINE_SITE");
    println!("cargo::rerun-if-changed=build.rs");
    // The migrations are embedded by a macro, which does not see a new file by itself.
    println!("cargo::rerun-if-changed=../migrations");
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    let site =
        env::var_os("FOLDLINE_SITE").map_or_else(|| target_folder(&out_dir).join("site"), PathBuf::from);
    let manifest = site.join("manifest.json");
    if !manifest.is_file() {
        // Written in the very place of the real one: cargo can only watch a file that exists.
        fs::create_dir_all(&site)?;
        fs::write(&manifest, "{}\n")?;
    }
    println!("cargo::rerun-if-changed={}", manifest.display());
    println!("cargo::rustc-env=FOLDLINE_SITE_DIR={}", site.display());
    Ok(())
}

/// The target folder, which cargo marks with a `CACHEDIR.TAG`; cargo gives build scripts no variable for it.
fn target_folder(out_dir: &Path) -> &Path {
    out_dir
        .ancestors()
        .filter(|folder| folder.join("CACHEDIR.TAG").is_file())
        .last()
        .unwrap_or(out_dir)
}
