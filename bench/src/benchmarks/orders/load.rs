//! How orders arrive.

/// A load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// The products, of which each order has one.
    pub(crate) products: usize,
    /// Whether a customer orders again at once when the order is acknowledged, not when it is confirmed.
    pub(crate) burst: bool,
    /// Orders that are confirmed and not shipped before it begins.
    pub(crate) open_orders: usize,
}

impl Load {
    /// Seven products; each customer waits for the confirmation before the next order.
    pub(crate) const STEADY: Self = Self {
        products: 7,
        burst: false,
        open_orders: 0,
    };
    /// All orders are placed as fast as they are acknowledged.
    pub(crate) const BURST: Self = Self {
        burst: true,
        ..Self::STEADY
    };
    /// Every order has the same product, and so competes for one stream.
    pub(crate) const HOT_PRODUCT: Self = Self {
        products: 1,
        ..Self::STEADY
    };

    /// As steady, with orders that wait for their shipment.
    pub(crate) const fn with_open_orders(open_orders: usize) -> Self {
        Self {
            open_orders,
            ..Self::STEADY
        }
    }

    /// Its name in results.
    pub(crate) fn name(self) -> String {
        if self.open_orders > 0 {
            return format!("ours, {} open orders", self.open_orders);
        }
        match (self.burst, self.products) {
            (true, _) => "ours, in one burst".to_owned(),
            (false, 1) => "ours, one hot product".to_owned(),
            (false, products) => format!("ours, {products} products"),
        }
    }
}
