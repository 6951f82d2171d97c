//! Where a text may be broken into lines.
//!
//! A text is cut into pieces, which stay whole unless no line is wide enough for one of them. Lines break at
//! spaces, at soft hyphens and zero-width spaces, after a slash or a hyphen in a long word, and in Chinese
//! and Japanese between characters. The rules are a small part of UAX #14, with two that it leaves to a
//! dictionary: Japanese is broken before the start of a phrase, and never within a run of katakana or kanji;
//! Korean is broken at spaces alone.

use unicode_segmentation::UnicodeSegmentation;

use super::script::Script;

/// A part of a text that stays on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    /// Whether a space separates it from the piece before it.
    pub(super) follows_space: bool,
    /// Whether it ends with a hyphen if a line ends with it.
    pub(super) takes_hyphen: bool,
}

/// In words up to this length a slash or a hyphen is no opportunity for a break.
const LONG_WORD: usize = 9;

/// A word with a slash that is one name.
const REST_JSON: &str = "REST/JSON";

/// The pieces of a text, in order.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let is_japanese = text
        .chars()
        .any(|it| matches!(Script::of(it), Script::Hiragana | Script::Katakana));
    let mut pieces: Vec<Piece> = Vec::new();
    for word in text.split_whitespace() {
        if let (true, Some(Piece { text, .. })) = (is_sign(word), pieces.last_mut()) {
            text.push(' ');
            text.push_str(word);
            continue;
        }
        let mut follows_space = !pieces.is_empty();
        let mut push = |text: String, takes_hyphen: bool| {
            if !text.is_empty() {
                let follows_space = std::mem::take(&mut follows_space);
                pieces.push(Piece {
                    text,
                    follows_space,
                    takes_hyphen,
                });
            }
        };
        let is_long = word.graphemes(true).count() > LONG_WORD && !word.contains(REST_JSON);
        let mut piece = String::new();
        let mut previous: Option<&str> = None;
        for cluster in word.graphemes(true) {
            match cluster {
                "\u{ad}" => push(std::mem::take(&mut piece), true),
                "\u{200b}" => push(std::mem::take(&mut piece), false),
                _ => {
                    if previous.is_some_and(|it| may_break(it, cluster, is_long, is_japanese)) {
                        push(std::mem::take(&mut piece), false);
                    }
                    piece.push_str(cluster);
                }
            }
            previous = Some(cluster);
        }
        push(piece, false);
    }
    pieces
}

/// The pieces of a piece that is too wide for any line: its clusters.
pub(super) fn shatter(piece: &Piece) -> impl Iterator<Item = Piece> {
    let count = piece.text.graphemes(true).count();
    piece
        .text
        .graphemes(true)
        .enumerate()
        .map(move |(i, cluster)| Piece {
            text: cluster.to_owned(),
            follows_space: i == 0 && piece.follows_space,
            takes_hyphen: i + 1 == count && piece.takes_hyphen,
        })
}

/// Whether a word is a sign between two others, which ends a line rather than begins one: "Cache lookup /".
fn is_sign(word: &str) -> bool {
    matches!(word, "/" | "-" | "–" | "—" | "+" | "&" | "·" | "|" | "→")
}

fn may_break(before: &str, after: &str, is_long: bool, is_japanese: bool) -> bool {
    let script = |cluster: &str| cluster.chars().next().map_or(Script::Spaced, Script::of);
    match (script(before), script(after)) {
        (_, Script::Closing) | (Script::Opening, _) => false,
        (Script::Closing, _) | (_, Script::Opening) | (Script::Unspaced, Script::Unspaced) => true,
        (_, Script::Hiragana) => false,
        (Script::Hiragana, _) => true,
        (a, b) if a == b => match a {
            Script::Han => !is_japanese,
            Script::Spaced => is_long && matches!(before, "/" | "-"),
            _ => false,
        },
        (Script::Hangul, _) | (_, Script::Hangul) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        pieces(text).into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn words_are_broken_at_spaces_and_long_ones_after_a_hyphen() {
        assert_eq!(
            texts("At-least-once delivery"),
            ["At-", "least-", "once", "delivery"]
        );
        assert_eq!(texts("REST/JSON-Befehl x/y"), ["REST/JSON-Befehl", "x/y"]);
        assert_eq!(texts("Event Bus - Kafka"), ["Event", "Bus -", "Kafka"]);
    }

    #[test]
    fn a_soft_hyphen_is_seen_only_where_a_line_ends() {
        let pieces = pieces("Ereignis\u{ad}speicher");
        assert_eq!(
            pieces[0],
            Piece {
                text: "Ereignis".into(),
                follows_space: false,
                takes_hyphen: true
            }
        );
        assert_eq!(
            pieces[1],
            Piece {
                text: "speicher".into(),
                follows_space: false,
                takes_hyphen: false
            }
        );
    }

    #[test]
    fn japanese_is_broken_before_phrases_and_chinese_between_characters() {
        assert_eq!(
            texts("意図を検証し、ドメインコマンドを作成"),
            ["意図を", "検証し、", "ドメインコマンドを", "作成"]
        );
        assert_eq!(texts("事件存储。"), ["事", "件", "存", "储。"]);
        assert_eq!(texts("이벤트 저장소"), ["이벤트", "저장소"]);
    }
}
