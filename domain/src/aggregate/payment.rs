//! `payment-<order id>`: the charge for an order, and its refund.
//!
//! The domain has the rules, and the payment provider moves the money: a decision sees the provider's answer,
//! and [`PaymentState::provider_request`] names the request to make before. An order is charged once, however
//! often a command is redelivered; a refund requires a charge.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    aggregate::order::MAX_REASON,
    command_types,
    decider::{Context, Decider},
    event_types,
    id::{StreamName, category},
    money::Money,
    payment_method::require_method,
    rejection::{Rejection, Violations},
};

mod provider;

pub use crate::payment_method::METHODS;
pub use provider::{ProviderAnswer, ProviderRequest};

/// The rule of a rejection for want of the provider's answer: the command's handler asks the provider and
/// decides again.
pub const NOT_ASKED: &str = "payment-not-asked";

/// Charges the customer of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProcessPayment {
    /// The order's id, which is also the stream's.
    pub order: String,
    /// The amount; positive.
    pub amount: Money,
    /// One of [`METHODS`].
    pub method: String,
    /// The payer; by default, the sender of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Uuid>,
}

/// Refunds the charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundPayment {
    /// The reason; 1 to [`MAX_REASON`] characters.
    pub reason: String,
}

command_types! {
    /// The commands of a payment.
    pub enum PaymentCommand { ProcessPayment, RefundPayment }
}

/// The charge was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PaymentProcessed {
    /// The order's id.
    pub order: String,
    /// The payer.
    pub customer: Uuid,
    /// The amount.
    pub amount: Money,
    /// The payment method.
    pub method: String,
    /// The provider's id of the charge.
    pub charge: String,
}

/// The provider declined the charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PaymentFailed {
    /// The order's id.
    pub order: String,
    /// The payer.
    pub customer: Uuid,
    /// The amount.
    pub amount: Money,
    /// The payment method.
    pub method: String,
    /// The provider's reason.
    pub reason: String,
}

/// The charge was refunded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PaymentRefunded {
    /// The order's id.
    pub order: String,
    /// The payer.
    pub customer: Uuid,
    /// The amount.
    pub amount: Money,
    /// The reason.
    pub reason: String,
}

event_types! {
    /// The events of a payment.
    pub enum PaymentEvent {
        PaymentProcessed: 1,
        PaymentFailed: 1,
        PaymentRefunded: 1,
    }
}

/// The state for decisions about a payment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum PaymentState {
    /// Neither charged nor declined yet.
    #[default]
    Open,
    /// Charged.
    Processed {
        /// The payer.
        customer: Uuid,
        /// The amount.
        amount: Money,
        /// The provider's id of the charge.
        charge: String,
    },
    /// Declined.
    Failed,
    /// Charged and refunded.
    Refunded,
}

impl PaymentState {
    /// The request to the provider that `command` needs before it can be decided in this state. `None` if no
    /// answer is needed, including a command that breaks a rule.
    pub fn provider_request(&self, command: &PaymentCommand, stream: &StreamName) -> Option<ProviderRequest> {
        match (command, self) {
            (PaymentCommand::ProcessPayment(payment), Self::Open) => {
                check(payment, stream).is_ok().then(|| ProviderRequest::Charge {
                    amount: payment.amount.clone(),
                    method: payment.method.clone(),
                })
            }
            (PaymentCommand::RefundPayment(refund), Self::Processed { amount, charge, .. }) => {
                require_reason(&refund.reason)
                    .is_ok()
                    .then(|| ProviderRequest::Refund {
                        charge: charge.clone(),
                        amount: amount.clone(),
                    })
            }
            _ => None,
        }
    }
}

/// The payment aggregate. Its decisions see the provider's answer, if there is one.
#[derive(Debug)]
pub struct Payment;

type PaymentContext = Context<Option<ProviderAnswer>>;

impl Decider for Payment {
    const CATEGORY: &'static str = category::PAYMENT;
    const SNAPSHOT_VERSION: u32 = 1;
    type State = PaymentState;
    type Command = PaymentCommand;
    type Event = PaymentEvent;
    type Evidence = Option<ProviderAnswer>;

    fn decide(
        state: &PaymentState,
        command: PaymentCommand,
        context: &PaymentContext,
    ) -> Result<Vec<PaymentEvent>, Rejection> {
        match command {
            PaymentCommand::ProcessPayment(payment) => {
                check(&payment, &context.stream)?;
                match state {
                    PaymentState::Open => process(payment, context),
                    // An order is charged or declined once.
                    _ => Ok(Vec::new()),
                }
            }
            PaymentCommand::RefundPayment(RefundPayment { reason }) => {
                require_reason(&reason)?;
                match state {
                    PaymentState::Processed { customer, amount, .. } => {
                        refund(*customer, amount, reason, context)
                    }
                    PaymentState::Refunded => Ok(Vec::new()),
                    PaymentState::Open | PaymentState::Failed => Err(Rejection::new(
                        "nothing-to-refund",
                        "nothing was charged for this order, so nothing can be refunded",
                    )),
                }
            }
        }
    }

    fn evolve(state: PaymentState, event: &PaymentEvent) -> PaymentState {
        match event {
            PaymentEvent::PaymentProcessed(paid) => PaymentState::Processed {
                customer: paid.customer,
                amount: paid.amount.clone(),
                charge: paid.charge.clone(),
            },
            PaymentEvent::PaymentFailed(_) => match state {
                PaymentState::Open => PaymentState::Failed,
                state => state,
            },
            PaymentEvent::PaymentRefunded(_) => PaymentState::Refunded,
        }
    }
}

fn process(payment: ProcessPayment, context: &PaymentContext) -> Result<Vec<PaymentEvent>, Rejection> {
    let ProcessPayment {
        order,
        amount,
        method,
        customer,
    } = payment;
    let customer = customer.unwrap_or(context.actor.id);
    match &context.evidence {
        Some(ProviderAnswer::Charged { charge }) => Ok(vec![
            PaymentProcessed {
                order,
                customer,
                amount,
                method,
                charge: charge.clone(),
            }
            .into(),
        ]),
        Some(ProviderAnswer::Refused { reason }) => Ok(vec![
            PaymentFailed {
                order,
                customer,
                amount,
                method,
                reason: reason.clone(),
            }
            .into(),
        ]),
        Some(ProviderAnswer::Refunded) | None => Err(not_asked()),
    }
}

fn refund(
    customer: Uuid,
    amount: &Money,
    reason: String,
    context: &PaymentContext,
) -> Result<Vec<PaymentEvent>, Rejection> {
    match &context.evidence {
        Some(ProviderAnswer::Refunded) => Ok(vec![
            PaymentRefunded {
                order: context.stream.id().to_owned(),
                customer,
                amount: amount.clone(),
                reason,
            }
            .into(),
        ]),
        Some(ProviderAnswer::Refused { reason }) => Err(Rejection::new("refund-refused", reason)),
        Some(ProviderAnswer::Charged { .. }) | None => Err(not_asked()),
    }
}

fn check(payment: &ProcessPayment, stream: &StreamName) -> Result<(), Rejection> {
    let mut violations = Violations::default();
    violations.require(
        payment.order == stream.id(),
        "data.order",
        format!("is {}, as the stream says", stream.id()),
    );
    violations.require_name_in_urls(stream);
    violations.require(payment.amount.amount > 0, "data.amount.amount", "is positive");
    violations.require(
        payment.amount.has_currency(),
        "data.amount.currency",
        "is three upper-case letters, as in EUR",
    );
    require_method(&mut violations, &payment.method, "data.method");
    violations.finish()
}

fn require_reason(reason: &str) -> Result<(), Rejection> {
    let mut violations = Violations::default();
    violations.require_prose(reason, MAX_REASON, "data.reason");
    violations.finish()
}

fn not_asked() -> Rejection {
    Rejection::new(NOT_ASKED, "the payment provider was not asked yet")
}

#[cfg(test)]
mod tests;
