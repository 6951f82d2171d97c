//! A bucket for the warehouse, in the test's own object store: `bucket.py`, a process beside the server.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use crate::python;

/// The path of the warehouse in it.
const PREFIX: &str = "a/warehouse";

pub(crate) struct Bucket {
    store: Child,
    orders: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Bucket {
    /// Starts an empty bucket.
    pub(crate) fn open() -> Self {
        let mut store = python::program("warehouse/bucket.py")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = store.stdin.take().unwrap();
        let mut output = BufReader::new(store.stdout.take().unwrap()).lines();
        let url = output.next().expect("it says where it listens").unwrap();
        Self {
            store,
            orders,
            output,
            url,
        }
    }

    /// The server's setting.
    pub(crate) fn setting() -> Vec<String> {
        vec!["--warehouse".to_owned(), format!("s3://shop/{PREFIX}")]
    }

    /// The variables by which the server reaches it.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let known = |name, value: &str| (name, value.to_owned());
        vec![
            known("AWS_ENDPOINT", &self.url),
            known("AWS_ALLOW_HTTP", "true"),
            known("AWS_REGION", "us-east-1"),
            known("AWS_ACCESS_KEY_ID", "test"),
            known("AWS_SECRET_ACCESS_KEY", "test"),
        ]
    }

    /// Copies all of it into a folder, and returns the warehouse's path there.
    pub(crate) fn copy(&mut self, folder: &Path) -> std::path::PathBuf {
        writeln!(self.orders, "{}", folder.display()).unwrap();
        assert_eq!(self.output.next().expect("it goes on").unwrap(), "copied");
        folder.join(PREFIX)
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.store.kill();
        let _ = self.store.wait();
    }
}
