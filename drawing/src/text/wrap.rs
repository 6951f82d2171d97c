//! Wraps a text: as few lines as its width allows, and these as even as they can be.

use super::breaks::{Piece, pieces, shatter};
use super::width::{Weight, width};

/// A line of a wrapped text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) text: String,
    /// Its width in ems.
    pub(crate) width: f64,
    /// Whether a space separates it from the next line, as opposed to a break within a word.
    pub(crate) ends_word: bool,
}

/// A text that is ready to be wrapped to any width.
#[derive(Debug, Clone)]
pub(crate) struct Wrapping {
    weight: Weight,
    pieces: Vec<Measured>,
}

#[derive(Debug, Clone)]
struct Measured {
    piece: Piece,
    width: f64,
}

/// How many times the width is halved while lines are made even.
const HALVINGS: usize = 7;

impl Wrapping {
    pub(crate) fn new(text: &str, weight: Weight) -> Self {
        let measure = |piece: Piece| Measured {
            width: width(&piece.text, weight),
            piece,
        };
        Self {
            weight,
            pieces: pieces(text).into_iter().map(measure).collect(),
        }
    }

    /// Whether the text could fill so many lines without overflowing: a quick test before the slow one.
    pub(crate) fn may_fit(&self, limit: f64, most: usize) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a handful of lines")]
        let room = limit * most as f64;
        self.pieces.iter().map(|it| it.width).sum::<f64>() <= room
    }

    /// The same text with the words cut that are wider than a line, if there are any.
    pub(crate) fn shattered(&self, limit: f64) -> Option<Self> {
        if self.pieces.iter().all(|it| it.width <= limit) {
            return None;
        }
        let mut shattered = Vec::new();
        for measured in &self.pieces {
            if measured.width > limit {
                shattered.extend(shatter(&measured.piece).map(|piece| Measured {
                    width: width(&piece.text, self.weight),
                    piece,
                }));
            } else {
                shattered.push(measured.clone());
            }
        }
        Some(Self {
            weight: self.weight,
            pieces: shattered,
        })
    }

    /// The text on at most `most` lines of at most `limit` ems, or nothing if it does not fit.
    pub(crate) fn wrap(&self, limit: f64, most: usize) -> Option<Vec<Line>> {
        if self.pieces.iter().any(|it| it.width > limit) {
            return None;
        }
        let count = self.count(limit);
        if count == 0 || count > most {
            return None;
        }
        let (mut low, mut high) = (limit / 8.0, limit);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if self.pieces.iter().all(|it| it.width <= middle) && self.count(middle) <= count {
                high = middle;
            } else {
                low = middle;
            }
        }
        let lines = self.lines(high);
        lines.iter().all(|line| line.width <= limit).then_some(lines)
    }

    /// How many lines of this width the text takes.
    fn count(&self, limit: f64) -> usize {
        let mut count = 0;
        self.fill(limit, |_, _| count += 1);
        count
    }

    fn lines(&self, limit: f64) -> Vec<Line> {
        let mut lines = Vec::new();
        self.fill(limit, |range, width| {
            let end = range.end;
            let mut text = String::new();
            for (i, measured) in self.pieces[range].iter().enumerate() {
                if i > 0 && measured.piece.follows_space {
                    text.push(' ');
                }
                text.push_str(&measured.piece.text);
            }
            let ends_word = self.pieces.get(end).is_none_or(|it| it.piece.follows_space);
            if !ends_word && self.pieces[end - 1].piece.takes_hyphen {
                text.push('-');
            }
            lines.push(Line {
                text,
                width,
                ends_word,
            });
        });
        lines
    }

    /// Fills lines one after the other, and tells of each: its pieces and its width.
    fn fill(&self, limit: f64, mut line: impl FnMut(std::ops::Range<usize>, f64)) {
        let (space, hyphen) = (width(" ", self.weight), width("-", self.weight));
        let (mut start, mut filled) = (0, 0.0);
        for (i, measured) in self.pieces.iter().enumerate() {
            let gap = if measured.piece.follows_space { space } else { 0.0 };
            let tail = if measured.piece.takes_hyphen { hyphen } else { 0.0 };
            if i > start && filled + gap + measured.width + tail > limit {
                let before = &self.pieces[i - 1].piece;
                let is_cut = before.takes_hyphen && !measured.piece.follows_space;
                line(start..i, filled + if is_cut { hyphen } else { 0.0 });
                (start, filled) = (i, measured.width);
            } else {
                filled += if i > start { gap } else { 0.0 } + measured.width;
            }
        }
        if start < self.pieces.len() {
            line(start..self.pieces.len(), filled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str, limit: f64) -> Vec<String> {
        let lines = Wrapping::new(text, Weight::Regular)
            .wrap(limit, 9)
            .unwrap_or_default();
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_are_few_and_even() {
        assert_eq!(
            wrapped("Validates intent and creates domain commands", 16.0),
            ["Validates intent and", "creates domain commands"]
        );
    }

    #[test]
    fn a_word_is_cut_at_a_soft_hyphen_where_it_must_be() {
        assert_eq!(wrapped("Ereignis\u{ad}speicher", 20.0), ["Ereignisspeicher"]);
        assert_eq!(wrapped("Ereignis\u{ad}speicher", 5.0), ["Ereignis-", "speicher"]);
    }

    #[test]
    fn a_word_that_is_too_wide_fits_only_in_parts() {
        let wrapping = Wrapping::new(&"m".repeat(20), Weight::Regular);
        assert_eq!(wrapping.wrap(10.0, 3), None);
        let lines = wrapping.shattered(10.0).and_then(|it| it.wrap(10.0, 3)).unwrap();
        assert_eq!(lines.len(), 2);
        assert!(!lines[0].ends_word);
    }
}
