//! The scripts of an email address. A letter of another script that looks the same makes an address look like
//! another person's, so a new address has letters of one [script](crate::script) in its local part and in
//! each label of its domain (Unicode Technical Standard 39, "highly restrictive"), and does not consist of
//! letters alone that look like Latin ones. An address that an account already has is not checked.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;

use crate::{
    script::{Script, are_together},
    visible_text,
};

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

/// The i without a dot of Turkish and Azerbaijani.
const DOTLESS_I: char = '\u{131}';

/// The ends of the domains in whose labels it is expected.
const DOMAINS_WITHOUT_DOTS: [&str; 2] = [".tr", ".az"];

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
    // An i without its dot is read as an i. Only a domain of Türkiye or Azerbaijan is expected to have it.
    let is_dotless = |part: &str| part.contains(DOTLESS_I);
    let has_dots = DOMAINS_WITHOUT_DOTS.iter().any(|end| host.ends_with(end)) || !is_dotless(&host);
    is_plain
        && !is_dotless(local)
        && has_dots
        && is_of_one_script(local)
        && !looks_latin(local)
        && labels().all(|label| is_of_one_script(label) && !(is_latin_domain && looks_latin(label)))
}

/// The scripts of a part's letters; `None` if one of them is of no script that addresses have.
fn scripts(part: &str) -> Option<BTreeSet<Script>> {
    let letters = part.chars().filter(|character| character.is_alphabetic());
    letters.map(Script::of).collect()
}

fn is_of_one_script(part: &str) -> bool {
    let is_together = |scripts: BTreeSet<Script>| are_together(&scripts.into_iter().collect::<Vec<_>>());
    visible_text::in_line(part).is_none() && scripts(part).is_some_and(is_together)
}

/// Whether all letters look like Latin ones, and are none.
fn looks_latin(part: &str) -> bool {
    let scripts = scripts(part).unwrap_or_default();
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
            "ada@\u{131}\u{15f}\u{131}k.com.tr",
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
            // an i without its dot, small capitals, Cherokee, Lisu, Coptic, Canadian syllabics
            "adm\u{131}n@example.org",
            "ada@adm\u{131}n.example",
            "\u{1d00}\u{1d05}\u{1d00}@example.org",
            "\u{ab70}\u{ab93}@example.org",
            "\u{a4e3}\u{a4ee}@example.org",
            "\u{2c9f}\u{2ca3}\u{2c9f}@example.org",
            "\u{1455}@example.org",
            // letters that are invisible, or show nothing
            "ada\u{13441}@example.org",
            "ada\u{3164}@example.org",
            "\u{115f}\u{1160}@example.org",
        ] {
            assert!(!has_one_script(&normalised(email)), "{email}");
        }
    }
}
