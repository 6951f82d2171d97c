//! The browser's half: the programs of the package `frontend`, compiled to WebAssembly, each with its JavaScript glue, and
//! the style sheet, published into the site folder that the server embeds. A build in which nothing changed costs a
//! freshness check of cargo's and a few hashes.

use std::{env, fs, path::Path, thread};

use anyhow::{Context, Result, anyhow, bail};
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

/// The programs, each a file in `frontend/src/bin/`. A page loads one of them.
const PROGRAMS: [&str; 2] = [FIRST, "workspace"];
/// The program of the first page that anybody sees.
const FIRST: &str = "entry";
/// The first part of the style sheet's name.
const STYLE: &str = "foldline";
/// What the first page loads besides itself, brotli-compressed: the WebAssembly and JavaScript of its program, and the style.
/// It is readable before, but not alive.
const FIRST_BUDGET_BYTES: usize = 180 * 1000;
/// What somebody has loaded who has been everywhere.
const BUDGET_BYTES: usize = 400 * 1000;

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
            "--bins",
            "--profile",
            profile,
        ]))?;
        let built = toolchain.target_dir().join(TARGET).join(profile);

        let cache = workspace.target.join("site-cache").join(effort.name());
        if effort == Effort::Release {
            wasm_opt::prepare(workspace)?;
        }
        let mut files = Vec::new();
        for (program, glued) in glue_all(workspace, &cache, effort, &built)? {
            let (js, wasm) = glued;
            // The two halves of one program share a hash, so that they share a name and can never be mixed.
            let hash = assets::hash(&[&js, &wasm]);
            let half = |extension, content_type, content| Asset {
                stem: program,
                extension,
                content_type,
                content,
                hash: hash.clone(),
            };
            files.push(half("wasm", "application/wasm", wasm));
            files.push(half("js", "text/javascript; charset=utf-8", js));
        }
        let css = css::bundle(&workspace.root.join("style/main.css"))?;
        files.push(Asset {
            stem: STYLE,
            extension: "css",
            content_type: "text/css; charset=utf-8",
            hash: assets::hash(&[&css]),
            content: css,
        });
        let files = assets::publish(&workspace.site(), &cache.join("compressed"), effort, &files)?;
        Ok(Self { files })
    }

    /// A table of the files in the three encodings, and what a page of each program loads.
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
        for program in PROGRAMS {
            row(&format!("a page of {program}"), &|file| {
                is_loaded_with(file, program)
            });
        }
        row("total", &|_| true);
    }

    /// An error when the release client has outgrown [`FIRST_BUDGET_BYTES`] or [`BUDGET_BYTES`].
    pub(crate) fn check_budget(&self) -> Result<()> {
        for (what, program, budget) in [
            ("the first page", Some(FIRST), FIRST_BUDGET_BYTES),
            ("the whole client", None, BUDGET_BYTES),
        ] {
            let counted = |file: &&Sizes| program.is_none_or(|program| is_loaded_with(file, program));
            let weight: usize = self.files.iter().filter(counted).map(|file| file.brotli).sum();
            if weight > budget {
                bail!("{what} weighs {weight} bytes of brotli, and its budget is {budget} bytes");
            }
        }
        Ok(())
    }
}

/// Whether a page with this program loads the file.
fn is_loaded_with(file: &Sizes, program: &str) -> bool {
    file.stem == program || file.stem == STYLE
}

/// A program's JavaScript and WebAssembly.
type Halves = (Vec<u8>, Vec<u8>);

/// The halves of every program. They are made side by side: `wasm-opt` takes its time.
fn glue_all(
    workspace: &Workspace,
    cache: &Path,
    effort: Effort,
    built: &Path,
) -> Result<Vec<(&'static str, Halves)>> {
    thread::scope(|scope| {
        let makers = PROGRAMS.map(|program| {
            let folder = cache.join("glue").join(program);
            let wasm = built.join(program).with_extension("wasm");
            scope.spawn(move || Ok((program, glue(workspace, &folder, effort, &wasm)?)))
        });
        makers
            .into_iter()
            .map(|maker| maker.join().map_err(|_| anyhow!("making the glue panicked"))?)
            .collect()
    })
}

/// JavaScript and WebAssembly, made from what rustc wrote or remembered from the last time it wrote the same.
fn glue(workspace: &Workspace, folder: &Path, effort: Effort, wasm: &Path) -> Result<Halves> {
    let source = fs::read(wasm).with_context(|| format!("could not read {}", wasm.display()))?;
    let stamp = folder.join("made-from.txt");
    let made_from = format!("{} by {}", assets::hash(&[&source]), this_xtask()?);
    let output = folder.join("foldline.wasm");
    if fs::read_to_string(&stamp).is_ok_and(|before| before == made_from) {
        return Ok((fs::read(folder.join("foldline.js"))?, fs::read(output)?));
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
    Ok((fs::read(folder.join("foldline.js"))?, fs::read(output)?))
}

/// Names the xtask that runs: another one may bring another wasm-bindgen, which writes other glue for the same module.
fn this_xtask() -> Result<String> {
    let modified = env::current_exe()?.metadata()?.modified()?;
    Ok(format!("{modified:?}"))
}
