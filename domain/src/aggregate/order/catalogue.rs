//! The products of an order's lines, from their own streams.

use std::collections::BTreeMap;

use crate::aggregate::product::{CatalogueEntry, ProductState};

/// Name and price of the products on sale, by SKU: the evidence for placing an order.
#[derive(Debug, Clone, Default)]
pub struct ProductCatalogue(BTreeMap<String, CatalogueEntry>);

impl ProductCatalogue {
    /// Name and price of a product; `None` if it was not loaded, is not listed or is retired.
    pub fn on_sale(&self, sku: &str) -> Option<&CatalogueEntry> {
        self.0.get(sku)
    }
}

/// From the states of products, by SKU.
impl FromIterator<(String, ProductState)> for ProductCatalogue {
    fn from_iter<I: IntoIterator<Item = (String, ProductState)>>(products: I) -> Self {
        let on_sale = |(sku, product): (String, ProductState)| {
            product
                .listed
                .filter(|_| !product.retired)
                .map(|listed| (sku, listed))
        };
        Self(products.into_iter().filter_map(on_sale).collect())
    }
}
