//! The browser's half: the bundles of the shop and of the lab (the programs of the package `frontend`,
//! compiled to WebAssembly, with their JavaScript glue), the script of the frame, and the style sheet,
//! published into the site folder of the server. A build in which nothing changed costs a freshness check of
//! cargo's and a few hashes.

use std::{
    env, fs,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, Result, anyhow, bail};
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

/// The package whose programs are compiled to the bundles.
const PACKAGE: &str = "frontend";
/// Its program for the shop, and the name of the bundle's files in the cache.
const SHOP: (&str, &str) = ("frontend", "foldline");
/// Its program for the lab, and the name of the bundle's files in the cache.
const LAB: (&str, &str) = ("lab", "lab");
/// The source of the frame's script.
const FRAME_SCRIPT: &str = "frontend/frame.js";
/// The source of the script of the picture's page.
const INFOGRAPHIC_SCRIPT: &str = "frontend/infographic.js";
/// The budget of a page outside of a workspace, brotli-compressed, besides the page itself: the script of the
/// frame, and the style sheet.
const OUTSIDE_BUDGET_BYTES: usize = 30 * 1000;
/// The budget of all files except the lab's, brotli-compressed: those of a page of a workspace.
const BUDGET_BYTES: usize = 400 * 1000;
/// The budget of the lab's bundle, glue and module, brotli-compressed. A page of the lab loads it in place of
/// the shop's, so what both contain is counted in both. It is to be 200 kB.
const LAB_BUDGET_BYTES: usize = 420 * 1000;

/// A client that the server can embed.
pub(crate) struct Client {
    files: Vec<Sizes>,
}

impl Client {
    /// Builds and publishes the client.
    pub(crate) fn build(workspace: &Workspace, effort: Effort) -> Result<Self> {
        Self::publish(workspace, effort, &compile(workspace, effort)?, "")
    }

    /// Publishes compiled bundles, with the current script of the frame and the current style sheet.
    /// `script` is appended to the script of the frame, which every page loads.
    pub(crate) fn publish(
        workspace: &Workspace,
        effort: Effort,
        bundles: &Bundles,
        script: &str,
    ) -> Result<Self> {
        let Bundles { shop, lab } = bundles;
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
        let [shop_module, shop_script] = shop.assets(Kind::BundleModule, Kind::BundleScript);
        let [lab_module, lab_script] = lab.assets(Kind::LabModule, Kind::LabScript);
        let files = [
            shop_module,
            shop_script,
            lab_module,
            lab_script,
            by_content(Kind::FrameScript, frame),
            by_content(Kind::InfographicScript, script_file(INFOGRAPHIC_SCRIPT)?),
            by_content(Kind::Style, css),
        ];
        let compressed = cache(workspace, effort).join("compressed");
        let files = assets::publish(&workspace.site(), &compressed, effort, &files)?;
        Ok(Self { files })
    }

    /// Prints a table of the files in the three encodings, with the totals that have a budget.
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
        for Budget { what, is_counted, .. } in BUDGETS {
            row(what, &|file| is_counted(file.kind));
        }
        row("total", &|_| true);
    }

    /// An error if the release client exceeds one of its budgets.
    pub(crate) fn check_budget(&self) -> Result<()> {
        check(BUDGETS, &self.files)
    }
}

/// What a group of files may weigh.
struct Budget {
    what: &'static str,
    is_counted: fn(Kind) -> bool,
    brotli_bytes: usize,
}

const BUDGETS: &[Budget] = &[
    Budget {
        what: "outside of a workspace",
        is_counted: Kind::is_on_every_page,
        brotli_bytes: OUTSIDE_BUDGET_BYTES,
    },
    Budget {
        what: "without the lab",
        is_counted: |kind| !kind.is_of_the_lab(),
        brotli_bytes: BUDGET_BYTES,
    },
    Budget {
        what: "bundle of the lab",
        is_counted: Kind::is_of_the_lab,
        brotli_bytes: LAB_BUDGET_BYTES,
    },
];

fn check(budgets: &[Budget], files: &[Sizes]) -> Result<()> {
    for budget in budgets {
        let counted = files.iter().filter(|file| (budget.is_counted)(file.kind));
        let weight: usize = counted.map(|file| file.brotli).sum();
        let Budget {
            what, brotli_bytes, ..
        } = budget;
        if weight > *brotli_bytes {
            bail!("{what}: {weight} bytes of brotli, and the budget is {brotli_bytes} bytes");
        }
    }
    Ok(())
}

/// What earlier builds have left for later ones.
fn cache(workspace: &Workspace, effort: Effort) -> PathBuf {
    workspace.target.join("site-cache").join(effort.name())
}

/// Compiles the bundles, and makes their glue.
pub(crate) fn compile(workspace: &Workspace, effort: Effort) -> Result<Bundles> {
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
    let bundle = |(program, name): (&str, &str)| {
        let wasm = built.join(program).with_extension("wasm");
        glue(workspace, &folder.join(name), name, effort, &wasm)
            .with_context(|| format!("could not make the bundle of the program {program}"))
    };
    // Optimising a module occupies one processor.
    thread::scope(|scope| {
        let lab = scope.spawn(|| bundle(LAB));
        let shop = bundle(SHOP)?;
        let lab = lab
            .join()
            .map_err(|_panic| anyhow!("making the bundle of the lab panicked"))??;
        Ok(Bundles { shop, lab })
    })
}

/// The bundles of the client, of which a page loads one.
#[derive(Default)]
pub(crate) struct Bundles {
    shop: Bundle,
    lab: Bundle,
}

/// The JavaScript glue and the WebAssembly module of one program.
#[derive(Default)]
struct Bundle {
    js: Vec<u8>,
    wasm: Vec<u8>,
}

impl Bundle {
    fn read(folder: &Path, name: &str) -> Result<Self> {
        Ok(Self {
            js: fs::read(folder.join(format!("{name}.js")))?,
            wasm: fs::read(folder.join(format!("{name}.wasm")))?,
        })
    }

    /// Module and script. They share a hash, so that a page can never mix those of two builds.
    fn assets(&self, module: Kind, script: Kind) -> [Asset; 2] {
        let Self { js, wasm } = self;
        let hash = assets::hash(&[js, wasm]);
        [(module, wasm), (script, js)].map(|(kind, content)| Asset {
            kind,
            content: content.clone(),
            hash: hash.clone(),
        })
    }
}

/// The bundle from rustc's module, or from the cache if rustc wrote the same module before.
fn glue(workspace: &Workspace, folder: &Path, name: &str, effort: Effort, wasm: &Path) -> Result<Bundle> {
    let source = fs::read(wasm).with_context(|| format!("could not read {}", wasm.display()))?;
    let stamp = folder.join("made-from.txt");
    let made_from = format!("{} by {}", assets::hash(&[&source]), this_xtask()?);
    let output = folder.join(format!("{name}.wasm"));
    if fs::read_to_string(&stamp).is_ok_and(|before| before == made_from) {
        return Bundle::read(folder, name);
    }

    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let is_release = effort == Effort::Release;
    Bindgen::new()
        .input_path(wasm)
        .out_name(name)
        .web(true)?
        .typescript(false)
        .remove_name_section(is_release)
        .remove_producers_section(is_release)
        .generate(folder)?;
    if folder.join("snippets").exists() {
        // They would need hashed names too, and imports that know them.
        bail!("a dependency brings JavaScript snippets, which the site folder does not publish yet");
    }
    let bound = folder.join(format!("{name}_bg.wasm"));
    if is_release {
        wasm_opt::optimize(workspace, &bound, &output)?;
        fs::remove_file(bound)?;
    } else {
        fs::rename(bound, &output)?;
    }
    // Last, so that an interrupted run is made again.
    fs::write(stamp, made_from)?;
    Bundle::read(folder, name)
}

/// Names the xtask that runs: another one may bring another wasm-bindgen, which writes other glue for the
/// same module.
fn this_xtask() -> Result<String> {
    let modified = env::current_exe()?.metadata()?.modified()?;
    Ok(format!("{modified:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client of release whose files weigh these bytes.
    fn files(of: &[(Kind, usize)]) -> Vec<Sizes> {
        let file = |&(kind, brotli): &(Kind, usize)| Sizes {
            kind,
            name: String::new(),
            raw: 0,
            gzip: 0,
            brotli,
        };
        of.iter().map(file).collect()
    }

    #[test]
    fn each_group_of_files_has_a_budget_of_its_own() {
        let within = [
            (Kind::Style, 20_000),
            (Kind::FrameScript, 10_000),
            (Kind::BundleModule, 350_000),
            (Kind::BundleScript, 20_000),
            (Kind::LabModule, 190_000),
            (Kind::LabScript, 10_000),
        ];
        assert!(check(BUDGETS, &files(&within)).is_ok());
        for (index, group) in [
            (1, "outside of a workspace"),
            (2, "without the lab"),
            (5, "bundle of the lab"),
        ] {
            let mut beyond = within;
            beyond[index].1 += 1;
            let error = check(BUDGETS, &files(&beyond)).unwrap_err().to_string();
            assert!(error.starts_with(group), "{error}");
        }
    }

    #[test]
    fn both_files_of_a_bundle_share_a_hash_and_two_bundles_do_not() {
        let bundle = |content: &[u8]| Bundle {
            js: content.to_vec(),
            wasm: content.to_vec(),
        };
        let [module, script] = bundle(b"shop").assets(Kind::BundleModule, Kind::BundleScript);
        assert_eq!(module.hash, script.hash);
        let [other, _] = bundle(b"lab").assets(Kind::LabModule, Kind::LabScript);
        assert_ne!(module.hash, other.hash);
    }
}
