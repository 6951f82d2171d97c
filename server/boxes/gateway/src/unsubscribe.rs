//! The link in every mail by which people get no more of them: a page that asks, and a form that does it.
//!
//! Following a link changes nothing, because mail programs follow links to look at them; sending the form does, and so does a
//! mail program that sends it by itself (RFC 8058). The link is signed and good for ever; it says who and where, and opens
//! nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, header::CONTENT_SECURITY_POLICY},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use domain::{
    access::{Actor, Role},
    id::WorkspaceId,
    wire::{CommandRequest, ExpectedVersion},
};
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use tokio::sync::SetOnce;
use url::Url;
use uuid::Uuid;

use super::{SharedGateway, keys::KeyRing, params::Params};
use command::{CommandFailure, Intent};

use mail::Links;

const PATH: &str = "/unsubscribe";
const ISSUER: &str = "foldline";
/// No access token has it, so a link is none; and no link is an access token.
const AUDIENCE: &str = "foldline-unsubscribe";
/// Longer is no link of ours.
const MAX_TOKEN_BYTES: usize = 1_024;

/// A form, and nothing else.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    ws: WorkspaceId,
}

/// Makes the links, and reads them.
#[derive(Debug)]
pub struct UnsubscribeLinks {
    keys: Arc<KeyRing>,
    /// Where people reach us; known at the latest when the server listens. Consumers go on with what a stop has interrupted
    /// before that.
    base: SetOnce<Url>,
}

impl UnsubscribeLinks {
    /// Signed with these keys; they lead to `base`.
    pub fn new(keys: Arc<KeyRing>, base: Option<Url>) -> Self {
        Self {
            keys,
            base: SetOnce::new_with(base),
        }
    }

    /// Where the server listens, in case that nobody has said where people reach it.
    pub fn listens_at(&self, url: &str) {
        if let Ok(url) = url.parse() {
            // Whoever has said so has the last word.
            let _ = self.base.set(url);
        }
    }

    fn signed(&self, workspace: WorkspaceId, user: Uuid) -> Option<String> {
        let (key, key_id) = self.keys.signing();
        let header = Header {
            kid: Some(key_id.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user,
            ws: workspace,
        };
        jsonwebtoken::encode(&header, &claims, key).ok()
    }

    fn read(&self, token: &str) -> Option<Claims> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let key_id = jsonwebtoken::decode_header(token).ok()?.kid?;
        let key = self.keys.verifying(&key_id)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub"]);
        // A mail may be years old.
        validation.validate_exp = false;
        let decoded = jsonwebtoken::decode::<Claims>(token, key, &validation).ok()?;
        Some(decoded.claims)
    }
}

#[async_trait]
impl Links for UnsubscribeLinks {
    async fn unsubscribe(&self, workspace: WorkspaceId, user: Uuid) -> Option<String> {
        let mut link = self.base.wait().await.join(PATH).ok()?;
        let token = self.signed(workspace, user)?;
        link.query_pairs_mut().append_pair("token", &token);
        Some(link.into())
    }
}

/// The routes.
pub(super) fn router() -> Router<SharedGateway> {
    Router::new().route(PATH, get(ask).post(stop))
}

async fn ask(State(gateway): State<SharedGateway>, mut params: Params) -> Response {
    let token = params.text("token").unwrap_or_default();
    if gateway.links.read(&token).is_none() {
        return no_link();
    }
    // The token has no character that means anything in HTML: it was verified.
    page(
        StatusCode::OK,
        "No more mails?",
        &format!(
            "<p>You will get no more mails of this shop. What becomes of your orders is still in your inbox there.</p>\n\
             <form method=\"post\" action=\"{PATH}?token={token}\"><button>No more mails</button></form>"
        ),
    )
}

async fn stop(State(gateway): State<SharedGateway>, mut params: Params) -> Response {
    let token = params.text("token").unwrap_or_default();
    let Some(claims) = gateway.links.read(&token) else {
        return no_link();
    };
    match stop_mails(&gateway, &claims).await {
        Ok(()) => page(
            StatusCode::OK,
            "No more mails",
            "<p>You get no more mails of this shop.</p>",
        ),
        Err(error) => {
            tracing::warn!(workspace = %claims.ws, %error, "somebody could not be unsubscribed");
            page(
                StatusCode::SERVICE_UNAVAILABLE,
                "Not now",
                "<p>This could not be done at the moment. Please try again later.</p>",
            )
        }
    }
}

/// On behalf of whom the link was made for.
async fn stop_mails(gateway: &SharedGateway, claims: &Claims) -> Result<(), CommandFailure> {
    let actor = Actor {
        id: claims.sub,
        role: Role::Customer,
        name: String::new(),
    };
    let request = CommandRequest {
        command_type: "StopMails".to_owned(),
        stream: format!("inbox-{}", claims.sub),
        data: serde_json::json!({}),
        expected_version: ExpectedVersion::Any,
        correlation_id: None,
    };
    let intent = Intent::from_request(claims.ws, &actor, &request, None, None, &*gateway.clock)?;
    match gateway.commands.carry_out(intent).await {
        // Where there is no workspace any more, nobody writes.
        Ok(_) | Err(CommandFailure::UnknownWorkspace(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn no_link() -> Response {
    page(
        StatusCode::NOT_FOUND,
        "No such link",
        "<p>This link is not one of ours, or it is not complete.</p>",
    )
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\"></head>\n\
         <body><main><h1>{title}</h1>\n{body}\n</main></body></html>\n"
    );
    let mut response = (status, Html(html)).into_response();
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures::poll;

    use super::*;
    use clock::SystemClock;

    fn links(folder: &tempfile::TempDir, base: Option<&str>) -> UnsubscribeLinks {
        let keys = KeyRing::open(&folder.path().join("keys"), &SystemClock).unwrap();
        UnsubscribeLinks::new(Arc::new(keys), base.map(|base| base.parse().unwrap()))
    }

    #[tokio::test]
    async fn a_link_that_is_wanted_before_the_server_listens_waits_until_it_does() {
        let folder = tempfile::tempdir().unwrap();
        let links = links(&folder, None);
        let user = Uuid::from_u128(7);
        let mut link = links.unsubscribe(WorkspaceId(Uuid::nil()), user);
        assert_eq!(poll!(&mut link), Poll::Pending);
        links.listens_at("http://127.0.0.1:3000");
        let link = link.await.unwrap();
        let token = link.strip_prefix("http://127.0.0.1:3000/unsubscribe?token=");
        assert_eq!(links.read(token.unwrap()).unwrap().sub, user);
    }

    #[tokio::test]
    async fn a_link_leads_to_where_people_reach_us_and_is_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = WorkspaceId(Uuid::nil());
        let mut made = Vec::new();
        for port in [3000, 3001] {
            let links = links(&folder, Some("https://shop.test"));
            links.listens_at(&format!("http://127.0.0.1:{port}"));
            made.push(links.unsubscribe(workspace, Uuid::from_u128(7)).await.unwrap());
        }
        assert!(
            made[0].starts_with("https://shop.test/unsubscribe?token="),
            "{made:?}"
        );
        assert_eq!(made[0], made[1]);
    }
}
