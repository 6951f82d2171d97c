//! The basket: what somebody means to order, kept in the browser until it is ordered. The rules are those of
//! `PlaceOrder`, so a basket is always an order that could be placed.

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

    /// How many of a product.
    pub fn quantity(&self, sku: &str) -> u32 {
        self.lines
            .iter()
            .find(|line| line.sku == sku)
            .map_or(0, |line| line.quantity)
    }

    /// How many things.
    pub fn count(&self) -> u32 {
        self.lines.iter().map(|line| line.quantity).sum()
    }

    /// Adds one more. False where no more fits.
    pub fn add(&mut self, sku: &str) -> bool {
        let quantity = self.quantity(sku);
        let fits = quantity < MAX_LINE_QUANTITY && (quantity > 0 || self.lines.len() < MAX_LINES);
        if fits {
            self.set(sku, quantity + 1);
        }
        fits
    }

    /// Wants so many of a product; 0 takes it out.
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

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.lines.clear();
    }
}

/// The basket of this page, by context. Empty on the server: only the browser knows it.
#[derive(Debug, Clone, Copy)]
pub struct SharedBasket(RwSignal<Basket>);

/// The basket of this page.
pub fn use_basket() -> SharedBasket {
    use_context::<SharedBasket>().unwrap_or_else(|| SharedBasket(RwSignal::new(Basket::default())))
}

impl SharedBasket {
    /// What is in it.
    pub fn read(self) -> Basket {
        self.0.get()
    }

    /// What is in it at this moment.
    pub fn read_untracked(self) -> Basket {
        self.0.get_untracked()
    }

    /// Changes it, here and in every other tab.
    pub fn change<T>(self, change: impl FnOnce(&mut Basket) -> T) -> Option<T> {
        self.0.try_update(change)
    }
}

/// Gives the islands their basket: read when the page has hydrated, written at every change, and read again when another
/// tab has changed it. Each workspace has its own.
#[cfg(not(feature = "ssr"))]
pub fn provide_basket(workspace: Option<WorkspaceId>) {
    let basket = RwSignal::new(Basket::default());
    provide_context(SharedBasket(basket));
    if let Some(workspace) = workspace {
        kept::keep(kept::key(workspace), basket);
    }
}

#[cfg(not(feature = "ssr"))]
pub mod kept {
    //! Where the browser keeps it: the local storage, which the tabs of a browser share.

    use domain::id::WorkspaceId;
    use gloo_storage::{LocalStorage, Storage};
    use leptos::{ev, prelude::*};

    use super::Basket;
    use crate::boxed::effect;

    /// The storage key of a workspace's basket.
    pub fn key(workspace: WorkspaceId) -> String {
        format!("foldline.basket.{workspace}")
    }

    /// What is kept; empty where nothing is, or nothing that can be read.
    pub fn load(key: &str) -> Basket {
        LocalStorage::get(key).unwrap_or_default()
    }

    /// Keeps it. A browser that refuses to store anything has a basket for as long as the page is open.
    pub fn store(key: &str, basket: &Basket) {
        if basket.lines().is_empty() {
            LocalStorage::delete(key);
        } else if let Err(error) = LocalStorage::set(key, basket) {
            leptos::logging::warn!("the basket cannot be kept: {error}");
        }
    }

    /// Ties a signal to what is kept.
    pub(super) fn keep(key: String, basket: RwSignal<Basket>) {
        let stored = key.clone();
        let mut is_loaded = false;
        effect(move || {
            // The first run reads: the server has rendered an empty basket, and hydration must find the same.
            if is_loaded {
                let now = basket.get();
                if now != load(&stored) {
                    store(&stored, &now);
                }
            } else {
                is_loaded = true;
                let kept = load(&stored);
                basket.track();
                if kept != basket.get_untracked() {
                    basket.set(kept);
                }
            }
        });
        let handle = window_event_listener(ev::storage, move |event| {
            if event.key().as_deref() == Some(&key) {
                let kept = load(&key);
                if kept != basket.get_untracked() {
                    basket.set(kept);
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
    fn none_of_a_product_takes_it_out() {
        let mut basket = Basket::default();
        basket.set("mug-01", 3);
        basket.set("mug-01", 0);
        basket.set("mug-01", 0);
        assert_eq!(basket, Basket::default());
    }

    #[test]
    fn it_never_holds_more_than_an_order_may() {
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
