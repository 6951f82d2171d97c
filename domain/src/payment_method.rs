//! The methods of payment that the payment provider knows, for orders, which name one, and for payments, which use it.

use crate::rejection::Violations;

/// The methods of payment, as a card processor's test mode has them.
pub const METHODS: [&str; 5] = [
    "tok_ok",
    "tok_declined",
    "tok_insufficient_funds",
    "tok_timeout",
    "tok_flaky",
];

/// Notes a violation unless `method` is one that the provider knows.
pub fn require_method(violations: &mut Violations, method: &str, field: &str) {
    violations.require(
        METHODS.contains(&method),
        field,
        format!("is one of {}", METHODS.join(", ")),
    );
}
