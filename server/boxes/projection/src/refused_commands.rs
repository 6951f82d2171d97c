//! Dead letters of process managers: commands that were refused for good, and that a person has to settle.
//!
//! They are in the documents of processes, beside the parked events of the lanes, and hold back no stream. A
//! retry sends the command again, under the same id; a discard leaves undone what it was to do.

use std::{fmt::Debug, sync::Arc};

use documents::{
    DeadLetter, DocumentStoreError, DocumentWrite, FIRST_GENERATION, FoldFault, FoldInput, FoldOutput,
    PageRequest, Scope, SeekKey, StoredDocument,
};
use domain::{id::WorkspaceId, wire::Order};
use uuid::Uuid;

use super::{
    Changes, Commit, Context,
    dead_letters::{DeadLetterError, ReleaseOutcome, Remedy},
    handler::EventHandler,
};

/// Documents that are read at a time.
const PAGE: u32 = 200;

/// The refused commands in the documents of a handler.
pub trait RefusedCommands: Send + Sync + Debug {
    /// The listing of the documents that have some.
    fn listing(&self) -> &'static str;

    /// Those of a document. Their key has a position of their own, by which they are listed: no event has it.
    fn of(&self, document: &StoredDocument) -> Result<Vec<DeadLetter>, DocumentStoreError>;

    /// The change that settles one of a document; `None`: it has none of this id.
    fn settled(
        &self,
        document: &StoredDocument,
        id: Uuid,
        remedy: Remedy,
    ) -> Result<Option<DocumentWrite>, DocumentStoreError>;
}

/// Those of a workspace, of one handler or of all, by the documents' keys.
pub(super) async fn list(
    context: &Context,
    workspace: WorkspaceId,
    name: Option<&str>,
) -> Result<Vec<DeadLetter>, DocumentStoreError> {
    let mut letters = Vec::new();
    for handler in context.progress.handlers() {
        if name.is_none_or(|name| name == handler.name())
            && let Some(commands) = handler.refused_commands()
        {
            for document in documents(context, workspace, &**handler, commands).await? {
                letters.extend(commands.of(&document)?);
            }
        }
    }
    Ok(letters)
}

/// Retries or discards one.
pub(super) async fn remedy(
    context: &Context,
    workspace: WorkspaceId,
    id: Uuid,
    remedy: Remedy,
) -> Result<ReleaseOutcome, DeadLetterError> {
    for handler in context.progress.handlers() {
        let Some(commands) = handler.refused_commands() else {
            continue;
        };
        for document in documents(context, workspace, &**handler, commands).await? {
            let letters = commands.of(&document)?;
            if letters.iter().any(|letter| letter.event.id == id)
                && settle(context, workspace, handler, commands, (document.key, id, remedy)).await?
            {
                return Ok(ReleaseOutcome {
                    applied: 0,
                    dead_letter: None,
                });
            }
        }
    }
    Err(DeadLetterError::Unknown)
}

/// The documents that have refused commands.
async fn documents(
    context: &Context,
    workspace: WorkspaceId,
    handler: &dyn EventHandler,
    commands: &dyn RefusedCommands,
) -> Result<Vec<StoredDocument>, DocumentStoreError> {
    let mut documents = Vec::new();
    let mut after: Option<SeekKey> = None;
    loop {
        let request = PageRequest {
            listing: commands.listing(),
            group: "",
            order: Order::Asc,
            limit: PAGE,
            after: after.as_ref(),
        };
        let page = context.documents.page(workspace, handler.name(), &request);
        let page = page.await?.value;
        let Some(last) = page.last() else {
            return Ok(documents);
        };
        after = Some(SeekKey {
            sort: last.sort.clone(),
            key: last.document.key.clone(),
        });
        documents.extend(page.into_iter().map(|row| row.document));
    }
}

/// Changes the document, then notifies the followers. `false`: the command was settled meanwhile.
async fn settle(
    context: &Context,
    workspace: WorkspaceId,
    handler: &Arc<dyn EventHandler>,
    commands: &dyn RefusedCommands,
    (key, id, remedy): (String, Uuid, Remedy),
) -> Result<bool, DocumentStoreError> {
    let scope = Scope {
        workspace,
        view: handler.name(),
        generation: FIRST_GENERATION,
    };
    let mut is_settled = false;
    let mut fold = |loaded: FoldInput| {
        let fault = |error: DocumentStoreError| FoldFault {
            position: 0,
            reason: error.to_string(),
        };
        let write = match loaded.documents.first() {
            Some(document) => commands.settled(document, id, remedy).map_err(fault)?,
            None => None,
        };
        is_settled = write.is_some();
        Ok(FoldOutput {
            writes: write.into_iter().collect(),
            ..FoldOutput::default()
        })
    };
    context.documents.amend(&scope, &[key], &mut fold).await?;
    if is_settled {
        tracing::info!(
            projection.view = handler.name(), %workspace, %id, ?remedy,
            "a refused command was retried or discarded"
        );
        context.followers.committed(Commit {
            scope,
            partition: 0,
            to: 0,
            changes: Changes::Everything,
        });
        context.progress.wake_waiting(workspace);
    }
    Ok(is_settled)
}
