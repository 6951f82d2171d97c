//! Passwords: Argon2id, with the parameters that its authors' library recommends, on threads of their own and never more at
//! a time than there are cores, because each costs as much memory and time as it is worth. A server for tests hashes with the
//! least parameters that Argon2 has.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::SaltString,
};
use domain::aggregate::user::Password;
use tokio::sync::Semaphore;

use super::{seals::random, store::PeopleError};

/// Of nobody's password: what is tried where there is no account, so that both answers take as long.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$Zm9sZGxpbmUtbm9ib2R5$YcvUS4N1BjRhUt5p6HFwXGhHhaRsRJHS0hyl5PZiVAk";

/// The same with [`HashCost::Least`].
const NOBODYS_AT_LEAST_COST: &str =
    "$argon2id$v=19$m=8,t=1,p=1$Zm9sZGxpbmUtbm9ib2R5$YcvUS4N1BjRhUt5p6HFwXGhHhaRsRJHS0hyl5PZiVAk";

/// What a hash costs an attacker who guesses, and us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HashCost {
    /// What Argon2's authors recommend.
    #[default]
    Recommended,
    /// As little as Argon2 knows: protects no password, for tests.
    Least,
}

/// Hashes and verifies.
#[derive(Debug)]
pub struct Passwords {
    at_a_time: Arc<Semaphore>,
    cost: HashCost,
}

impl Passwords {
    /// Whose hashes cost as much.
    pub fn new(cost: HashCost) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            at_a_time: Arc::new(Semaphore::new(cores)),
            cost,
        }
    }

    /// The hash to keep, with its salt and its parameters.
    pub async fn hash(&self, password: &Password) -> Result<String, PeopleError> {
        let password = password.clone();
        let salt: [u8; 16] = random()?;
        let params = match self.cost {
            HashCost::Recommended => Params::default(),
            HashCost::Least => Params::new(Params::MIN_M_COST, Params::MIN_T_COST, Params::MIN_P_COST, None)
                .map_err(|error| cannot(&error))?,
        };
        self.beside(move || {
            let salt = SaltString::encode_b64(&salt).map_err(|error| cannot(&error))?;
            let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password(password.expose().as_bytes(), &salt)
                .map_err(|error| cannot(&error))?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether it is the password of this hash; without a hash it is nobody's, and takes as long.
    pub async fn fits(&self, password: &Password, hash: Option<&str>) -> Result<bool, PeopleError> {
        let password = password.clone();
        let is_somebodys = hash.is_some();
        let nobodys = match self.cost {
            HashCost::Recommended => NOBODYS,
            HashCost::Least => NOBODYS_AT_LEAST_COST,
        };
        let hash = hash.unwrap_or(nobodys).to_owned();
        let fits = self
            .beside(move || {
                let hash = PasswordHash::new(&hash).map_err(|error| cannot(&error))?;
                Ok(Argon2::default()
                    .verify_password(password.expose().as_bytes(), &hash)
                    .is_ok())
            })
            .await?;
        Ok(fits && is_somebodys)
    }

    /// On a thread where nothing else waits for it, when it is its turn.
    async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PeopleError> + Send + 'static,
    ) -> Result<T, PeopleError> {
        let turn = Arc::clone(&self.at_a_time).acquire_owned().await;
        let work = tokio::task::spawn_blocking(move || {
            // held by the thread, which goes on also where nobody waits any more
            let _turn = turn;
            work()
        });
        work.await
            .map_err(|error| PeopleError::Unavailable(error.to_string()))?
    }
}

fn cannot(error: &dyn std::fmt::Display) -> PeopleError {
    PeopleError::Corrupt(format!("a password cannot be hashed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::from(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_and_no_other() {
        let passwords = Passwords::new(HashCost::Recommended);
        let hash = passwords.hash(&password("correct horse")).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$") && !hash.contains("horse"),
            "{hash}"
        );
        assert_ne!(hash, passwords.hash(&password("correct horse")).await.unwrap());
        assert!(
            passwords
                .fits(&password("correct horse"), Some(&hash))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .fits(&password("battery staple"), Some(&hash))
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn nobodys_password_is_a_hash_that_takes_as_long_and_fits_nothing() {
        for (cost, nobodys) in [
            (HashCost::Recommended, NOBODYS),
            (HashCost::Least, NOBODYS_AT_LEAST_COST),
        ] {
            let passwords = Passwords::new(cost);
            let parsed = PasswordHash::new(nobodys).unwrap();
            let real = passwords.hash(&password("correct horse")).await.unwrap();
            let real = PasswordHash::new(&real).unwrap();
            assert_eq!(
                (parsed.algorithm, parsed.version, &parsed.params),
                (real.algorithm, real.version, &real.params)
            );
            assert!(!passwords.fits(&password("correct horse"), None).await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_hash_fits_whatever_it_costs_to_make_another_one() {
        let [recommended, least] = [HashCost::Recommended, HashCost::Least].map(Passwords::new);
        for (made, read) in [(&recommended, &least), (&least, &recommended)] {
            let hash = made.hash(&password("correct horse")).await.unwrap();
            assert!(read.fits(&password("correct horse"), Some(&hash)).await.unwrap());
        }
    }
}
