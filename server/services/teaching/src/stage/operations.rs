//! What the educator of the sandbox does to its pipeline: dials, the clock, rebuilds, dead letters, and what
//! verifies it.

use std::time::Duration;

use domain::{
    access::Actor,
    wire::{
        DeadLetterInfo, DeadLetterOutcome, Dials, InvariantsAnswer, LabClock, Page, ProjectionStatus,
        RebuildProgress, SessionInfo, VerifyReport, WorkspaceAccess,
    },
};
use serde_json::{Value, json};

use super::{Sandbox, Stage, WAIT_MS};
use crate::{
    api::{Answer, Body, Call, Method, Sender},
    lesson::Failure,
};

/// How often the progress of a rebuild is looked at: no call waits for its end.
const REBUILD_LOOK: Duration = Duration::from_millis(20);

impl Stage {
    /// Bends dials by a merge patch, as in `{"projections": {"orders": {"paused": true}}}`. When this
    /// returns, they hold.
    pub async fn dials(&self, patch: Value) -> Result<Dials, Failure> {
        let call = Call::new(self.educator(), Method::Patch, "/api/v1/lab/dials");
        let call = call.with_body(Body::Json(patch));
        self.answered("bending the dials", call).await
    }

    /// Puts every dial to rest.
    pub async fn dials_at_rest(&self) -> Result<(), Failure> {
        let call = Call::new(self.educator(), Method::Delete, "/api/v1/lab/dials");
        self.done("putting the dials to rest", call).await
    }

    /// Carries out a call whose answer's body does not matter.
    pub async fn done(&self, what: &str, call: Call) -> Result<(), Failure> {
        let answer = self.call(call).await;
        if answer.is_success() {
            return Ok(());
        }
        Err(Failure::Refused {
            what: what.to_owned(),
            problem: Box::new(answer.problem()),
        })
    }

    /// Pauses, resumes or crashes the lanes of a projection.
    pub async fn intervene(&self, view: &str, what: &str) -> Result<ProjectionStatus, Failure> {
        let path = format!("/api/v1/lab/projections/{view}/{what}");
        self.answered(what, Call::new(self.educator(), Method::Post, path))
            .await
    }

    /// The status of a projection.
    pub async fn projection(&self, view: &str) -> Result<ProjectionStatus, Failure> {
        let all: Vec<ProjectionStatus> = self.read("/lab/projections").await?;
        let found = all.into_iter().find(|status| status.view == view);
        found.ok_or_else(|| Failure::Unexpected(format!("there is no projection {view}")))
    }

    /// Puts the clock of the sandbox forward; what is due by then happens first.
    pub async fn advance_clock(&self, by_ms: u64) -> Result<LabClock, Failure> {
        let call = Call::post(self.educator(), "/api/v1/lab/clock", json!({"advance_ms": by_ms}));
        self.answered("putting the clock forward", call).await
    }

    /// Begins to rebuild a projection.
    pub async fn begin_rebuild(&self, view: &str) -> Result<RebuildProgress, Failure> {
        let path = format!("/api/v1/lab/projections/{view}/rebuild");
        self.answered("the rebuild", Call::new(self.educator(), Method::Post, path))
            .await
    }

    /// Waits until queries read this generation of a projection, or a later one.
    pub async fn await_generation(&self, view: &str, generation: u64) -> Result<ProjectionStatus, Failure> {
        let looked = async {
            loop {
                let status = self.projection(view).await?;
                if status.generation >= generation && status.rebuild.is_none() {
                    return Ok::<_, Failure>(status);
                }
                tokio::time::sleep(REBUILD_LOOK).await;
            }
        };
        tokio::time::timeout(Duration::from_millis(WAIT_MS), looked)
            .await
            .unwrap_or_else(|_| {
                Err(Failure::Unexpected(format!(
                    "the rebuild of {view} has not come to its end in time"
                )))
            })
    }

    /// Rebuilds a projection, and waits until queries read the new generation.
    pub async fn rebuild(&self, view: &str) -> Result<ProjectionStatus, Failure> {
        let progress = self.begin_rebuild(view).await?;
        self.await_generation(view, progress.generation).await
    }

    /// The dead letters of the sandbox, up to 200.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetterInfo>, Failure> {
        let page: Page<DeadLetterInfo> = self.read("/dead-letters?limit=200").await?;
        Ok(page.data)
    }

    /// Retries a dead letter.
    pub async fn retry(&self, letter: &DeadLetterInfo) -> Result<DeadLetterOutcome, Failure> {
        let path = format!("/api/v1/dead-letters/{}/retry", letter.id);
        self.answered("the retry", Call::new(self.educator(), Method::Post, path))
            .await
    }

    /// Discards a dead letter.
    pub async fn discard(&self, letter: &DeadLetterInfo) -> Result<DeadLetterOutcome, Failure> {
        let path = format!("/api/v1/dead-letters/{}/discard", letter.id);
        self.answered("the discard", Call::new(self.educator(), Method::Post, path))
            .await
    }

    /// Verifies the sandbox: the chain of its log, and that every document is the fold of its events.
    pub async fn verify(&self) -> Result<VerifyReport, Failure> {
        self.read("/verify").await
    }

    /// The lights of the invariants.
    pub async fn invariants(&self) -> Result<InvariantsAnswer, Failure> {
        self.read("/lab/invariants").await
    }

    /// Imports an export as another workspace, and gives the answer, a refusal as well.
    async fn try_import(&self, lines: Vec<u8>) -> Answer {
        let call = Call::new(Sender::Anonymous, Method::Post, "/api/v1/workspaces/import");
        self.call(call.with_body(Body::Lines(lines))).await
    }

    /// Imports an export as another workspace, which the lesson [enters](Self::enter) and
    /// [closes](Self::close).
    pub async fn import(&self, lines: Vec<u8>) -> Result<Sandbox, Failure> {
        let access = self.try_import(lines).await.parsed();
        let access: WorkspaceAccess = access.map_err(|problem| Failure::Refused {
            what: "the import".to_owned(),
            problem,
        })?;
        self.opened(access).await
    }

    /// Imports an export that is expected to be refused. What a server opens from it nevertheless is closed.
    pub async fn import_refused(&self, lines: Vec<u8>) -> Result<Answer, Failure> {
        let answer = self.try_import(lines).await;
        if let Ok(access) = answer.parsed() {
            let opened = self.opened(access).await?;
            self.close(&opened).await?;
        }
        Ok(answer)
    }

    /// A workspace that was opened for the lesson, whose educator is the guest of this access.
    async fn opened(&self, access: WorkspaceAccess) -> Result<Sandbox, Failure> {
        let session = Call::get(Sender::Token(access.token), "/api/v1/session");
        let session: SessionInfo = self.answered("the session", session).await?;
        Ok(Sandbox {
            workspace: access.workspace,
            join_code: access.join_code,
            educator: Actor {
                id: session.actor_id,
                role: session.role,
                name: session.display_name,
            },
        })
    }

    /// Purges a workspace that the lesson has imported; one that is gone already is left alone.
    pub async fn close(&self, imported: &Sandbox) -> Result<(), Failure> {
        let path = format!("/api/v1/workspace?confirm={}", imported.workspace);
        let sender = Sender::Guest(imported.workspace, imported.educator.clone());
        match self
            .done("closing the import", Call::new(sender, Method::Delete, path))
            .await
        {
            Err(failure) if !failure.is_gone() => Err(failure),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The whole log of the sandbox, as NDJSON of `CloudEvents`.
    pub async fn export(&self) -> Result<Vec<u8>, Failure> {
        let answer = self.call(Call::get(self.educator(), "/api/v1/export")).await;
        if answer.is_success() {
            return Ok(answer.body);
        }
        Err(Failure::Refused {
            what: "the export".to_owned(),
            problem: Box::new(answer.problem()),
        })
    }
}
