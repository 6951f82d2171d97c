//! Keyed digests of commands: HMAC-SHA-256 over the SHA-256 of a command's body.
//!
//! The body of a command follows from its events and from what a reader of the database can try, such as the
//! email of an erased person. So no digest is stored that can be computed without the key, which is in no
//! database. Digests of versions that had no key get one in place: the key is applied to the digest, not to
//! the body, so a repetition of an old command is still recognised.

use hmac::{Hmac, Mac as _, digest::Key};
use sha2::Sha256;

/// The digest of a command whose body is not known: it was imported, and digests are never exported. Every
/// command with its id counts as a repetition.
pub const UNKNOWN_BODY: [u8; 32] = *b"an unknown body: it was imported";

/// The key of the digests of commands. Servers on one database have the same.
#[derive(Clone)]
pub struct DigestKey(Hmac<Sha256>);

impl std::fmt::Debug for DigestKey {
    /// Never the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DigestKey(…)")
    }
}

impl DigestKey {
    /// A key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        // HMAC fills up a key that is shorter than a block with zeros, which are there already.
        let mut key = Key::<Hmac<Sha256>>::default();
        key[..bytes.len()].copy_from_slice(&bytes);
        Self(Hmac::new(&key))
    }

    /// The keyed digest of a command whose body has this SHA-256.
    pub fn keyed(&self, body_sha256: &[u8; 32]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(body_sha256);
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyed_digest_is_the_hmac_of_the_digest_and_depends_on_the_key() {
        let digest = [7; 32];
        let keyed = DigestKey::new([1; 32]).keyed(&digest);
        let mut mac = Hmac::<Sha256>::new_from_slice(&[1; 32]).unwrap();
        mac.update(&digest);
        assert_eq!(keyed, <[u8; 32]>::from(mac.finalize().into_bytes()));
        assert_ne!(keyed, DigestKey::new([2; 32]).keyed(&digest));
        assert_ne!(keyed, digest);
        assert_eq!(format!("{:?}", DigestKey::new([1; 32])), "DigestKey(…)");
    }
}
