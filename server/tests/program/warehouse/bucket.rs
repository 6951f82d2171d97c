//! A bucket for the warehouse, in an object store of the test's own: `bucket.py`, a process beside the server.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use crate::python;

/// Where in it the warehouse lies.
const PREFIX: &str = "a/warehouse";

pub(crate) struct Bucket {
    store: Child,
    orders: ChildStdin,
    says: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Bucket {
    /// An empty one.
    pub(crate) fn open() -> Self {
        let mut store = python::program("warehouse/bucket.py")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = store.stdin.take().unwrap();
        let mut says = BufReader::new(store.stdout.take().unwrap()).lines();
        let url = says.next().expect("it says where it listens").unwrap();
        Self {
            store,
            orders,
            says,
            url,
        }
    }

    /// The server's setting.
    pub(crate) fn setting() -> Vec<String> {
        vec!["--warehouse".to_owned(), format!("s3://shop/{PREFIX}")]
    }

    /// What the server must know to reach it.
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

    /// Copies all of it into a folder. Where the warehouse lies there.
    pub(crate) fn copy(&mut self, folder: &Path) -> std::path::PathBuf {
        writeln!(self.orders, "{}", folder.display()).unwrap();
        assert_eq!(self.says.next().expect("it goes on").unwrap(), "copied");
        folder.join(PREFIX)
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.store.kill();
        let _ = self.store.wait();
    }
}
