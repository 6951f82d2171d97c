//! The query of a URL: each parameter is asked for by name, and what nobody asked for is refused by name.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive, str::FromStr};

use axum::{extract::FromRequestParts, http::request::Parts};

use super::problem::ApiProblem;

/// The parameters of a request that have not been asked for yet.
#[derive(Debug)]
pub(super) struct Params {
    given: BTreeMap<String, String>,
    known: Vec<&'static str>,
}

impl Params {
    /// Of a query; a parameter that comes twice is refused.
    pub(super) fn parse(query: &str) -> Result<Self, ApiProblem> {
        let mut given = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if given
                .insert(name.clone().into_owned(), value.into_owned())
                .is_some()
            {
                return Err(ApiProblem::field(name, "was given twice"));
            }
        }
        Ok(Self {
            given,
            known: Vec::new(),
        })
    }

    /// A text.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        self.given.remove(name)
    }

    /// Something that has a form.
    pub(super) fn parsed<T: FromStr<Err: Display>>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, ApiProblem> {
        self.text(name)
            .map(|text| {
                text.parse()
                    .map_err(|error: T::Err| ApiProblem::field(name, error.to_string()))
            })
            .transpose()
    }

    /// A whole number in a range; `default` where absent.
    pub(super) fn number<T: FromStr + PartialOrd + Display>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<T>,
        default: T,
    ) -> Result<T, ApiProblem> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        text.parse()
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                ApiProblem::field(
                    name,
                    format!("is a whole number from {} to {}", range.start(), range.end()),
                )
            })
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
        default: T,
    ) -> Result<T, ApiProblem> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| {
                let allowed = words
                    .iter()
                    .map(|(word, _)| *word)
                    .collect::<Vec<_>>()
                    .join(" or ");
                ApiProblem::field(name, format!("is {allowed}"))
            })
    }

    /// Refuses what was not asked for.
    pub(super) fn finish(self) -> Result<(), ApiProblem> {
        match self.given.into_keys().next() {
            None => Ok(()),
            Some(name) if self.known.is_empty() => {
                Err(ApiProblem::field(name, "is unknown; there are no parameters"))
            }
            Some(name) => Err(ApiProblem::field(
                name,
                format!("is unknown; parameters are {}", self.known.join(", ")),
            )),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiProblem> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field_of(result: Result<impl std::fmt::Debug, ApiProblem>) -> String {
        result.unwrap_err().into_problem().violations.remove(0).field
    }

    #[test]
    fn parameters_are_read_by_name() {
        let mut params = Params::parse("limit=20&order=desc&cursor=a%2Fb").unwrap();
        assert_eq!(params.number("limit", 1..=200_u32, 50).unwrap(), 20);
        assert!(
            params
                .word("order", &[("asc", false), ("desc", true)], false)
                .unwrap()
        );
        assert_eq!(params.text("cursor").as_deref(), Some("a/b"));
        assert_eq!(params.number("from", 1..=u64::MAX, 1).unwrap(), 1);
        params.finish().unwrap();
    }

    #[test]
    fn what_is_wrong_is_named() {
        let parse = |query| Params::parse(query).unwrap();
        for wrong in ["limit=0", "limit=201", "limit=many", "limit=", "limit=-1"] {
            assert_eq!(
                field_of(parse(wrong).number("limit", 1..=200_u32, 50)),
                "limit",
                "{wrong}"
            );
        }
        assert_eq!(
            field_of(parse("order=up").word("order", &[("asc", ())], ())),
            "order"
        );
        assert_eq!(
            field_of(parse("after=x").parsed::<domain::token::ConsistencyToken>("after")),
            "after"
        );
        assert_eq!(field_of(parse("limt=1").finish()), "limt");
        assert_eq!(field_of(Params::parse("a=1&a=2")), "a");
    }
}
