//! The facts from other streams that decisions about an order see: products, and the goods to ship.

use std::collections::BTreeMap;

use super::{OrderLine, ProductCatalogue};
use crate::{
    aggregate::product::{CatalogueEntry, ProductState},
    rejection::Rejection,
};

/// The rule that an order is shipped only with all of its stock reserved for it.
pub const NOT_RESERVED: &str = "order-not-reserved";

/// The rule that an order is shipped only while its payment stands.
pub const NOT_PAID: &str = "order-not-paid";

/// The evidence for a decision about an order.
#[derive(Debug, Clone, Default)]
pub enum OrderEvidence {
    /// The command needs none.
    #[default]
    Nothing,
    /// For placing an order: the products of its lines.
    Products(ProductCatalogue),
    /// For shipping it: its goods.
    Goods(Goods),
}

/// What the streams of stock and payment have for a confirmed order. It has to be read after the order's
/// state that the decision sees. Then it holds until another event of the order: fulfilment alone takes it
/// away, and only because of such an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Goods {
    /// The units that are reserved for the order, by SKU.
    pub reserved: BTreeMap<String, u32>,
    /// Whether its payment was processed, and not refunded since.
    pub is_paid: bool,
}

impl Goods {
    /// The goods of an order that lacks nothing.
    pub fn complete(lines: &[OrderLine]) -> Self {
        Self {
            reserved: lines
                .iter()
                .map(|line| (line.sku.clone(), line.quantity))
                .collect(),
            is_paid: true,
        }
    }
}

impl OrderEvidence {
    /// Name and price of a product; `None` if it was not loaded, is not listed or is retired.
    pub(super) fn on_sale(&self, sku: &str) -> Option<&CatalogueEntry> {
        match self {
            Self::Products(products) => products.on_sale(sku),
            Self::Nothing | Self::Goods(_) => None,
        }
    }

    /// Refuses a shipment without the reserved stock of every line, or without a payment.
    pub(super) fn require_goods(&self, lines: &[OrderLine]) -> Result<(), Rejection> {
        let none = Goods::default();
        let goods = match self {
            Self::Goods(goods) => goods,
            Self::Nothing | Self::Products(_) => &none,
        };
        for OrderLine { sku, quantity, .. } in lines {
            let reserved = goods.reserved.get(sku).copied().unwrap_or(0);
            if reserved != *quantity {
                return Err(Rejection::new(
                    NOT_RESERVED,
                    format!("{quantity} of {sku} are to be shipped, and {reserved} are reserved for it"),
                ));
            }
        }
        if goods.is_paid {
            return Ok(());
        }
        Err(Rejection::new(
            NOT_PAID,
            "the payment of this order was not processed, or was refunded, so it cannot be shipped",
        ))
    }
}

/// From the states of products, by SKU.
impl FromIterator<(String, ProductState)> for OrderEvidence {
    fn from_iter<I: IntoIterator<Item = (String, ProductState)>>(products: I) -> Self {
        Self::Products(products.into_iter().collect())
    }
}
