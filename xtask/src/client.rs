//! The browser's half: the bundle (the package `frontend`, compiled to WebAssembly, with its JavaScript
//! glue), the script of the frame, and the style sheet, published into the site folder of the server.
//! A build in which nothing changed costs a freshness check of cargo's and a few hashes.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::{
    assets::{self, Asset, Effort, Kind, Sizes},
    css,
    machine::progress,
    process,
    toolchain::{TARGET, WasmToolchain},
    wasm_opt,
    workspace::Workspace,
};

/// The package that is compiled to the bundle.
const PACKAGE: &str = "frontend";
/// The source of the frame's script.
const FRAME_SCRIPT: &str = "frontend/frame.js";
/// The source of the script of the picture's page.
const INFOGRAPHIC_SCRIPT: &str = "frontend/infographic.js";
/// The budget of a page outside of a workspace, brotli-compressed, besides the page itself: the script of the
/// frame, and the style sheet.
const OUTSIDE_BUDGET_BYTES: usize = 30 * 1000;
/// The budget of all files, brotli-compressed: those of a page of a workspace.
const BUDGET_BYTES: usize = 400 * 1000;

/// A client that the server can embed.
pub(crate) struct Client {
    files: Vec<Sizes>,
}

impl Client {
    /// Builds and publishes the client.
    pub(crate) fn build(workspace: &Workspace, effort: Effort) -> Result<Self> {
        Self::publish(workspace, effort, &compile(workspace, effort)?, "")
    }

    /// Publishes a compiled bundle, with the current script of the frame and the current style sheet.
    /// `script` is appended to the script of the frame, which every page loads.
    pub(crate) fn publish(
        workspace: &Workspace,
        effort: Effort,
        bundle: &Bundle,
        script: &str,
    ) -> Result<Self> {
        let Bundle { js, wasm } = bundle;
        // The two files of the bundle share a hash, so that a page can never mix those of two builds.
        let hash = assets::hash(&[js, wasm]);
        let of_bundle = |kind, content: &[u8]| Asset {
            kind,
            content: content.to_vec(),
            hash: hash.clone(),
        };
        let by_content = |kind, content: Vec<u8>| Asset {
            kind,
            hash: assets::hash(&[&content]),
            content,
        };
        let script_file = |file: &str| {
            fs::read(workspace.root.join(file)).with_context(|| format!("could not read {file}"))
        };
        let frame = script_file(FRAME_SCRIPT)?;
        let frame = [frame.as_slice(), script.as_bytes()].concat();
        let css = css::bundle(&workspace.root.join("style/main.css"))?;
        let files = [
            of_bundle(Kind::BundleModule, wasm),
            of_bundle(Kind::BundleScript, js),
            by_content(Kind::FrameScript, frame),
            by_content(Kind::InfographicScript, script_file(INFOGRAPHIC_SCRIPT)?),
            by_content(Kind::Style, css),
        ];
        let compressed = cache(workspace, effort).join("compressed");
        let files = assets::publish(&workspace.site(), &compressed, effort, &files)?;
        Ok(Self { files })
    }

    /// Prints a table of the files in the three encodings, with the totals of a page outside of a workspace
    /// and of all files.
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
        let row = |name: &str, is_counted: &dyn Fn(&Sizes) -> bool| {
            let total =
                |size: fn(&Sizes) -> usize| self.files.iter().filter(|file| is_counted(file)).map(size).sum();
            let [raw, gzip, brotli]: [usize; 3] = [
                total(|file| file.raw),
                total(|file| file.gzip),
                total(|file| file.brotli),
            ];
            println!("{name:<32} {raw:>9} {gzip:>9} {brotli:>9}");
        };
        row("outside of a workspace", &is_on_every_page);
        row("total", &|_| true);
    }

    /// An error if the release client exceeds [`OUTSIDE_BUDGET_BYTES`] or [`BUDGET_BYTES`].
    pub(crate) fn check_budget(&self) -> Result<()> {
        let outside = self.files.iter().filter(|file| is_on_every_page(file));
        let outside: usize = outside.map(|file| file.brotli).sum();
        let total: usize = self.files.iter().map(|file| file.brotli).sum();
        for (what, weight, budget) in [
            ("a page outside of a workspace", outside, OUTSIDE_BUDGET_BYTES),
            ("the whole client", total, BUDGET_BYTES),
        ] {
            if weight > budget {
                bail!("{what} weighs {weight} bytes of brotli, and its budget is {budget} bytes");
            }
        }
        Ok(())
    }
}

/// What earlier builds have left for later ones.
fn cache(workspace: &Workspace, effort: Effort) -> PathBuf {
    workspace.target.join("site-cache").join(effort.name())
}

/// Compiles the bundle, and makes its glue.
pub(crate) fn compile(workspace: &Workspace, effort: Effort) -> Result<Bundle> {
    let toolchain = WasmToolchain::prepare(workspace)?;
    let profile = match effort {
        Effort::Dev => "client-dev",
        Effort::Release => "client",
    };
    progress(&format!("building the client (profile {profile})"));
    process::run(toolchain.cargo(workspace, "build").args([
        "--quiet",
        "--package",
        PACKAGE,
        "--bins",
        "--profile",
        profile,
    ]))?;
    let built = toolchain.target_dir().join(TARGET).join(profile);
    if effort == Effort::Release {
        wasm_opt::prepare(workspace)?;
    }
    let folder = cache(workspace, effort).join("glue");
    let wasm = built.join(PACKAGE).with_extension("wasm");
    glue(workspace, &folder, effort, &wasm)
}

fn is_on_every_page(file: &Sizes) -> bool {
    file.kind.is_on_every_page()
}

/// The JavaScript glue and the WebAssembly module of the client.
#[derive(Default)]
pub(crate) struct Bundle {
    js: Vec<u8>,
    wasm: Vec<u8>,
}

impl Bundle {
    fn read(folder: &Path) -> Result<Self> {
        Ok(Self {
            js: fs::read(folder.join("foldline.js"))?,
            wasm: fs::read(folder.join("foldline.wasm"))?,
        })
    }
}

/// The bundle from rustc's module, or from the cache if rustc wrote the same module before.
fn glue(workspace: &Workspace, folder: &Path, effort: Effort, wasm: &Path) -> Result<Bundle> {
    let source = fs::read(wasm).with_context(|| format!("could not read {}", wasm.display()))?;
    let stamp = folder.join("made-from.txt");
    let made_from = format!("{} by {}", assets::hash(&[&source]), this_xtask()?);
    let output = folder.join("foldline.wasm");
    if fs::read_to_string(&stamp).is_ok_and(|before| before == made_from) {
        return Bundle::read(folder);
    }

    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let is_release = effort == Effort::Release;
    Bindgen::new()
        .input_path(wasm)
        .out_name("foldline")
        .web(true)?
        .typescript(false)
        .remove_name_section(is_release)
        .remove_producers_section(is_release)
        .generate(folder)?;
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
    Bundle::read(folder)
}

/// Names the xtask that runs: another one may bring another wasm-bindgen, which writes other glue for the
/// same module.
fn this_xtask() -> Result<String> {
    let modified = env::current_exe()?.metadata()?.modified()?;
    Ok(format!("{modified:?}"))
}
