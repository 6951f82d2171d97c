//! Box 8, Read Model Database: stores denormalized views for queries.
