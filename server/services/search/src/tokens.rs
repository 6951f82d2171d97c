//! The tokens of texts and queries.
//!
//! A letter has one form in all of its encodings and widths (NFKC), in lower case and without accents, and a
//! syllable one in both kinds of Kana. A script that is written without spaces has no words to split at: its
//! tokens are pairs of adjacent letters, in texts also single ones, so that each part of a name is found. So
//! are those of emoji, which stand alone or beside each other. Offsets are those of the original text.

use std::vec;

use tantivy::tokenizer::{AsciiFoldingFilter, TextAnalyzer, Token, TokenStream, Tokenizer};
use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};
use unicode_segmentation::UnicodeSegmentation as _;

/// The most letters of a token: a longer word is found by its beginning. The index takes tokens of up to 64
/// KiB.
const MAX_LETTERS: usize = 255;

/// The tokenizer of the index, and of texts that are highlighted.
pub(super) fn of_texts() -> TextAnalyzer {
    analyzer(WordTokenizer {
        has_single_letters: true,
    })
}

/// The tokenizer of queries.
pub(super) fn of_queries() -> TextAnalyzer {
    analyzer(WordTokenizer {
        has_single_letters: false,
    })
}

fn analyzer(tokenizer: WordTokenizer) -> TextAnalyzer {
    // Letters such as ß and ø have no accent to leave out; the filter knows their spelling in ASCII.
    TextAnalyzer::builder(tokenizer)
        .filter(AsciiFoldingFilter)
        .build()
}

/// Whether the script of a letter is written without spaces between words, or with suffixes at them as in
/// Korean: Thai, Lao, Burmese, Khmer, Hangul, Kana, Bopomofo and Han; and whether it is a picture.
pub(super) const fn is_unspaced(letter: char) -> bool {
    matches!(letter,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}'
        | '\u{3031}'..='\u{3035}' | '\u{303b}' | '\u{3040}'..='\u{31bf}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
        || is_picture(letter)
}

/// Whether a character is a picture, as emoji and dingbats are; two letters of the last range are a flag.
const fn is_picture(character: char) -> bool {
    matches!(character,
        '\u{2190}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{1f000}'..='\u{1f0ff}'
        | '\u{1f1e6}'..='\u{1faff}')
}

/// A syllable of Hiragana as that of Katakana: Japanese names have either.
fn katakana(character: char) -> char {
    match character {
        '\u{3041}'..='\u{3096}' | '\u{309d}' | '\u{309e}' => {
            char::from_u32(u32::from(character) + 0x60).unwrap_or(character)
        }
        other => other,
    }
}

/// Whether a character makes no difference: an accent of the Latin, Greek or Cyrillic script, a point of
/// Hebrew or Arabic, the Arabic elongation, an invisible joiner, a variation selector or the colour of an
/// emoji's skin. Other marks are parts of their letters, as vowels in Indic scripts, or the voicing in Kana.
const fn is_ignored(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5bd}' | '\u{5bf}'
        | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{640}'
        | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e4}'
        | '\u{6e7}' | '\u{6e8}' | '\u{6ea}'..='\u{6ed}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{feff}' | '\u{1f3fb}'..='\u{1f3ff}'
        | '\u{e0100}'..='\u{e01ef}')
}

/// Splits a text into words, and the words of unspaced scripts into letters.
#[derive(Debug, Clone, Copy)]
struct WordTokenizer {
    /// Whether single letters of unspaced scripts are tokens beside the pairs.
    has_single_letters: bool,
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = Tokens;

    fn token_stream(&mut self, text: &str) -> Tokens {
        Tokens {
            tokens: self.tokens(text).into_iter(),
            current: Token::default(),
        }
    }
}

/// The tokens of one text.
struct Tokens {
    tokens: vec::IntoIter<Token>,
    current: Token,
}

impl TokenStream for Tokens {
    fn advance(&mut self) -> bool {
        let next = self.tokens.next();
        let has_next = next.is_some();
        self.current = next.unwrap_or_default();
        has_next
    }

    fn token(&self) -> &Token {
        &self.current
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.current
    }
}

impl WordTokenizer {
    fn tokens(self, text: &str) -> Vec<Token> {
        let folded = FoldedText::of(text);
        let mut tokens = Vec::new();
        let mut rest = folded.letters.as_slice();
        while let Some(first) = rest.first() {
            let is_same_run =
                |letter: &&Letter| !letter.begins_word && letter.is_unspaced == first.is_unspaced;
            let length = 1 + rest.iter().skip(1).take_while(is_same_run).count();
            let (run, after) = rest.split_at(length);
            rest = after;
            if !first.is_unspaced || run.len() == 1 {
                tokens.extend(folded.token(run, tokens.len()));
                continue;
            }
            for pair in run.windows(2) {
                if self.has_single_letters {
                    tokens.extend(folded.token(&pair[..1], tokens.len()));
                }
                tokens.extend(folded.token(pair, tokens.len()));
            }
            if self.has_single_letters {
                tokens.extend(folded.token(&run[run.len() - 1..], tokens.len()));
            }
        }
        tokens
    }
}

/// A letter of a folded text, with the marks that belong to it.
struct Letter {
    /// Its bytes in the folded text.
    start: usize,
    end: usize,
    /// Its bytes in the original text.
    from: usize,
    to: usize,
    begins_word: bool,
    is_unspaced: bool,
}

/// The letters of a text in their one form.
struct FoldedText {
    text: String,
    letters: Vec<Letter>,
}

impl FoldedText {
    fn of(original: &str) -> Self {
        let mut folded = Self {
            text: String::with_capacity(original.len()),
            letters: Vec::with_capacity(original.len()),
        };
        let mut begins_word = true;
        let mut characters = Vec::new();
        for (from, grapheme) in original.grapheme_indices(true) {
            fold(grapheme, &mut characters);
            for character in characters.drain(..) {
                if is_combining_mark(character) {
                    folded.add_mark(character, from + grapheme.len(), begins_word);
                } else if character.is_alphanumeric() || is_picture(character) {
                    let start = folded.text.len();
                    folded.text.push(character);
                    folded.letters.push(Letter {
                        start,
                        end: folded.text.len(),
                        from,
                        to: from + grapheme.len(),
                        begins_word,
                        is_unspaced: is_unspaced(character),
                    });
                    begins_word = false;
                } else {
                    begins_word = true;
                }
            }
        }
        folded
    }

    /// Adds a mark to the letter before it; without one, it stands for nothing.
    fn add_mark(&mut self, mark: char, to: usize, is_alone: bool) {
        if let Some(letter) = self.letters.last_mut().filter(|_| !is_alone) {
            self.text.push(mark);
            (letter.end, letter.to) = (self.text.len(), to);
        }
    }

    /// The token of adjacent letters.
    fn token(&self, letters: &[Letter], position: usize) -> Option<Token> {
        let (first, last) = (letters.first()?, letters.last()?);
        let last_in_token = letters
            .get(..MAX_LETTERS)
            .and_then(<[Letter]>::last)
            .unwrap_or(last);
        Some(Token {
            offset_from: first.from,
            offset_to: last.to,
            position,
            text: self.text.get(first.start..last_in_token.end)?.to_owned(),
            position_length: 1,
        })
    }
}

/// Appends the characters of a grapheme in their one form.
fn fold(grapheme: &str, characters: &mut Vec<char>) {
    if let [byte] = grapheme.as_bytes() {
        characters.push(char::from(byte.to_ascii_lowercase()));
        return;
    }
    let folded = grapheme
        .nfkd()
        .flat_map(char::to_lowercase)
        .filter(|character| !is_ignored(*character))
        .map(|character| {
            if character == 'ς' {
                'σ'
            } else {
                katakana(character)
            }
        });
    characters.extend(folded.nfc());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(mut analyzer: TextAnalyzer, text: &str) -> Vec<String> {
        let mut texts = Vec::new();
        analyzer
            .token_stream(text)
            .process(&mut |token| texts.push(token.text.clone()));
        texts
    }

    #[test]
    fn a_letter_has_one_form_in_all_encodings() {
        for (forms, folded) in [
            (["mot\u{f6}rhead", "Moto\u{308}rhead"], "motorhead"),
            (["caf\u{e9}", "CAFE\u{301}"], "cafe"),
            (["\u{ff2d}\u{ff55}\u{ff47}", "mug"], "mug"),
            (["\u{fb01}lter", "filter"], "filter"),
            (["stra\u{df}e", "STRASSE"], "strasse"),
            (["\u{1ec7}", "e\u{323}\u{302}"], "e"),
            (
                ["\u{399}\u{3a3}\u{3ac}\u{3c2}", "\u{3b9}\u{3c3}\u{3b1}\u{3c3}"],
                "\u{3b9}\u{3c3}\u{3b1}\u{3c3}",
            ),
            (["co\u{ad}op", "coop"], "coop"),
            // with vowel points and an elongation, and without
            (
                [
                    "\u{645}\u{64f}\u{62d}\u{640}\u{645}\u{651}\u{62f}",
                    "\u{645}\u{62d}\u{645}\u{62f}",
                ],
                "\u{645}\u{62d}\u{645}\u{62f}",
            ),
        ] {
            for form in forms {
                assert_eq!(texts(of_texts(), form), [folded], "{form}");
                assert_eq!(texts(of_queries(), form), [folded], "{form}");
            }
        }
    }

    #[test]
    fn a_mark_that_is_part_of_its_letter_stays() {
        // ka and ga in Kana and in Devanagari, composed and decomposed
        assert_eq!(texts(of_queries(), "\u{30ab}\u{30ac}"), ["\u{30ab}\u{30ac}"]);
        assert_eq!(
            texts(of_queries(), "\u{30ab}\u{30ab}\u{3099}"),
            ["\u{30ab}\u{30ac}"]
        );
        assert_eq!(
            texts(of_queries(), "\u{ff76}\u{ff76}\u{ff9e}"),
            ["\u{30ab}\u{30ac}"]
        );
        let [with, without] =
            ["\u{915}\u{93f}\u{932}\u{93e}", "\u{915}\u{932}"].map(|text| texts(of_queries(), text));
        assert_eq!((with.len(), without.len()), (1, 1));
        assert_ne!(with, without);
    }

    #[test]
    fn an_unspaced_script_has_pairs_and_in_texts_single_letters() {
        for name in ["马克杯", "マグ杯", "머그컵", "กาแฟ"] {
            let letters: Vec<String> = name.chars().map(String::from).collect();
            let pairs: Vec<_> = letters.windows(2).map(|pair| pair.join("")).collect();
            assert_eq!(texts(of_queries(), name), pairs, "{name}");
            let all = texts(of_texts(), name);
            assert_eq!(all.len(), letters.len() + pairs.len());
            assert!(
                letters.iter().chain(&pairs).all(|text| all.contains(text)),
                "{all:?}"
            );
        }
        assert_eq!(texts(of_queries(), "杯"), ["杯"]);
        assert_eq!(
            texts(of_queries(), "USB3.0ケーブル"),
            ["usb3", "0", "ケー", "ーブ", "ブル"]
        );
        // Hangul in its parts
        assert_eq!(
            texts(of_queries(), "\u{1106}\u{1165}\u{1100}\u{1173}"),
            ["\u{ba38}\u{adf8}"]
        );
    }

    #[test]
    fn a_syllable_of_kana_has_one_form() {
        for (hiragana, katakana) in [
            ("\u{304b}\u{3063}\u{3077}", "\u{30ab}\u{30c3}\u{30d7}"),
            ("\u{304c}", "\u{30ab}\u{3099}"),
            ("\u{3094}\u{309e}", "\u{30f4}\u{30fe}"),
        ] {
            for tokens in [of_texts, of_queries] {
                assert_eq!(texts(tokens(), hiragana), texts(tokens(), katakana), "{hiragana}");
            }
        }
    }

    #[test]
    fn a_picture_is_found_alone_and_beside_others() {
        assert_eq!(
            texts(of_texts(), "Tea \u{1f375} green"),
            ["tea", "\u{1f375}", "green"]
        );
        assert_eq!(texts(of_texts(), "tea\u{1f375}"), ["tea", "\u{1f375}"]);
        assert_eq!(texts(of_queries(), "\u{2615}\u{fe0f}"), ["\u{2615}"]);
        // the colour of the skin and the joiner make no difference, and a flag is a pair
        assert_eq!(texts(of_queries(), "\u{1f44d}\u{1f3fd}"), ["\u{1f44d}"]);
        assert_eq!(
            texts(of_queries(), "\u{1f469}\u{200d}\u{1f3eb}"),
            ["\u{1f469}\u{1f3eb}"]
        );
        assert_eq!(texts(of_queries(), "\u{1f1e9}\u{1f1ea}"), ["\u{1f1e9}\u{1f1ea}"]);
        let all = texts(of_texts(), "\u{30de}\u{30b0}\u{1f375}");
        assert!(all.contains(&"\u{1f375}".to_owned()), "{all:?}");
    }

    #[test]
    fn a_long_word_is_not_lost() {
        let word = "a".repeat(41);
        assert_eq!(texts(of_texts(), &word), [word.as_str()]);
        let longer = texts(of_texts(), &format!("{} b", "\u{e4}".repeat(100_000)));
        assert_eq!(longer, ["a".repeat(MAX_LETTERS), "b".to_owned()]);
    }

    #[test]
    fn offsets_are_those_of_the_original() {
        let text = "e\u{301} \u{fb01}x, \u{fdfa}马\u{fe00}克";
        let mut analyzer = of_texts();
        let mut stream = analyzer.token_stream(text);
        let mut parts = Vec::new();
        while let Some(token) = stream.next() {
            parts.push(&text[token.offset_from..token.offset_to]);
        }
        for part in [
            "e\u{301}",
            "\u{fb01}x",
            "\u{fdfa}",
            "马\u{fe00}",
            "马\u{fe00}克",
            "克",
        ] {
            assert!(parts.contains(&part), "{part} {parts:?}");
        }
    }
}
