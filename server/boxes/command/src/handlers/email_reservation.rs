//! The reservations of emails. Each is a separate stream; its events follow from the user's events and are
//! appended with them, all or nothing.

use domain::{
    aggregate::{
        email::{Email, EmailCommand, ReleaseEmail, ReserveEmail},
        user::{EmailChanged, UserEvent, UserRegistered, UserState},
    },
    decider::{Context, Decider as _},
    id::{StreamName, WorkspaceId},
};
use uuid::Uuid;

use crate::{
    aggregate_loader::Freshness,
    repository::{Repository, StreamDecision},
    retry::AttemptError,
};

/// The decision on the stream of an email, appended with the user's events.
pub(super) type ReservationAppend = StreamDecision<Email>;

/// Decides the reservations that follow from a user's events in this state; refused if an email is another
/// user's.
pub(super) async fn decide(
    repository: &Repository,
    workspace: WorkspaceId,
    state: &UserState,
    events: &[UserEvent],
    context: &Context,
    freshness: Freshness,
) -> Result<Vec<ReservationAppend>, AttemptError> {
    let Ok(user) = context.stream.id().parse() else {
        return Ok(Vec::new());
    };
    let mut reservations: Vec<ReservationAppend> = Vec::new();
    for (email, command) in commands(user, state, events) {
        let people = repository.people()?;
        // The stream of an email that cannot be opened any more cannot be found.
        let Some(stream) = people.reservation(workspace, &email).await? else {
            continue;
        };
        let former = people.former_reservations(workspace, &email).await?;
        let former = former.into_iter().map(|stream| (stream, true));
        for (stream, is_former) in std::iter::once((stream, false)).chain(former) {
            let reservation =
                stream_decision(&mut reservations, repository, workspace, stream, freshness).await?;
            let state = reservation
                .events
                .iter()
                .fold(reservation.loaded.state.clone(), Email::evolve);
            let events = Email::decide(&state, command.clone(), context)?;
            // Another user's reservation of the same mailbox is refused; a new one has the normal form.
            if !(is_former && matches!(command, EmailCommand::ReserveEmail(_))) {
                reservation.events.extend(events);
            }
        }
    }
    reservations.retain(|reservation| !reservation.events.is_empty());
    Ok(reservations)
}

/// The decision on a stream, which is loaded unless there is one already.
async fn stream_decision<'a>(
    reservations: &'a mut Vec<ReservationAppend>,
    repository: &Repository,
    workspace: WorkspaceId,
    stream: StreamName,
    freshness: Freshness,
) -> Result<&'a mut ReservationAppend, AttemptError> {
    let known = reservations
        .iter()
        .position(|reservation| reservation.stream == stream);
    let index = if let Some(index) = known {
        index
    } else {
        let loaded = repository
            .loader
            .load_foreign::<Email>(workspace, &stream, freshness)
            .await?;
        reservations.push(ReservationAppend {
            stream,
            loaded,
            events: Vec::new(),
        });
        reservations.len() - 1
    };
    Ok(&mut reservations[index])
}

/// The reservation commands that follow from a user's events, each with its email.
fn commands(user: Uuid, state: &UserState, events: &[UserEvent]) -> Vec<(String, EmailCommand)> {
    let current = state.account.as_ref().map(|account| account.email.clone());
    let release = move || current.map(|email| (email, ReleaseEmail { user }.into()));
    let reserve = |email: &String| (email.clone(), ReserveEmail { user }.into());
    match events {
        [UserEvent::UserRegistered(UserRegistered { email, .. })] => vec![reserve(email)],
        // Released first: the new one may be the same in another spelling.
        [UserEvent::EmailChanged(EmailChanged { email })] => {
            release().into_iter().chain([reserve(email)]).collect()
        }
        [UserEvent::UserErased(_)] => release().into_iter().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        access::Role,
        aggregate::user::{User, UserErased},
        language::Language,
    };

    use super::*;

    #[test]
    fn an_email_is_reserved_and_released_with_the_events_of_its_user() {
        let user = Uuid::from_u128(1);
        let before = UserState::default();
        let (old, new) = ("ada@example.org".to_owned(), "countess@example.org".to_owned());
        let registered: UserEvent = UserRegistered {
            email: old.clone(),
            display_name: "Ada".to_owned(),
            role: Role::Customer,
            language: Language::En,
        }
        .into();
        let reserve: EmailCommand = ReserveEmail { user }.into();
        let release: EmailCommand = ReleaseEmail { user }.into();
        assert_eq!(
            commands(user, &before, std::slice::from_ref(&registered)),
            [(old.clone(), reserve.clone())]
        );
        let state = User::evolve(before.clone(), &registered);
        let changed = EmailChanged { email: new.clone() }.into();
        assert_eq!(
            commands(user, &state, &[changed]),
            [(old.clone(), release.clone()), (new, reserve)]
        );
        assert_eq!(commands(user, &state, &[UserErased {}.into()]), [(old, release)]);
        // a person without an account has no email
        assert_eq!(commands(user, &before, &[UserErased {}.into()]), []);
    }
}
