//! What the stores ask of a database, whichever box they are in: how a URL becomes connections, which tables a program
//! accepts, and which errors are worth a retry.

pub mod engine;
pub mod postgres;
pub mod schema;
pub mod sqlite;
pub mod url;
