//! The texts of the template `shop`: one file for each language, in `texts/`. A language without a file opens
//! an English shop.

use std::{collections::BTreeMap, sync::LazyLock};

use domain::language::Language;
use serde::Deserialize;

/// The languages with a file.
const FILES: [(Language, &str); 4] = [
    (Language::En, include_str!("texts/en.json")),
    (Language::De, include_str!("texts/de.json")),
    (Language::Ar, include_str!("texts/ar.json")),
    (Language::Ja, include_str!("texts/ja.json")),
];

/// The texts of one language.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Texts {
    /// The tags, by their English name; in lower case where the script has cases, as the interface writes new
    /// tags.
    tags: BTreeMap<String, String>,
    /// The name of a workspace that is opened without one.
    pub(crate) workspace_name: String,
    /// The display name of an educator who opens a workspace without one.
    pub(crate) educator_name: String,
    /// Why a customer of the history cancels an order.
    pub(super) cancel_reason: String,
    /// The products, by SKU.
    products: BTreeMap<String, ProductTexts>,
}

/// The texts of a product.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductTexts {
    name: String,
    description: String,
}

static TEXTS: LazyLock<BTreeMap<Language, Texts>> = LazyLock::new(|| {
    let parse = |(language, file): (Language, &str)| match serde_json::from_str(file) {
        Ok(texts) => Some((language, texts)),
        Err(error) => {
            tracing::error!(%language, %error, "the template's texts cannot be read; the shop is in English");
            None
        }
    };
    FILES.into_iter().filter_map(parse).collect()
});

/// Texts of no language, should even the English file be unreadable.
static NO_TEXTS: LazyLock<Texts> = LazyLock::new(Texts::default);

/// The texts in a language, or in English.
pub(crate) fn texts(language: Language) -> &'static Texts {
    TEXTS
        .get(&language)
        .or_else(|| TEXTS.get(&Language::En))
        .unwrap_or(&NO_TEXTS)
}

impl Texts {
    /// The name and the description of a product.
    pub(super) fn product<'a>(&'a self, sku: &'a str) -> (&'a str, &'a str) {
        match self.products.get(sku) {
            Some(ProductTexts { name, description }) => (name, description),
            None => (sku, sku),
        }
    }

    /// A tag by its English name.
    pub(super) fn tag<'a>(&'a self, english: &'a str) -> &'a str {
        self.tags.get(english).map_or(english, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_the_texts_of_the_same_products_and_tags() {
        let english = serde_json::from_str::<Texts>(FILES[0].1).unwrap();
        for (language, file) in FILES {
            let texts =
                serde_json::from_str::<Texts>(file).unwrap_or_else(|error| panic!("{language}: {error}"));
            assert!(texts.products.keys().eq(english.products.keys()), "{language}");
            assert!(texts.tags.keys().eq(english.tags.keys()), "{language}");
            for tag in texts.tags.values() {
                assert_eq!(*tag, tag.to_lowercase(), "{language}");
            }
        }
    }

    #[test]
    fn a_language_without_a_file_opens_an_english_shop() {
        assert_eq!(texts(Language::Fr).product("mug-01").0, "Enamel mug");
        assert_eq!(texts(Language::De).product("mug-01").0, "Emaillebecher");
        assert_eq!(texts(Language::Ja).tag("kitchen"), "キッチン");
    }
}
