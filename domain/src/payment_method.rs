//! The payment methods of the payment provider, for orders and payments.

use crate::rejection::Violations;

/// The payment methods, modelled on the test mode of a card processor.
pub const METHODS: [&str; 5] = [
    "tok_ok",
    "tok_declined",
    "tok_insufficient_funds",
    "tok_timeout",
    "tok_flaky",
];

/// Records a violation unless `method` is a payment method of the provider.
pub fn require_method(violations: &mut Violations, method: &str, field: &str) {
    violations.require(
        METHODS.contains(&method),
        field,
        format!("is one of {}", METHODS.join(", ")),
    );
}
