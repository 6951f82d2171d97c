//! Switches a view to another generation, after a rebuild by this server or by another, and follows what
//! another server has changed without an event.

use domain::{id::WorkspaceId, token::ConsistencyToken, view::own};

use super::{Changes, Commit, Context, dead_letter_gauge};
use broker::PartitionId;
use documents::{DocumentStoreError, Scope};

/// No document has this key: what is asked for is the live generation, and how far it has folded.
const NO_KEY: &str = "";

/// Announces that another generation of a view is live and has folded as far as `as_of`. The caller holds the
/// lock of the view's lanes.
pub(super) async fn switched(context: &Context, scope: Scope, as_of: &ConsistencyToken) {
    let Some(progress) = context.progress.of(scope.workspace, scope.view) else {
        return;
    };
    progress.set_generation(scope.generation);
    announce(context, scope, as_of).await;
}

/// Announces that any document of a view may have changed, which has folded as far as `as_of`.
async fn announce(context: &Context, scope: Scope, as_of: &ConsistencyToken) {
    set_back(context, scope, as_of);
    context.cache.clear().await;
    let first = as_of.iter().next().unwrap_or((0, 0));
    for (partition, to) in std::iter::once(first).chain(as_of.iter().skip(1)) {
        context.followers.committed(Commit {
            scope,
            partition,
            to,
            changes: Changes::Everything,
        });
    }
    for (partition, to) in as_of.iter() {
        let partition = PartitionId {
            workspace: scope.workspace,
            partition,
        };
        context.progress.folded(scope.view, partition, to);
    }
    // Other events are parked now.
    context.progress.wake_waiting(scope.workspace);
    dead_letter_gauge::report(context).await;
}

/// Sets a view back that has begun again, because it had folded events that the log does not have.
fn set_back(context: &Context, scope: Scope, as_of: &ConsistencyToken) {
    let Scope { workspace, view, .. } = scope;
    let Some(progress) = context.progress.of(workspace, view) else {
        return;
    };
    let folded = progress.folded();
    if !as_of.covers(&folded) {
        tracing::warn!(projection.view = view, %workspace, %folded, %as_of, "a view begins again");
        context.progress.set_back(view, workspace, as_of);
        context.followers.set_back(&scope, as_of);
    }
}

/// Follows a switch that another server has made. The caller holds the lock of the view's lanes.
pub(super) async fn follow_switch(
    context: &Context,
    view: &'static str,
    workspace: WorkspaceId,
    live: u64,
) -> Result<(), DocumentStoreError> {
    if is_of_another_view(context, workspace, view, live).await? {
        return Ok(());
    }
    let scope = Scope {
        workspace,
        view,
        generation: live,
    };
    let as_of = context.documents.folded(&scope).await?;
    switched(context, scope, &as_of).await;
    Ok(())
}

/// Follows another server that has switched the generation of a view or released parked events of it.
pub(super) async fn follow_change(
    context: &Context,
    view: &'static str,
    workspace: WorkspaceId,
) -> Result<(), DocumentStoreError> {
    let Some(progress) = context.progress.of(workspace, view) else {
        return Ok(());
    };
    let _turn = progress.turn().await;
    if context.progress.has_ended(workspace) {
        return Ok(());
    }
    let stored = context.documents.document(workspace, view, NO_KEY).await?;
    let scope = Scope {
        workspace,
        view,
        generation: stored.generation,
    };
    if stored.generation == progress.generation() {
        for (partition, position) in stored.as_of.iter() {
            progress.note_release(partition, position);
        }
        announce(context, scope, &stored.as_of).await;
    } else if !is_of_another_view(context, workspace, view, stored.generation).await? {
        switched(context, scope, &stored.as_of).await;
    }
    Ok(())
}

/// Whether another server has deleted the view of one's own in a slot, so that a generation of it is of
/// another view or of none. Then the view that is known here has ended, and what is in the slot is read
/// again. The caller holds the lock of the view's lanes.
async fn is_of_another_view(
    context: &Context,
    workspace: WorkspaceId,
    view: &str,
    live: u64,
) -> Result<bool, DocumentStoreError> {
    let Some(slot) = own::slot(view) else {
        return Ok(false);
    };
    let Some(progress) = context.progress.of(workspace, view) else {
        return Ok(true);
    };
    if progress.generation() == live || context.progress.own_views().confirm(workspace, slot).await? {
        return Ok(false);
    }
    context.progress.undefine(workspace, slot);
    Ok(true)
}
