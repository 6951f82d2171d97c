//! Access tokens: JWTs that name the person, the workspace, the role, and the expiry.
//!
//! The algorithm is pinned to EdDSA; a token whose header names another is refused. Expiry is judged by the
//! [`Clock`](clock::Clock). A verified token is cached by its digest, because a signature costs more than
//! everything else that the gateway does with a request. With it is the last acceptance of its session and
//! person, which is used again for a moment; a refusal is never cached.

use std::sync::{Arc, Mutex, PoisonError};

use domain::{
    access::{Actor, Role},
    id::WorkspaceId,
    language::Language,
    timestamp::Timestamp,
};
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::keys::KeyRing;
use clock::SharedClock;
use identity::{
    PersonId,
    session_status::{ACCEPTANCE_TTL, PresentedToken, SessionStatus},
};

/// How long a token of a sandbox is good for, in seconds.
pub const TTL_SECONDS: u64 = 12 * 60 * 60;
/// How far two machines' clocks may differ, in seconds.
const LEEWAY_SECONDS: u64 = 5;
const ISSUER: &str = "foldline";
const AUDIENCE: &str = "foldline-api";
/// The message to a client whose session has ended.
pub const SESSION_ENDED: &str = "this session has ended; sign in again";
/// The longest token that the server makes is shorter.
const MAX_TOKEN_BYTES: usize = 4_096;
const CACHED_TOKENS: u64 = 20_000;

/// The claims of a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    ws: WorkspaceId,
    role: Role,
    name: String,
    iat: u64,
    exp: u64,
    jti: Uuid,
    /// The session, where the person has signed in to an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<Uuid>,
    /// The language of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lang: Option<Language>,
}

/// The session of a person who has signed in to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedIn {
    /// The session.
    pub session: Uuid,
    /// The language of the account.
    pub language: Language,
}

/// The bearer of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The workspace that the token is for.
    pub workspace: WorkspaceId,
    /// The person who acts, with their role.
    pub actor: Actor,
    /// When the token was made, in seconds since 1970.
    pub issued_at: u64,
    /// When it ends, in seconds since 1970.
    pub expires_at: u64,
    /// The session that it belongs to; absent for a guest without an account.
    pub session: Option<Uuid>,
    /// The language of the account; absent for a guest without one.
    pub language: Option<Language>,
    /// The token's own id, which becomes the id of a session where the token registers its person.
    pub token_id: Uuid,
}

impl Bearer {
    /// The person of the token.
    pub fn of(&self) -> PersonId {
        PersonId {
            workspace: self.workspace,
            person: self.actor.id,
        }
    }

    /// The token as the identity service judges it, presented by a program.
    pub fn presented(&self) -> PresentedToken {
        let until = i64::try_from(self.expires_at.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        PresentedToken {
            session: self.session.unwrap_or(self.token_id),
            is_sign_in: self.session.is_some(),
            is_browser: false,
            until: Timestamp::from_micros(until),
        }
    }
}

/// A token whose signature was verified, and the last time that its session and its person were accepted.
#[derive(Debug)]
pub(super) struct VerifiedToken {
    pub(super) bearer: Arc<Bearer>,
    acceptance: Mutex<Option<Acceptance>>,
}

/// What a look-up of a token's session and person found.
#[derive(Debug, Clone, Copy)]
struct Acceptance {
    status: SessionStatus,
    /// The number of changes of sessions before the look-up.
    changes: u64,
    /// In microseconds since 1970.
    until: i64,
}

impl VerifiedToken {
    fn new(bearer: Bearer) -> Self {
        Self {
            bearer: Arc::new(bearer),
            acceptance: Mutex::new(None),
        }
    }

    /// The status with which the token was accepted a moment ago, unless a session has changed since.
    pub(super) fn accepted(&self, changes: u64, now: Timestamp) -> Option<SessionStatus> {
        let acceptance = *self.acceptance.lock().unwrap_or_else(PoisonError::into_inner);
        let acceptance = acceptance.filter(|known| known.changes == changes)?;
        (now.as_micros() < acceptance.until).then_some(acceptance.status)
    }

    /// Notes that a look-up accepted the token. `changes` and `now` were read before the look-up.
    pub(super) fn note(&self, status: SessionStatus, changes: u64, now: Timestamp) {
        let ttl = i64::try_from(ACCEPTANCE_TTL.as_micros()).unwrap_or(0);
        *self.acceptance.lock().unwrap_or_else(PoisonError::into_inner) = Some(Acceptance {
            status,
            changes,
            until: now.as_micros().saturating_add(ttl),
        });
    }
}

/// Why a token is refused. The reasons are few on purpose: a forger learns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// It has expired.
    #[error("the access token has expired; sign in, or open or join the workspace again")]
    Expired,
    /// Its person was erased.
    #[error("the person of this access token was erased")]
    Erased,
    /// Its session has ended, or its person has registered with another token.
    #[error("{SESSION_ENDED}")]
    SessionEnded,
    /// Any other reason: it is malformed, or not signed by this server.
    #[error("the access token is not one of this server")]
    Invalid,
}

impl TokenRefusal {
    /// The reason in one word, for the security log.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Erased => "erased",
            Self::SessionEnded => "session_ended",
            Self::Invalid => "invalid",
        }
    }
}

/// Makes and verifies tokens.
#[derive(Debug, Clone)]
pub struct Tokens {
    keys: Arc<KeyRing>,
    clock: SharedClock,
    validation: Arc<Validation>,
    verified: moka::future::Cache<[u8; 32], Arc<VerifiedToken>>,
}

impl Tokens {
    /// Signs and verifies with these keys; this clock judges expiry.
    pub fn new(keys: Arc<KeyRing>, clock: SharedClock) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library would use the machine's time; `verify` uses the clock.
        validation.validate_exp = false;
        Self {
            keys,
            clock,
            validation: Arc::new(validation),
            verified: moka::future::Cache::new(CACHED_TOKENS),
        }
    }

    /// The keys that sign and verify.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// A token for an actor, good for `ttl` seconds from now.
    pub fn issue(
        &self,
        workspace: WorkspaceId,
        actor: &Actor,
        ttl: u64,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        self.issue_for(workspace, actor, ttl, None)
    }

    /// A token for an actor who has signed in.
    pub fn issue_for(
        &self,
        workspace: WorkspaceId,
        actor: &Actor,
        ttl: u64,
        signed_in: Option<SignedIn>,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let now = seconds(self.clock.now());
        let (key, key_id) = self.keys.signing();
        let header = Header {
            kid: Some(key_id.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: actor.id,
            ws: workspace,
            role: actor.role,
            name: actor.name.clone(),
            iat: now,
            exp: now.saturating_add(ttl),
            jti: self.clock.new_id(),
            sid: signed_in.map(|signed_in| signed_in.session),
            lang: signed_in.map(|signed_in| signed_in.language),
        };
        jsonwebtoken::encode(&header, &claims, key)
    }

    /// Verifies a token, and gives its bearer.
    pub async fn verify(&self, token: &str) -> Result<Arc<Bearer>, TokenRefusal> {
        let verified = self.verified(token).await?;
        Ok(Arc::clone(&verified.bearer))
    }

    /// Verifies a token: its signature once, its expiry each time.
    pub(super) async fn verified(&self, token: &str) -> Result<Arc<VerifiedToken>, TokenRefusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenRefusal::Invalid);
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        let verified = if let Some(verified) = self.verified.get(&digest).await {
            verified
        } else {
            let verified = Arc::new(VerifiedToken::new(self.decode(token)?));
            self.verified.insert(digest, Arc::clone(&verified)).await;
            verified
        };
        if self.has_ended(&verified.bearer) {
            Err(TokenRefusal::Expired)
        } else {
            Ok(verified)
        }
    }

    /// Whether a token's time is over.
    pub fn has_ended(&self, bearer: &Bearer) -> bool {
        seconds(self.clock.now()) > bearer.expires_at.saturating_add(LEEWAY_SECONDS)
    }

    /// Whether more than half of a token's time is over.
    pub fn is_ageing(&self, bearer: &Bearer) -> bool {
        let half = bearer.issued_at.midpoint(bearer.expires_at);
        seconds(self.clock.now()) > half
    }

    /// Seconds until a token ends.
    pub fn seconds_left(&self, bearer: &Bearer) -> u64 {
        bearer.expires_at.saturating_sub(seconds(self.clock.now()))
    }

    fn decode(&self, token: &str) -> Result<Bearer, TokenRefusal> {
        let invalid = |_| TokenRefusal::Invalid;
        let header = jsonwebtoken::decode_header(token).map_err(invalid)?;
        let key = header
            .kid
            .as_deref()
            .and_then(|id| self.keys.verifying(id))
            .ok_or(TokenRefusal::Invalid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation)
            .map_err(invalid)?
            .claims;
        // Process managers act without a token, so no valid token has their role.
        if claims.role == Role::System {
            return Err(TokenRefusal::Invalid);
        }
        Ok(Bearer {
            workspace: claims.ws,
            actor: Actor {
                id: claims.sub,
                role: claims.role,
                name: claims.name,
            },
            issued_at: claims.iat,
            expires_at: claims.exp,
            session: claims.sid,
            language: claims.lang,
            token_id: claims.jti,
        })
    }
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis() / 1_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use clock::Clock;

    #[derive(Debug, Default)]
    struct ManualClock(AtomicI64);

    impl ManualClock {
        fn pass(&self, seconds: i64) {
            self.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(1_795_000_000_000_000 + self.0.load(Ordering::Relaxed))
        }
    }

    fn tokens(folder: &std::path::Path) -> (Tokens, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::default());
        let keys = KeyRing::open(folder, &*clock).unwrap();
        (Tokens::new(Arc::new(keys), clock.clone()), clock)
    }

    fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        (folder, keys)
    }

    fn ada(role: Role) -> Actor {
        Actor {
            id: Uuid::from_u128(7),
            role,
            name: "Ada".to_owned(),
        }
    }

    const SHOP: WorkspaceId = WorkspaceId(Uuid::from_u128(1));

    #[tokio::test]
    async fn a_token_names_its_person_workspace_and_expiry() {
        let (_folder, keys) = folder();
        let (tokens, _) = tokens(&keys);
        let token = tokens.issue(SHOP, &ada(Role::Student), 60).unwrap();
        let bearer = tokens.verify(&token).await.unwrap();
        assert_eq!((bearer.workspace, &bearer.actor), (SHOP, &ada(Role::Student)));
        assert_eq!(bearer.expires_at - bearer.issued_at, 60);
    }

    #[tokio::test]
    async fn a_token_of_an_account_has_its_language() {
        let (_folder, keys) = folder();
        let (tokens, _) = tokens(&keys);
        let signed_in = SignedIn {
            session: Uuid::from_u128(9),
            language: Language::De,
        };
        let token = tokens
            .issue_for(SHOP, &ada(Role::Student), 60, Some(signed_in))
            .unwrap();
        let bearer = tokens.verify(&token).await.unwrap();
        assert_eq!(
            (bearer.session, bearer.language),
            (Some(signed_in.session), Some(Language::De))
        );
        let guest = tokens.issue(SHOP, &ada(Role::Student), 60).unwrap();
        assert_eq!(tokens.verify(&guest).await.unwrap().language, None);
    }

    #[tokio::test]
    async fn a_cached_token_expires_too() {
        let (_folder, keys) = folder();
        let (tokens, clock) = tokens(&keys);
        let token = tokens.issue(SHOP, &ada(Role::Student), 60).unwrap();
        tokens.verify(&token).await.unwrap();
        clock.pass(31);
        assert!(tokens.is_ageing(&tokens.verify(&token).await.unwrap()));
        clock.pass(40);
        assert_eq!(tokens.verify(&token).await, Err(TokenRefusal::Expired));
    }

    #[tokio::test]
    async fn an_acceptance_is_used_again_for_a_moment_and_until_a_session_changes() {
        let (_folder, keys) = folder();
        let (tokens, clock) = tokens(&keys);
        let token = tokens.issue(SHOP, &ada(Role::Student), 60).unwrap();
        let verified = tokens.verified(&token).await.unwrap();
        let now = clock.now();
        assert_eq!(verified.accepted(7, now), None);
        verified.note(SessionStatus::Guest, 7, now);
        // The next request has the same token, and so the same acceptance.
        let verified = tokens.verified(&token).await.unwrap();
        assert_eq!(verified.accepted(7, now), Some(SessionStatus::Guest));
        assert_eq!(verified.accepted(8, now), None);
        clock.pass(1);
        assert_eq!(verified.accepted(7, clock.now()), None);
    }

    #[tokio::test]
    async fn what_is_forged_is_refused() {
        let (_folder, keys) = folder();
        let (_other_folder, other_keys) = folder();
        let (stranger, _) = tokens(&other_keys);
        let (tokens, _) = tokens(&keys);
        let token = tokens.issue(SHOP, &ada(Role::Student), 60).unwrap();
        let [header, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
        let of_a_stranger = stranger.issue(SHOP, &ada(Role::Educator), 60).unwrap();
        let none = base64_of(br#"{"alg":"none","typ":"JWT"}"#);
        let hmac = base64_of(br#"{"alg":"HS256","typ":"JWT"}"#);
        let mut changed = claims.to_owned();
        changed.replace_range(4..5, if &claims[4..5] == "A" { "B" } else { "A" });
        for forged in [
            of_a_stranger,
            format!("{none}.{claims}."),
            format!("{none}.{claims}.{signature}"),
            format!("{hmac}.{claims}.{signature}"),
            format!("{header}.{changed}.{signature}"),
            format!("{header}.{claims}."),
            format!("{header}.{claims}"),
            "x".repeat(10_000),
            String::new(),
        ] {
            assert_eq!(
                tokens.verify(&forged).await,
                Err(TokenRefusal::Invalid),
                "{forged}"
            );
        }
    }

    #[tokio::test]
    async fn a_token_with_the_system_role_is_refused() {
        let (_folder, keys) = folder();
        let (tokens, _) = tokens(&keys);
        let token = tokens.issue(SHOP, &ada(Role::System), 60).unwrap();
        assert_eq!(tokens.verify(&token).await, Err(TokenRefusal::Invalid));
    }

    /// URL-safe base64 without padding (RFC 4648, section 5), to write a header by hand.
    fn base64_of(bytes: &[u8]) -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let bits = chunk
                .iter()
                .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            for n in 0..=chunk.len() {
                text.push(char::from(ALPHABET[(bits >> (18 - 6 * n) & 63) as usize]));
            }
        }
        text
    }
}
