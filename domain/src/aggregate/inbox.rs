//! `inbox-<user id>`: the notifications that a person has read, and whether they receive emails.
//!
//! The notifications themselves are the view `notifications`, which follows from the orders' events without a
//! decision. So an inbox has only the marks. Which notifications the owner has is loaded before the decision:
//! an id that names none of them is not marked, or ids that a client makes up would become documents.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    command_types,
    decider::{Context, Decider},
    event_types,
    rejection::{Rejection, Violations},
};

/// The maximum number of notifications that one command can mark.
pub const MAX_READ: usize = 200;

/// The maximum number of marks in the state, the newest ones, so that a mark is not set twice.
const MAX_MARKS: usize = 1_000;

/// Marks notifications as read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReadNotifications {
    /// The events of the notifications; 1 to [`MAX_READ`]. An event without a notification for the owner is
    /// left out, and if all are, the command is refused.
    pub events: Vec<Uuid>,
}

/// Unsubscribes from emails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StopMails {}

/// Subscribes to emails again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResumeMails {}

command_types! {
    /// The commands of an inbox.
    pub enum InboxCommand { ReadNotifications, StopMails, ResumeMails }
}

/// Notifications were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotificationsRead {
    /// The events of the notifications.
    pub events: Vec<Uuid>,
}

/// The person has unsubscribed from emails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MailsStopped {}

/// The person has subscribed to emails again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MailsResumed {}

event_types! {
    /// The events of an inbox.
    pub enum InboxEvent {
        NotificationsRead: 1,
        MailsStopped: 1,
        MailsResumed: 1,
    }
}

/// The state for decisions about an inbox.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InboxState {
    /// The newest read marks, by event.
    pub read: BTreeSet<Uuid>,
    /// Whether the person has unsubscribed from emails.
    pub mails_stopped: bool,
}

/// Those of a command's events that are notifications of the inbox's owner. Empty for a command that names
/// none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnNotifications(pub BTreeSet<Uuid>);

/// The inbox aggregate.
#[derive(Debug)]
pub struct Inbox;

impl Decider for Inbox {
    const CATEGORY: &'static str = "inbox";
    const SNAPSHOT_VERSION: u32 = 1;
    type State = InboxState;
    type Command = InboxCommand;
    type Event = InboxEvent;
    type Evidence = OwnNotifications;

    fn decide(
        state: &InboxState,
        command: InboxCommand,
        context: &Context<OwnNotifications>,
    ) -> Result<Vec<InboxEvent>, Rejection> {
        // An unsubscribe link works without a session; the server has verified its owner.
        if context.stream.id() != context.actor.id.to_string() {
            return Err(Rejection::new("not-your-inbox", "an inbox is its owner's alone"));
        }
        Ok(match command {
            InboxCommand::ReadNotifications(ReadNotifications { events }) => {
                let mut violations = Violations::default();
                violations.require(
                    (1..=MAX_READ).contains(&events.len()),
                    "data.events",
                    format!("names 1 to {MAX_READ} notifications"),
                );
                violations.finish()?;
                let is_own = |event: &Uuid| state.read.contains(event) || context.evidence.0.contains(event);
                let mut violations = Violations::default();
                violations.require(
                    events.iter().any(is_own),
                    "data.events",
                    "names notifications of yours, and none of these is one",
                );
                violations.finish()?;
                let mut new = BTreeSet::new();
                let events: Vec<_> = events
                    .into_iter()
                    .filter(|event| is_own(event) && !state.read.contains(event) && new.insert(*event))
                    .collect();
                if events.is_empty() {
                    return Ok(Vec::new());
                }
                vec![NotificationsRead { events }.into()]
            }
            InboxCommand::StopMails(_) if state.mails_stopped => Vec::new(),
            InboxCommand::StopMails(_) => vec![MailsStopped {}.into()],
            InboxCommand::ResumeMails(_) if state.mails_stopped => vec![MailsResumed {}.into()],
            InboxCommand::ResumeMails(_) => Vec::new(),
        })
    }

    fn evolve(mut state: InboxState, event: &InboxEvent) -> InboxState {
        match event {
            InboxEvent::NotificationsRead(read) => {
                state.read.extend(&read.events);
                // Event ids begin with their time, so the first are the oldest.
                while state.read.len() > MAX_MARKS {
                    state.read.pop_first();
                }
            }
            InboxEvent::MailsStopped(_) => state.mails_stopped = true,
            InboxEvent::MailsResumed(_) => state.mails_stopped = false,
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::Role,
        decider::testing::{actor, context},
    };

    /// The notifications that the owner has in these tests, by number.
    const NOTIFIED: std::ops::Range<u128> = 1..100;

    fn given(events: &[InboxEvent]) -> InboxState {
        events.iter().fold(InboxState::default(), Inbox::evolve)
    }

    fn when(
        events: &[InboxEvent],
        owner: u128,
        command: impl Into<InboxCommand>,
    ) -> Result<Vec<InboxEvent>, Rejection> {
        let stream = format!("inbox-{}", Uuid::from_u128(owner));
        let own = OwnNotifications(NOTIFIED.map(Uuid::from_u128).collect());
        let context = context(&stream, actor(Role::Customer, 1)).with_evidence(own);
        Inbox::decide(&given(events), command.into(), &context)
    }

    fn read(events: &[u128]) -> ReadNotifications {
        ReadNotifications {
            events: events.iter().copied().map(Uuid::from_u128).collect(),
        }
    }

    fn were_read(events: &[u128]) -> InboxEvent {
        NotificationsRead {
            events: read(events).events,
        }
        .into()
    }

    #[test]
    fn a_notification_is_marked_as_read_once() {
        assert_eq!(when(&[], 1, read(&[7, 8, 7])), Ok(vec![were_read(&[7, 8])]));
        assert_eq!(
            when(&[were_read(&[7])], 1, read(&[7, 9])),
            Ok(vec![were_read(&[9])])
        );
        assert_eq!(when(&[were_read(&[7])], 1, read(&[7])), Ok(vec![]));
    }

    #[test]
    fn an_id_without_a_notification_is_left_out() {
        assert_eq!(when(&[], 1, read(&[500, 7, 501])), Ok(vec![were_read(&[7])]));
        assert_eq!(when(&[were_read(&[7])], 1, read(&[7, 500])), Ok(vec![]));
    }

    #[test]
    fn ids_without_any_notification_are_refused_by_their_field() {
        for made_up in [vec![500], (500..700).collect::<Vec<u128>>()] {
            let refused = when(&[were_read(&[7])], 1, read(&made_up)).unwrap_err();
            assert_eq!(refused.violations[0].field, "data.events");
        }
    }

    #[test]
    fn a_mark_of_before_counts_as_a_notification() {
        // An inbox may have marks of a time when any id was marked.
        assert_eq!(when(&[were_read(&[500])], 1, read(&[500])), Ok(vec![]));
    }

    #[test]
    fn only_its_owner_uses_an_inbox() {
        assert_eq!(when(&[], 2, read(&[7])).unwrap_err().rule, "not-your-inbox");
        assert_eq!(when(&[], 2, StopMails {}).unwrap_err().rule, "not-your-inbox");
    }

    #[test]
    fn a_command_marks_at_least_one_notification_and_at_most_the_maximum() {
        assert_eq!(
            when(&[], 1, read(&[])).unwrap_err().violations[0].field,
            "data.events"
        );
        let many: Vec<u128> = (0..=MAX_READ as u128).collect();
        assert_eq!(
            when(&[], 1, read(&many)).unwrap_err().violations[0].field,
            "data.events"
        );
    }

    #[test]
    fn mails_are_stopped_and_resumed_once() {
        let stopped = InboxEvent::from(MailsStopped {});
        assert_eq!(when(&[], 1, StopMails {}), Ok(vec![stopped.clone()]));
        assert_eq!(when(std::slice::from_ref(&stopped), 1, StopMails {}), Ok(vec![]));
        assert_eq!(
            when(&[stopped], 1, ResumeMails {}),
            Ok(vec![MailsResumed {}.into()])
        );
        assert_eq!(when(&[], 1, ResumeMails {}), Ok(vec![]));
    }

    #[test]
    fn an_inbox_does_not_grow_for_ever() {
        let marks: Vec<u128> = (0..2 * MAX_MARKS as u128).collect();
        let state = given(&[were_read(&marks)]);
        assert_eq!(state.read.len(), MAX_MARKS);
        assert_eq!(state.read.first().map(Uuid::as_u128), Some(MAX_MARKS as u128));
    }
}
