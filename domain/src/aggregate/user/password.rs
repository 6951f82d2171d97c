//! Passwords: one form for what different keyboards send for the same keys.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

/// The minimum length of a password, in characters.
pub const MIN_PASSWORD: usize = 8;
/// The maximum length of a password, in characters.
pub const MAX_PASSWORD: usize = 200;

/// A password in plain text. It is never printed, and no event contains it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Password(pub(super) String);

impl Password {
    /// The plain text, as it was typed.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The plain text that is hashed, and whose length counts: by the mappings of the profile `OpaqueString`
    /// (RFC 8265, 4.2) every space is U+0020, and letters are composed (NFC).
    pub fn normalised(&self) -> String {
        let spaces_are_plain = |c: char| if is_space(c) { ' ' } else { c };
        self.0.chars().map(spaces_are_plain).nfc().collect()
    }

    /// The forms that a stored hash may be of, the normal one first. Hashes from before the normal form are
    /// of what was typed then: composed or decomposed, as the keyboard sent it.
    pub fn spellings(&self) -> Vec<String> {
        let mut spellings = vec![self.normalised()];
        for spelling in [self.0.clone(), self.0.nfc().collect(), self.0.nfd().collect()] {
            if !spellings.contains(&spelling) {
                spellings.push(spelling);
            }
        }
        spellings
    }

    /// Its length, in characters of the normal form.
    pub fn length(&self) -> usize {
        self.normalised().chars().count()
    }

    /// Whether its length is within the limits.
    pub fn fits(&self) -> bool {
        (MIN_PASSWORD..=MAX_PASSWORD).contains(&self.length())
    }
}

/// Whether a character is of the category Zs: white space that is neither a control character nor one of the
/// two separators of lines and paragraphs.
fn is_space(c: char) -> bool {
    c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password(text.to_owned())
    }

    #[test]
    fn the_same_keys_are_one_password() {
        for (forms, normal) in [
            (
                ["pa\u{df}wo\u{308}rter", "pa\u{df}w\u{f6}rter"],
                "pa\u{df}w\u{f6}rter",
            ),
            (
                ["\u{1112}\u{1161}\u{11ab}\u{ae00}", "\u{d55c}\u{ae00}"],
                "\u{d55c}\u{ae00}",
            ),
            (["a\u{3000}b\u{2003}c", "a b\u{a0}c"], "a b c"),
        ] {
            for form in forms {
                assert_eq!(password(form).normalised(), normal, "{form:?}");
            }
        }
        // Case, width and compatibility characters distinguish passwords.
        for (one, other) in [("Secret", "secret"), ("\u{ff21}", "A"), ("\u{fb01}", "fi")] {
            assert_ne!(password(one).normalised(), password(other).normalised());
        }
    }

    #[test]
    fn the_length_is_that_of_the_normal_form() {
        assert!(password(&"u\u{308}".repeat(MAX_PASSWORD)).fits());
        assert!(!password(&"u\u{308}".repeat(MIN_PASSWORD - 1)).fits());
    }

    #[test]
    fn a_hash_of_any_form_is_found_and_ascii_has_one() {
        let composed = password("gar\u{e7}on 1968");
        let decomposed = password("garc\u{327}on 1968");
        for (then, now) in [(&composed, &decomposed), (&decomposed, &composed)] {
            assert!(now.spellings().contains(&then.0));
            assert_eq!(now.spellings()[0], composed.0);
        }
        assert_eq!(password("correct horse").spellings(), ["correct horse"]);
    }
}
