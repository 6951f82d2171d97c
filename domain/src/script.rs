//! The script of a letter, for names and addresses that must not look like another.
//!
//! A new name or address has letters of the scripts that Unicode recommends for identifiers (Unicode Standard
//! Annex 31, table 5), in the characters of their present orthographies. Every other letter has no script
//! here: one of a script that is used little or no more, of phonetics, small capitals, or the wide,
//! mathematical, circled or raised form of a plain one. They have look-alikes among the letters that people
//! type, and tables of all of them are never complete, while this one is closed.

/// The scripts that are written together: of Japanese, Korean and Chinese, each with Latin; and Latin in
/// scripts that have no spaces between words.
const TOGETHER: [&[Script]; 6] = [
    &[Script::Latin, Script::Han, Script::Hiragana, Script::Katakana],
    &[Script::Latin, Script::Han, Script::Hangul],
    &[Script::Latin, Script::Han, Script::Bopomofo],
    &[Script::Latin, Script::Thai],
    &[Script::Latin, Script::Lao],
    &[Script::Latin, Script::Khmer],
];

/// The script of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Script {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Hebrew,
    Arabic,
    Thaana,
    Devanagari,
    Bengali,
    Gurmukhi,
    Gujarati,
    Oriya,
    Tamil,
    Telugu,
    Kannada,
    Malayalam,
    Sinhala,
    Thai,
    Lao,
    Tibetan,
    Myanmar,
    Georgian,
    Hangul,
    Ethiopic,
    Khmer,
    Hiragana,
    Katakana,
    Bopomofo,
    Han,
}

impl Script {
    /// The script of a letter that new names and addresses may have; `None` for every other one.
    pub(crate) fn of(letter: char) -> Option<Self> {
        if is_latin(letter) {
            return Some(Self::Latin);
        }
        Some(match letter {
            '\u{386}'..='\u{3ce}' | '\u{1f00}'..='\u{1fff}' => Self::Greek,
            '\u{400}'..='\u{45f}' | '\u{48a}'..='\u{52f}' => Self::Cyrillic,
            '\u{531}'..='\u{58f}' => Self::Armenian,
            '\u{591}'..='\u{5f4}' => Self::Hebrew,
            '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{870}'..='\u{8ff}' => Self::Arabic,
            '\u{780}'..='\u{7bf}' => Self::Thaana,
            '\u{900}'..='\u{97f}' | '\u{a8e0}'..='\u{a8ff}' => Self::Devanagari,
            '\u{980}'..='\u{9ff}' => Self::Bengali,
            '\u{a00}'..='\u{a7f}' => Self::Gurmukhi,
            '\u{a80}'..='\u{aff}' => Self::Gujarati,
            '\u{b00}'..='\u{b7f}' => Self::Oriya,
            '\u{b80}'..='\u{bff}' => Self::Tamil,
            '\u{c00}'..='\u{c7f}' => Self::Telugu,
            '\u{c80}'..='\u{cff}' => Self::Kannada,
            '\u{d00}'..='\u{d7f}' => Self::Malayalam,
            '\u{d80}'..='\u{dff}' => Self::Sinhala,
            '\u{e00}'..='\u{e7f}' => Self::Thai,
            '\u{e80}'..='\u{eff}' => Self::Lao,
            '\u{f00}'..='\u{fff}' => Self::Tibetan,
            '\u{1000}'..='\u{109f}' | '\u{a9e0}'..='\u{a9ff}' | '\u{aa60}'..='\u{aa7f}' => Self::Myanmar,
            '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' | '\u{1c90}'..='\u{1cbf}' => Self::Georgian,
            '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}' => Self::Hangul,
            '\u{1200}'..='\u{139f}' | '\u{2d80}'..='\u{2ddf}' | '\u{ab00}'..='\u{ab2f}' => Self::Ethiopic,
            '\u{1780}'..='\u{17ff}' => Self::Khmer,
            '\u{3041}'..='\u{309f}' => Self::Hiragana,
            '\u{30a0}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' => Self::Katakana,
            '\u{3105}'..='\u{312f}' | '\u{31a0}'..='\u{31bf}' => Self::Bopomofo,
            '\u{3005}'..='\u{3007}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}' => Self::Han,
            _ => return None,
        })
    }
}

/// Whether letters of these scripts may be in one word.
pub(crate) fn are_together(scripts: &[Script]) -> bool {
    let are_among = |together: &&[Script]| scripts.iter().all(|script| together.contains(script));
    match scripts {
        [] | [_] => true,
        _ => TOGETHER.iter().any(are_among),
    }
}

/// Whether a letter is one of a present orthography in Latin script: those of Europe, Turkey, Vietnam, Africa
/// and of the transliterations that people write their names in.
fn is_latin(letter: char) -> bool {
    let is_of_latin_block = matches!(
        letter,
        'A'..='Z' | 'a'..='z' | '\u{aa}' | '\u{ba}' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}'
    );
    // African languages and Azerbaijani have letters in the block of phonetics; Polynesian and Semitic names
    // have letters that look like apostrophes.
    let is_elsewhere = matches!(
        letter,
        '\u{253}'
            | '\u{254}'
            | '\u{256}'
            | '\u{257}'
            | '\u{259}'
            | '\u{25b}'
            | '\u{263}'
            | '\u{272}'
            | '\u{28a}'
            | '\u{28b}'
            | '\u{292}'
            | '\u{2bb}'
            | '\u{2bc}'
            | '\u{2be}'
            | '\u{2bf}'
    );
    is_elsewhere || (is_of_latin_block && !is_out_of_use(letter))
}

/// Whether a letter of the Latin blocks is of an old alphabet, a click, a digraph or a form of another
/// letter. Most look like a digit, a sign or a letter that is in use.
const fn is_out_of_use(letter: char) -> bool {
    matches!(
        letter,
        '\u{138}' | '\u{149}' | '\u{17f}' | '\u{184}' | '\u{185}' | '\u{196}' | '\u{1a6}'..='\u{1a8}'
            | '\u{1bb}'..='\u{1cc}' | '\u{1f1}'..='\u{1f3}' | '\u{1f6}' | '\u{1f7}' | '\u{21c}' | '\u{21d}'
            | '\u{237}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_the_script_of_its_present_orthography_or_none() {
        for (letters, script) in [
            ("Az\u{df}\u{142}\u{131}\u{259}\u{1ec7}", Script::Latin),
            ("\u{3b1}\u{3ac}\u{1f00}", Script::Greek),
            ("\u{430}\u{457}\u{4d9}", Script::Cyrillic),
            ("\u{639}\u{6cc}", Script::Arabic),
            ("\u{915}\u{93f}", Script::Devanagari),
            ("\u{10d0}\u{1c90}", Script::Georgian),
            ("\u{5c71}\u{3005}", Script::Han),
            ("\u{d55c}\u{1112}", Script::Hangul),
        ] {
            for letter in letters.chars() {
                assert_eq!(Script::of(letter), Some(script), "{letter}");
            }
        }
        for letter in [
            // phonetics, small capitals and a click
            '\u{251}',
            '\u{261}',
            '\u{26a}',
            '\u{1d00}',
            '\u{a731}',
            '\u{1c0}',
            // wide, mathematical, circled, raised, script and Roman numeral
            '\u{ff41}',
            '\u{1d41a}',
            '\u{24d0}',
            '\u{1d43}',
            '\u{210a}',
            '\u{2160}',
            // Cherokee, Lisu, Coptic, Deseret, Osage, Tifinagh, Canadian syllabics
            '\u{13aa}',
            '\u{a4d0}',
            '\u{2c80}',
            '\u{10400}',
            '\u{104b0}',
            '\u{2d54}',
            '\u{144c}',
            // old Cyrillic, Greek and Coptic letters
            '\u{461}',
            '\u{3f3}',
            '\u{3e3}',
            '\u{37f}',
        ] {
            assert_eq!(Script::of(letter), None, "{letter}");
        }
    }

    #[test]
    fn scripts_that_are_written_together_are_few() {
        assert!(are_together(&[Script::Latin, Script::Han, Script::Katakana]));
        assert!(are_together(&[Script::Latin, Script::Thai]));
        assert!(are_together(&[Script::Cyrillic]));
        for apart in [
            Script::Greek,
            Script::Cyrillic,
            Script::Armenian,
            Script::Georgian,
            Script::Myanmar,
        ] {
            assert!(!are_together(&[Script::Latin, apart]), "{apart:?}");
        }
        assert!(!are_together(&[Script::Latin, Script::Hangul, Script::Katakana]));
    }
}
