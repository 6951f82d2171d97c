//! Reservations and charges that an order has not asked for.
//!
//! Staff can reserve stock under any id before an order with this id is placed, and charge a payment under
//! any order's id. A fulfilment relies on what its own commands have reserved and charged, and on what the
//! order asks for: the quantity of a line, and the total, paid by its customer with its method. Everything
//! else is **foreign**: it is released or refunded, and an order whose line or payment is taken by it is
//! rejected.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{FulfilmentOrder, FulfilmentState, PaymentStage, Stage, Stock};
use crate::{aggregate::payment::PaymentProcessed, money::Money, policy::Reaction, reason::Reason};

/// Why a line with a foreign reservation cannot be reserved.
const OTHERWISE_RESERVED: &str = "something else was reserved under this order's id";

/// Why an order with a foreign charge cannot be charged.
const OTHERWISE_CHARGED: &str = "something else was charged under this order's id";

/// What was reserved and charged before the order is known, to be compared with it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Early {
    /// The quantities, by SKU.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    reserved: BTreeMap<String, u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    charge: Option<Charge>,
}

impl Early {
    pub(super) fn is_empty(&self) -> bool {
        self.reserved.is_empty() && self.charge.is_none()
    }
}

/// The parts of a charge that an order asks for.
#[derive(Debug, Serialize, Deserialize)]
struct Charge {
    customer: Uuid,
    amount: Money,
    method: String,
}

impl Charge {
    fn of(paid: &PaymentProcessed) -> Self {
        Self {
            customer: paid.customer,
            amount: paid.amount.clone(),
            method: paid.method.clone(),
        }
    }
}

impl FulfilmentOrder {
    /// Whether the order has a line of this product.
    pub(super) fn has(&self, sku: &str) -> bool {
        self.lines.iter().any(|line| line.sku == sku)
    }

    /// Whether the order asks for this reservation.
    pub(super) fn wants(&self, sku: &str, quantity: u32) -> bool {
        self.lines
            .iter()
            .any(|line| line.sku == sku && line.quantity == quantity)
    }

    fn wants_charge(&self, charge: &Charge) -> bool {
        self.customer == charge.customer && self.total == charge.amount && self.method == charge.method
    }
}

impl FulfilmentState {
    /// Notes the order, and compares with it what was reserved and charged before.
    pub(super) fn know(&mut self, ordered: FulfilmentOrder) {
        let Early { reserved, charge } = std::mem::take(&mut self.early);
        for (sku, quantity) in reserved {
            if let Some(stock) = self.stock.get_mut(&sku)
                && matches!(*stock, Stock::Reserved | Stock::ByStaff)
                && !ordered.wants(&sku, quantity)
            {
                *stock = Stock::Foreign;
            }
        }
        let is_foreign = |charge: &Charge| !ordered.wants_charge(charge);
        if self.payment == PaymentStage::Processed && charge.as_ref().is_some_and(is_foreign) {
            self.payment = PaymentStage::Foreign;
        }
        self.ordered = Some(ordered);
    }

    /// What a new reservation is; `is_own`: fulfilment made it, and not staff. An order whose id staff have
    /// used for a line is on its way to be rejected, and its own reservation does not change that.
    pub(super) fn reserved(&mut self, sku: &str, quantity: u32, is_own: bool) -> Stock {
        let is_used = self.is_foreign(sku);
        match &self.ordered {
            Some(ordered) if !ordered.wants(sku, quantity) => return Stock::Foreign,
            Some(_) => {}
            None => {
                self.early.reserved.insert(sku.to_owned(), quantity);
            }
        }
        if is_own && !is_used {
            Stock::Reserved
        } else {
            Stock::ByStaff
        }
    }

    /// What a new charge is; `is_own`: fulfilment made it, and not staff.
    pub(super) fn charged(&mut self, paid: &PaymentProcessed, is_own: bool) -> PaymentStage {
        if !is_own {
            return PaymentStage::Foreign;
        }
        let charge = Charge::of(paid);
        match &self.ordered {
            Some(ordered) if ordered.wants_charge(&charge) => PaymentStage::Processed,
            Some(_) => PaymentStage::Foreign,
            None => {
                self.early.charge = Some(charge);
                PaymentStage::Processed
            }
        }
    }

    /// Whether a reservation that has failed may be the order's own.
    pub(super) fn may_have_failed(&self, sku: &str, requested: u32) -> bool {
        self.ordered
            .as_ref()
            .is_none_or(|ordered| ordered.wants(sku, requested))
    }

    /// Whether a product's reservation is foreign.
    pub(super) fn is_foreign(&self, sku: &str) -> bool {
        matches!(self.stock.get(sku), Some(Stock::Foreign | Stock::ByStaff))
    }

    /// The rejection of an order whose line or payment is foreign.
    pub(super) fn rejection_of_foreign(&self, ordered: &FulfilmentOrder) -> Option<Reaction> {
        if ordered.lines.iter().any(|line| self.is_foreign(&line.sku)) {
            return Some(ordered.reject(&Reason::CannotBeReserved {
                because: OTHERWISE_RESERVED,
            }));
        }
        (self.payment == PaymentStage::Foreign).then(|| {
            ordered.reject(&Reason::CannotBeCharged {
                because: OTHERWISE_CHARGED,
            })
        })
    }

    /// The reaction to a foreign reservation: an open order that needs the product is rejected, and that
    /// releases the reservation as well; otherwise it is released at once.
    pub(super) fn after_foreign_reservation(&self, ordered: &FulfilmentOrder, sku: &str) -> Reaction {
        let rejection = (self.stage == Stage::Open && ordered.has(sku))
            .then(|| self.rejection_of_foreign(ordered))
            .flatten();
        rejection.unwrap_or_else(|| ordered.release(sku))
    }

    /// The first reactions to a new order.
    pub(super) fn begin(&self, ordered: &FulfilmentOrder) -> Vec<Reaction> {
        if let Some(rejection) = self.rejection_of_foreign(ordered) {
            return vec![rejection];
        }
        let mut reactions = self.each(&[Stock::Foreign], |sku| ordered.release(sku));
        reactions.extend(ordered.lines.iter().map(|line| ordered.reserve(line)));
        reactions.extend(self.next_step(ordered));
        reactions
    }
}
