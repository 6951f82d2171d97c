//! The runs of lessons: each in its own sandbox, phase by phase, stored in the workspace of its learner.
//!
//! A run goes on after a reload, at another server and after a restart, because everything that it needs is
//! stored with it: what was predicted, what the acts have shown, and what they remember. No token is stored.
//! An act is carried out to its end also when its client goes away. A run whose sandbox has ended can still
//! be looked at. It is purged with the workspace of its learner, and its sandbox then ends too.

mod storage;
mod stored_run;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use clock::SharedClock;
use documents::{DocumentStore, DocumentStoreError};
use domain::{
    access::{Actor, Role},
    id::WorkspaceId,
    language::Language,
    lesson::{self as outlines, LessonOutline},
    parse_error::shorten,
    wire::{LessonRun, Problem, RunInfo, RunStep, SessionInfo, StepPhase, WorkspaceAccess},
};
use serde_json::json;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use self::{
    storage::RunStorage,
    stored_run::{PhaseKind, StoredRun, Turn, check_answer},
};
use crate::{
    api::{Api, Call, Method, Sender},
    lesson::{Failure, Lesson},
    lessons,
    stage::{Sandbox, Stage},
};

/// How many runs of a person have a sandbox at a time; the oldest ends for another.
pub const MOST_LIVE_RUNS: usize = 5;

/// How many runs of a person are kept; the oldest is forgotten for another.
pub const MOST_RUNS: usize = 30;

/// How long an act may take in all. The requests of its steps wait for less.
const LONGEST_ACT: Duration = Duration::from_secs(55);

/// The longest text of a failure, in characters.
const MAX_FAILURE: usize = 300;

/// The person who does lessons.
#[derive(Debug, Clone)]
pub struct Learner {
    /// Their workspace, in which their runs are stored.
    pub workspace: WorkspaceId,
    /// The person.
    pub actor: Actor,
}

impl Learner {
    fn is_educator(&self) -> bool {
        self.actor.role == Role::Educator
    }
}

/// Why a request to a run is refused.
#[derive(Debug, thiserror::Error)]
pub enum LessonError {
    /// There is no such lesson.
    #[error("there is no lesson of this name; `GET /api/v1/lab/lessons` lists them")]
    UnknownLesson,
    /// There is no such run, or the caller may not see it.
    #[error("there is no run of this id that you may see")]
    UnknownRun,
    /// There is no such step.
    #[error("the lesson has no such step; they are counted from 1")]
    UnknownStep,
    /// Only its learner goes on with a run.
    #[error("only the person who started a run may go on with it")]
    Foreign,
    /// Another phase is due.
    #[error("`{phase}` of step {step} is due next: a step is predicted, then acts, then is revealed")]
    NotDue {
        /// The step, counted from 1.
        step: u8,
        /// The phase that is due.
        phase: &'static str,
    },
    /// Nothing is left to do.
    #[error("every step of this run is revealed, and this step has no such phase")]
    Done,
    /// An answer is none to its question.
    #[error("{field} {message}")]
    Invalid {
        /// The field of the request.
        field: &'static str,
        /// What it has to be.
        message: String,
    },
    /// The sandbox of the run has ended.
    #[error("the sandbox of this run has ended, so it does not go on; start the lesson again")]
    Ended,
    /// Another request has changed the run.
    #[error("another request goes on with this run; read it again")]
    Busy,
    /// The sandbox was not opened.
    #[error("the sandbox of the lesson was not opened: {}", .0.detail)]
    Sandbox(Box<Problem>),
    /// The work has panicked, or the server stops.
    #[error("the step has not come to its end")]
    Interrupted,
    /// What is stored could not be read or changed.
    #[error(transparent)]
    Documents(#[from] DocumentStoreError),
}

/// Keeps the runs of all lessons.
#[derive(Debug)]
pub struct Lessons {
    api: Arc<dyn Api>,
    storage: RunStorage,
    clock: SharedClock,
    /// One request at a time goes on with a run, or starts one for a person.
    turns: Mutex<HashMap<Uuid, Weak<tokio::sync::Mutex<()>>>>,
    tasks: TaskTracker,
}

impl Lessons {
    /// Lessons that act through this API, with their runs in `process_store`; `clock` is the machine's.
    pub fn new(api: Arc<dyn Api>, process_store: Arc<dyn DocumentStore>, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self {
            api,
            storage: RunStorage::new(process_store),
            clock,
            turns: Mutex::default(),
            tasks: TaskTracker::new(),
        })
    }

    /// Starts a run of a lesson in a sandbox of its own, whose texts are in this language. The caller has
    /// charged the learner for it.
    pub async fn start(
        &self,
        learner: &Learner,
        lesson: &str,
        language: Language,
    ) -> Result<LessonRun, LessonError> {
        let outline = outlines::find(lesson).ok_or(LessonError::UnknownLesson)?;
        let person = learner.actor.id;
        let turn = self.turn(person);
        let _turn = turn.lock().await;
        let sandbox = self.open_sandbox(outline, language).await?;
        let run = StoredRun::new(outline, (self.clock.new_id(), person), sandbox, self.clock.now());
        if let Err(error) = self.storage.insert(learner.workspace, &run).await {
            self.close_sandbox(&run.sandbox).await;
            return Err(error);
        }
        self.make_room(learner).await?;
        Ok(run.shown())
    }

    /// Ends the oldest runs of a person beyond those that may be live, and forgets those beyond what is kept.
    async fn make_room(&self, learner: &Learner) -> Result<(), LessonError> {
        let runs = self
            .storage
            .of_person(learner.workspace, learner.actor.id)
            .await?;
        let live = runs.iter().filter(|run| !run.ended).skip(MOST_LIVE_RUNS);
        let surplus: Vec<Uuid> = live.map(|run| run.id).collect();
        for (place, mut run) in runs.into_iter().enumerate() {
            let is_surplus = surplus.contains(&run.id);
            let is_forgotten = place >= MOST_RUNS;
            if !run.ended && (is_surplus || is_forgotten) {
                self.close_sandbox(&run.sandbox).await;
            }
            if is_forgotten {
                self.storage.delete(learner.workspace, &run).await?;
            } else if is_surplus {
                // A step that acts meanwhile finds the sandbox gone, and says so.
                run.ended = true;
                self.save_ended(learner.workspace, run).await?;
            }
        }
        Ok(())
    }

    /// The runs of the caller, newest first.
    pub async fn list(&self, learner: &Learner) -> Result<Vec<RunInfo>, LessonError> {
        let runs = self
            .storage
            .of_person(learner.workspace, learner.actor.id)
            .await?;
        Ok(runs.iter().map(StoredRun::info).collect())
    }

    /// The newest 200 runs of all people of the workspace, for its educators.
    pub async fn list_all(&self, workspace: WorkspaceId) -> Result<Vec<RunInfo>, LessonError> {
        let runs = self.storage.all(workspace).await?;
        Ok(runs.iter().map(StoredRun::info).collect())
    }

    /// A run of the caller, or for an educator one of the workspace, with all that is recorded of it.
    pub async fn read(&self, learner: &Learner, id: Uuid) -> Result<LessonRun, LessonError> {
        let mut run = self.visible(learner, id).await?;
        if !run.ended && !self.is_there(&run.sandbox).await {
            run.ended = true;
            self.save_ended(learner.workspace, run.clone()).await?;
        }
        Ok(run.shown())
    }

    /// Forgets a run of the caller, or for an educator one of the workspace, and ends its sandbox.
    pub async fn end(&self, learner: &Learner, id: Uuid) -> Result<(), LessonError> {
        let turn = self.turn(id);
        let _turn = turn.lock().await;
        let run = self.visible(learner, id).await?;
        if !run.ended {
            self.close_sandbox(&run.sandbox).await;
        }
        self.storage.delete(learner.workspace, &run).await
    }

    /// Carries out a phase of a step, counted from 1, and answers the step as it is then. A phase that was
    /// carried out before is answered as it was recorded. An act that has failed says why, and may be tried
    /// again. It comes to its end even if the caller goes away.
    pub async fn step(
        self: &Arc<Self>,
        learner: &Learner,
        id: Uuid,
        n: u8,
        phase: StepPhase,
    ) -> Result<RunStep, LessonError> {
        let (lessons, learner) = (Arc::clone(self), learner.clone());
        let carried_out = async move { lessons.carry_out(&learner, id, n, phase).await };
        let carried_out = self.tasks.spawn(carried_out).await;
        carried_out.unwrap_or(Err(LessonError::Interrupted))
    }

    async fn carry_out(
        &self,
        learner: &Learner,
        id: Uuid,
        n: u8,
        phase: StepPhase,
    ) -> Result<RunStep, LessonError> {
        let turn = self.turn(id);
        let _turn = turn.lock().await;
        let mut run = self.visible(learner, id).await?;
        if run.person != learner.actor.id {
            return Err(LessonError::Foreign);
        }
        let index = usize::from(n).checked_sub(1).ok_or(LessonError::UnknownStep)?;
        if index >= run.steps.len() {
            return Err(LessonError::UnknownStep);
        }
        let kind = PhaseKind::of(&phase);
        let Some((outline, lesson)) = same_lesson(&run) else {
            // Another version of the program had other steps.
            return Err(LessonError::Ended);
        };
        if run.turn(lesson, index, kind)? == Turn::Recorded {
            return Ok(run.steps[index].shown_as(n));
        }
        if run.ended {
            return Err(LessonError::Ended);
        }
        match phase {
            StepPhase::Predict(answer) => {
                check_answer(&outline.steps[index], answer)?;
                run.steps[index].predicted = Some(answer);
            }
            StepPhase::Act(_) => self.act(&mut run, lesson, index).await,
            StepPhase::Reveal(_) => run.steps[index].reveal(&lesson.steps[index]),
        }
        let is_ended = run.ended;
        let shown = run.steps[index].shown_as(n);
        self.storage.save(learner.workspace, run).await?;
        if is_ended {
            return Err(LessonError::Ended);
        }
        Ok(shown)
    }

    /// Acts, and takes what comes of it over into the run.
    async fn act(&self, run: &mut StoredRun, lesson: &Lesson, index: usize) {
        let step = &lesson.steps[index];
        let Some(act) = step.act else { return };
        let memory = std::mem::take(&mut run.memory);
        let mut stage = Stage::new(
            Arc::clone(&self.api),
            Arc::clone(&self.clock),
            run.sandbox.clone(),
            memory,
        );
        let acted = tokio::time::timeout(LONGEST_ACT, act(&mut stage)).await;
        let (outcome, memory) = stage.into_parts();
        // Also of an act that has failed: who has joined is not to join again.
        run.memory = memory;
        let stored = &mut run.steps[index];
        let acted = acted
            .unwrap_or_else(|_| Err(Failure::Unexpected("it has taken too long".to_owned())))
            .and_then(|()| stored.act(step, outcome));
        if let Err(failure) = acted {
            let mut reason = failure.to_string();
            tracing::info!(
                lesson.name = lesson.name, lesson.step = step.name, %reason, "a step of a lesson failed"
            );
            shorten(&mut reason, MAX_FAILURE);
            stored.failure = Some(reason);
            // Also where a person could not join: the code of a purged sandbox is not known.
            run.ended = failure.is_gone() || !self.is_there(&run.sandbox).await;
        }
    }

    /// Ends the sandboxes of all runs of a workspace, which is being purged.
    pub async fn end_workspace(&self, workspace: WorkspaceId) {
        match self.storage.live_sandboxes(workspace).await {
            Ok(sandboxes) => {
                for sandbox in &sandboxes {
                    self.close_sandbox(sandbox).await;
                }
            }
            // They expire when they are idle.
            Err(error) => tracing::warn!(%error, %workspace, "the sandboxes of lessons could not be ended"),
        }
    }

    /// Waits until every act that is under way has come to its end.
    pub async fn stop(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// A run that the caller may see.
    async fn visible(&self, learner: &Learner, id: Uuid) -> Result<StoredRun, LessonError> {
        let run = self.storage.find(learner.workspace, id).await?;
        run.filter(|run| run.person == learner.actor.id || learner.is_educator())
            .ok_or(LessonError::UnknownRun)
    }

    /// Notes that the sandbox of a run has ended; a change of another request is noted as well by the next
    /// look at the run.
    async fn save_ended(&self, workspace: WorkspaceId, run: StoredRun) -> Result<(), LessonError> {
        match self.storage.save(workspace, run).await {
            Ok(()) | Err(LessonError::Busy | LessonError::UnknownRun) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn open_sandbox(
        &self,
        outline: &LessonOutline,
        language: Language,
    ) -> Result<Sandbox, LessonError> {
        let name = outline.name.replace('_', " ");
        let wanted = json!({
            "template": "shop",
            "name": format!("Lesson {}: {name}", outline.number),
            "language": language,
        });
        let opened = self
            .api
            .call(Call::post(Sender::Anonymous, "/api/v1/workspaces", wanted))
            .await;
        let access: WorkspaceAccess = opened.parsed().map_err(LessonError::Sandbox)?;
        let session = Call::get(Sender::Token(access.token), "/api/v1/session");
        let session = self.api.call(session).await;
        let session: SessionInfo = session.parsed().map_err(LessonError::Sandbox)?;
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

    /// Purges a sandbox. One that cannot be reached now expires when it is idle.
    async fn close_sandbox(&self, sandbox: &Sandbox) {
        let path = format!("/api/v1/workspace?confirm={}", sandbox.workspace);
        let sender = Sender::Guest(sandbox.workspace, sandbox.educator.clone());
        let answer = self.api.call(Call::new(sender, Method::Delete, path)).await;
        if !answer.is_success() && answer.status != 410 {
            tracing::info!(
                workspace = %sandbox.workspace, http.status = answer.status,
                "the sandbox of a lesson was not ended; it expires when it is idle"
            );
        }
    }

    /// Whether the sandbox exists; a server that does not answer is no reason to end a run.
    async fn is_there(&self, sandbox: &Sandbox) -> bool {
        let sender = Sender::Guest(sandbox.workspace, sandbox.educator.clone());
        let answer = self.api.call(Call::get(sender, "/api/v1/session")).await;
        answer.status != 410
    }

    /// What lets one request at a time go on with a run.
    fn turn(&self, id: Uuid) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&id).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(id, Arc::downgrade(&turn));
        turn
    }
}

/// The lesson of a run with its outline, if its steps are those of the run.
fn same_lesson(run: &StoredRun) -> Option<(&'static LessonOutline, &'static Lesson)> {
    let lesson = lessons::find(&run.lesson).filter(|lesson| run.is_of(lesson))?;
    Some((outlines::find(&run.lesson)?, lesson))
}

#[cfg(test)]
mod tests;
