//! The words of a query: how much a text may differ from each, and which parts of a text match. The index
//! uses the same distances, so highlights show what matched.

use std::ops::Range;

use domain::wire::HighlightPart;
use tantivy::tokenizer::TokenStream as _;

use super::tokens::{self, is_unspaced};

/// The most words of a query; later ones are ignored.
const MAX_WORDS: usize = 8;

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

/// The words of a query.
pub(super) fn words(query: &str) -> Vec<Word> {
    let mut found = Vec::new();
    tokens::of_queries()
        .token_stream(query)
        .process(&mut |token| found.push(token.clone()));
    let (mut begun, mut reached) = (0, 0);
    found.retain(|token| {
        // The pairs of letters of an unspaced script overlap: together they are one word.
        begun += usize::from(token.offset_from >= reached);
        reached = token.offset_to;
        begun <= MAX_WORDS
    });
    let last = found.len().saturating_sub(1);
    found
        .into_iter()
        .enumerate()
        .map(|(n, token)| Word {
            distance: distance(&token.text),
            // Single letters are indexed where a word may begin anywhere.
            is_prefix: n == last && !begins_unspaced(&token.text),
            text: token.text,
        })
        .collect()
}

fn begins_unspaced(word: &str) -> bool {
    word.chars().next().is_some_and(is_unspaced)
}

/// Short words have too many similar ones, and numbers must match exactly. The similar ones of a very long
/// word cost too much.
fn distance(word: &str) -> u8 {
    if word.bytes().any(|byte| byte.is_ascii_digit()) || begins_unspaced(word) {
        return 0;
    }
    match word.chars().count() {
        4..8 => 1,
        8..=40 => 2,
        _ => 0,
    }
}

impl Word {
    /// Whether a word of a text is this one, or similar enough.
    pub(super) fn matches(&self, token: &str) -> bool {
        if self.distance == 0 {
            return token == self.text || (self.is_prefix && token.starts_with(&self.text));
        }
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
    let mut matches: Vec<Range<usize>> = Vec::new();
    tokens::of_texts().token_stream(text).process(&mut |token| {
        if !words.iter().any(|word| word.matches(&token.text)) {
            return;
        }
        match matches.last_mut() {
            // Pairs of letters of an unspaced script.
            Some(last) if token.offset_from < last.end => last.end = last.end.max(token.offset_to),
            _ => matches.push(token.offset_from..token.offset_to),
        }
    });
    if matches.is_empty() {
        return None;
    }
    let mut parts = Vec::new();
    let mut done = 0;
    for Range { start, end } in matches {
        // Tokens begin and end between characters; otherwise the part would stay unmarked.
        let (Some(before), Some(found)) = (text.get(done..start), text.get(start..end)) else {
            continue;
        };
        if !before.is_empty() {
            parts.push(part(before, false));
        }
        parts.push(part(found, true));
        done = end;
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
    fn a_part_of_an_unspaced_name_is_marked() {
        assert_eq!(marked("蓝色马克杯两件", "马克杯"), "蓝色[马克杯]两件");
        assert_eq!(
            marked("電子レンジ対応マグカップ", "ﾏｸﾞ"),
            "電子レンジ対応[マグ]カップ"
        );
        assert_eq!(marked("파란머그컵 세트", "머그컵"), "파란[머그컵] 세트");
        assert_eq!(marked("蓝色马克杯", "杯"), "蓝色马克[杯]");
        assert_eq!(marked("蓝色马克杯", "克马"), "");
    }

    #[test]
    fn a_name_is_marked_however_its_letters_are_composed() {
        for (text, query) in [
            ("Moto\u{308}rhead", "mot\u{f6}rhead"),
            ("Mot\u{f6}rhead", "moto\u{308}rhead"),
        ] {
            assert_eq!(
                marked(&format!("a {text} poster"), query),
                format!("a [{text}] poster")
            );
        }
    }

    #[test]
    fn a_long_word_is_marked_whole_and_by_its_beginning() {
        let word = "Rindfleischetikettierungs\u{fc}berwachungsaufgaben\u{fc}bertragungsgesetz";
        for query in [
            word,
            "rindfleischetikettierungsuberwachungsaufgaben",
            &"x".repeat(41),
        ] {
            let is_in = !query.starts_with('x');
            assert_eq!(
                marked(word, query),
                if is_in { format!("[{word}]") } else { String::new() }
            );
        }
    }

    #[test]
    fn a_query_has_few_words() {
        let pairs = words(&"马克杯".repeat(10));
        assert_eq!(pairs.len(), 29, "one word, in pairs");
        assert!(pairs.iter().all(|word| word.distance == 0 && !word.is_prefix));
        assert_eq!(words(&"mug ".repeat(50)).len(), MAX_WORDS);
        assert_eq!(words(" .,;!"), []);
    }

    #[test]
    fn hostile_searches_have_few_words_and_mark_a_text_without_changing_it() {
        const TEXTS: &[&str] = &[
            "mug",
            "Moto\u{308}rhead poster",
            "马克杯 mug-01",
            "مرحبا",
            "İstanbul ﬁne",
        ];
        let inputs = (fuzz::texts_like(TEXTS), fuzz::texts_like(TEXTS));
        fuzz::check(&inputs, |(text, query)| {
            // The gateway refuses a longer one.
            let query: String = query.chars().take(200).collect();
            let text: String = text.chars().take(500).collect();
            let found = words(&query);
            // A letter may be the ligature of several.
            fuzz::prop_assert!(found.len() <= 20 * query.chars().count(), "{} words", found.len());
            if let Some(parts) = highlighted(&text, &found) {
                let whole: String = parts.iter().map(|part| part.text.as_str()).collect();
                fuzz::prop_assert_eq!(whole, text);
                fuzz::prop_assert!(parts.iter().any(|part| part.matched));
            }
            Ok(())
        });
    }
}
