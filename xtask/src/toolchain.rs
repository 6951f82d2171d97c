//! A Rust toolchain that can build for WebAssembly. `rust-toolchain.toml` names the channel, and no target: a
//! target would be downloaded before xtask can look for another way. This module promises a `cargo` whose
//! standard library for `wasm32-unknown-unknown` is in place, or an error that names what to install. It
//! tries, in this order: this toolchain as it is, a copy made earlier, rustup, Debian's packages.

use std::{
    env,
    ffi::OsString,
    fs, iter,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    machine::{self, progress},
    process,
    workspace::Workspace,
};

/// The target triple of the client.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's build of Rust for the web browsers it packages: a newer compiler, its library's sources, and the
/// linker that it names `wasm-ld-22`. It has no standard library for the target, so that is built from the
/// sources.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];
const DEBIAN_LINKER: &str = "wasm-ld-22";
/// Cargo leaves the bitcode out of a library when nothing optimises across it; the client does.
const DEBIAN_STD_FLAGS: &str = "-C embed-bitcode=yes";

/// A cargo that builds for [`TARGET`].
pub(crate) enum WasmToolchain {
    /// The toolchain that runs xtask can do it.
    Own { target_dir: PathBuf },
    /// Debian's, with a standard library that we built.
    Debian {
        target_dir: PathBuf,
        sysroot: Option<PathBuf>,
    },
}

impl WasmToolchain {
    /// Finds or makes one.
    pub(crate) fn prepare(workspace: &Workspace) -> Result<Self> {
        let own = || Self::Own {
            target_dir: workspace.target.clone(),
        };
        if own_toolchain_has_std(workspace) {
            return Ok(own());
        }
        let debian = DebianStd::new(workspace);
        if debian.is_fresh() {
            return Ok(debian.into_toolchain(workspace));
        }
        if process::find("rustup").is_some() {
            progress(&format!("rustup target add {TARGET}"));
            let added = process::run_quietly(Command::new("rustup").args(["target", "add", TARGET]));
            if added.is_ok() && own_toolchain_has_std(workspace) {
                return Ok(own());
            }
        }
        if !machine::is_debian() {
            bail!(
                "the browser client needs Rust's standard library for WebAssembly: \
                 please run `rustup target add {TARGET}` and start again"
            );
        }
        debian.build(workspace).with_context(|| {
            format!(
                "the browser client needs Rust's standard library for WebAssembly: please run \
                 `rustup target add {TARGET}`, or install Debian's {}, and start again",
                DEBIAN_PACKAGES.join(" ")
            )
        })?;
        Ok(debian.into_toolchain(workspace))
    }

    /// `cargo <verb>` in the workspace's root, for the target, into [`Self::target_dir`].
    pub(crate) fn cargo(&self, workspace: &Workspace, verb: &str) -> Command {
        let mut command = match self {
            Self::Own { .. } => workspace.cargo(),
            Self::Debian { sysroot, .. } => {
                let mut command = debian_cargo();
                command.current_dir(&workspace.root);
                command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER);
                if let Some(sysroot) = sysroot {
                    // With --target given these flags do not reach build scripts and macros, which need the
                    // compiler's real sysroot.
                    let flag = format!("--sysroot={}", sysroot.display());
                    command.args(["--config", &format!("target.{TARGET}.rustflags = [{flag:?}]")]);
                }
                command
            }
        };
        command
            .args([verb, "--target", TARGET, "--target-dir"])
            .arg(self.target_dir());
        command
    }

    /// A second toolchain gets a folder of its own: in a shared one the two would evict each other's work.
    pub(crate) fn target_dir(&self) -> &Path {
        match self {
            Self::Own { target_dir } | Self::Debian { target_dir, .. } => target_dir,
        }
    }
}

/// Asks the toolchain that would build.
fn own_toolchain_has_std(workspace: &Workspace) -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    process::answer(Command::new(rustc).current_dir(&workspace.root).args([
        "--print",
        "target-libdir",
        "--target",
        TARGET,
    ]))
    .is_ok_and(|folder| has_std(Path::new(&folder)))
}

fn has_std(folder: &Path) -> bool {
    rlibs(folder).is_ok_and(|mut files| files.any(|file| file_name(&file).starts_with("libstd-")))
}

/// The standard library built from Debian's sources, and where it is kept.
struct DebianStd {
    /// Holds `lib/rustlib/wasm32-unknown-unknown/lib`.
    sysroot: PathBuf,
    is_system: bool,
}

impl DebianStd {
    /// Root keeps the copy where Debian's compiler looks by itself, so that it serves every checkout; others
    /// keep it under the target folder.
    fn new(workspace: &Workspace) -> Self {
        let is_system = machine::is_root();
        let sysroot = if is_system {
            PathBuf::from("/usr")
        } else {
            workspace.target.join("wasm-sysroot")
        };
        Self { sysroot, is_system }
    }

    fn folder(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(TARGET).join("lib")
    }

    /// The compiler that built the copy; a library is of use to exactly that one.
    fn stamp(&self) -> PathBuf {
        self.folder().join("built-by.txt")
    }

    fn is_fresh(&self) -> bool {
        has_std(&self.folder())
            && built_by().is_ok_and(|now| fs::read_to_string(self.stamp()).is_ok_and(|then| then == now))
    }

    fn build(&self, workspace: &Workspace) -> Result<()> {
        machine::apt_install(&DEBIAN_PACKAGES)?;
        progress(&format!(
            "building the standard library for {TARGET}, once (about a minute)"
        ));
        let package = workspace.target.join("wasm-std");
        fs::create_dir_all(&package)?;
        fs::write(package.join("lib.rs"), "")?;
        fs::write(
            package.join("Cargo.toml"),
            "[package]\nname = \"wasm-std\"\nedition = \"2021\"\n\n[lib]\npath = \"lib.rs\"\n\n\
             [profile.release]\npanic = \"abort\"\n\n[workspace]\n",
        )?;
        let target_dir = package.join("target");
        process::run_quietly(
            debian_cargo()
                .current_dir(&package)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTFLAGS", DEBIAN_STD_FLAGS)
                .args(["build", "--release", "--target", TARGET])
                .args(["-Z", "build-std=std,panic_abort,proc_macro", "--target-dir"])
                .arg(&target_dir),
        )?;
        let folder = self.folder();
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        for file in rlibs(&target_dir.join(TARGET).join("release/deps"))? {
            let name = file_name(&file);
            if !name.starts_with("libwasm_std-") {
                fs::copy(&file, folder.join(name))?;
            }
        }
        // Last, so that a copy that was interrupted is made again.
        fs::write(self.stamp(), built_by()?)?;
        Ok(())
    }

    fn into_toolchain(self, workspace: &Workspace) -> WasmToolchain {
        WasmToolchain::Debian {
            target_dir: workspace.target.join("client"),
            sysroot: (!self.is_system).then_some(self.sysroot),
        }
    }
}

/// Debian's cargo, shielded from the toolchain that runs xtask.
fn debian_cargo() -> Command {
    let mut command = Command::new("/usr/bin/cargo");
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = iter::once(PathBuf::from("/usr/bin")).chain(env::split_paths(&path));
    if let Ok(joined) = env::join_paths(folders) {
        command.env("PATH", joined);
    }
    for name in [
        "CARGO",
        "RUSTC",
        "RUSTDOC",
        "RUSTUP_TOOLCHAIN",
        "LD_LIBRARY_PATH",
        "RUSTFLAGS",
    ] {
        command.env_remove(name);
    }
    command
}

/// Debian's compiler, and how it is told to build: a library that was built otherwise is built again.
fn built_by() -> Result<String> {
    let compiler = process::answer(
        Command::new("/usr/bin/rustc")
            .arg("-vV")
            .env_remove("LD_LIBRARY_PATH"),
    )?;
    Ok(format!("{compiler}\n{DEBIAN_STD_FLAGS}\n"))
}

fn rlibs(folder: &Path) -> Result<impl Iterator<Item = PathBuf> + use<>> {
    let entries = fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?;
    Ok(entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rlib")))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
