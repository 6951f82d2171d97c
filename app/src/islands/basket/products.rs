//! The products of the basket's lines: each is read by its SKU when its line comes, and followed from then
//! on. So a catalogue of any size has the price and the stock of what is in the basket.

use std::collections::BTreeMap;

use domain::{aggregate::order::LineRequest, token::ConsistencyToken, view::products::ProductDocument};
use leptos::prelude::*;

use crate::live::{
    progress::Progress,
    store::{LiveDocument, Revision},
};

/// The products of the basket's lines, by SKU.
#[derive(Clone, Copy)]
pub(super) struct Products(RwSignal<BTreeMap<String, LiveDocument<ProductDocument>>>);

impl Products {
    /// The products of `lines`, also of those that come later. The server has no basket, and so none.
    pub(super) fn of(lines: Signal<Vec<LineRequest>>) -> Self {
        let products = Self(RwSignal::default());
        #[cfg(not(feature = "ssr"))]
        products.follow(lines);
        #[cfg(feature = "ssr")]
        let _ = lines;
        products
    }

    #[cfg(not(feature = "ssr"))]
    fn follow(self, lines: Signal<Vec<LineRequest>>) {
        // A product stays as long as the page, and not as long as the run of the effect that came to need it.
        let Some(page) = Owner::current() else { return };
        crate::erased_effects::effect(move || {
            for line in lines.get() {
                if self.0.with_untracked(|products| products.contains_key(&line.sku)) {
                    continue;
                }
                let product = untrack(|| page.with(|| LiveDocument::read("products", &line.sku)));
                self.0.update(|products| {
                    products.insert(line.sku, product);
                });
            }
        });
    }

    /// The product of a line; `None` until it is read, and if there is none.
    pub(super) fn product(self, sku: String) -> Memo<Revision<ProductDocument>> {
        Memo::new(move |_| self.find(&sku)?.get())
    }

    /// Those that are read.
    pub(super) fn documents(self) -> Vec<ProductDocument> {
        let read = |product: &LiveDocument<ProductDocument>| Some(product.get()?.0);
        self.0
            .with(|products| products.values().filter_map(read).collect())
    }

    /// Whether it is known what there is of this SKU.
    pub(super) fn is_known(self, sku: &str) -> bool {
        self.find(sku).is_some_and(LiveDocument::is_known)
    }

    /// The progress of the product that is furthest behind.
    pub(super) fn progress(self) -> Signal<Progress> {
        Signal::derive(move || {
            let all = self.0.with(|products| {
                let progress = products.values().map(|product| product.current_progress());
                progress.min_by_key(|progress| (progress.is_followed(), u64::MAX - progress.behind()))
            });
            all.unwrap_or_else(|| Progress::at(ConsistencyToken::default(), 0, 0))
        })
    }

    fn find(self, sku: &str) -> Option<LiveDocument<ProductDocument>> {
        self.0.with(|products| products.get(sku).copied())
    }
}
