//! Seals personal data before it is stored, and opens it where it is shown.
//!
//! A text is sealed as `sealed:<person>:<base64url of nonce and ciphertext>` with AES-256-GCM under the
//! person's own key. Workspace and person are the associated data, so that a sealed text cannot be opened
//! elsewhere. If the key is destroyed or absent, `erased` is shown. JSON without sealed texts costs one
//! search through its bytes.
//!
//! Keys are cached. With several servers on one database, an erasure at another server takes effect here
//! within [`SHARED_KEY_TTL`]. That a person has no key is cached only for those who ask whether it was
//! destroyed: a sealed text proves that there was a key when it was stored, so to open one the absence is
//! read again. Another server may have made the key in the meantime.

use std::{collections::HashMap, sync::Arc, time::Duration};

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use documents::{Opener, SealError};
use domain::{
    event::personal::{self, ERASED, MARKER},
    id::WorkspaceId,
};
use memchr::memmem;
use moka::future::Cache;
use rand::TryRngCore as _;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    session_status::ACCEPTANCE_TTL,
    store::{PeopleError, PeopleStore, PersonId, StoredKey},
};

/// How long a cached key is used where other servers may destroy it.
pub const SHARED_KEY_TTL: Duration = Duration::from_secs(2);

/// The most cached keys.
const KEYS: u64 = 50_000;

/// The bytes of a nonce. It is random, which is safe for far more texts than a person has.
const NONCE: usize = 12;

/// The beginning of a sealed text in JSON.
const IN_JSON: &[u8] = b"\"sealed:";

/// The cached key of a person.
#[derive(Clone)]
enum Key {
    Cipher(Arc<Aes256Gcm>),
    Destroyed,
    /// The person never had one.
    Absent,
}

/// Seals and opens personal texts under the keys of people.
#[derive(Clone)]
pub struct Seals {
    store: Arc<dyn PeopleStore>,
    keys: Cache<PersonId, Key>,
}

impl std::fmt::Debug for Seals {
    /// Never the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seals")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Seals {
    /// Seals with the keys of a store.
    pub fn new(store: Arc<dyn PeopleStore>) -> Self {
        let mut keys = Cache::builder()
            .max_capacity(KEYS)
            .support_invalidation_closures();
        if store.is_shared() {
            // A caller may use the acceptance of a token a little longer than the key that it relies on.
            keys = keys.time_to_live(SHARED_KEY_TTL.saturating_sub(ACCEPTANCE_TTL));
        }
        Self {
            keys: keys.build(),
            store,
        }
    }

    /// Seals texts of a person in place. Those of an erased person are lost: there is no key, and no new one
    /// is created.
    pub async fn seal(
        &self,
        workspace: WorkspaceId,
        person: Uuid,
        texts: Vec<&mut String>,
    ) -> Result<(), PeopleError> {
        let of = PersonId { workspace, person };
        let cipher = self.key_to_seal(of).await?;
        for text in texts {
            let sealed = match &cipher {
                Some(cipher) => encrypt(cipher, of, text)?,
                None => Vec::new(),
            };
            *text = format!("{MARKER}{person}:{}", URL_SAFE_NO_PAD.encode(sealed));
        }
        Ok(())
    }

    /// Creates keys for people who have none, in one transaction, so that sealing their first texts writes
    /// nothing.
    pub async fn make_keys(&self, workspace: WorkspaceId, people: &[Uuid]) -> Result<(), PeopleError> {
        let mut new = Vec::with_capacity(people.len());
        for person in people {
            let of = PersonId {
                workspace,
                person: *person,
            };
            new.push((of, random()?));
        }
        self.store.keep_keys(&new).await
    }

    /// Opens a sealed text; `None`: its key is gone. A text that is not sealed is returned unchanged.
    pub async fn opened(&self, workspace: WorkspaceId, text: &str) -> Result<Option<String>, PeopleError> {
        let Some((person, sealed)) = personal::parts(text) else {
            return Ok(Some(text.to_owned()));
        };
        let of = PersonId { workspace, person };
        Ok(match self.key_to_open(of).await? {
            Key::Cipher(cipher) => decrypt(&cipher, of, sealed),
            Key::Destroyed | Key::Absent => None,
        })
    }

    /// Opens every sealed text in JSON; `None`: there is none.
    async fn open_in(&self, workspace: WorkspaceId, json: &[u8]) -> Result<Option<Vec<u8>>, PeopleError> {
        let found = sealed_in(json);
        if found.is_empty() {
            return Ok(None);
        }
        let mut keys = HashMap::new();
        for SealedText { person, .. } in &found {
            if !keys.contains_key(person) {
                let key = self
                    .key_to_open(PersonId {
                        workspace,
                        person: *person,
                    })
                    .await?;
                keys.insert(*person, key);
            }
        }
        let mut opened = Vec::with_capacity(json.len());
        let mut copied = 0;
        for SealedText {
            begin,
            end,
            person,
            sealed,
        } in found
        {
            let of = PersonId { workspace, person };
            let text = match keys.get(&person) {
                Some(Key::Cipher(cipher)) => decrypt(cipher, of, sealed),
                _ => None,
            };
            opened.extend_from_slice(&json[copied..begin]);
            let text = serde_json::to_string(text.as_deref().unwrap_or(ERASED))
                .map_err(|error| PeopleError::Corrupt(error.to_string()))?;
            opened.extend_from_slice(text.as_bytes());
            copied = end;
        }
        opened.extend_from_slice(&json[copied..]);
        Ok(Some(opened))
    }

    /// Whether a person's key was destroyed.
    pub async fn is_destroyed(&self, workspace: WorkspaceId, person: Uuid) -> Result<bool, PeopleError> {
        let key = self.key(PersonId { workspace, person }).await?;
        Ok(matches!(key, Key::Destroyed))
    }

    /// Removes a person's cached key, before and after it is destroyed.
    pub(super) async fn forget(&self, of: PersonId) {
        self.keys.invalidate(&of).await;
    }

    /// Removes the cached keys of a workspace that has ended.
    pub(super) fn end(&self, workspace: WorkspaceId) {
        let is_of_it = move |of: &PersonId, _: &Key| of.workspace == workspace;
        // Only a cache that was built without support for closures refuses one.
        if let Err(error) = self.keys.invalidate_entries_if(is_of_it) {
            tracing::error!(%error, "keys of a purged workspace stay in memory until they are evicted");
        }
    }

    async fn key(&self, of: PersonId) -> Result<Key, PeopleError> {
        match self.keys.get(&of).await {
            Some(key) => Ok(key),
            None => self.read_key(of).await,
        }
    }

    /// The key for a text that is sealed under it: a cached absence may be older than the text.
    async fn key_to_open(&self, of: PersonId) -> Result<Key, PeopleError> {
        match self.keys.get(&of).await {
            Some(key @ (Key::Cipher(_) | Key::Destroyed)) => Ok(key),
            Some(Key::Absent) | None => self.read_key(of).await,
        }
    }

    async fn read_key(&self, of: PersonId) -> Result<Key, PeopleError> {
        let key = match self.store.key(of).await? {
            None => Key::Absent,
            Some(stored) => Key::of(&stored),
        };
        self.keys.insert(of, key.clone()).await;
        Ok(key)
    }

    /// The key of a person, created if there is none; `None`: it was destroyed.
    async fn key_to_seal(&self, of: PersonId) -> Result<Option<Arc<Aes256Gcm>>, PeopleError> {
        match self.key(of).await? {
            Key::Cipher(cipher) => return Ok(Some(cipher)),
            Key::Destroyed => return Ok(None),
            Key::Absent => {}
        }
        let made = self.store.keep_key(of, &random()?).await?;
        let key = Key::of(&made);
        self.keys.insert(of, key.clone()).await;
        Ok(match key {
            Key::Cipher(cipher) => Some(cipher),
            Key::Destroyed | Key::Absent => None,
        })
    }
}

#[async_trait]
impl Opener for Seals {
    async fn open_text(&self, workspace: WorkspaceId, text: &str) -> Result<String, SealError> {
        let opened = self.opened(workspace, text).await?;
        Ok(opened.unwrap_or_else(|| ERASED.to_owned()))
    }

    async fn open_json(
        &self,
        workspace: WorkspaceId,
        json: Box<RawValue>,
    ) -> Result<Box<RawValue>, SealError> {
        match self.open_in(workspace, json.get().as_bytes()).await? {
            None => Ok(json),
            Some(opened) => {
                let text = String::from_utf8(opened).ok();
                let json = text.and_then(|text| RawValue::from_string(text).ok());
                let is_no_json =
                    || SealError::Unavailable("a document with sealed texts is not JSON".to_owned());
                json.ok_or_else(is_no_json)
            }
        }
    }

    async fn open_bytes(&self, workspace: WorkspaceId, json: Bytes) -> Result<Bytes, SealError> {
        Ok(self.open_in(workspace, &json).await?.map_or(json, Bytes::from))
    }

    async fn knows_person(&self, workspace: WorkspaceId, person: Uuid) -> Result<bool, SealError> {
        let key = self.key_to_open(PersonId { workspace, person }).await?;
        Ok(!matches!(key, Key::Absent))
    }
}

impl Key {
    fn of(stored: &StoredKey) -> Self {
        match stored {
            StoredKey::Key(bytes) => Self::Cipher(Arc::new(Aes256Gcm::new(bytes.into()))),
            StoredKey::Destroyed => Self::Destroyed,
        }
    }
}

/// Random bytes from the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], PeopleError> {
    let mut bytes: [u8; N] = [0; N];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(|error| {
        PeopleError::Unavailable(format!("the operating system gave no random bytes: {error}"))
    })?;
    Ok(bytes)
}

/// Workspace and person, as associated data of the encryption.
fn associated_data(of: PersonId) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(of.workspace.0.as_bytes());
    bytes[16..].copy_from_slice(of.person.as_bytes());
    bytes
}

fn encrypt(cipher: &Aes256Gcm, of: PersonId, text: &str) -> Result<Vec<u8>, PeopleError> {
    let nonce: [u8; NONCE] = random()?;
    let payload = Payload {
        msg: text.as_bytes(),
        aad: &associated_data(of),
    };
    let encrypted = cipher
        .encrypt(&nonce.into(), payload)
        .map_err(|_| PeopleError::Corrupt("a text is too long to be sealed".to_owned()))?;
    Ok([&nonce[..], &encrypted].concat())
}

fn decrypt(cipher: &Aes256Gcm, of: PersonId, sealed: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (nonce, encrypted) = bytes.split_first_chunk::<NONCE>()?;
    let payload = Payload {
        msg: encrypted,
        aad: &associated_data(of),
    };
    let text = cipher.decrypt(&(*nonce).into(), payload).ok()?;
    String::from_utf8(text).ok()
}

/// A sealed text in JSON, with the range of its string literal.
struct SealedText<'a> {
    begin: usize,
    end: usize,
    person: Uuid,
    sealed: &'a str,
}

/// Every sealed text in JSON. A sealed text has no character that JSON escapes, so it ends at the next
/// quotation mark; one after a backslash is inside another string and is skipped.
fn sealed_in(json: &[u8]) -> Vec<SealedText<'_>> {
    memmem::find_iter(json, IN_JSON)
        .filter(|begin| *begin == 0 || json[begin - 1] != b'\\')
        .filter_map(|begin| {
            let inner = &json[begin + 1..];
            let length = memchr::memchr(b'"', inner)?;
            let (person, sealed) = personal::parts(std::str::from_utf8(&inner[..length]).ok()?)?;
            Some(SealedText {
                begin,
                end: begin + length + 2,
                person,
                sealed,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqlitePeople;

    const SHOP: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
    const ADA: Uuid = Uuid::from_u128(7);

    async fn seals() -> (Seals, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqlitePeople::open(&folder.path().join("people.db"))
            .await
            .unwrap();
        (Seals::new(Arc::new(store)), folder)
    }

    async fn seal(seals: &Seals, text: &str) -> String {
        let mut sealed = text.to_owned();
        seals.seal(SHOP, ADA, vec![&mut sealed]).await.unwrap();
        sealed
    }

    #[tokio::test]
    async fn a_sealed_text_is_unreadable_and_opens_to_the_original() {
        let (seals, _folder) = seals().await;
        let text = "Ada \"Countess\" Lovelace\n";
        let sealed = seal(&seals, text).await;
        assert!(sealed.starts_with(&format!("sealed:{ADA}:")) && !sealed.contains("Ada"));
        assert_ne!(sealed, seal(&seals, text).await, "no two are the same");
        assert_eq!(seals.open_text(SHOP, &sealed).await.unwrap(), text);
        assert_eq!(seals.open_text(SHOP, "Bob").await.unwrap(), "Bob");
    }

    #[tokio::test]
    async fn keys_are_made_together_and_a_key_is_kept() {
        let (seals, _folder) = seals().await;
        let sealed = seal(&seals, "Ada").await;
        let bob = Uuid::from_u128(8);
        seals.make_keys(SHOP, &[ADA, bob]).await.unwrap();
        let afresh = Seals::new(Arc::clone(&seals.store));
        assert_eq!(afresh.open_text(SHOP, &sealed).await.unwrap(), "Ada");
        let key = async || {
            let of = PersonId {
                workspace: SHOP,
                person: bob,
            };
            seals.store.key(of).await.unwrap()
        };
        let before = key().await;
        assert!(matches!(before, Some(StoredKey::Key(_))));
        seal(&seals, "Bob").await;
        assert!(before == key().await);
    }

    #[tokio::test]
    async fn in_json_every_sealed_text_is_opened_and_the_rest_stays_unchanged() {
        let (seals, _folder) = seals().await;
        let name = seal(&seals, "A\"da").await;
        let json = format!(
            r#"{{"b": 1.50, "name":"{name}","said":"\"{name}\"","list":["{name}"],"a":"sealed: dry"}}"#
        );
        let opened = seals
            .open_json(SHOP, RawValue::from_string(json.clone()).unwrap())
            .await
            .unwrap();
        let expected = format!(
            r#"{{"b": 1.50, "name":"A\"da","said":"\"{name}\"","list":["A\"da"],"a":"sealed: dry"}}"#
        );
        assert_eq!(opened.get(), expected);
        let bytes = seals.open_bytes(SHOP, Bytes::from(json)).await.unwrap();
        assert_eq!(bytes, expected.as_bytes());
        assert_eq!(seals.open_bytes(SHOP, Bytes::from("[]")).await.unwrap(), "[]");
    }

    /// Given two servers on one store of keys, when one has noted that a person has no key, and the other
    /// seals that person's first text, then the first opens it all the same.
    #[tokio::test]
    async fn a_text_opens_at_a_server_that_has_cached_the_absence_of_its_key() {
        let (one, _folder) = seals().await;
        let other = Seals::new(Arc::clone(&one.store));
        assert!(!other.is_destroyed(SHOP, ADA).await.unwrap());
        assert!(!other.knows_person(SHOP, ADA).await.unwrap());
        let sealed = seal(&one, "Ada").await;
        assert!(!other.is_destroyed(SHOP, ADA).await.unwrap());
        let json = RawValue::from_string(format!(r#"{{"name":"{sealed}"}}"#)).unwrap();
        assert_eq!(
            other.open_json(SHOP, json).await.unwrap().get(),
            r#"{"name":"Ada"}"#
        );
        // Opening has cached the key, so the absence is cached once more for a text alone.
        let of = PersonId {
            workspace: SHOP,
            person: ADA,
        };
        other.keys.insert(of, Key::Absent).await;
        assert_eq!(other.open_text(SHOP, &sealed).await.unwrap(), "Ada");
        assert!(other.knows_person(SHOP, ADA).await.unwrap());
    }

    #[tokio::test]
    async fn a_sealed_text_does_not_open_in_another_workspace_or_for_another_person_or_changed() {
        let (seals, _folder) = seals().await;
        let sealed = seal(&seals, "Ada").await;
        let elsewhere = WorkspaceId(Uuid::from_u128(2));
        // the person has a key there too
        let mut other = "Ada".to_owned();
        seals.seal(elsewhere, ADA, vec![&mut other]).await.unwrap();
        assert_eq!(seals.open_text(elsewhere, &sealed).await.unwrap(), ERASED);
        let (head, last) = sealed.split_at(sealed.len() - 6);
        let changed = format!(
            "{head}{}",
            if last.starts_with('A') { "BAAAAA" } else { "AAAAAA" }
        );
        assert_eq!(seals.open_text(SHOP, &changed).await.unwrap(), ERASED);
        assert_eq!(
            seals.open_text(SHOP, &format!("sealed:{ADA}:")).await.unwrap(),
            ERASED
        );
    }
}
