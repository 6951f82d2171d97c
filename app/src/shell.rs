//! The document around the application: head, stylesheet and the script that starts the client. Only the server
//! writes it; everything inline carries the request's nonce, and there is no inline style at all.

use std::sync::Arc;

/// What pages load from `/pkg/`: hashed file names, so that they can be cached for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssetNames {
    /// The programs of the client. A page whose program was not built loads none.
    pub programs: Vec<ProgramFiles>,
    /// The stylesheet; empty where none was built.
    pub css: String,
}

/// The two halves of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgramFiles {
    /// Which, by its [`Program::name`](crate::Program::name).
    pub name: String,
    /// Its JavaScript glue.
    pub js: String,
    /// The program itself.
    pub wasm: String,
}

/// How a page tells the server its HTTP status. The server may provide one by context; without it a page that is not
/// there still says so to people, and answers 200.
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

    use super::{AssetNames, ProgramFiles};
    use crate::{App, Program, Theme, WORKSPACE_ATTRIBUTE, api, person};

    /// The brand's prompt, `>_`, in the address bar: inline, so that it costs no request.
    const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E\
        %3Crect width='32' height='32' rx='6' fill='%230c1110'/%3E\
        %3Cpath d='m7 9 8 7-8 7M17 24h8' fill='none' stroke='%233dff8f' stroke-width='3'/%3E%3C/svg%3E";

    /// The whole document for one request. Render it in order or asynchronously: a page must be complete without
    /// JavaScript.
    pub fn shell(options: LeptosOptions, assets: AssetNames) -> impl IntoView {
        // Every Leptos shell has them; the names of the files come from `assets`.
        drop(options);
        let theme = use_context::<Theme>().unwrap_or_default();
        let AssetNames { programs, css } = assets;
        let style = (!css.is_empty()).then(|| view! { <link rel="stylesheet" href=format!("/pkg/{css}") /> });
        let session = api::session();
        let workspace = session.as_ref().map(|session| session.workspace.to_string());
        let person = session.and_then(|session| serde_json::to_string(&person::of_session(session)).ok());
        let body = view! { <body><App /></body> }
            .attr(WORKSPACE_ATTRIBUTE, workspace)
            .attr(person::ATTRIBUTE, person);
        let program = use_context::<Program>().unwrap_or_default();
        let files = |wanted: Program| {
            programs
                .iter()
                .find(|program| program.name == wanted.name())
                .cloned()
        };
        let client = files(program).map(|program| view! { <Client program /> });
        let next = program
            .next()
            .and_then(files)
            .map(|program| view! { <FetchedAhead program /> });
        view! {
            <!DOCTYPE html>
            <html lang="en" dir="ltr" data-theme=theme.as_str()>
                <head>
                    <meta charset="utf-8" />
                    <meta name="viewport" content="width=device-width, initial-scale=1" />
                    <meta name="color-scheme" content="dark light" />
                    <link rel="icon" href=ICON />
                    {style}
                    {client}
                    {next}
                    <MetaTags />
                </head>
                {body}
            </html>
        }
    }

    /// Loads a program, which hydrates as soon as it is there. The file names come from the build and hold no character
    /// that JavaScript or HTML would read otherwise.
    #[component]
    fn Client(program: ProgramFiles) -> impl IntoView {
        let nonce = leptos::nonce::use_nonce();
        let ProgramFiles { js, wasm, .. } = program;
        let script =
            format!("import init from \"/pkg/{js}\"; await init({{ module_or_path: \"/pkg/{wasm}\" }});");
        view! {
            <link rel="modulepreload" href=format!("/pkg/{js}") nonce=nonce.clone() />
            <link rel="preload" href=format!("/pkg/{wasm}") r#as="fetch" r#type="application/wasm" crossorigin="" />
            <script type="module" nonce=nonce inner_html=script></script>
        }
    }

    /// Has the browser fetch a program when it has nothing else to do.
    #[component]
    fn FetchedAhead(program: ProgramFiles) -> impl IntoView {
        let ProgramFiles { js, wasm, .. } = program;
        view! {
            <link rel="prefetch" href=format!("/pkg/{js}") r#as="script" crossorigin="" />
            <link rel="prefetch" href=format!("/pkg/{wasm}") r#as="fetch" crossorigin="" />
        }
    }
}

#[cfg(feature = "ssr")]
pub use document::shell;
