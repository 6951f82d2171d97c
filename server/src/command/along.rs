//! What goes along with a decision: the reservations of emails, each a stream of its own that the same append moves, and
//! what is kept of people outside the log.
//!
//! Before the append everything is noted that must not be lost by a crash behind it, and it counts only if the log says so:
//! a password's hash under the command that registers its person, and that a person is being erased. A crash in between
//! leaves a note, and never an account without its password or a key that outlives its person.

use std::sync::Arc;

use domain::{
    aggregate::{
        Command,
        email::{Email, EmailEvent, EmailState},
        user::{ChangeEmail, EraseUser, RegisterUser, UserCommand, wrong_password},
    },
    decider::{Context, Decider},
    event::{DomainEvent, EventPayload as _},
    id::{StreamName, WorkspaceId},
    rejection::Rejection,
    wire::CommandAnswer,
};

use super::{
    CommandFailure, CommandService,
    aggregates::{Aggregates, Freshness, Loaded},
    intent::Intent,
};
use event_store::{Expected, NewEvent, StoreError, StreamAppend};
use identity::{LookUpError, PeopleError, PersonId};

/// A reservation that changes along with a decision.
pub(super) struct Along {
    stream: StreamName,
    loaded: Arc<Loaded<EmailState>>,
    events: Vec<EmailEvent>,
}

impl Along {
    /// Its part of the append, at the version that was decided on.
    pub(super) fn append(
        &self,
        new_event: impl Fn(&DomainEvent) -> Result<NewEvent, StoreError>,
    ) -> Result<StreamAppend, StoreError> {
        Ok(StreamAppend {
            stream: self.stream.clone(),
            expected: Expected::Exact(self.loaded.version),
            events: self
                .events
                .iter()
                .map(|event| new_event(&event.clone().into_domain()))
                .collect::<Result<_, _>>()?,
        })
    }

    /// It was appended.
    pub(super) async fn advance(&self, aggregates: &Aggregates, workspace: WorkspaceId) {
        let events: Vec<_> = self.events.iter().collect();
        aggregates
            .advance::<Email>(workspace, &self.stream, &self.loaded, &events)
            .await;
    }
}

impl CommandService {
    /// What becomes of emails with these events; a rejection where one of them is somebody else's.
    pub(super) async fn along<D: Decider>(
        &self,
        intent: &Intent,
        state: &D::State,
        events: &[D::Event],
        context: &Context,
        freshness: Freshness,
    ) -> Result<Result<Vec<Along>, Rejection>, CommandFailure> {
        let mut along: Vec<Along> = Vec::new();
        for (email, command) in D::emails(state, events, context) {
            let people = self.people.as_ref().ok_or_else(nobody)?;
            // An email that cannot be read any more has no stream that could be found.
            let Some(stream) = people.reservation(intent.workspace, &email).await? else {
                continue;
            };
            let index = if let Some(index) = along.iter().position(|known| known.stream == stream) {
                index
            } else {
                let loaded = self
                    .aggregates
                    .load_foreign::<Email>(intent.workspace, &stream, freshness)
                    .await?;
                along.push(Along {
                    stream,
                    loaded,
                    events: Vec::new(),
                });
                along.len() - 1
            };
            let reservation = &mut along[index];
            let state = reservation
                .events
                .iter()
                .fold(reservation.loaded.state.clone(), Email::evolve);
            match Email::decide(&state, command, context) {
                Ok(events) => reservation.events.extend(events),
                Err(rejection) => return Ok(Err(rejection)),
            }
        }
        along.retain(|reservation| !reservation.events.is_empty());
        Ok(Ok(along))
    }

    /// Refuses what takes an account over or away, where the password that comes with it is not the account's. That there
    /// is one at all is a rule of the user's; a person without an account has none.
    pub(super) async fn must_know_password(&self, intent: &Intent) -> Result<(), CommandFailure> {
        let (
            Some((
                of,
                UserCommand::ChangeEmail(ChangeEmail { password, .. })
                | UserCommand::EraseUser(EraseUser { password }),
            )),
            Some(people),
        ) = (users_command(intent), &self.people)
        else {
            return Ok(());
        };
        let Some(password) = password.as_ref().filter(|_| intent.actor.id == of.person) else {
            return Ok(());
        };
        match people.is_password_of(of, password).await {
            Ok(Some(false)) => Err(wrong_password().into()),
            Ok(Some(true) | None) => Ok(()),
            Err(LookUpError::People(error)) => Err(error.into()),
            Err(LookUpError::Store(error)) => Err(error.into()),
        }
    }

    /// Before a user's command is appended.
    pub(super) async fn people_before(&self, intent: &Intent) -> Result<(), CommandFailure> {
        let Some((of, command)) = users_command(intent) else {
            return Ok(());
        };
        let people = self.people.as_ref().ok_or_else(nobody)?;
        match command {
            UserCommand::RegisterUser(RegisterUser { email, password, .. }) => {
                // An educator who registers another person does not lend them a session.
                let own = intent.token.as_ref().filter(|_| intent.actor.id == of.person);
                people
                    .registering(of, intent.command_id, email, password.as_ref(), own)
                    .await?;
            }
            UserCommand::ChangeEmail(ChangeEmail { email, .. }) => people.changing_email(of, email).await?,
            UserCommand::EraseUser(_) => people.erasing(of).await?,
            UserCommand::ChangeDisplayName(_) => {}
        }
        Ok(())
    }

    /// After a user's command was appended or refused. What fails here is finished by [`People::run`](identity::People::run).
    pub(super) async fn people_after(&self, intent: &Intent, answer: &Result<CommandAnswer, CommandFailure>) {
        let (Some((of, command)), Some(people)) = (users_command(intent), &self.people) else {
            return;
        };
        // Where it is not known whether it was stored, nothing is taken back.
        let is_refused = matches!(
            answer,
            Err(CommandFailure::Rejected(_)
                | CommandFailure::Conflict { .. }
                | CommandFailure::Full { .. }
                | CommandFailure::UnknownWorkspace(_))
        );
        match command {
            UserCommand::RegisterUser(_) if answer.is_ok() => people.registered(of).await,
            UserCommand::RegisterUser(_) if is_refused => people.not_registered(of, intent.command_id).await,
            UserCommand::EraseUser(_) if is_refused => people.not_erased(of).await,
            UserCommand::EraseUser(_) if answer.is_ok() => {
                if let Err(error) = people.erased(of).await {
                    tracing::warn!(%error, "a person is erased in the log, and their key not yet destroyed");
                }
            }
            _ => {}
        }
    }
}

fn users_command(intent: &Intent) -> Option<(PersonId, &UserCommand)> {
    let Command::User(command) = &intent.command else {
        return None;
    };
    let of = PersonId {
        workspace: intent.workspace,
        person: intent.stream.id().parse().ok()?,
    };
    Some((of, command))
}

fn nobody() -> PeopleError {
    PeopleError::Unavailable("this command service keeps nothing of people".to_owned())
}
