//! Compares signed checkpoints with a log: whether it still contains the histories that were signed.

use std::collections::BTreeMap;

use super::{CheckpointError, LogCheckpoint, MalformedNote, Note, Verifier};
use domain::id::WorkspaceId;
use event_store::{EventStore, StoreError};

/// The most findings of a comparison.
const MAX_FINDINGS: usize = 100;

/// The outcome of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The checkpoints that the log contains.
    pub contained: u64,
    /// What is wrong, one sentence each.
    pub findings: Vec<String>,
}

impl Comparison {
    fn add(&mut self, finding: String) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }
}

/// Compares checkpoints with a log, of one workspace or of all. Of each partition the first that differs is
/// named, with the last one before it that the log contains: in between is the event from which on the
/// history is another one.
pub async fn compare(
    store: &dyn EventStore,
    verifier: &Verifier,
    notes: Vec<Result<Note, MalformedNote>>,
    workspace: Option<WorkspaceId>,
) -> Result<Comparison, CheckpointError> {
    let mut comparison = Comparison::default();
    let mut of_partitions: BTreeMap<(WorkspaceId, u32), Vec<LogCheckpoint>> = BTreeMap::new();
    for note in notes {
        let note = match note {
            Ok(note) => note,
            Err(malformed) => {
                comparison.add(malformed.to_string());
                continue;
            }
        };
        let checkpoint = note.checkpoint();
        if workspace.is_some_and(|workspace| workspace != checkpoint.workspace) {
            continue;
        }
        let LogCheckpoint {
            workspace: of,
            partition,
            position,
            ..
        } = checkpoint;
        if note.is_signed_by(verifier) {
            let partition = of_partitions.entry((*of, *partition)).or_default();
            partition.push(checkpoint.clone());
        } else {
            comparison.add(format!(
                "workspace {of}, partition {partition}: the checkpoint at position {position} is not signed \
                 by {verifier}"
            ));
        }
    }
    for ((workspace, partition), mut checkpoints) in of_partitions {
        checkpoints.sort();
        let place = format!("workspace {workspace}, partition {partition}");
        match compare_partition(store, (workspace, partition), &checkpoints).await? {
            (contained, Some(finding)) => {
                comparison.contained += contained;
                comparison.add(format!("{place}: {finding}"));
            }
            (contained, None) => comparison.contained += contained,
        }
    }
    Ok(comparison)
}

/// How many checkpoints of a partition the log contains, and what is wrong with the first that it does not.
async fn compare_partition(
    store: &dyn EventStore,
    (workspace, partition): (WorkspaceId, u32),
    checkpoints: &[LogCheckpoint],
) -> Result<(u64, Option<String>), CheckpointError> {
    let heads = store.chain_heads(Some(workspace)).await?;
    let Some((.., head)) = heads.iter().find(|(_, of, _)| *of == partition) else {
        return Ok((0, Some("the log has no such partition".to_owned())));
    };
    let (mut contained, mut last) = (0, 0);
    for checkpoint in checkpoints {
        let position = checkpoint.position;
        let before = if last == 0 {
            "no earlier one was compared".to_owned()
        } else {
            format!("the last one before it that the log contains is at {last}")
        };
        if position > head.position {
            let head = head.position;
            let finding =
                format!("the log ends at position {head}, before the checkpoint at {position}; {before}");
            return Ok((contained, Some(finding)));
        }
        let hash = match store.hash_at(workspace, partition, position).await {
            Ok(hash) => hash,
            Err(StoreError::Corrupt(error)) => {
                let finding =
                    format!("the event at the checkpoint's position {position} cannot be read: {error}");
                return Ok((contained, Some(finding)));
            }
            Err(error) => return Err(error.into()),
        };
        if hash != Some(hex::encode(checkpoint.hash)) {
            let finding = format!(
                "the history differs from the checkpoint at position {position}, which is the first that \
                 differs; {before}"
            );
            return Ok((contained, Some(finding)));
        }
        contained += 1;
        last = position;
    }
    Ok((contained, None))
}
