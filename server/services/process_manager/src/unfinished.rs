//! The remaining work of a workspace's processes, for `/settled`.

use documents::{DocumentStoreError, FIRST_GENERATION, Scope, SeekKey};
use domain::{id::WorkspaceId, policy::OPEN};
use uuid::Uuid;

use super::{listing::seek_key, process::parsed, runner::Runner};

impl Runner {
    /// The remaining commands and timers of a workspace's processes.
    pub(super) async fn unfinished(
        &self,
        workspace: WorkspaceId,
        correlation: Option<Uuid>,
    ) -> Result<Vec<String>, DocumentStoreError> {
        let is_concerned = |of: Uuid| correlation.is_none_or(|correlation| correlation == of);
        let mut unfinished = Vec::new();
        for policy in self.policies {
            let scope = Scope {
                workspace,
                view: policy.name(),
                generation: FIRST_GENERATION,
            };
            let (mut commands, mut timers) = (0, 0);
            let mut after: Option<SeekKey> = None;
            loop {
                let page = self.page(&scope, OPEN, after.as_ref()).await?;
                let Some(last) = page.last() else { break };
                after = Some(seek_key(last));
                for row in &page {
                    let process = parsed(&row.document.data)?;
                    commands += process
                        .pending
                        .iter()
                        .filter(|it| is_concerned(it.correlation_id))
                        .count();
                    timers += process
                        .timers
                        .iter()
                        .filter(|it| is_concerned(it.correlation_id))
                        .count();
                }
            }
            let counts = [(commands, "commands to send"), (timers, "timers")];
            let counts = counts.into_iter().filter(|(count, _)| *count > 0);
            unfinished.extend(counts.map(|(count, what)| format!("{}: {count} {what}", policy.name())));
        }
        Ok(unfinished)
    }
}
