//! The key that signs checkpoints, and its public half.
//!
//! It is apart from the keys that sign tokens: replacing one must not end the other, and the file may lie on
//! another disk.

use std::{fmt, fs, path::Path, str::FromStr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{
    Signature, Signer as _, SigningKey, VerifyingKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, spki::der::pem::LineEnding},
};
use rand::TryRngCore as _;
use sha2::{Digest as _, Sha256};

use super::{CheckpointError, NAME};

/// The byte that names Ed25519 in a key id and in a verifier.
const ED25519: u8 = 1;

/// The key that signs.
pub struct CheckpointKey {
    key: SigningKey,
    verifier: Verifier,
}

impl fmt::Debug for CheckpointKey {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointKey")
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}

impl CheckpointKey {
    /// The key of a file, which is created with a new one if it does not exist.
    pub fn open(file: &Path) -> Result<Self, CheckpointError> {
        if fs::exists(file).map_err(CheckpointError::file(file))? {
            Self::read(file)
        } else {
            Self::create(file)
        }
    }

    /// The key of a file that exists.
    pub fn read(file: &Path) -> Result<Self, CheckpointError> {
        refuse_open(file)?;
        let pem = fs::read_to_string(file).map_err(CheckpointError::file(file))?;
        let key = SigningKey::from_pkcs8_pem(&pem).map_err(|_| CheckpointError::MalformedKey {
            path: file.to_owned(),
        })?;
        Ok(Self::of(key))
    }

    fn create(file: &Path) -> Result<Self, CheckpointError> {
        use std::io::Write as _;

        let mut seed = [0; 32];
        rand::rngs::OsRng
            .try_fill_bytes(&mut seed)
            .map_err(|error| CheckpointError::Generation(error.to_string()))?;
        let key = SigningKey::from_bytes(&seed);
        let pem = key
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|error| CheckpointError::Generation(error.to_string()))?;
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(CheckpointError::file(folder))?;
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut opened = match options.open(file) {
            Ok(opened) => opened,
            // Another process was faster.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Self::read(file),
            Err(error) => return Err(CheckpointError::file(file)(error)),
        };
        let written = opened.write_all(pem.as_bytes()).and_then(|()| opened.sync_all());
        if let Err(error) = written {
            // Half a key would keep the next start from making one.
            let _ = fs::remove_file(file);
            return Err(CheckpointError::file(file)(error));
        }
        Ok(Self::of(key))
    }

    /// This key.
    pub(super) fn of(key: SigningKey) -> Self {
        let verifier = Verifier::of(NAME.to_owned(), key.verifying_key());
        Self { key, verifier }
    }

    /// Its public half.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The signature of a text.
    pub(super) fn sign(&self, text: &str) -> [u8; 64] {
        self.key.sign(text.as_bytes()).to_bytes()
    }
}

#[cfg(unix)]
fn refuse_open(file: &Path) -> Result<(), CheckpointError> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = fs::metadata(file).map_err(CheckpointError::file(file))?;
    let others = metadata.permissions().mode() & 0o077;
    if others == 0 {
        return Ok(());
    }
    Err(CheckpointError::Permissions {
        path: file.to_owned(),
    })
}

#[cfg(not(unix))]
fn refuse_open(_file: &Path) -> Result<(), CheckpointError> {
    Ok(())
}

/// Verifies the signatures of a key. Its text is `name+id+key`, as tools for signed notes take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

/// A text is no verifier of an Ed25519 key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a verifier is wanted as `foldline checkpoint --print-verifier` writes it: name+id+key")]
pub struct VerifierError;

impl Verifier {
    fn of(name: String, key: VerifyingKey) -> Self {
        let mut digest = Sha256::new();
        digest.update(name.as_bytes());
        digest.update([b'\n', ED25519]);
        digest.update(key.as_bytes());
        let mut id = [0; 4];
        id.copy_from_slice(&digest.finalize()[..4]);
        Self { name, id, key }
    }

    /// The name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the key.
    pub const fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Whether this is the key's signature of a text.
    pub(super) fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok())
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend(self.key.as_bytes());
        let (id, key) = (hex::encode(self.id), BASE64_STANDARD.encode(key));
        write!(f, "{}+{id}+{key}", self.name)
    }
}

impl FromStr for Verifier {
    type Err = VerifierError;

    fn from_str(text: &str) -> Result<Self, VerifierError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VerifierError);
        };
        let key = BASE64_STANDARD.decode(key).map_err(|_| VerifierError)?;
        let Some((&ED25519, key)) = key.split_first() else {
            return Err(VerifierError);
        };
        let key: [u8; 32] = key.try_into().map_err(|_| VerifierError)?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| VerifierError)?;
        let verifier = Self::of(name.to_owned(), key);
        let is_named = !name.is_empty() && !name.chars().any(char::is_whitespace);
        if is_named && hex::encode(verifier.id) == id {
            Ok(verifier)
        } else {
            Err(VerifierError)
        }
    }
}
