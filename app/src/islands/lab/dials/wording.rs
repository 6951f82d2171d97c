//! The titles and explanations of boxes, dials and invariants.

use domain::wire::{CureKind, CureStep, Invariant};

use crate::{components::dial_name, language::language, text};

/// The title of a box.
pub(super) fn box_title(id: &str) -> &'static str {
    let language = language();
    match id {
        "broker" => text::lab_dials::box_broker(language),
        "projections" => text::lab_dials::box_projections(language),
        "cache" => text::lab_dials::box_cache(language),
        "payment" => text::lab_dials::box_payment(language),
        "mail" => text::lab_dials::box_mail(language),
        "live" => text::lab_dials::box_live(language),
        "clock" => text::lab_dials::box_clock(language),
        _ => text::lab_dials::box_guarantees(language),
    }
}

/// The title of a dial. Of a guarantee, its name while it is held.
pub(super) fn title(path: &str) -> String {
    let language = language();
    let held = match path {
        "guarantees.optimistic_concurrency" => text::lab_dials::optimistic_concurrency(language),
        "guarantees.duplicate_detection" => text::lab_dials::duplicate_detection(language),
        "guarantees.gap_detection" => text::lab_dials::gap_detection(language),
        "guarantees.idempotency_keys" => text::lab_dials::idempotency_keys(language),
        "guarantees.no_effects_on_replay" => text::lab_dials::quiet_replay(language),
        "guarantees.publish_after_commit" => text::lab_dials::commit_first(language),
        _ => return dial_name(path),
    };
    held.to_owned()
}

/// One line about a dial.
pub(super) fn explanation(path: &str) -> &'static str {
    let language = language();
    // A projection's dial is explained without the name of its view.
    let (first, last) = (path.split('.').next(), path.rsplit('.').next());
    match (first.unwrap_or_default(), last.unwrap_or_default()) {
        ("broker", "paused") => text::lab_dials::why_broker_paused(language),
        ("broker", "delay_ms") => text::lab_dials::why_broker_delay(language),
        ("broker", "jitter_ms") => text::lab_dials::why_broker_jitter(language),
        ("broker", "duplicate") => text::lab_dials::why_broker_duplicates(language),
        ("broker", "reorder_within") => text::lab_dials::why_broker_reordering(language),
        ("broker", _) => text::lab_dials::why_broker_lost(language),
        ("projections", "paused") => text::lab_dials::why_view_paused(language),
        ("projections", "slow_ms") => text::lab_dials::why_view_slow(language),
        ("projections", "fail") => text::lab_dials::why_view_failing(language),
        ("projections", _) => text::lab_dials::why_view_poison(language),
        ("cache", "off") => text::lab_dials::why_cache_off(language),
        ("cache", "ttl_ms") => text::lab_dials::why_cache_time_to_live(language),
        ("cache", _) => text::lab_dials::why_cache_skip(language),
        ("payment", "mode") => text::lab_dials::why_payment_mode(language),
        ("payment", "delay_ms") => text::lab_dials::why_payment_slow(language),
        ("payment", _) => text::lab_dials::why_payment_failing(language),
        ("mail", "away") => text::lab_dials::why_mail_away(language),
        ("mail", _) => text::lab_dials::why_mail_failing(language),
        ("live", "cut") => text::lab_dials::why_live_cut(language),
        ("live", "delay_ms") => text::lab_dials::why_live_slow(language),
        ("live", _) => text::lab_dials::why_live_lost(language),
        ("clock", _) => text::lab_dials::why_clock_frozen(language),
        (_, "optimistic_concurrency") => text::lab_dials::why_optimistic_concurrency(language),
        (_, "duplicate_detection") => text::lab_dials::why_duplicate_detection(language),
        (_, "gap_detection") => text::lab_dials::why_gap_detection(language),
        (_, "idempotency_keys") => text::lab_dials::why_idempotency_keys(language),
        (_, "no_effects_on_replay") => text::lab_dials::why_quiet_replay(language),
        (_, _) => text::lab_dials::why_commit_first(language),
    }
}

/// What protects the rest while a guarantee is taken away.
pub(super) fn protection(path: &str) -> &'static str {
    let language = language();
    match path.rsplit('.').next().unwrap_or_default() {
        "optimistic_concurrency" => text::lab_dials::protects_optimistic_concurrency(language),
        "duplicate_detection" => text::lab_dials::protects_duplicate_detection(language),
        "gap_detection" => text::lab_dials::protects_gap_detection(language),
        "idempotency_keys" => text::lab_dials::protects_idempotency_keys(language),
        "no_effects_on_replay" => text::lab_dials::protects_quiet_replay(language),
        _ => text::lab_dials::protects_commit_first(language),
    }
}

/// What an invariant says.
pub(crate) fn invariant(invariant: Invariant) -> &'static str {
    let language = language();
    match invariant {
        Invariant::StockNotNegative => text::lab_dials::light_stock(language),
        Invariant::ReservedPlusAvailable => text::lab_dials::light_sum(language),
        Invariant::ViewEqualsFold => text::lab_dials::light_fold(language),
        Invariant::ChargedOnce => text::lab_dials::light_charged(language),
        Invariant::MailedOnce => text::lab_dials::light_mailed(language),
        Invariant::NothingLost => text::lab_dials::light_lost(language),
        Invariant::NoGap => text::lab_dials::light_gap(language),
        Invariant::OneKeyOneEffect => text::lab_dials::light_key(language),
    }
}

/// A step of a cure.
pub(super) fn cure_step(step: &CureStep) -> String {
    let language = language();
    match step.kind {
        CureKind::PutGuaranteeBack => text::lab_dials::cure_guarantee(language, title(&step.of)),
        CureKind::RestDial => text::lab_dials::cure_dial(language, dial_name(&step.of)),
        CureKind::Rebuild => text::lab_dials::cure_rebuild(language, &step.of),
        CureKind::Acknowledge => text::lab_dials::cure_acknowledge(language).to_owned(),
    }
}
