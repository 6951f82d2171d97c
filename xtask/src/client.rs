//! The browser's half: the package `frontend`, compiled to WebAssembly, with its JavaScript glue and the style sheet,
//! published into the site folder that the server embeds. A build in which nothing changed costs a freshness check
//! of cargo's and a few hashes.

use std::{env, fs, path::Path};

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::{
    assets::{self, Asset, Effort, Sizes},
    css,
    machine::progress,
    process,
    toolchain::{TARGET, WasmToolchain},
    wasm_opt,
    workspace::Workspace,
};

/// What a browser loads besides the page, brotli-compressed: WebAssembly, JavaScript and style. The page is readable
/// before, but not alive.
const BUDGET_BYTES: usize = 200 * 1000;

/// A client that the server can embed.
pub(crate) struct Client {
    files: Vec<Sizes>,
}

impl Client {
    /// Builds and publishes the client.
    pub(crate) fn build(workspace: &Workspace, effort: Effort) -> Result<Self> {
        let toolchain = WasmToolchain::prepare(workspace)?;
        let profile = match effort {
            Effort::Dev => "client-dev",
            Effort::Release => "client",
        };
        progress(&format!("building the client (profile {profile})"));
        process::run(toolchain.cargo(workspace, "build").args([
            "--quiet",
            "--package",
            "frontend",
            "--lib",
            "--profile",
            profile,
        ]))?;
        let wasm = toolchain
            .target_dir()
            .join(TARGET)
            .join(profile)
            .join("frontend.wasm");

        let cache = workspace.target.join("site-cache").join(effort.name());
        let (js, wasm) = glue(workspace, &cache, effort, &wasm)?;
        let css = css::bundle(&workspace.root.join("style/main.css"))?;
        // The two halves of one program share a hash, so that they share a name and can never be mixed.
        let program = assets::hash(&[&js, &wasm]);
        let style = assets::hash(&[&css]);
        let asset = |extension, content_type, content, hash| Asset {
            extension,
            content_type,
            content,
            hash,
        };
        let files = [
            asset("wasm", "application/wasm", wasm, program.clone()),
            asset("js", "text/javascript; charset=utf-8", js, program),
            asset("css", "text/css; charset=utf-8", css, style),
        ];
        let files = assets::publish(&workspace.site(), &cache.join("compressed"), effort, &files)?;
        Ok(Self { files })
    }

    /// A table of the files in the three encodings.
    pub(crate) fn print_sizes(&self) {
        println!(
            "{:<32} {:>9} {:>9} {:>9}",
            "client, bytes", "raw", "gzip", "brotli"
        );
        for file in &self.files {
            println!(
                "{:<32} {:>9} {:>9} {:>9}",
                file.name, file.raw, file.gzip, file.brotli
            );
        }
        let total = |size: fn(&Sizes) -> usize| self.files.iter().map(size).sum::<usize>();
        println!(
            "{:<32} {:>9} {:>9} {:>9}",
            "total",
            total(|file| file.raw),
            total(|file| file.gzip),
            total(|file| file.brotli)
        );
    }

    /// An error when the release client has outgrown [`BUDGET_BYTES`].
    pub(crate) fn check_budget(&self) -> Result<()> {
        let total: usize = self.files.iter().map(|file| file.brotli).sum();
        if total > BUDGET_BYTES {
            bail!("the client weighs {total} bytes of brotli, and its budget is {BUDGET_BYTES} bytes");
        }
        Ok(())
    }
}

/// JavaScript and WebAssembly, made from what rustc wrote or remembered from the last time it wrote the same.
fn glue(workspace: &Workspace, cache: &Path, effort: Effort, wasm: &Path) -> Result<(Vec<u8>, Vec<u8>)> {
    let source = fs::read(wasm).with_context(|| format!("could not read {}", wasm.display()))?;
    let folder = cache.join("glue");
    let stamp = folder.join("made-from.txt");
    let made_from = format!("{} by {}", assets::hash(&[&source]), this_xtask()?);
    let output = folder.join("foldline.wasm");
    if fs::read_to_string(&stamp).is_ok_and(|before| before == made_from) {
        return Ok((fs::read(folder.join("foldline.js"))?, fs::read(output)?));
    }

    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let is_release = effort == Effort::Release;
    Bindgen::new()
        .input_path(wasm)
        .out_name("foldline")
        .web(true)?
        .typescript(false)
        .remove_name_section(is_release)
        .remove_producers_section(is_release)
        .generate(&folder)?;
    if folder.join("snippets").exists() {
        // They would need hashed names too, and imports that know them.
        bail!("a dependency brings JavaScript snippets, which the site folder does not publish yet");
    }
    let bound = folder.join("foldline_bg.wasm");
    if is_release {
        wasm_opt::optimize(workspace, &bound, &output)?;
        fs::remove_file(bound)?;
    } else {
        fs::rename(bound, &output)?;
    }
    // Last, so that an interrupted run is made again.
    fs::write(stamp, made_from)?;
    Ok((fs::read(folder.join("foldline.js"))?, fs::read(output)?))
}

/// Names the xtask that runs: another one may bring another wasm-bindgen, which writes other glue for the same module.
fn this_xtask() -> Result<String> {
    let modified = env::current_exe()?.metadata()?.modified()?;
    Ok(format!("{modified:?}"))
}
