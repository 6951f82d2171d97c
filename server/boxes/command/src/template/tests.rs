//! A prepared template on a real store: the same events as its commands, sent one by one, would have had.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use domain::{
    access::{Actor, Role},
    aggregate::{
        email::{EmailEvent, EmailReserved},
        payment::{ProviderAnswer, ProviderRequest},
    },
    event::{DomainEvent, GENESIS_HASH, StoredEvent, personal},
    id::WorkspaceId,
    policy::{AnyPolicy as _, ErasedPolicy, Now, Process, SendOutcome, fulfilment::Fulfilment},
    view::AnyView as _,
    wire::CommandAnswer,
};
use serde_json::{json, value::RawValue};
use tempfile::TempDir;
use uuid::Uuid;

use super::prepared::event_ids;
use super::*;
use crate::{CommandService, Intent, Workspaces};
use clock::{Clock as _, SharedClock, SystemClock};
use event_store::{Direction, EventStore, SqliteEventStore};
use identity::{People, SqlitePeople, passwords::HashCost};
use payment::{PaymentProvider, ProviderError, test_mode::sample_answer};

const FULFILMENT: ErasedPolicy<Fulfilment> = ErasedPolicy::new();

/// A provider that answers every order like a sample.
#[derive(Debug)]
struct Samples;

#[async_trait]
impl PaymentProvider for Samples {
    async fn ask(
        &self,
        _: WorkspaceId,
        key: &str,
        request: &ProviderRequest,
    ) -> Result<ProviderAnswer, ProviderError> {
        let (_, order) = key.split_once('/').unwrap();
        Ok(sample_answer(order, request).unwrap())
    }
}

struct Sandboxes {
    store: Arc<dyn EventStore>,
    people: Arc<People>,
    commands: Arc<CommandService>,
    workspaces: Workspaces,
    _folder: TempDir,
}

impl Sandboxes {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let clock: SharedClock = Arc::new(SystemClock);
        let events = folder.path().join("events.db");
        let store: Arc<dyn EventStore> = Arc::new(
            SqliteEventStore::open(&events, Arc::clone(&clock), None)
                .await
                .unwrap(),
        );
        let keys = SqlitePeople::open(&folder.path().join("people.db"))
            .await
            .unwrap();
        let people = People::new(
            Arc::new(keys),
            Arc::clone(&store),
            folder.path(),
            HashCost::Least,
            Arc::clone(&clock),
        );
        let people = Arc::new(people.unwrap());
        let commands = CommandService::new(Arc::clone(&store), Arc::clone(&clock));
        let commands = Arc::new(
            commands
                .with_people(Arc::clone(&people))
                .with_payments(Arc::new(Samples)),
        );
        Self {
            workspaces: Workspaces::new(Arc::clone(&store), Arc::clone(&commands), clock),
            store,
            people,
            commands,
            _folder: folder,
        }
    }

    async fn open(&self, template: &str, shards: u32, language: Language) -> WorkspaceId {
        let request = json!({"template": template, "shards": shards, "language": language});
        let request = serde_json::from_value(request).unwrap();
        self.workspaces.open(&request, None).await.unwrap().workspace.id
    }

    async fn partition(&self, workspace: WorkspaceId, partition: u32) -> Vec<StoredEvent> {
        self.store
            .read_partition(workspace, partition, 0, 1_000)
            .await
            .unwrap()
    }

    /// The events of each stream of a workspace with one partition, with opened personal data.
    async fn content(&self, workspace: WorkspaceId) -> BTreeMap<String, Vec<DomainEvent>> {
        let mut content: BTreeMap<String, Vec<DomainEvent>> = BTreeMap::new();
        for event in self.partition(workspace, 0).await {
            let mut payload = event.decode().unwrap().payload;
            if let Some(personal) = personal::of(&mut payload, &event.stream) {
                for field in personal.fields {
                    assert_eq!(personal::parts(field).unwrap().0, personal.person);
                    let opened = self.people.seals.opened(workspace, field).await.unwrap();
                    *field = opened.unwrap();
                }
            }
            let stream = match &payload {
                // its name is another in every workspace
                DomainEvent::Email(EmailEvent::EmailReserved(EmailReserved { user })) => {
                    format!("email of {user}")
                }
                _ => event.stream.to_string(),
            };
            content.entry(stream).or_default().push(payload);
        }
        content
    }

    /// The events of a command.
    async fn caused(&self, workspace: WorkspaceId, answer: &CommandAnswer) -> Vec<StoredEvent> {
        let stream = answer.stream.parse().unwrap();
        let from = answer.events[0].version;
        self.store
            .read_stream(workspace, &stream, from, Direction::Forwards, 10)
            .await
            .unwrap()
    }

    /// Sends every command of the template, and those of the policy.
    async fn send_all(&self, workspace: WorkspaceId, language: Language) {
        let system = Actor {
            id: workspace.0,
            role: Role::System,
            name: "Foldline".to_owned(),
        };
        let send = async |actor: &Actor, request: &CommandRequest| {
            let answer = self.commands.handle(workspace, actor, request, None, None).await;
            self.caused(workspace, &answer.unwrap()).await
        };
        for request in opening_commands(language) {
            send(&system, &request).await;
        }
        for (customer, requests) in history::commands(texts(language)) {
            let mut process: Option<Box<RawValue>> = None;
            for request in requests {
                let mut events = send(&customer, &request).await;
                while !events.is_empty() {
                    let folded = folded(process.as_deref(), &events);
                    let (mut outcomes, mut caused) = (Vec::new(), Vec::new());
                    for pending in parsed(&folded).pending {
                        let intent = Intent::of_policy(workspace, FULFILMENT.name(), &pending, &SystemClock);
                        let answer = self.commands.carry_out(intent.unwrap()).await.unwrap();
                        caused.extend(self.caused(workspace, &answer).await);
                        outcomes.push((pending.command_id, SendOutcome::Accepted));
                    }
                    let now = Now {
                        machine: SystemClock.now(),
                        workspace: SystemClock.now(),
                    };
                    let after = FULFILMENT.sent(&folded, &outcomes, now).unwrap();
                    process = Some(serde_json::value::to_raw_value(&after).unwrap());
                    events = caused;
                }
            }
        }
    }
}

/// A process of the policy after more events.
fn folded(process: Option<&RawValue>, events: &[StoredEvent]) -> Box<RawValue> {
    let mut folding = FULFILMENT.load("", process).unwrap();
    for event in events {
        folding.fold(&event.decode().unwrap());
    }
    folding.document().unwrap().unwrap()
}

fn parsed(process: &RawValue) -> Process {
    serde_json::from_str(process.get()).unwrap()
}

/// The processes of the policy after these events.
fn processes(events: &[StoredEvent]) -> Vec<Process> {
    let mut processes: HashMap<String, Box<RawValue>> = HashMap::new();
    for event in events {
        for key in FULFILMENT.keys(&event.decode().unwrap()) {
            let process = folded(
                processes.get(&key).map(|process| &**process),
                std::slice::from_ref(event),
            );
            processes.insert(key, process);
        }
    }
    processes.values().map(|process| parsed(process)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prepared_template_has_the_events_that_its_commands_cause() {
    let sandboxes = Sandboxes::new().await;
    for language in [Language::En, Language::De] {
        let prepared = sandboxes.open("shop", 1, language).await;
        let sent = sandboxes.open("empty", 1, language).await;
        sandboxes.send_all(sent, language).await;
        let prepared = sandboxes.content(prepared).await;
        assert_eq!(prepared, sandboxes.content(sent).await, "{language}");
        assert_eq!(prepared.values().flatten().count(), 94);
    }
}

#[tokio::test]
async fn sandboxes_share_no_ids_and_each_has_an_intact_chain() {
    let sandboxes = Sandboxes::new().await;
    let (mut event_ids, mut correlations, mut commands) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut sealed = BTreeSet::new();
    for _ in 0..3 {
        let workspace = sandboxes.open("shop", 2, Language::En).await;
        for partition in 0..2 {
            let mut previous: Option<StoredEvent> = None;
            for event in sandboxes.partition(workspace, partition).await {
                let hash = previous
                    .as_ref()
                    .map_or(GENESIS_HASH, |previous| previous.hash.as_str());
                assert_eq!(event.chain_hash(hash), event.hash);
                assert!(previous.is_none_or(|previous| previous.event_id < event.event_id));
                assert_eq!(event.event_id.get_version_num(), 7);
                assert!(event.is_of_template());
                assert!(event_ids.insert(event.event_id));
                correlations.insert((event.metadata.correlation_id, workspace));
                commands.insert((event.metadata.command_id, workspace));
                if event.event_type == "UserRegistered" {
                    assert!(sealed.insert(event.payload.get().to_owned()));
                }
                previous = Some(event);
            }
        }
    }
    assert_eq!(event_ids.len(), 3 * 94);
    // the opening, and a client's commands; each with those of the policy
    assert_eq!(correlations.len(), 3 * 13);
    assert_eq!(commands.len(), 3 * 41);
    let correlations: BTreeSet<Uuid> = correlations.into_iter().map(|(id, _)| id).collect();
    let commands: BTreeSet<Uuid> = commands.into_iter().map(|(id, _)| id).collect();
    assert_eq!((correlations.len(), commands.len()), (3 * 13, 3 * 41));
}

#[tokio::test]
async fn a_template_leaves_nothing_to_its_process_manager() {
    let sandboxes = Sandboxes::new().await;
    let workspace = sandboxes.open("shop", 1, Language::En).await;
    let processes = processes(&sandboxes.partition(workspace, 0).await);
    assert_eq!(processes.len(), 6);
    for process in processes {
        assert_eq!((process.pending, process.timers), (Vec::new(), Vec::new()));
    }
}

#[tokio::test]
async fn a_command_whose_event_was_handled_before_its_cause_gets_its_first_answer() {
    let sandboxes = Sandboxes::new().await;
    let workspace = sandboxes.open("shop", 8, Language::En).await;
    let head = sandboxes.store.head(workspace).await.unwrap();
    // orders come last, so all of their effects are known before
    let (mut orders, mut events) = (Vec::new(), Vec::new());
    for partition in 0..8 {
        for event in sandboxes.partition(workspace, partition).await {
            match event.stream.category() {
                "order" => orders.push(event),
                _ => events.push(event),
            }
        }
    }
    events.append(&mut orders);
    let pending: Vec<_> = processes(&events)
        .into_iter()
        .flat_map(|process| process.pending)
        .collect();
    assert!(!pending.is_empty());
    for command in &pending {
        let intent = Intent::of_policy(workspace, FULFILMENT.name(), command, &SystemClock).unwrap();
        let answer = sandboxes.commands.carry_out(intent).await.unwrap();
        // an order that is confirmed is confirmed for another reason now, which changes nothing
        let is_repeated = command.command_type == "ReserveStock";
        assert_eq!(answer.events.len(), usize::from(is_repeated), "{command:?}");
    }
    assert_eq!(sandboxes.store.head(workspace).await.unwrap(), head);
}

#[test]
fn every_language_has_a_shop() {
    for language in Language::ALL {
        let shop = prepare_shop(language).unwrap();
        let ids = event_ids(SystemClock.new_id(), shop.event_count);
        assert_eq!(ids.len(), shop.event_count, "{language}");
        assert!(ids.is_sorted_by(|one, next| one < next));
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }
}
