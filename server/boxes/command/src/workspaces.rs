//! Opening and joining workspaces: the only entry for people without an account.
//!
//! A workspace is opened with a join code and filled with the events of its template. The person who opens it
//! becomes an educator, and people who join by the code become students. The gateway turns an [`Admission`]
//! into a token.

use std::{net::IpAddr, sync::Arc, time::Duration};

use domain::{
    access::{Actor, Role},
    aggregate::user::require_display_name,
    id::WorkspaceId,
    language::Language,
    rejection::{Rejection, Violations},
    timestamp::Timestamp,
    wire::{OpenWorkspace, Template},
};
use telemetry::security::{SecurityEvent, SecurityRecord};
use uuid::Uuid;

use super::{
    failure::CommandFailure,
    guests::{Visit, later, share_of_address},
    service::CommandService,
    template::{self, PreparedTemplates},
};
use clock::SharedClock;
use event_store::{
    AdmissionOutcome, ContentError, EventStore, MAX_SHARDS, MAX_WORKSPACE_NAME, StoreError, Workspace,
    WorkspaceContent, new_join_code,
};

/// How often a taken code is replaced before the opening fails.
const CODE_ATTEMPTS: usize = 8;

/// The earliest time at which the clock of a workspace begins: the beginning of 2000.
const EARLIEST_CLOCK: Timestamp = Timestamp::from_micros(946_684_800_000_000);

/// The admission of a person to a workspace.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The workspace.
    pub workspace: Workspace,
    /// The person, with a new id.
    pub actor: Actor,
}

impl Admission {
    /// Notes in the security log how the person came.
    fn note(&self, event: SecurityEvent) {
        SecurityRecord::new(event)
            .person(self.workspace.id.0, self.actor.id)
            .role(self.actor.role.as_str())
            .write();
    }
}

fn no_free_code() -> StoreError {
    StoreError::Unavailable("no free join code was found".to_owned())
}

fn note_failed_join(reason: &'static str) {
    SecurityRecord::new(SecurityEvent::JoinFailed)
        .because(reason)
        .write();
}

/// Why a person was not admitted.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// A field is invalid.
    #[error(transparent)]
    Invalid(#[from] Rejection),
    /// No workspace has this join code.
    #[error("no workspace has this code; check it with the person who gave it to you")]
    UnknownCode,
    /// The workspace has as many people as it may have.
    #[error(
        "{0} people have come into this workspace, and more do not fit into a sandbox; ask the person who \
         opened it, or open a workspace of your own"
    )]
    Full(u32),
    /// As many people have joined from the address as may.
    #[error(
        "{0} people have come into this workspace from your address, and from one address no more may; ask \
         the person who opened it, or open a workspace of your own"
    )]
    AddressFull(u32),
    /// The template's events were not stored.
    #[error("the workspace could not be filled: {0}")]
    Template(#[from] CommandFailure),
    /// The content has more events than a sandbox may have.
    #[error("it has {events} events, and a sandbox has at most {most}")]
    TooManyEvents {
        /// Its events.
        events: u64,
        /// The limit.
        most: u64,
    },
    /// The event store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The educator of a new workspace.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewEducator<'a> {
    /// Their id, where they are known elsewhere; by default a new one.
    pub id: Option<Uuid>,
    /// Their name; by default one in the language of the workspace.
    pub name: Option<&'a str>,
}

/// Opens and finds workspaces.
#[derive(Debug)]
pub struct Workspaces {
    store: Arc<dyn EventStore>,
    commands: Arc<CommandService>,
    templates: PreparedTemplates,
    clock: SharedClock,
    max_people: Option<u32>,
    /// Of them, from one address.
    max_of_address: Option<u32>,
}

impl Workspaces {
    /// The workspaces of a store, filled through a command service.
    pub fn new(store: Arc<dyn EventStore>, commands: Arc<CommandService>, clock: SharedClock) -> Self {
        Self {
            store,
            commands,
            templates: PreparedTemplates::default(),
            clock,
            max_people: None,
            max_of_address: None,
        }
    }

    /// Admits at most this number of people to a sandbox, the person who opened it included. Everyone who
    /// joins is counted, also when they return: without an account, a returning person cannot be recognised.
    /// Where addresses `have_shares`, one of them cannot take all places.
    #[must_use]
    pub fn with_quota(self, max_people: Option<u32>, have_shares: bool) -> Self {
        Self {
            max_people,
            max_of_address: max_people.filter(|_| have_shares).map(share_of_address),
            ..self
        }
    }

    /// Opens a workspace and fills it. The caller becomes its educator, named `display_name`. A workspace and
    /// an educator without a name get one in the language of the request. Its clock may begin in the past.
    pub async fn open(
        &self,
        request: &OpenWorkspace,
        display_name: Option<&str>,
    ) -> Result<Admission, AdmissionError> {
        let language = request.language.unwrap_or_default();
        let texts = template::texts(language);
        let shards = request.shards.unwrap_or(1);
        let name = request.name.as_deref().unwrap_or(&texts.workspace_name).trim();
        let display_name = display_name.unwrap_or(&texts.educator_name);
        let mut violations = Violations::default();
        violations.require(
            (1..=MAX_SHARDS).contains(&shards),
            "shards",
            format!("is 1 to {MAX_SHARDS}"),
        );
        violations.require_name(name, MAX_WORKSPACE_NAME, "name");
        require_display_name(&mut violations, display_name.trim(), "display_name");
        violations.require(
            request.template.is_some(),
            "template",
            "is missing; send it, or a snapshot",
        );
        violations.require(
            request.snapshot.is_none(),
            "snapshot",
            "cannot be combined with a template",
        );
        violations.require(
            request
                .clock
                .is_none_or(|at| (EARLIEST_CLOCK..=self.clock.now()).contains(&at)),
            "clock",
            "is neither before the year 2000 nor in the future",
        );
        violations.finish()?;

        let template = request.template.unwrap_or(Template::Empty);
        let workspace = self.create(name, template, shards).await?;
        self.commands.begin_clock(workspace.id, request.clock).await?;
        self.fill(&workspace, language).await?;
        let educator = NewEducator {
            id: None,
            name: Some(display_name),
        };
        Ok(self.opened(workspace, educator, language))
    }

    /// Opens a workspace that begins with the content of another one, and is of the same number of
    /// partitions. Its views fold it like any events.
    pub async fn open_with(
        &self,
        content: &WorkspaceContent,
        name: Option<&str>,
        educator: NewEducator<'_>,
        language: Language,
    ) -> Result<Admission, AdmissionError> {
        let name = name.unwrap_or(&template::texts(language).workspace_name).trim();
        let mut violations = Violations::default();
        violations.require_name(name, MAX_WORKSPACE_NAME, "name");
        if let Some(name) = educator.name {
            require_display_name(&mut violations, name.trim(), "display_name");
        }
        violations.finish()?;
        let events = content.event_count();
        if let Some(most) = self.commands.max_events()
            && events > most
        {
            return Err(AdmissionError::TooManyEvents { events, most });
        }
        let mut workspace = self.new_workspace(name, content.template, content.shards);
        let newest = content.events().iter().map(|event| event.recorded_at).max();
        // Before there is an event: no timer may be judged by a clock that is behind it.
        let begun_at = newest.unwrap_or(workspace.created_at);
        self.commands.begin_clock_after(workspace.id, begun_at).await?;
        let mut attempts = 1;
        while !self
            .store
            .import_workspace(&workspace, content.in_workspace(workspace.id))
            .await?
        {
            if attempts == CODE_ATTEMPTS {
                return Err(no_free_code().into());
            }
            attempts += 1;
            workspace.join_code = new_join_code();
        }
        Ok(self.opened(workspace, educator, language))
    }

    /// Opens the workspace that is to take the place of one that is reset: with the same name and number of
    /// partitions, and filled with a template. Its join code is its own until
    /// [`replace`](event_store::Lifecycle::replace).
    pub async fn open_successor(
        &self,
        old: &Workspace,
        template: Template,
        language: Language,
    ) -> Result<Workspace, AdmissionError> {
        let workspace = self.create(&old.name, template, old.shards).await?;
        self.commands.begin_clock(workspace.id, None).await?;
        self.fill(&workspace, language).await?;
        Ok(workspace)
    }

    /// What a workspace holds now, of at most this many bytes.
    pub async fn content(
        &self,
        workspace: &Workspace,
        most_bytes: usize,
    ) -> Result<WorkspaceContent, ContentError> {
        WorkspaceContent::read(&*self.store, workspace, most_bytes).await
    }

    fn new_workspace(&self, name: &str, template: Template, shards: u32) -> Workspace {
        Workspace {
            id: WorkspaceId(self.clock.new_id()),
            name: name.to_owned(),
            template,
            shards,
            join_code: new_join_code(),
            created_at: self.clock.now(),
        }
    }

    /// Creates a workspace without an event.
    async fn create(&self, name: &str, template: Template, shards: u32) -> Result<Workspace, StoreError> {
        let mut workspace = self.new_workspace(name, template, shards);
        let mut attempts = 1;
        while !self.store.create_workspace(&workspace).await? {
            if attempts == CODE_ATTEMPTS {
                return Err(no_free_code());
            }
            attempts += 1;
            workspace.join_code = new_join_code();
        }
        Ok(workspace)
    }

    /// The admission of the person for whom a workspace was opened.
    fn opened(&self, workspace: Workspace, educator: NewEducator<'_>, language: Language) -> Admission {
        let name = educator.name.unwrap_or(&template::texts(language).educator_name);
        let mut admission = self.admit(workspace, Role::Educator, name);
        if let Some(id) = educator.id {
            admission.actor.id = id;
        }
        admission.note(SecurityEvent::WorkspaceOpened);
        admission
    }

    /// Admits a person by a join code; case, spaces and hyphens do not matter.
    pub async fn join(
        &self,
        code: &str,
        display_name: &str,
        visit: &Visit,
    ) -> Result<Admission, AdmissionError> {
        let mut violations = Violations::default();
        violations.require_text(code, 40, "code");
        require_display_name(&mut violations, display_name.trim(), "display_name");
        violations.require_line(code, "code");
        violations.finish()?;
        let joined = self.join_by_code(code, display_name, visit).await;
        match &joined {
            Ok(admission) => admission.note(SecurityEvent::WorkspaceJoined),
            Err(AdmissionError::UnknownCode) => note_failed_join("unknown_code"),
            Err(AdmissionError::Full(_)) => note_failed_join("full"),
            Err(AdmissionError::AddressFull(_)) => note_failed_join("address_full"),
            Err(
                AdmissionError::Invalid(_)
                | AdmissionError::Template(_)
                | AdmissionError::TooManyEvents { .. }
                | AdmissionError::Store(_),
            ) => {}
        }
        joined
    }

    async fn join_by_code(
        &self,
        code: &str,
        display_name: &str,
        visit: &Visit,
    ) -> Result<Admission, AdmissionError> {
        let workspace = self.find_by_code(code).await?;
        let workspace = workspace.ok_or(AdmissionError::UnknownCode)?;
        let mut place = self.take_place(workspace.id, visit.address).await;
        let is_full = matches!(
            place,
            Err(AdmissionError::Full(_) | AdmissionError::AddressFull(_))
        );
        if is_full && self.release_gone(workspace.id).await? {
            place = self.take_place(workspace.id, visit.address).await;
        }
        place?;
        let admission = self.admit(workspace, Role::Student, display_name);
        let (workspace, person) = (admission.workspace.id, admission.actor.id);
        self.commands
            .guests
            .enter(workspace, person, visit, self.clock.now());
        Ok(admission)
    }

    /// Takes a place in a workspace, of those that are left to an address.
    async fn take_place(
        &self,
        workspace: WorkspaceId,
        address: Option<IpAddr>,
    ) -> Result<(), AdmissionError> {
        let guests = &self.commands.guests;
        if !guests.take(workspace, address, self.max_of_address) {
            return Err(AdmissionError::AddressFull(
                self.max_of_address.unwrap_or_default(),
            ));
        }
        let outcome = self.store.admit(workspace, self.max_people).await;
        let refusal = match (outcome, self.max_people) {
            (Ok(AdmissionOutcome::Yes), _) => return Ok(()),
            (Ok(AdmissionOutcome::Full), Some(most)) => AdmissionError::Full(most),
            (Ok(AdmissionOutcome::Full | AdmissionOutcome::Unknown), _) => AdmissionError::UnknownCode,
            (Err(error), _) => error.into(),
        };
        guests.give_back(workspace, address);
        Err(refusal)
    }

    /// Frees the places of guests who never did anything and are gone; whether there were any.
    async fn release_gone(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        let gone = self.commands.guests.take_gone(workspace, self.clock.now());
        Ok(gone > 0 && self.store.release(workspace, gone).await?)
    }

    /// Notes a guest who follows a workspace that was reset: the place is theirs already.
    pub fn guest_follows(&self, workspace: WorkspaceId, guest: Uuid, visit: &Visit) {
        self.commands
            .guests
            .enter(workspace, guest, visit, self.clock.now());
    }

    /// Notes that a guest's token lasts for this many seconds from now on.
    pub fn guest_stays(&self, workspace: WorkspaceId, guest: Uuid, seconds: u64) {
        let until = later(self.clock.now(), Duration::from_secs(seconds));
        self.commands.guests.stay(workspace, guest, until);
    }

    /// The workspace with a join code; case, spaces and hyphens do not matter.
    pub async fn find_by_code(&self, code: &str) -> Result<Option<Workspace>, StoreError> {
        let code: String = code
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_uppercase())
            .collect();
        self.store.workspace_by_code(&code).await
    }

    /// The workspace of a token.
    pub async fn find(&self, id: WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        self.store.workspace(id).await
    }

    fn admit(&self, workspace: Workspace, role: Role, display_name: &str) -> Admission {
        let actor = Actor {
            id: self.clock.new_id(),
            role,
            name: display_name.trim().to_owned(),
        };
        Admission { workspace, actor }
    }

    /// Stores the template's events in a new workspace.
    async fn fill(&self, workspace: &Workspace, language: Language) -> Result<(), CommandFailure> {
        match workspace.template {
            Template::Empty => Ok(()),
            Template::Shop => {
                let shop = self.templates.shop(language)?;
                self.commands.fill(workspace.id, &shop).await
            }
        }
    }
}
