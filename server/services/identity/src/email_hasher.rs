//! Keyed hashes (HMAC-SHA-256) that replace email addresses in the log and in tables, so that a reader of
//! these cannot try addresses; the tokens of links in emails are such hashes as well. The key is a separate
//! file in the folder of the other keys, and belongs in a backup: without it no email is found again.

use std::{fs, io::Write as _, path::Path};

use domain::{
    aggregate::{email::Email, user},
    decider::Decider as _,
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
};
use event_store::DigestKey;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use super::{
    passwords::Salt,
    seals::random,
    store::{PeopleError, PersonId},
};

/// The file of the key, in the folder of keys.
const FILE: &str = "emails.key";

/// Hashes email addresses.
#[derive(Clone)]
pub struct EmailHasher {
    key: [u8; 32],
}

impl std::fmt::Debug for EmailHasher {
    /// Never the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmailHasher")
    }
}

impl EmailHasher {
    /// Reads the key of a folder, or creates it if there is none.
    pub fn open(folder: &Path) -> Result<Self, PeopleError> {
        let file = folder.join(FILE);
        let failed = |error: std::io::Error| {
            PeopleError::Unavailable(format!("the key {} cannot be used: {error}", file.display()))
        };
        if !file.exists() {
            let mut options = fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let text = hex::encode(random::<32>()?);
            let mut made = options.open(&file).map_err(failed)?;
            made.write_all(text.as_bytes())
                .and_then(|()| made.sync_all())
                .map_err(failed)?;
        }
        let text = fs::read_to_string(&file).map_err(failed)?;
        let mut key = [0; 32];
        hex::decode_to_slice(text.trim(), &mut key).map_err(|_| {
            PeopleError::Corrupt(format!(
                "{} is not a key of 64 hexadecimal digits",
                file.display()
            ))
        })?;
        Ok(Self { key })
    }

    /// The stream of an address's reservation in a workspace.
    pub fn stream(&self, workspace: WorkspaceId, email: &str) -> Result<StreamName, PeopleError> {
        self.stream_of_spelling(workspace, &user::normalised(email))
    }

    /// The streams in which an address may be reserved in a workspace: that of the address as it is typed,
    /// then that of [`stream`](Self::stream), then those of other [spellings](user::spellings).
    pub fn streams(&self, workspace: WorkspaceId, email: &str) -> Result<Vec<StreamName>, PeopleError> {
        let streams = user::spellings(email).into_iter();
        streams
            .map(|spelling| self.stream_of_spelling(workspace, &spelling))
            .collect()
    }

    /// The hash of an address for sign-in, the same in every workspace.
    pub fn login(&self, email: &str) -> Result<[u8; 32], PeopleError> {
        self.login_of_spelling(&user::normalised(email))
    }

    /// The hashes under which the sign-ins of an address may be stored, in the order of
    /// [`streams`](Self::streams).
    pub fn logins(&self, email: &str) -> Result<Vec<[u8; 32]>, PeopleError> {
        let logins = user::spellings(email).into_iter();
        logins.map(|spelling| self.login_of_spelling(&spelling)).collect()
    }

    /// The salt of the passwords under an address, the same in every workspace and in all spellings.
    pub fn salt(&self, email: &str) -> Result<Salt, PeopleError> {
        let hash = self.hash(&[b"salt"], &user::normalised(email))?;
        let mut salt = Salt::default();
        let length = salt.len();
        salt.copy_from_slice(&hash[..length]);
        Ok(salt)
    }

    /// The token of the link to set a new password that a command has requested for a person.
    pub fn reset_token(&self, of: PersonId, request: Uuid) -> Result<[u8; 32], PeopleError> {
        let about: [&[u8]; 4] = [
            b"password-reset",
            of.workspace.0.as_bytes(),
            of.person.as_bytes(),
            request.as_bytes(),
        ];
        self.hash(&about, "")
    }

    /// The authentication code of a link that confirms an address of a person until a time.
    pub fn confirmation(&self, of: PersonId, until: Timestamp, email: &str) -> Result<[u8; 32], PeopleError> {
        let code = self.confirmation_mac(of, until, email)?;
        Ok(code.finalize().into_bytes().into())
    }

    /// Whether an authentication code is the one of such a link; takes the same time for every wrong one.
    pub fn is_confirmation(
        &self,
        code: &[u8; 32],
        of: PersonId,
        until: Timestamp,
        email: &str,
    ) -> Result<bool, PeopleError> {
        Ok(self
            .confirmation_mac(of, until, email)?
            .verify_slice(code)
            .is_ok())
    }

    fn confirmation_mac(
        &self,
        of: PersonId,
        until: Timestamp,
        email: &str,
    ) -> Result<Hmac<Sha256>, PeopleError> {
        let until = until.as_micros().to_be_bytes();
        let about: [&[u8]; 4] = [
            b"confirmation",
            of.workspace.0.as_bytes(),
            of.person.as_bytes(),
            &until,
        ];
        self.mac(&about, &user::normalised(email))
    }

    /// The key of the digests of commands. It follows from this one, so that it is backed up with it, and the
    /// servers that have the same emails have the same digests.
    pub(super) fn digest_key(&self) -> Result<DigestKey, PeopleError> {
        Ok(DigestKey::new(self.hash(&[b"digests of commands"], "")?))
    }

    fn stream_of_spelling(&self, workspace: WorkspaceId, spelling: &str) -> Result<StreamName, PeopleError> {
        let hash = self.hash(&[b"reservation", workspace.0.as_bytes()], spelling)?;
        StreamName::new(Email::CATEGORY, hex::encode(&hash[..20]))
            .map_err(|error| PeopleError::Corrupt(error.to_string()))
    }

    fn login_of_spelling(&self, spelling: &str) -> Result<[u8; 32], PeopleError> {
        self.hash(&[b"login"], spelling)
    }

    fn hash(&self, about: &[&[u8]], spelling: &str) -> Result<[u8; 32], PeopleError> {
        Ok(self.mac(about, spelling)?.finalize().into_bytes().into())
    }

    fn mac(&self, about: &[&[u8]], spelling: &str) -> Result<Hmac<Sha256>, PeopleError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key)
            .map_err(|error| PeopleError::Corrupt(error.to_string()))?;
        for part in about {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.update(spelling.as_bytes());
        Ok(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_stream_for_each_workspace_that_depends_on_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let hasher = EmailHasher::open(folder.path()).unwrap();
        let [here, there] = [1, 2].map(|n| WorkspaceId(Uuid::from_u128(n)));
        let stream = hasher.stream(here, "ada@example.org").unwrap();
        assert_eq!(stream, hasher.stream(here, " Ada@Example.ORG ").unwrap());
        assert_ne!(stream, hasher.stream(there, "ada@example.org").unwrap());
        assert!(stream.as_str().starts_with("email-") && stream.as_str().len() == 46);
        // the same key after a restart, and another one elsewhere
        let again = EmailHasher::open(folder.path()).unwrap();
        assert_eq!(stream, again.stream(here, "ada@example.org").unwrap());
        let elsewhere = tempfile::tempdir().unwrap();
        let other = EmailHasher::open(elsewhere.path()).unwrap();
        assert_ne!(stream, other.stream(here, "ada@example.org").unwrap());
        assert_ne!(
            other.login("ada@example.org").unwrap(),
            hasher.login("ada@example.org").unwrap()
        );
        let salt = hasher.salt("ada@example.org").unwrap();
        assert_eq!(salt, again.salt(" Ada@Example.ORG ").unwrap());
        for different in [other.salt("ada@example.org"), hasher.salt("eve@example.org")] {
            assert_ne!(salt, different.unwrap());
        }
    }

    #[test]
    fn a_mailbox_has_one_stream_and_earlier_spellings_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let hasher = EmailHasher::open(folder.path()).unwrap();
        let here = WorkspaceId(Uuid::from_u128(1));
        let forms = [
            "zo\u{eb}@m\u{fc}ller.example",
            "Zoe\u{308}@mu\u{308}ller.example",
            "zo\u{eb}@XN--MLLER-KVA.example",
        ];
        let [stream, login] = [
            hasher.stream(here, forms[0]).unwrap().to_string(),
            hex::encode(hasher.login(forms[0]).unwrap()),
        ];
        for form in forms {
            assert_eq!(hasher.stream(here, form).unwrap().as_str(), stream, "{form}");
            assert_eq!(hex::encode(hasher.login(form).unwrap()), login, "{form}");
            for then in forms {
                // what was hashed before there was a normal form
                let then = then.trim().to_lowercase();
                let reserved = hasher.stream_of_spelling(here, &then).unwrap();
                assert!(hasher.streams(here, form).unwrap().contains(&reserved), "{form}");
                let stored = hasher.login_of_spelling(&then).unwrap();
                assert!(hasher.logins(form).unwrap().contains(&stored), "{form}");
            }
        }
        assert_eq!(hasher.streams(here, "ada@example.org").unwrap().len(), 1);
    }

    #[test]
    fn the_tokens_of_links_depend_on_everything_that_they_are_about() {
        let folder = tempfile::tempdir().unwrap();
        let hasher = EmailHasher::open(folder.path()).unwrap();
        let person = |workspace, person| PersonId {
            workspace: WorkspaceId(Uuid::from_u128(workspace)),
            person: Uuid::from_u128(person),
        };
        let (ada, request) = (person(1, 2), Uuid::from_u128(3));
        let token = hasher.reset_token(ada, request).unwrap();
        assert_eq!(token, hasher.reset_token(ada, request).unwrap());
        for (of, request) in [
            (person(4, 2), request),
            (person(1, 4), request),
            (ada, Uuid::from_u128(4)),
        ] {
            assert_ne!(token, hasher.reset_token(of, request).unwrap());
        }
        let until = Timestamp::from_micros(5);
        let code = hasher.confirmation(ada, until, "ada@example.org").unwrap();
        let confirms = |of, until, email| hasher.is_confirmation(&code, of, until, email).unwrap();
        assert!(confirms(ada, until, " Ada@Example.org"));
        for (of, until, email) in [
            (person(4, 2), until, "ada@example.org"),
            (person(1, 4), until, "ada@example.org"),
            (ada, Timestamp::from_micros(6), "ada@example.org"),
            (ada, until, "eve@example.org"),
        ] {
            assert!(!confirms(of, until, email));
        }
    }

    #[test]
    fn an_invalid_key_is_refused_with_its_file_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "nonsense").unwrap();
        let refusal = EmailHasher::open(folder.path()).unwrap_err().to_string();
        assert!(refusal.contains("emails.key"), "{refusal}");
    }
}
