//! Leases, pauses, and commands that are not sent a second time.

use documents::FIRST_GENERATION;
use domain::policy::Timer;

use super::*;

const A: u128 = 1;
const B: u128 = 2;

struct Fixture {
    queues: Arc<CommandQueues>,
    work: Arc<WorkSet>,
    sender: Arc<Notify>,
}

impl Fixture {
    fn new() -> Self {
        let work = Arc::new(WorkSet::default());
        Self {
            queues: Arc::new(CommandQueues::new(work.clone())),
            work,
            sender: Arc::default(),
        }
    }

    /// Leases from the document of a lane, or from one that was read after this many records.
    fn take(&self, document: &Process, as_of: Option<u64>) -> Vec<CommandLease> {
        self.queues
            .take(&scope(), &"process".into(), document, as_of, &self.sender)
    }

    /// Whether the process is to be looked at again: now, later.
    fn looks_again(&self) -> (bool, bool) {
        (
            !self.work.take().values().all(|work| work.processes.is_empty()),
            self.work.next_retry_at(&scope()).is_some(),
        )
    }
}

fn scope() -> Scope {
    Scope {
        workspace: WorkspaceId(Uuid::from_u128(1)),
        view: "policy",
        generation: FIRST_GENERATION,
    }
}

fn process(pending: &[(u128, &str)]) -> Process {
    let command = |(id, stream): &(u128, &str)| PendingCommand {
        command_id: Uuid::from_u128(*id),
        command_type: "ReceiveStock".to_owned(),
        stream: (*stream).to_owned(),
        data: serde_json::Value::Null,
        causation_id: Uuid::nil(),
        correlation_id: Uuid::nil(),
    };
    Process {
        pending: pending.iter().map(command).collect(),
        ..Process::default()
    }
}

fn ids(leases: &[CommandLease]) -> Vec<Vec<u128>> {
    let ids = |lease: &CommandLease| lease.commands.iter().map(|it| it.command_id.as_u128()).collect();
    leases.iter().map(ids).collect()
}

fn release(leases: Vec<CommandLease>) {
    for lease in leases {
        lease.release(&[]);
    }
}

#[test]
fn commands_of_different_streams_are_leased_apart_and_each_once() {
    let fixture = Fixture::new();
    let document = process(&[(A, "cup"), (B, "mug"), (3, "cup"), (A, "cup")]);
    let leases = fixture.take(&document, None);
    assert_eq!(ids(&leases), [vec![A, 3], vec![B]]);
    assert_eq!(ids(&fixture.take(&document, None)), Vec::<Vec<u128>>::new());
    release(leases);
    assert_eq!(fixture.looks_again(), (false, false));
}

#[test]
fn commands_that_were_added_to_a_leased_queue_are_looked_at_after_it() {
    let fixture = Fixture::new();
    let mut leases = fixture.take(&process(&[(A, "cup")]), None);
    assert!(fixture.take(&process(&[(A, "cup"), (B, "cup")]), None).is_empty());
    assert_eq!(fixture.looks_again(), (false, false));
    leases.pop().unwrap().release(&[]);
    assert_eq!(fixture.looks_again(), (true, false));
}

#[test]
fn an_unanswered_command_holds_up_its_own_queue_until_its_pause_ends() {
    let fixture = Fixture::new();
    let document = process(&[(A, "cup"), (B, "cup"), (3, "mug")]);
    let mut leases = fixture.take(&document, None);
    leases.pop().unwrap().release(&[]);
    leases.pop().unwrap().release(&[Uuid::from_u128(A)]);
    assert_eq!(fixture.looks_again(), (false, true));
    assert_eq!(ids(&fixture.take(&document, None)), [vec![3]]);
    fixture.queues.retry_now();
    assert_eq!(ids(&fixture.take(&document, None)), [vec![A, B], vec![3]]);
}

#[test]
fn a_lease_that_is_dropped_in_the_middle_is_looked_at_later() {
    let fixture = Fixture::new();
    drop(fixture.take(&process(&[(A, "cup")]), None));
    assert_eq!(fixture.looks_again(), (false, true));
}

#[test]
fn a_recorded_command_is_not_sent_again_from_an_older_document() {
    let fixture = Fixture::new();
    let document = process(&[(A, "cup"), (B, "cup")]);
    let before = fixture.queues.recorded();
    let command = std::iter::once(Uuid::from_u128(A));
    fixture.queues.record(&scope(), &"process".into(), command);
    for as_of in [None, Some(before)] {
        let leases = fixture.take(&document, as_of);
        assert_eq!(ids(&leases), [vec![B]]);
        release(leases);
    }
    let current = fixture.take(&document, Some(fixture.queues.recorded()));
    assert_eq!(ids(&current), [vec![A, B]], "a newer document has it again");
}

#[tokio::test]
async fn a_lanes_commit_shows_that_a_leased_command_was_carried_out() {
    let fixture = Fixture::new();
    let document = process(&[(A, "cup")]);
    let leases = fixture.take(&document, None);
    let are_carried_out = |lease: &CommandLease| lease.are_carried_out([Uuid::from_u128(A)].into_iter());
    assert!(!are_carried_out(&leases[0]));
    for other in [("another", A), ("process", B)] {
        let command = Uuid::from_u128(other.1);
        fixture.queues.carried_out(&scope(), &other.0.into(), command);
    }
    assert!(!are_carried_out(&leases[0]));
    let command = Uuid::from_u128(A);
    fixture.queues.carried_out(&scope(), &"process".into(), command);
    assert!(are_carried_out(&leases[0]));
    fixture.sender.notified().await;
    release(leases);
    assert!(fixture.take(&document, None).is_empty());
}

#[test]
fn a_lease_knows_which_commands_start_a_deadline() {
    let mut document = process(&[(A, "cup"), (B, "mug")]);
    document.timers.push(Timer {
        name: "deadline".to_owned(),
        begun_at: domain::timestamp::Timestamp::default(),
        after_ms: 1,
        due_at: None,
        waits_for: Some(Uuid::from_u128(B)),
        causation_id: Uuid::nil(),
        correlation_id: Uuid::nil(),
    });
    let fixture = Fixture::new();
    let leases = fixture.take(&document, None);
    let starts = [(0, A), (1, B)].map(|(n, id): (usize, _)| leases[n].starts_deadline(Uuid::from_u128(id)));
    assert_eq!(starts, [false, true]);
}

#[test]
fn a_process_is_forgotten_when_nothing_of_it_is_sent_or_waits() {
    let fixture = Fixture::new();
    let document = process(&[(A, "cup")]);
    let lease = fixture.take(&document, Some(0)).pop().unwrap();
    lease.release(&[Uuid::from_u128(A)]);
    assert_eq!(fixture.queues.lock().processes.len(), 1);
    // Another server has sent the command.
    assert!(fixture.take(&process(&[]), Some(0)).is_empty());
    assert_eq!(fixture.queues.lock().processes.len(), 0);
}
