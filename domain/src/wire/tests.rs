//! The documented examples are parsed and serialised as documented.

use serde_json::{Value, json};

use super::{ClientFrame, CommandRequest, ExpectedVersion, NamedExpectation, ServerFrame};

fn reads<T: serde::de::DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).unwrap()
}

#[test]
fn expected_versions_are_numbers_or_names() {
    for (json, expected) in [
        (json!(3), ExpectedVersion::Exact(3)),
        (
            json!("no_stream"),
            ExpectedVersion::Named(NamedExpectation::NoStream),
        ),
        (
            json!("stream_exists"),
            ExpectedVersion::Named(NamedExpectation::StreamExists),
        ),
        (json!("any"), ExpectedVersion::Named(NamedExpectation::Any)),
        (json!(null), ExpectedVersion::Any),
    ] {
        assert_eq!(reads::<ExpectedVersion>(json), expected);
    }
    assert!(serde_json::from_value::<ExpectedVersion>(json!("latest")).is_err());
    assert!(serde_json::from_value::<ExpectedVersion>(json!(-1)).is_err());
}

#[test]
fn the_documented_client_frames_are_read() {
    let frames = [
        json!({"op":"subscribe","id":1,"view":"orders","key":"0198"}),
        json!({"op":"subscribe","id":2,"view":"orders","listing":"by_customer","group":"0198",
               "limit":50,"resume":"3:128"}),
        json!({"op":"subscribe","id":7,"lab":"hops"}),
        json!({"op":"subscribe","id":10,"lab":"class"}),
        json!({"op":"unsubscribe","id":2}),
        json!({"op":"command","id":3,"command":{"type":"CancelOrder","stream":"order-0198",
               "data":{"reason":"changed my mind"}},"idempotency_key":"k"}),
        json!({"op":"pong"}),
    ];
    for frame in frames {
        let _: ClientFrame = reads(frame);
    }
}

#[test]
fn the_documented_server_frames_are_read_and_written_back() {
    let frames = [
        json!({"op":"snapshot","id":1,"as_of":"3:127","generation":1,"behind":0,"data":{"id":"0198"}}),
        json!({"op":"snapshot","id":1,"as_of":"3:127","generation":1,"behind":2,
               "data":[{"key":"a","sort":"b","data":{}}]}),
        json!({"op":"change","id":2,"as_of":"3:129","key":"0198","data":null,
               "event":{"id":"00000000-0000-0000-0000-000000000000","type":"OrderCreated",
                        "partition":3,"position":129}}),
        json!({"op":"caught_up","id":2,"as_of":"3:129"}),
        json!({"op":"behind","id":2,"as_of":"3:129","behind":3,"behind_ms":740}),
        json!({"op":"behind","id":2,"as_of":"3:129","behind":3,"behind_ms":740,"paused":true}),
        json!({"op":"hops","id":7,"dropped":0,
               "data":[{"arrow":"append-events","event_id":"00000000-0000-0000-0000-000000000000",
                        "type":"OrderCreated","stream":"order-0198","partition":0,"position":95,
                        "correlation_id":"00000000-0000-0000-0000-000000000000","lane":null,
                        "started_at":"2026-11-29T10:00:00.000001Z","duration_us":412,"outcome":"done"}],
               "merged":[{"arrow":"upsert-projection","from":"2026-11-29T10:00:00.000000Z",
                          "to":"2026-11-29T10:00:00.100000Z","count":812}]}),
        json!({"op":"dials","id":8,"data":{"version":3,"dials":{"broker":{"delay_ms":20}},"bent":[]}}),
        json!({"op":"invariants","id":9,"data":{"checked_to":"0:1","data":[]}}),
        json!({"op":"class","id":10,"data":{"version":2,"locked":false,"present":3}}),
        json!({"op":"ping"}),
    ];
    for frame in frames {
        let read: ServerFrame = reads(frame.clone());
        assert_eq!(serde_json::to_value(&read).unwrap(), frame);
    }
}

#[test]
fn a_command_request_refuses_fields_it_does_not_know() {
    let request = json!({"type":"CancelOrder","stream":"order-1","data":{},"expected":1});
    assert!(serde_json::from_value::<CommandRequest>(request).is_err());
}

#[test]
fn a_client_of_the_lab_reads_no_frames_of_views() {
    let read = ServerFrame::read_of_lab;
    assert!(matches!(read(json!({"op": "ping"})), Ok(ServerFrame::Ping)));
    let hops = json!({"op": "hops", "id": 7, "data": [], "merged": [], "dropped": 2});
    assert!(matches!(
        read(hops),
        Ok(ServerFrame::Hops {
            id: 7,
            dropped: 2,
            ..
        })
    ));
    let caught_up = json!({"op": "caught_up", "id": 7, "as_of": "0:1"});
    assert!(read(caught_up).is_err());
    assert!(read(json!([])).is_err());
}
