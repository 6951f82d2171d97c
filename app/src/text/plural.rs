//! The plural category of a whole number: by the browser's `Intl`, and by ICU on the server, which have the
//! same rules from CLDR. `tests/wasm.rs` compares them.

use domain::language::Language;

/// The plural categories of CLDR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Category {
    Zero,
    One,
    Two,
    Few,
    Many,
    Other,
}

impl Category {
    /// The category by its name in CLDR.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "zero" => Self::Zero,
            "one" => Self::One,
            "two" => Self::Two,
            "few" => Self::Few,
            "many" => Self::Many,
            "other" => Self::Other,
            _ => return None,
        })
    }
}

/// The category of a number.
#[cfg(feature = "ssr")]
pub(crate) fn category(language: Language, count: u64) -> Category {
    use icu_locale_core::Locale;
    use icu_plurals::{PluralCategory, PluralRules};

    // ICU has the rules of all our languages; without them, a text has its general form.
    let rules = Locale::try_from_str(language.code())
        .ok()
        .and_then(|locale| PluralRules::try_new_cardinal((&locale).into()).ok());
    match rules.map(|rules| rules.category_for(count)) {
        Some(PluralCategory::Zero) => Category::Zero,
        Some(PluralCategory::One) => Category::One,
        Some(PluralCategory::Two) => Category::Two,
        Some(PluralCategory::Few) => Category::Few,
        Some(PluralCategory::Many) => Category::Many,
        Some(PluralCategory::Other) | None => Category::Other,
    }
}

/// The category of a number.
#[cfg(not(feature = "ssr"))]
#[expect(
    clippy::cast_precision_loss,
    reason = "a number of things is far below two to the power of 53"
)]
pub(crate) fn category(language: Language, count: u64) -> Category {
    use std::cell::RefCell;

    use js_sys::{Array, Intl, Object};
    use wasm_bindgen::JsValue;

    thread_local! {
        /// The rules of the page's language, which does not change.
        static RULES: RefCell<Option<(Language, Intl::PluralRules)>> = const { RefCell::new(None) };
    }

    RULES.with_borrow_mut(|cached| {
        if cached.as_ref().is_none_or(|(of, _)| *of != language) {
            let locales = Array::of1(&JsValue::from_str(language.code()));
            *cached = Some((language, Intl::PluralRules::new(&locales, &Object::new())));
        }
        let name = cached
            .as_ref()
            .map(|(_, rules)| String::from(rules.select(count as f64)));
        name.and_then(|name| Category::of_name(&name))
            .unwrap_or(Category::Other)
    })
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_category_of_its_language() {
        for (language, count, expected) in [
            (Language::En, 0, Category::Other),
            (Language::En, 1, Category::One),
            (Language::De, 1, Category::One),
            (Language::Ja, 1, Category::Other),
            (Language::Ar, 0, Category::Zero),
            (Language::Ar, 2, Category::Two),
            (Language::Ar, 3, Category::Few),
            (Language::Ar, 11, Category::Many),
            (Language::Ar, 100, Category::Other),
        ] {
            assert_eq!(category(language, count), expected, "{language} {count}");
        }
    }
}
