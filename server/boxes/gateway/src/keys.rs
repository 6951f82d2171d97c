//! The signing keys: Ed25519, one PEM file each in a folder that only the server's user may enter.
//!
//! The first start makes one. To rotate, add another whose name sorts last: the last key signs, all verify,
//! and removing a key ends its tokens. The server does not start with a key that other users may read, or
//! that it cannot read; the error names the file.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use clock::Clock;
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, spki::der::pem::LineEnding},
};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use rand::TryRngCore as _;
use sha2::{Digest as _, Sha256};
use telemetry::security::{SecurityEvent, SecurityRecord};

/// The purpose of the keys that sign tokens, among the [fingerprints](KeyRing::fingerprints).
pub const SIGNING: &str = "signing";

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The folder or a file cannot be read or written.
    #[error("the signing key {path} cannot be used: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another user could read it, and so sign tokens.
    #[error("the signing key {path} may be read by others; please run: chmod {wanted} {path}")]
    Permissions {
        /// The file or folder.
        path: PathBuf,
        /// The mode it must have.
        wanted: &'static str,
    },
    /// The file is not an Ed25519 private key.
    #[error("{path} is not an Ed25519 private key in PKCS#8 PEM")]
    Malformed {
        /// The file or folder.
        path: PathBuf,
    },
    /// The machine gave no random bytes, or a key could not be encoded.
    #[error("a signing key cannot be made: {0}")]
    Generation(String),
}

/// The keys that sign and verify.
pub struct KeyRing {
    signing: EncodingKey,
    signing_id: String,
    verifying: HashMap<String, DecodingKey>,
    public: JwkSet,
}

impl std::fmt::Debug for KeyRing {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing")
            .field("signing_id", &self.signing_id)
            .finish_non_exhaustive()
    }
}

impl KeyRing {
    /// The keys of a folder; makes the folder, and a first key in it, where there is none.
    pub fn open(folder: &Path, clock: &dyn Clock) -> Result<Self, KeyError> {
        make_folder(folder)?;
        let mut files = pem_files(folder)?;
        if files.is_empty() {
            // These ids sort by time, and so do the files that are named by them.
            let file = folder.join(format!("{}.pem", clock.new_id()));
            make_key(&file)?;
            SecurityRecord::new(SecurityEvent::SigningKeyCreated).write();
            files.push(file);
        }
        let keys = files
            .iter()
            .map(|file| read_key(file))
            .collect::<Result<Vec<_>, _>>()?;
        let ring = Self::of(&keys).map_err(|error| KeyError::Generation(error.to_string()))?;
        SecurityRecord::new(SecurityEvent::SigningKeyInUse)
            .about(&ring.signing_id)
            .write();
        Ok(ring)
    }

    /// A ring of these keys; the last signs.
    fn of(keys: &[SigningKey]) -> Result<Self, Box<dyn std::error::Error>> {
        let mut verifying = HashMap::new();
        let mut public = JwkSet { keys: Vec::new() };
        let mut signing = None;
        for key in keys {
            let decoding = DecodingKey::from_ed_der(key.verifying_key().as_bytes());
            let mut jwk = Jwk::from_decoding_key(&decoding, Some(Algorithm::EdDSA))?;
            let id = jwk.thumbprint(ThumbprintHash::SHA256)?;
            jwk.common.key_id = Some(id.clone());
            jwk.common.public_key_use = Some(PublicKeyUse::Signature);
            public.keys.push(jwk);
            verifying.insert(id.clone(), decoding);
            signing = Some((EncodingKey::from_ed_der(key.to_pkcs8_der()?.as_bytes()), id));
        }
        let (signing, signing_id) = signing.ok_or("there is no key")?;
        Ok(Self {
            signing,
            signing_id,
            verifying,
            public,
        })
    }

    /// The key that signs, and its id.
    pub(super) fn signing(&self) -> (&EncodingKey, &str) {
        (&self.signing, &self.signing_id)
    }

    /// The key of an id.
    pub(super) fn verifying(&self, id: &str) -> Option<&DecodingKey> {
        self.verifying.get(id)
    }

    /// The fingerprints of these keys and of those in the `.key` files of their folder, each with what the
    /// key is for. They are SHA-256 digests, of public keys and of random ones, and reveal nothing of them.
    pub fn fingerprints(&self, folder: &Path) -> Result<Vec<(String, [u8; 32])>, KeyError> {
        let mut fingerprints: Vec<_> = self
            .verifying
            .keys()
            .map(|id| (SIGNING.to_owned(), fingerprint(SIGNING, id)))
            .collect();
        for file in files(folder, "key")? {
            let purpose = file
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let key = fs::read_to_string(&file).map_err(file_error(&file))?;
            let fingerprint = fingerprint(&purpose, key.trim());
            fingerprints.push((purpose, fingerprint));
        }
        Ok(fingerprints)
    }

    /// The public keys, as `/.well-known/jwks.json` publishes them.
    pub fn public(&self) -> &JwkSet {
        &self.public
    }
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let path = path.to_owned();
    |source| KeyError::File { path, source }
}

#[cfg(unix)]
fn make_folder(folder: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::DirBuilderExt as _;

    if folder.is_dir() {
        return refuse_open(folder, "700");
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(file_error(folder))
}

#[cfg(not(unix))]
fn make_folder(folder: &Path) -> Result<(), KeyError> {
    fs::create_dir_all(folder).map_err(file_error(folder))
}

#[cfg(unix)]
fn refuse_open(path: &Path, wanted: &'static str) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = fs::metadata(path).map_err(file_error(path))?.permissions().mode();
    let others = mode & 0o077;
    if others == 0 {
        Ok(())
    } else {
        Err(KeyError::Permissions {
            path: path.to_owned(),
            wanted,
        })
    }
}

#[cfg(not(unix))]
fn refuse_open(_path: &Path, _wanted: &'static str) -> Result<(), KeyError> {
    Ok(())
}

/// The digest of a key for one purpose: equal keys for two purposes have two fingerprints.
fn fingerprint(purpose: &str, key: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in ["foldline key", purpose, key] {
        digest.update(part);
        digest.update([0]);
    }
    digest.finalize().into()
}

fn pem_files(folder: &Path) -> Result<Vec<PathBuf>, KeyError> {
    files(folder, "pem")
}

/// The files of a folder with this extension, by name.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, KeyError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(file_error(folder))? {
        let path = entry.map_err(file_error(folder))?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_key(file: &Path) -> Result<SigningKey, KeyError> {
    refuse_open(file, "600")?;
    let pem = fs::read_to_string(file).map_err(file_error(file))?;
    SigningKey::from_pkcs8_pem(&pem).map_err(|_| KeyError::Malformed {
        path: file.to_owned(),
    })
}

fn make_key(file: &Path) -> Result<(), KeyError> {
    use io::Write as _;

    let mut seed = [0; 32];
    rand::rngs::OsRng
        .try_fill_bytes(&mut seed)
        .map_err(|error| KeyError::Generation(error.to_string()))?;
    let pem = SigningKey::from_bytes(&seed)
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| KeyError::Generation(error.to_string()))?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut opened = options.open(file).map_err(file_error(file))?;
    opened
        .write_all(pem.as_bytes())
        .and_then(|()| opened.sync_all())
        .map_err(file_error(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clock::SystemClock;

    fn open(folder: &Path) -> Result<KeyRing, KeyError> {
        KeyRing::open(&folder.join("keys"), &SystemClock)
    }

    #[test]
    fn the_first_start_makes_a_key_and_the_next_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path()).unwrap();
        let second = open(folder.path()).unwrap();
        assert_eq!(first.signing().1, second.signing().1);
        assert_eq!(first.public(), second.public());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_a_key() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        open(folder.path()).unwrap();
        let keys = folder.path().join("keys");
        let file = pem_files(&keys).unwrap().remove(0);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&keys), mode(&file)), (0o700, 0o600));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let refusal = open(folder.path()).unwrap_err().to_string();
        assert!(refusal.contains("chmod 600"), "{refusal}");
    }

    #[test]
    fn a_file_that_is_not_a_key_is_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path()).unwrap();
        let file = pem_files(&folder.path().join("keys")).unwrap().remove(0);
        fs::write(&file, "-----BEGIN NOTHING-----").unwrap();
        assert!(matches!(open(folder.path()), Err(KeyError::Malformed { path }) if path == file));
    }

    #[test]
    fn the_newest_key_signs_and_all_verify() {
        let folder = tempfile::tempdir().unwrap();
        let before = open(folder.path()).unwrap();
        make_key(&folder.path().join("keys/zz.pem")).unwrap();
        let after = open(folder.path()).unwrap();
        assert_ne!(before.signing().1, after.signing().1);
        assert!(after.verifying(before.signing().1).is_some());
        assert_eq!(after.public().keys.len(), 2);
    }

    #[test]
    fn a_key_has_the_same_fingerprint_in_every_folder_and_another_key_another() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ring = open(here.path()).unwrap();
        let keys = here.path().join("keys");
        fs::write(keys.join("emails.key"), "00ff\n").unwrap();
        let own = ring.fingerprints(&keys).unwrap();
        let purposes: Vec<&str> = own.iter().map(|(purpose, _)| purpose.as_str()).collect();
        assert_eq!(purposes, [SIGNING, "emails"]);

        let other = open(there.path()).unwrap();
        let elsewhere = there.path().join("keys");
        fs::write(elsewhere.join("emails.key"), "00ff").unwrap();
        let others = other.fingerprints(&elsewhere).unwrap();
        assert_ne!(own[0], others[0]);
        assert_eq!(own[1], others[1]);
        fs::write(elsewhere.join("emails.key"), "00fe").unwrap();
        assert_ne!(own[1], other.fingerprints(&elsewhere).unwrap()[1]);
    }

    #[test]
    fn nothing_of_a_private_key_is_published_or_printed() {
        let folder = tempfile::tempdir().unwrap();
        let keys = open(folder.path()).unwrap();
        let public = serde_json::to_value(keys.public()).unwrap();
        let key = public["keys"][0].as_object().unwrap();
        assert_eq!(
            (&key["kty"], &key["crv"], &key["alg"]),
            (&"OKP".into(), &"Ed25519".into(), &"EdDSA".into())
        );
        assert!(!key.contains_key("d"));
        assert_eq!(key["kid"], keys.signing().1);
    }
}
