//! The browser client's files, embedded in the binary and served under `/pkg/`. Their names carry a hash of
//! their content, so every answer may be cached permanently; they were compressed when the client was built,
//! so the server only picks the encoding. The renderer of a page takes their names from [`manifest`].
//!
//! The texts of the interface are files of the same kind, which the application makes from its own texts: a
//! page and its texts are always of one build.
//!
//! A debug build embeds no client. It reads the site folder at every request, so that a client which xtask
//! publishes shows at once, and the server need not be compiled or started again.

use std::{collections::HashMap, io::Write, sync::LazyLock};

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use rust_embed::RustEmbed;
use serde::Deserialize;

use crate::etag;

/// The client that xtask published; an empty manifest if no client was built.
#[derive(RustEmbed)]
#[folder = "$FOLDLINE_SITE_DIR"]
#[allow_missing = true]
struct Site;

/// The files of the interface's texts. The application has them, in every build, and they are compressed when
/// the first of them is requested.
static TEXTS: LazyLock<HashMap<&str, Asset>> = LazyLock::new(|| {
    let asset = |file: &'static app::TextFile| Some((file.name, Asset::of_text(file)?));
    app::text_files().filter_map(asset).collect()
});

/// Whether the files are in the binary; `rust-embed` decides by the same condition.
const IS_EMBEDDED: bool = !cfg!(debug_assertions);

/// The names of the client's files, written by xtask. A server that was built without a client has none: its
/// pages are rendered, but have no scripts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// The bundle of the shop; `None` if no client was built.
    pub bundle: Option<ManifestBundle>,
    /// The bundles of the lab; `None` if no client was built.
    pub lab: Option<ManifestLab>,
    /// File name of the frame script, under `/pkg/`.
    pub frame: String,
    /// File name of the script of the picture's page, under `/pkg/`.
    pub infographic: String,
    /// File name of the style sheet, under `/pkg/`.
    pub css: String,
    /// Every file once, without its compressed variants.
    pub files: Vec<ManifestFile>,
}

/// The bundles of the lab: its pages load one of them, and some of them the module that folds.
#[derive(Clone, Debug, Deserialize)]
pub struct ManifestLab {
    /// The map's.
    pub map: ManifestBundle,
    /// The split view's.
    pub split: ManifestBundle,
    /// That of the recordings.
    pub recording: ManifestBundle,
    /// That of the dials.
    pub dials: ManifestBundle,
    /// That of event handlers and dead letters.
    pub handlers: ManifestBundle,
    /// That of views of one's own.
    pub views: ManifestBundle,
    /// That of lessons.
    pub lessons: ManifestBundle,
    /// That of the class, for its educator.
    pub class: ManifestBundle,
    /// That of streams and events.
    pub log: ManifestBundle,
    /// The module that folds, which map, recordings and streams load when they first want a document.
    pub folds: ManifestBundle,
}

/// A WebAssembly bundle of the client: the pages of a workspace load one.
#[derive(Clone, Debug, Deserialize)]
pub struct ManifestBundle {
    /// File name of the JavaScript glue, under `/pkg/`.
    pub js: String,
    /// File name of the WebAssembly module, under `/pkg/`.
    pub wasm: String,
}

/// One file of the client.
#[derive(Clone, Debug, Deserialize)]
pub struct ManifestFile {
    /// Its name under `/pkg/`.
    pub name: String,
    /// Its media type.
    pub content_type: String,
}

/// The names of the client's files.
pub fn manifest() -> Manifest {
    static EMBEDDED: LazyLock<Manifest> = LazyLock::new(Manifest::read);
    if IS_EMBEDDED {
        EMBEDDED.clone()
    } else {
        Manifest::read()
    }
}

impl Manifest {
    fn read() -> Self {
        // xtask wrote this file; with one that cannot be parsed, pages have no client, as without the file.
        Site::get("manifest.json")
            .and_then(|file| serde_json::from_slice(&file.data).ok())
            .unwrap_or_default()
    }
}

/// `GET /pkg/{file}`, and 404 for every name that neither the manifest nor the texts have.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route(
        "/pkg/{file}",
        get(|Path(name): Path<String>, headers: HeaderMap| async move {
            static EMBEDDED: LazyLock<HashMap<String, Asset>> = LazyLock::new(embedded);
            let answer = if let Some(text) = TEXTS.get(name.as_str()) {
                Some(text.respond(&headers))
            } else if IS_EMBEDDED {
                EMBEDDED.get(&name).map(|asset| asset.respond(&headers))
            } else {
                let file = manifest().files.into_iter().find(|file| file.name == name);
                file.and_then(|file| Asset::read(&file))
                    .map(|asset| asset.respond(&headers))
            };
            answer.unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
        }),
    )
}

/// A file in each of its encodings.
struct Asset {
    content_type: HeaderValue,
    identity: Bytes,
    brotli: Option<Bytes>,
    gzip: Option<Bytes>,
    /// The `ETag` of the content in any encoding. It is the name, which has the hash of the content.
    etag: HeaderValue,
}

/// The files of the manifest, found in the binary.
fn embedded() -> HashMap<String, Asset> {
    let asset = |file: ManifestFile| Some((file.name.clone(), Asset::read(&file)?));
    manifest().files.into_iter().filter_map(asset).collect()
}

impl Asset {
    fn read(file: &ManifestFile) -> Option<Self> {
        let content = |name: &str| {
            Site::get(&format!("pkg/{name}")).map(|file| match file.data {
                std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
            })
        };
        Some(Self {
            content_type: HeaderValue::from_str(&file.content_type).ok()?,
            identity: content(&file.name)?,
            brotli: content(&format!("{}.br", file.name)),
            gzip: content(&format!("{}.gz", file.name)),
            etag: HeaderValue::from_str(&format!("W/\"{}\"", file.name)).ok()?,
        })
    }

    fn of_text(file: &'static app::TextFile) -> Option<Self> {
        let content = file.json.as_bytes();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).ok()?;
        Some(Self {
            content_type: HeaderValue::from_static("application/json"),
            identity: Bytes::from_static(content),
            brotli: None,
            gzip: encoder.finish().ok().map(Bytes::from),
            etag: HeaderValue::try_from(format!("W/\"{}\"", file.name)).ok()?,
        })
    }

    fn respond(&self, request: &HeaderMap) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        );
        headers.insert(ETAG, self.etag.clone());
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if etag::is_known(&self.etag, request) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        headers.insert(CONTENT_TYPE, self.content_type.clone());
        let accepted = Accepted::of(request);
        let body = match (&self.brotli, &self.gzip) {
            (Some(brotli), _) if accepted.brotli > 0 && accepted.brotli >= accepted.gzip => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
                brotli
            }
            (_, Some(gzip)) if accepted.gzip > 0 => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                gzip
            }
            _ => &self.identity,
        };
        (headers, Body::from(body.clone())).into_response()
    }
}

/// Whether a client accepts an answer that is compressed with gzip.
pub(super) fn accepts_gzip(request: &HeaderMap) -> bool {
    request.contains_key(ACCEPT_ENCODING) && Accepted::of(request).gzip > 0
}

/// The weight that a client gives each encoding, in thousandths; 0 is a refusal.
#[derive(Debug, PartialEq, Eq)]
struct Accepted {
    brotli: u16,
    gzip: u16,
}

impl Accepted {
    /// Reads `Accept-Encoding` (RFC 9110, section 12.5.3). Without the header we send the plain file: RFC
    /// 9110 would allow any encoding, but a program that does not ask rarely decodes.
    fn of(headers: &HeaderMap) -> Self {
        let mut brotli = None;
        let mut gzip = None;
        let mut any = 0;
        let items = headers
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok());
        for item in items.flat_map(|value| value.split(',')) {
            let mut parts = item.split(';').map(str::trim);
            let coding = parts.next().unwrap_or_default();
            let weight = parts.find_map(weight).unwrap_or(1000);
            match coding.to_ascii_lowercase().as_str() {
                "br" => brotli = Some(weight),
                "gzip" | "x-gzip" => gzip = Some(weight),
                "*" => any = weight,
                _ => {}
            }
        }
        Self {
            brotli: brotli.unwrap_or(any),
            gzip: gzip.unwrap_or(any),
        }
    }
}

/// `q=0.8` as thousandths. A weight that is not a number counts as a refusal: the plain file is always
/// acceptable.
fn weight(parameter: &str) -> Option<u16> {
    let number = parameter
        .strip_prefix("q=")
        .or_else(|| parameter.strip_prefix("Q="))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let thousandths = format!("{fraction:0<3}");
    let thousandths = thousandths
        .get(..3)
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0);
    Some(match whole {
        "1" => 1000,
        "0" => thousandths,
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, http::Request};
    use tower::ServiceExt;

    use axum::http::header::IF_NONE_MATCH;

    use super::*;

    fn asset() -> Asset {
        Asset {
            content_type: HeaderValue::from_static("application/wasm"),
            identity: Bytes::from_static(b"plain"),
            brotli: Some(Bytes::from_static(b"brotli")),
            gzip: Some(Bytes::from_static(b"gzip")),
            etag: HeaderValue::from_static("W/\"foldline.1.wasm\""),
        }
    }

    fn request(name: axum::http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    async fn body_for(accept_encoding: &'static str) -> Bytes {
        let response = asset().respond(&request(ACCEPT_ENCODING, accept_encoding));
        to_bytes(response.into_body(), 100).await.unwrap()
    }

    #[tokio::test]
    async fn a_browser_gets_brotli() {
        let response = asset().respond(&request(ACCEPT_ENCODING, "gzip, deflate, br, zstd"));
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_ENCODING], "br");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/wasm");
        assert_eq!(
            response.headers()[CACHE_CONTROL],
            "public, max-age=31536000, immutable"
        );
        assert_eq!(response.headers()[VARY], "accept-encoding");
        assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "brotli");
    }

    #[tokio::test]
    async fn the_weights_of_the_encodings_decide() {
        assert_eq!(body_for("br;q=0.5, gzip;q=0.8").await, "gzip");
        assert_eq!(body_for("br;q=0, gzip").await, "gzip");
        assert_eq!(body_for("br; q=0.801, GZIP; q=0.8").await, "brotli");
        assert_eq!(body_for("*").await, "brotli");
        assert_eq!(body_for("*;q=0").await, "plain");
        assert_eq!(body_for("br;q=nonsense").await, "plain");
    }

    #[tokio::test]
    async fn a_client_that_takes_neither_gets_the_plain_file() {
        assert_eq!(body_for("zstd").await, "plain");
        let response = asset().respond(&HeaderMap::new());
        assert!(!response.headers().contains_key(CONTENT_ENCODING));
        assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "plain");
    }

    #[tokio::test]
    async fn a_file_that_is_known_is_not_sent_again() {
        let response = asset().respond(&request(IF_NONE_MATCH, "\"other\", W/\"foldline.1.wasm\""));
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert!(to_bytes(response.into_body(), 100).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_unknown_name_is_not_found() {
        for path in ["/pkg/nothing.js", "/pkg/manifest.json", "/pkg/..%2Fmanifest.json"] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = router::<()>().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[tokio::test]
    async fn every_file_of_texts_is_served() {
        let mut names = Vec::new();
        for file in app::text_files() {
            let request = Request::get(format!("/pkg/{}", file.name))
                .header(ACCEPT_ENCODING, "gzip, br")
                .body(Body::empty())
                .unwrap();
            let response = router::<()>().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{}", file.name);
            assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
            assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
            names.push(file.name);
        }
        assert!(
            names.iter().any(|name| name.starts_with("text-en-shop-")),
            "{names:?}"
        );
    }

    #[tokio::test]
    async fn every_file_of_the_manifest_is_served() {
        for file in &manifest().files {
            let request = Request::get(format!("/pkg/{}", file.name))
                .body(Body::empty())
                .unwrap();
            let response = router::<()>().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{}", file.name);
            assert_eq!(response.headers()[CONTENT_TYPE], file.content_type.as_str());
        }
    }
}
