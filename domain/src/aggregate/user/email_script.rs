//! The scripts of an email address. A letter of another script that looks the same makes an address look like
//! another person's, so a new address has letters of one script in its local part and in each label of its
//! domain (Unicode Technical Standard 39, "highly restrictive"), and does not consist of letters alone that
//! look like Latin ones. An address that an account already has is not checked.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;

use crate::visible_text;

/// Letters that look like Latin ones, in lower case. An address of nothing else is refused.
const LIKE_LATIN: [(Script, &str); 3] = [
    (
        Script::Cyrillic,
        "\u{430}\u{441}\u{501}\u{435}\u{4bb}\u{456}\u{458}\u{4cf}\u{43e}\u{440}\u{51b}\u{455}\u{51d}\u{445}\
         \u{443}\u{475}\u{461}",
    ),
    (
        Script::Greek,
        "\u{3b1}\u{3b9}\u{3ba}\u{3bd}\u{3bf}\u{3c1}\u{3c4}\u{3c5}\u{3c7}\u{3f2}\u{3f3}",
    ),
    (
        Script::Armenian,
        "\u{561}\u{563}\u{566}\u{567}\u{56c}\u{570}\u{575}\u{578}\u{57d}\u{582}\u{585}",
    ),
];

/// The scripts that are written together: of Japanese, Korean and Chinese, each with Latin.
const TOGETHER: [&[Script]; 3] = [
    &[Script::Latin, Script::Han, Script::Hiragana, Script::Katakana],
    &[Script::Latin, Script::Han, Script::Hangul],
    &[Script::Latin, Script::Han, Script::Bopomofo],
];

/// The script of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Arabic,
    Georgian,
    Ethiopic,
    Cherokee,
    Canadian,
    Han,
    Hiragana,
    Katakana,
    Bopomofo,
    Hangul,
    Yi,
    /// Another script, by its block of 128 characters, where most have one to themselves.
    Block(u32),
}

impl Script {
    fn of(letter: char) -> Self {
        match letter {
            'A'..='Z' | 'a'..='z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Self::Latin,
            '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Self::Greek,
            '\u{400}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' | '\u{a640}'..='\u{a69f}' => Self::Cyrillic,
            '\u{531}'..='\u{58f}' => Self::Armenian,
            '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{870}'..='\u{8ff}' => Self::Arabic,
            '\u{10a0}'..='\u{10ff}' | '\u{1c90}'..='\u{1cbf}' | '\u{2d00}'..='\u{2d2f}' => Self::Georgian,
            '\u{1200}'..='\u{139f}' | '\u{2d80}'..='\u{2ddf}' | '\u{ab00}'..='\u{ab2f}' => Self::Ethiopic,
            '\u{13a0}'..='\u{13ff}' | '\u{ab70}'..='\u{abbf}' => Self::Cherokee,
            '\u{1400}'..='\u{167f}' | '\u{18b0}'..='\u{18ff}' => Self::Canadian,
            '\u{3005}'..='\u{3007}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}' => Self::Han,
            '\u{3041}'..='\u{309f}' => Self::Hiragana,
            '\u{30a0}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' => Self::Katakana,
            '\u{3105}'..='\u{312f}' | '\u{31a0}'..='\u{31bf}' => Self::Bopomofo,
            '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}' | '\u{ac00}'..='\u{d7ff}' => Self::Hangul,
            '\u{a000}'..='\u{a4cf}' => Self::Yi,
            other => Self::Block(u32::from(other) >> 7),
        }
    }
}

/// Whether a normal address has letters of one script, or of scripts that are written together, in its local
/// part and in each label of its domain; and none that looks like another one throughout.
pub(super) fn has_one_script(email: &str) -> bool {
    let Some((local, host)) = email.rsplit_once('@') else {
        return false;
    };
    // Wide, mathematical and circled letters look like the ones that they stand for.
    let is_plain = local.nfkc().eq(local.chars());
    let (host, _) = idna::domain_to_unicode(host);
    let labels = || host.split('.');
    // Under a domain in the same letters a reader expects them.
    let is_latin_domain = labels().next_back().is_none_or(str::is_ascii);
    is_plain
        && is_of_one_script(local)
        && !looks_latin(local)
        && labels().all(|label| is_of_one_script(label) && !(is_latin_domain && looks_latin(label)))
}

fn scripts(part: &str) -> BTreeSet<Script> {
    let letters = part.chars().filter(|character| character.is_alphabetic());
    letters.map(Script::of).collect()
}

fn is_of_one_script(part: &str) -> bool {
    let scripts = scripts(part);
    let are_together = || {
        let are_among = |together: &&[Script]| scripts.iter().all(|script| together.contains(script));
        TOGETHER.iter().any(are_among)
    };
    visible_text::in_line(part).is_none() && (scripts.len() <= 1 || are_together())
}

/// Whether all letters look like Latin ones, and are none.
fn looks_latin(part: &str) -> bool {
    let scripts = scripts(part);
    LIKE_LATIN.iter().any(|(script, letters)| {
        let mut of_part = part.chars().filter(|character| character.is_alphabetic());
        scripts.len() == 1 && scripts.contains(script) && of_part.all(|letter| letters.contains(letter))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::normalised, *};

    #[test]
    fn addresses_of_one_script_are_taken() {
        for email in [
            "ada.lovelace+shop@mail.example.org",
            "zo\u{eb}@m\u{fc}ller.example",
            "\u{430}\u{43d}\u{43d}\u{430}@\u{43f}\u{43e}\u{447}\u{442}\u{430}.\u{440}\u{444}",
            "\u{3b5}\u{3bb}\u{3ad}\u{3bd}\u{3b7}@example.org",
            "\u{5c71}\u{7530}taro@example.jp",
            "a@\u{4f8b}\u{3048}.jp",
            "\u{d55c}\u{ae00}kim@example.org",
            "\u{639}\u{645}\u{631}7@example.org",
            "\u{5d0}\u{5d3}\u{5d4}@example.org",
            "1968@example.org",
        ] {
            assert!(has_one_script(&normalised(email)), "{email}");
        }
    }

    #[test]
    fn addresses_that_look_like_another_are_refused() {
        for email in [
            // Cyrillic letters among Latin ones, in the local part and in the domain
            "\u{430}da@example.org",
            "ada@ex\u{430}mple.org",
            "ada@xn--exmple-4nf.org",
            // Greek
            "ad\u{3b1}@example.org",
            // nothing but letters that look like Latin ones
            "\u{441}\u{43e}\u{441}\u{43e}@example.org",
            "ada@\u{441}\u{43e}\u{441}\u{43e}.org",
            "\u{3bf}\u{3c5}@example.org",
            // wide and mathematical letters, letters of phonetics
            "\u{ff41}\u{ff44}\u{ff41}@example.org",
            "\u{1d41a}da@example.org",
            "\u{251}da@example.org",
            // letters that are invisible
            "ada\u{3164}@example.org",
            "\u{115f}\u{1160}@example.org",
        ] {
            assert!(!has_one_script(&normalised(email)), "{email}");
        }
    }
}
