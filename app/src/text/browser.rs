//! The texts of the page, which the browser loads beside the WebAssembly and keeps as long as the page.

use std::sync::OnceLock;

use domain::language::Language;
use gloo_net::http::Request;
use leptos::prelude::document;

use super::{Text, add, parse};
use crate::shell::TEXT_ATTRIBUTE;

struct Loaded {
    language: Language,
    texts: Vec<Text>,
}

static LOADED: OnceLock<Loaded> = OnceLock::new();

/// The texts of the page, in the order of their keys. A page has one language.
pub(super) fn texts(_: Language) -> &'static [Text] {
    LOADED.get().map_or(&[], |loaded| loaded.texts.as_slice())
}

/// The language of the page.
pub(crate) fn language() -> Language {
    LOADED.get().map(|loaded| loaded.language).unwrap_or_default()
}

/// Loads the files that the head of the page names, in their order. The browser has been loading them since
/// it has read the head.
pub(crate) async fn load() -> Result<(), String> {
    let links = document().get_elements_by_tag_name("link");
    let mut texts = Vec::new();
    for index in 0..links.length() {
        let link = links
            .item(index)
            .filter(|link| link.has_attribute(TEXT_ATTRIBUTE));
        let Some(address) = link.and_then(|link| link.get_attribute("href")) else {
            continue;
        };
        let response = Request::get(&address).send().await;
        let response = response.map_err(|error| error.to_string())?;
        let json = response.text().await.map_err(|error| error.to_string())?;
        let Some(file) = parse(&json) else {
            return Err(address + " is not of this build");
        };
        add(&mut texts, file);
    }
    let root = document().document_element();
    let language = root.and_then(|root| Language::from_code(&root.get_attribute("lang")?));
    // A page loads its texts once.
    let _ = LOADED.set(Loaded {
        language: language.unwrap_or_default(),
        texts,
    });
    Ok(())
}
