//! A command's trace, as a collector gets it over OTLP: from the request through every box to the read model.

use std::collections::HashMap;

use axum::{Router, body::Bytes, extract::State, routing::post};
use domain::wire::{CommandAnswer, WorkspaceAccess};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value as AnyValue,
    trace::v1::Span,
};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::running::{Server, TEST_TIMEOUT};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Starts a collector. Returns its address and the received spans.
async fn collector() -> (String, mpsc::UnboundedReceiver<Span>) {
    let (sender, spans) = mpsc::unbounded_channel();
    let take = async |State(sender): State<mpsc::UnboundedSender<Span>>, body: Bytes| {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        for resource in request.resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            let service = attributes
                .iter()
                .find(|attribute| attribute.key == "service.name");
            let name = service.and_then(|service| service.value.clone()?.value);
            assert_eq!(name, Some(AnyValue::StringValue("foldline".to_owned())));
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                // The receiver is dropped at the end of the test.
                let _ = sender.send(span);
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/traces", post(take)).with_state(sender);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, spans)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commands_trace_leads_from_the_callers_span_through_every_box_to_the_read_model() {
    let (collector, mut spans) = collector().await;
    let server = Server::new(vec!["--otlp-endpoint".to_owned(), collector]);
    server.start();
    let url = server.url(0).await.1;
    let client = reqwest::Client::builder().timeout(TEST_TIMEOUT).build().unwrap();
    let opened: WorkspaceAccess = client
        .post(format!("{url}/api/v1/workspaces"))
        .json(&json!({"template": "empty"}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let answer: CommandAnswer = client
        .post(format!("{url}/api/v1/commands"))
        .bearer_auth(&opened.token)
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .json(&json!({"type": "ReceiveStock", "stream": "inventory-mug", "data": {"quantity": 3}}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let stock: Value = client
        .get(format!(
            "{url}/api/v1/views/inventory/mug?after={}&timeout_ms=60000",
            answer.token
        ))
        .bearer_auth(&opened.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(stock["data"]["on_hand"], 3, "{stock}");
    // The other views and the consumers are waited for too: a lane that is stopped early exports no span.
    let settled = client
        .get(format!("{url}/api/v1/settled?timeout_ms=60000"))
        .bearer_auth(&opened.token)
        .send()
        .await
        .unwrap();
    assert!(settled.status().is_success(), "{}", settled.text().await.unwrap());
    // The remaining spans are exported before the server ends.
    server.stop().await;

    let mut of_trace: HashMap<Vec<u8>, Span> = HashMap::new();
    while let Ok(span) = spans.try_recv() {
        if span.trace_id == hex::decode(TRACE).unwrap() {
            of_trace.insert(span.span_id.clone(), span);
        }
    }
    // From a span up to the caller's.
    let way = |span: &Span| {
        let mut way = vec![span.name.clone()];
        let mut above = span.parent_span_id.clone();
        while let Some(span) = of_trace.get(&above) {
            way.push(span.name.clone());
            above.clone_from(&span.parent_span_id);
        }
        assert_eq!(
            above,
            hex::decode(CALLER).unwrap(),
            "{way:?} begins at the caller's span"
        );
        way.reverse();
        way.join(" > ")
    };
    let ways: Vec<String> = of_trace.values().map(way).collect();
    for expected in [
        "API Gateway",
        "API Gateway > Command Service",
        "API Gateway > Command Service > Aggregate / Domain Logic",
        "API Gateway > Command Service > Event Store",
        "API Gateway > Command Service > Message Broker",
        "API Gateway > Command Service > Projection Worker",
        "API Gateway > Command Service > Projection Worker > Read Model Database",
        "API Gateway > Command Service > Projection Worker > Cache",
    ] {
        assert!(
            ways.iter().any(|way| way == expected),
            "{expected} is not in {ways:#?}"
        );
    }
    let views: Vec<_> = of_trace
        .values()
        .filter(|span| span.name == "Projection Worker")
        .filter_map(|span| {
            let view = span
                .attributes
                .iter()
                .find(|attribute| attribute.key == "projection.view")?;
            view.value.clone()?.value
        })
        .collect();
    // And every consumer.
    for view in domain::view::all() {
        let handled = views
            .iter()
            .filter(|handled| format!("{handled:?}").contains(&format!("{:?}", view.name())));
        assert_eq!(handled.count(), 1, "{} in {views:?}", view.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_collector_does_not_disturb_the_server() {
    let server = Server::new(vec![
        "--otlp-endpoint".to_owned(),
        "http://127.0.0.1:9".to_owned(),
    ]);
    server.start();
    let url = server.url(0).await.1;
    let alive = reqwest::get(format!("{url}/healthz")).await.unwrap();
    assert!(alive.status().is_success());
    tokio::time::timeout(TEST_TIMEOUT, server.stop())
        .await
        .expect("it ends");
}
