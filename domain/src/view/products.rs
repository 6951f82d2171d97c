//! The view `products`, one document per SKU: the catalogue, with price and available stock.
//!
//! A product and its stock are two streams, so either may be folded first: a document can have stock before
//! it has a name, and is listed only while it is on sale.

use serde::{Deserialize, Serialize};

use super::{ListingEntry, View};
use crate::{
    aggregate::{
        inventory::{InventoryEvent, StockReceived, StockReleased, StockReserved},
        product::{PriceChanged, ProductEvent, ProductListed},
    },
    event::{DomainEvent, TypedEvent},
    money::Money,
};

/// A product of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProductDocument {
    /// The key.
    pub sku: String,
    /// Empty until the product is listed.
    pub name: String,
    /// Empty until the product is listed.
    pub description: String,
    /// The current price of one unit; absent until the product is listed.
    pub price: Option<Money>,
    /// The tags by which it is found.
    pub tags: Vec<String>,
    /// Units that can be reserved for a new order.
    pub available: u32,
    /// Whether it was removed from the catalogue.
    pub retired: bool,
}

impl ProductDocument {
    /// Whether it can be ordered.
    pub fn on_sale(&self) -> bool {
        self.price.is_some() && !self.retired
    }
}

/// The view `products`.
#[derive(Debug)]
pub struct ProductsView;

impl View for ProductsView {
    const NAME: &'static str = "products";
    const LISTINGS: &'static [&'static str] = &["all", "by_tag"];
    type Document = ProductDocument;

    fn keys(event: &TypedEvent) -> Vec<String> {
        match &event.payload {
            DomainEvent::Product(_) | DomainEvent::Inventory(_) => vec![event.stream.id().to_owned()],
            _ => Vec::new(),
        }
    }

    fn fold(document: Option<ProductDocument>, event: &TypedEvent) -> Option<ProductDocument> {
        let sku = event.stream.id();
        let mut product = document.unwrap_or_else(|| ProductDocument {
            sku: sku.to_owned(),
            ..Default::default()
        });
        match &event.payload {
            DomainEvent::Product(change) => fold_product(&mut product, change),
            DomainEvent::Inventory(change) => fold_stock(&mut product, change),
            _ => {}
        }
        Some(product)
    }

    fn listings(product: &ProductDocument) -> Vec<ListingEntry> {
        if !product.on_sale() {
            return Vec::new();
        }
        let sort = product.name.to_lowercase();
        let mut entries = vec![ListingEntry::new("all", sort.clone())];
        entries.extend(
            product
                .tags
                .iter()
                .map(|tag| ListingEntry::grouped("by_tag", tag, sort.clone())),
        );
        entries
    }
}

fn fold_product(product: &mut ProductDocument, change: &ProductEvent) {
    match change {
        ProductEvent::ProductListed(ProductListed {
            sku: _,
            name,
            description,
            price,
            tags,
        }) => {
            product.name.clone_from(name);
            product.description.clone_from(description);
            product.price = Some(price.clone());
            product.tags.clone_from(tags);
        }
        ProductEvent::PriceChanged(PriceChanged { price }) => product.price = Some(price.clone()),
        ProductEvent::ProductRetired(_) => product.retired = true,
    }
}

fn fold_stock(product: &mut ProductDocument, change: &InventoryEvent) {
    match change {
        InventoryEvent::StockReceived(StockReceived { quantity })
        | InventoryEvent::StockReleased(StockReleased { quantity, .. }) => {
            product.available = product.available.saturating_add(*quantity);
        }
        InventoryEvent::StockReserved(StockReserved { quantity, .. }) => {
            product.available = product.available.saturating_sub(*quantity);
        }
        // A shipment takes from what was reserved, not from what is available.
        InventoryEvent::StockShipped(_) | InventoryEvent::StockReservationFailed(_) => {}
    }
}
