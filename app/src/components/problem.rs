//! Problems, worded for people: a sentence, and the summary of a refused form, which takes the focus.
//!
//! The server words its problems in English, for developers. The interface shows none of those sentences: it
//! words a problem by its type, a rejection by its rule, and an invalid field by its name, in the page's
//! language.

use domain::{
    aggregate::{inventory, order, product, question, user},
    language::Language,
    rejection::{Rejection, Violation},
    wire::Problem,
};
use leptos::{html, prelude::*};

use super::{Icon, Picture, badge::status_word, only_if, text};
use crate::{erase::Erase, erased_effects::effect, format::fixed_money, language::language, text};

/// The kind of a problem that is a rejection by the domain's rules.
const REJECTED: &str = "rejected";
/// The kind of a problem with a request that cannot be read.
const MALFORMED: &str = "malformed";

/// A sentence about a problem.
pub(crate) fn explain(problem: &Problem) -> String {
    let language = language();
    let kind = problem.kind.trim_start_matches("/problems/");
    match (kind, problem.violations.as_slice()) {
        (REJECTED, violations) => {
            let rule = problem.rule.as_deref().unwrap_or_default();
            refusal(language, rule, &problem.detail, violations)
        }
        (MALFORMED, [_, ..]) => {
            let fields: Vec<_> = problem
                .violations
                .iter()
                .map(|violation| violation.field.as_str())
                .collect();
            text::problem::malformed_fields(language, fields.join(", "))
        }
        _ => problem_text(language, kind)
            .unwrap_or_else(|| status_text(language, problem.status))
            .to_owned(),
    }
}

/// The problem that the server would answer with for a rejection, which the browser has predicted.
pub(crate) fn predicted_problem(rejection: Rejection) -> Problem {
    Problem {
        kind: ["/problems/", REJECTED].concat(),
        title: String::new(),
        status: 422,
        detail: rejection.detail,
        violations: rejection.violations,
        current_version: None,
        rule: Some(rejection.rule),
        waiting_for: Vec::new(),
        workspace: None,
    }
}

/// A sentence about a rejection that the browser has predicted.
pub(crate) fn explain_rejection(rejection: &Rejection) -> String {
    refusal(
        language(),
        &rejection.rule,
        &rejection.detail,
        &rejection.violations,
    )
}

/// The text for a type of problem, by the last part of its name; `None` for an unknown one.
pub(crate) fn problem_text(language: Language, kind: &str) -> Option<&'static str> {
    Some(match kind {
        MALFORMED | "method-not-allowed" | "unsupported-media-type" | "precondition-required" => {
            text::problem::malformed(language)
        }
        "unauthenticated" | "wrong-credentials" => text::problem::session_over(language),
        "forbidden" => text::problem::forbidden(language),
        "foreign-origin" => text::problem::foreign_origin(language),
        "not-found" => text::problem::not_found(language),
        "run-ended" => text::problem::run_ended(language),
        "conflict" | "precondition-failed" | "out-of-turn" => text::problem::conflict(language),
        "busy" => text::problem::busy(language),
        "too-large" => text::problem::too_large(language),
        REJECTED => text::problem::rejected(language),
        "rate-limited" => text::problem::too_many(language),
        "quota-exceeded" => text::problem::full(language),
        "workspace-gone" => text::problem::workspace_gone(language),
        "workspace-moved" => text::problem::workspace_moved(language),
        "internal" => text::problem::internal(language),
        "unavailable" => text::problem::unavailable(language),
        "timed-out" => text::problem::timed_out(language),
        _ => return None,
    })
}

/// The text for a problem of an unknown type: the browser's own, or that of a proxy.
fn status_text(language: Language, status: u16) -> &'static str {
    match status {
        0 => text::problem::unreachable(language),
        401 => text::problem::session_over(language),
        403 => text::problem::forbidden(language),
        404 => text::problem::not_found(language),
        429 => text::problem::too_many(language),
        400..=499 => text::problem::rejected(language),
        _ => text::problem::unavailable(language),
    }
}

/// The text for a rule that rejects a command.
fn refusal(language: Language, rule: &str, detail: &str, violations: &[Violation]) -> String {
    let text = match rule {
        "order-not-found" => text::refusal::order_not_found(language),
        "order-already-placed" => text::refusal::order_already_placed(language),
        "not-your-order" => text::refusal::not_your_order(language),
        order::OUT_OF_TURN => {
            let status = order::status_of_rejection(detail).map(|status| status_word(language, status));
            return text::refusal::order_out_of_turn(language, status.unwrap_or_default());
        }
        order::NOT_RESERVED => text::refusal::order_not_reserved(language),
        order::NOT_PAID => text::refusal::order_not_paid(language),
        "user-erased" => text::refusal::user_erased(language),
        "not-your-account" => text::refusal::not_your_account(language),
        "user-already-registered" => text::refusal::user_already_registered(language),
        "user-not-found" => text::refusal::user_not_found(language),
        "wrong-password" => text::refusal::wrong_password(language),
        "email-taken" => text::refusal::email_taken(language),
        "product-already-listed" => text::refusal::product_already_listed(language),
        "product-retired" => text::refusal::product_retired(language),
        product::PRICE_CHANGED => {
            let price = product::price_of_rejection(detail).map(|price| fixed_money(&price));
            return text::refusal::price_changed(language, price.unwrap_or_default());
        }
        "product-not-listed" => text::refusal::product_not_listed(language),
        "not-your-inbox" => text::refusal::not_your_inbox(language),
        "nothing-to-refund" => text::refusal::nothing_to_refund(language),
        question::NOT_ASKED => text::refusal::question_not_asked(language),
        "question-already-asked" => text::refusal::question_asked(language),
        "question-closed" => text::refusal::question_closed(language),
        "prediction-already-made" => text::refusal::prediction_made(language),
        "answer-already-revealed" => text::refusal::answer_revealed(language),
        "refund-refused" => text::refusal::refund_refused(language),
        "payment-not-asked" | "payment-under-way" => text::refusal::payment_pending(language),
        "stock-overflow" => text::refusal::stock_overflow(language),
        inventory::STOCK_OF_AN_ORDER => text::refusal::stock_of_an_order(language),
        _ if violations.is_empty() => text::problem::rejected(language),
        _ => text::refusal::invalid(language),
    };
    text.to_owned()
}

/// The text for an invalid field of a command; `rule` and `kind` are those of its problem.
pub(crate) fn explain_field(violation: &Violation, kind: &str, rule: &str) -> String {
    let language = language();
    if kind.ends_with(MALFORMED) {
        return text::invalid::unreadable(language).to_owned();
    }
    let field = violation.field.strip_prefix("data.").unwrap_or(&violation.field);
    // `lines[2].quantity` is worded as `lines.quantity`.
    let (list, rest) = field.split_once('[').unwrap_or((field, ""));
    let in_list = rest.split_once(']').map_or("", |(_, after)| after);
    match (list, in_list) {
        ("email", _) if rule == "email-taken" => text::refusal::email_taken(language).to_owned(),
        ("password", _) if rule == "wrong-password" => text::refusal::wrong_password(language).to_owned(),
        ("reason", _) => text::invalid::reason(language, order::MAX_REASON),
        ("lines", ".quantity") => text::invalid::quantity(language, order::MAX_LINE_QUANTITY),
        ("lines", ".sku") => text::invalid::on_sale(language).to_owned(),
        ("lines", "") if rest.is_empty() => text::invalid::lines(language, order::MAX_LINES),
        ("lines" | "price.currency", _) => text::invalid::currency(language).to_owned(),
        ("payment_method", _) => text::invalid::payment_method(language).to_owned(),
        ("quantity", _) => text::invalid::quantity(language, inventory::MAX_QUANTITY),
        ("sku", _) => text::invalid::sku(language).to_owned(),
        ("name", _) => text::invalid::name(language, product::MAX_NAME),
        ("description", _) => text::invalid::description(language, product::MAX_DESCRIPTION),
        ("tags", _) => text::invalid::tags(language, product::MAX_TAGS, product::MAX_TAG),
        ("price.amount", _) => text::invalid::price(language).to_owned(),
        ("email", _) => text::invalid::email(language).to_owned(),
        ("display_name", _) => text::invalid::name(language, user::MAX_DISPLAY_NAME),
        ("password", _) => text::invalid::password(language, user::MIN_PASSWORD, user::MAX_PASSWORD),
        ("role", _) => text::invalid::role(language).to_owned(),
        _ => text::invalid::other(language).to_owned(),
    }
}

/// The summary of a refused form. It takes the focus when it appears.
#[component]
pub(crate) fn ProblemSummary(#[prop(into)] message: Signal<Option<String>>) -> impl IntoView {
    let language = language();
    let node = NodeRef::<html::Div>::new();
    effect(move || {
        if message.with(Option::is_some)
            && let Some(node) = node.get()
        {
            let _ = node.focus();
        }
    });
    let summary = move || {
        view! {
            <div class="notice notice--danger" role="alert" tabindex="-1" node_ref=node>
                <Icon picture=Picture::Alert />
                <div>
                    <h2>{text::problem::refused(language)}</h2>
                    <p>{text(move || message.get().unwrap_or_default())}</p>
                </div>
            </div>
        }
        .erase()
    };
    only_if(move || message.with(Option::is_some), summary)
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    fn violation(field: &str) -> Violation {
        Violation {
            field: field.to_owned(),
            message: "a sentence of the server".to_owned(),
        }
    }

    fn problem(kind: &str, rule: Option<&str>, fields: &[&str]) -> Problem {
        Problem {
            kind: format!("/problems/{kind}"),
            title: "A title of the server".to_owned(),
            status: 422,
            detail: "a sentence of the server".to_owned(),
            violations: fields.iter().map(|field| violation(field)).collect(),
            current_version: None,
            rule: rule.map(str::to_owned),
            waiting_for: Vec::new(),
            workspace: None,
        }
    }

    #[test]
    fn no_sentence_of_the_server_is_shown() {
        let wrong_password = problem("rejected", Some("wrong-password"), &["data.password"]);
        for shown in [
            problem("rejected", Some("order-out-of-turn"), &[]),
            problem("rejected", Some("a-new-rule"), &[]),
            problem("malformed", None, &["cursor"]),
            problem("a-new-kind", None, &[]),
            wrong_password.clone(),
        ] {
            let text = explain(&shown);
            assert!(!text.is_empty() && !text.contains("of the server"), "{text}");
        }
        assert_eq!(explain(&wrong_password), "The password is incorrect.");
        assert!(explain(&problem("malformed", None, &["cursor", "limit"])).contains("cursor, limit"));
    }

    #[test]
    fn a_field_is_worded_by_its_name() {
        let text = |field: &str| explain_field(&violation(field), "/problems/rejected", "invalid-data");
        assert_eq!(
            text("data.lines[2].quantity"),
            "Enter a whole number from 1 to 999."
        );
        assert_eq!(text("data.lines"), "An order has 1 to 50 lines.");
        assert_eq!(text("data.tags[0]"), text("data.tags"));
        assert_eq!(text("data.price.amount"), "Enter a price above zero.");
        assert_eq!(text("data.unheard_of"), "This entry is not valid.");
        let taken = explain_field(&violation("data.email"), "/problems/rejected", "email-taken");
        assert!(taken.contains("uses this email"), "{taken}");
        let unreadable = explain_field(&violation("data.name"), "/problems/malformed", "");
        assert!(unreadable.contains("cannot be stored"), "{unreadable}");
    }
}
