//! The common database code of the stores of all boxes: URLs and connections, the check of the schema
//! version, and the classification of errors.

pub mod connections;
pub mod disk;
pub mod engine;
pub mod postgres;
pub mod schema;
pub mod sqlite;
pub mod url;
