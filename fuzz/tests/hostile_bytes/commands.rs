//! Commands, as clients send them: the request, and the data of each command.

use domain::{
    aggregate::{Command, CommandError},
    id::StreamName,
    wire::CommandRequest,
};
use fuzz::{bounded, bytes, check, json_like, prop_assert, same};
use serde_json::Value;

const REQUESTS: &[&str] = &[
    r#"{"type":"PlaceOrder","stream":"order-1","data":{"lines":[{"sku":"mug","quantity":2}],
        "payment_method":"tok_ok"},"expected_version":"no_stream",
        "correlation_id":"0198c1a2-0000-7000-8000-000000000000"}"#,
    r#"{"type":"ListProduct","stream":"product-mug","data":{"sku":"mug","name":"Mug","description":"For tea",
        "price":{"amount":1200,"currency":"EUR"},"tags":["kitchen"]},"expected_version":0}"#,
    r#"{"type":"ChangePrice","stream":"product-mug","data":{"price":{"amount":1,"currency":"JPY"}}}"#,
    r#"{"type":"ReceiveStock","stream":"inventory-mug","data":{"quantity":12}}"#,
    r#"{"type":"ReserveStock","stream":"inventory-mug","data":{"order":"1","quantity":3}}"#,
    r#"{"type":"CancelOrder","stream":"order-1","data":{"reason":"no more"},"expected_version":null}"#,
    r#"{"type":"ProcessPayment","stream":"payment-1","data":{"order":"1",
        "customer":"0198c1a2-0000-7000-8000-000000000000","amount":{"amount":1250,"currency":"EUR"},
        "method":"tok_ok"}}"#,
    r#"{"type":"RegisterUser","stream":"user-0198c1a2-0000-7000-8000-000000000000","data":{
        "email":"ada@example.org","display_name":"Ada","password":"correct horse","role":"customer",
        "language":"de"}}"#,
    r#"{"type":"EraseUser","stream":"user-0198c1a2-0000-7000-8000-000000000000","data":{}}"#,
];

/// The data of an accepted request is a command, or is refused with the field that does not fit.
fn parse_data(request: &CommandRequest, sent: usize) -> Result<(), fuzz::TestCaseError> {
    let Ok(stream) = request.stream.parse::<StreamName>() else {
        return Ok(());
    };
    let Err(error) = Command::parse(&request.command_type, &stream, &request.data) else {
        return Ok(());
    };
    bounded(&error.to_string(), sent)?;
    if let CommandError::Malformed(violation) = error {
        prop_assert!(
            violation.field == "data" || violation.field.starts_with("data."),
            "{violation:?}"
        );
        bounded(&violation.message, sent)?;
    }
    Ok(())
}

#[test]
fn hostile_commands_are_the_same_when_they_are_written_and_read_again() {
    check(&bytes(REQUESTS), |json| {
        match serde_json::from_slice::<CommandRequest>(&json) {
            Ok(request) => {
                let written = serde_json::to_vec(&request).unwrap();
                same(&request, &serde_json::from_slice(&written).unwrap())?;
                parse_data(&request, json.len())
            }
            Err(error) => bounded(&error.to_string(), json.len()),
        }
    });
}

#[test]
fn hostile_commands_with_a_foreign_value_are_refused_with_their_field() {
    check(&json_like(REQUESTS), |json: Value| {
        let sent = json.to_string().len();
        match serde_json::from_value::<CommandRequest>(json) {
            Ok(request) => parse_data(&request, sent),
            Err(error) => bounded(&error.to_string(), sent),
        }
    });
}
