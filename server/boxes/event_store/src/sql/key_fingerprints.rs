//! The fingerprints of the keys that the servers on one database have.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Connection as _;

use super::Database;
use database::engine::statement;

use crate::{KeyFingerprint, StoreError};

/// Locks the row that stands for no key.
const LOCK: &str = "update key_fingerprints set fingerprint = fingerprint where purpose = ''";

const STORED: &str =
    "select purpose, fingerprint from key_fingerprints where purpose <> '' order by purpose, fingerprint";

type Fingerprints = BTreeMap<String, BTreeSet<Vec<u8>>>;

/// Implements [`EventStore::match_keys`](crate::EventStore::match_keys).
pub(super) async fn match_keys<D: Database>(
    connection: &mut D::Connection,
    keys: &[KeyFingerprint],
    replace: bool,
) -> Result<Vec<String>, sqlx::Error> {
    let mut own = Fingerprints::new();
    for key in keys {
        let of_purpose = own.entry(key.purpose.clone()).or_default();
        of_purpose.insert(key.fingerprint.to_vec());
    }
    // Mostly nothing changes, and then nothing is written: a server starts on a full disk.
    if stored::<D>(connection).await? == own {
        return Ok(Vec::new());
    }
    let mut transaction = connection.begin_with(D::BEGIN).await?;
    let locked = statement::<D>(LOCK).execute(&mut transaction).await?;
    if locked != 1 {
        let error = StoreError::Corrupt("the fingerprints of the keys cannot be locked".to_owned());
        return Err(sqlx::Error::Decode(error.into()));
    }
    let stored = stored::<D>(&mut transaction).await?;
    let others = other_keys(&stored, &own);
    // A file has one server: its keys are those of its folder.
    if !others.is_empty() && D::SHARED && !replace {
        transaction.rollback().await?;
        return Ok(others);
    }
    for (purpose, fingerprints) in own
        .iter()
        .filter(|(purpose, own)| stored.get(*purpose) != Some(*own))
    {
        statement::<D>("delete from key_fingerprints where purpose = $1")
            .bind(purpose.as_str())
            .execute(&mut transaction)
            .await?;
        for fingerprint in fingerprints {
            // the primary key refuses it twice
            statement::<D>("insert into key_fingerprints (purpose, fingerprint) values ($1, $2)")
                .bind(purpose.as_str())
                .bind(fingerprint.as_slice())
                .execute(&mut transaction)
                .await?;
        }
    }
    transaction.commit().await?;
    Ok(Vec::new())
}

async fn stored<D: Database>(connection: &mut D::Connection) -> Result<Fingerprints, sqlx::Error> {
    let rows: Vec<(String, Vec<u8>)> = statement::<D>(STORED).all(connection).await?;
    let mut stored = Fingerprints::new();
    for (purpose, fingerprint) in rows {
        stored.entry(purpose).or_default().insert(fingerprint);
    }
    Ok(stored)
}

/// The purposes of which the stored keys have none in common with a server's own.
fn other_keys(stored: &Fingerprints, own: &Fingerprints) -> Vec<String> {
    own.iter()
        .filter(|(purpose, own)| stored.get(*purpose).is_some_and(|stored| stored.is_disjoint(own)))
        .map(|(purpose, _)| purpose.clone())
        .collect()
}
