//! Writes SVG: escapes every text and attribute, and rounds numbers to a tenth of a pixel.
//!
//! It is a dozen lines because the drawing needs no more: elements, attributes and text. What XML cannot
//! hold, such as control characters, is left out of texts, whichever label it came with.

use std::fmt::Write;

use crate::geometry::Point;

/// A document that is being written.
#[derive(Debug, Default)]
pub(crate) struct Svg(String);

impl Svg {
    /// Begins an element; attributes follow, and then [`Tag::close`] or [`Tag::open`].
    pub(crate) fn tag(&mut self, name: &'static str) -> Tag<'_> {
        self.0.push('<');
        self.0.push_str(name);
        Tag { svg: self, name }
    }

    /// Ends an element that was opened.
    pub(crate) fn end(&mut self, name: &'static str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// A text between elements.
    pub(crate) fn text(&mut self, text: &str) {
        escape(&mut self.0, text);
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// An element whose attributes are being written.
#[derive(Debug)]
#[must_use = "an element has to be closed or opened"]
pub(crate) struct Tag<'a> {
    svg: &'a mut Svg,
    name: &'static str,
}

impl<'a> Tag<'a> {
    /// An attribute with a text.
    pub(crate) fn with(self, key: &str, value: &str) -> Self {
        let _ = write!(self.svg.0, " {key}=\"");
        escape(&mut self.svg.0, value);
        self.svg.0.push('"');
        self
    }

    /// An attribute with a number.
    pub(crate) fn num(self, key: &str, value: f64) -> Self {
        let _ = write!(self.svg.0, " {key}=\"");
        number(&mut self.svg.0, value, 10.0);
        self.svg.0.push('"');
        self
    }

    /// An attribute with a number between 0 and 1, or another that a tenth would spoil.
    pub(crate) fn fine(self, key: &str, value: f64) -> Self {
        let _ = write!(self.svg.0, " {key}=\"");
        number(&mut self.svg.0, value, 1000.0);
        self.svg.0.push('"');
        self
    }

    /// The attribute `points` of a polygon.
    pub(crate) fn points(self, points: &[Point]) -> Self {
        self.svg.0.push_str(" points=\"");
        for (i, point) in points.iter().enumerate() {
            if i > 0 {
                self.svg.0.push(' ');
            }
            pair(&mut self.svg.0, *point);
        }
        self.svg.0.push('"');
        self
    }

    /// Ends the element without content.
    pub(crate) fn close(self) {
        self.svg.0.push_str("/>");
    }

    /// Ends the start tag; [`Svg::end`] has to follow.
    pub(crate) fn open(self) -> &'a mut Svg {
        self.svg.0.push('>');
        self.svg
    }

    /// Ends the element with a text as its content.
    pub(crate) fn content(self, text: &str) {
        let name = self.name;
        let svg = self.open();
        svg.text(text);
        svg.end(name);
    }
}

/// The data of a path that goes through these points.
pub(crate) fn path(points: &[Point]) -> String {
    let mut data = String::new();
    for (i, point) in points.iter().enumerate() {
        data.push(if i == 0 { 'M' } else { 'L' });
        pair(&mut data, *point);
    }
    data
}

fn pair(out: &mut String, point: Point) {
    number(out, point.x, 10.0);
    out.push(',');
    number(out, point.y, 10.0);
}

/// Writes a number rounded to one part in `precision`, without a trailing zero or a negative one.
fn number(out: &mut String, value: f64, precision: f64) {
    let rounded = (value * precision).round() / precision;
    let _ = write!(out, "{}", if rounded == 0.0 { 0.0 } else { rounded });
}

/// Writes a text in such a way that no parser takes a part of it for markup.
fn escape(out: &mut String, text: &str) {
    for character in text.chars().filter(|it| !is_forbidden(*it)) {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
}

/// Whether a character has no place in a label: control characters, those that override the order of text (a
/// label must read as it is written), line and paragraph separators, and what XML forbids. Marks and
/// isolates, which Arabic and Hebrew need, are none of them.
pub(crate) fn is_forbidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{fff9}'..='\u{fffb}')
        || (character as u32) & 0xfffe == 0xfffe
        || matches!(character, '\u{fdd0}'..='\u{fdef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_text_is_escaped_and_a_control_character_is_left_out() {
        let mut svg = Svg::default();
        svg.tag("text")
            .with("a", "\"'<")
            .num("x", 1.25)
            .num("y", -0.01)
            .content("<b>\u{0}&\u{202e}é");
        assert_eq!(
            svg.into_string(),
            "<text a=\"&quot;&#39;&lt;\" x=\"1.3\" y=\"0\">&lt;b&gt;&amp;é</text>"
        );
    }
}
