//! Switches a view to another generation, after a rebuild by this server or by another.

use domain::{id::WorkspaceId, token::ConsistencyToken};

use super::{Changes, Commit, Context, dead_letter_gauge};
use broker::PartitionId;
use documents::{DocumentStoreError, Scope};

/// Announces that another generation of a view is live and has folded as far as `as_of`. The caller holds the
/// lock of the view's lanes.
pub(super) async fn switched(context: &Context, scope: Scope, as_of: &ConsistencyToken) {
    let Some(progress) = context.progress.of(scope.workspace, scope.view) else {
        return;
    };
    progress.set_generation(scope.generation);
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
    dead_letter_gauge::report(context).await;
}

/// Follows a switch that another server has made. The caller holds the lock of the view's lanes.
pub(super) async fn follow_switch(
    context: &Context,
    view: &'static str,
    workspace: WorkspaceId,
    live: u64,
) -> Result<(), DocumentStoreError> {
    let scope = Scope {
        workspace,
        view,
        generation: live,
    };
    let as_of = context.documents.folded(&scope).await?;
    switched(context, scope, &as_of).await;
    Ok(())
}
