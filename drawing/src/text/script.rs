//! The scripts that the layout distinguishes, and the height that their letters need.

/// A group of scripts with the same habits of line breaking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Hiragana,
    Katakana,
    Han,
    Hangul,
    /// Punctuation that may not begin a line, such as an ideographic full stop.
    Closing,
    /// Punctuation that may not end a line, such as an opening corner bracket.
    Opening,
    /// Scripts that are written without spaces, such as Thai and Khmer.
    Unspaced,
    /// All others, which break at spaces.
    Spaced,
}

impl Script {
    pub(super) fn of(character: char) -> Self {
        match character {
            '、' | '。' | '，' | '．' | '：' | '；' | '！' | '？' | '）' | '」' | '』' | '】' | '〉'
            | '》' | '…' | '・' => Self::Closing,
            '（' | '「' | '『' | '【' | '〈' | '《' => Self::Opening,
            '\u{3041}'..='\u{309f}' => Self::Hiragana,
            '\u{30a0}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' => Self::Katakana,
            '\u{2e80}'..='\u{2fdf}'
            | '\u{3005}'..='\u{3007}'
            | '\u{3400}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3fffd}' => Self::Han,
            '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7af}' => Self::Hangul,
            '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' => Self::Unspaced,
            _ => Self::Spaced,
        }
    }
}

/// How far letters reach over and under the base line, and how far base lines are apart, in ems.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Metrics {
    pub(crate) ascent: f64,
    pub(crate) descent: f64,
    pub(crate) line: f64,
}

impl Metrics {
    /// The metrics of the script in a text that needs the most.
    pub(crate) fn of(text: &str) -> Self {
        text.chars()
            .map(Self::of_character)
            .fold(Self::LATIN, |most, it| Self {
                ascent: most.ascent.max(it.ascent),
                descent: most.descent.max(it.descent),
                line: most.line.max(it.line),
            })
    }

    const LATIN: Self = Self {
        ascent: 0.8,
        descent: 0.24,
        line: 1.22,
    };

    const fn of_character(character: char) -> Self {
        match character {
            '\0'..='\u{58f}' | '\u{2000}'..='\u{2bff}' => Self::LATIN,
            '\u{600}'..='\u{6ff}' => Self {
                ascent: 0.86,
                descent: 0.36,
                line: 1.32,
            },
            '\u{900}'..='\u{97f}' => Self {
                ascent: 0.92,
                descent: 0.36,
                line: 1.36,
            },
            '\u{1100}'..='\u{11ff}'
            | '\u{2e80}'..='\u{d7af}'
            | '\u{f900}'..='\u{faff}'
            | '\u{ff00}'..='\u{ffef}' => Self {
                ascent: 0.86,
                descent: 0.16,
                line: 1.26,
            },
            _ => Self {
                ascent: 0.98,
                descent: 0.4,
                line: 1.42,
            },
        }
    }
}
