//! Compares the snapshots of aggregates with a fold of their streams by the domain's own code, and the list
//! of streams with the log.

use domain::{
    event::before_first_event,
    id::{StreamName, WorkspaceId},
    wire::StreamInfo,
};

use super::{VerifyError, findings::Findings};
use event_store::{Direction, EventStore, Snapshot, StoreError, Workspace};

/// Folds every stream with a snapshot again, up to the snapshot, and compares.
pub(super) async fn compare_snapshots(
    store: &dyn EventStore,
    workspace: WorkspaceId,
    page_size: u32,
    findings: &mut Findings,
) -> Result<(), VerifyError> {
    let mut after: Option<String> = None;
    while !findings.is_full() {
        let page = store
            .audit_snapshots(workspace, after.as_deref(), page_size)
            .await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (name, read) in &page {
            let (stream, snapshot) = match read {
                Ok(read) => read,
                Err(error) => {
                    findings.add(format!("the snapshot of {name} cannot be read: {error}"));
                    continue;
                }
            };
            if let Some(finding) = fault(store, (workspace, page_size), stream, snapshot).await? {
                let version = snapshot.version;
                findings.add(format!("the snapshot of {name} at version {version} {finding}"));
            }
        }
    }
    Ok(())
}

/// What is wrong with a snapshot. One that the program ignores, because it is of another version of the
/// state, is not compared; nor is one of a stream with an event that cannot be read or decoded, which is a
/// finding of the log.
async fn fault(
    store: &dyn EventStore,
    (workspace, page_size): (WorkspaceId, u32),
    info: &StreamInfo,
    snapshot: &Snapshot,
) -> Result<Option<String>, VerifyError> {
    let Ok(stream) = info.stream.parse::<StreamName>() else {
        return Ok(Some("is of a stream whose name cannot be read".to_owned()));
    };
    let Some(mut aggregate) = before_first_event(stream.category()) else {
        return Ok(None);
    };
    if snapshot.schema_version != aggregate.snapshot_version() {
        return Ok(None);
    }
    if snapshot.version > info.version {
        return Ok(Some(format!(
            "is ahead of its stream, which is at {}",
            info.version
        )));
    }
    let mut version = 0;
    while version < snapshot.version {
        let left = u32::try_from(snapshot.version - version).unwrap_or(u32::MAX);
        let events = store
            .read_stream(
                workspace,
                &stream,
                version + 1,
                Direction::Forwards,
                left.min(page_size),
            )
            .await;
        let events = match events {
            Err(StoreError::Corrupt(_)) => return Ok(None),
            events => events?,
        };
        let Some(last) = events.last() else {
            return Ok(Some(format!("lacks event {} of its stream", version + 1)));
        };
        version = last.version;
        for event in &events {
            match event.decode() {
                Ok(typed) => aggregate.evolve(&typed.payload),
                Err(_) => return Ok(None),
            }
        }
    }
    Ok(match aggregate.is_state(snapshot.state.get()) {
        Ok(true) => None,
        Ok(false) => Some("differs from the fold of its stream".to_owned()),
        Err(error) => Some(format!("cannot be read: {error}")),
    })
}

/// Compares the list of streams with the log: each has an event, and is in the partition of its name.
pub(super) async fn compare_streams(
    store: &dyn EventStore,
    workspace: &Workspace,
    page_size: u32,
    findings: &mut Findings,
) -> Result<(), VerifyError> {
    let mut after: Option<String> = None;
    while !findings.is_full() {
        let page = store
            .streams(workspace.id, "", after.as_deref(), page_size)
            .await?;
        for stream in &page.data {
            let StreamInfo {
                stream: name,
                version,
                partition,
            } = stream;
            let belongs = name
                .parse::<StreamName>()
                .map(|name| name.partition(workspace.shards));
            if belongs.is_ok_and(|belongs| belongs != *partition) {
                findings.add(format!("stream {name}: it is not in the partition of its name"));
            }
            if *version == 0 {
                findings.add(format!("stream {name}: its events are missing"));
            }
        }
        after = page.data.last().map(|stream| stream.stream.clone());
        if after.is_none() || page.next.is_none() {
            break;
        }
    }
    Ok(())
}
