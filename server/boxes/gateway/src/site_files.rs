//! The files that browsers and other sites ask for by a fixed name: icons, the web app manifest, and the
//! picture of a shared link. `cargo xtask screens` draws the PNG files.

use axum::{
    Router,
    http::{
        HeaderName,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    routing::get,
};

/// A day: the names have no hash.
const CACHE: &str = "public, max-age=86400";

macro_rules! file {
    ($name:literal, $content_type:literal) => {
        (
            concat!("/", $name),
            $content_type,
            include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../frontend/public/",
                $name
            )) as &'static [u8],
        )
    };
}

const FILES: [(&str, &str, &[u8]); 6] = [
    file!("favicon.svg", "image/svg+xml"),
    file!("manifest.webmanifest", "application/manifest+json"),
    file!("icon-192.png", "image/png"),
    file!("icon-512.png", "image/png"),
    file!("apple-touch-icon.png", "image/png"),
    file!("social.png", "image/png"),
];

/// The routes.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES
        .into_iter()
        .fold(Router::new(), |router, (path, content_type, content)| {
            let answer = move || async move {
                let headers: [(HeaderName, &str); 3] = [
                    (CONTENT_TYPE, content_type),
                    (CACHE_CONTROL, CACHE),
                    // Other sites show the picture of a shared link.
                    (
                        HeaderName::from_static("cross-origin-resource-policy"),
                        "cross-origin",
                    ),
                ];
                (headers, content)
            };
            router.route(path, get(answer))
        })
}
