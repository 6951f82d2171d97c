//! The view `sales`, one document per day (`day/2026-11-22`, in UTC) and per product (`sku/mug-01`).
//!
//! A confirmed order counts as sold on the day of its confirmation. If it is cancelled later, it also counts
//! as cancelled, on the day of the cancellation, and if it is refunded, as refunded on the day of the refund;
//! the net sales are the difference. So a past day never changes.

use serde::{Deserialize, Serialize};

use super::{ListingEntry, View};
use crate::{
    aggregate::order::{OrderEvent, OrderLine, Sold},
    event::{DomainEvent, TypedEvent},
    money::{Money, Sums},
};

/// The kind of a sales document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SalesKind {
    /// A day.
    Day,
    /// A product.
    Sku,
}

/// The sales of a day, or of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SalesDocument {
    /// The kind of the document.
    pub kind: SalesKind,
    /// The day, as in `2026-11-22`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// The product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// The product's name at the time of the sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Confirmed orders.
    pub orders: u64,
    /// Units in them.
    pub units: u64,
    /// Their revenue, by currency.
    pub revenue: Sums,
    /// Orders that were cancelled after their confirmation.
    pub cancelled_orders: u64,
    /// Units in them.
    pub cancelled_units: u64,
    /// Their revenue, by currency.
    pub cancelled_revenue: Sums,
    /// Orders that were refunded after their confirmation. This and the next two are absent without a refund,
    /// as in the documents of versions that did not count any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub refunded_orders: u64,
    /// Units in them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub refunded_units: u64,
    /// Their revenue, by currency.
    #[serde(default, skip_serializing_if = "is_default")]
    pub refunded_revenue: Sums,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl SalesDocument {
    /// Sold units less cancelled and refunded units.
    pub fn net_units(&self) -> u64 {
        self.units
            .saturating_sub(self.cancelled_units)
            .saturating_sub(self.refunded_units)
    }

    /// The revenue less the cancelled and the refunded revenue, by currency.
    pub fn net_revenue(&self) -> Sums {
        let mut net = self.revenue.clone();
        let reversed = [&self.cancelled_revenue, &self.refunded_revenue];
        for amount in reversed.into_iter().flat_map(Sums::as_slice) {
            net.add(&Money::new(amount.amount.saturating_neg(), &amount.currency));
        }
        net
    }
}

/// The view `sales`.
#[derive(Debug)]
pub struct SalesView;

/// The sale of an event, or its reversal.
struct Sale<'a> {
    lines: &'a [OrderLine],
    total: &'a Money,
    kind: SaleKind,
}

#[derive(Clone, Copy)]
enum SaleKind {
    Sold,
    Cancelled,
    Refunded,
}

impl View for SalesView {
    const NAME: &'static str = "sales";
    const LISTINGS: &'static [&'static str] = &["by_day", "top_products"];
    type Document = SalesDocument;

    fn keys(event: &TypedEvent) -> Vec<String> {
        let Some(sale) = sale_of(event) else {
            return Vec::new();
        };
        let mut keys = vec![format!("day/{}", day_of(event))];
        keys.extend(sale.lines.iter().map(|line| format!("sku/{}", line.sku)));
        keys
    }

    /// Folds the document of the day; an event also affects the documents of its products.
    fn fold(document: Option<SalesDocument>, event: &TypedEvent) -> Option<SalesDocument> {
        Self::fold_at(&format!("day/{}", day_of(event)), document, event)
    }

    fn fold_at(key: &str, document: Option<SalesDocument>, event: &TypedEvent) -> Option<SalesDocument> {
        let Some(sale) = sale_of(event) else {
            return document;
        };
        let (kind, of) = key.split_once('/')?;
        let mut sales = document.unwrap_or_else(|| empty_sales(kind, of));
        let mut sold = Sums::default();
        let mut units = 0;
        match sales.kind {
            SalesKind::Day => {
                sold.add(sale.total);
                units = sale.lines.iter().map(|line| u64::from(line.quantity)).sum();
            }
            SalesKind::Sku => {
                for line in sale.lines.iter().filter(|line| line.sku == of) {
                    if let Some(price) = line.price.times(line.quantity) {
                        sold.add(&price);
                    }
                    units += u64::from(line.quantity);
                    // Should names differ, the choice must not depend on the order of folding.
                    sales.name = sales.name.take().max(Some(line.name.clone()));
                }
            }
        }
        let (order_count, unit_count, revenue) = match sale.kind {
            SaleKind::Sold => (&mut sales.orders, &mut sales.units, &mut sales.revenue),
            SaleKind::Cancelled => (
                &mut sales.cancelled_orders,
                &mut sales.cancelled_units,
                &mut sales.cancelled_revenue,
            ),
            SaleKind::Refunded => (
                &mut sales.refunded_orders,
                &mut sales.refunded_units,
                &mut sales.refunded_revenue,
            ),
        };
        *order_count += 1;
        *unit_count += units;
        for amount in sold.as_slice() {
            revenue.add(amount);
        }
        Some(sales)
    }

    fn listings(sales: &SalesDocument) -> Vec<ListingEntry> {
        match sales.kind {
            SalesKind::Day => vec![ListingEntry::new("by_day", sales.day.clone().unwrap_or_default())],
            SalesKind::Sku => vec![ListingEntry::new(
                "top_products",
                format!("{:020}", sales.net_units()),
            )],
        }
    }
}

/// The sale of an event; `None` if it has none, as for confirmations of version 1, which have no lines.
fn sale_of(event: &TypedEvent) -> Option<Sale<'_>> {
    let DomainEvent::Order(change) = &event.payload else {
        return None;
    };
    let (kind, sold) = match change {
        OrderEvent::OrderConfirmed(confirmed) => {
            let sale = Sale {
                lines: &confirmed.lines,
                total: &confirmed.total,
                kind: SaleKind::Sold,
            };
            return (!sale.lines.is_empty()).then_some(sale);
        }
        OrderEvent::OrderCancelled(cancelled) => (SaleKind::Cancelled, cancelled.sold.as_ref()?),
        OrderEvent::OrderRefunded(refunded) => (SaleKind::Refunded, refunded.sold.as_ref()?),
        _ => return None,
    };
    let Sold { lines, total } = sold;
    (!lines.is_empty()).then_some(Sale { lines, total, kind })
}

/// The day of an event, in UTC: the date of its RFC 3339 form.
fn day_of(event: &TypedEvent) -> String {
    let mut at = event.recorded_at.to_string();
    at.truncate("2026-11-22".len());
    at
}

fn empty_sales(kind: &str, of: &str) -> SalesDocument {
    let is_day = kind == "day";
    SalesDocument {
        kind: if is_day { SalesKind::Day } else { SalesKind::Sku },
        day: is_day.then(|| of.to_owned()),
        sku: (!is_day).then(|| of.to_owned()),
        name: None,
        orders: 0,
        units: 0,
        revenue: Sums::default(),
        cancelled_orders: 0,
        cancelled_units: 0,
        cancelled_revenue: Sums::default(),
        refunded_orders: 0,
        refunded_units: 0,
        refunded_revenue: Sums::default(),
    }
}
