//! The HTTP interface under `/api`: one file per group of endpoints, with the handlers and their
//! documentation.
//!
//! The OpenAPI description is generated from the handlers.

mod bots;
mod checkpoints;
mod class;
mod class_results;
mod class_words;
mod commands;
mod copies;
mod dead_letters;
mod dials;
mod docs;
mod email_confirmations;
mod export;
mod follow;
mod handlers;
mod hops;
mod import;
mod invariants;
mod lab;
mod lessons;
mod live;
mod log;
mod mailbox;
mod own_views;
mod password_resets;
mod problems;
mod projections;
mod recordings;
mod reset;
mod schemas;
mod search;
mod session;
mod sessions;
mod settled;
mod verify;
mod views;
mod vocabulary;
mod workspace;
mod workspaces;

use std::time::Duration;

use axum::{
    Json, Router,
    middleware::from_fn,
    routing::{any, get},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    SharedGateway, infographic,
    limits::within,
    problem::{ApiProblem, Kind},
    session_cookie,
};

pub(super) use class::{begin_if_led, class_answer};
pub(super) use commands::carry_out;
pub(super) use copies::entered as entered_copy;
pub(super) use dead_letters::dead_letter_page;
pub(super) use dials::{opened as opened_dials, present_dials};
pub(super) use handlers::{handled_event, handlers as event_handlers};
pub(super) use lessons::learner;
pub(super) use log::{event_answer, newest_events_page, stream_page, streams_page};
pub(super) use mailbox::mailbox_page;
pub(super) use own_views::own_views;
pub(super) use search::found_products;
pub(super) use session::session_info;
pub(super) use sessions::{
    begin_password_attempt, charge_for_signing_in, end as end_session, try_change_password, try_sign_in,
};
pub(super) use views::{encoded_answer, first_page};
pub(super) use workspaces::visit;

/// The path of the OpenAPI description.
const DESCRIPTION_PATH: &str = "/api/v1/openapi.json";

/// The longest time that a client can ask to wait for a view, in milliseconds.
const MAX_WAIT_MS: u64 = 60_000;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Foldline",
        description = "An event-sourced shop: send commands, read views, inspect the log.\n\nErrors are \
            application/problem+json (RFC 9457). Programs send `Authorization: Bearer`; a browser sends a \
            session cookie."
    ),
    modifiers(&Credentials),
    components(schemas(
        vocabulary::ViewName,
        vocabulary::HandlerName,
        vocabulary::BendableHandlerName
    )),
    security(("bearer" = []), ("session" = [])),
    tags(
        (name = "workspaces", description = "A workspace is a tenant: one class, one test or one business."),
        (name = "sessions", description = "Signing in with an account, staying signed in, links by email."),
        (name = "commands", description = "Requests to change something; a rule can reject them."),
        (name = "views",
            description = "Documents and listings of projections, each with its consistency token."),
        (name = "operations",
            description = "The status of projections, dead letters, and whether all is done."),
        (name = "lab",
            description = "The pipeline of a workspace: watched, recorded, and bent and crashed by an \
                educator, to show how it recovers."),
        (name = "lessons",
            description = "Lessons that ask before they show, each run in a sandbox of its own."),
        (name = "class",
            description = "Teaching a class: what it is shown, who is there, and dials in its hands."),
        (name = "picture", description = "The architecture as an infographic, for everyone."),
        (name = "log", description = "Inspection of the event store, for students and educators."),
    )
)]
struct Description;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let cookie = ApiKey::Cookie(ApiKeyValue::new(session_cookie::NAME));
        components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    }
}

/// Names the session's cookie as browsers have it.
fn name_session_cookie(description: &mut utoipa::openapi::OpenApi, https: bool) {
    let name = session_cookie::full_name(session_cookie::NAME, https);
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(name)));
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("session", cookie);
}

/// The routes.
pub fn router(gateway: &SharedGateway) -> Router<SharedGateway> {
    let timeout = gateway.limits.request_timeout();
    let quick = OpenApiRouter::new()
        .routes(routes!(workspaces::open))
        .routes(routes!(workspaces::join))
        .routes(routes!(workspace::purge))
        .routes(routes!(reset::reset))
        .routes(routes!(session::session))
        .routes(routes!(sessions::sign_in, sessions::sign_out))
        .routes(routes!(sessions::refresh))
        .routes(routes!(follow::follow))
        .routes(routes!(copies::enter))
        .routes(routes!(bots::read, bots::begin, bots::end))
        .routes(routes!(sessions::change_password))
        .routes(routes!(password_resets::request_password_reset))
        .routes(routes!(password_resets::complete_password_reset))
        .routes(routes!(email_confirmations::request_email_confirmation))
        .routes(routes!(email_confirmations::complete_email_confirmation))
        .routes(routes!(commands::send))
        .routes(routes!(log::streams))
        .routes(routes!(log::stream))
        .routes(routes!(log::events))
        .routes(routes!(log::event))
        .routes(routes!(checkpoints::checkpoints))
        .routes(routes!(schemas::list))
        .routes(routes!(schemas::read))
        .routes(routes!(live::live))
        .routes(routes!(mailbox::list))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::waiting))
        .routes(routes!(dead_letters::retry_all))
        .routes(routes!(dead_letters::retry))
        .routes(routes!(dead_letters::discard))
        .routes(routes!(handlers::list))
        .routes(routes!(handlers::handled))
        .routes(routes!(projections::list))
        .routes(routes!(projections::rebuild, projections::cancel))
        .routes(routes!(lab::pause))
        .routes(routes!(lab::resume))
        .routes(routes!(lab::crash))
        .routes(routes!(lab::clock, lab::move_clock))
        .routes(routes!(dials::read, dials::set, dials::patch, dials::reset))
        .routes(routes!(dials::bent))
        .routes(routes!(dials::words))
        .routes(routes!(dials::reset_one))
        .routes(routes!(class::read, class::set))
        .routes(routes!(class::hand, class::take_back))
        .routes(routes!(class_words::words))
        .routes(routes!(hops::hops))
        .routes(routes!(invariants::read))
        .routes(routes!(invariants::cure))
        .routes(routes!(own_views::list, own_views::create))
        .routes(routes!(own_views::fields))
        .routes(routes!(own_views::read, own_views::delete))
        .routes(routes!(recordings::list, recordings::keep))
        .routes(routes!(recordings::read, recordings::delete))
        .routes(routes!(lessons::list))
        .routes(routes!(lessons::start))
        .routes(routes!(lessons::runs))
        .routes(routes!(lessons::run, lessons::end))
        .route_layer(from_fn(move |request, next| within(timeout, request, next)));
    // These wait for a view where the client asks for it, or read the whole log.
    let long_timeout = timeout + Duration::from_millis(MAX_WAIT_MS);
    let slow = OpenApiRouter::new()
        .routes(routes!(views::document))
        .routes(routes!(views::listing))
        .routes(routes!(search::search))
        .routes(routes!(settled::settled))
        .routes(routes!(verify::verify))
        .routes(routes!(lessons::step))
        .routes(routes!(export::export))
        .routes(routes!(class_results::results))
        .merge(import::router())
        .routes(routes!(copies::list, copies::make))
        .route_layer(from_fn(move |request, next| within(long_timeout, request, next)));
    let (api, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .nest("/api/v1", quick.merge(slow))
        .merge(infographic::router())
        .split_for_parts();
    problems::describe(&mut description);
    name_session_cookie(&mut description, gateway.https);
    api.route(
        DESCRIPTION_PATH,
        get(move || std::future::ready(Json(description.clone()))),
    )
    .merge(docs::router())
    .route("/api", any(unknown))
    .route("/api/", any(unknown))
    .route("/api/{*path}", any(unknown))
}

/// An unknown path under `/api` is answered with a problem, and never with a page for people.
async fn unknown() -> ApiProblem {
    unknown_path()
}

fn unknown_path() -> ApiProblem {
    ApiProblem::new(
        Kind::NotFound,
        "there is nothing at this path; the interface is described at /api/docs",
    )
}
