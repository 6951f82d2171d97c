//! Carries out the steps of a schedule. Nothing here waits for long: what a fault makes impossible for the
//! moment is given up and counted, so that the fault itself can be ended.

use std::{sync::Arc, time::Duration};

use domain::wire::{DeadLetterInfo, Page, WorkspaceAccess};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::{
    mail_server::MailServer,
    people::People,
    schedule::{Action, MailMode, Step},
};
use crate::{
    history::{
        clients::Access,
        record::History,
        servers::{Node, Servers},
    },
    running::TEST_TIMEOUT,
};

/// The longest time until a step, whether commands are acknowledged or not: what is suspended or cut off may
/// be what they wait for.
const LONGEST_STEP: Duration = Duration::from_secs(4);
/// How long an operation is tried.
const OPERATION: Duration = Duration::from_secs(10);
/// How long a server has to be ready for an operation.
const READINESS: Duration = Duration::from_secs(20);
/// The pause between two attempts.
const BACK_OFF: Duration = Duration::from_millis(50);

/// How far writers may be ahead of the step that is waited for.
const MAX_AHEAD: u64 = 100;

/// The time in which a server, or the mail server, may have lost the outcome of what it was doing: until the
/// step after the one that ended it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interruption {
    /// `None`: the mail server.
    server: Option<usize>,
    from: u64,
    until: u64,
    ends: bool,
}

impl Interruption {
    /// Whether it explains that a server did again at a tick what it had done at another.
    pub(super) fn explains(&self, server: usize, first: u64, again: u64) -> bool {
        self.server.is_none_or(|interrupted| interrupted == server)
            && first <= self.until
            && again >= self.from
    }
}

pub(super) struct Driver {
    pub(super) servers: Arc<Servers>,
    /// An educator's.
    pub(super) access: Access,
    pub(super) opened: WorkspaceAccess,
    pub(super) history: Arc<History>,
    pub(super) mail: MailServer,
    pub(super) people: People,
    pub(super) interruptions: Vec<Interruption>,
    /// How far the clock was put forward, by acknowledged operations.
    pub(super) advanced_ms: u64,
    /// Operations that were given up, by server and action.
    pub(super) given_up: Vec<String>,
    tasks: Vec<JoinHandle<()>>,
}

impl Driver {
    pub(super) fn new(
        (access, opened): (Access, WorkspaceAccess),
        history: &Arc<History>,
        mail: MailServer,
    ) -> Self {
        Self {
            servers: Arc::clone(&access.servers),
            access,
            opened,
            history: Arc::clone(history),
            mail,
            people: People::default(),
            interruptions: Vec::new(),
            advanced_ms: 0,
            given_up: Vec::new(),
            tasks: Vec::new(),
        }
    }

    /// Waits for the commands before a step, and carries it out.
    pub(super) async fn carry_out(&mut self, step: Step) {
        let until = self.history.acknowledged() + step.after;
        self.history.allow(until + MAX_AHEAD);
        self.history.acknowledged_within(until, LONGEST_STEP).await;
        let tick = self.history.act(step.to_string());
        self.close_interruptions(tick);
        if !self.perform(step).await {
            self.given_up.push(step.to_string());
        }
    }

    /// Performs an action. Returns whether it was possible.
    async fn perform(&mut self, step: Step) -> bool {
        let Step { server, action, .. } = step;
        let node = |driver: &Self| Arc::clone(&driver.servers.node(server).server);
        match action {
            Action::Kill => {
                self.interrupt(Some(server), false);
                node(self).kill();
            }
            Action::Start => {
                node(self).start();
                self.end_interruptions(Some(server));
            }
            Action::Suspend => {
                // Not while it starts: others would wait for its migrations.
                if !self.is_ready(server).await {
                    return false;
                }
                self.interrupt(Some(server), false);
                node(self).signal("STOP");
            }
            Action::Continue => {
                node(self).signal("CONT");
                self.end_interruptions(Some(server));
            }
            Action::CutDatabase | Action::SeverDatabase => {
                if !self.is_ready(server).await {
                    return false;
                }
                let is_cut = action == Action::CutDatabase;
                self.interrupt(Some(server), is_cut);
                let database = self.servers.node(server).database.as_ref();
                let database = database.expect("the schedule has this with a database server only");
                if is_cut {
                    database.cut();
                } else {
                    database.sever();
                }
            }
            Action::RestoreDatabase => {
                self.restore_database(server);
                self.end_interruptions(Some(server));
            }
            Action::CutClients => self.servers.node(server).clients.cut(),
            Action::Mails(mode) => {
                self.mail.behave(mode);
                match mode {
                    MailMode::Normal => self.end_interruptions(None),
                    MailMode::Slow | MailMode::Away | MailMode::Refusing => self.interrupt(None, false),
                }
            }
            Action::AdvanceClock(by_ms) => return self.advance_clock(server, by_ms).await,
            Action::PauseView(view) => return self.act_on_view(server, view, "pause").await,
            Action::ResumeView(view) => return self.act_on_view(server, view, "resume").await,
            Action::CrashView(view) => return self.act_on_view(server, view, "crash").await,
            Action::RebuildView(view) => return self.act_on_view(server, view, "rebuild").await,
            Action::ReleaseDeadLetters => return self.release_dead_letters(server).await.is_some(),
            Action::Register(people) => {
                for _ in 0..people {
                    let (visitor, code) = (self.access.at(server), self.opened.join_code.clone());
                    let history = Arc::clone(&self.history);
                    let registering = self.people.clone().register(visitor, code, history);
                    self.tasks.push(tokio::spawn(registering));
                }
            }
            Action::Erase(person) => {
                let (educator, history) = (self.access.at(server), Arc::clone(&self.history));
                let erasing = self.people.clone().erase(educator, person, history);
                self.tasks.push(tokio::spawn(erasing));
            }
        }
        true
    }

    fn interrupt(&mut self, server: Option<usize>, ends: bool) {
        self.interruptions.push(Interruption {
            server,
            from: self.history.tick(),
            until: u64::MAX,
            ends,
        });
    }

    fn end_interruptions(&mut self, server: Option<usize>) {
        for interruption in self.interruptions.iter_mut().filter(|it| it.server == server) {
            interruption.ends = true;
        }
    }

    /// Those that were ended before are over.
    fn close_interruptions(&mut self, tick: u64) {
        for interruption in self.interruptions.iter_mut().filter(|it| it.ends) {
            interruption.until = interruption.until.min(tick);
        }
    }

    fn restore_database(&self, server: usize) {
        let Node { database, .. } = self.servers.node(server);
        if let Some(database) = database {
            database.restore();
        }
    }

    async fn is_ready(&self, server: usize) -> bool {
        let address = self.servers.node(server).server.url(0);
        tokio::time::timeout(READINESS, address).await.is_ok()
    }

    /// Asks one server until it answers, for a limited time.
    async fn ask(
        &self,
        server: usize,
        (method, path): (Method, &str),
        body: Option<&Value>,
    ) -> Option<(StatusCode, String)> {
        let until = Instant::now() + OPERATION;
        while Instant::now() < until {
            let answer = self
                .access
                .request_once((server, OPERATION), |client, url| {
                    let request = client.request(method.clone(), format!("{url}{path}"));
                    match body {
                        Some(body) => request.json(body),
                        None => request,
                    }
                })
                .await;
            match answer {
                Some((StatusCode::SERVICE_UNAVAILABLE, _)) | None => sleep(BACK_OFF).await,
                answer => return answer,
            }
        }
        None
    }

    async fn advance_clock(&mut self, server: usize, by_ms: i64) -> bool {
        let forward = json!({"advance_ms": by_ms});
        let answer = self
            .ask(server, (Method::POST, "/api/v1/lab/clock"), Some(&forward))
            .await;
        let is_done = self.is_answered(answer.as_ref(), &[StatusCode::OK]);
        if is_done {
            self.advanced_ms += by_ms.unsigned_abs();
        }
        is_done
    }

    /// Pauses, resumes, crashes or rebuilds a view. A view that is being rebuilt is not paused (409).
    async fn act_on_view(&self, server: usize, view: &str, operation: &str) -> bool {
        let path = format!("/api/v1/lab/projections/{view}/{operation}");
        let answer = self.ask(server, (Method::POST, &path), None).await;
        let is_busy = matches!(answer, Some((StatusCode::CONFLICT, _)));
        !is_busy && self.is_answered(answer.as_ref(), &[StatusCode::OK, StatusCode::ACCEPTED])
    }

    /// Retries the dead letters of a page. Returns how many there were; `None`: the server did not answer.
    async fn release_dead_letters(&self, server: usize) -> Option<usize> {
        let list = (Method::GET, "/api/v1/dead-letters?limit=200");
        let (_, text) = self
            .ask(server, list, None)
            .await
            .filter(|(status, _)| *status == StatusCode::OK)?;
        let letters: Page<DeadLetterInfo> = serde_json::from_str(&text).unwrap();
        for letter in &letters.data {
            self.retry(server, letter.id).await?;
        }
        Some(letters.data.len())
    }

    /// Retries a dead letter; another server may have been faster.
    async fn retry(&self, server: usize, letter: Uuid) -> Option<()> {
        let path = format!("/api/v1/dead-letters/{letter}/retry");
        let answer = self.ask(server, (Method::POST, &path), None).await;
        let expected = [StatusCode::OK, StatusCode::NOT_FOUND];
        self.is_answered(answer.as_ref(), &expected).then_some(())
    }

    /// Whether there is an answer. One with another status is a finding.
    fn is_answered(&self, answer: Option<&(StatusCode, String)>, expected: &[StatusCode]) -> bool {
        let Some((status, text)) = answer else {
            return false;
        };
        self.history.require(expected.contains(status), "", || {
            format!("an operation of the educator came to {status}: {text}")
        });
        true
    }

    /// Ends every fault, and waits until every server is ready and every person has registered.
    pub(super) async fn recover(&mut self) {
        let tick = self.history.act("every fault is ended".to_owned());
        self.close_interruptions(tick);
        self.mail.behave(MailMode::Normal);
        for server in 0..self.servers.count() {
            self.restore_database(server);
            let address = self.servers.node(server).server.url(0);
            let ready = tokio::time::timeout(TEST_TIMEOUT, address).await;
            assert!(
                ready.is_ok(),
                "within {TEST_TIMEOUT:?}, server {server} was not ready"
            );
        }
        for view in domain::view::all() {
            let path = format!("/api/v1/lab/projections/{}/resume", view.name());
            let _: Value = self.access.post(&path, &json!({})).await;
        }
        let tasks = std::mem::take(&mut self.tasks);
        crate::history::ended("the registrations and erasures", tasks).await;
    }

    /// Retries dead letters and waits until everything is settled at every server, and no dead letter is
    /// left.
    pub(super) async fn settle(&mut self) {
        let until = Instant::now() + TEST_TIMEOUT;
        let mut last = "nothing".to_owned();
        'again: loop {
            assert!(
                Instant::now() < until,
                "within {TEST_TIMEOUT:?}, the servers were not settled without dead letters; last: {last}"
            );
            // Payments without an answer end by the clock.
            let put_forward = self.advance_clock(0, 20_000).await;
            let letters = self.release_dead_letters(0).await;
            if !put_forward || letters != Some(0) {
                last = format!("{letters:?} dead letters at server 0");
                sleep(BACK_OFF).await;
                continue;
            }
            for server in 0..self.servers.count() {
                let settled = (Method::GET, "/api/v1/settled?timeout_ms=8000");
                match self.ask(server, settled, None).await {
                    Some((StatusCode::OK, _)) => {}
                    answer => {
                        last = format!("server {server}: {answer:?}");
                        continue 'again;
                    }
                }
            }
            return;
        }
    }
}
