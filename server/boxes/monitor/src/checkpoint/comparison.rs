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
    /// The partitions whose log does not contain what the key has signed, one sentence each.
    pub findings: Vec<String>,
    /// The notes that say nothing about the log: they cannot be read, or another key has signed them. One
    /// sentence each.
    pub unusable: Vec<String>,
}

fn add(findings: &mut Vec<String>, finding: String) {
    if findings.len() < MAX_FINDINGS {
        findings.push(finding);
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
                add(&mut comparison.unusable, malformed.to_string());
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
            let unusable = format!(
                "workspace {of}, partition {partition}: the checkpoint at position {position} is not signed \
                 by {verifier}"
            );
            add(&mut comparison.unusable, unusable);
        }
    }
    for ((workspace, partition), mut checkpoints) in of_partitions {
        checkpoints.sort();
        let place = format!("workspace {workspace}, partition {partition}");
        let compared = compare_partition(store, (workspace, partition), &checkpoints).await?;
        comparison.contained += compared.contained;
        if let Some(finding) = compared.difference {
            add(&mut comparison.findings, format!("{place}: {finding}"));
        }
        for reason in compared.unreadable {
            add(&mut comparison.unusable, format!("{place}: {reason}"));
        }
    }
    Ok(comparison)
}

/// The checkpoints of a partition, compared with its log.
#[derive(Debug, Default)]
pub(super) struct ComparedPartition {
    /// How many of them the log contains.
    contained: u64,
    /// What is wrong with the first that it does not contain.
    pub(super) difference: Option<String>,
    /// Those that cannot be compared, because the event at their position cannot be read.
    unreadable: Vec<String>,
}

/// Compares the checkpoints of a partition, up to the first that the log does not contain.
pub(super) async fn compare_partition(
    store: &dyn EventStore,
    (workspace, partition): (WorkspaceId, u32),
    checkpoints: &[LogCheckpoint],
) -> Result<ComparedPartition, CheckpointError> {
    let mut compared = ComparedPartition::default();
    let heads = store.chain_heads(Some(workspace)).await?;
    let Some((.., head)) = heads.iter().find(|(_, of, _)| *of == partition) else {
        compared.difference = Some("the log has no such partition".to_owned());
        return Ok(compared);
    };
    let mut last = 0;
    for checkpoint in checkpoints {
        let position = checkpoint.position;
        let before = if last == 0 {
            "no earlier one was compared".to_owned()
        } else {
            format!("the last one before it that the log contains is at {last}")
        };
        if position > head.position {
            let head = head.position;
            compared.difference = Some(format!(
                "the log ends at position {head}, before the checkpoint at {position}; {before}"
            ));
            break;
        }
        let hash = match store.hash_at(workspace, partition, position).await {
            Ok(hash) => hash,
            Err(StoreError::Corrupt(error)) => {
                if compared.unreadable.len() < MAX_FINDINGS {
                    compared.unreadable.push(format!(
                        "the event at the checkpoint's position {position} cannot be read: {error}"
                    ));
                }
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if hash != Some(hex::encode(checkpoint.hash)) {
            compared.difference = Some(format!(
                "the history differs from the checkpoint at position {position}, which is the first that \
                 differs; {before}"
            ));
            break;
        }
        compared.contained += 1;
        last = position;
    }
    Ok(compared)
}
