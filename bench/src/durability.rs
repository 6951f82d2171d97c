//! Whether an acknowledged commit is on disk. Settings show the intention; the disk's count of flushes shows
//! the fact. Both sides of a comparison must be equally durable.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use sqlx::{Connection as _, PgConnection};

/// The disk of a folder, as the kernel describes it.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    /// The kernel's statistics of the device.
    statistics: Option<String>,
    /// The file system's type, as in `ext4`.
    pub(crate) file_system: String,
}

impl Disk {
    /// Refuses a folder in memory, where no commit is durable.
    pub(crate) fn below(folder: &Path) -> Result<Self> {
        let file_system = file_system(folder)?;
        ensure!(
            !["tmpfs", "ramfs"].contains(&&*file_system),
            "{} is in memory, where no commit is ever on disk; set TMPDIR to a folder on a disk",
            folder.display()
        );
        let device = fs::metadata(folder)?.dev();
        let (major, minor) = (
            (device >> 8) & 0xfff,
            (device & 0xff) | ((device >> 12) & 0xf_ff00),
        );
        let device = format!("/sys/dev/block/{major}:{minor}");
        // Flushes are counted for the whole disk, not for its partitions.
        let whole = if Path::new(&device).join("partition").exists() {
            format!("{device}/..")
        } else {
            device
        };
        Ok(Self {
            statistics: Path::new(&whole).exists().then(|| format!("{whole}/stat")),
            file_system,
        })
    }

    /// The flushes of the disk since boot; `None` if the kernel does not count them.
    pub(crate) fn flushes(&self) -> Option<u64> {
        let text = fs::read_to_string(self.statistics.as_ref()?).ok()?;
        // The sixteenth of the fields in Documentation/block/stat.rst.
        text.split_whitespace().nth(15)?.parse().ok()
    }

    /// The flushes for each of these consecutive commits. Other programs may flush the disk too, so this can
    /// be too high but never too low; less than one per commit means no durability. A disk without a volatile
    /// cache needs no flush, and counts none.
    pub(crate) fn flushes_since(&self, before: Option<u64>, commits: u32) -> Result<Option<f64>> {
        let (Some(before), Some(now)) = (before, self.flushes()) else {
            return Ok(None);
        };
        let flushes = u32::try_from(now - before).unwrap_or(u32::MAX);
        if now == 0 {
            return Ok(None);
        }
        ensure!(
            flushes >= commits,
            "{commits} commits were acknowledged one after the other, \
             and the disk was flushed {flushes} times"
        );
        Ok(Some(f64::from(flushes) / f64::from(commits)))
    }
}

/// The type of the file system that holds a folder: that of the longest mount point above it.
fn file_system(folder: &Path) -> Result<String> {
    let folder = folder.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let above = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        folder.starts_with(point).then_some((point.len(), kind))
    });
    let (_, kind) = above
        .max_by_key(|(length, _)| *length)
        .context("no mount point is known")?;
    Ok(kind.to_owned())
}

/// PostgreSQL's durability settings; an error unless they are full.
pub(crate) async fn of_postgres(url: &str) -> Result<String> {
    const SETTINGS: &str = "select name || '=' || setting from pg_settings
         where name in ('fsync', 'synchronous_commit', 'full_page_writes') order by name";
    let mut connection = PgConnection::connect(url).await?;
    let settings: Vec<String> = sqlx::query_scalar(SETTINGS).fetch_all(&mut connection).await?;
    connection.close().await?;
    ensure!(
        settings.len() == 3 && settings.iter().all(|setting| setting.ends_with("=on")),
        "PostgreSQL does not flush what it commits: {settings:?}"
    );
    Ok(settings.join(" "))
}

/// What SQLite's `pragma synchronous` answers for FULL.
pub(crate) const FULL: i64 = 2;

/// Checks a connection's settings for WAL and `synchronous=FULL`.
pub(crate) fn of_sqlite(name: &str, journal_mode: &str, synchronous: i64) -> Result<()> {
    ensure!(
        journal_mode == "wal" && synchronous == FULL,
        "{name} has journal_mode={journal_mode} synchronous={synchronous}, and not wal and 2 (FULL)"
    );
    Ok(())
}
