//! Where the tests put their files, and how many of them run at a time. Most tests wait for a disk to flush
//! or for an answer, and not for a core.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{self, Command},
    thread,
};

use crate::process::answer;

/// A file system in memory: what a test stores there survives the kill of a process, as it would on a disk,
/// and no flush is waited for.
const MEMORY: &str = "/dev/shm";

/// What it must have room for, in bytes, with as much left for the programs.
const ROOM: u64 = 4 * 1024 * 1024 * 1024;

/// As in `/tmp`, PostgreSQL's own user makes its folders in it too.
const MODE: u32 = 0o1777;

/// The folder for the files of a run, which goes with it.
pub(super) struct Scratch(Option<PathBuf>);

impl Scratch {
    /// A folder in memory where there is room, unless `TMPDIR` already says where files go; otherwise that of
    /// the system.
    pub(super) fn new() -> Self {
        if env::var_os("TMPDIR").is_some() || !has_room() {
            return Self(None);
        }
        let folder = Path::new(MEMORY).join(format!("foldline-tests-{}", process::id()));
        let made = fs::create_dir(&folder)
            .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(MODE)));
        Self(made.is_ok().then_some(folder))
    }

    /// Has a program of tests put its files here, and run twice as many tests at a time as there are cores.
    pub(super) fn used_by<'a>(&self, tests: &'a mut Command) -> &'a mut Command {
        if let Some(folder) = &self.0 {
            tests.env("TMPDIR", folder);
        }
        if env::var_os("RUST_TEST_THREADS").is_none()
            && let Ok(cores) = thread::available_parallelism()
        {
            tests.env("RUST_TEST_THREADS", (2 * cores.get()).to_string());
        }
        tests
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(folder) = &self.0
            && let Err(error) = fs::remove_dir_all(folder)
        {
            eprintln!("xtask: {} could not be removed: {error}", folder.display());
        }
    }
}

/// Whether the folder in memory has room enough.
fn has_room() -> bool {
    let mut df = Command::new("df");
    let free = answer(df.args(["--block-size=1", "--output=fstype,avail", MEMORY]));
    free.is_ok_and(|free| is_memory_with_room(&free))
}

/// Reads what `df` answers: a heading, then the file system and its free bytes.
fn is_memory_with_room(answer: &str) -> bool {
    let line = answer.lines().nth(1).unwrap_or_default();
    let mut words = line.split_whitespace();
    let is_memory = words.next() == Some("tmpfs");
    let free: Option<u64> = words.next().and_then(|free| free.parse().ok());
    is_memory && free.is_some_and(|free| free >= 2 * ROOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_system_in_memory_with_room_is_taken() {
        assert!(is_memory_with_room("Type   Avail\ntmpfs 25769803776\n"));
        assert!(
            !is_memory_with_room("Type   Avail\ntmpfs 67108864\n"),
            "a container's"
        );
        assert!(!is_memory_with_room("Type   Avail\next4 25769803776\n"));
        assert!(!is_memory_with_room(""));
    }
}
