//! The name of a test method of the payment provider.

use crate::{language::language, text};

/// The name of a payment method, in the page's language; `None` for one that the shop does not offer.
pub(crate) fn payment_method_name(token: &str) -> Option<&'static str> {
    let language = language();
    Some(match token {
        "tok_ok" => text::payment::ok(language),
        "tok_declined" => text::payment::declined(language),
        "tok_insufficient_funds" => text::payment::insufficient(language),
        "tok_timeout" => text::payment::timeout(language),
        "tok_flaky" => text::payment::flaky(language),
        _ => return None,
    })
}
