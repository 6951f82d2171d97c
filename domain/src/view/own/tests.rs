use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    access::Role,
    event::{ActorRef, DomainEvent, Metadata},
    wire::{FieldKind, own_views::MAX_OWN_DOCUMENT_BYTES},
};

const CLASS: WorkspaceId = WorkspaceId(Uuid::from_u128(1));

/// One plan for every workspace.
#[derive(Debug)]
struct OnlyPlan(Arc<OwnViewPlan>);

impl Definitions for OnlyPlan {
    fn plan(&self, _: WorkspaceId, slot: usize) -> Option<Arc<OwnViewPlan>> {
        (slot == 0).then(|| Arc::clone(&self.0))
    }
}

fn definition(value: Value) -> OwnViewDefinition {
    serde_json::from_value(value).unwrap()
}

/// A view in the first slot.
fn view(value: Value) -> SlotView {
    let definition = definition(value);
    check(&definition, |_| false).unwrap();
    let plan = Arc::new(OwnViewPlan::new(definition));
    SlotView::new(0, Arc::new(OnlyPlan(plan))).unwrap()
}

fn event(stream: &str, version: u64, at: i64, event_type: &str, payload: &Value) -> TypedEvent {
    let newest = DomainEvent::types()
        .find(|known| known.name == event_type)
        .unwrap();
    let payload = serde_json::value::to_raw_value(payload).unwrap();
    TypedEvent {
        workspace: CLASS,
        partition: 0,
        position: version,
        stream: stream.parse().unwrap(),
        version,
        event_id: Uuid::from_u128(u128::from(version)),
        event_type: event_type.to_owned(),
        schema_version: newest.schema_version,
        payload: DomainEvent::decode(event_type, newest.schema_version, &payload).unwrap(),
        metadata: Metadata {
            correlation_id: Uuid::nil(),
            causation_id: None,
            command_id: Uuid::nil(),
            actor: ActorRef {
                id: Uuid::from_u128(9),
                role: Role::Customer,
            },
            traceparent: None,
        },
        recorded_at: Timestamp::from_micros(at),
        hash: String::new(),
    }
}

fn order(n: u64, customer: u128, amount: i64, skus: &[&str]) -> TypedEvent {
    let price = json!({"amount": amount, "currency": "EUR"});
    let lines: Vec<_> = skus
        .iter()
        .map(|sku| json!({"sku": sku, "name": sku, "price": price, "quantity": 1}))
        .collect();
    let customer = Uuid::from_u128(customer);
    let payload = json!({
        "customer": {"id": customer, "name": format!("sealed:{customer}:abc")},
        "lines": lines, "total": price, "payment_method": "tok_ok",
    });
    let at = i64::try_from(n).unwrap();
    event(&format!("order-{n}"), 1, at, "OrderCreated", &payload)
}

/// The documents after events, each through JSON after every event, like a lane that stops there.
fn folded<'a>(view: &SlotView, events: impl IntoIterator<Item = &'a TypedEvent>) -> BTreeMap<String, Value> {
    let mut documents: BTreeMap<String, Box<RawValue>> = BTreeMap::new();
    for event in events {
        for key in view.keys(event) {
            let known = documents.get(&key);
            let mut target = view.load(&key, known.map(|known| &**known)).unwrap();
            target.fold(event);
            documents.insert(key, target.document().unwrap().unwrap());
        }
    }
    let parsed = |(key, document): (String, Box<RawValue>)| {
        assert!(
            document.get().len() <= MAX_OWN_DOCUMENT_BYTES,
            "{}",
            document.get().len()
        );
        (key, serde_json::from_str(document.get()).unwrap())
    };
    documents.into_iter().map(parsed).collect()
}

fn every_fold() -> Value {
    let of = |field: &str, op: &str, of: &str| json!({"field": field, "op": op, "of": of});
    json!({
        "name": "customers_of_mine", "on": ["OrderCreated"], "key": "data.customer.id",
        "fold": [
            {"field": "orders", "op": "count"},
            of("second_lines", "count", "data.lines.1.sku"),
            of("spent", "sum", "data.total.amount"),
            of("least", "min", "data.total.amount"),
            of("most", "max", "data.total.amount"),
            of("newest", "last", "stream"),
            of("first_skus", "set", "data.lines.0.sku"),
            of("since", "min", "recorded_at"),
        ],
        "group": "data.lines.0.sku",
    })
}

#[test]
fn every_fold_is_a_member_of_the_document_and_an_absent_field_is_left_out() {
    let view = view(every_fold());
    let events = [
        order(1, 7, 500, &["mug-02"]),
        order(2, 7, 300, &["mug-01", "mug-02"]),
        order(3, 8, 900, &["mug-01"]),
    ];
    let documents = folded(&view, &events);
    assert_eq!(documents.len(), 2);
    let mine = &documents[&Uuid::from_u128(7).to_string()];
    let expected = json!({
        "key": Uuid::from_u128(7), "group": "mug-01", "orders": 2, "second_lines": 1, "spent": 800,
        "least": 300, "most": 500, "newest": "order-2", "first_skus": ["mug-01", "mug-02"],
        "since": "1970-01-01T00:00:00.000001Z",
    });
    let mut shown = mine.clone();
    shown.as_object_mut().unwrap().remove("state");
    assert_eq!(shown, expected);
}

#[test]
fn a_document_is_listed_by_its_key_and_in_the_group_of_its_latest_value() {
    let view = view(every_fold());
    let key = Uuid::from_u128(7).to_string();
    let mut target = view.load(&key, None).unwrap();
    assert!(target.listings().is_empty());
    for event in [order(2, 7, 1, &["mug-02"]), order(1, 7, 1, &["mug-01"])] {
        target.fold(&event);
    }
    let listed: Vec<_> = target
        .listings()
        .into_iter()
        .map(|entry| (entry.listing, entry.group, entry.sort))
        .collect();
    assert_eq!(
        listed,
        [
            ("all", String::new(), key.clone()),
            ("by_group", "mug-02".to_owned(), key)
        ]
    );
    assert_eq!(target.owner(), None);
}

#[test]
fn an_event_of_another_type_key_or_workspace_without_the_view_changes_nothing() {
    let view = view(every_fold());
    let retired = event("product-mug-01", 1, 1, "ProductRetired", &json!({}));
    assert!(view.keys(&retired).is_empty());
    let mut target = view.load("another", None).unwrap();
    target.fold(&order(1, 7, 1, &["mug-01"]));
    assert!(target.document().unwrap().is_none());
    let definitions = Arc::new(OnlyPlan(Arc::new(OwnViewPlan::new(definition(every_fold())))));
    let second = SlotView::new(1, definitions.clone()).unwrap();
    assert!(second.keys(&order(1, 7, 1, &["mug-01"])).is_empty());
    assert_eq!(
        (second.name(), second.name_in(CLASS)),
        ("own_02", "own_02".into())
    );
    assert!(SlotView::new(SLOTS.len(), definitions).is_none());
    assert_eq!(
        (view.name(), &*view.name_in(CLASS)),
        ("own_01", "customers_of_mine")
    );
}

#[test]
fn a_sum_is_exact_beyond_64_bits_in_any_order() {
    let view = view(json!({"name": "sums", "on": ["OrderCreated"], "key": "type",
        "fold": [{"field": "sum", "op": "sum", "of": "data.total.amount"}]}));
    let amounts = [i64::MAX, i64::MAX, -5, i64::MIN];
    let events: Vec<_> = (1..)
        .zip(amounts)
        .map(|(n, amount)| order(n, 7, amount, &["mug-01"]))
        .collect();
    let sum = |events: &[TypedEvent]| folded(&view, events)["OrderCreated"]["sum"].clone();
    assert_eq!(sum(&events[..2]), json!("18446744073709551614"));
    assert_eq!(sum(&events), json!(i64::MAX - 6));
    let backwards: Vec<_> = events.iter().rev().cloned().collect();
    assert_eq!(sum(&backwards), sum(&events));
}

#[test]
fn a_set_that_is_full_keeps_its_least_values_and_says_so_in_any_order() {
    let view = view(json!({"name": "sets", "on": ["OrderCreated"], "key": "type",
        "fold": [{"field": "skus", "op": "set", "of": "data.lines.0.sku"}]}));
    let events: Vec<_> = (1..=1_200)
        .map(|n| order(n, 7, 1, &[format!("sku-{n:04}").as_str()]))
        .collect();
    let forwards = folded(&view, &events);
    let document = &forwards["OrderCreated"];
    assert_eq!(document["skus"].as_array().unwrap().len(), MAX_SET_VALUES);
    assert_eq!(document["skus"][999], "sku-1000");
    assert_eq!(document["truncated"], json!(["skus"]));
    assert_eq!(forwards, folded(&view, events.iter().rev()));
}

#[test]
fn no_definition_makes_a_document_of_more_than_64_kib() {
    let fold = |n: usize| {
        let op = ["set", "last", "min", "max"][n % 4];
        json!({"field": format!("{}{n:02}", "f".repeat(38)), "op": op, "of": "data.reason"})
    };
    let folds: Vec<_> = (0..16).map(fold).collect();
    let view = view(
        json!({"name": "big", "on": ["OrderCancelled"], "key": "type", "group": "data.reason",
        "fold": folds}),
    );
    let events: Vec<_> = (1..=200)
        .map(|n| {
            let reason = format!("{n:03}{}", "\u{1}\"ä".repeat(400));
            let payload = json!({"customer": Uuid::nil(), "reason": reason});
            event(&format!("order-{n}"), 1, 5, "OrderCancelled", &payload)
        })
        .collect();
    let documents = folded(&view, &events);
    let document = &documents["OrderCancelled"];
    assert_eq!(document["truncated"].as_array().unwrap().len(), 16);
    assert_eq!(documents, folded(&view, events.iter().rev()));
    // A key of any length is short, and differs from another with the same beginning.
    let keys: BTreeSet<_> = ["a", "b"].map(|end| key_of(&("x".repeat(9_000) + end))).into();
    assert!(keys.len() == 2 && keys.iter().all(|key| json_bytes(key) <= MAX_KEY_BYTES));
}

proptest! {
    #[test]
    fn every_interleaving_that_keeps_the_streams_order_gives_the_same_documents(
        changes in prop::collection::vec((0..4_u8, 0..3_i64, 1..50_i64), 1..40),
        order in prop::collection::vec(any::<prop::sample::Index>(), 40),
    ) {
        let view = view(json!({
            "name": "prices", "on": ["PriceChanged"], "key": "data.price.currency",
            "fold": [
                {"field": "n", "op": "count"},
                {"field": "sum", "op": "sum", "of": "data.price.amount"},
                {"field": "min", "op": "min", "of": "data.price.amount"},
                {"field": "max", "op": "max", "of": "data.price.amount"},
                {"field": "last", "op": "last", "of": "data.price.amount"},
                {"field": "set", "op": "set", "of": "data.price.amount"},
            ],
            "group": "data.price.amount",
        }));
        // Of several events at one time, those of a stream are in the order of their versions.
        let mut streams: BTreeMap<u8, Vec<TypedEvent>> = BTreeMap::new();
        for (stream, later, amount) in changes {
            let events = streams.entry(stream).or_default();
            let at = events.last().map_or(0, |last| last.recorded_at.as_micros()) + later;
            let version = u64::try_from(events.len()).unwrap() + 1;
            let currency = if amount % 2 == 0 { "EUR" } else { "USD" };
            let payload = json!({"price": {"amount": amount, "currency": currency}});
            events.push(event(&format!("product-{stream}"), version, at, "PriceChanged", &payload));
        }
        let streams: Vec<_> = streams.into_values().collect();
        let one_after_the_other: Vec<_> = streams.iter().flatten().collect();
        let mut heads = vec![0; streams.len()];
        let mut merged = Vec::new();
        for choice in order.iter().cycle() {
            let open: Vec<_> = (0..streams.len()).filter(|n| heads[*n] < streams[*n].len()).collect();
            if open.is_empty() {
                break;
            }
            let stream = open[choice.index(open.len())];
            merged.push(&streams[stream][heads[stream]]);
            heads[stream] += 1;
        }
        prop_assert_eq!(folded(&view, merged), folded(&view, one_after_the_other));
    }
}

#[test]
fn the_schemas_offer_single_values_and_no_personal_ones() {
    let offered = offered_fields();
    let order = offered
        .types
        .iter()
        .find(|of| of.event_type == "OrderCreated")
        .unwrap();
    assert_eq!(order.aggregate, "order");
    let paths: Vec<_> = order.fields.iter().map(|field| field.path.as_str()).collect();
    for path in [
        "data.customer.id",
        "data.lines.0.sku",
        "data.total.amount",
        "data.total.currency",
    ] {
        assert!(paths.contains(&path), "{path}: {paths:?}");
    }
    let kind = |path: &str| order.fields.iter().find(|field| field.path == path).unwrap();
    assert_eq!(kind("data.total.amount").kind, FieldKind::Integer);
    assert!(kind("data.lines.0.sku").optional && !kind("data.total.amount").optional);
    for of in &offered.types {
        for field in &of.fields {
            let path = field.path.strip_prefix("data.").unwrap();
            assert!(
                !personal::PATHS.contains(&(of.event_type.as_str(), path)),
                "{path}"
            );
        }
    }
    assert_eq!(offered.types.len(), DomainEvent::types().count());
}

#[test]
fn the_personal_paths_are_the_fields_that_are_sealed() {
    let (person, order_of) = (Uuid::from_u128(7), Uuid::from_u128(8));
    let price = json!({"amount": 1, "currency": "EUR"});
    let payloads = [
        (
            "UserRegistered",
            json!({"email": "a", "display_name": "a", "role": "customer", "language": "en"}),
        ),
        ("DisplayNameChanged", json!({"display_name": "a"})),
        ("EmailChanged", json!({"email": "a"})),
        (
            "OrderCreated",
            json!({"customer": {"id": order_of, "name": "a"}, "lines": [], "total": price,
                "payment_method": "tok_ok"}),
        ),
    ];
    for (event_type, payload) in payloads {
        let mut typed = event(&format!("user-{person}"), 1, 1, event_type, &payload);
        let stream = typed.stream.clone();
        let sealed = personal::of(&mut typed.payload, &stream).unwrap();
        for field in sealed.fields {
            "sealed".clone_into(field);
        }
        let written: Value = serde_json::from_str(typed.payload.encode().unwrap().get()).unwrap();
        let named = personal::PATHS.iter().filter(|(of, _)| *of == event_type);
        let sealed = named.filter(|(_, path)| {
            let value = path.split('.').try_fold(&written, |value, name| value.get(name));
            value == Some(&json!("sealed"))
        });
        let texts = written.to_string().matches("\"sealed\"").count();
        assert_eq!(sealed.count(), texts, "{event_type}");
    }
}

fn violations(change: impl FnOnce(&mut Value)) -> Vec<(String, String)> {
    let mut value = every_fold();
    change(&mut value);
    let refused = check(&definition(value), |name| name == "mail").unwrap_err();
    let pairs = refused.violations.into_iter();
    pairs
        .map(|violation| (violation.field, violation.message))
        .collect()
}

#[test]
fn a_definition_that_is_not_valid_is_refused_by_its_field_with_what_is_allowed() {
    let fields = |change: fn(&mut Value)| -> Vec<String> {
        violations(change).into_iter().map(|(field, _)| field).collect()
    };
    for name in [
        "",
        "Orders",
        "1st",
        "a-b",
        "orders",
        "own_03",
        "fields",
        "fulfilment",
        "mail",
    ] {
        let found = violations(|value| value["name"] = json!(name));
        assert!(
            found.iter().all(|(field, _)| field == "name"),
            "{name}: {found:?}"
        );
    }
    let long = "a".repeat(41);
    assert_eq!(violations(|value| value["name"] = json!(long)).len(), 1);
    assert_eq!(fields(|value| value["on"] = json!([])), ["on"]);
    assert_eq!(
        fields(|value| value["on"] = json!(["OrderCreated", "NoSuch"])),
        ["on[1]"]
    );
    assert_eq!(
        fields(|value| value["on"] = json!(["OrderCreated", "OrderCreated"])),
        ["on[1]"]
    );
    assert_eq!(
        fields(|value| value["on"] = json!(vec!["OrderCreated"; 21]))[0],
        "on"
    );
    assert_eq!(fields(|value| value["key"] = json!("data.customer")), ["key"]);
    assert_eq!(
        fields(|value| value["key"] = json!("data.customer.name")),
        ["key"]
    );
    assert_eq!(fields(|value| value["key"] = json!("position")), ["key"]);
    assert_eq!(
        fields(|value| value["key"] = json!("data.lines.100.sku")),
        ["key"]
    );
    assert_eq!(fields(|value| value["group"] = json!("x".repeat(121))), ["group"]);
    assert_eq!(fields(|value| value["fold"] = json!([])), ["fold"]);
    let sum_of = |of: &'static str| {
        violations(move |value| value["fold"] = json!([{"field": "sum", "op": "sum", "of": of}]))
    };
    assert_eq!(sum_of("data.payment_method")[0].0, "fold[0].of");
    let (_, message) = &sum_of("data.totals")[0];
    assert!(
        message.starts_with("OrderCreated has no field \"data.totals\"; it has data."),
        "{message}"
    );
    assert_eq!(
        fields(|value| value["fold"] = json!([{"field": "key", "op": "sum"}])),
        ["fold[0].field", "fold[0].of"]
    );
    let twice = json!([{"field": "n", "op": "count"}, {"field": "n", "op": "count"}]);
    assert_eq!(violations(|value| value["fold"] = twice)[0].0, "fold[1].field");
    let many: Vec<_> = (0..17)
        .map(|n| json!({"field": format!("n{n}"), "op": "count"}))
        .collect();
    assert_eq!(violations(|value| value["fold"] = json!(many))[0].0, "fold");
}

#[test]
fn a_key_is_of_every_type_and_a_fold_of_one_at_least() {
    let with_payment = |key: &str| {
        let mut value = every_fold();
        value["on"] = json!(["OrderCreated", "PaymentProcessed"]);
        value["key"] = json!(key);
        check(&definition(value), |_| false)
    };
    assert!(with_payment("stream").is_ok());
    let refused = with_payment("data.customer.id").unwrap_err();
    assert!(refused.detail.contains("PaymentProcessed"), "{}", refused.detail);
}
