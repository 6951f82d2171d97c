//! The products that an order's lines name, as their own streams have them.

use std::collections::BTreeMap;

use crate::aggregate::product::{Listed, ProductState};

/// Name and price of the products on sale, by sku: all that placing an order sees of other streams.
#[derive(Debug, Clone, Default)]
pub struct ProductCatalogue(BTreeMap<String, Listed>);

impl ProductCatalogue {
    /// Name and price of a product; `None` where it was not loaded, is not listed or is no longer sold.
    pub fn on_sale(&self, sku: &str) -> Option<&Listed> {
        self.0.get(sku)
    }
}

/// From the states of products, by sku.
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
