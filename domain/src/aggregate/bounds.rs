//! Every text and every list of every command has a bound: what is longer is refused, or is not stored.
//!
//! The texts are those of the commands' schemas, so a new field without a bound fails here.

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::{
    access::Role,
    aggregate::{
        inbox::OwnNotifications,
        inventory::ReservationOwner,
        order::{
            Customer, Goods, OrderConfirmed, OrderCreated, OrderEvent, OrderEvidence, OrderLine, OrderShipped,
        },
        payment::{PaymentEvent, PaymentProcessed, ProviderAnswer},
        prediction::prediction_id,
        product::{CatalogueEntry, ProductEvent, ProductListed, ProductState},
        question::{AnswerForm, QuestionAsked, QuestionEvent, QuestionState},
        user::{UserEvent, UserRegistered},
    },
    decider::testing::{actor, context, decide},
    event_type::AggregateEvent,
    language::Language,
    money::Money,
    rejection::Rejection,
};

/// Far beyond every bound.
const TOO_MANY: usize = 100_000;

/// The most bytes of the events of a command with an oversized text that is not stored.
const MAX_STORED: usize = 5_000;

/// A field of a command's data.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Text,
    List,
}

#[test]
fn every_text_and_list_of_every_command_has_a_bound() {
    let mut names = Vec::new();
    for (name, schema) in Command::schemas() {
        names.push(name);
        let (stream, data) = example(name);
        decided(name, stream, &data).unwrap_or_else(|refused| panic!("{name}: {refused}"));
        let mut fields = Vec::new();
        collect(&schema, &schema, "", &mut fields);
        for (pointer, field) in fields {
            for oversized in oversized_variants(&data, &pointer, &field, name) {
                let stored = match decided(name, stream, &oversized) {
                    Ok(stored) => stored,
                    Err(refused) => {
                        let expected = format!("data{}", path(&pointer));
                        let is_named =
                            |field: &str| field == expected || expected.starts_with(&format!("{field}["));
                        let names_it = refused.violations.iter().any(|found| is_named(&found.field));
                        assert!(names_it, "{name}{pointer}: {:?}", refused.violations);
                        continue;
                    }
                };
                let length = stored.len();
                assert!(
                    length < MAX_STORED,
                    "{name}{pointer} is stored with {length} bytes"
                );
            }
        }
    }
    assert_eq!(names, Command::names().collect::<Vec<_>>());
}

#[test]
fn the_schemas_name_the_texts() {
    let fields = |name: &str| {
        let schemas = Command::schemas();
        let (_, schema) = schemas.iter().find(|(known, _)| *known == name).unwrap();
        let mut fields = Vec::new();
        collect(schema, schema, "", &mut fields);
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        fields
    };
    let text = |pointer: &str| (pointer.to_owned(), Field::Text);
    let list = |pointer: &str| (pointer.to_owned(), Field::List);
    assert_eq!(
        fields("PlaceOrder"),
        [list("/lines"), text("/lines/0/sku"), text("/payment_method")]
    );
    assert_eq!(
        fields("RegisterUser"),
        [text("/display_name"), text("/email"), text("/password")]
    );
    assert_eq!(fields("ReadNotifications"), [list("/events")]);
    assert_eq!(
        fields("ChangePrice"),
        [text("/price/currency"), text("/seen/currency")]
    );
}

/// The data with an oversized value at `pointer`: with and without white space around a short one.
fn oversized_variants(data: &Value, pointer: &str, field: &Field, name: &str) -> Vec<Value> {
    let with = |value: Value| {
        let mut data = data.clone();
        let target = data.pointer_mut(pointer);
        *target.unwrap_or_else(|| panic!("the example of {name} has no {pointer}")) = value;
        data
    };
    match field {
        Field::Text => vec![
            with("x".repeat(TOO_MANY).into()),
            with("1".repeat(TOO_MANY).into()),
            with(format!("x{}", " ".repeat(TOO_MANY)).into()),
            with(format!("{}x", "\u{3000}".repeat(TOO_MANY)).into()),
        ],
        Field::List => {
            let item = data.pointer(&format!("{pointer}/0"));
            let item = item.unwrap_or_else(|| panic!("the example of {name} has an empty {pointer}"));
            vec![with(vec![item.clone(); TOO_MANY].into())]
        }
    }
}

/// `data.lines[0].sku` for `/lines/0/sku`, without `data`.
fn path(pointer: &str) -> String {
    let segment = |segment: &str| match segment.parse::<usize>() {
        Ok(n) => format!("[{n}]"),
        Err(_) => format!(".{segment}"),
    };
    pointer.split('/').skip(1).map(segment).collect()
}

/// The texts and lists of a schema, as pointers into data whose lists have an item.
fn collect(schema: &Value, root: &Value, pointer: &str, fields: &mut Vec<(String, Field)>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let definition = reference.strip_prefix('#').and_then(|at| root.pointer(at));
        collect(definition.expect("a definition"), root, pointer, fields);
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
        for alternative in schema[keyword].as_array().into_iter().flatten() {
            collect(alternative, root, pointer, fields);
        }
    }
    let is_one_of_few = !schema["enum"].is_null() || !schema["const"].is_null();
    if is_one_of_few || schema["format"] == "uuid" {
        return;
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    if types.contains(&json!("string")) {
        fields.push((pointer.to_owned(), Field::Text));
    }
    if types.contains(&json!("array")) {
        fields.push((pointer.to_owned(), Field::List));
        collect(&schema["items"], root, &format!("{pointer}/0"), fields);
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        collect(member, root, &format!("{pointer}/{name}"), fields);
    }
}

const ADA: Uuid = Uuid::from_u128(1);

const QUESTION: Uuid = Uuid::from_u128(9);

/// The beginning of a prediction's stream, whose id follows from the question and the person.
const PREDICTION: &str = "prediction-";

/// A stream, and data with every field, that the command is accepted with.
fn example(name: &str) -> (&'static str, Value) {
    const OWN: &str = "user-00000000-0000-0000-0000-000000000001";
    const INBOX: &str = "inbox-00000000-0000-0000-0000-000000000001";
    const OF_CLASS: &str = "question-00000000-0000-0000-0000-000000000009";
    let price = json!({"amount": 990, "currency": "EUR"});
    match name {
        "AskQuestion" => (
            OF_CLASS,
            json!({"lesson": "last_item", "step": "race", "text": "How many?", "choices": 2,
                   "labels": ["One", "Both"]}),
        ),
        "RevealAnswer" => (OF_CLASS, json!({"right": 3, "tolerance": 1})),
        "MakePrediction" => (PREDICTION, json!({"question": QUESTION, "number": 3})),
        "ReserveEmail" | "ReleaseEmail" => ("email-1", json!({"user": ADA})),
        "ReadNotifications" => (INBOX, json!({"events": [ADA]})),
        "StopMails" | "ResumeMails" => (INBOX, json!({})),
        "ReceiveStock" => ("inventory-mug-01", json!({"quantity": 1})),
        "ReserveStock" => ("inventory-mug-01", json!({"order": "1", "quantity": 1})),
        "ReleaseStock" | "ShipStock" => ("inventory-mug-01", json!({"order": "1"})),
        "PlaceOrder" => (
            "order-1",
            json!({"lines": [{"sku": "mug-01", "quantity": 1}], "payment_method": "tok_ok"}),
        ),
        "ConfirmOrder" | "ShipOrder" | "DeliverOrder" => ("order-1", json!({})),
        "RejectOrder" | "CancelOrder" | "RefundOrder" => ("order-1", json!({"reason": "no"})),
        "ProcessPayment" => (
            "payment-1",
            json!({"order": "1", "amount": price, "method": "tok_ok", "customer": ADA}),
        ),
        "RefundPayment" => ("payment-1", json!({"reason": "no"})),
        "ListProduct" => (
            "product-mug-01",
            json!({"sku": "mug-01", "name": "Mug", "description": "Holds tea.", "price": price,
                   "tags": ["kitchen"]}),
        ),
        "ChangePrice" => (
            "product-mug-01",
            json!({"price": price, "seen": {"amount": 1_250, "currency": "EUR"}}),
        ),
        "RetireProduct" => ("product-mug-01", json!({})),
        "RegisterUser" => (
            OWN,
            json!({"email": "ada@example.org", "display_name": "Ada", "password": "correct horse",
                   "role": "customer", "language": "en"}),
        ),
        "ChangeDisplayName" => (OWN, json!({"display_name": "Lovelace"})),
        "ChangeEmail" => (
            OWN,
            json!({"email": "ada@example.com", "password": "correct horse"}),
        ),
        "ChangeLanguage" => (OWN, json!({"language": "de"})),
        "EraseUser" => (OWN, json!({"password": "correct horse"})),
        "RecordPasswordChange" => (OWN, json!({"by_link": true})),
        "RequestPasswordReset" | "RequestEmailConfirmation" | "ConfirmEmail" => (OWN, json!({})),
        name => panic!("{name} needs an example here"),
    }
}

/// The events of a command as JSON, in a state in which it is accepted.
fn decided(name: &str, stream: &str, data: &Value) -> Result<String, Rejection> {
    let stream = if stream == PREDICTION {
        format!("{PREDICTION}{}", prediction_id(QUESTION, ADA))
    } else {
        stream.to_owned()
    };
    let context = context(&stream, actor(Role::Educator, 1));
    let command = Command::parse(name, &context.stream, data).unwrap();
    match command {
        Command::Email(command) => decide::<Email>(&[], command, &context).map(json_of),
        Command::Inbox(command) => {
            let own = OwnNotifications([ADA].into());
            decide::<Inbox>(&[], command, &context.with_evidence(own)).map(json_of)
        }
        Command::Inventory(command) => {
            let context = context.with_evidence(ReservationOwner::Staff);
            decide::<Inventory>(&[], command, &context).map(json_of)
        }
        Command::Order(command) => {
            let context = context.with_evidence(evidence(name));
            decide::<Order>(&order_before(name), command, &context).map(json_of)
        }
        Command::Payment(command) => {
            let (given, answer) = payment_before(name);
            decide::<Payment>(&given, command, &context.with_evidence(Some(answer))).map(json_of)
        }
        Command::Prediction(command) => {
            let question = QuestionState {
                asked: Some(AnswerForm::Number),
                revealed: None,
            };
            decide::<Prediction>(&[], command, &context.with_evidence(question)).map(json_of)
        }
        Command::Question(command) => {
            let given: Vec<QuestionEvent> = if name == "AskQuestion" {
                Vec::new()
            } else {
                vec![asked()]
            };
            decide::<Question>(&given, command, &context).map(json_of)
        }
        Command::Product(command) => {
            let given: Vec<ProductEvent> = if name == "ListProduct" {
                Vec::new()
            } else {
                vec![listed()]
            };
            decide::<Product>(&given, command, &context).map(json_of)
        }
        Command::User(command) => {
            let given: Vec<UserEvent> = if name == "RegisterUser" {
                Vec::new()
            } else {
                vec![registered()]
            };
            decide::<User>(&given, command, &context).map(json_of)
        }
    }
}

fn json_of<E: AggregateEvent>(events: Vec<E>) -> String {
    let json = |event: E| event.encode().unwrap().get().to_owned();
    events.into_iter().map(json).collect()
}

/// A question that a number answers.
fn asked() -> QuestionEvent {
    QuestionAsked {
        lesson: None,
        step: None,
        text: Some("How many?".to_owned()),
        choices: None,
        labels: Vec::new(),
    }
    .into()
}

fn listed() -> ProductEvent {
    ProductListed {
        sku: "mug-01".to_owned(),
        name: "Mug".to_owned(),
        description: "Holds tea.".to_owned(),
        price: Money::new(1_250, "EUR"),
        tags: Vec::new(),
    }
    .into()
}

fn registered() -> UserEvent {
    UserRegistered {
        email: "ada@example.org".to_owned(),
        display_name: "Ada".to_owned(),
        role: Role::Educator,
        language: Language::En,
    }
    .into()
}

fn a_mug() -> OrderLine {
    OrderLine {
        sku: "mug-01".to_owned(),
        name: "Mug".to_owned(),
        price: Money::new(1_250, "EUR"),
        quantity: 1,
    }
}

/// The history of an order for which the command is accepted.
fn order_before(command: &str) -> Vec<OrderEvent> {
    let line = a_mug();
    let created: OrderEvent = OrderCreated {
        customer: Customer {
            id: ADA,
            name: "Ada".to_owned(),
        },
        lines: vec![line.clone()],
        total: Money::new(1_250, "EUR"),
        payment_method: "tok_ok".to_owned(),
    }
    .into();
    let confirmed: OrderEvent = OrderConfirmed {
        customer: ADA,
        lines: vec![line],
        total: Money::new(1_250, "EUR"),
    }
    .into();
    match command {
        "PlaceOrder" => Vec::new(),
        "ShipOrder" | "RefundOrder" => vec![created, confirmed],
        "DeliverOrder" => vec![created, confirmed, OrderShipped { customer: ADA }.into()],
        _ => vec![created],
    }
}

/// The history of a payment for which the command is accepted, and the provider's answer to it.
fn payment_before(command: &str) -> (Vec<PaymentEvent>, ProviderAnswer) {
    let charge = "ch_1".to_owned();
    if command == "ProcessPayment" {
        return (Vec::new(), ProviderAnswer::Charged { charge });
    }
    let processed = PaymentProcessed {
        order: "1".to_owned(),
        customer: ADA,
        amount: Money::new(990, "EUR"),
        method: "tok_ok".to_owned(),
        charge,
    };
    (vec![processed.into()], ProviderAnswer::Refunded)
}

/// The products of an order that is placed, or the goods of one that is shipped.
fn evidence(command: &str) -> OrderEvidence {
    if command == "ShipOrder" {
        return OrderEvidence::Goods(Goods::complete(&[a_mug()]));
    }
    let mug = ProductState {
        listed: Some(CatalogueEntry {
            name: "Mug".to_owned(),
            price: Money::new(1_250, "EUR"),
        }),
        retired: false,
    };
    [("mug-01".to_owned(), mug)].into_iter().collect()
}
