//! Frames of the live socket: those of clients, with the checkpoints from which they resume, and those of
//! servers, which the browser reads.

use domain::wire::{ClientFrame, ServerFrame};
use fuzz::{bounded, bytes, check, json_like, same};
use serde_json::Value;

const OF_CLIENTS: &[&str] = &[
    r#"{"op":"subscribe","id":1,"view":"orders","key":"0198"}"#,
    r#"{"op":"subscribe","id":2,"view":"orders","listing":"by_customer","group":"0198","order":"desc",
        "limit":50,"resume":"0:12,3:128","generation":4}"#,
    r#"{"op":"subscribe","id":7,"lab":"hops"}"#,
    r#"{"op":"unsubscribe","id":18446744073709551615}"#,
    r#"{"op":"command","id":3,"command":{"type":"CancelOrder","stream":"order-1","data":{"reason":"no"}},
        "idempotency_key":"a"}"#,
    r#"{"op":"pong"}"#,
];

const OF_SERVERS: &[&str] = &[
    r#"{"op":"snapshot","id":1,"as_of":"3:127","generation":1,"behind":0,"data":{"a":1}}"#,
    r#"{"op":"snapshot","id":2,"as_of":"3:127","generation":1,"behind":2,
        "data":[{"key":"a","sort":"b","data":{}}],"next":"00"}"#,
    r#"{"op":"change","id":2,"as_of":"3:129","key":"a","data":null,"sort":"b","event":{
        "id":"0198c1a2-0000-7000-8000-000000000000","type":"OrderCreated","partition":3,"position":129}}"#,
    r#"{"op":"caught_up","id":2,"as_of":"0:0"}"#,
    r#"{"op":"behind","id":2,"as_of":"0:1","behind":7,"behind_ms":9,"paused":true}"#,
    r#"{"op":"hops","id":7,"data":[{"arrow":"append-events","event_id":null,"type":"A","stream":"order-1",
        "partition":0,"position":95,"correlation_id":"0198c1a2-0000-7000-8000-000000000000","lane":"orders",
        "started_at":"2026-11-29T10:00:00.000001Z","duration_us":412,"outcome":"retried"}],
        "merged":[{"arrow":"cache-set","from":"2026-11-29T10:00:00Z","to":"2026-11-29T10:00:00.1Z",
        "count":812}],"dropped":3}"#,
    r#"{"op":"error","id":2,"problem":{"type":"/problems/busy","title":"t","status":503,"detail":"d"}}"#,
    r#"{"op":"ping"}"#,
];

#[test]
fn hostile_frames_of_clients_are_the_same_when_they_are_written_and_read_again() {
    check(&bytes(OF_CLIENTS), |json| {
        match serde_json::from_slice::<ClientFrame>(&json) {
            Ok(frame) => {
                let written = serde_json::to_vec(&frame).unwrap();
                same(&frame, &serde_json::from_slice(&written).unwrap())
            }
            Err(error) => bounded(&error.to_string(), json.len()),
        }
    });
}

#[test]
fn hostile_frames_of_clients_with_a_foreign_value_are_refused_with_a_reason() {
    check(&json_like(OF_CLIENTS), |json: Value| {
        let sent = json.to_string().len();
        match serde_json::from_value::<ClientFrame>(json) {
            Ok(_) => Ok(()),
            Err(error) => bounded(&error.to_string(), sent),
        }
    });
}

#[test]
fn hostile_frames_of_servers_are_the_same_when_they_are_written_and_read_again() {
    check(&json_like(OF_SERVERS), |json: Value| {
        let sent = json.to_string().len();
        match ServerFrame::read(json) {
            Ok(frame) => {
                let written = serde_json::to_value(&frame).unwrap();
                same(&frame, &ServerFrame::read(written).unwrap())
            }
            Err(error) => bounded(&error.to_string(), sent),
        }
    });
}
