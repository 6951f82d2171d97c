//! A server as the kernel sees it: its CPU time and its memory, from `/proc`.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How a line of standard output begins that says where the server listens, as in
/// `… is ready at http://127.0.0.1:3000`.
const READY: &str = " is ready at http://";

/// A running server; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl ServerProcess {
    /// Starts it, and waits until it says that it is ready.
    pub(crate) async fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("{} cannot be started", command.get_program().display()))?;
        let output = child.stdout.take().context("the server has no output")?;
        let ready = tokio::task::spawn_blocking(move || -> Result<_> {
            let mut lines = BufReader::new(output).lines();
            for line in lines.by_ref() {
                if let Some((_, address)) = line?.split_once(READY) {
                    let address: SocketAddr = address.trim_end_matches('/').parse()?;
                    return Ok((address, lines));
                }
            }
            bail!("the server has ended before it was ready; what it said is above")
        });
        let (address, lines) = match ready.await? {
            Ok(ready) => ready,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        // Its output stays open, and is read to its end.
        std::thread::spawn(move || lines.count());
        Ok(Self { child, address })
    }

    /// The CPU time that it has used so far, in user and in kernel mode.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let text = self.proc_file("stat")?;
        // The second field is the program's name in parentheses, and may have spaces.
        let (_, fields) = text.rsplit_once(')').context("/proc has another format")?;
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse::<u64>)
            .sum::<Result<u64, _>>()?;
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_millis(ticks * 1_000 / per_second))
    }

    /// Its memory that is in RAM, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        self.memory_line("VmRSS:")
    }

    /// The most memory since the last [`Self::forget_peak`], in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        self.memory_line("VmHWM:")
    }

    /// Lets the peak begin again at the current memory.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    /// Its open descriptors.
    pub(crate) fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Stops it as an operator does.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status()?;
        let (this, status) = tokio::task::spawn_blocking(move || {
            let status = self.child.wait();
            (self, status)
        })
        .await?;
        drop(this);
        let status = status?;
        anyhow::ensure!(status.success(), "the server has ended with {status}");
        Ok(())
    }

    fn memory_line(&self, name: &str) -> Result<u64> {
        let text = self.proc_file("status")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next());
        let kib: u64 = kib.context("/proc has another format")?.parse()?;
        Ok(kib * 1024)
    }

    fn proc_file(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(format!("/proc/{}/{name}", self.child.id()))?)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Not if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Allows this process and those that it starts as many descriptors as the system permits: thousands of
/// clients connect from here.
pub(crate) fn raise_descriptors() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}
