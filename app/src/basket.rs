//! The basket, kept in the browser until it is ordered. Its limits are those of `PlaceOrder`, so that every
//! basket can be ordered.

use domain::aggregate::order::{LineRequest, MAX_LINE_QUANTITY, MAX_LINES};
#[cfg(not(feature = "ssr"))]
use domain::id::WorkspaceId;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// The lines of a basket, each product once, in the order in which they were added.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Basket {
    lines: Vec<LineRequest>,
}

impl Basket {
    /// The lines.
    pub fn lines(&self) -> &[LineRequest] {
        &self.lines
    }

    /// The quantity of a product.
    pub fn quantity(&self, sku: &str) -> u32 {
        self.lines
            .iter()
            .find(|line| line.sku == sku)
            .map_or(0, |line| line.quantity)
    }

    /// The sum of all quantities.
    pub fn count(&self) -> u32 {
        self.lines.iter().map(|line| line.quantity).sum()
    }

    /// Adds one unit of a product. False if the basket's limits forbid it.
    pub fn add(&mut self, sku: &str) -> bool {
        let quantity = self.quantity(sku);
        let fits = quantity < MAX_LINE_QUANTITY && (quantity > 0 || self.lines.len() < MAX_LINES);
        if fits {
            self.set(sku, quantity + 1);
        }
        fits
    }

    /// Sets the quantity of a product; 0 removes it.
    pub fn set(&mut self, sku: &str, quantity: u32) {
        let quantity = quantity.min(MAX_LINE_QUANTITY);
        if quantity == 0 {
            self.lines.retain(|line| line.sku != sku);
        } else if let Some(line) = self.lines.iter_mut().find(|line| line.sku == sku) {
            line.quantity = quantity;
        } else if self.lines.len() < MAX_LINES {
            self.lines.push(LineRequest {
                sku: sku.to_owned(),
                quantity,
            });
        }
    }

    /// Removes all lines.
    pub fn clear(&mut self) {
        self.lines.clear();
    }
}

/// The basket of this page, provided by context. Empty on the server, because only the browser has it.
#[derive(Debug, Clone, Copy)]
pub struct SharedBasket(RwSignal<Basket>);

/// Returns the basket of this page.
pub fn use_basket() -> SharedBasket {
    use_context::<SharedBasket>().unwrap_or_else(|| SharedBasket(RwSignal::new(Basket::default())))
}

impl SharedBasket {
    /// The contents, tracked.
    pub fn read(self) -> Basket {
        self.0.get()
    }

    /// The contents, untracked.
    pub fn read_untracked(self) -> Basket {
        self.0.get_untracked()
    }

    /// Changes the basket, here and in every other tab.
    pub fn change<T>(self, change: impl FnOnce(&mut Basket) -> T) -> Option<T> {
        self.0.try_update(change)
    }
}

/// Provides the islands with the basket: loaded after hydration, stored on every change, and loaded again
/// when another tab has changed it. Each workspace has its own.
#[cfg(not(feature = "ssr"))]
pub fn provide_basket(workspace: Option<WorkspaceId>) {
    let basket = RwSignal::new(Basket::default());
    provide_context(SharedBasket(basket));
    if let Some(workspace) = workspace {
        storage::bind(storage::key(workspace), basket);
    }
}

#[cfg(not(feature = "ssr"))]
pub mod storage {
    //! Stores the basket in local storage, which the tabs of a browser share.

    use domain::id::WorkspaceId;
    use gloo_storage::{LocalStorage, Storage};
    use leptos::{ev, prelude::*};

    use super::Basket;
    use crate::{erased_effects::effect, live::store::typed};

    /// The storage key of a workspace's basket.
    pub fn key(workspace: WorkspaceId) -> String {
        format!("foldline.basket.{workspace}")
    }

    /// Loads the basket; empty if none is stored, or if it cannot be read.
    pub fn load(key: &str) -> Basket {
        let text = LocalStorage::raw().get_item(key).ok().flatten();
        let json = text.and_then(|text| serde_json::from_str(&text).ok());
        json.and_then(|json| typed(&json)).unwrap_or_default()
    }

    /// Stores the basket. In a browser that refuses to store anything, it lasts as long as the page.
    pub fn store(key: &str, basket: &Basket) {
        if basket.lines().is_empty() {
            LocalStorage::delete(key);
        } else if let Err(error) = LocalStorage::set(key, basket) {
            leptos::logging::warn!("the basket cannot be stored: {error}");
        }
    }

    /// Synchronises a signal with the stored basket.
    pub(super) fn bind(key: String, basket: RwSignal<Basket>) {
        let own_key = key.clone();
        let mut is_loaded = false;
        effect(move || {
            // The first run loads: hydration must find the empty basket that the server has rendered.
            if is_loaded {
                let now = basket.get();
                if now != load(&own_key) {
                    store(&own_key, &now);
                }
            } else {
                is_loaded = true;
                let stored = load(&own_key);
                basket.track();
                if stored != basket.get_untracked() {
                    basket.set(stored);
                }
            }
        });
        let handle = window_event_listener(ev::storage, move |event| {
            if event.key().as_deref() == Some(&key) {
                let stored = load(&key);
                if stored != basket.get_untracked() {
                    basket.set(stored);
                }
            }
        });
        on_cleanup(move || handle.remove());
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_same_product_is_one_line() {
        let mut basket = Basket::default();
        assert!(basket.add("mug-01") && basket.add("tea-01") && basket.add("mug-01"));
        assert_eq!(
            (basket.quantity("mug-01"), basket.lines().len(), basket.count()),
            (2, 2, 3)
        );
    }

    #[test]
    fn a_quantity_of_zero_removes_the_line() {
        let mut basket = Basket::default();
        basket.set("mug-01", 3);
        basket.set("mug-01", 0);
        basket.set("mug-01", 0);
        assert_eq!(basket, Basket::default());
    }

    #[test]
    fn a_basket_has_the_limits_of_an_order() {
        let mut basket = Basket::default();
        basket.set("mug-01", MAX_LINE_QUANTITY + 1);
        assert_eq!(basket.quantity("mug-01"), MAX_LINE_QUANTITY);
        assert!(!basket.add("mug-01"));
        for n in 0..MAX_LINES {
            basket.add(&format!("tea-{n}"));
        }
        assert_eq!(basket.lines().len(), MAX_LINES);
        assert!(!basket.add("one-more"));
    }
}
