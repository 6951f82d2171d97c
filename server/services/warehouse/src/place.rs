//! Where the warehouse lies: a folder, or a bucket of an object store that speaks S3. Who may write there is never part of it:
//! credentials come from the `AWS_…` variables that every tool for such stores knows.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

use url::Url;

/// A folder, or `s3://BUCKET` with a path or without. Whoever has put a password there does not find it in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct WarehousePlace(String);

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WarehouseAt {
    /// On this machine.
    Folder(PathBuf),
    /// In an object store.
    Bucket(Bucket),
}

/// A bucket, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// The beginning of every name in it; may be empty.
    pub prefix: String,
}

/// What it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "allowed is a folder, or s3://<bucket> or s3://<bucket>/<path>; credentials belong into AWS_… variables"
)]
pub struct WarehousePlaceError;

impl WarehousePlace {
    /// What it says.
    pub fn warehouse(&self) -> Result<WarehouseAt, WarehousePlaceError> {
        if !self.0.contains("://") {
            let is_something = !self.0.is_empty();
            return is_something
                .then(|| WarehouseAt::Folder(PathBuf::from(&self.0)))
                .ok_or(WarehousePlaceError);
        }
        let url = Url::parse(&self.0).map_err(|_| WarehousePlaceError)?;
        let name = url.host_str().unwrap_or_default();
        let is_more = !url.username().is_empty()
            || url.password().is_some()
            || url.port().is_some()
            || url.query().is_some()
            || url.fragment().is_some();
        if url.scheme() != "s3" || name.is_empty() || is_more {
            return Err(WarehousePlaceError);
        }
        Ok(WarehouseAt::Bucket(Bucket {
            name: name.to_owned(),
            prefix: url.path().trim_matches('/').to_owned(),
        }))
    }
}

impl FromStr for WarehousePlace {
    type Err = Infallible;

    /// Whatever it is: a refusal here would show it, with a password that does not belong there.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for WarehousePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WarehousePlace(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warehouse(place: &str) -> Result<WarehouseAt, WarehousePlaceError> {
        place
            .parse::<WarehousePlace>()
            .unwrap_or_else(|error| match error {})
            .warehouse()
    }

    #[test]
    fn a_place_is_a_folder_or_a_bucket() {
        let folder = |path: &str| Ok(WarehouseAt::Folder(PathBuf::from(path)));
        assert_eq!(warehouse("./data/warehouse"), folder("./data/warehouse"));
        assert_eq!(warehouse("/srv/s3:shop"), folder("/srv/s3:shop"));
        let bucket = |name: &str, prefix: &str| {
            let (name, prefix) = (name.to_owned(), prefix.to_owned());
            Ok(WarehouseAt::Bucket(Bucket { name, prefix }))
        };
        assert_eq!(warehouse("s3://shop"), bucket("shop", ""));
        assert_eq!(warehouse("s3://shop/a/warehouse/"), bucket("shop", "a/warehouse"));
    }

    #[test]
    fn what_is_neither_is_refused_and_never_shown() {
        for place in [
            "",
            "gs://shop",
            "s3://",
            "s3://key:secret@shop",
            "s3://shop?region=x",
            "s3://shop:9000",
        ] {
            assert_eq!(warehouse(place), Err(WarehousePlaceError), "{place}");
        }
        let place: WarehousePlace = "s3://key:secret@shop"
            .parse()
            .unwrap_or_else(|error| match error {});
        assert!(!format!("{place:?} {WarehousePlaceError}").contains("secret"));
    }
}
