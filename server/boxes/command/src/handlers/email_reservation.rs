//! The reservations of emails: each is a stream of its own, decided with the user's events that it follows from and
//! appended with them, or everything is refused.

use domain::{
    aggregate::{
        email::{Email, EmailCommand, ReleaseEmail, ReserveEmail},
        user::{EmailChanged, UserEvent, UserRegistered, UserState},
    },
    decider::{Context, Decider as _},
    id::WorkspaceId,
};
use uuid::Uuid;

use crate::{
    aggregates::Freshness,
    repository::{Repository, StreamDecision},
    retry::Setback,
};

/// What was decided on the stream of an email, to be appended with the user's events.
pub(super) type ReservationAppend = StreamDecision<Email>;

/// What becomes of reservations with these events of a user in this state; refused where an email is another user's.
pub(super) async fn decide(
    repository: &Repository,
    workspace: WorkspaceId,
    state: &UserState,
    events: &[UserEvent],
    context: &Context,
    freshness: Freshness,
) -> Result<Vec<ReservationAppend>, Setback> {
    let Ok(user) = context.stream.id().parse() else {
        return Ok(Vec::new());
    };
    let mut reservations: Vec<ReservationAppend> = Vec::new();
    for (email, command) in commands(user, state, events) {
        let people = repository.people()?;
        // An email that cannot be read any more has no stream that could be found.
        let Some(stream) = people.reservation(workspace, &email).await? else {
            continue;
        };
        let index = if let Some(index) = reservations.iter().position(|known| known.stream == stream) {
            index
        } else {
            let loaded = repository
                .aggregates
                .load_foreign::<Email>(workspace, &stream, freshness)
                .await?;
            reservations.push(ReservationAppend {
                stream,
                loaded,
                events: Vec::new(),
            });
            reservations.len() - 1
        };
        let reservation = &mut reservations[index];
        let state = reservation
            .events
            .iter()
            .fold(reservation.loaded.state.clone(), Email::evolve);
        reservation
            .events
            .extend(Email::decide(&state, command, context)?);
    }
    reservations.retain(|reservation| !reservation.events.is_empty());
    Ok(reservations)
}

/// What a user's events make of reservations: the commands, each with its email.
fn commands(user: Uuid, state: &UserState, events: &[UserEvent]) -> Vec<(String, EmailCommand)> {
    let held = state.account.as_ref().map(|account| account.email.clone());
    let release = move || held.map(|email| (email, ReleaseEmail { user }.into()));
    let reserve = |email: &String| (email.clone(), ReserveEmail { user }.into());
    match events {
        [UserEvent::UserRegistered(UserRegistered { email, .. })] => vec![reserve(email)],
        // Given back first: it may be the same one, spelled in another way.
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
    };

    use super::*;

    #[test]
    fn an_email_is_reserved_and_given_back_with_what_happens_to_its_user() {
        let user = Uuid::from_u128(1);
        let before = UserState::default();
        let (old, new) = ("ada@example.org".to_owned(), "countess@example.org".to_owned());
        let registered: UserEvent = UserRegistered {
            email: old.clone(),
            display_name: "Ada".to_owned(),
            role: Role::Customer,
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
        // a person without an account holds no email
        assert_eq!(commands(user, &before, &[UserErased {}.into()]), []);
    }
}
