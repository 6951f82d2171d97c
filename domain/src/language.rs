//! The languages that a person may choose, for the interface, for emails and for the picture of the
//! architecture.
//!
//! This table is the only list of them. The files in `app/locales` decide which of them the interface is
//! translated into; it is in English for the others.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Declares [`Language`]: one line for each language, with its code, its own name and its direction.
macro_rules! languages {
    ($($(#[$attribute:meta])? $variant:ident $code:literal $endonym:literal $direction:ident)*) => {
        /// A language, by its ISO 639-1 code on the wire and in the log.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum Language {
            $(
                #[doc = concat!($endonym, ", `", $code, "`.")]
                $(#[$attribute])?
                $variant,
            )*
        }

        impl Language {
            /// All languages, in the order in which a menu lists them.
            pub const ALL: [Self; [$($code),*].len()] = [$(Self::$variant),*];

            /// The ISO 639-1 code, which is also a valid value of HTML's `lang`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// The language's name in the language itself.
            pub const fn endonym(self) -> &'static str {
                match self { $(Self::$variant => $endonym),* }
            }

            /// The direction in which the language is written.
            pub const fn direction(self) -> Direction {
                match self { $(Self::$variant => Direction::$direction),* }
            }
        }
    };
}

languages! {
    #[default] En "en" "English" LeftToRight
    Es "es" "Español" LeftToRight
    Pt "pt" "Português" LeftToRight
    Fr "fr" "Français" LeftToRight
    De "de" "Deutsch" LeftToRight
    It "it" "Italiano" LeftToRight
    Pl "pl" "Polski" LeftToRight
    Tr "tr" "Türkçe" LeftToRight
    Uk "uk" "Українська" LeftToRight
    Ar "ar" "العربية" RightToLeft
    Hi "hi" "हिन्दी" LeftToRight
    Zh "zh" "简体中文" LeftToRight
    Ja "ja" "日本語" LeftToRight
    Ko "ko" "한국어" LeftToRight
    Id "id" "Bahasa Indonesia" LeftToRight
}

/// The direction of a language's script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// As in English.
    LeftToRight,
    /// As in Arabic.
    RightToLeft,
}

impl Direction {
    /// The value of HTML's `dir`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeftToRight => "ltr",
            Self::RightToLeft => "rtl",
        }
    }
}

impl Language {
    /// Whether the language is written from right to left.
    pub const fn is_rtl(self) -> bool {
        matches!(self.direction(), Direction::RightToLeft)
    }

    /// The language with this code, if it is one of the table. The case of the code does not matter.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.code().eq_ignore_ascii_case(code))
    }

    /// The language of a BCP 47 tag such as `pt-BR` or `zh-Hans-CN`, by its first subtag.
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::from_code(tag.split(['-', '_']).next().unwrap_or_default())
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A code that is not in the table of languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the code of a language that is offered here")]
pub struct UnknownLanguage;

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        Self::from_code(code).ok_or(UnknownLanguage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_its_code_in_json_in_text_and_back() {
        for language in Language::ALL {
            let json = serde_json::to_string(&language).unwrap();
            assert_eq!(json, format!("\"{}\"", language.code()));
            assert_eq!(serde_json::from_str::<Language>(&json).unwrap(), language);
            assert_eq!(language.to_string().parse(), Ok(language));
        }
    }

    #[test]
    fn codes_and_names_are_unique() {
        for (at, language) in Language::ALL.iter().enumerate() {
            for other in &Language::ALL[at + 1..] {
                assert_ne!(language.code(), other.code());
                assert_ne!(language.endonym(), other.endonym());
            }
        }
    }

    #[test]
    fn english_is_the_default_and_arabic_alone_runs_from_right_to_left() {
        assert_eq!(Language::default(), Language::En);
        let rtl: Vec<_> = Language::ALL
            .into_iter()
            .filter(|language| language.is_rtl())
            .collect();
        assert_eq!(rtl, [Language::Ar]);
        assert_eq!(Language::Ar.direction().as_str(), "rtl");
    }

    #[test]
    fn a_tag_names_its_language_by_the_first_subtag() {
        assert_eq!(Language::from_tag("pt-BR"), Some(Language::Pt));
        assert_eq!(Language::from_tag("zh-Hans-CN"), Some(Language::Zh));
        assert_eq!(Language::from_tag("DE_at"), Some(Language::De));
        assert_eq!(Language::from_tag("fil"), None);
        assert_eq!(Language::from_tag(""), None);
    }

    #[test]
    fn an_unknown_code_is_refused() {
        assert_eq!("xx".parse::<Language>(), Err(UnknownLanguage));
        assert_eq!("".parse::<Language>(), Err(UnknownLanguage));
    }
}
