//! The number of units in the basket, beside its link in the navigation.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    basket::use_basket,
    components::text,
    erase::{Erase, View},
};

/// The badge with the number.
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
