//! `payment-<order id>`: what is charged for an order, and given back.
//!
//! The rules are here and the money is not: a decision sees the payment provider's answer, and
//! [`PaymentState::provider_request`] says what the provider is asked for before. One charge an order, however often a
//! command is redelivered; a refund needs a charge.

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

/// The rule behind a refusal to decide without the provider's answer: the command's handler asks, and decides again.
pub const NOT_ASKED: &str = "payment-not-asked";

/// Charges for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessPayment {
    /// The order's id, which is also the stream's.
    pub order: String,
    /// How much; positive.
    pub amount: Money,
    /// One of [`METHODS`].
    pub method: String,
    /// The payer; the sender of the command where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Uuid>,
}

/// Gives back what was charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefundPayment {
    /// Why; 1 to [`MAX_REASON`] characters.
    pub reason: String,
}

command_types! {
    /// What a payment can be told.
    pub enum PaymentCommand { ProcessPayment, RefundPayment }
}

/// The money is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PaymentProcessed {
    /// The order's id.
    pub order: String,
    /// Who paid.
    pub customer: Uuid,
    /// How much.
    pub amount: Money,
    /// How.
    pub method: String,
    /// The provider's name for the charge.
    pub charge: String,
}

/// The provider refused to charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PaymentFailed {
    /// The order's id.
    pub order: String,
    /// Who would have paid.
    pub customer: Uuid,
    /// How much.
    pub amount: Money,
    /// How.
    pub method: String,
    /// Why not, as the provider says it.
    pub reason: String,
}

/// The money went back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PaymentRefunded {
    /// The order's id.
    pub order: String,
    /// Who got it back.
    pub customer: Uuid,
    /// How much.
    pub amount: Money,
    /// Why.
    pub reason: String,
}

event_types! {
    /// What can have happened to a payment.
    pub enum PaymentEvent {
        PaymentProcessed: 1,
        PaymentFailed: 1,
        PaymentRefunded: 1,
    }
}

/// What decisions about a payment need to know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum PaymentState {
    /// Nothing was charged or refused yet.
    #[default]
    Open,
    /// Charged.
    Processed {
        /// For whom.
        customer: Uuid,
        /// How much.
        amount: Money,
        /// The provider's name for it.
        charge: String,
    },
    /// Refused.
    Failed,
    /// Charged and given back.
    Refunded,
}

impl PaymentState {
    /// What the provider has to be asked for before `command` can be decided in this state. `None`: the command can be
    /// decided without an answer, also where it breaks a rule.
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

/// The payment aggregate. Its decisions see the provider's answer, where one was asked for.
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
                    // One charge an order, and one refusal.
                    _ => Ok(Vec::new()),
                }
            }
            PaymentCommand::RefundPayment(RefundPayment { reason }) => {
                require_reason(&reason)?;
                match state {
                    PaymentState::Processed { customer, amount, .. } => {
                        give_back(*customer, amount, reason, context)
                    }
                    PaymentState::Refunded => Ok(Vec::new()),
                    PaymentState::Open | PaymentState::Failed => Err(Rejection::new(
                        "nothing-to-refund",
                        "nothing was charged for this order, so nothing can be given back",
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

fn give_back(
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
    violations.require(payment.amount.amount > 0, "data.amount.amount", "is positive");
    violations.require(
        payment.amount.has_currency(),
        "data.amount.currency",
        "is an ISO 4217 code, as in EUR",
    );
    require_method(&mut violations, &payment.method, "data.method");
    violations.finish()
}

fn require_reason(reason: &str) -> Result<(), Rejection> {
    let mut violations = Violations::default();
    violations.require_text(reason, MAX_REASON, "data.reason");
    violations.finish()
}

fn not_asked() -> Rejection {
    Rejection::new(NOT_ASKED, "the payment provider was not asked yet")
}

#[cfg(test)]
mod tests;
