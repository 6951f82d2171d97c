//! Every visible text of the interface: `text::shop::title(language)`.
//!
//! The texts are in `locales/<language>.json`. The build makes a function for each, and fails if a
//! translation lacks one. The server has the texts of all languages; a browser loads those of its page's
//! language and areas, so that the WebAssembly contains none.
//!
//! | module | content |
//! |---|---|
//! | [`generated`] | a module for each group, a function for each text |
//! | [`plural`] | the plural category of a number |
//! | `server` | the texts of all languages, and their files for browsers |
//! | `browser` | the texts of the page, loaded before its islands hydrate |

use std::fmt::{Display, Write};

use domain::language::Language;
use serde_json::Value;

use plural::Category;

#[cfg(not(feature = "ssr"))]
pub(crate) mod browser;
mod plural;
#[cfg(feature = "ssr")]
pub(crate) mod server;

#[cfg(not(feature = "ssr"))]
use browser::texts;
#[cfg(feature = "ssr")]
use server::texts;

#[expect(
    dead_code,
    reason = "some texts are used by the server only, some by browsers only"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/text.rs"));
}
pub(crate) use generated::*;

/// Before and after an argument in a text from right to left: its own direction does not disorder the text.
const ISOLATE: char = '\u{2068}';
const END_OF_ISOLATE: char = '\u{2069}';

/// The argument that stands for an embedded view; [`around`] gives the text before and after it.
pub(crate) const SLOT: char = '\u{fffc}';

/// One text. `{0}` is the place of the first argument.
#[derive(Debug, PartialEq, Eq)]
enum Text {
    /// A text with one form.
    Plain(String),
    /// A text with a form for each plural category of its language.
    Plural(Vec<(Category, String)>),
    /// The place of a text whose area the page does not load.
    Absent,
}

impl Text {
    fn of(value: Value) -> Option<Self> {
        let form = |(category, form): (String, Value)| match form {
            Value::String(form) => Some((Category::of_name(&category)?, form)),
            _ => None,
        };
        match value {
            Value::String(text) => Some(Self::Plain(text)),
            Value::Object(forms) => forms
                .into_iter()
                .map(form)
                .collect::<Option<_>>()
                .map(Self::Plural),
            _ => None,
        }
    }
}

/// The texts of a file, and the place of the first one among all texts; `None` if the file was made for other
/// keys.
fn parse(json: &str) -> Option<(usize, Vec<Text>)> {
    let Ok(Value::Array(values)) = serde_json::from_str(json) else {
        return None;
    };
    let mut values = values.into_iter();
    let fingerprint = values.next()?;
    if fingerprint.as_str() != Some(FINGERPRINT) {
        return None;
    }
    let place = usize::try_from(values.next()?.as_u64()?).ok()?;
    let texts: Option<Vec<Text>> = values.map(Text::of).collect();
    Some((place, texts?))
}

/// Adds the texts of a file at their places. The files are added in the order of their places.
fn add(all: &mut Vec<Text>, (place, texts): (usize, Vec<Text>)) {
    all.resize_with(place, || Text::Absent);
    all.extend(texts);
}

/// A text without arguments.
fn plain(language: Language, index: usize) -> &'static str {
    match texts(language).get(index) {
        Some(Text::Plain(text)) => text,
        _ => missing(index),
    }
}

/// A text of a lesson or of the glossary, by the names of its group and its key; `None` if there is none.
#[cfg(feature = "ssr")]
pub(crate) fn by_name(language: Language, group: &str, key: &str) -> Option<&'static str> {
    let found = BY_NAME.binary_search_by(|(of, name, _)| (*of, *name).cmp(&(group, key)));
    let (_, _, index) = BY_NAME.get(found.ok()?)?;
    Some(plain(language, *index))
}

/// Group and key of each text that is found by its name, in their order.
#[cfg(feature = "ssr")]
pub(crate) fn found_by_name() -> impl Iterator<Item = (&'static str, &'static str)> {
    BY_NAME.iter().map(|(group, key, _)| (*group, *key))
}

/// A text with its arguments.
fn filled(language: Language, index: usize, arguments: &[&dyn Display]) -> String {
    fill(plain(language, index), arguments, language.is_rtl())
}

/// A plural with its arguments, of which the first is the number.
fn counted(language: Language, index: usize, count: u64, arguments: &[&dyn Display]) -> String {
    let Some(Text::Plural(forms)) = texts(language).get(index) else {
        return missing(index).to_owned();
    };
    let wanted = plural::category(language, count);
    let form_of = |wanted: Category| forms.iter().find(|(category, _)| *category == wanted);
    let form = form_of(wanted).or_else(|| form_of(Category::Other));
    let template = form.map_or(missing(index), |(_, form)| form.as_str());
    fill(template, arguments, language.is_rtl())
}

/// What is shown where a page did not load a text. A build without optimisation names it.
fn missing(index: usize) -> &'static str {
    #[cfg(debug_assertions)]
    let text = KEYS.get(index).copied().unwrap_or("…");
    #[cfg(not(debug_assertions))]
    let text = {
        let _ = index;
        "…"
    };
    text
}

fn fill(template: &str, arguments: &[&dyn Display], isolates: bool) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((words, after)) = rest.split_once('{') {
        text.push_str(words);
        let (index, after) = after.split_once('}').unwrap_or((after, ""));
        let argument = index.parse().ok().and_then(|index: usize| arguments.get(index));
        if let Some(argument) = argument {
            // Writing to a string does not fail.
            let _ = if isolates {
                write!(text, "{ISOLATE}{argument}{END_OF_ISOLATE}")
            } else {
                write!(text, "{argument}")
            };
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// The text before and after [`SLOT`], for a view between them: an element that is isolated by its style or
/// its name.
pub(crate) fn around(text: &str) -> (String, String) {
    let (before, after) = text.split_once(SLOT).unwrap_or((text, ""));
    (
        before.trim_end_matches(ISOLATE).to_owned(),
        after.trim_start_matches(END_OF_ISOLATE).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn arguments_take_their_places_in_any_order() {
        let arguments: [&dyn Display; 2] = [&"mug", &3];
        assert_eq!(fill("{1} × {0}", &arguments, false), "3 × mug");
        assert_eq!(fill("no place", &arguments, false), "no place");
        assert_eq!(fill("{0}{7}", &arguments, false), "mug");
    }

    #[test]
    fn an_argument_is_no_template() {
        assert_eq!(fill("{0} and {1}", &[&"{1}", &"b"], false), "{1} and b");
    }

    #[test]
    fn arguments_are_isolated_in_a_text_from_right_to_left() {
        assert_eq!(fill("a {0}.", &[&"ORD-7"], true), "a \u{2068}ORD-7\u{2069}.");
    }

    #[test]
    fn a_text_is_split_around_an_embedded_view() {
        for isolates in [false, true] {
            let text = fill("caused by {0}.", &[&SLOT], isolates);
            assert_eq!(around(&text), ("caused by ".to_owned(), ".".to_owned()));
        }
    }

    #[test]
    fn a_file_that_was_made_for_other_keys_is_refused() {
        let file = |fingerprint: &str| format!(r#"["{fingerprint}",7,"a",{{"one":"b","other":"c"}}]"#);
        let (place, texts) = parse(&file(FINGERPRINT)).unwrap();
        assert_eq!((place, texts.len()), (7, 2));
        assert_eq!(texts[0], Text::Plain("a".to_owned()));
        assert!(matches!(&texts[1], Text::Plural(forms) if forms.len() == 2));
        assert_eq!(parse(&file("0")), None);
        assert_eq!(parse("[]"), None);
        assert_eq!(parse("<!DOCTYPE html>"), None);
    }

    #[test]
    fn a_text_has_its_place_without_the_areas_that_the_page_does_not_load() {
        let text = |text: &str| Text::Plain(text.to_owned());
        let mut all = Vec::new();
        add(&mut all, (0, vec![text("shop")]));
        add(&mut all, (3, vec![text("lab")]));
        assert_eq!(all, [text("shop"), Text::Absent, Text::Absent, text("lab")]);
    }
}
