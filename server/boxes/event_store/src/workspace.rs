//! A workspace as it is stored, its limits, and the code by which people join it.

use domain::{id::WorkspaceId, timestamp::Timestamp, wire::Template};
use rand::Rng as _;

/// The most partitions of a workspace.
pub const MAX_SHARDS: u32 = 64;

/// The longest name of a workspace, in characters.
pub const MAX_WORKSPACE_NAME: usize = 80;

/// Letters and digits that are not mistaken for one another when read aloud or from a projector.
const CODE_ALPHABET: &[u8] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";

/// 31^7 codes: a guess a second meets one of a thousand workspaces once in ten months.
const CODE_LENGTH: usize = 7;

/// A tenant, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// The name that people see.
    pub name: String,
    /// The template that filled it.
    pub template: Template,
    /// Its number of partitions; never changes.
    pub shards: u32,
    /// The code that others enter to join; unique.
    pub join_code: String,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Whether a text has the form of a join code.
pub fn is_join_code(text: &str) -> bool {
    text.len() == CODE_LENGTH && text.bytes().all(|byte| CODE_ALPHABET.contains(&byte))
}

/// A random join code. The store refuses one that another workspace has.
pub fn new_join_code() -> String {
    let mut random = rand::rng();
    (0..CODE_LENGTH)
        .map(|_| char::from(CODE_ALPHABET[random.random_range(0..CODE_ALPHABET.len())]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_join_code_has_the_form_of_one_and_a_made_up_one_has_not() {
        assert!(is_join_code(&new_join_code()));
        for other in ["", "A", "ABCDEFGH", "ABCDE10", "abcdefg", "ABCDEF\u{c4}"] {
            assert!(!is_join_code(other), "{other}");
        }
    }
}
