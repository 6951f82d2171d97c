//! An instant in UTC, in microseconds, written as RFC 3339 with six digits: `2026-11-21T20:22:36.000000Z`.
//!
//! The fixed width makes the text sort like the time, so a listing can use it as its sort key.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// The years that have four digits, and so a text of the fixed width.
const YEARS: std::ops::RangeInclusive<i32> = 0..=9_999;

/// Microseconds since 1970-01-01T00:00:00Z. Domain code receives it from the context and never asks a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Milliseconds from `earlier` to this instant; 0 if `earlier` is later.
    pub fn millis_since(self, earlier: Self) -> u64 {
        u64::try_from((self.0 - earlier.0).max(0) / 1_000).unwrap_or(0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at =
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).map_err(|_| fmt::Error)?;
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.microsecond()
        )
    }
}

/// The error for a text that is not an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// It is not RFC 3339.
    #[error("an instant is written as in 2026-11-21T20:22:36Z (RFC 3339): {0}")]
    Format(time::error::Parse),
    /// In UTC it is before the year 0 or after the year 9999, where no text of ours could name it.
    #[error("in UTC, an instant is in one of the years 0000 to 9999")]
    Year,
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(TimestampError::Format)?;
        // The year of the text has four digits, but its offset may lead to another one.
        let at = at
            .checked_to_offset(UtcOffset::UTC)
            .filter(|at| YEARS.contains(&at.year()))
            .ok_or(TimestampError::Year)?;
        let micros = at.unix_timestamp_nanos().div_euclid(1_000);
        Ok(Self(i64::try_from(micros).map_err(|_| TimestampError::Year)?))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_instant_are_the_same_thing() {
        let text = "2026-11-21T20:22:36.000042Z";
        assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        assert_eq!(
            "2026-11-21T21:22:36+01:00"
                .parse::<Timestamp>()
                .unwrap()
                .to_string(),
            "2026-11-21T20:22:36.000000Z"
        );
    }

    #[test]
    fn an_instant_whose_year_in_utc_has_no_four_digits_is_refused() {
        for text in ["9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00+00:01"] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError::Year), "{text}");
        }
        for text in ["9999-12-31T23:59:59.999999Z", "0000-01-01T00:00:00.000000Z"] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
    }
}
