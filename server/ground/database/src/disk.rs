//! The disk of a database.

/// The codes of a full disk: SQLite's `SQLITE_FULL` and PostgreSQL's `disk_full`.
const FULL: [&str; 2] = ["13", "53100"];

/// The code of SQLite for its shared memory, `SQLITE_IOERR_SHMSIZE`: it is a file that has no room.
const NO_ROOM_FOR_SHARED_MEMORY: &str = "4874";

/// The codes of SQLite for a write that failed, `SQLITE_IOERR_WRITE` and `SQLITE_IOERR_TRUNCATE`. It does not
/// say whether that was the limit of the sizes of files (`ulimit -f`).
const NOT_WRITTEN: [&str; 2] = ["778", "1546"];

/// Whether a database refused a write because its disk is full, or because its file may not grow.
pub fn is_full(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| is_code_of_full_disk(&code, has_limit_of_file_sizes()))
}

fn is_code_of_full_disk(code: &str, has_limit: bool) -> bool {
    FULL.contains(&code) || code == NO_ROOM_FOR_SHARED_MEMORY || (has_limit && NOT_WRITTEN.contains(&code))
}

/// Whether the files of this process may not have any size.
#[cfg(unix)]
fn has_limit_of_file_sizes() -> bool {
    use rustix::process::{Resource, getrlimit};

    getrlimit(Resource::Fsize).current.is_some()
}

#[cfg(not(unix))]
fn has_limit_of_file_sizes() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_failed_is_a_full_disk_only_under_a_limit_of_file_sizes() {
        for (code, without, under_a_limit) in [
            ("13", true, true),
            ("53100", true, true),
            ("4874", true, true),
            ("778", false, true),
            ("1546", false, true),
            ("266", false, false),
            ("5", false, false),
        ] {
            let codes = [false, true].map(|has_limit| is_code_of_full_disk(code, has_limit));
            assert_eq!(codes, [without, under_a_limit], "{code}");
        }
    }
}
