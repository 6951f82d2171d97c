//! The settings of signed checkpoints, and of `foldline checkpoint`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use domain::id::WorkspaceId;

use super::StorageSettings;

/// The file of the key in the folder of keys: none of those that sign tokens, which are all `.pem` files
/// there.
const KEY: &str = "checkpoints.ed25519";

/// The folder in the data folder. `checkpoints` is that of consumers.
const FOLDER: &str = "signed-checkpoints";

/// Where signed checkpoints of the log are kept, and the key that signs them.
#[derive(Debug, Clone, Args)]
pub struct CheckpointPlaces {
    /// The folder of signed checkpoints of the log, best on another disk than the log [default: in the data
    /// folder]
    #[arg(long, env = "FOLDLINE_CHECKPOINT_FOLDER", value_name = "FOLDER")]
    pub checkpoint_folder: Option<PathBuf>,
    /// The key that signs them, an Ed25519 private key in PKCS#8 PEM; made if the file does not exist
    /// [default: in the folder of keys]
    #[arg(long, env = "FOLDLINE_CHECKPOINT_KEY", value_name = "FILE")]
    pub checkpoint_key: Option<PathBuf>,
}

impl CheckpointPlaces {
    /// The folder of signed checkpoints.
    pub fn folder(&self, storage: &StorageSettings) -> PathBuf {
        self.checkpoint_folder
            .clone()
            .unwrap_or_else(|| storage.data_dir.join(FOLDER))
    }

    /// The file of the key.
    pub fn key(&self, storage: &StorageSettings) -> PathBuf {
        self.checkpoint_key
            .clone()
            .unwrap_or_else(|| storage.keys_folder().join(KEY))
    }
}

/// When a server signs checkpoints.
#[derive(Debug, Clone, Args)]
pub struct CheckpointInterval {
    /// Minutes between signed checkpoints of the log; 0 is never
    #[arg(long, env = "FOLDLINE_CHECKPOINT_MINUTES", default_value = "60", value_name = "MINUTES",
        value_parser = clap::value_parser!(u32).range(0..=525_600))]
    pub checkpoint_minutes: u32,
}

impl CheckpointInterval {
    /// The time between checkpoints; `None` is never.
    pub fn interval(&self) -> Option<Duration> {
        let minutes = Some(self.checkpoint_minutes).filter(|minutes| *minutes > 0);
        minutes.map(|minutes| Duration::from_mins(1) * minutes)
    }
}

/// The settings of `foldline checkpoint`.
#[derive(Debug, Clone, Args)]
pub struct CheckpointSettings {
    /// The storage settings.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// Key and folder.
    #[command(flatten)]
    pub places: CheckpointPlaces,
    /// Only of this workspace [default: all]
    #[arg(long, value_name = "ID")]
    pub workspace: Option<WorkspaceId>,
    /// Also keep them in the folder of signed checkpoints, as a server does
    #[arg(long, conflicts_with_all = ["kept", "print_verifier"])]
    pub keep: bool,
    /// Print those that are kept instead of signing new ones
    #[arg(long, conflicts_with = "print_verifier")]
    pub kept: bool,
    /// Print only the public key that verifies them, as name+id+key
    #[arg(long)]
    pub print_verifier: bool,
}
