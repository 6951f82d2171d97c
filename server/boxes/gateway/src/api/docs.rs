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

/// Swagger UI's scripts and styles are files of its own, and it has icons with `data:` addresses. Its logo
/// has the one inline style, which is permitted by its hash.
const POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

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

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn each_inline_style_of_the_page_is_permitted_by_its_hash_and_no_other() {
        let mut hashes = Vec::new();
        for name in ["swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"] {
            let served = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG))
                .unwrap()
                .unwrap();
            let script = String::from_utf8(served.bytes.into_owned()).unwrap();
            for rest in script.split("createElement(\"style\",null,\"").skip(1) {
                let (style, _) = rest.split_once('"').unwrap();
                let hash = STANDARD.encode(Sha256::digest(style.as_bytes()));
                hashes.push(format!("'sha256-{hash}'"));
            }
        }
        let styles = POLICY
            .split("; ")
            .find_map(|directive| directive.strip_prefix("style-src 'self' "))
            .unwrap();
        assert_eq!(styles, hashes.join(" "));
        assert!(!POLICY.contains("unsafe"), "{POLICY}");
    }
}
