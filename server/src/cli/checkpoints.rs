//! `foldline checkpoint`, and the part of `foldline verify` that compares signed checkpoints with the log.

use std::{io::Write as _, path::Path, sync::Arc};

use event_store::EventStore;
use monitor::checkpoint::{
    CheckpointKeeper, CheckpointKey, Verifier,
    terminal::{Print, compare_notes, print, read_notes},
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

/// Compares the checkpoints of a file with the log.
pub(super) async fn compare(
    store: &dyn EventStore,
    settings: &VerifySettings,
    file: &Path,
) -> Result<(), Failure> {
    let verifier = verifier(settings)?;
    let text = read_notes(file)?;
    let mut out = std::io::stdout();
    compare_notes(store, &verifier, &text, settings.workspace, &mut out).await?;
    Ok(())
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
