//! How many things are in the basket, beside its place.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    basket::use_basket,
    components::text,
    erase::{Erase, View},
};

/// The number.
#[derive(Serialize, Deserialize)]
pub(crate) struct BasketCount {}

impl Island for BasketCount {
    const NAME: &'static str = "basket-count";

    fn view(self) -> View {
        let basket = use_basket();
        let count = move || match basket.read().count() {
            0 => String::new(),
            count => count.to_string(),
        };
        view! { <span class="count">{text(count)}</span> }.erase()
    }
}
