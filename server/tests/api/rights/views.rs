//! The documents and listings of views, over HTTP and by subscriptions.

use domain::view;
use serde_json::{Value, json};

use super::{COLUMNS, Column, Findings, Row, World, outcome, rows, same_names};
use crate::{app::Live, dead_letters::get};

/// A listing of the first workspace, or the documents of a view.
#[derive(Clone, Copy)]
enum Part {
    /// A listing with a group.
    Listing(&'static str, Group),
    /// A document, which the owner has where a person has it.
    Document,
}

/// The group of a listing.
#[derive(Clone, Copy)]
enum Group {
    /// A listing without groups.
    None,
    /// The id of the owner.
    Owner,
    /// The question that the owner has answered.
    Question,
    /// A name.
    Named(&'static str),
}

use Part::{Document, Listing};

/// For each person of the workspace; in another one there is nothing of it.
const ALL: Row = [401, 200, 200, 200, 200, 200, 200];
/// For all but customers.
const NOT_CUSTOMERS: Row = [401, 403, 403, 200, 200, 200, 200];
/// For educators.
const EDUCATORS: Row = [401, 403, 403, 403, 403, 200, 200];
/// The owner's own, for all but other customers.
const OWN: Row = [401, 403, 200, 200, 200, 200, 200];
/// A document that belongs to a person.
const OWN_DOCUMENT: Row = [401, 404, 200, 200, 200, 200, 404];
/// A document of the shop.
const SHOP_DOCUMENT: Row = [401, 404, 404, 200, 200, 200, 404];

const RULES: &[(&str, Part, Row)] = &[
    ("activity", Listing("recent", Group::None), NOT_CUSTOMERS),
    ("activity", Document, SHOP_DOCUMENT),
    ("customers", Listing("all", Group::None), NOT_CUSTOMERS),
    ("customers", Listing("by_spend", Group::None), NOT_CUSTOMERS),
    ("customers", Document, OWN_DOCUMENT),
    ("inventory", Listing("all", Group::None), NOT_CUSTOMERS),
    ("inventory", Listing("low_stock", Group::None), NOT_CUSTOMERS),
    ("inventory", Document, SHOP_DOCUMENT),
    ("notifications", Listing("inbox", Group::Owner), OWN),
    ("notifications", Document, OWN_DOCUMENT),
    ("orders", Listing("all", Group::None), NOT_CUSTOMERS),
    ("orders", Listing("by_customer", Group::Owner), OWN),
    (
        "orders",
        Listing("by_status", Group::Named("confirmed")),
        NOT_CUSTOMERS,
    ),
    ("orders", Document, OWN_DOCUMENT),
    ("payments", Listing("all", Group::None), NOT_CUSTOMERS),
    (
        "payments",
        Listing("by_status", Group::Named("processed")),
        NOT_CUSTOMERS,
    ),
    ("payments", Document, OWN_DOCUMENT),
    // everyone sees what is asked; who answered what is the educator's
    ("predictions", Listing("questions", Group::None), ALL),
    ("predictions", Listing("by_question", Group::Question), EDUCATORS),
    // the owner's answer
    ("predictions", Document, [401, 404, 200, 404, 404, 200, 404]),
    ("products", Listing("all", Group::None), ALL),
    ("products", Listing("by_tag", Group::Named("kitchen")), ALL),
    ("products", Document, [401, 200, 200, 200, 200, 200, 404]),
    ("sales", Listing("by_day", Group::None), NOT_CUSTOMERS),
    ("sales", Listing("top_products", Group::None), NOT_CUSTOMERS),
    ("sales", Document, SHOP_DOCUMENT),
];

impl Part {
    fn name(self, view: &str) -> String {
        match self {
            Listing(listing, _) => format!("{view}?listing={listing}"),
            Document => format!("{view}/{{key}}"),
        }
    }
}

impl Group {
    fn text(self, world: &World) -> String {
        match self {
            Self::None => String::new(),
            Self::Owner => world.id(Column::Owner).to_string(),
            Self::Question => world.question.to_string(),
            Self::Named(name) => name.to_owned(),
        }
    }
}

/// A rule with what it names in the first workspace.
struct Cell {
    view: &'static str,
    name: String,
    listing: Option<(&'static str, String)>,
    key: Option<String>,
    expected: Row,
}

impl Cell {
    fn path(&self) -> String {
        match (&self.listing, &self.key) {
            (Some((listing, group)), _) => {
                format!("/api/v1/views/{}?listing={listing}&group={group}", self.view)
            }
            (None, Some(key)) => format!("/api/v1/views/{}/{}", self.view, key.replace('/', "%2F")),
            (None, None) => panic!("{} names nothing", self.name),
        }
    }

    fn subscribe(&self, id: usize) -> Value {
        let mut frame = json!({"op": "subscribe", "id": id, "view": self.view});
        if let Some((listing, group)) = &self.listing {
            frame["listing"] = json!(listing);
            frame["group"] = json!(group);
        }
        if let Some(key) = &self.key {
            frame["key"] = json!(key);
        }
        frame
    }
}

/// The rules, each with a group or a document that exists.
async fn cells(world: &World) -> Vec<Cell> {
    let existing = view::all().iter().flat_map(|view| {
        let listings = view.listing_names().iter();
        let listings = listings.map(move |listing| format!("{}?listing={listing}", view.name()));
        listings.chain([format!("{}/{{key}}", view.name())])
    });
    let table = RULES.iter().map(|(view, part, _)| part.name(view));
    same_names("listing or document of a view", existing, table);

    let mut cells = Vec::new();
    for &(view, part, expected) in RULES {
        let mut cell = Cell {
            view,
            name: part.name(view),
            listing: None,
            key: None,
            expected,
        };
        match part {
            Listing(listing, group) => cell.listing = Some((listing, group.text(world))),
            Document => cell.key = Some(key_of(world, view).await),
        }
        cells.push(cell);
    }
    cells
}

/// The key of a document of a view: the owner's, where documents belong to people.
async fn key_of(world: &World, view: &str) -> String {
    let owner = world.id(Column::Owner).to_string();
    if view == "customers" {
        return owner;
    }
    if view == "predictions" {
        return format!("{}.{owner}", world.question);
    }
    if matches!(view, "orders" | "payments") {
        return world.order.to_string();
    }
    let listing = RULES.iter().find_map(|(of, part, _)| match part {
        Listing(listing, group) if *of == view => Some((*listing, group.text(world))),
        _ => None,
    });
    let (listing, group) = listing.unwrap();
    let path = format!("/api/v1/views/{view}?listing={listing}&group={group}");
    let page = get(&world.app, &world.educator, &path).await;
    let key = page["data"][0]["key"].as_str();
    key.unwrap_or_else(|| panic!("{path} has no row: {page}"))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_listing_and_document_is_shown_to_its_roles_and_no_others() {
    let world = World::new().await;
    let mut findings = Findings::default();
    for cell in cells(&world).await {
        for (column, expected) in COLUMNS.into_iter().zip(cell.expected) {
            let mut request = world.app.get(&cell.path());
            if let Some(person) = world.person(column) {
                request = request.bearer_auth(&person.token);
            }
            let (status, body) = outcome(request.send().await.unwrap()).await;
            findings.check(&cell.name, column, expected, status, &body);
            if column == Column::Foreign && status == 200 && !rows(&body).is_empty() {
                findings.note(format!("{} shows another workspace: {body}", cell.name));
            }
        }
    }
    findings.finish();
}

/// The outcome of a subscription as the status that the same query over HTTP has.
async fn subscribed(live: &mut Live, cell: &Cell, id: usize) -> (u16, Value) {
    live.send(&cell.subscribe(id)).await;
    let answer = live
        .next_where("snapshot or error", |frame| {
            frame["id"] == id && (frame["op"] == "snapshot" || frame["op"] == "error")
        })
        .await;
    live.send(&json!({"op": "unsubscribe", "id": id})).await;
    let status = match (answer["op"].as_str(), &answer["data"]) {
        (Some("error"), _) => u16::try_from(answer["problem"]["status"].as_u64().unwrap()).unwrap(),
        // a subscription waits for a document that its client may not see, or that is not there yet
        (_, Value::Null) => 404,
        _ => 200,
    };
    (status, answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_subscription_shows_as_much_as_the_query_and_no_more() {
    let world = World::new().await;
    let cells = cells(&world).await;
    let mut findings = Findings::default();
    for (n, column) in COLUMNS.into_iter().enumerate() {
        let Some(person) = world.person(column) else {
            assert_eq!(world.app.try_live(&[]).await.err(), Some(401));
            continue;
        };
        let mut live = world.app.live(person).await;
        for (id, cell) in cells.iter().enumerate() {
            let (status, answer) = subscribed(&mut live, cell, id).await;
            findings.check(&cell.name, column, cell.expected[n], status, &answer.to_string());
            if column == Column::Foreign && cell.listing.is_some() && answer["data"] != json!([]) {
                findings.note(format!("{} shows another workspace: {answer}", cell.name));
            }
        }
    }
    findings.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_told_to_those_who_may_see_it_and_to_no_others() {
    let world = World::new().await;
    let order = world.order.to_string();
    let mut sockets = Vec::new();
    for column in COLUMNS {
        let Some(person) = world.person(column) else {
            continue;
        };
        let mut live = world.app.live(person).await;
        for frame in [
            json!({"op": "subscribe", "id": 1, "view": "orders", "key": order}),
            // each workspace has its own; its change comes after that of the order
            json!({"op": "subscribe", "id": 2, "view": "products", "listing": "all"}),
        ] {
            live.send(&frame).await;
            live.next_of("snapshot").await;
        }
        sockets.push((column, live));
    }
    let ship = json!({"type": "ShipOrder", "stream": format!("order-{order}"), "data": {}});
    world.app.command(&world.educator, &ship).await;
    world.app.settled(&world.educator).await;
    for educator in [&world.educator, &world.foreign] {
        let product = crate::app::list_product("mug-last");
        world.app.command(educator, &product).await;
    }
    for (column, mut live) in sockets {
        let first = live.next_of("change").await;
        let is_told = first["id"] == 1;
        let may_see = !matches!(column, Column::Shopper | Column::Foreign);
        assert_eq!(is_told, may_see, "{column:?}: {first}");
    }
}
