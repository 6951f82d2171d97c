//! What the server does for accounts by email: it requests the links that set a password or confirm an
//! address, and records in the log what their owners have done by them.
//!
//! **A request for a new password tells nothing about accounts.** The answer is the same and comes before any
//! account is looked up: the request goes into a queue of fixed length, whose one worker looks up, stores and
//! appends. A full queue refuses all requests alike. What waits there is lost in a crash, and its person asks
//! again. The same worker notes in the security log what a sign-in must not wait for.
//!
//! **A changed password is recorded once.** Its hash is in the people store, and its event in the log, after
//! which the owner gets an email. The store notes the change with the hash; a note that a crash has left is
//! recorded later, under the same command id.

use std::sync::Arc;

use command::{CommandFailure, Intent};
use domain::{
    aggregate::user::{MAX_EMAIL, MAX_PASSWORD, Password, PasswordFault, normalised},
    id::WorkspaceId,
    wire::{CommandAnswer, CommandRequest, ExpectedVersion},
};
use identity::{
    PasswordChange, PersonId,
    account_links::{EmailConfirmation, LinkError},
};
use serde_json::{Value, json};
use telemetry::security::{self, RequestSender, SecurityEvent, SecurityRecord};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};
use uuid::Uuid;

use super::{
    SharedGateway,
    auth::{self, Authentication, Caller},
    limits::{Account, Address, COST_OF_SIGNING_IN, Client, password_turn},
    problem::ApiProblem,
};

/// How many requests for a new password wait at most.
const QUEUE: usize = 256;
/// How many changed passwords are recorded in one step of the upkeep.
const RECORDED_AT_A_TIME: u32 = 100;
/// At how many accounts of an email a wrong password is noted.
const NOTED_ACCOUNTS: usize = 64;
/// How often a confirmation is tried if other events come first.
const CONFIRMATION_ATTEMPTS: u32 = 5;

/// A job of the worker.
#[derive(Debug)]
enum ResetJob {
    /// A person has forgotten the password of the accounts with this email.
    Request(ForgottenAccount),
    /// A password was tried at all accounts with an email, and was right at some of them.
    Note(TriedAccounts),
    /// Tells when everything before it is done.
    Done(oneshot::Sender<()>),
}

/// The accounts with an email, in a workspace or in all.
struct ForgottenAccount {
    email: String,
    workspace: Option<WorkspaceId>,
    /// For the security log.
    sender: RequestSender,
}

impl std::fmt::Debug for ForgottenAccount {
    /// Never the email.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ForgottenAccount(…)")
    }
}

/// The accounts with an email at which a password was tried.
struct TriedAccounts {
    email: String,
    /// Whose password it is.
    signed_in: Vec<PersonId>,
    /// For the security log.
    sender: RequestSender,
}

impl std::fmt::Debug for TriedAccounts {
    /// Never the email.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TriedAccounts(…)")
    }
}

/// The queue of requests for a new password, and of notes of which an answer must not tell.
#[derive(Debug)]
pub(super) struct ResetQueue(mpsc::Sender<ResetJob>);

/// The end of the queue that the worker reads.
#[derive(Debug)]
pub(super) struct QueuedResets(mpsc::Receiver<ResetJob>);

impl ResetQueue {
    /// A queue, and its other end for [`work`].
    pub(super) fn new() -> (Self, QueuedResets) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), QueuedResets(receiver))
    }

    /// Waits until every request until now is carried out.
    pub(super) async fn done(&self) {
        let (sender, done) = oneshot::channel();
        if self.0.send(ResetJob::Done(sender)).await.is_ok() {
            // An error: the worker has ended, and nothing is left to wait for.
            let _ = done.await;
        }
    }
}

/// Carries out the jobs of the queue, until the server stops and the queue is empty.
pub(super) async fn work(gateway: SharedGateway, QueuedResets(mut queue): QueuedResets) {
    loop {
        let job = tokio::select! {
            job = queue.recv() => job,
            () = gateway.stopping.cancelled() => {
                queue.close();
                queue.recv().await
            }
        };
        match job {
            Some(ResetJob::Request(forgotten)) => {
                let requested = request_resets(Arc::clone(&gateway), forgotten);
                if let Err(error) = apart(requested).await {
                    tracing::warn!(%error, "a link to set a new password could not be requested");
                }
            }
            Some(ResetJob::Note(tried)) => {
                if let Err(error) = apart(note_failures(Arc::clone(&gateway), tried)).await {
                    tracing::warn!(%error, "attempts at accounts could not be noted");
                }
            }
            Some(ResetJob::Done(done)) => {
                // An error: its caller does not wait any more.
                let _ = done.send(());
            }
            None => return,
        }
    }
}

/// Why a request was not carried out.
type RequestError = Box<dyn std::error::Error + Send + Sync>;

/// Works on a task of its own: should it panic, the next job is carried out all the same.
async fn apart(
    work: impl Future<Output = Result<(), RequestError>> + Send + 'static,
) -> Result<(), RequestError> {
    tokio::spawn(work).await.map_err(RequestError::from).flatten()
}

async fn request_resets(gateway: SharedGateway, forgotten: ForgottenAccount) -> Result<(), RequestError> {
    let sender = forgotten.sender;
    security::in_request(sender, send_resets(&gateway, &forgotten)).await
}

/// Requests links for the accounts of an email. A failure at one keeps no other account from its link.
async fn send_resets(gateway: &SharedGateway, forgotten: &ForgottenAccount) -> Result<(), RequestError> {
    let ForgottenAccount { email, workspace, .. } = forgotten;
    let accounts = gateway.people.accounts_to_reset(email, *workspace).await?;
    if accounts.is_empty() {
        SecurityRecord::new(SecurityEvent::PasswordResetRefused)
            .because("unknown_account")
            .account(&gateway.people.login(email)?)
            .write();
    }
    for of in accounts {
        let id = gateway.clock.new_id();
        if gateway.people.requesting_reset(of, email, id).await? {
            let command = ServerCommand::about(of, "RequestPasswordReset");
            match command.carry_out(gateway, id).await {
                // The account was erased, or its workspace purged, in between.
                Ok(_) | Err(CommandFailure::Rejected(_) | CommandFailure::UnknownWorkspace(_)) => {}
                // For example a sandbox that is full: that is no reason for the others to get no link.
                Err(error) => tracing::warn!(%error, "an account gets no link to set a new password"),
            }
        }
    }
    Ok(())
}

async fn note_failures(gateway: SharedGateway, tried: TriedAccounts) -> Result<(), RequestError> {
    let account = gateway.people.login(&tried.email)?;
    let holders = gateway.people.holders(&tried.email, NOTED_ACCOUNTS).await?;
    let write = async {
        for of in holders.iter().filter(|of| !tried.signed_in.contains(of)) {
            SecurityRecord::new(SecurityEvent::SignInFailed)
                .because("wrong_credentials")
                .workspace(of.workspace.0)
                .account(&account)
                .write();
        }
    };
    security::in_request(tried.sender, write).await;
    Ok(())
}

/// Notes in the security log that a password with which a person has signed in was wrong for the other
/// accounts of the email. The answer does not wait for it, so that its time does not tell whether there are
/// any. If the queue is full, it is not noted.
pub(crate) fn note_other_accounts(
    gateway: &SharedGateway,
    address: Client,
    email: &str,
    signed_in: Vec<PersonId>,
) {
    let tried = TriedAccounts {
        email: email.to_owned(),
        signed_in,
        sender: auth::sender(None, address),
    };
    // An error: the queue is full, or the server stops.
    let _ = gateway.resets.0.try_send(ResetJob::Note(tried));
}

/// Requests links to set a new password, for the form and for the interface. The answer does not depend on
/// accounts, nor does the time until it.
pub(crate) fn forget_password(
    gateway: &SharedGateway,
    authentication: &Authentication,
    Address(address): Address,
    email: &str,
    workspace: Option<WorkspaceId>,
) -> Result<(), ApiProblem> {
    let email = email.trim();
    if email.is_empty() || normalised(email).len() > MAX_EMAIL {
        let message = format!("has 1 to {MAX_EMAIL} characters");
        return Err(ApiProblem::field("email", message));
    }
    let caller = authentication.clone().caller();
    let sender = auth::sender(caller.as_ref(), address);
    let workspace = workspace.or(caller.map(|caller| caller.workspace()));
    let account = (gateway.people.login(email)?, workspace);
    gateway
        .mail_requests
        .charge(account, address, gateway.clock.now())?;
    let forgotten = ForgottenAccount {
        email: email.to_owned(),
        workspace,
        sender,
    };
    match gateway.resets.0.try_send(ResetJob::Request(forgotten)) {
        Ok(()) => Ok(()),
        Err(TrySendError::Full(_) | TrySendError::Closed(_)) => Err(ApiProblem::unanswered(
            "too many people have forgotten their passwords at the moment".to_owned(),
        )),
    }
}

/// Counts an attempt with the link of an email, before the link is looked up.
pub(crate) fn charge_for_link(gateway: &SharedGateway, Address(address): Address) -> Result<(), ApiProblem> {
    gateway.rate.charge(address, COST_OF_SIGNING_IN)
}

/// Sets a new password by the link of an email, for the form and for the interface.
pub(crate) async fn reset_password(
    gateway: &SharedGateway,
    Address(address): Address,
    token: &str,
    password: &Password,
) -> Result<(), ApiProblem> {
    if password.length() > MAX_PASSWORD {
        return Err(ApiProblem::field("password", PasswordFault::Length.to_string()));
    }
    let turn = password_turn(gateway, address).await?;
    let change = gateway
        .people
        .reset_password(token, password, gateway.clock.new_id())
        .await;
    drop(turn);
    record_password_change(gateway, change?).await;
    Ok(())
}

/// Appends the event of a changed password. If that fails, the upkeep does it later.
pub(crate) async fn record_password_change(gateway: &SharedGateway, change: PasswordChange) {
    let command = ServerCommand {
        data: json!({"by_link": change.by_link}),
        ..ServerCommand::about(change.of, "RecordPasswordChange")
    };
    match command.carry_out(gateway, change.command).await {
        // The account was erased, or its workspace purged, in between.
        Ok(_) | Err(CommandFailure::Rejected(_) | CommandFailure::UnknownWorkspace(_)) => {
            gateway.people.password_change_recorded(&change).await;
        }
        Err(error) => {
            tracing::warn!(%error, "a changed password could not be recorded; it will be");
        }
    }
}

/// Appends the events of changed passwords that are still missing.
pub(super) async fn record_left_changes(gateway: &SharedGateway) {
    match gateway
        .people
        .unrecorded_password_changes(RECORDED_AT_A_TIME)
        .await
    {
        Ok(changes) => {
            for change in changes {
                record_password_change(gateway, change).await;
            }
        }
        Err(error) => tracing::warn!(%error, "changed passwords could not be looked up"),
    }
}

/// Requests another link that confirms the address of the caller's account, unless it is confirmed; for the
/// form and for the interface.
pub(crate) async fn request_confirmation(gateway: &SharedGateway, caller: &Caller) -> Result<(), ApiProblem> {
    let of = caller.bearer().of();
    let mut account = Account::default();
    let (workspace, person) = account.split_at_mut(16);
    workspace.copy_from_slice(of.workspace.0.as_bytes());
    person.copy_from_slice(of.person.as_bytes());
    let now = gateway.clock.now();
    gateway
        .mail_requests
        .charge((account, Some(of.workspace)), caller.address(), now)?;
    gateway.mail_requests.charge_new(caller.address(), now)?;
    let command = ServerCommand::about(of, "RequestEmailConfirmation");
    command.carry_out(gateway, gateway.clock.new_id()).await?;
    Ok(())
}

/// Confirms an address by the link of an email, for the form and for the interface.
pub(crate) async fn confirm_email(gateway: &SharedGateway, token: &str) -> Result<(), ApiProblem> {
    let mut attempts = 0;
    loop {
        let EmailConfirmation { of, version } = gateway.people.read_confirmation(token).await?;
        let command = ServerCommand {
            // The address that the token names may not be changed in between.
            expected_version: ExpectedVersion::Exact(version),
            ..ServerCommand::about(of, "ConfirmEmail")
        };
        attempts += 1;
        match command.carry_out(gateway, gateway.clock.new_id()).await {
            Ok(_) => return Ok(()),
            Err(CommandFailure::Conflict { .. }) if attempts < CONFIRMATION_ATTEMPTS => {}
            Err(failure) => return Err(failure.into()),
        }
    }
}

/// A command of the server itself about an account.
struct ServerCommand {
    of: PersonId,
    command_type: &'static str,
    data: Value,
    expected_version: ExpectedVersion,
}

impl ServerCommand {
    fn about(of: PersonId, command_type: &'static str) -> Self {
        Self {
            of,
            command_type,
            data: json!({}),
            expected_version: ExpectedVersion::Any,
        }
    }

    async fn carry_out(self, gateway: &SharedGateway, id: Uuid) -> Result<CommandAnswer, CommandFailure> {
        let request = CommandRequest {
            command_type: self.command_type.to_owned(),
            stream: format!("user-{}", self.of.person),
            data: self.data,
            expected_version: self.expected_version,
            correlation_id: None,
        };
        let intent = Intent::of_server(self.of.workspace, &request, id, &*gateway.clock)?;
        gateway.commands.carry_out(intent).await
    }
}

impl From<LinkError> for ApiProblem {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Invalid => Self::field("token", error.to_string()),
            LinkError::Weak(fault) => Self::field("password", fault.to_string()),
            LinkError::LookUp(error) => error.into(),
        }
    }
}
