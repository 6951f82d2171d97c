//! How many things are in the basket, beside its place.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    basket::use_basket,
    erase::{Erase, View},
};

/// The number.
#[derive(Serialize, Deserialize)]
pub(crate) struct BasketCount {}

impl Island for BasketCount {
    const NAME: &'static str = "basket-count";

    fn view(self) -> View {
        let basket = use_basket();
        let count = move || basket.read().count();
        view! { <span class="count">{move || (count() > 0).then(count)}</span> }.erase()
    }
}
