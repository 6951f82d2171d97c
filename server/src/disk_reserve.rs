//! Room that is kept for a start on a full disk.
//!
//! A database needs a little room to be opened even for reading: SQLite has a file of shared memory beside
//! each. On a full disk a server could not start, and what is stored could not be read. So a file in the data
//! folder takes some room while the server runs, and gives it back while one starts. Writes never get it:
//! afterwards the file takes back what the start has left.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// The name of the file.
const FILE: &str = "reserve";

/// What is kept: several times what opening all databases of a server needs.
const LENGTH: usize = 1 << 20;

/// The room that is given back for a start. When it is dropped, it is taken again, unless the data folder
/// never had it.
#[derive(Debug)]
pub(crate) struct DiskReserve {
    file: PathBuf,
    takes_back: bool,
}

impl DiskReserve {
    /// Gives the room in a data folder back, if it is kept there.
    pub(crate) fn release(data_dir: &Path) -> Self {
        let file = data_dir.join(FILE);
        let takes_back = match fs::remove_file(&file) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                tracing::warn!(%error, "the room that is kept for a start cannot be given back");
                false
            }
        };
        Self { file, takes_back }
    }

    /// The server has started: from now on the room is kept here.
    pub(crate) fn keep(mut self) {
        self.takes_back = true;
    }

    fn take(&self) {
        // What does not fit is not needed: as much as there is serves the next start.
        if let Err(error) = write(&self.file) {
            tracing::warn!(%error, "less room than wanted is kept for a start on a full disk");
        }
    }
}

impl Drop for DiskReserve {
    fn drop(&mut self) {
        if self.takes_back {
            self.take();
        }
    }
}

fn write(file: &Path) -> io::Result<()> {
    let content = incompressible();
    let mut opened = fs::File::create(file)?;
    for piece in content.chunks(4_096) {
        opened.write_all(piece)?;
    }
    Ok(())
}

/// Bytes that a file system which compresses cannot make smaller: a xorshift sequence.
fn incompressible() -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut content = Vec::with_capacity(LENGTH);
    while content.len() < LENGTH {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend(state.to_le_bytes());
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(folder: &Path) -> Option<u64> {
        fs::metadata(folder.join(FILE)).ok().map(|file| file.len())
    }

    #[test]
    fn a_start_gets_the_room_and_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        DiskReserve::release(folder.path()).keep();
        assert_eq!(kept(folder.path()), Some(LENGTH as u64));
        let reserve = DiskReserve::release(folder.path());
        assert_eq!(kept(folder.path()), None);
        // also if the start fails
        drop(reserve);
        assert_eq!(kept(folder.path()), Some(LENGTH as u64));
    }

    #[test]
    fn a_folder_that_is_refused_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        drop(DiskReserve::release(folder.path()));
        assert_eq!(kept(folder.path()), None);
    }
}
