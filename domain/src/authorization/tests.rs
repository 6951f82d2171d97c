//! The rights of each role, as tables with one column for each role.

use serde_json::{Value, json};

use super::*;

const ROLES: [Role; 5] = Role::ALL;

/// Customer, staff, student, educator, system.
type Row = [bool; 5];

const ALL: Row = [true; 5];
const NONE: Row = [false; 5];
const SHOP: Row = [false, true, false, true, true];
const TOP: Row = [false, false, false, true, true];
const SYSTEM: Row = [false, false, false, false, true];
const NOT_CUSTOMERS: Row = [false, true, true, true, true];

fn ada(role: Role) -> Actor {
    Actor {
        id: Uuid::from_u128(1),
        role,
        name: "Ada".to_owned(),
    }
}

fn allowed(question: impl Fn(&Actor) -> bool) -> Row {
    ROLES.map(|role| question(&ada(role)))
}

#[test]
fn each_role_may_send_its_commands_and_no_others() {
    let own = format!("user-{}", Uuid::from_u128(1));
    let user = json!({"user": Uuid::from_u128(1)});
    let order = json!({"lines": [], "payment_method": "tok_ok"});
    let question = json!({"text": "How many?", "choices": 2});
    let table: [(&str, &str, Value, Row); 26] = [
        (
            "RegisterUser",
            &own,
            json!({"email": "a@b.co", "display_name": "A"}),
            ALL,
        ),
        ("ChangeDisplayName", &own, json!({"display_name": "B"}), ALL),
        ("ChangeEmail", &own, json!({"email": "b@b.co"}), ALL),
        ("ChangeLanguage", &own, json!({"language": "de"}), ALL),
        ("EraseUser", &own, json!({}), ALL),
        ("RequestPasswordReset", &own, json!({}), SYSTEM),
        ("RecordPasswordChange", &own, json!({"by_link": true}), SYSTEM),
        ("RequestEmailConfirmation", &own, json!({}), SYSTEM),
        ("ConfirmEmail", &own, json!({}), SYSTEM),
        ("ReserveEmail", "email-1", user.clone(), NONE),
        ("ReleaseEmail", "email-1", user, NONE),
        ("PlaceOrder", "order-1", order, ALL),
        ("CancelOrder", "order-1", json!({"reason": "no"}), ALL),
        ("ShipOrder", "order-1", json!({}), SHOP),
        ("DeliverOrder", "order-1", json!({}), SHOP),
        ("ConfirmOrder", "order-1", json!({}), SYSTEM),
        ("RejectOrder", "order-1", json!({"reason": "no"}), TOP),
        ("RefundOrder", "order-1", json!({"reason": "no"}), SYSTEM),
        ("RefundPayment", "payment-1", json!({"reason": "no"}), SHOP),
        ("RetireProduct", "product-mug", json!({}), SHOP),
        ("ReceiveStock", "inventory-mug", json!({"quantity": 1}), SHOP),
        (
            "ReserveStock",
            "inventory-mug",
            json!({"order": "1", "quantity": 1}),
            TOP,
        ),
        ("ShipStock", "inventory-mug", json!({"order": "1"}), TOP),
        ("AskQuestion", "question-1", question, TOP),
        ("RevealAnswer", "question-1", json!({"right": 1}), TOP),
        (
            "MakePrediction",
            "prediction-1",
            json!({"question": Uuid::from_u128(1), "choice": 1}),
            ALL,
        ),
    ];
    for (name, stream, data, expected) in table {
        let command = Command::parse(name, &stream.parse().unwrap(), &data).unwrap();
        assert_eq!(allowed(|actor| actor.may_command(&command)), expected, "{name}");
    }
}

#[test]
fn each_role_may_read_its_listings_and_no_others() {
    let own = Uuid::from_u128(1).to_string();
    let other = Uuid::from_u128(2).to_string();
    for (view, listing, group, expected) in [
        ("products", "all", "", ALL),
        ("orders", "all", "", NOT_CUSTOMERS),
        ("orders", "by_status", "created", NOT_CUSTOMERS),
        ("orders", "by_customer", own.as_str(), ALL),
        ("orders", "by_customer", other.as_str(), NOT_CUSTOMERS),
        ("inventory", "all", "", NOT_CUSTOMERS),
        ("customers", "all", "", NOT_CUSTOMERS),
        ("customers", "by_spend", "", NOT_CUSTOMERS),
        ("predictions", "questions", "", ALL),
        ("predictions", "by_question", own.as_str(), TOP),
    ] {
        assert_eq!(
            allowed(|actor| actor.may_read_listing(view, listing, group)),
            expected,
            "{view} {listing} {group}"
        );
    }
}

#[test]
fn each_role_may_read_its_documents_and_no_others() {
    let own = Some(Uuid::from_u128(1));
    let other = Some(Uuid::from_u128(2));
    for (view, owner, expected) in [
        ("products", None, ALL),
        ("inventory", None, NOT_CUSTOMERS),
        ("orders", own, ALL),
        ("orders", other, NOT_CUSTOMERS),
        ("customers", own, ALL),
        ("customers", other, NOT_CUSTOMERS),
        ("predictions", None, ALL),
        ("predictions", own, ALL),
        ("predictions", other, TOP),
    ] {
        assert_eq!(
            allowed(|actor| actor.may_read_document(view, owner)),
            expected,
            "{view} {owner:?}"
        );
    }
}
