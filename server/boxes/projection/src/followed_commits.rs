//! Publishes here what the lanes of another server have committed: the commits that it has handed over, each
//! in the order of its view, as if a lane of this server had made it. Where some are missing, every client of
//! the view gets a snapshot.

use documents::{DocumentStoreError, FollowedView, SHARED_PAGE, Scope, SharedCommit, SharedCommits};
use domain::{id::WorkspaceId, token::ConsistencyToken};

use super::{
    Changes, Commit, Context, generation_switch::follow_switch, progress::HandlerProgress, shared_changes,
};
use broker::PartitionId;

/// Follows every view of a workspace as far as it is committed now.
pub(super) async fn follow(context: &Context, workspace: WorkspaceId) -> Result<(), DocumentStoreError> {
    let Some(sharing) = context.documents.sharing() else {
        return Ok(());
    };
    loop {
        let handlers = context.progress.handlers().iter();
        let views: Vec<FollowedView> = handlers
            .filter_map(|handler| {
                let progress = context.progress.of(workspace, handler.name())?;
                Some(followed(&progress, handler.name()))
            })
            .collect();
        let mut has_more = false;
        for commits in sharing.commits(workspace, &views).await? {
            let Some(progress) = context.progress.of(workspace, commits.view) else {
                continue;
            };
            let _turn = progress.turn().await;
            has_more |= publish(context, &progress, workspace, commits).await?;
        }
        if !has_more {
            return Ok(());
        }
    }
}

/// Follows one view, whose lanes the caller has locked. `false`: the servers hand nothing over.
pub(super) async fn follow_view(
    context: &Context,
    progress: &HandlerProgress,
    workspace: WorkspaceId,
    view: &'static str,
) -> Result<bool, DocumentStoreError> {
    let Some(sharing) = context.documents.sharing() else {
        return Ok(false);
    };
    loop {
        let mut has_more = false;
        for commits in sharing.commits(workspace, &[followed(progress, view)]).await? {
            has_more |= publish(context, progress, workspace, commits).await?;
        }
        if !has_more {
            return Ok(true);
        }
    }
}

fn followed(progress: &HandlerProgress, view: &'static str) -> FollowedView {
    FollowedView {
        view,
        events: events_of(&progress.folded()),
    }
}

/// How many events a token covers, over all partitions.
fn events_of(token: &ConsistencyToken) -> u64 {
    ConsistencyToken::default().behind(token)
}

/// Publishes the commits of a view whose lanes are locked. Returns whether there may be more.
async fn publish(
    context: &Context,
    progress: &HandlerProgress,
    workspace: WorkspaceId,
    shared: SharedCommits,
) -> Result<bool, DocumentStoreError> {
    if context.progress.has_ended(workspace) {
        return Ok(false);
    }
    if shared.generation != progress.generation() {
        // What was read may be older than a switch of this server.
        let live = context.documents.live_generation(workspace, shared.view).await?;
        if live != progress.generation() {
            follow_switch(context, shared.view, workspace, live).await?;
        }
        return Ok(false);
    }
    let scope = Scope {
        workspace,
        view: shared.view,
        generation: shared.generation,
    };
    if !shared.as_of.covers(&progress.folded()) {
        // A lane of this server was faster than what was read, or the view was set back.
        let as_of = context.documents.folded(&scope).await?;
        if as_of.covers(&progress.folded()) {
            return Ok(true);
        }
        follow_switch(context, shared.view, workspace, shared.generation).await?;
        return Ok(false);
    }
    let is_full = shared.commits.len() >= SHARED_PAGE as usize;
    let mut is_complete = true;
    for commit in &shared.commits {
        let events = events_of(&progress.folded());
        if commit.events <= events {
            continue;
        }
        let begins_at = commit
            .events
            .saturating_sub(commit.to.saturating_sub(commit.from));
        if begins_at != events || progress.folded().position(commit.partition) != commit.from {
            is_complete = false;
            break;
        }
        publish_commit(context, scope, commit).await;
    }
    let is_behind = !progress.folded().covers(&shared.as_of);
    if is_behind && is_complete && is_full {
        return Ok(true);
    }
    if is_behind {
        skip_to(context, progress, scope, &shared.as_of).await;
    }
    Ok(false)
}

/// In the order of a lane: invalidates the cache, notifies the followers, notes the progress.
async fn publish_commit(context: &Context, scope: Scope, commit: &SharedCommit) {
    let view = context.progress.view(scope.view);
    let decoded = commit
        .content
        .as_deref()
        .zip(view)
        .map(|(content, view)| shared_changes::decode(view, content));
    let changes = match decoded {
        Some(Ok(changes)) => {
            let topics = shared_changes::topics(&scope, &changes);
            context.cache.invalidate(&topics).await;
            Changes::Each(changes)
        }
        unknown => {
            if let Some(Err(error)) = unknown {
                tracing::warn!(
                    projection.view = scope.view, workspace = %scope.workspace, %error,
                    "what another server has handed over cannot be read; clients get snapshots"
                );
            }
            context.cache.clear().await;
            Changes::Unknown
        }
    };
    let Scope { workspace, view, .. } = scope;
    let (partition, to) = (commit.partition, commit.to);
    context.followers.committed(Commit {
        scope,
        partition,
        to,
        changes,
    });
    context
        .progress
        .folded(view, PartitionId { workspace, partition }, to);
    metrics::counter!("foldline_projection_followed_total", "view" => view)
        .increment(commit.to.saturating_sub(commit.from));
}

/// Some commits are not known one by one: every client of the view needs a snapshot.
async fn skip_to(context: &Context, progress: &HandlerProgress, scope: Scope, as_of: &ConsistencyToken) {
    context.cache.clear().await;
    let before = progress.folded();
    for (partition, to) in as_of
        .iter()
        .filter(|(partition, to)| before.position(*partition) < *to)
    {
        let changes = Changes::Unknown;
        context.followers.committed(Commit {
            scope,
            partition,
            to,
            changes,
        });
    }
    let Scope { workspace, view, .. } = scope;
    for (partition, to) in as_of.iter() {
        context
            .progress
            .folded(view, PartitionId { workspace, partition }, to);
    }
}
