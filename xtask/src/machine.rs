//! What the machine lacks and the system's package manager can add. Only Debian's apt is known here; anything
//! else is for the caller to name to the person. Nothing is installed that is there already.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::process;

/// Whether the system's packages are Debian's.
pub(crate) fn is_debian() -> bool {
    Path::new("/usr/bin/apt-get").is_file()
}

/// Whether this process may write to the system's folders.
pub(crate) fn is_root() -> bool {
    process::answer(Command::new("id").arg("-u")).is_ok_and(|id| id == "0")
}

/// Installs those of the Debian packages that are missing.
pub(crate) fn apt_install(packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| !is_installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_debian() || !(is_root() || process::find("sudo").is_some()) {
        bail!("please install these packages: {}", missing.join(" "));
    }
    progress(&format!("installing {} with apt", missing.join(", ")));
    let install = || process::run_quietly(apt("install").arg("--no-install-recommends").args(&missing));
    // The package lists are only refreshed when the install fails: mostly they are fresh enough.
    install()
        .or_else(|_stale| {
            process::run_quietly(&mut apt("update"))?;
            install()
        })
        .with_context(|| format!("please install these packages: {}", missing.join(" ")))
}

/// One line that tells a waiting person what is going on.
pub(crate) fn progress(step: &str) {
    eprintln!("xtask: {step} …");
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Abbrev}", package])
        .output()
        .is_ok_and(|output| output.stdout.starts_with(b"ii"))
}

fn apt(verb: &str) -> Command {
    let mut command = if is_root() {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["--non-interactive", "apt-get"]);
        sudo
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    // Another apt may hold the lock, for instance the machine's own nightly one.
    command.args(["--yes", "-o", "DPkg::Lock::Timeout=300", verb]);
    command
}
