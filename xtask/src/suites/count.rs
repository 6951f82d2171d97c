//! How many tests passed and failed, read from what their runner prints. A runner that reports failure
//! without naming a failed test, for instance because a test did not compile, counts as one failure.

use std::{
    io::{BufRead, BufReader},
    ops::Add,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// Tests that passed and tests that failed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    /// Passed before, and not run again because nothing of theirs has changed.
    pub(crate) unchanged: u32,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            unchanged: self.unchanged + other.unchanged,
        }
    }
}

impl Counts {
    /// What a line of a runner's output adds: `test result: ok. 3 passed; 1 failed; …`, as libtest,
    /// wasm-bindgen-test and the reporter in `end2end/` print it.
    fn of_line(line: &str) -> Option<Self> {
        let numbers = line.trim().strip_prefix("test result: ")?;
        let before = |word: &str| {
            let (head, _) = numbers.split_once(word)?;
            head.split_whitespace().last()?.parse().ok()
        };
        if let Some(passed) = before(" passed before") {
            return Some(Self::unchanged(passed));
        }
        Some(Self {
            passed: before(" passed")?,
            failed: before(" failed")?,
            unchanged: 0,
        })
    }

    /// Tests that passed before.
    pub(crate) fn unchanged(unchanged: u32) -> Self {
        Self {
            unchanged,
            ..Self::default()
        }
    }

    /// Runs a test runner, shows what it prints, and counts. No test at all is an error: a suite that found
    /// nothing to do is broken.
    pub(crate) fn of_command(command: &mut Command) -> Result<Self> {
        let counts = Self::of_command_with_any(command)?;
        if counts == Self::default() {
            bail!("no test was run");
        }
        Ok(counts)
    }

    /// The same for one test program, which may have no test.
    pub(crate) fn of_command_with_any(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .context("the test runner did not start")?;
        let output = child.stdout.take().context("the test runner has no output")?;
        let mut counts = Self::default();
        for line in BufReader::new(output).lines() {
            let line = line?;
            println!("{line}");
            if let Some(more) = Self::of_line(&line) {
                counts = counts + more;
            }
        }
        if !child.wait()?.success() {
            counts.failed = counts.failed.max(1);
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_libtest_is_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; \
                    finished in 0.5s";
        assert_eq!(
            Counts::of_line(line),
            Some(Counts {
                passed: 12,
                failed: 3,
                unchanged: 0
            })
        );
    }

    #[test]
    fn tests_that_passed_before_are_counted_apart() {
        let line = "test result: unchanged. 12 passed before; 0 failed";
        assert_eq!(Counts::of_line(line), Some(Counts::unchanged(12)));
    }

    #[test]
    fn other_lines_are_not_counted() {
        assert_eq!(Counts::of_line("test decides ... ok"), None);
        assert_eq!(Counts::of_line("test result: unknown"), None);
    }

    #[test]
    fn a_runner_that_fails_without_a_test_counts_as_one_failure() {
        let counts = Counts::of_command(&mut Command::new("false")).unwrap();
        assert_eq!((counts.passed, counts.failed), (0, 1));
    }

    #[test]
    fn a_runner_without_tests_is_an_error() {
        Counts::of_command(&mut Command::new("true")).unwrap_err();
    }
}
