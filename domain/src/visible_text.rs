//! Texts that people read: a name is one line of visible text, and prose has lines.
//!
//! A name with a line break breaks a header of an email; one with an invisible character looks like another
//! name; one that changes the direction of text turns around what follows it. So new names have none of
//! these. The joiners and variation selectors that Persian, Indian scripts, emoji and Japanese names need
//! are allowed where they have a visible effect. Old texts stay as they are stored, and [`one_line`] is their
//! form for places that need a line.

use std::{borrow::Cow, fmt};

use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};

use crate::script::{Script, are_together};

/// The most marks on one letter: more than any script stacks, and too few to cover the lines around it.
const MAX_MARKS: usize = 8;

/// Why a character may not be in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It breaks a line, or is another control character.
    Control,
    /// It changes the direction of the text around it.
    Direction,
    /// It is invisible, or has no visible effect where it is.
    Invisible,
    /// It has no meaning that all share: private use, or not a character.
    Undefined,
    /// It is one of too many marks on a letter.
    Marks,
    /// It is of another script than the letters around it, some of which look the same.
    MixedScript,
    /// It looks like a letter or a digit that people type, and no present orthography has it.
    LookAlike,
}

impl Flaw {
    const fn words(self) -> &'static str {
        match self {
            Self::Control => "breaks the line or is a control character",
            Self::Direction => "changes the direction of text",
            Self::Invisible => "is invisible there",
            Self::Undefined => "is not a defined character",
            Self::Marks => "is one of too many marks on a letter",
            Self::MixedScript => "is of another script than the letters beside it",
            Self::LookAlike => "is easily taken for another letter or digit",
        }
    }
}

/// The first character of a text that may not be in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlawedCharacter {
    /// The character.
    pub character: char,
    /// What is wrong with it.
    pub flaw: Flaw,
}

impl fmt::Display for FlawedCharacter {
    /// The message for the field, with what to do about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "has U+{:04X}, which {}; leave it out",
            u32::from(self.character),
            self.flaw.words()
        )
    }
}

/// The first flaw of a text that must be one line of visible text.
pub fn in_line(text: &str) -> Option<FlawedCharacter> {
    let mut before: Option<char> = None;
    let mut marks = 0;
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let next = rest.peek().copied();
        let flaw = if let Some(flaw) = always(character) {
            Some(flaw)
        } else if is_joiner(character) {
            (!joins(character, before, next)).then_some(Flaw::Invisible)
        } else if is_variation_selector(character) {
            (!varies(character, before, next)).then_some(Flaw::Invisible)
        } else {
            match character.general_category_group() {
                GeneralCategoryGroup::Mark => {
                    marks += 1;
                    (marks > MAX_MARKS).then_some(Flaw::Marks)
                }
                GeneralCategoryGroup::Other => Some(match character.general_category() {
                    GeneralCategory::Format => Flaw::Invisible,
                    _ => Flaw::Undefined,
                }),
                _ => {
                    marks = 0;
                    None
                }
            }
        };
        if let Some(flaw) = flaw {
            return Some(FlawedCharacter { character, flaw });
        }
        before = Some(character);
    }
    None
}

/// Whether a line has anything to see: a letter, a digit, a sign or a symbol.
pub fn is_visible(text: &str) -> bool {
    text.chars().any(|character| {
        !character.is_whitespace()
            && always(character).is_none()
            && !matches!(
                character.general_category_group(),
                GeneralCategoryGroup::Mark | GeneralCategoryGroup::Other | GeneralCategoryGroup::Separator
            )
    })
}

/// The first flaw of prose: it may have line feeds and tabs, and the marks that writers of Arabic and Hebrew
/// type. It must not have what changes the direction of the text after it.
pub fn in_prose(text: &str) -> Option<FlawedCharacter> {
    text.chars().find_map(|character| {
        let flaw = match character {
            '\n' | '\t' => return None,
            _ if character.is_control() => Flaw::Control,
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Flaw::Direction,
            _ => return None,
        };
        Some(FlawedCharacter { character, flaw })
    })
}

/// A stored text as one line, for a header, a terminal or a log: what breaks lines becomes a space, and what
/// changes the direction of text or is always invisible is left out.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if text.chars().all(|character| always(character).is_none()) {
        return Cow::Borrowed(text);
    }
    let line: String = text
        .chars()
        .filter_map(|character| match always(character) {
            None => Some(character),
            Some(Flaw::Control) => Some(' '),
            Some(_) => None,
        })
        .collect();
    Cow::Owned(line.trim().to_owned())
}

/// The first letter that makes a name look like another one: of another script than the letters of its word,
/// or of no script that new names have, as wide, mathematical and phonetic letters.
///
/// Letters that a language needs stay, and some look like others. Of those an i without its dot is refused
/// only in the titles of people who run a shop, because Turkish names have it.
pub fn imitation(text: &str) -> Option<FlawedCharacter> {
    let mut of_word: Vec<Script> = Vec::new();
    // Composed, so that a letter with a mark is the letter that has it.
    for character in text.nfc() {
        if character.is_whitespace() || matches!(character, '-' | '_' | '.' | '/' | '@' | '&' | ',') {
            of_word.clear();
            continue;
        }
        let found = |flaw| Some(FlawedCharacter { character, flaw });
        if is_styled_digit(character) {
            return found(Flaw::LookAlike);
        }
        // The digits of a script belong to it: a zero may look like an o.
        match Script::of(character) {
            None if character.is_alphabetic() => return found(Flaw::LookAlike),
            Some(script) if character.is_alphanumeric() && !of_word.contains(&script) => {
                of_word.push(script);
                if !are_together(&of_word) {
                    return found(Flaw::MixedScript);
                }
            }
            None | Some(_) => {}
        }
    }
    dotless_title(text)
}

/// Titles and names by which a person would be taken for one who runs the shop or the class.
const TITLES: [&str; 8] = [
    "admin",
    "administration",
    "administrator",
    "official",
    "foldline",
    "principal",
    "security",
    "sysadmin",
];

/// The i without its dot in a title.
fn dotless_title(text: &str) -> Option<FlawedCharacter> {
    const DOTLESS_I: char = '\u{131}';
    let mut words = text.split(|character: char| !character.is_alphabetic());
    let is_imitated = |word: &str| {
        word.contains(DOTLESS_I) && {
            let dotted = word.to_lowercase().replace(DOTLESS_I, "i");
            TITLES.contains(&dotted.as_str())
        }
    };
    words.any(is_imitated).then_some(FlawedCharacter {
        character: DOTLESS_I,
        flaw: Flaw::LookAlike,
    })
}

/// Whether a character is a wide, mathematical or segmented form of a digit.
const fn is_styled_digit(character: char) -> bool {
    matches!(
        character,
        '\u{ff10}'..='\u{ff19}' | '\u{1d7ce}'..='\u{1d7ff}' | '\u{1ccf0}'..='\u{1ccf9}'
            | '\u{1fbf0}'..='\u{1fbf9}'
    )
}

/// The flaw of a character that no line may have, whatever is beside it. Without the table of categories, so
/// that the browser does not load it.
fn always(character: char) -> Option<Flaw> {
    if character.is_control() {
        return Some(Flaw::Control);
    }
    match character {
        '\u{2028}' | '\u{2029}' => Some(Flaw::Control),
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some(Flaw::Direction)
        }
        // soft hyphen, grapheme joiner, fillers, inherent vowels, vowel separator, zero-width spaces,
        // invisible operators, deprecated formats, blank of Braille, annotations, blanks of hieroglyphs,
        // filler of Khitan, shorthand formats, musical null and formats, tags
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffc}'
        | '\u{13441}'
        | '\u{13442}'
        | '\u{16fe4}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d159}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e00ff}'
        | '\u{e01f0}'..='\u{e0fff}' => Some(Flaw::Invisible),
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' => Some(Flaw::Undefined),
        _ => None,
    }
}

fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}')
}

fn is_variation_selector(character: char) -> bool {
    matches!(
        character,
        '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}'
    )
}

/// Whether a joiner has an effect between these characters: in scripts whose letters join, and a zero-width
/// joiner between emoji.
fn joins(joiner: char, before: Option<char>, next: Option<char>) -> bool {
    let (Some(before), Some(next)) = (before, next) else {
        return false;
    };
    let is_emoji = |character: char| matches!(character, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}');
    let is_sequence = joiner == '\u{200d}' && (is_emoji(before) || before == '\u{fe0f}') && is_emoji(next);
    is_sequence || (is_of_joining_script(before) && is_of_joining_script(next))
}

/// Whether a character is of a script in which joiners choose between forms of letters: from Arabic to
/// Myanmar, Khmer, Mongolian and their later blocks. Hebrew and Thai have no such forms.
fn is_of_joining_script(character: char) -> bool {
    matches!(
        character,
        '\u{600}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{f00}'..='\u{109f}' | '\u{1700}'..='\u{1aaf}'
            | '\u{1b00}'..='\u{1c4f}' | '\u{a840}'..='\u{a8ff}' | '\u{a980}'..='\u{aaff}'
            | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10a00}'..='\u{11fff}'
            | '\u{1e900}'..='\u{1e95f}'
    ) && !character.is_numeric()
}

/// Whether a variation selector has an effect after this character.
fn varies(selector: char, before: Option<char>, next: Option<char>) -> bool {
    let Some(before) = before else { return false };
    match selector {
        '\u{180b}'..='\u{180f}' => matches!(before, '\u{1820}'..='\u{18aa}'),
        // A digit has an emoji as its variant only in a keycap.
        '\u{fe0e}' | '\u{fe0f}' if before.is_ascii() => {
            matches!(before, '0'..='9' | '#' | '*') && next == Some('\u{20e3}')
        }
        '\u{fe0e}' | '\u{fe0f}' => matches!(
            before.general_category_group(),
            GeneralCategoryGroup::Symbol | GeneralCategoryGroup::Punctuation
        ),
        _ => is_ideograph(before),
    }
}

fn is_ideograph(character: char) -> bool {
    matches!(
        character,
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(text: &str) -> Option<Flaw> {
        in_line(text).map(|found| found.flaw)
    }

    #[test]
    fn names_of_many_scripts_are_lines() {
        for name in [
            "Ada Lovelace",
            "Zo\u{eb} O'Brien-Smith",
            "Bj\u{f6}rk Gu\u{f0}mundsd\u{f3}ttir",
            "\u{5c71}\u{7530}\u{3000}\u{592a}\u{90ce}",
            "\u{845b}\u{e0100}\u{57ce}",
            "\u{639}\u{645}\u{631}",
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{915}\u{94d}\u{200d}\u{937}",
            "\u{5e9}\u{5c1}\u{5b8}\u{5dc}\u{5d5}\u{5b9}\u{5dd}",
            "Vi\u{1ec7}t \u{110}\u{1ee9}c",
            "Zoe\u{308} \u{1f469}\u{1f3fd}\u{200d}\u{1f3eb}",
            "\u{2764}\u{fe0f}\u{200d}\u{1f525} Mug",
            "1\u{fe0f}\u{20e3} Team",
            "caf\u{e9} \u{2013} 100 % \u{2116}5",
        ] {
            assert_eq!(in_line(name), None, "{name:?}");
            assert!(is_visible(name), "{name:?}");
            assert_eq!(one_line(name), name);
        }
    }

    #[test]
    fn what_breaks_a_line_is_refused() {
        for code in (0..0x20).chain(0x7f..0xa0).chain([0x2028, 0x2029]) {
            let character = char::from_u32(code).unwrap();
            assert_eq!(flaw(&format!("a{character}b")), Some(Flaw::Control), "{code:x}");
        }
    }

    #[test]
    fn what_changes_the_direction_is_refused() {
        for code in [0x61c, 0x200e, 0x200f]
            .into_iter()
            .chain(0x202a..=0x202e)
            .chain(0x2066..=0x2069)
        {
            let character = char::from_u32(code).unwrap();
            assert_eq!(flaw(&format!("a{character}b")), Some(Flaw::Direction), "{code:x}");
        }
    }

    #[test]
    fn what_is_invisible_is_refused() {
        for text in [
            "a\u{200b}b",
            "a\u{ad}b",
            "\u{3164}",
            "\u{115f}",
            "a\u{2060}",
            "\u{feff}a",
            "a\u{e0041}",
            "\u{2800}",
            // joiners and selectors without an effect
            "A\u{200c}da",
            "A\u{200d}da",
            "\u{200d}",
            "\u{645}\u{200c}",
            "\u{200c}\u{645}",
            "Ada\u{fe0f}",
            "A1\u{fe0f}",
            "A\u{e0100}",
            "\u{645}\u{200c}\u{200c}\u{645}",
        ] {
            assert_eq!(flaw(text), Some(Flaw::Invisible), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_defined_is_refused() {
        for text in [
            "\u{e000}",
            "a\u{f8ff}",
            "\u{10ffff}",
            "\u{fdd0}",
            "\u{378}",
            "\u{ffff}",
        ] {
            assert_eq!(flaw(text), Some(Flaw::Undefined), "{text:?}");
        }
    }

    #[test]
    fn a_letter_has_a_few_marks() {
        let with = |marks: usize| format!("a{}b", "\u{301}".repeat(marks));
        assert_eq!(flaw(&with(MAX_MARKS)), None);
        assert_eq!(flaw(&with(MAX_MARKS + 1)), Some(Flaw::Marks));
    }

    #[test]
    fn a_text_of_spaces_and_marks_alone_is_not_visible() {
        for text in [
            "",
            " ",
            "\u{3000}",
            "\u{301}",
            " \u{301}",
            "\u{3164}",
            "\u{2800}\u{2800}",
        ] {
            assert!(!is_visible(text), "{text:?}");
        }
    }

    #[test]
    fn prose_has_lines_and_marks_of_direction_but_no_override() {
        assert_eq!(in_prose("a\n\tb \u{200f}\u{639}"), None);
        for (text, flaw) in [
            ("a\rb", Flaw::Control),
            ("\0", Flaw::Control),
            ("\u{202e}a", Flaw::Direction),
            ("\u{2067}a", Flaw::Direction),
        ] {
            assert_eq!(in_prose(text).map(|found| found.flaw), Some(flaw), "{text:?}");
        }
    }

    #[test]
    fn an_old_text_becomes_one_line() {
        for (stored, line) in [
            ("Ada\r\nBcc: eve@example.org", "Ada  Bcc: eve@example.org"),
            ("A\0da", "A da"),
            ("\u{202e}adA", "adA"),
            ("Ada\n", "Ada"),
            ("\u{200b}", ""),
        ] {
            assert_eq!(one_line(stored), line);
        }
    }

    #[test]
    fn a_word_with_letters_of_two_alphabets_that_look_the_same_is_found() {
        for (text, character) in [
            ("\u{410}da", 'd'),
            ("Ad\u{430}", '\u{430}'),
            ("p\u{3b1}y", '\u{3b1}'),
            ("\u{441}\u{3bf}", '\u{3bf}'),
            // Armenian, Georgian, Hebrew, and the zero of Bengali
            ("b\u{585}b", '\u{585}'),
            ("b\u{10d8}", '\u{10d8}'),
            ("\u{5e1}a", 'a'),
            ("b\u{9e6}b", '\u{9e6}'),
        ] {
            assert_eq!(
                imitation(text).map(|found| found.character),
                Some(character),
                "{text}"
            );
            assert_eq!(
                imitation(text).map(|found| found.flaw),
                Some(Flaw::MixedScript),
                "{text}"
            );
        }
        let anna = "\u{410}\u{43d}\u{43d}\u{430}";
        for text in ["Ada", anna, "Team \u{3b1}", &format!("{anna}-Ada")] {
            assert_eq!(imitation(text), None, "{text}");
        }
    }

    #[test]
    fn a_letter_or_digit_that_is_taken_for_another_is_found() {
        for text in [
            // phonetic, wide, mathematical, small capital, raised, circled, squared
            "\u{251}da",
            "\u{ff21}\u{ff44}\u{ff41}",
            "\u{1d400}\u{1d41d}\u{1d41a}",
            "\u{1d7d9}\u{1d7d8} Team",
            "\u{1d00}\u{1d05}\u{1d00}",
            "Ad\u{1d43}",
            "\u{24b6}da",
            "\u{1f130}da",
            // Cherokee, Lisu, Coptic, Deseret, old Cyrillic, digits of a segmented display
            "\u{13aa}\u{13a0}",
            "\u{a4d0}\u{a4d3}\u{a4ee}",
            "\u{2c80}da",
            "\u{10400}",
            "\u{461}da",
            "Ada \u{1fbf1}",
            // a combining letter above another
            "A\u{363}da",
            "Adm\u{131}n",
            "the ADM\u{131}N team",
            "Secur\u{131}ty",
        ] {
            assert_eq!(
                imitation(text).map(|found| found.flaw),
                Some(Flaw::LookAlike),
                "{text}"
            );
        }
    }

    #[test]
    fn names_of_languages_with_letters_of_their_own_look_like_no_other() {
        for text in [
            "Ayd\u{131}n I\u{15f}\u{131}l",
            "\u{18f}li M\u{259}mm\u{259}dov",
            "K\u{254}j\u{254} Ab\u{25b}na",
            "Kal\u{101}kaua \u{2bb}\u{12a}",
            "M\u{aa} Jos\u{e9}",
            "Nguy\u{1ec5}n V\u{103}n",
            "\u{54d}\u{587}\u{561}\u{56f}",
            "\u{10d2}\u{10d8}\u{10dd}\u{10e0}\u{10d2}\u{10d8}",
            "\u{915}\u{94d}\u{200d}\u{937}",
            "\u{5e9}\u{5c1}\u{5b8}\u{5dc}\u{5d5}\u{5b9}\u{5dd}",
            "\u{639}\u{645}\u{631} \u{667}",
            "\u{e04}\u{e23}\u{e39}Ada",
            "\u{5c71}\u{7530}Taro3",
            "\u{d55c}\u{ae00}",
            "Zoe\u{308} \u{1f469}\u{1f3fd}\u{200d}\u{1f3eb}",
            "caf\u{e9} \u{2013} 100 % \u{2116}5",
        ] {
            assert_eq!(imitation(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_of_characters_that_show_nothing_is_refused() {
        for text in [
            "\u{1d159}",
            "\u{13441}",
            "\u{13442}\u{13442}",
            "\u{16fe4}",
            "Ada\u{1d159}",
        ] {
            assert_eq!(flaw(text), Some(Flaw::Invisible), "{text:?}");
        }
        assert!(!is_visible("\u{1d159}\u{13441}"));
    }

    #[test]
    fn the_message_names_the_character_and_what_to_do() {
        assert_eq!(
            in_line("a\u{202e}").unwrap().to_string(),
            "has U+202E, which changes the direction of text; leave it out"
        );
    }
}
