//! The parameters of the picture.

use domain::language::{Direction, Language};
use drawing::{Format, Labels, Names, Request, Sheet, TITLE_LIMIT, Theme};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::problem::ApiProblem;

/// The longest language tag, in bytes.
const MAX_TAG: usize = 35;

/// Which names the sheet `business` uses for the bus and the search index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum NameSource {
    /// Those of the running configuration.
    #[default]
    Running,
    /// Those of the architecture: Kafka and Elasticsearch.
    Document,
}

impl NameSource {
    pub(super) fn of(self, running: Names) -> Names {
        match self {
            Self::Running => running,
            Self::Document => Names::DOCUMENT,
        }
    }
}

/// Which picture.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct InfographicParams {
    /// The sheet; `pattern` where absent
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(pattern|business)$")]
    sheet: Sheet,
    /// The language of the labels; `en` where absent
    #[serde(default)]
    #[param(inline)]
    lang: Language,
    /// A title instead of the sheet's own, of 1 to 120 characters
    title: Option<String>,
    /// The colours; `dark` where absent
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(dark|light)$")]
    theme: Theme,
    /// `wide` (1600 × 1000) or `tall` (1080 × 1600); `wide` where absent
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(wide|tall)$")]
    format: Format,
    /// The names on the sheet `business`; `running` where absent
    #[serde(default)]
    #[param(inline)]
    names: NameSource,
}

/// What a picture with labels of ours depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) sheet: Sheet,
    pub(super) language: Language,
    pub(super) theme: Theme,
    pub(super) format: Format,
    pub(super) names: Names,
}

impl Subject {
    pub(super) fn request<'a>(self, labels: &'a Labels, title: Option<&'a str>) -> Request<'a> {
        Request {
            sheet: self.sheet,
            format: self.format,
            theme: self.theme,
            names: self.names,
            language: self.language.code(),
            direction: self.language.direction(),
            labels,
            title,
        }
    }
}

impl InfographicParams {
    pub(super) fn subject(&self, running: Names) -> Subject {
        Subject {
            sheet: self.sheet,
            language: self.lang,
            theme: self.theme,
            format: self.format,
            names: self.names.of(running),
        }
    }

    pub(super) fn title(&self) -> Result<Option<&str>, ApiProblem> {
        let Some(title) = self.title.as_deref() else {
            return Ok(None);
        };
        let title = title.trim();
        if title.is_empty() || title.chars().count() > TITLE_LIMIT {
            return Err(ApiProblem::field(
                "title",
                format!("has 1 to {TITLE_LIMIT} characters"),
            ));
        }
        Ok(Some(title))
    }
}

/// Which picture, with labels in the body.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnLabelsParams {
    /// The sheet; `pattern` where absent
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(pattern|business)$")]
    pub(super) sheet: Sheet,
    /// The colours; `dark` where absent
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(dark|light)$")]
    pub(super) theme: Theme,
    /// `wide` or `tall`; `wide` where absent
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(wide|tall)$")]
    pub(super) format: Format,
    /// The names on the sheet `business`; `running` where absent
    #[serde(default)]
    #[param(inline)]
    pub(super) names: NameSource,
    /// The language of the labels as a BCP 47 tag such as `sw` or `pt-BR`, for screen readers
    #[serde(default)]
    lang: Option<String>,
    /// `ltr` or `rtl`; where absent, the direction of the language, or of most letters of the labels
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(ltr|rtl)$")]
    dir: Option<Dir>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Dir {
    Ltr,
    Rtl,
}

impl OwnLabelsParams {
    /// The language tag; `und` (undetermined) where the client does not say.
    pub(super) fn language(&self) -> Result<&str, ApiProblem> {
        let Some(tag) = self.lang.as_deref() else {
            return Ok("und");
        };
        let is_tag = tag.len() <= MAX_TAG
            && tag.split('-').all(|part| {
                (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            });
        if is_tag {
            Ok(tag)
        } else {
            Err(ApiProblem::field(
                "lang",
                "is a language tag, such as sw or pt-BR",
            ))
        }
    }

    pub(super) fn direction(&self, labels: &Labels) -> Direction {
        match self.dir {
            Some(Dir::Ltr) => Direction::LeftToRight,
            Some(Dir::Rtl) => Direction::RightToLeft,
            None if self.lang.as_deref().is_some_and(is_rtl) => Direction::RightToLeft,
            None => direction_of(labels.texts()),
        }
    }
}

/// Whether a tag names a language, or a script, that is written from right to left.
fn is_rtl(tag: &str) -> bool {
    const LANGUAGES: [&str; 12] = [
        "ar", "arc", "ckb", "dv", "fa", "he", "ks", "ps", "sd", "ug", "ur", "yi",
    ];
    const SCRIPTS: [&str; 5] = ["arab", "hebr", "nkoo", "syrc", "thaa"];
    let mut parts = tag.split('-').map(str::to_ascii_lowercase);
    let language = parts.next().unwrap_or_default();
    // A script has four letters; one that is named decides.
    match parts.find(|part| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_alphabetic())) {
        Some(script) => SCRIPTS.contains(&&*script),
        None => LANGUAGES.contains(&&*language),
    }
}

/// The direction in which most letters of the texts are written.
fn direction_of<'a>(texts: impl Iterator<Item = &'a str>) -> Direction {
    let is_rtl = |letter: char| {
        matches!(letter, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
            | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
    };
    let letters = texts.flat_map(str::chars).filter(|letter| letter.is_alphabetic());
    let (rtl, ltr) = letters.fold((0_usize, 0_usize), |(rtl, ltr), letter| {
        if is_rtl(letter) {
            (rtl + 1, ltr)
        } else {
            (rtl, ltr + 1)
        }
    });
    if rtl > ltr {
        Direction::RightToLeft
    } else {
        Direction::LeftToRight
    }
}

/// Which sheet as text.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ArchitectureParams {
    /// The sheet; `pattern` where absent
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(pattern|business)$")]
    pub(super) sheet: Sheet,
    /// The language of the labels; `en` where absent
    #[serde(default)]
    #[param(inline)]
    pub(super) lang: Language,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_direction_is_that_of_most_letters() {
        for (texts, direction) in [
            (["Event Store", "REST"], Direction::LeftToRight),
            (["مخزن الأحداث", "REST"], Direction::RightToLeft),
            (["מאגר אירועים", "API"], Direction::RightToLeft),
            (["", "200"], Direction::LeftToRight),
        ] {
            assert_eq!(direction_of(texts.into_iter()), direction, "{texts:?}");
        }
    }

    #[test]
    fn a_tag_tells_the_direction() {
        for tag in ["ar", "AR", "ar-EG", "he", "fa-IR", "az-Arab"] {
            assert!(is_rtl(tag), "{tag}");
        }
        for tag in ["en", "ar-Latn", "az", "und", ""] {
            assert!(!is_rtl(tag), "{tag}");
        }
    }

    #[test]
    fn a_language_tag_is_checked() {
        let language = |lang: &str| {
            let params = OwnLabelsParams {
                sheet: Sheet::Pattern,
                theme: Theme::Dark,
                format: Format::Wide,
                names: NameSource::Running,
                lang: Some(lang.to_owned()),
                dir: None,
            };
            params.language().map(str::to_owned)
        };
        for tag in ["sw", "pt-BR", "zh-Hant-TW", "x-klingon"] {
            assert_eq!(language(tag).as_deref(), Ok(tag));
        }
        for tag in ["", "a b", "en\"", "toolongsubtag", "en--us", &"a-".repeat(30)] {
            let problem = language(tag).unwrap_err().into_problem();
            assert_eq!(problem.violations[0].field, "lang", "{tag}");
        }
    }

    #[test]
    fn hostile_pictures_have_a_short_title_and_a_plain_language_tag_or_name_a_parameter() {
        const QUERIES: &[&str] = &[
            "sheet=business&lang=ja&title=A%20shop&theme=light&format=tall&names=document",
            "sheet=pattern&lang=pt-BR&dir=rtl",
            "title=%D9%85%D8%B1",
        ];
        let named = |problem: ApiProblem| {
            let violations = problem.into_problem().violations;
            fuzz::prop_assert!(violations.iter().any(|violation| !violation.field.is_empty()));
            Ok(())
        };
        fuzz::check(&fuzz::texts_like(QUERIES), |query| {
            match crate::params::parse::<InfographicParams>(&query).and_then(|params| {
                let title = params.title()?.map(str::to_owned);
                Ok(title)
            }) {
                Ok(title) => fuzz::prop_assert!(
                    title.is_none_or(|title| (1..=TITLE_LIMIT).contains(&title.chars().count()))
                ),
                Err(problem) => named(problem)?,
            }
            match crate::params::parse::<OwnLabelsParams>(&query)
                .and_then(|params| params.language().map(str::to_owned))
            {
                Ok(tag) => {
                    fuzz::prop_assert!(tag.len() <= MAX_TAG && tag.is_ascii());
                    let _ = is_rtl(&tag);
                    Ok(())
                }
                Err(problem) => named(problem),
            }
        });
    }
}
