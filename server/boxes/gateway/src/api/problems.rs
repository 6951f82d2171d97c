//! What the description says about errors: their media type, and the errors that any operation can answer
//! with because they come from a layer before or after it.

use utoipa::openapi::{
    Content, OpenApi, Ref, RefOr, Response,
    path::{Operation, PathItem},
};

/// The media type of errors (RFC 9457).
const PROBLEM: &str = "application/problem+json";

/// Errors of every operation.
const ALWAYS: [(&str, &str); 4] = [
    (
        "400",
        "A part of the path, a parameter or a field is not valid; the problem names it",
    ),
    ("429", "Too many requests; Retry-After says when to come back"),
    (
        "500",
        "A defect of the server, which is in its log under this request's id",
    ),
    (
        "503",
        "A part of the server does not answer; Retry-After says when to come back",
    ),
];

/// Errors of every operation of the API, which reads the client's token.
const OF_TOKENS: [(&str, &str); 2] = [
    ("401", "Not signed in, or the token is not valid"),
    (
        "410",
        "The workspace of the token was purged, or reset: then `workspace` is the one that has its place",
    ),
];

/// Errors of every operation that takes a body.
const OF_BODIES: [(&str, &str); 2] = [
    ("413", "The body is too large"),
    ("415", "The body is not application/json"),
];

/// Adds the errors that are common to all operations, and sets the media type of every error.
pub(super) fn describe(openapi: &mut OpenApi) {
    for (path, item) in &mut openapi.paths.paths {
        let reads_tokens = path.starts_with("/api/");
        let PathItem {
            get,
            put,
            post,
            delete,
            patch,
            ..
        } = item;
        for operation in [get, put, post, delete, patch].into_iter().flatten() {
            complete(operation, reads_tokens);
        }
    }
}

fn complete(operation: &mut Operation, reads_tokens: bool) {
    let of_tokens = OF_TOKENS.into_iter().filter(|_| reads_tokens);
    let of_bodies = operation.request_body.iter().flat_map(|_| OF_BODIES);
    let responses = &mut operation.responses.responses;
    for (status, description) in ALWAYS.into_iter().chain(of_tokens).chain(of_bodies) {
        responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(Response::new(description)));
    }
    for (status, response) in responses {
        if let (true, RefOr::T(response)) = (status.as_str() >= "400", response) {
            let problem = Content::new(Some(Ref::from_schema_name("Problem")));
            response.content.clear();
            response.content.insert(PROBLEM.to_owned(), RefOr::T(problem));
        }
    }
}
