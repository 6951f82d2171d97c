//! The program that drives the browser, `bench/client/measure.mjs`: it gets a task on a line, and answers on
//! one.

use std::{collections::HashMap, path::Path, process::Stdio};

use anyhow::{Context as _, Result};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::report;

pub(super) struct Browser {
    // Killed when it is dropped, and its browser with it.
    _program: Child,
    tasks: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// The answer to a task.
#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) milliseconds: f64,
    /// The figures of each time that it was done; `None`: there is no such figure, as of a page without
    /// islands.
    pub(super) found: Vec<HashMap<String, Option<f64>>>,
}

/// The first line.
#[derive(Deserialize)]
struct Ready {
    version: String,
}

impl Browser {
    /// Starts it, and waits for its browser.
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        let mut program = Command::new("node")
            .arg(folder.join("measure.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("Node.js cannot be started")?;
        let tasks = program.stdin.take().context("it has no input")?;
        let answers = BufReader::new(program.stdout.take().context("it has no output")?).lines();
        let mut this = Self {
            _program: program,
            tasks,
            answers,
        };
        let Ready { version } = this.answer().await?;
        report::progress(&format!("Chromium {version}"));
        Ok(this)
    }

    /// Carries a task out.
    pub(super) async fn ask(&mut self, task: &Value) -> Result<Answer> {
        self.tasks.write_all(format!("{task}\n").as_bytes()).await?;
        self.answer().await.with_context(|| task.to_string())
    }

    async fn answer<T: DeserializeOwned>(&mut self) -> Result<T> {
        let answer = self.answers.next_line().await?;
        let answer = answer.context("the program of the browser has ended; what it said is above")?;
        serde_json::from_str(&answer).with_context(|| answer)
    }
}
