//! What people have written, as emails show it.
//!
//! An email to an address that its owner has not confirmed may go to a stranger, whom another person has
//! registered to have the server write to them. So it has nothing of a person that a mail program would make
//! a link of, or that looks like one: names of people are left out, and other texts lose the signs that hold
//! links together.

use domain::visible_text::one_line;

use crate::addresses::Address;

/// How texts of people are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FreeText {
    /// As they were written.
    AsWritten,
    /// Without links.
    WithoutLinks,
}

impl FreeText {
    /// In an email to this recipient.
    pub(super) fn to(recipient: &Address) -> Self {
        if recipient.confirmed {
            Self::AsWritten
        } else {
            Self::WithoutLinks
        }
    }

    /// A text on one line.
    pub(super) fn show(self, text: &str) -> String {
        let line = one_line(text);
        match self {
            Self::AsWritten => line.into_owned(),
            Self::WithoutLinks => without_links(&line),
        }
    }

    /// The name of the recipient; empty: the email does not say it.
    pub(super) fn name(self, name: &str) -> String {
        match self {
            Self::AsWritten => self.show(name),
            Self::WithoutLinks => String::new(),
        }
    }
}

/// A text with a space in place of each sign within an address of a site, a file or a mailbox.
fn without_links(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    let mut before = None;
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        if is_of_a_link(before, character, next) {
            if !shown.ends_with(' ') {
                shown.push(' ');
            }
        } else {
            shown.push(character);
        }
        before = Some(character);
    }
    shown.trim().to_owned()
}

fn is_of_a_link(before: Option<char>, character: char, next: Option<char>) -> bool {
    let ends = next.is_none_or(char::is_whitespace);
    match character {
        '/' | '\\' | '@' | '⁄' | '∕' | '／' | '＼' | '﹨' | '＠' | '﹫' => true,
        // The dot of a number stays.
        '.' => {
            let is_digit = |other: Option<char>| other.is_some_and(|other| other.is_ascii_digit());
            let is_of_a_number = is_digit(before) && is_digit(next);
            !(ends || is_of_a_number)
        }
        ':' | '：' | '﹕' | '․' | '﹒' | '．' | '。' | '｡' | '…' => !ends,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_link_is_left() {
        for (text, expected) in [
            (
                "Win now: https://evil.dev/win?id=1",
                "Win now: https evil dev win?id=1",
            ),
            ("www.evil.dev", "www evil dev"),
            ("evil.dev.", "evil dev."),
            ("write to win@evil.dev", "write to win evil dev"),
            ("mailto:win@evil.dev", "mailto win evil dev"),
            ("javascript:alert(1)", "javascript alert(1)"),
            ("evil。dev／win", "evil dev win"),
            ("evil．dev", "evil dev"),
            ("evil\u{200b}.\u{200b}dev", "evil dev"),
            ("\\\\evil\\share", "evil share"),
            ("evil.дев", "evil дев"),
            ("evil.\u{301}dev", "evil \u{301}dev"),
            ("//", ""),
        ] {
            assert_eq!(FreeText::WithoutLinks.show(text), expected, "{text}");
            assert_eq!(FreeText::WithoutLinks.name(text), "", "{text}");
        }
    }

    #[test]
    fn what_is_no_link_stays_as_it_is() {
        for text in [
            "Mug",
            "Mug, large: 1.5 l (blue)",
            "No. 7",
            "終わり。",
            "It is sold out. Sorry!",
            "Ada's mug – 40%",
        ] {
            assert_eq!(FreeText::WithoutLinks.show(text), text);
        }
    }

    #[test]
    fn a_confirmed_recipient_reads_what_was_written() {
        let text = "see https://shop.test/mug";
        assert_eq!(FreeText::AsWritten.show(text), text);
        assert_eq!(FreeText::AsWritten.name("Ada\nLovelace"), "Ada Lovelace");
    }
}
