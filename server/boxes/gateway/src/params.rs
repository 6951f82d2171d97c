//! The query of a URL, read into a struct with one field per parameter. A parameter that the struct does not
//! have, that is given twice, or whose value does not fit is refused by name.

use std::{collections::HashSet, fmt::Display, ops::RangeInclusive, str::FromStr};

use axum::{extract::FromRequestParts, http::request::Parts};
use domain::parse_error::without_input;
use query::{DEFAULT_LIMIT, MAX_LIMIT};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use url::form_urlencoded;
use utoipa::{
    PartialSchema,
    openapi::{
        RefOr,
        schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type},
    },
};

use super::problem::ApiProblem;

/// The parameters of a request, read as a `T`.
///
/// `T` decides with `deny_unknown_fields` whether unknown parameters are refused. Each of its fields is
/// optional or has a default, because an error about a missing field has no path.
#[derive(Debug)]
pub(super) struct QueryParams<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiProblem> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Reads the parameters of a query.
pub(super) fn parse<T: DeserializeOwned>(query: &str) -> Result<T, ApiProblem> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let mut names = HashSet::new();
    let twice = pairs
        .map(|(name, _)| name)
        .find(|name| !names.insert(name.clone()));
    if let Some(name) = twice {
        return Err(ApiProblem::field(field(&name), "was given twice"));
    }
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs)).map_err(|error| {
        let name = error.path().to_string();
        ApiProblem::field(field(&name), without_input(error.inner()))
    })
}

/// The name of a parameter in a problem; one without a name is named by the whole.
pub(super) fn field(name: &str) -> &str {
    if name.is_empty() { "query" } else { name }
}

/// No parameters: any is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParams {}

/// How many entries a page of a listing, of streams, of events or of dead letters has at most.
pub(super) type PageLimit = Limit<MAX_LIMIT, DEFAULT_LIMIT>;

/// How many entries an answer has at most: 1 to `MAX`, and `DEFAULT` where the client does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit<const MAX: u32, const DEFAULT: u32>(u32);

impl<const MAX: u32, const DEFAULT: u32> Limit<MAX, DEFAULT> {
    /// The number.
    pub(super) const fn get(self) -> u32 {
        self.0
    }
}

impl<const MAX: u32, const DEFAULT: u32> Default for Limit<MAX, DEFAULT> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<'de, const MAX: u32, const DEFAULT: u32> Deserialize<'de> for Limit<MAX, DEFAULT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole_number(deserializer, &(1..=MAX)).map(Self)
    }
}

impl<const MAX: u32, const DEFAULT: u32> PartialSchema for Limit<MAX, DEFAULT> {
    fn schema() -> RefOr<Schema> {
        integer(KnownFormat::Int32, 1, MAX.into())
            .default(Some(DEFAULT.into()))
            .into()
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WholeNumber<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> WholeNumber<MIN, MAX> {
    /// The number.
    pub(super) const fn get(self) -> u64 {
        self.0
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for WholeNumber<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole_number(deserializer, &(MIN..=MAX)).map(Self)
    }
}

impl<const MIN: u64, const MAX: u64> PartialSchema for WholeNumber<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        integer(KnownFormat::Int64, MIN, MAX).into()
    }
}

/// Read from its text, so that the message has the range also where the text is no number.
fn whole_number<'de, D, N>(deserializer: D, range: &RangeInclusive<N>) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: FromStr + PartialOrd + Display,
{
    let text = String::deserialize(deserializer)?;
    text.parse::<N>()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            D::Error::custom(format_args!("is a whole number from {least} to {most}"))
        })
}

fn integer(format: KnownFormat, least: u64, most: u64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(format)))
        .minimum(Some(least))
        .maximum(Some(most))
}

#[cfg(test)]
mod tests {
    use domain::{token::ConsistencyToken, wire::Order};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Known {
        cursor: Option<String>,
        #[serde(default)]
        order: Order,
        #[serde(default)]
        limit: Limit<200, 50>,
        from: Option<WholeNumber<1, 9>>,
        after: Option<ConsistencyToken>,
    }

    fn refused<T: DeserializeOwned + std::fmt::Debug>(query: &str) -> (String, String) {
        let violation = parse::<T>(query).unwrap_err().into_problem().violations.remove(0);
        (violation.field, violation.message)
    }

    #[test]
    fn parameters_are_read_by_name() {
        let known: Known = parse("limit=20&order=desc&cursor=a%2Fb+c&from=9&after=0:1").unwrap();
        assert_eq!((known.limit.get(), known.order), (20, Order::Desc));
        assert_eq!(known.cursor.as_deref(), Some("a/b c"));
        assert_eq!(known.from.map(WholeNumber::get), Some(9));
        assert_eq!(known.after, Some(ConsistencyToken::at(0, 1)));
    }

    #[test]
    fn a_parameter_that_is_absent_has_its_default() {
        let known: Known = parse("").unwrap();
        assert_eq!((known.limit.get(), known.order), (50, Order::Asc));
        assert_eq!((known.cursor, known.from, known.after), (None, None, None));
        parse::<NoParams>("").unwrap();
    }

    #[test]
    fn a_number_outside_its_range_is_refused_with_the_range() {
        for value in ["0", "201", "many", "", "-1", "99999999999999999999"] {
            let (field, message) = refused::<Known>(&format!("limit={value}"));
            assert_eq!(field, "limit", "{value}");
            assert_eq!(message, "is a whole number from 1 to 200", "{value}");
        }
        assert_eq!(refused::<Known>("from=10").1, "is a whole number from 1 to 9");
    }

    #[test]
    fn a_parameter_without_a_name_is_named_by_the_query() {
        assert_eq!(refused::<Known>("=1&=2").0, "query");
    }

    #[test]
    fn a_parameter_that_does_not_fit_is_named() {
        for (query, field) in [
            ("order=up", "order"),
            ("limit=1&after=x", "after"),
            ("limt=1", "limt"),
            ("cursor=1&cursor=2", "cursor"),
        ] {
            assert_eq!(refused::<Known>(query).0, field, "{query}");
        }
        assert_eq!(refused::<NoParams>("limit=1").0, "limit");
    }
}
