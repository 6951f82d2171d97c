//! Box 1, Web Client: the pages, components and live stores of the user interface.
//!
//! The server (feature `ssr`) renders whole pages, and gives each request a [`backend::SharedBackend`], a
//! [`Theme`], a [`Language`](domain::language::Language) and a [`StatusSetter`] by context. The browser
//! (feature `hydrate`) hydrates the islands of a workspace's page, and the live socket continues from the
//! rendered state.

// A page is one type, and the optimised build walks deeper into it than the compiler allows by itself.
#![recursion_limit = "256"]

mod api;
pub mod backend;
pub mod basket;
#[cfg(feature = "ssr")]
mod bent_words;
#[cfg(feature = "ssr")]
mod class_words;
mod commands;
#[expect(unreachable_pub, reason = "what the component macro writes is public")]
mod components;
mod erase;
mod erased_effects;
mod erased_signals;
#[cfg(feature = "ssr")]
mod flash;
mod format;
#[cfg(not(feature = "ssr"))]
mod id;
#[expect(unreachable_pub, reason = "what the component macro writes is public")]
mod islands;
pub mod lab;
mod language;
#[cfg(feature = "ssr")]
#[expect(unreachable_pub, reason = "what the component macro writes is public")]
mod layout;
pub mod live;
#[cfg(feature = "ssr")]
#[expect(unreachable_pub, reason = "what the component macro writes is public")]
mod pages;
mod person;
#[cfg(feature = "ssr")]
#[expect(unreachable_pub, reason = "what the component macro writes is public")]
mod routes;
#[cfg_attr(
    feature = "ssr",
    expect(unreachable_pub, reason = "what the component macro writes is public")
)]
mod shell;
mod sorted;
mod text;
mod theme;

#[cfg(all(test, feature = "ssr"))]
#[path = "../build/texts.rs"]
mod texts_of_the_build;

#[cfg(all(test, target_arch = "wasm32"))]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

pub use api::{HOST_COOKIE_PREFIX, LAST_WRITE_COOKIE, last_write_of};
#[cfg(feature = "ssr")]
pub use bent_words::dials_in_words;
#[cfg(feature = "ssr")]
pub use class_words::question_in_words;
#[cfg(feature = "ssr")]
pub use flash::Flash;
#[cfg(not(feature = "ssr"))]
pub use islands::{
    answer_folds, hydrate_lab_class, hydrate_lab_dials, hydrate_lab_handlers, hydrate_lab_lessons,
    hydrate_lab_log, hydrate_lab_map, hydrate_lab_recording, hydrate_lab_split, hydrate_lab_views,
    hydrate_workspace,
};
#[cfg(feature = "ssr")]
pub use routes::App;
#[cfg(feature = "ssr")]
pub use shell::shell;
pub use shell::{AssetNames, BundleFiles, LabFiles, SiteAddress, StatusSetter};
#[cfg(feature = "ssr")]
pub use text::server::{TextFile, is_translated, text_files};
pub use theme::{COOKIE as THEME_COOKIE, Theme};

/// Whether the interface words problems of this type, by the last part of its name.
#[cfg(feature = "ssr")]
pub fn has_problem_text(kind: &str) -> bool {
    components::problem_text(domain::language::Language::En, kind).is_some()
}

/// The function of a page of the lab that loads the module that folds.
const LOAD_FOLDS: &str = "loadFolds";

/// The function of a page by which it asks that module.
#[cfg(not(feature = "ssr"))]
const FOLD: &str = "fold";

/// The attribute of the page's body that carries its workspace, for the islands.
const WORKSPACE_ATTRIBUTE: &str = "data-workspace";
