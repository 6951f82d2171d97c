//! The commands: those of one's own, and those that would change another person.

use clock::{Clock as _, SystemClock};
use domain::aggregate::Command;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{COLUMNS, Column, Findings, PASSWORD, Row, World, outcome, prediction, same_names};
use crate::{
    app::{Person, list_product},
    hostile::schema::sample,
};

/// For each person, in their own workspace.
const PEOPLE: Row = [401, 200, 200, 200, 200, 200, 200];
/// For the shop, about something that exists in the first workspace only.
const SHOP: Row = [401, 403, 403, 200, 403, 200, 422];
/// For the shop, about something new.
const SHOP_NEW: Row = [401, 403, 403, 200, 403, 200, 200];
/// For educators.
const EDUCATORS: Row = [401, 403, 403, 403, 403, 200, 200];
/// For the system alone.
const SYSTEM: Row = [401, 403, 403, 403, 403, 403, 403];

/// What each column gets for a command that is well formed and, where its role allows it, in turn.
const RULES: &[(&str, Row)] = &[
    ("RegisterUser", PEOPLE),
    ("ChangeDisplayName", PEOPLE),
    ("ChangeEmail", PEOPLE),
    ("ChangeLanguage", PEOPLE),
    ("EraseUser", PEOPLE),
    ("RequestPasswordReset", SYSTEM),
    ("RecordPasswordChange", SYSTEM),
    ("RequestEmailConfirmation", SYSTEM),
    ("ConfirmEmail", SYSTEM),
    ("ReserveEmail", SYSTEM),
    ("ReleaseEmail", SYSTEM),
    // the notification is the owner's
    ("ReadNotifications", [401, 422, 200, 422, 422, 422, 422]),
    ("StopMails", PEOPLE),
    ("ResumeMails", PEOPLE),
    ("ListProduct", SHOP_NEW),
    ("ChangePrice", SHOP),
    ("RetireProduct", SHOP),
    ("ReceiveStock", SHOP_NEW),
    ("ReserveStock", EDUCATORS),
    ("ReleaseStock", EDUCATORS),
    ("ShipStock", EDUCATORS),
    ("PlaceOrder", [401, 200, 200, 200, 200, 200, 422]),
    // the order is the owner's
    ("CancelOrder", [401, 422, 200, 200, 422, 200, 422]),
    ("ShipOrder", SHOP),
    ("DeliverOrder", SHOP),
    ("ConfirmOrder", SYSTEM),
    // it is confirmed already: a rejection comes too late
    ("RejectOrder", [401, 403, 403, 403, 403, 422, 422]),
    ("RefundOrder", SYSTEM),
    ("ProcessPayment", EDUCATORS),
    ("RefundPayment", SHOP),
    ("AskQuestion", EDUCATORS),
    // the question is of the first workspace
    ("RevealAnswer", [401, 403, 403, 403, 403, 200, 422]),
    ("MakePrediction", [401, 200, 200, 200, 200, 200, 422]),
];

/// Whether the system alone may send a command.
pub(crate) fn is_of_system(name: &str) -> bool {
    RULES.iter().any(|(known, row)| *known == name && *row == SYSTEM)
}

/// A command of a person.
pub(crate) struct Sent {
    pub(crate) by: Option<Person>,
    pub(crate) stream: String,
    pub(crate) data: Value,
}

/// Prepares what a command of a column is about, and returns it.
pub(crate) async fn prepared(world: &World, column: Column, name: &str) -> Sent {
    let by = || world.person(column).cloned();
    let sent = |stream: String, data: Value| Sent {
        by: by(),
        stream,
        data,
    };
    let id = SystemClock.new_id();
    match name {
        "RegisterUser" | "ChangeDisplayName" | "ChangeEmail" | "ChangeLanguage" | "EraseUser" => {
            own_account(world, column, name).await
        }
        "RequestPasswordReset" | "RecordPasswordChange" | "RequestEmailConfirmation" | "ConfirmEmail" => {
            sent(format!("user-{}", world.id(column)), sample(name))
        }
        "ReserveEmail" | "ReleaseEmail" => sent(format!("email-{id}"), sample(name)),
        "ReadNotifications" => {
            let notification = notification_of_owner(world).await;
            let stream = format!("inbox-{}", world.id(column));
            sent(stream, json!({"events": [notification]}))
        }
        "StopMails" | "ResumeMails" => sent(format!("inbox-{}", world.id(column)), json!({})),
        "ListProduct" => {
            let product = list_product(&id.to_string());
            sent(format!("product-{id}"), product["data"].clone())
        }
        "ChangePrice" => {
            let price = json!({"amount": 900, "currency": "EUR"});
            sent("product-mug-01".to_owned(), json!({"price": price}))
        }
        "RetireProduct" => {
            let product = list_product(&id.to_string());
            world.app.command(&world.educator, &product).await;
            sent(format!("product-{id}"), json!({}))
        }
        "ReceiveStock" => sent("inventory-mug-01".to_owned(), json!({"quantity": 1})),
        "ReserveStock" => sent("inventory-mug-01".to_owned(), json!({"order": id, "quantity": 1})),
        "ReleaseStock" | "ShipStock" => sent("inventory-mug-01".to_owned(), json!({"order": id})),
        "PlaceOrder" => {
            let lines = json!([{"sku": "mug-01", "quantity": 1}]);
            sent(
                format!("order-{id}"),
                json!({"lines": lines, "payment_method": "tok_ok"}),
            )
        }
        "ProcessPayment" => {
            let amount = json!({"amount": 100, "currency": "EUR"});
            let data = json!({"order": id, "amount": amount, "method": "tok_ok"});
            sent(format!("payment-{id}"), data)
        }
        "AskQuestion" | "RevealAnswer" | "MakePrediction" => {
            let (stream, data) = about_a_question(world, column, name).await;
            sent(stream, data)
        }
        name => about_an_order(world, name).await.map_or_else(
            || panic!("{name} needs an example here"),
            |(stream, data)| sent(stream, data),
        ),
    }
}

/// The stream and the data of a command about a new question of the class.
async fn about_a_question(world: &World, column: Column, name: &str) -> (String, Value) {
    if name == "AskQuestion" {
        let data = json!({"lesson": "last_item", "step": "race", "text": "How many?", "choices": 2,
            "labels": ["One", "Both"]});
        return (format!("question-{}", SystemClock.new_id()), data);
    }
    let question = world.asked().await;
    if name == "RevealAnswer" {
        return (format!("question-{question}"), json!({"right": 1}));
    }
    let command = prediction(question, world.id(column));
    let stream = command["stream"].as_str().unwrap().to_owned();
    (stream, command["data"].clone())
}

/// The stream and the data of a command about a new order of the owner's, which is confirmed.
async fn about_an_order(world: &World, name: &str) -> Option<(String, Value)> {
    let data = match name {
        "CancelOrder" | "RejectOrder" | "RefundOrder" | "RefundPayment" => json!({"reason": "of the matrix"}),
        "ConfirmOrder" | "ShipOrder" | "DeliverOrder" => json!({}),
        _ => return None,
    };
    let order = world.confirmed_order().await;
    if name == "DeliverOrder" {
        let ship = json!({"type": "ShipOrder", "stream": format!("order-{order}"), "data": {}});
        world.app.command(&world.educator, &ship).await;
    }
    let category = if name == "RefundPayment" {
        "payment"
    } else {
        "order"
    };
    Some((format!("{category}-{order}"), data))
}

fn registration(id: Uuid) -> Value {
    json!({"email": format!("p{}@matrix.example.org", id.simple()), "display_name": "Ada Lovelace",
        "password": PASSWORD})
}

/// A command of a new person of the column about their own account.
async fn own_account(world: &World, column: Column, name: &str) -> Sent {
    let Some((person, id)) = world.fresh(column).await else {
        return Sent {
            by: None,
            stream: format!("user-{}", Uuid::from_u128(7)),
            data: sample(name),
        };
    };
    let stream = format!("user-{id}");
    if name != "RegisterUser" {
        let register = json!({"type": "RegisterUser", "stream": stream, "data": registration(id)});
        world.app.command(&person, &register).await;
    }
    let data = match name {
        "ChangeDisplayName" => json!({"display_name": "Grace Hopper"}),
        "ChangeEmail" => {
            json!({"email": format!("q{}@matrix.example.org", id.simple()), "password": PASSWORD})
        }
        "ChangeLanguage" => json!({"language": "de"}),
        "EraseUser" => json!({"password": PASSWORD}),
        _ => registration(id),
    };
    Sent {
        by: Some(person),
        stream,
        data,
    }
}

/// The event of a notification of the owner's.
async fn notification_of_owner(world: &World) -> String {
    let path = format!(
        "/api/v1/views/notifications?listing=inbox&group={}",
        world.id(Column::Owner)
    );
    let page = crate::dead_letters::get(&world.app, &world.educator, &path).await;
    page["data"][0]["data"]["event_id"].as_str().unwrap().to_owned()
}

async fn send(world: &World, name: &str, Sent { by, stream, data }: Sent) -> (u16, String) {
    let command = json!({"type": name, "stream": stream, "data": data});
    let mut request = world.app.post("/api/v1/commands", &command);
    if let Some(person) = by {
        request = request.bearer_auth(person.token);
    }
    outcome(request.send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_is_open_to_its_roles_and_no_others() {
    let table = RULES.iter().map(|(name, _)| (*name).to_owned());
    same_names("command", Command::names().map(str::to_owned), table);
    let world = World::new().await;
    let mut findings = Findings::default();
    for (name, row) in RULES {
        for (column, expected) in COLUMNS.into_iter().zip(*row) {
            let command = prepared(&world, column, name).await;
            let (status, body) = send(&world, name, command).await;
            findings.check(name, column, expected, status, &body);
        }
    }
    findings.finish();
}

/// Commands about the account and the inbox of another person: an educator may erase, and all else is
/// refused. An educator of another workspace meets no such person there.
const OF_ANOTHER: &[(&str, Row)] = &[
    ("ChangeDisplayName", [401, 422, 422, 422, 422, 422, 422]),
    ("ChangeEmail", [401, 422, 422, 422, 422, 422, 422]),
    ("ChangeLanguage", [401, 422, 422, 422, 422, 422, 422]),
    ("EraseUser", [401, 422, 422, 422, 422, 200, 422]),
    ("StopMails", [401, 422, 422, 422, 422, 422, 422]),
    ("ResumeMails", [401, 422, 422, 422, 422, 422, 422]),
    ("ReadNotifications", [401, 422, 422, 422, 422, 422, 422]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_changes_no_other_person() {
    let world = World::new().await;
    let mut findings = Findings::default();
    for (name, row) in OF_ANOTHER {
        for (column, expected) in COLUMNS.into_iter().zip(*row) {
            let (victim, id) = world.fresh(Column::Shopper).await.unwrap();
            let stream = format!("user-{id}");
            let register = json!({"type": "RegisterUser", "stream": stream, "data": registration(id)});
            world.app.command(&victim, &register).await;
            let (stream, data) = match *name {
                "ChangeDisplayName" => (stream, json!({"display_name": "Mallory"})),
                "ChangeEmail" => {
                    let email = format!("r{}@matrix.example.org", id.simple());
                    (stream, json!({"email": email, "password": PASSWORD}))
                }
                "ChangeLanguage" => (stream, json!({"language": "de"})),
                "EraseUser" => (stream, json!({})),
                "ReadNotifications" => (format!("inbox-{id}"), json!({"events": [id]})),
                _ => (format!("inbox-{id}"), json!({})),
            };
            let by = world.person(column).cloned();
            let (status, body) = send(&world, name, Sent { by, stream, data }).await;
            findings.check(name, column, expected, status, &body);
        }
    }
    findings.finish();
}
