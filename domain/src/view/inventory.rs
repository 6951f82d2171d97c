//! The view `inventory`, one document per SKU: on hand, reserved and available units.

use serde::{Deserialize, Serialize};

use super::{ListingEntry, View};
use crate::{
    aggregate::inventory::{InventoryEvent, StockReceived, StockReleased, StockReserved, StockShipped},
    event::{DomainEvent, TypedEvent},
};

/// The maximum of available units in the listing `low_stock`.
pub const LOW_STOCK: u32 = 5;

/// The stock of one product.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InventoryDocument {
    /// The key.
    pub sku: String,
    /// Units in the building, reserved or not.
    pub on_hand: u32,
    /// Units reserved for orders.
    pub reserved: u32,
    /// Units that can be reserved: on hand less reserved.
    pub available: u32,
}

/// The view `inventory`.
#[derive(Debug)]
pub struct InventoryView;

impl View for InventoryView {
    const NAME: &'static str = "inventory";
    const LISTINGS: &'static [&'static str] = &["all", "low_stock"];
    type Document = InventoryDocument;

    fn keys(event: &TypedEvent) -> Vec<String> {
        match &event.payload {
            DomainEvent::Inventory(_) => vec![event.stream.id().to_owned()],
            _ => Vec::new(),
        }
    }

    fn fold(document: Option<InventoryDocument>, event: &TypedEvent) -> Option<InventoryDocument> {
        let DomainEvent::Inventory(change) = &event.payload else {
            return document;
        };
        let sku = event.stream.id();
        let mut stock = document.unwrap_or_else(|| InventoryDocument {
            sku: sku.to_owned(),
            ..Default::default()
        });
        match change {
            InventoryEvent::StockReceived(StockReceived { quantity }) => {
                stock.on_hand = stock.on_hand.saturating_add(*quantity);
            }
            InventoryEvent::StockReserved(StockReserved { quantity, .. }) => {
                stock.reserved = stock.reserved.saturating_add(*quantity);
            }
            InventoryEvent::StockReleased(StockReleased { quantity, .. }) => {
                stock.reserved = stock.reserved.saturating_sub(*quantity);
            }
            InventoryEvent::StockShipped(StockShipped { quantity, .. }) => {
                stock.reserved = stock.reserved.saturating_sub(*quantity);
                stock.on_hand = stock.on_hand.saturating_sub(*quantity);
            }
            InventoryEvent::StockReservationFailed(_) => {}
        }
        stock.available = stock.on_hand.saturating_sub(stock.reserved);
        Some(stock)
    }

    fn listings(stock: &InventoryDocument) -> Vec<ListingEntry> {
        let mut entries = vec![ListingEntry::new("all", stock.sku.clone())];
        if stock.available <= LOW_STOCK {
            entries.push(ListingEntry::new("low_stock", format!("{:010}", stock.available)));
        }
        entries
    }
}
