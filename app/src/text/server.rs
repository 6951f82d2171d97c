//! The texts of all languages, and the files with which browsers get theirs.

use std::{collections::BTreeMap, sync::LazyLock};

use domain::language::Language;

use super::{FILES, Text, add, parse};

/// A file of texts: one language, one area.
#[derive(Debug, Clone, Copy)]
pub struct TextFile {
    pub(super) language: Language,
    pub(super) area: &'static str,
    /// Its name under `/pkg/`, with a hash of its content.
    pub name: &'static str,
    /// Its content.
    pub json: &'static str,
}

/// The texts of every language that the interface is translated into.
static TEXTS: LazyLock<BTreeMap<Language, Vec<Text>>> = LazyLock::new(|| {
    let mut all: BTreeMap<Language, Vec<Text>> = BTreeMap::new();
    for file in FILES {
        if let Some(texts) = parse(file.json) {
            add(all.entry(file.language).or_default(), texts);
        }
    }
    all
});

/// The texts of a language, in the order of their keys.
pub(super) fn texts(language: Language) -> &'static [Text] {
    TEXTS.get(&translated(language)).map_or(&[], Vec::as_slice)
}

/// Whether the interface is translated into a language.
pub fn is_translated(language: Language) -> bool {
    FILES.iter().any(|file| file.language == language)
}

/// The language in which the interface is shown to a reader of this one: itself, or else English.
pub(crate) fn translated(language: Language) -> Language {
    if is_translated(language) {
        language
    } else {
        Language::En
    }
}

/// The files that browsers load.
pub fn text_files() -> impl Iterator<Item = &'static TextFile> {
    FILES.iter().filter(|file| file.area != "page")
}

/// The files that a page in this language loads: those of the frame and the shop, and for a page of the lab
/// or the back office also theirs.
pub(crate) fn files_of_page(language: Language, path: &str) -> impl Iterator<Item = &'static TextFile> {
    let area = if is_of_the_lab(path) {
        "lab"
    } else if path.starts_with("/office") {
        "office"
    } else {
        "shop"
    };
    let language = translated(language);
    text_files().filter(move |file| file.language == language && ["shop", area].contains(&file.area))
}

/// Whether a page with this path is one of the lab, which has texts and a bundle of its own.
pub(crate) fn is_of_the_lab(path: &str) -> bool {
    path.strip_prefix("/lab")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;

    #[test]
    fn every_language_has_all_texts() {
        let english = texts(Language::En).len();
        assert!(english > 300, "{english}");
        for (language, texts) in TEXTS.iter() {
            assert_eq!(texts.len(), english, "{language}");
        }
    }

    #[test]
    fn a_language_without_a_translation_is_shown_in_english() {
        assert_eq!(translated(Language::Id), Language::En);
        assert_eq!(text::shop::place(Language::Id), text::shop::place(Language::En));
    }

    #[test]
    fn a_number_selects_the_form_of_a_text() {
        assert_eq!(text::stock::few(Language::En, 1_u32), "only 1 left");
        assert_eq!(text::shop::found(Language::En, 1_usize), "1 result");
        assert_eq!(text::shop::found(Language::En, 2_usize), "2 results");
    }

    #[test]
    fn a_page_of_the_back_office_or_the_lab_loads_two_files_and_a_page_of_the_shop_one() {
        let areas = |path| {
            let files = files_of_page(Language::En, path);
            files.map(|file| file.area).collect::<Vec<_>>()
        };
        assert_eq!(areas("/shop/mug-01"), ["shop"]);
        assert_eq!(areas("/office/stock"), ["shop", "office"]);
        assert_eq!(areas("/lab"), ["shop", "lab"]);
        assert_eq!(areas("/lab/recording/1"), ["shop", "lab"]);
        assert_eq!(areas("/lab/streams/order-1"), ["shop", "lab"]);
        assert_eq!(areas("/lab/lessons/happy_path"), ["shop", "lab"]);
        assert_eq!(areas("/labels"), ["shop"]);
    }

    #[test]
    fn browsers_get_no_text_of_pages() {
        let has = |text: &str| text_files().any(|file| file.json.contains(text));
        assert!(has(text::shop::place(Language::En)));
        assert!(!has(text::landing::title(Language::En)));
    }

    #[test]
    fn a_text_of_a_lesson_is_found_by_its_name_in_every_language_and_sent_to_no_browser() {
        for language in TEXTS.keys() {
            let title = text::by_name(*language, "lesson_happy_path", "title").unwrap();
            let is_sent = text_files().any(|file| file.json.contains(title));
            assert!(!title.is_empty() && !is_sent, "{language}: {title}");
        }
        let term = text::by_name(Language::En, "glossary", "lag");
        assert_eq!(term, Some("Lag"));
        assert_eq!(
            text::by_name(Language::En, "lesson_happy_path", "no_such_key"),
            None
        );
        assert_eq!(text::by_name(Language::En, "landing", "title"), None);
    }
}
