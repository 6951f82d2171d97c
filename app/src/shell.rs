//! The document around the application: head, style sheet and scripts. Only the server renders it; every
//! script carries the request's nonce, and there is no inline style.

use std::sync::Arc;

/// The files that pages load from `/pkg/`. Their names have a hash of the content, so that they can be cached
/// for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssetNames {
    /// The bundle, for pages of a workspace; `None` if no client was built.
    pub bundle: Option<BundleFiles>,
    /// The script of the theme switch, for every page; empty if no client was built.
    pub theme_script: String,
    /// The style sheet; empty if no client was built.
    pub css: String,
}

/// The two files of the WebAssembly bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BundleFiles {
    /// The JavaScript glue.
    pub js: String,
    /// The WebAssembly module.
    pub wasm: String,
}

/// Sets the HTTP status of a page. The server may provide it by context; without it, every page has status
/// 200.
#[derive(Clone)]
pub struct StatusSetter(pub Arc<dyn Fn(u16) + Send + Sync>);

impl std::fmt::Debug for StatusSetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StatusSetter")
    }
}

#[cfg(feature = "ssr")]
mod document {
    use leptos::prelude::*;
    use leptos_meta::MetaTags;

    use super::{AssetNames, BundleFiles};
    use crate::{App, Theme, WORKSPACE_ATTRIBUTE, api, person};

    /// The brand's prompt, `>_`, in the address bar: inline, so that it costs no request.
    const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E\
        %3Crect width='32' height='32' rx='6' fill='%230c1110'/%3E\
        %3Cpath d='m7 9 8 7-8 7M17 24h8' fill='none' stroke='%233dff8f' stroke-width='3'/%3E%3C/svg%3E";

    /// The whole document for one request. Render it in order or asynchronously: a page must be complete
    /// without JavaScript. A page outside of a workspace loads no WebAssembly.
    pub fn shell(options: LeptosOptions, assets: AssetNames) -> impl IntoView {
        // Every Leptos shell has options; this one takes the names of the files from `assets`.
        drop(options);
        let theme = use_context::<Theme>().unwrap_or_default();
        let AssetNames {
            bundle,
            theme_script,
            css,
        } = assets;
        let style = (!css.is_empty()).then(|| view! { <link rel="stylesheet" href=format!("/pkg/{css}") /> });
        let theme_script = (!theme_script.is_empty()).then(|| view! { <ThemeScript file=theme_script /> });
        let session = api::session();
        let bundle = bundle
            .filter(|_| session.is_some())
            .map(|files| view! { <Bundle files /> });
        let workspace = session.as_ref().map(|session| session.workspace.to_string());
        let person = session.and_then(|session| serde_json::to_string(&person::of_session(session)).ok());
        let body = view! { <body><App /></body> }
            .attr(WORKSPACE_ATTRIBUTE, workspace)
            .attr(person::ATTRIBUTE, person);
        view! {
            <!DOCTYPE html>
            <html lang="en" dir="ltr" data-theme=theme.as_str()>
                <head>
                    <meta charset="utf-8" />
                    <meta name="viewport" content="width=device-width, initial-scale=1" />
                    <meta name="color-scheme" content="dark light" />
                    <link rel="icon" href=ICON />
                    {style}
                    {theme_script}
                    {bundle}
                    <MetaTags />
                </head>
                {body}
            </html>
        }
    }

    /// Loads the script of the theme switch. A module runs once the page is parsed.
    #[component]
    fn ThemeScript(file: String) -> impl IntoView {
        let nonce = leptos::nonce::use_nonce();
        view! { <script type="module" src=format!("/pkg/{file}") nonce=nonce></script> }
    }

    /// Loads the bundle, which hydrates the islands. The file names come from the build and need no escaping
    /// in JavaScript or HTML.
    #[component]
    fn Bundle(files: BundleFiles) -> impl IntoView {
        let nonce = leptos::nonce::use_nonce();
        let BundleFiles { js, wasm } = files;
        let script =
            format!("import init from \"/pkg/{js}\"; await init({{ module_or_path: \"/pkg/{wasm}\" }});");
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
        }
    }
}

#[cfg(feature = "ssr")]
pub use document::shell;
