//! `foldline checkpoint`, and the part of `foldline verify` that compares signed checkpoints with the log.

use std::{io::Write as _, sync::Arc};

use event_store::EventStore;
use monitor::checkpoint::{
    CheckpointKeeper, CheckpointKey, Verifier,
    terminal::{ParsedNotes, Print, compare_kept, compare_notes, print, read_notes},
};

use super::Failure;
use crate::settings::{CheckpointSettings, VerifySettings};

/// Prints checkpoints, or the public key that verifies them.
pub(super) async fn checkpoint(settings: &CheckpointSettings) -> Result<(), Failure> {
    let store = event_store::open_to_read(&settings.storage.event_store()).await?;
    let key = CheckpointKey::open(&settings.places.key(&settings.storage))?;
    let folder = settings.places.folder(&settings.storage);
    let keeper = CheckpointKeeper::new(Arc::clone(&store), key, folder);
    let mut out = std::io::stdout();
    if settings.print_verifier {
        writeln!(out, "{}", keeper.verifier())?;
        return Ok(());
    }
    let what = match (settings.kept, settings.keep) {
        (true, _) => Print::Kept,
        (false, true) => Print::FreshAndKeep,
        (false, false) => Print::Fresh,
    };
    print(&*store, &keeper, settings.workspace, what, &mut out).await?;
    Ok(())
}

/// The checkpoints of the file that the settings name, if they name one, and the key that verifies them.
pub(super) fn read(settings: &VerifySettings) -> Result<Option<(Verifier, ParsedNotes)>, Failure> {
    let Some(file) = &settings.checkpoint else {
        return Ok(None);
    };
    let verifier = verifier(settings)?;
    let notes = read_notes(file, &verifier, settings.workspace)?;
    Ok(Some((verifier, notes)))
}

/// Compares the checkpoints of a file with the log, and those that the server keeps in its folder. Returns
/// how many of the file say nothing about the log.
pub(super) async fn compare(
    store: &dyn EventStore,
    settings: &VerifySettings,
    of_file: Option<(Verifier, ParsedNotes)>,
) -> Result<usize, Failure> {
    let mut out = std::io::stdout();
    let (workspace, folder) = (settings.workspace, settings.places.folder(&settings.storage));
    let kept = match verifier(settings) {
        Ok(verifier) => compare_kept(store, &verifier, &folder, workspace, &mut out).await,
        // Without its key what is kept proves nothing, and a folder that is not there keeps nothing.
        Err(error) if folder.is_dir() => {
            writeln!(out, "kept checkpoints  not compared: {error}")?;
            Ok(())
        }
        Err(_) => Ok(()),
    };
    let of_file = match of_file {
        Some((verifier, notes)) => compare_notes(store, &verifier, notes, workspace, &mut out).await,
        None => Ok(0),
    };
    kept?;
    Ok(of_file?)
}

/// The public key that the settings name, or that of the installation's own key.
fn verifier(settings: &VerifySettings) -> Result<Verifier, Failure> {
    if let Some(verifier) = &settings.checkpoint_verifier {
        return Ok(verifier.clone());
    }
    let key = CheckpointKey::read(&settings.places.key(&settings.storage));
    let key =
        key.map_err(|error| format!("{error}; --checkpoint-verifier names a public key in its place"))?;
    Ok(key.verifier().clone())
}
