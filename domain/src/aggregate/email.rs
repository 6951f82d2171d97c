//! `email-<keyed hash>`: the reservation of an email address by a user of a workspace. Two concurrent
//! registrations go to two user streams, which cannot exclude each other; the stream of the address can,
//! because the same append checks its version.
//!
//! No client sends these commands: the command service decides them together with the user's command. The
//! address itself is not stored here; the command service derives the stream's name from it with a secret.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    command_types,
    decider::{Context, Decider},
    event_types,
    rejection::{Rejection, Violation},
};

/// Reserves the address for a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReserveEmail {
    /// The user who reserves it.
    pub user: Uuid,
}

/// Releases the address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReleaseEmail {
    /// The user who held it.
    pub user: Uuid,
}

command_types! {
    /// The commands of an email reservation.
    pub enum EmailCommand { ReserveEmail, ReleaseEmail }
}

/// A user has reserved the address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EmailReserved {
    /// The user.
    pub user: Uuid,
}

/// The address is free again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EmailReleased {
    /// The user who held it.
    pub user: Uuid,
}

event_types! {
    /// The events of an email reservation.
    pub enum EmailEvent {
        EmailReserved: 1,
        EmailReleased: 1,
    }
}

/// The holder of the address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EmailState {
    /// `None` if the address is free.
    pub holder: Option<Uuid>,
}

/// The aggregate of an address.
#[derive(Debug)]
pub struct Email;

impl Decider for Email {
    const CATEGORY: &'static str = "email";
    const SNAPSHOT_VERSION: u32 = 1;
    type State = EmailState;
    type Command = EmailCommand;
    type Event = EmailEvent;
    type Evidence = ();

    fn decide(
        state: &EmailState,
        command: EmailCommand,
        _context: &Context,
    ) -> Result<Vec<EmailEvent>, Rejection> {
        match command {
            EmailCommand::ReserveEmail(ReserveEmail { user }) => match state.holder {
                None => Ok(vec![EmailReserved { user }.into()]),
                Some(holder) if holder == user => Ok(Vec::new()),
                Some(_) => Err(email_taken()),
            },
            // A user who does not hold the address has nothing to release.
            EmailCommand::ReleaseEmail(ReleaseEmail { user }) => Ok(state
                .holder
                .filter(|holder| *holder == user)
                .map(|user| EmailReleased { user }.into())
                .into_iter()
                .collect()),
        }
    }

    fn evolve(_state: EmailState, event: &EmailEvent) -> EmailState {
        EmailState {
            holder: match event {
                EmailEvent::EmailReserved(EmailReserved { user }) => Some(*user),
                EmailEvent::EmailReleased(_) => None,
            },
        }
    }
}

/// The rejection, which names the email field of the user's command.
fn email_taken() -> Rejection {
    let violation = Violation {
        field: "data.email".to_owned(),
        message: "already belongs to another account in this workspace".to_owned(),
    };
    Rejection {
        rule: "email-taken".to_owned(),
        ..Rejection::invalid(vec![violation])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::Role,
        decider::testing::{actor, context, decide},
    };

    const ADA: Uuid = Uuid::from_u128(1);
    const BOB: Uuid = Uuid::from_u128(2);

    fn when(given: &[EmailEvent], command: impl Into<EmailCommand>) -> Result<Vec<EmailEvent>, Rejection> {
        decide::<Email>(
            given,
            command.into(),
            &context("email-1", actor(Role::Customer, 1)),
        )
    }

    #[test]
    fn a_free_address_is_reserved_and_a_reserved_one_is_refused_to_others() {
        let reserved: EmailEvent = EmailReserved { user: ADA }.into();
        assert_eq!(
            when(&[], ReserveEmail { user: ADA }).unwrap(),
            std::slice::from_ref(&reserved)
        );
        assert_eq!(
            when(std::slice::from_ref(&reserved), ReserveEmail { user: ADA }).unwrap(),
            []
        );
        let refused = when(&[reserved], ReserveEmail { user: BOB }).unwrap_err();
        assert_eq!(refused.rule, "email-taken");
        assert_eq!(refused.violations[0].field, "data.email");
    }

    #[test]
    fn only_its_holder_releases_an_address_and_then_it_is_free() {
        let reserved: EmailEvent = EmailReserved { user: ADA }.into();
        let released: EmailEvent = EmailReleased { user: ADA }.into();
        assert_eq!(
            when(std::slice::from_ref(&reserved), ReleaseEmail { user: BOB }).unwrap(),
            []
        );
        assert_eq!(
            when(std::slice::from_ref(&reserved), ReleaseEmail { user: ADA }).unwrap(),
            std::slice::from_ref(&released)
        );
        assert_eq!(
            when(&[reserved, released], ReserveEmail { user: BOB }).unwrap(),
            [EmailReserved { user: BOB }.into()]
        );
    }
}
