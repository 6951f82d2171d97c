//! The differences between the databases; all other SQL is the same for both.

use sqlx::Pool;
use uuid::Uuid;

use super::{
    keys::KeyColumns,
    passwords::{ChangeColumns, ResetColumns},
    sessions::TokenColumns,
};
use database::engine::{Engine, Reads};

use crate::store::{PeopleError, PersonId};

/// A database of the people store.
pub(crate) trait Database:
    Engine
    + Reads<KeyColumns>
    + Reads<TokenColumns>
    + Reads<ResetColumns>
    + Reads<ChangeColumns>
    + Reads<(Uuid, Uuid)>
    + Reads<(Uuid, Uuid, i64)>
    + Reads<(Uuid, Uuid, Uuid)>
{
    /// Whether other servers may change the same rows.
    const SHARED: bool;

    /// Removes the copies that the database keeps of deleted rows, as far as it supports that: a destroyed
    /// key must not remain in its files.
    fn remove_copies(pool: &Pool<Self>) -> impl Future<Output = Result<(), PeopleError>> + Send;

    /// Implements [`PeopleStore::notify`](crate::store::PeopleStore::notify).
    fn notify_servers(
        pool: &Pool<Self>,
        of: PersonId,
    ) -> impl Future<Output = Result<(), PeopleError>> + Send;
}
