//! Decides the commands of a template in memory, by the deciders and the policy that also decide what follows
//! from a client's commands.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
};

use domain::{
    access::{Actor, Role},
    aggregate::{
        Command,
        email::{Email, EmailState, ReserveEmail},
        inbox::{Inbox, OwnNotifications},
        inventory::{Inventory, ReservationOwner},
        order::{Goods, Order, OrderCommand, OrderEvidence, PlaceOrder},
        payment::{Payment, PaymentState},
        prediction::Prediction,
        product::Product,
        question::{Question, QuestionState},
        user::{User, UserEvent, UserRegistered},
    },
    decider::{Context, Decider as _},
    event::{ActorRef, DomainEvent, EventPayload as _, Metadata, TypedEvent, personal},
    id::{StreamName, WorkspaceId},
    policy::{
        Policy as _, Reaction,
        fulfilment::{Fulfilment, FulfilmentState},
    },
    rejection::Rejection,
    timestamp::Timestamp,
    wire::{CommandRequest, ExpectedVersion},
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use event_store::{Expected, StoreError};
use payment::test_mode::sample_answer;

use super::prepared::{
    Origin, PreparedCommand, PreparedEvent, PreparedName, PreparedStream, PreparedTemplate,
};
use crate::{
    aggregate_loader::Aggregate,
    failure::CommandFailure,
    intent::{digest, policy_actor},
};

/// Decides commands, each in the state that the ones before have left.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    streams: BTreeMap<StreamName, Vec<DomainEvent>>,
    commands: Vec<PreparedCommand>,
    intentions: usize,
    event_count: usize,
    people: BTreeSet<Uuid>,
}

/// A command that the policy sends about an event.
struct PolicyCommand {
    /// The index of the event.
    cause: usize,
    step: Cow<'static, str>,
    request: CommandRequest,
}

impl Recorder {
    /// Decides the commands that open a shop. They are one intention, and appended as one command.
    pub(super) fn opening(&mut self, requests: &[CommandRequest]) -> Result<(), CommandFailure> {
        let system = Actor {
            id: Uuid::nil(),
            role: Role::System,
            name: "Foldline".to_owned(),
        };
        let mut body = Sha256::new();
        let mut streams = Vec::with_capacity(requests.len());
        for request in requests {
            body.update(digest(request));
            let (stream, events) = self.decide(&system, request)?;
            streams.push(self.append(&stream, &events)?);
            streams.extend(self.reservation(&system, &stream, &events)?);
        }
        let command = PreparedCommand {
            origin: Origin::Template {
                body_digest: body.finalize().into(),
            },
            intention: self.begin_intention(),
            streams,
        };
        self.commands.push(command);
        Ok(())
    }

    /// Decides a command to an order, and those that the policy sends about its events, until there are none.
    /// `process` is the state of the order's fulfilment.
    pub(super) fn command(
        &mut self,
        actor: &Actor,
        request: &CommandRequest,
        process: &mut FulfilmentState,
    ) -> Result<(), CommandFailure> {
        let intention = self.begin_intention();
        let origin = Origin::Template {
            body_digest: digest(request),
        };
        let mut due = VecDeque::from(self.carry_out(origin, intention, actor, request, process)?);
        let policy = policy_actor(Fulfilment::NAME);
        while let Some(PolicyCommand { cause, step, request }) = due.pop_front() {
            let origin = Origin::Fulfilment {
                cause,
                step,
                request: Box::new(request.clone()),
            };
            due.extend(self.carry_out(origin, intention, &policy, &request, process)?);
        }
        Ok(())
    }

    /// The template of the decided commands.
    pub(super) fn finish(self) -> PreparedTemplate {
        PreparedTemplate {
            commands: self.commands,
            intentions: self.intentions,
            event_count: self.event_count,
            people: self.people.into_iter().collect(),
        }
    }

    /// The number of a new intention.
    fn begin_intention(&mut self) -> usize {
        self.intentions += 1;
        self.intentions - 1
    }

    /// Decides a command; returns those that the policy sends about its events. Its timers do not matter:
    /// each of its commands is answered at once.
    fn carry_out(
        &mut self,
        origin: Origin,
        intention: usize,
        actor: &Actor,
        request: &CommandRequest,
        process: &mut FulfilmentState,
    ) -> Result<Vec<PolicyCommand>, CommandFailure> {
        let (stream, events) = self.decide(actor, request)?;
        let appended = self.append(&stream, &events)?;
        let mut sent = Vec::new();
        for (event, cause) in events.into_iter().zip(appended.first_event..) {
            let event = seen_by_policy(&stream, event);
            *process = Fulfilment::evolve(std::mem::take(process), &event);
            for reaction in Fulfilment::react(process, &event) {
                if let Reaction::Send {
                    step,
                    command_type,
                    stream,
                    data,
                } = reaction
                {
                    let request = CommandRequest {
                        command_type: command_type.to_owned(),
                        stream,
                        data,
                        expected_version: ExpectedVersion::Any,
                        correlation_id: None,
                    };
                    sent.push(PolicyCommand { cause, step, request });
                }
            }
        }
        self.commands.push(PreparedCommand {
            origin,
            intention,
            streams: vec![appended],
        });
        Ok(sent)
    }

    /// The events of a command, and the stream that they go to.
    fn decide(
        &self,
        actor: &Actor,
        request: &CommandRequest,
    ) -> Result<(StreamName, Vec<DomainEvent>), CommandFailure> {
        let stream: StreamName = request
            .stream
            .parse()
            .map_err(|error| CommandFailure::malformed("stream", format!("{error}")))?;
        let events = match Command::parse(&request.command_type, &stream, &request.data)? {
            Command::Email(command) => self.decided::<Email>(actor, &stream, command, ()),
            Command::Inbox(command) => {
                self.decided::<Inbox>(actor, &stream, command, OwnNotifications::default())
            }
            Command::Inventory(command) => {
                self.decided::<Inventory>(actor, &stream, command, ReservationOwner::default())
            }
            Command::Prediction(command) => {
                self.decided::<Prediction>(actor, &stream, command, QuestionState::default())
            }
            Command::Product(command) => self.decided::<Product>(actor, &stream, command, ()),
            Command::Question(command) => self.decided::<Question>(actor, &stream, command, ()),
            Command::User(command) => self.decided::<User>(actor, &stream, command, ()),
            Command::Order(command) => {
                let evidence = match &command {
                    OrderCommand::PlaceOrder(order) => self.products(order),
                    OrderCommand::ShipOrder(_) => OrderEvidence::Goods(self.goods(stream.id())),
                    _ => OrderEvidence::default(),
                };
                self.decided::<Order>(actor, &stream, command, evidence)
            }
            Command::Payment(command) => {
                let payment = self.state::<Payment>(&stream);
                let request = payment.provider_request(&command, &stream);
                let answer = request.and_then(|request| sample_answer(stream.id(), &request));
                self.decided::<Payment>(actor, &stream, command, answer)
            }
        }?;
        Ok((stream, events))
    }

    fn decided<D: Aggregate>(
        &self,
        actor: &Actor,
        stream: &StreamName,
        command: D::Command,
        evidence: D::Evidence,
    ) -> Result<Vec<DomainEvent>, Rejection> {
        let context = context(actor, stream, evidence);
        let events = D::decide(&self.state::<D>(stream), command, &context)?;
        Ok(events.into_iter().map(D::Event::into_domain).collect())
    }

    fn state<D: Aggregate>(&self, stream: &StreamName) -> D::State {
        let events = self.streams.get(stream).into_iter().flatten();
        events
            .filter_map(D::Event::from_domain)
            .fold(D::State::default(), D::evolve)
    }

    /// The products of an order's lines.
    fn products(&self, order: &PlaceOrder) -> OrderEvidence {
        let product = |sku: &str| {
            let stream = StreamName::new(Product::CATEGORY, sku).ok()?;
            Some((sku.to_owned(), self.state::<Product>(&stream)))
        };
        order.skus().into_iter().filter_map(product).collect()
    }

    /// The reserved stock and the payment of an order.
    fn goods(&self, order: &str) -> Goods {
        let is_inventory = |stream: &&StreamName| stream.category() == Inventory::CATEGORY;
        let reserved = self.streams.keys().filter(is_inventory).filter_map(|stream| {
            let stock = self.state::<Inventory>(stream);
            Some((stream.id().to_owned(), *stock.reservations.get(order)?))
        });
        let payment = StreamName::new(Payment::CATEGORY, order);
        let payment = payment.map(|stream| self.state::<Payment>(&stream));
        Goods {
            reserved: reserved.collect(),
            is_paid: matches!(payment, Ok(PaymentState::Processed { .. })),
        }
    }

    /// Appends events to a stream.
    fn append(&mut self, stream: &StreamName, events: &[DomainEvent]) -> Result<PreparedStream, StoreError> {
        let earlier = self.streams.entry(stream.clone()).or_default();
        let expected = match earlier.len() as u64 {
            0 => Expected::NoStream,
            version => Expected::Exact(version),
        };
        earlier.extend_from_slice(events);
        for event in events {
            self.people.extend(person(event, stream));
        }
        let is_personal = |event: &DomainEvent| person(event, stream).is_some();
        let events: Vec<_> = events
            .iter()
            .map(|event| PreparedEvent::new(event, is_personal(event)))
            .collect::<Result<_, _>>()?;
        Ok(PreparedStream {
            name: PreparedName::Fixed(stream.clone()),
            expected,
            first_event: self.count(events.len()),
            events,
        })
    }

    /// The reservation of an email with the registration of its user. The emails of a template differ.
    fn reservation(
        &mut self,
        actor: &Actor,
        stream: &StreamName,
        events: &[DomainEvent],
    ) -> Result<Option<PreparedStream>, CommandFailure> {
        let [DomainEvent::User(UserEvent::UserRegistered(UserRegistered { email, .. }))] = events else {
            return Ok(None);
        };
        let Ok(user) = stream.id().parse() else {
            return Ok(None);
        };
        let context = context(actor, stream, ());
        let reserved = Email::decide(&EmailState::default(), ReserveEmail { user }.into(), &context)?;
        let events: Vec<_> = reserved
            .into_iter()
            .map(|event| PreparedEvent::new(&event.into_domain(), false))
            .collect::<Result<_, _>>()?;
        Ok(Some(PreparedStream {
            name: PreparedName::Reservation(email.clone()),
            expected: Expected::NoStream,
            first_event: self.count(events.len()),
            events,
        }))
    }

    /// Counts new events; returns the index of the first.
    fn count(&mut self, events: usize) -> usize {
        let first = self.event_count;
        self.event_count += events;
        first
    }
}

fn context<Evidence>(actor: &Actor, stream: &StreamName, evidence: Evidence) -> Context<Evidence> {
    Context {
        stream: stream.clone(),
        now: Timestamp::default(),
        actor: actor.clone(),
        evidence,
    }
}

/// The person whose data an event holds.
fn person(event: &DomainEvent, stream: &StreamName) -> Option<Uuid> {
    let mut event = event.clone();
    personal::of(&mut event, stream).map(|personal| personal.person)
}

/// An event for the policy, which reads its stream and its payload, and nothing that a workspace adds.
fn seen_by_policy(stream: &StreamName, payload: DomainEvent) -> TypedEvent {
    let event_type = payload.event_type();
    TypedEvent {
        workspace: WorkspaceId(Uuid::nil()),
        partition: 0,
        position: 0,
        stream: stream.clone(),
        version: 0,
        event_id: Uuid::nil(),
        event_type: event_type.name.to_owned(),
        schema_version: event_type.schema_version,
        payload,
        metadata: Metadata {
            correlation_id: Uuid::nil(),
            causation_id: None,
            command_id: Uuid::nil(),
            actor: ActorRef {
                id: Uuid::nil(),
                role: Role::System,
            },
            traceparent: None,
        },
        recorded_at: Timestamp::default(),
        hash: String::new(),
    }
}
