//! The page at `/api/docs`: the description of the interface, to read and to try in a browser.
//!
//! It is Swagger UI, inside the binary. A request that is tried there is a real one: it is sent with the
//! session of the browser, or with a token that is typed in.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    extract::Path,
    http::{
        HeaderValue,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use utoipa_swagger_ui::Config;

use super::{DESCRIPTION_PATH, unknown_path};
use crate::{SharedGateway, problem::ApiProblem};

/// Swagger UI has inline styles, and icons with `data:` addresses; its scripts are files of its own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::new([DESCRIPTION_PATH])
        .deep_linking(true)
        .display_request_duration(true)
        .filter(true)
        // by default, a server of Swagger's is asked whether the description is valid
        .validator_url("none");
    Arc::new(config)
});

pub(super) fn router() -> Router<SharedGateway> {
    Router::new()
        // the page names its files relative to itself
        .route("/api/docs", get(|| async { Redirect::permanent("/api/docs/") }))
        .route("/api/docs/", get(|| async { file("index.html") }))
        .route(
            "/api/docs/{file}",
            get(|Path(name): Path<String>| async move { file(&name) }),
        )
}

fn file(name: &str) -> Result<Response, ApiProblem> {
    let served = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG))
        .map_err(ApiProblem::internal)?
        .ok_or_else(unknown_path)?;
    let content_type = HeaderValue::try_from(served.content_type).map_err(ApiProblem::internal)?;
    let mut response = served.bytes.into_owned().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CONTENT_TYPE, content_type);
    Ok(response)
}
