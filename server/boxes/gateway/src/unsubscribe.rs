//! The unsubscribe link of every email: a confirmation page, and the form that stops the emails.
//!
//! Following the link changes nothing, because email programs follow links to preview them. Sending the form
//! unsubscribes, and so does an email program that posts it by itself (RFC 8058). The link is signed and
//! never expires; it names the person and the workspace, and permits nothing else.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_SECURITY_POLICY},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use domain::{
    access::{Actor, Role},
    id::WorkspaceId,
    language::Language,
    wire::{CommandRequest, ExpectedVersion},
};
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use tokio::sync::SetOnce;
use url::Url;
use uuid::Uuid;

use super::{SharedGateway, keys::KeyRing, language, params::QueryParams};
use command::{CommandFailure, Intent};
use identity::PersonId;

use mail::UnsubscribePage;
use telemetry::security::{SecurityEvent, SecurityRecord};

const PATH: &str = "/unsubscribe";
const ISSUER: &str = "foldline";
/// The audience of links only: a link is not an access token, and an access token is not a link.
const AUDIENCE: &str = "foldline-unsubscribe";
/// The longest token of a link is shorter.
const MAX_TOKEN_BYTES: usize = 1_024;

/// The content security policy of these pages: it permits a form only.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The parameters of a link. Others are ignored: email programs add their own.
#[derive(Deserialize)]
struct LinkParams {
    #[serde(default)]
    token: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    ws: WorkspaceId,
}

/// Signs and verifies the links.
#[derive(Debug)]
pub struct UnsubscribeLinks {
    keys: Arc<KeyRing>,
    /// The public URL of the server, known at the latest when it listens. Consumers start earlier, to resume
    /// what a stop has interrupted, and wait for it.
    base: SetOnce<Url>,
}

impl UnsubscribeLinks {
    /// Links that are signed with these keys and lead to `base`.
    pub fn new(keys: Arc<KeyRing>, base: Option<Url>) -> Self {
        Self {
            keys,
            base: SetOnce::new_with(base),
        }
    }

    /// Uses the address at which the server listens, unless the settings name a public URL.
    pub fn listens_at(&self, url: &str) {
        if let Ok(url) = url.parse() {
            // Has no effect where the public URL is set.
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
        // An email may be years old.
        validation.validate_exp = false;
        let decoded = jsonwebtoken::decode::<Claims>(token, key, &validation).ok()?;
        Some(decoded.claims)
    }
}

impl UnsubscribeLinks {
    /// The link of a user.
    pub(super) async fn link(&self, workspace: WorkspaceId, user: Uuid) -> Option<String> {
        let token = self.signed(workspace, user)?;
        self.to_page(PATH, &token).await
    }

    /// A link to a page of this server, once its public URL is known.
    pub(super) async fn to_page(&self, page: &str, token: &str) -> Option<String> {
        let mut link = self.base.wait().await.join(page).ok()?;
        link.query_pairs_mut().append_pair("token", token);
        Some(link.into())
    }
}

/// The routes.
pub(super) fn router() -> Router<SharedGateway> {
    Router::new().route(PATH, get(show_form).post(unsubscribe))
}

async fn show_form(
    State(gateway): State<SharedGateway>,
    headers: HeaderMap,
    QueryParams(LinkParams { token }): QueryParams<LinkParams>,
) -> Response {
    let claims = gateway.links.read(&token);
    let (language, texts) = texts(&gateway, &headers, claims.as_ref()).await;
    if claims.is_none() {
        return unknown_link(language, texts);
    }
    // A verified token has no character that is special in HTML.
    let body = format!(
        "<p>{}</p>\n<form method=\"post\" action=\"{PATH}?token={token}\"><button>{}</button></form>",
        texts.question_text, texts.action
    );
    page(StatusCode::OK, language, &texts.question, &body)
}

async fn unsubscribe(
    State(gateway): State<SharedGateway>,
    headers: HeaderMap,
    QueryParams(LinkParams { token }): QueryParams<LinkParams>,
) -> Response {
    let claims = gateway.links.read(&token);
    let (language, texts) = texts(&gateway, &headers, claims.as_ref()).await;
    let Some(claims) = claims else {
        SecurityRecord::new(SecurityEvent::UnsubscribeRefused)
            .because("invalid_link")
            .write();
        return unknown_link(language, texts);
    };
    let (status, title, text) = match stop_mails(&gateway, &claims).await {
        Ok(()) => (StatusCode::OK, &texts.done, &texts.done_text),
        Err(error) => {
            tracing::warn!(workspace = %claims.ws, %error, "a person could not be unsubscribed");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                &texts.unavailable,
                &texts.unavailable_text,
            )
        }
    };
    page(status, language, title, &format!("<p>{text}</p>"))
}

/// The texts of these pages, with their language: that of the browser's cookie, or of the link's person, as
/// in the email.
async fn texts(
    gateway: &SharedGateway,
    headers: &HeaderMap,
    claims: Option<&Claims>,
) -> (Language, &'static UnsubscribePage) {
    let account = match claims {
        Some(claims) => {
            let person = PersonId {
                workspace: claims.ws,
                person: claims.sub,
            };
            gateway.people.account(person).await.ok().flatten()
        }
        None => None,
    };
    mail::unsubscribe_page(language::of(headers, account.map(|account| account.language)))
}

/// Sends the command on behalf of the person of the link, unless they have unsubscribed before: the link
/// never expires, and each command would leave an answer.
async fn stop_mails(gateway: &SharedGateway, claims: &Claims) -> Result<(), CommandFailure> {
    if gateway.commands.has_stopped_mails(claims.ws, claims.sub).await? {
        return Ok(());
    }
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
        // A purged workspace sends no emails.
        Ok(_) | Err(CommandFailure::UnknownWorkspace(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn unknown_link(language: Language, texts: &UnsubscribePage) -> Response {
    let body = format!("<p>{}</p>", texts.unknown_text);
    page(StatusCode::NOT_FOUND, language, &texts.unknown, &body)
}

fn page(status: StatusCode, language: Language, title: &str, body: &str) -> Response {
    let direction = language.direction().as_str();
    let html = format!(
        "<!doctype html>\n<html lang=\"{language}\" dir=\"{direction}\"><head><meta charset=\"utf-8\">\
         <title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"robots\" content=\"noindex\"></head>\n\
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
    async fn a_link_that_is_made_before_the_server_listens_waits_until_it_does() {
        let folder = tempfile::tempdir().unwrap();
        let links = links(&folder, None);
        let user = Uuid::from_u128(7);
        let mut link = Box::pin(links.link(WorkspaceId(Uuid::nil()), user));
        assert_eq!(poll!(&mut link), Poll::Pending);
        links.listens_at("http://127.0.0.1:3000");
        let link = link.await.unwrap();
        let token = link.strip_prefix("http://127.0.0.1:3000/unsubscribe?token=");
        assert_eq!(links.read(token.unwrap()).unwrap().sub, user);
    }

    #[tokio::test]
    async fn a_link_leads_to_the_public_url_and_is_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = WorkspaceId(Uuid::nil());
        let mut made = Vec::new();
        for port in [3000, 3001] {
            let links = links(&folder, Some("https://shop.test"));
            links.listens_at(&format!("http://127.0.0.1:{port}"));
            made.push(links.link(workspace, Uuid::from_u128(7)).await.unwrap());
        }
        assert!(
            made[0].starts_with("https://shop.test/unsubscribe?token="),
            "{made:?}"
        );
        assert_eq!(made[0], made[1]);
    }
}
