//! The location of the warehouse: a folder, or a bucket of an object store that speaks S3. It never contains
//! credentials, which come from the usual `AWS_…` variables.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

use url::Url;

/// A folder, or `s3://BUCKET` with or without a path. It is never displayed, because it may contain a
/// misplaced password.
#[derive(Clone, PartialEq, Eq)]
pub struct WarehouseUrl(String);

/// A parsed location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WarehouseLocation {
    /// A folder on this machine.
    Folder(PathBuf),
    /// A bucket of an object store.
    Bucket(Bucket),
}

/// A bucket, and a path in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// The prefix of every object's name; may be empty.
    pub prefix: String,
}

/// The setting is malformed; the text names the allowed forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "allowed is a folder, or s3://<bucket> or s3://<bucket>/<path>; credentials belong in AWS_… variables"
)]
pub struct WarehouseUrlError;

impl WarehouseUrl {
    /// Parses the location.
    pub fn warehouse(&self) -> Result<WarehouseLocation, WarehouseUrlError> {
        if !self.0.contains("://") {
            let is_given = !self.0.is_empty();
            return is_given
                .then(|| WarehouseLocation::Folder(PathBuf::from(&self.0)))
                .ok_or(WarehouseUrlError);
        }
        let url = Url::parse(&self.0).map_err(|_| WarehouseUrlError)?;
        let name = url.host_str().unwrap_or_default();
        let has_extras = !url.username().is_empty()
            || url.password().is_some()
            || url.port().is_some()
            || url.query().is_some()
            || url.fragment().is_some();
        if url.scheme() != "s3" || name.is_empty() || has_extras {
            return Err(WarehouseUrlError);
        }
        Ok(WarehouseLocation::Bucket(Bucket {
            name: name.to_owned(),
            prefix: url.path().trim_matches('/').to_owned(),
        }))
    }
}

impl FromStr for WarehouseUrl {
    type Err = Infallible;

    /// Accepts any text: an error here would display it, with a misplaced password.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for WarehouseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WarehouseUrl(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warehouse(url: &str) -> Result<WarehouseLocation, WarehouseUrlError> {
        url.parse::<WarehouseUrl>()
            .unwrap_or_else(|error| match error {})
            .warehouse()
    }

    #[test]
    fn a_location_is_a_folder_or_a_bucket() {
        let folder = |path: &str| Ok(WarehouseLocation::Folder(PathBuf::from(path)));
        assert_eq!(warehouse("./data/warehouse"), folder("./data/warehouse"));
        assert_eq!(warehouse("/srv/s3:shop"), folder("/srv/s3:shop"));
        let bucket = |name: &str, prefix: &str| {
            let (name, prefix) = (name.to_owned(), prefix.to_owned());
            Ok(WarehouseLocation::Bucket(Bucket { name, prefix }))
        };
        assert_eq!(warehouse("s3://shop"), bucket("shop", ""));
        assert_eq!(warehouse("s3://shop/a/warehouse/"), bucket("shop", "a/warehouse"));
    }

    #[test]
    fn a_malformed_location_is_refused_and_never_displayed() {
        for url in [
            "",
            "gs://shop",
            "s3://",
            "s3://key:secret@shop",
            "s3://shop?region=x",
            "s3://shop:9000",
        ] {
            assert_eq!(warehouse(url), Err(WarehouseUrlError), "{url}");
        }
        let url: WarehouseUrl = "s3://key:secret@shop"
            .parse()
            .unwrap_or_else(|error| match error {});
        assert!(!format!("{url:?} {WarehouseUrlError}").contains("secret"));
    }
}
