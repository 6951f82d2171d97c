//! The document around the application: head, style sheet and scripts. Only the server renders it; every
//! script carries the request's nonce, and there is no inline style.

use std::sync::Arc;

/// The files that pages load from `/pkg/`. Their names have a hash of the content, so that they can be cached
/// permanently.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssetNames {
    /// The bundle of the shop, for pages of a workspace; `None` if no client was built.
    pub bundle: Option<BundleFiles>,
    /// The bundles of the lab, of which its pages load one in place of the shop's; `None` if no client was
    /// built.
    pub lab: Option<LabFiles>,
    /// The script of the frame, for every page; empty if no client was built.
    pub frame_script: String,
    /// The script of the picture's page; empty if no client was built.
    pub infographic_script: String,
    /// The style sheet; empty if no client was built.
    pub css: String,
}

/// The two files of a WebAssembly bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BundleFiles {
    /// The JavaScript glue.
    pub js: String,
    /// The WebAssembly module.
    pub wasm: String,
}

/// The bundles of the pages of the lab.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabFiles {
    /// The map's.
    pub map: BundleFiles,
    /// The split view's.
    pub split: BundleFiles,
    /// That of the recordings.
    pub recording: BundleFiles,
    /// That of the dials.
    pub dials: BundleFiles,
    /// That of event handlers and dead letters.
    pub handlers: BundleFiles,
    /// That of views of one's own.
    pub views: BundleFiles,
    /// That of lessons.
    pub lessons: BundleFiles,
    /// That of the class, for its educator.
    pub class: BundleFiles,
    /// That of streams and events.
    pub log: BundleFiles,
    /// The module that folds, which map, recordings and streams load when they first want a document.
    pub folds: BundleFiles,
}

/// The address of the site as its readers see it, without a slash at the end. The server provides it by
/// context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteAddress(pub String);

/// Sets the HTTP status of a page. The server may provide it by context; without it, every page has status
/// 200.
#[derive(Clone)]
pub struct StatusSetter(pub Arc<dyn Fn(u16) + Send + Sync>);

impl std::fmt::Debug for StatusSetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StatusSetter")
    }
}

/// Marks the links to the files of the page's texts, for the bundle.
pub(crate) const TEXT_ATTRIBUTE: &str = "data-text";

#[cfg(feature = "ssr")]
mod document {
    use leptos::prelude::*;
    use leptos_meta::MetaTags;
    use leptos_router::location::RequestUrl;

    use super::{AssetNames, BundleFiles, LabFiles, TEXT_ATTRIBUTE};
    use crate::{
        App, LOAD_FOLDS, Theme, WORKSPACE_ATTRIBUTE, api,
        language::language,
        person,
        text::server::{TextFile, files_of_page, is_of_the_lab},
    };

    /// The whole document for one request. Render it in order or asynchronously: a page must be complete
    /// without JavaScript. A page outside of a workspace loads no WebAssembly.
    pub fn shell(options: LeptosOptions, assets: AssetNames) -> impl IntoView {
        // Every Leptos shell has options; this one takes the names of the files from `assets`.
        drop(options);
        let theme = use_context::<Theme>().unwrap_or_default();
        let language = language();
        let AssetNames {
            bundle,
            lab,
            frame_script,
            infographic_script,
            css,
        } = assets;
        provide_context(InfographicScriptFile(infographic_script));
        let style = (!css.is_empty()).then(|| view! { <link rel="stylesheet" href=format!("/pkg/{css}") /> });
        let frame_script = (!frame_script.is_empty()).then(|| view! { <FrameScript file=frame_script /> });
        let session = api::session();
        let path = path_of_request();
        let bundle = if is_of_the_lab(&path) {
            lab.map(|lab| bundle_of_the_lab(lab, &path))
        } else {
            bundle.map(|files| (files, None))
        };
        let bundle = bundle
            .filter(|_| session.is_some())
            .map(|(files, folds)| view! { <Bundle files folds path /> });
        let workspace = session.as_ref().map(|session| session.workspace.to_string());
        let person = session.and_then(|session| serde_json::to_string(&person::of_session(session)).ok());
        let body = view! { <body><App /></body> }
            .attr(WORKSPACE_ATTRIBUTE, workspace)
            .attr(person::ATTRIBUTE, person);
        view! {
            <!DOCTYPE html>
            <html lang=language.code() dir=language.direction().as_str() data-theme=theme.as_str()>
                <head>
                    <meta charset="utf-8" />
                    <meta name="viewport" content="width=device-width, initial-scale=1" />
                    <meta name="color-scheme" content="dark light" />
                    <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                    <link rel="apple-touch-icon" href="/apple-touch-icon.png" />
                    <link rel="manifest" href="/manifest.webmanifest" />
                    {style}
                    {frame_script}
                    {bundle}
                    <MetaTags />
                </head>
                {body}
            </html>
        }
    }

    /// Loads the script of the frame. A module runs once the page is parsed.
    #[component]
    fn FrameScript(file: String) -> impl IntoView {
        let nonce = leptos::nonce::use_nonce();
        view! { <script type="module" src=format!("/pkg/{file}") nonce=nonce></script> }
    }

    /// The name of the script of the picture's page.
    #[derive(Clone)]
    struct InfographicScriptFile(String);

    /// Loads the script of the picture's page, on that page only.
    #[component]
    pub(crate) fn InfographicScript() -> impl IntoView {
        let InfographicScriptFile(file) = use_context()?;
        (!file.is_empty()).then(|| view! { <FrameScript file /> })
    }

    /// The path of the page.
    fn path_of_request() -> String {
        let address = use_context::<RequestUrl>().and_then(|address| address.parse().ok());
        address
            .map(|address| address.path().to_owned())
            .unwrap_or_default()
    }

    /// The bundle of a page of the lab, and the module that folds if the page may want it.
    fn bundle_of_the_lab(lab: LabFiles, path: &str) -> (BundleFiles, Option<BundleFiles>) {
        let LabFiles {
            map,
            split,
            recording,
            dials,
            handlers,
            views,
            lessons,
            class,
            log,
            folds,
        } = lab;
        if path.trim_end_matches('/') == "/lab" {
            (map, Some(folds))
        } else if path.starts_with("/lab/split") {
            (split, None)
        } else if path.starts_with("/lab/recording") {
            (recording, Some(folds))
        } else if path.starts_with("/lab/dials") {
            (dials, None)
        } else if path.starts_with("/lab/projections") || path.starts_with("/lab/dead-letters") {
            (handlers, None)
        } else if path.starts_with("/lab/views") {
            (views, None)
        } else if path.starts_with("/lab/lessons") || path.starts_with("/lab/glossary") {
            (lessons, None)
        } else if path.starts_with("/lab/class") {
            (class, None)
        } else {
            (log, Some(folds))
        }
    }

    /// The script that starts a bundle, after it has told the page how to load the module that folds.
    fn start_of(files: &BundleFiles, folds: Option<&BundleFiles>) -> String {
        let BundleFiles { js, wasm } = files;
        let loads = folds.map_or_else(String::new, |BundleFiles { js, wasm }| {
            format!(
                "globalThis.{LOAD_FOLDS} = async () => (await import(\"/pkg/{js}\")).default({{ \
                 module_or_path: \"/pkg/{wasm}\" }}); "
            )
        });
        format!("import init from \"/pkg/{js}\"; {loads}await init({{ module_or_path: \"/pkg/{wasm}\" }});")
    }

    /// Loads the bundle of the page with this path, which hydrates the islands. The file names come from the
    /// build and need no escaping in JavaScript or HTML.
    #[component]
    fn Bundle(files: BundleFiles, folds: Option<BundleFiles>, path: String) -> impl IntoView {
        let nonce = leptos::nonce::use_nonce();
        let script = start_of(&files, folds.as_ref());
        let BundleFiles { js, wasm } = files;
        view! {
            <link rel="modulepreload" href=format!("/pkg/{js}") nonce=nonce.clone() />
            <link
                rel="preload"
                href=format!("/pkg/{wasm}")
                r#as="fetch"
                r#type="application/wasm"
                crossorigin=""
            />
            <script type="module" nonce=nonce inner_html=script></script>
            {files_of_page(language(), &path).map(text_link).collect_view()}
        }
    }

    /// Has the browser load a file of texts beside the bundle, which takes it from there.
    fn text_link(file: &TextFile) -> impl IntoView {
        view! {
            <link
                rel="preload"
                href=format!("/pkg/{}", file.name)
                r#as="fetch"
                r#type="application/json"
                crossorigin=""
            />
        }
        .attr(TEXT_ATTRIBUTE, "")
    }
}

#[cfg(feature = "ssr")]
pub(crate) use document::InfographicScript;
#[cfg(feature = "ssr")]
pub use document::shell;
