//! Passwords: Argon2id with the parameters that its library recommends, on separate threads and never more at
//! a time than half of the cores, because each hash costs memory and time that other requests need. A server
//! for tests hashes with Argon2's least parameters.
//!
//! The salt is the caller's. It is made of the email, so that one hash finds an email's accounts in all
//! workspaces: see [`EmailHasher::salt`](super::email_hasher::EmailHasher::salt).

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::SaltString,
};
use domain::aggregate::user::Password;
use tokio::sync::Semaphore;

use super::store::PeopleError;

/// A hash of no account's password: verified where there is no account, so that both answers take the same
/// time.
const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$Zm9sZGxpbmUtbm9ib2R5$YcvUS4N1BjRhUt5p6HFwXGhHhaRsRJHS0hyl5PZiVAk";

/// The same with [`HashCost::Least`].
const DUMMY_HASH_AT_LEAST_COST: &str =
    "$argon2id$v=19$m=8,t=1,p=1$Zm9sZGxpbmUtbm9ib2R5$YcvUS4N1BjRhUt5p6HFwXGhHhaRsRJHS0hyl5PZiVAk";

/// A salt of a password.
pub type Salt = [u8; 16];

/// The memory of a hash in KiB, its passes and its threads. They do not follow the library's defaults: a
/// stored hash is found by making it again.
const RECOMMENDED: (u32, u32, u32) = (19 * 1_024, 2, 1);

/// The cost of a hash, for an attacker who guesses and for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HashCost {
    /// The parameters that Argon2's library recommends.
    #[default]
    Recommended,
    /// Argon2's least parameters: for tests, since they protect no password.
    Least,
}

/// Hashes and verifies passwords.
#[derive(Debug)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    cost: HashCost,
    /// How many hashes were made.
    made: Arc<AtomicU64>,
}

impl Passwords {
    /// Hashes new passwords at this cost.
    pub fn new(cost: HashCost) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            slots: Arc::new(Semaphore::new(cores.div_ceil(2))),
            cost,
            made: Arc::default(),
        }
    }

    /// How many hashes were made until now, for the tests of what a sign-in costs.
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// The hash of a password, with its salt and its parameters. The same password and salt have the same
    /// hash.
    pub async fn hash(&self, password: &Password, salt: Salt) -> Result<String, PeopleError> {
        let password = password.clone();
        let (memory, passes, threads) = match self.cost {
            HashCost::Recommended => RECOMMENDED,
            HashCost::Least => (Params::MIN_M_COST, Params::MIN_T_COST, Params::MIN_P_COST),
        };
        let params = Params::new(memory, passes, threads, None).map_err(|error| cannot(&error))?;
        let made = Arc::clone(&self.made);
        self.run_blocking(move || {
            made.fetch_add(1, Ordering::Relaxed);
            let salt = SaltString::encode_b64(&salt).map_err(|error| cannot(&error))?;
            let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password(password.normalised().as_bytes(), &salt)
                .map_err(|error| cannot(&error))?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether a password matches a hash, in its normal form or in one that an earlier version hashed;
    /// without a hash it does not, and the check takes the same time.
    pub async fn verify(&self, password: &Password, hash: Option<&str>) -> Result<bool, PeopleError> {
        let password = password.clone();
        let has_hash = hash.is_some();
        let dummy = match self.cost {
            HashCost::Recommended => DUMMY_HASH,
            HashCost::Least => DUMMY_HASH_AT_LEAST_COST,
        };
        let hash = hash.unwrap_or(dummy).to_owned();
        let made = Arc::clone(&self.made);
        let matches = self
            .run_blocking(move || {
                let hash = PasswordHash::new(&hash).map_err(|error| cannot(&error))?;
                let matches = |spelling: String| {
                    made.fetch_add(1, Ordering::Relaxed);
                    Argon2::default()
                        .verify_password(spelling.as_bytes(), &hash)
                        .is_ok()
                };
                Ok(password.spellings().into_iter().any(matches))
            })
            .await?;
        Ok(matches && has_hash)
    }

    /// Runs work on a blocking thread, as soon as a slot is free.
    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PeopleError> + Send + 'static,
    ) -> Result<T, PeopleError> {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let work = tokio::task::spawn_blocking(move || {
            // the thread holds the slot, also if its caller does not wait any more
            let _slot = slot;
            work()
        });
        work.await
            .map_err(|error| PeopleError::Unavailable(error.to_string()))?
    }
}

/// Whether a hash has this salt.
pub(super) fn has_salt(hash: &str, salt: Salt) -> bool {
    let (Ok(hash), Ok(salt)) = (PasswordHash::new(hash), SaltString::encode_b64(&salt)) else {
        return false;
    };
    hash.salt.is_some_and(|of_hash| of_hash.as_str() == salt.as_str())
}

fn cannot(error: &dyn std::fmt::Display) -> PeopleError {
    PeopleError::Corrupt(format!("a password cannot be hashed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = [7; 16];

    fn password(text: &str) -> Password {
        Password::from(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_and_no_other() {
        let passwords = Passwords::new(HashCost::Recommended);
        let hash = passwords.hash(&password("correct horse"), SALT).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$") && !hash.contains("horse"),
            "{hash}"
        );
        let again = passwords.hash(&password("correct horse"), SALT).await.unwrap();
        assert_eq!(hash, again);
        let elsewhere = passwords.hash(&password("correct horse"), [8; 16]).await.unwrap();
        assert_ne!(hash, elsewhere);
        assert!(has_salt(&hash, SALT) && !has_salt(&elsewhere, SALT) && !has_salt("nonsense", SALT));
        assert!(
            passwords
                .verify(&password("correct horse"), Some(&hash))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(&password("battery staple"), Some(&hash))
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn a_password_matches_however_its_letters_are_composed() {
        let passwords = Passwords::new(HashCost::Least);
        let forms = ["gar\u{e7}on 1968", "garc\u{327}on 1968", "gar\u{e7}on\u{a0}1968"].map(password);
        for then in &forms {
            let hash = passwords.hash(then, SALT).await.unwrap();
            for now in &forms {
                assert!(passwords.verify(now, Some(&hash)).await.unwrap());
            }
            assert!(
                !passwords
                    .verify(&password("garcon 1968"), Some(&hash))
                    .await
                    .unwrap()
            );
        }
    }

    #[tokio::test]
    async fn a_hash_from_before_the_normal_form_still_matches() {
        let passwords = Passwords::new(HashCost::Least);
        let forms = ["gar\u{e7}on 1968", "garc\u{327}on 1968"];
        for then in forms {
            let params =
                Params::new(Params::MIN_M_COST, Params::MIN_T_COST, Params::MIN_P_COST, None).unwrap();
            let salt = SaltString::encode_b64(&[7; 16]).unwrap();
            let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password(then.as_bytes(), &salt)
                .unwrap()
                .to_string();
            for now in forms {
                assert!(
                    passwords.verify(&password(now), Some(&hash)).await.unwrap(),
                    "{then} {now}"
                );
            }
        }
    }

    #[tokio::test]
    async fn the_dummy_hash_takes_the_same_time_and_matches_no_password() {
        for (cost, dummy) in [
            (HashCost::Recommended, DUMMY_HASH),
            (HashCost::Least, DUMMY_HASH_AT_LEAST_COST),
        ] {
            let passwords = Passwords::new(cost);
            let parsed = PasswordHash::new(dummy).unwrap();
            let real = passwords.hash(&password("correct horse"), SALT).await.unwrap();
            let real = PasswordHash::new(&real).unwrap();
            assert_eq!(
                (parsed.algorithm, parsed.version, &parsed.params),
                (real.algorithm, real.version, &real.params)
            );
            assert!(!passwords.verify(&password("correct horse"), None).await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_hash_matches_at_any_cost_of_new_hashes() {
        let [recommended, least] = [HashCost::Recommended, HashCost::Least].map(Passwords::new);
        for (made, read) in [(&recommended, &least), (&least, &recommended)] {
            let hash = made.hash(&password("correct horse"), SALT).await.unwrap();
            assert!(
                read.verify(&password("correct horse"), Some(&hash))
                    .await
                    .unwrap()
            );
        }
    }
}
