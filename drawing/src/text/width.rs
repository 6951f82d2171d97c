//! How wide a text is, by a table for each script.

use unicode_segmentation::UnicodeSegmentation;

use super::widths::{
    ARABIC, DEVANAGARI, GREEK_CYRILLIC_BOLD, GREEK_CYRILLIC_REGULAR, LATIN_BOLD, LATIN_REGULAR,
};

/// The weight of a font.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

impl Weight {
    /// The value of the attribute `font-weight`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Regular => "400",
            Self::Bold => "700",
        }
    }
}

/// The tables are of four fonts; another may be wider.
const MARGIN: f64 = 1.02;

/// How much wider Arabic and Devanagari are in bold.
const BOLD: f64 = 1.09;

/// The width of a text on one line, in ems.
pub(crate) fn width(text: &str, weight: Weight) -> f64 {
    let clusters = text.graphemes(true).scan(None, |previous, cluster| {
        let before = previous.replace(cluster);
        Some((before, cluster))
    });
    let mut following = text.graphemes(true).skip(1);
    let sum: f64 = clusters
        .map(|(before, cluster)| of_cluster(before, cluster, following.next(), weight))
        .sum();
    sum * MARGIN
}

/// The width of what a reader takes for one character, between its neighbours.
fn of_cluster(before: Option<&str>, cluster: &str, after: Option<&str>, weight: Weight) -> f64 {
    if is_emoji(cluster) {
        return 1.4;
    }
    let mut characters = cluster.chars();
    let Some(first) = characters.next() else {
        return 0.0;
    };
    if let Some(forms) = arabic(first) {
        let joins_before = before
            .and_then(|it| it.chars().next())
            .is_some_and(joins_following);
        let joins_after =
            joins_following(first) && after.and_then(|it| it.chars().next()).is_some_and(is_joined);
        let form = forms[usize::from(joins_before) + 2 * usize::from(joins_after)];
        return f64::from(form) / 100.0 * if weight == Weight::Bold { BOLD } else { 1.0 };
    }
    of_character(first, weight) + characters.map(|it| of_mark(it, weight)).sum::<f64>()
}

/// The forms of an Arabic letter: alone, at the end of a word, at its start, within it.
fn arabic(letter: char) -> Option<[u8; 4]> {
    match letter {
        '\u{621}'..='\u{64a}' => Some(ARABIC[letter as usize - 0x621]),
        // Letters of Persian, Urdu and others: as wide as those of Arabic that they are derived from.
        '\u{671}'..='\u{6d3}' => Some([90, 100, 45, 50]),
        _ => None,
    }
}

/// Whether a letter is joined to the one before it.
fn is_joined(letter: char) -> bool {
    arabic(letter).is_some() && letter != '\u{621}'
}

/// Whether a letter is joined to the one after it.
fn joins_following(letter: char) -> bool {
    const ENDS: &str = "ءآأؤإاةدذرزوىٱڈڑژ";
    arabic(letter).is_some() && !ENDS.contains(letter)
}

fn is_emoji(cluster: &str) -> bool {
    cluster
        .chars()
        .any(|it| matches!(it, '\u{1f000}'..='\u{1faff}' | '\u{fe0f}' | '\u{2600}'..='\u{27bf}'))
}

/// The width that a further character adds to its cluster: none, if it is a mark above or below the first.
fn of_mark(character: char, weight: Weight) -> f64 {
    match character {
        '\u{900}'..='\u{97f}' => of_character(character, weight),
        // Signs beside the letter in other scripts of India and its neighbours.
        '\u{980}'..='\u{dff}' | '\u{1000}'..='\u{109f}' => 0.5,
        // Hangul that is written letter by letter: the syllable's width is that of its first letter.
        _ => 0.0,
    }
}

fn of_character(character: char, weight: Weight) -> f64 {
    let bold = weight == Weight::Bold;
    let code = character as usize;
    let hundredths = |table: &[u8], first: usize| f64::from(table[code - first]) / 100.0;
    match character {
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{300}'..='\u{36f}' => {
            0.0
        }
        ' '..='\u{17f}' => hundredths(if bold { &LATIN_BOLD } else { &LATIN_REGULAR }, 0x20),
        '\u{370}'..='\u{4ff}' => hundredths(
            if bold {
                &GREEK_CYRILLIC_BOLD
            } else {
                &GREEK_CYRILLIC_REGULAR
            },
            0x370,
        ),
        '\u{900}'..='\u{97f}' => hundredths(&DEVANAGARI, 0x900) * if bold { BOLD } else { 1.0 },
        '\u{180}'..='\u{36f}' | '\u{500}'..='\u{6ff}' | '\u{e00}'..='\u{eff}' | '\u{1e00}'..='\u{1fff}' => {
            0.66
        }
        '\u{2010}' | '\u{2011}' | '\u{2018}'..='\u{201f}' | '\u{2022}' | '\u{2027}' => 0.4,
        '\u{2013}' => 0.58,
        '\u{ac00}'..='\u{d7af}' => 0.94,
        '\u{ff61}'..='\u{ff9f}' => 0.52,
        '\u{700}'..='\u{10ff}' | '\u{1200}'..='\u{1dff}' => 0.9,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(text: &str, weight: Weight, expected: f64) {
        let found = width(text, weight);
        assert!((found / expected - 1.0).abs() < 0.06, "{text}: {found}");
    }

    #[test]
    fn widths_are_those_of_the_fonts() {
        close("Event Store", Weight::Regular, 5.6);
        close("Event Store", Weight::Bold, 5.95);
        close("イベント", Weight::Regular, 4.0);
    }

    #[test]
    fn a_letter_of_arabic_is_narrower_within_a_word() {
        assert!(width("بببب", Weight::Regular) < 0.6 * 4.0 * width("ب", Weight::Regular));
    }

    #[test]
    fn marks_and_joined_emoji_have_no_width_of_their_own() {
        close("e\u{301}", Weight::Regular, width("e", Weight::Regular));
        close("👩🏽‍🏫", Weight::Regular, 1.4);
        close("कि", Weight::Regular, width("क", Weight::Regular) + 0.26);
    }
}
