//! The interface in a browser, without a server. `cargo xtask test wasm` runs this on a page.

#![cfg(target_arch = "wasm32")]

use app::basket::{Basket, storage};
use domain::{id::WorkspaceId, language::Language};
use icu_locale_core::Locale;
use icu_plurals::{PluralCategory, PluralRules};
use leptos::prelude::*;
use uuid::Uuid;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

/// The live core brings its own tests: the same ones run natively with `cargo test`, and here in a browser.
#[path = "../src/live"]
#[expect(dead_code, unreachable_pub, reason = "only its tests are used here")]
mod live {
    mod backoff;
    mod command_queue;
    mod document;
    mod listing;
    mod overlay;
    mod prediction;
    mod progress;
    mod protocol;

    type Millis = u64;
}

#[path = "../src/text/plural.rs"]
mod plural;
#[path = "../src/sorted.rs"]
#[expect(
    dead_code,
    reason = "only its tests, and what the live core needs, are used here"
)]
mod sorted;

/// The server chooses the form of a text by ICU, and a page must not change when it hydrates.
#[wasm_bindgen_test]
fn a_browser_has_the_plural_rules_of_the_server() {
    for language in Language::ALL {
        let locale = Locale::try_from_str(language.code()).unwrap();
        let rules = PluralRules::try_new_cardinal((&locale).into()).unwrap();
        for count in (0..=200_u64).chain([1_000, 1_000_000]) {
            let expected = match rules.category_for(count) {
                PluralCategory::Zero => plural::Category::Zero,
                PluralCategory::One => plural::Category::One,
                PluralCategory::Two => plural::Category::Two,
                PluralCategory::Few => plural::Category::Few,
                PluralCategory::Many => plural::Category::Many,
                PluralCategory::Other => plural::Category::Other,
            };
            assert_eq!(plural::category(language, count), expected, "{language} {count}");
        }
    }
}

#[wasm_bindgen_test]
fn the_basket_survives_a_reload() {
    let key = storage::key(WorkspaceId(Uuid::nil()));
    let mut basket = Basket::default();
    basket.set("mug-01", 2);
    storage::store(&key, &basket);
    assert_eq!(storage::load(&key), basket);
    storage::store(&key, &Basket::default());
    assert_eq!(storage::load(&key), Basket::default());
}

#[wasm_bindgen_test]
async fn a_view_follows_its_signal() {
    let (count, set_count) = signal(1);
    mount_to_body(move || view! { <output id="count">{count}</output> });
    let output = document().get_element_by_id("count").unwrap();
    assert_eq!(output.text_content().as_deref(), Some("1"));
    set_count.set(2);
    leptos::task::tick().await;
    assert_eq!(output.text_content().as_deref(), Some("2"));
}
