//! The words of a query: how much a text may differ from each, and which parts of a text match. The index
//! uses the same distances, so highlights show what matched.

use domain::wire::HighlightPart;
use tantivy::tokenizer::{
    AsciiFoldingFilter, LowerCaser, RemoveLongFilter, SimpleTokenizer, TextAnalyzer, TokenStream as _,
};

/// The most words of a query; later ones are ignored.
const MAX_WORDS: usize = 8;

/// The longest word, in bytes; longer ones are not indexed.
const MAX_WORD: usize = 40;

/// A word of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// In lower case, without accents.
    pub(super) text: String,
    /// The most characters that may differ.
    pub(super) distance: u8,
    /// Whether it is the last word, which may be incomplete.
    pub(super) is_prefix: bool,
}

/// The tokenizer of all texts and queries.
pub(super) fn analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(MAX_WORD))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .build()
}

/// The words of a query.
pub(super) fn words(query: &str) -> Vec<Word> {
    let mut texts = Vec::new();
    analyzer()
        .token_stream(query)
        .process(&mut |token| texts.push(token.text.clone()));
    texts.truncate(MAX_WORDS);
    let last = texts.len().saturating_sub(1);
    texts
        .into_iter()
        .enumerate()
        .map(|(n, text)| Word {
            distance: distance(&text),
            is_prefix: n == last,
            text,
        })
        .collect()
}

/// Short words have too many similar ones, and numbers must match exactly.
fn distance(word: &str) -> u8 {
    if word.bytes().any(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    match word.chars().count() {
        0..4 => 0,
        4..8 => 1,
        _ => 2,
    }
}

impl Word {
    /// Whether a word of a text is this one, or similar enough.
    pub(super) fn matches(&self, token: &str) -> bool {
        let distance = usize::from(self.distance);
        if strsim::osa_distance(token, &self.text) <= distance {
            return true;
        }
        if !self.is_prefix {
            return false;
        }
        let length = self.text.chars().count();
        (length.saturating_sub(distance)..=length + distance).any(|length| {
            let beginning: String = token.chars().take(length).collect();
            strsim::osa_distance(&beginning, &self.text) <= distance
        })
    }
}

/// Splits a text into matching and other parts; `None` if nothing matches.
pub(super) fn highlighted(text: &str, words: &[Word]) -> Option<Vec<HighlightPart>> {
    let mut parts = Vec::new();
    let mut done = 0;
    analyzer().token_stream(text).process(&mut |token| {
        if !words.iter().any(|word| word.matches(&token.text)) {
            return;
        }
        // The analyzer splits at character boundaries; otherwise the part would stay unmarked.
        let (Some(before), Some(matched)) = (
            text.get(done..token.offset_from),
            text.get(token.offset_from..token.offset_to),
        ) else {
            return;
        };
        if !before.is_empty() {
            parts.push(part(before, false));
        }
        parts.push(part(matched, true));
        done = token.offset_to;
    });
    if parts.is_empty() {
        return None;
    }
    if let Some(rest) = text.get(done..).filter(|rest| !rest.is_empty()) {
        parts.push(part(rest, false));
    }
    Some(parts)
}

fn part(text: &str, matched: bool) -> HighlightPart {
    HighlightPart {
        text: text.to_owned(),
        matched,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, query: &str) -> String {
        let parts = highlighted(text, &words(query)).unwrap_or_default();
        parts
            .into_iter()
            .map(|part| {
                if part.matched {
                    format!("[{}]", part.text)
                } else {
                    part.text
                }
            })
            .collect()
    }

    #[test]
    fn a_match_is_marked_in_its_original_spelling() {
        assert_eq!(
            marked("A blue Café-Mug, blue", "cafe blue"),
            "A [blue] [Café]-Mug, [blue]"
        );
        assert_eq!(marked("nothing here", "mug"), "");
    }

    #[test]
    fn a_typing_error_is_tolerated_in_a_long_enough_word() {
        assert_eq!(marked("a teapot", "teaopt kettle"), "a [teapot]");
        assert_eq!(marked("a blanket", "balnket "), "a [blanket]");
        assert_eq!(marked("a cup", "cap first"), "");
        assert_eq!(marked("order 1234", "1235 x"), "");
    }

    #[test]
    fn only_the_last_word_may_be_incomplete() {
        assert_eq!(marked("a teapot", "tea"), "a [teapot]");
        assert_eq!(marked("a teapot", "tea cup"), "");
        assert_eq!(marked("a blanket", "blak"), "a [blanket]");
    }

    #[test]
    fn a_query_has_few_words() {
        assert_eq!(words(&"mug ".repeat(50)).len(), MAX_WORDS);
        assert_eq!(words(" .,;!"), []);
    }
}
