//! The browser's half: the bundles of the shop and of the lab's pages (the programs of the package
//! `frontend`, compiled to WebAssembly, with their JavaScript glue), the script of the frame, and the style
//! sheet, published into the site folder of the server. A build in which nothing changed costs a freshness
//! check of cargo's and a few hashes.

use std::{
    env, fs,
    num::NonZero,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context, Result, anyhow, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::{
    assets::{self, Asset, Effort, Kind, Program, Sizes},
    css,
    machine::progress,
    process, slim,
    toolchain::{TARGET, WasmToolchain},
    wasm_opt,
    workspace::Workspace,
};

/// The package whose programs are compiled to the bundles.
const PACKAGE: &str = "frontend";
/// The source of the frame's script.
const FRAME_SCRIPT: &str = "frontend/frame.js";
/// The source of the script of the picture's page.
const INFOGRAPHIC_SCRIPT: &str = "frontend/infographic.js";
/// The budget of a page outside of a workspace, brotli-compressed, besides the page itself: the script of the
/// frame, and the style sheet.
const OUTSIDE_BUDGET_BYTES: usize = 30 * 1000;
/// The budget of all files except the lab's, brotli-compressed: those of a page of a workspace.
const BUDGET_BYTES: usize = 400 * 1000;
/// The budget of each bundle of the lab, glue and module, brotli-compressed. A page of the lab loads one in
/// place of the shop's, so what both contain is counted in both.
const LAB_BUDGET_BYTES: usize = 200 * 1000;

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
        let mut files: Vec<Asset> = bundles.0.iter().flat_map(Bundle::assets).collect();
        files.extend([
            by_content(Kind::FrameScript, frame),
            by_content(Kind::InfographicScript, script_file(INFOGRAPHIC_SCRIPT)?),
            by_content(Kind::Style, css),
        ]);
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
        is_counted: |kind| kind.program().is_none_or(|program| program == Program::Shop),
        brotli_bytes: BUDGET_BYTES,
    },
    Budget {
        what: "the lab's map",
        is_counted: |kind| kind.program() == Some(Program::LabMap),
        brotli_bytes: LAB_BUDGET_BYTES,
    },
    Budget {
        what: "the lab's split view",
        is_counted: |kind| kind.program() == Some(Program::LabSplit),
        brotli_bytes: LAB_BUDGET_BYTES,
    },
    Budget {
        what: "the lab's recordings",
        is_counted: |kind| kind.program() == Some(Program::LabRecording),
        brotli_bytes: LAB_BUDGET_BYTES,
    },
    Budget {
        what: "the lab's dials",
        is_counted: |kind| kind.program() == Some(Program::LabDials),
        brotli_bytes: LAB_BUDGET_BYTES,
    },
    Budget {
        what: "the lab's event handlers",
        is_counted: |kind| kind.program() == Some(Program::LabHandlers),
        brotli_bytes: LAB_BUDGET_BYTES,
    },
    Budget {
        what: "the lab's views of one's own",
        is_counted: |kind| kind.program() == Some(Program::LabViews),
        brotli_bytes: LAB_BUDGET_BYTES,
    },
    Budget {
        what: "the lab's lessons",
        is_counted: |kind| kind.program() == Some(Program::LabLessons),
        brotli_bytes: LAB_BUDGET_BYTES,
    },
    Budget {
        what: "the class, for its educator",
        is_counted: |kind| kind.program() == Some(Program::LabClass),
        brotli_bytes: LAB_BUDGET_BYTES,
    },
    Budget {
        what: "the lab's streams and events",
        is_counted: |kind| kind.program() == Some(Program::LabLog),
        brotli_bytes: LAB_BUDGET_BYTES,
    },
    Budget {
        what: "the module that folds",
        is_counted: |kind| kind.program() == Some(Program::LabFolds),
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
    // The shop's islands take over what the server rendered, and the lab's render anew: two builds of `app`.
    for (programs, features) in [(&Program::ALL[..1], ""), (&Program::ALL[1..], "anew")] {
        let mut build = toolchain.cargo(workspace, "build");
        build.args([
            "--quiet",
            "--package",
            PACKAGE,
            "--profile",
            profile,
            "--features",
            features,
        ]);
        for program in programs {
            build.args(["--bin", program.name()]);
        }
        process::run(&mut build)?;
    }
    let built = toolchain.target_dir().join(TARGET).join(profile);
    if effort == Effort::Release {
        wasm_opt::prepare(workspace)?;
    }
    let folder = cache(workspace, effort).join("glue");
    let bundle = |program: Program| {
        let wasm = built.join(program.name()).with_extension("wasm");
        glue(workspace, &folder.join(program.stem()), program, effort, &wasm)
            .with_context(|| format!("could not make the bundle of the program {}", program.name()))
    };
    // Optimising a module occupies one processor; each takes the next program.
    let next = AtomicUsize::new(0);
    let made = |_| {
        let mut bundles = Vec::new();
        while let Some(program) = Program::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            bundles.push(bundle(*program)?);
        }
        Ok::<_, anyhow::Error>(bundles)
    };
    thread::scope(|scope| {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let made = &made;
        let makers: Vec<_> = (0..processors.min(Program::ALL.len()))
            .map(|maker| scope.spawn(move || made(maker)))
            .collect();
        let mut bundles = Vec::new();
        for maker in makers {
            let made = maker
                .join()
                .map_err(|_panic| anyhow!("making a bundle panicked"))?;
            bundles.extend(made?);
        }
        bundles.sort_by_key(|bundle: &Bundle| {
            Program::ALL.iter().position(|program| *program == bundle.program)
        });
        Ok(Bundles(bundles))
    })
}

/// The bundles of the client, of which a page loads one.
#[derive(Default)]
pub(crate) struct Bundles(Vec<Bundle>);

/// The JavaScript glue and the WebAssembly module of one program.
struct Bundle {
    program: Program,
    js: Vec<u8>,
    wasm: Vec<u8>,
}

impl Bundle {
    fn read(folder: &Path, program: Program) -> Result<Self> {
        let name = program.stem();
        Ok(Self {
            program,
            js: fs::read(folder.join(format!("{name}.js")))?,
            wasm: fs::read(folder.join(format!("{name}.wasm")))?,
        })
    }

    /// Module and script. They share a hash, so that a page can never mix those of two builds.
    fn assets(&self) -> [Asset; 2] {
        let Self { program, js, wasm } = self;
        let hash = assets::hash(&[js, wasm]);
        let (module, script) = (Kind::BundleModule(*program), Kind::BundleScript(*program));
        [(module, wasm), (script, js)].map(|(kind, content)| Asset {
            kind,
            content: content.clone(),
            hash: hash.clone(),
        })
    }
}

/// The bundle from rustc's module, or from the cache if rustc wrote the same module before.
fn glue(
    workspace: &Workspace,
    folder: &Path,
    program: Program,
    effort: Effort,
    wasm: &Path,
) -> Result<Bundle> {
    let name = program.stem();
    let source = fs::read(wasm).with_context(|| format!("could not read {}", wasm.display()))?;
    let stamp = folder.join("made-from.txt");
    let made_from = format!("{} by {}", assets::hash(&[&source]), this_xtask()?);
    let output = folder.join(format!("{name}.wasm"));
    if fs::read_to_string(&stamp).is_ok_and(|before| before == made_from) {
        return Bundle::read(folder, program);
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
        fs::write(&bound, slim::without_unused_exports(&fs::read(&bound)?)?)?;
        wasm_opt::optimize(workspace, &bound, &output)?;
        fs::remove_file(bound)?;
        let script = folder.join(format!("{name}.js"));
        let (js, wasm) = slim::shorten(&fs::read_to_string(&script)?, &fs::read(&output)?)?;
        fs::write(script, js)?;
        fs::write(&output, wasm)?;
    } else {
        fs::rename(bound, &output)?;
    }
    // Last, so that an interrupted run is made again.
    fs::write(stamp, made_from)?;
    Bundle::read(folder, program)
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
            (Kind::BundleModule(Program::Shop), 350_000),
            (Kind::BundleScript(Program::Shop), 20_000),
            (Kind::BundleModule(Program::LabMap), 190_000),
            (Kind::BundleScript(Program::LabMap), 10_000),
            (Kind::BundleModule(Program::LabFolds), 200_000),
        ];
        assert!(check(BUDGETS, &files(&within)).is_ok());
        for (index, group) in [
            (1, "outside of a workspace"),
            (2, "without the lab"),
            (5, "the lab's map"),
            (6, "the module that folds"),
        ] {
            let mut beyond = within;
            beyond[index].1 += 1;
            let error = check(BUDGETS, &files(&beyond)).unwrap_err().to_string();
            assert!(error.starts_with(group), "{error}");
        }
    }

    #[test]
    fn both_files_of_a_bundle_share_a_hash_and_two_bundles_do_not() {
        let bundle = |program, content: &[u8]| Bundle {
            program,
            js: content.to_vec(),
            wasm: content.to_vec(),
        };
        let [module, script] = bundle(Program::Shop, b"shop").assets();
        assert_eq!(module.hash, script.hash);
        let [other, _] = bundle(Program::LabMap, b"map").assets();
        assert_ne!(module.hash, other.hash);
    }
}
