//! Records of what passed: outside of CI, a test program that passed is not run again until it is built
//! again or a file that it may read changes. So a change in one box costs the tests of that box and of what
//! is built on it. Cargo itself runs each test program through `cargo xtask run-recorded`, as the runner of
//! its target, so that folders, features and variables are those of a plain `cargo test`.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::UNIX_EPOCH,
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::Counts;
use crate::{process, workspace::Workspace};

/// Where the runner finds the digest of the files that tests may read.
const DATA: &str = "FOLDLINE_TEST_DATA_DIGEST";
/// Where the runner finds the folder of the records.
const FOLDER: &str = "FOLDLINE_TEST_RECORDS";
/// Variables that choose what is tested on; a result under another choice is another result.
const CHOICES: &str = "FOLDLINE_TEST_";

/// Files that no test of the native half reads: benchmarks, the browser's tests, and pictures.
const UNREAD: [&str; 4] = ["bench/", "end2end/", "docs/plots/", "docs/screens/"];

/// The records of this checkout.
pub(super) struct Records {
    folder: PathBuf,
    data: String,
}

impl Records {
    /// The records, unless everything is to be run: in CI, when the caller asks for it, or where git does not
    /// say which files there are.
    pub(super) fn of(workspace: &Workspace, all: bool) -> Option<Self> {
        if all || env::var_os("CI").is_some() {
            return None;
        }
        let data = digest_of_files(workspace, |name| {
            has_extension(name, "rs") || UNREAD.iter().any(|folder| name.starts_with(folder))
        });
        Some(Self {
            folder: workspace.target.join("test-records"),
            data: data.ok()?,
        })
    }

    /// Lets cargo run its test programs through this program.
    pub(super) fn recorded<'a>(&self, command: &'a mut Command) -> Result<&'a mut Command> {
        let this = env::current_exe()?;
        let runner = format!("CARGO_TARGET_{}_RUNNER", host()?.to_uppercase().replace('-', "_"));
        Ok(command
            .env(runner, format!("{} run-recorded", this.display()))
            .env(DATA, &self.data)
            .env(FOLDER, &self.folder))
    }

    /// Runs a whole suite, unless it passed with the same inputs: files of the checkout below `folders`, and
    /// files that were built.
    pub(super) fn suite(
        &self,
        workspace: &Workspace,
        name: &str,
        (folders, built): (&[&str], &[PathBuf]),
        run: impl FnOnce() -> Result<Counts>,
    ) -> Result<Counts> {
        let read = digest_of_files(workspace, |file| {
            !folders.iter().any(|folder| file.starts_with(folder))
        })?;
        let mut inputs = Sha256::new();
        inputs.update(read);
        for file in built {
            inputs.update(fs::read(file).with_context(|| format!("{} was not built", file.display()))?);
        }
        let record = Record {
            file: self.folder.join(name),
            inputs: hex::encode(inputs.finalize()),
        };
        if let Some(passed) = record.passed() {
            println!("the suite {name} is unchanged since its {passed} tests passed");
            return Ok(Counts::unchanged(passed));
        }
        let counts = run()?;
        if counts.failed == 0 {
            record.write(counts.passed)?;
        }
        Ok(counts)
    }
}

/// One test program's latest pass.
struct Record {
    file: PathBuf,
    inputs: String,
}

impl Record {
    /// How many tests passed with these very inputs.
    fn passed(&self) -> Option<u32> {
        let text = fs::read_to_string(&self.file).ok()?;
        let (inputs, passed) = text.split_once(' ')?;
        (inputs == self.inputs).then(|| passed.trim().parse().ok())?
    }

    fn write(&self, passed: u32) -> Result<()> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(&self.file, format!("{} {passed}\n", self.inputs))?)
    }
}

/// Runs one test program for cargo, or says that it has not changed since it passed.
pub(crate) fn run_recorded(program: &Path, arguments: &[OsString]) -> Result<ExitCode> {
    let record = record_of(program, arguments);
    if let Some(passed) = record.as_ref().and_then(Record::passed) {
        println!("test result: unchanged. {passed} passed before; 0 failed");
        return Ok(ExitCode::SUCCESS);
    }
    let mut command = Command::new(program);
    // What only the records read is no business of the tests.
    let counts = Counts::of_command_with_any(command.args(arguments).env_remove(DATA).env_remove(FOLDER))?;
    if counts.failed > 0 {
        return Ok(ExitCode::FAILURE);
    }
    if let Some(record) = record {
        record.write(counts.passed)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the result of a program is kept. `None` where it depends on more than is known here.
fn record_of(program: &Path, arguments: &[OsString]) -> Option<Record> {
    let folder = PathBuf::from(env::var_os(FOLDER)?);
    let mut inputs = Sha256::new();
    inputs.update(env::var(DATA).ok()?);
    inputs.update(built_at(program)?);
    // The tests of the program itself start it. It lies beside the folder of the test programs.
    if env::var("CARGO_PKG_NAME").is_ok_and(|name| name == "server") {
        let binary = format!("foldline{}", env::consts::EXE_SUFFIX);
        inputs.update(built_at(&program.parent()?.parent()?.join(binary))?);
    }
    let mut choices: Vec<(OsString, OsString)> = env::vars_os()
        .filter(|(name, _)| {
            name.to_str()
                .is_some_and(|name| name.starts_with(CHOICES) && name != DATA && name != FOLDER)
        })
        .collect();
    choices.sort();
    for (name, value) in choices {
        inputs.update(name.as_encoded_bytes());
        inputs.update(value.as_encoded_bytes());
    }
    for argument in arguments {
        inputs.update([0]);
        inputs.update(argument.as_encoded_bytes());
    }
    Some(Record {
        file: folder.join(program.file_stem()?),
        inputs: hex::encode(inputs.finalize()),
    })
}

/// A program's length and time: cargo writes it anew when anything that it is built from changes, and hashing
/// some gigabytes of test programs would take longer than what it saves.
fn built_at(program: &Path) -> Option<Vec<u8>> {
    let metadata = fs::metadata(program).ok()?;
    let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(
        [
            metadata.len().to_le_bytes().as_slice(),
            &since.as_nanos().to_le_bytes(),
        ]
        .concat(),
    )
}

/// A digest over names and contents of the checkout's files, tracked and new, without those left out.
fn digest_of_files(workspace: &Workspace, leave_out: impl Fn(&str) -> bool) -> Result<String> {
    let names = process::answer(Command::new("git").current_dir(&workspace.root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let mut names: Vec<&str> = names
        .split('\0')
        .filter(|name| !name.is_empty() && !leave_out(name))
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut digest = Sha256::new();
    for name in names {
        digest.update(name);
        // A file that was deleted and is still tracked is no file.
        if let Ok(content) = fs::read(workspace.root.join(name)) {
            digest.update(content.len().to_le_bytes());
            digest.update(content);
        }
    }
    Ok(hex::encode(digest.finalize()))
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension() == Some(OsStr::new(extension))
}

/// The machine's own target, as rustc names it.
fn host() -> Result<String> {
    let version = process::answer(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(folder: &Path, inputs: &str) -> Record {
        Record {
            file: folder.join("records/api-1"),
            inputs: inputs.to_owned(),
        }
    }

    #[test]
    fn what_passed_counts_until_its_inputs_change() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(record(folder.path(), "a").passed(), None);
        record(folder.path(), "a").write(7).unwrap();
        assert_eq!(record(folder.path(), "a").passed(), Some(7));
        assert_eq!(record(folder.path(), "b").passed(), None);
    }

    #[test]
    fn a_program_that_is_built_again_has_other_inputs() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, "1").unwrap();
        let before = built_at(&program);
        fs::write(&program, "12").unwrap();
        assert_ne!(built_at(&program), before);
        assert_eq!(built_at(&folder.path().join("missing")), None);
    }
}
