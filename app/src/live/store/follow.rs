//! The browser's half of the store: subscribes from the token of the server's answer, and folds the arriving
//! frames into the signal while the page is open.

use std::rc::Rc;

use domain::wire::ServerFrame;
use leptos::prelude::*;

use super::Live;
use crate::{
    api,
    backend::ListingQuery,
    erased_effects::{effect, spawn},
    live::{
        document::DocumentFold,
        listing::ListingFold,
        progress::Progress,
        protocol::{Link, ResumePoint, Target},
        socket::now,
    },
};

/// The number of requests for a next page that is older than the rows shown.
const ATTEMPTS: usize = 3;

/// Opens one subscription; `lost` is called whenever there is no connection.
fn subscribe(
    target: Target,
    resume_point: Option<ResumePoint>,
    listener: impl Fn(ServerFrame) + 'static,
    lost: impl Fn() + 'static,
) {
    let Some(live) = use_context::<Live>() else { return };
    effect(move || {
        if live.link.get() != Link::Live {
            lost();
        }
    });
    live.socket
        .with_value(|socket| socket.subscribe(target, resume_point, Rc::new(listener)));
}

fn resume_point(progress: &Progress) -> ResumePoint {
    ResumePoint {
        token: progress.as_of().clone(),
        generation: progress.generation(),
    }
}

/// Follows a listing from its current position on.
pub(super) fn listing(query: &ListingQuery, fold: RwSignal<ListingFold>) {
    let target = Target::Listing {
        view: query.view.clone(),
        listing: query.listing.clone(),
        group: query.group.clone(),
        order: query.order,
        limit: query.limit,
    };
    let resume_point = fold.with_untracked(|fold| resume_point(&fold.progress));
    let listener = move |frame| fold.maybe_update(|fold| fold.apply(frame, now()));
    subscribe(target, Some(resume_point), listener, move || {
        fold.maybe_update(|fold| fold.progress.lose());
    });
}

/// Follows a document from its current position on; a document that does not exist yet, from its first event
/// on.
pub(super) fn document(view: String, key: String, fold: RwSignal<DocumentFold>) {
    let resume_point = fold.with_untracked(|fold| fold.data.as_ref().map(|_| resume_point(&fold.progress)));
    let listener = move |frame| fold.maybe_update(|fold| fold.apply(frame, now()));
    subscribe(
        Target::Document { view, key },
        resume_point,
        listener,
        move || {
            fold.maybe_update(|fold| fold.progress.lose());
        },
    );
}

/// Reads a document by the API, for a subscription that has not delivered it yet.
pub(super) fn read(view: &str, key: &str, fold: RwSignal<DocumentFold>) {
    let answer = api::document(view, key);
    spawn(async move {
        // What cannot be read is left to the subscription.
        if let Ok(answer) = answer.await {
            fold.maybe_update(|fold| fold.take(answer));
        }
    });
}

/// Adds the next page to a listing. A page older than the rows shown is requested again.
pub(super) fn more(fold: RwSignal<ListingFold>, query: StoredValue<ListingQuery>, loading: RwSignal<bool>) {
    if loading.get_untracked() {
        return;
    }
    loading.set(true);
    let query = query.get_value();
    spawn(async move {
        for _ in 0..ATTEMPTS {
            let cursor = fold.with_untracked(|fold| fold.next().map(str::to_owned));
            let page = api::listing(&ListingQuery {
                cursor,
                ..query.clone()
            })
            .await;
            let Ok(page) = page else { break };
            if fold.try_update(|fold| fold.extend(page)) != Some(false) {
                break;
            }
        }
        let _ = loading.try_set(false);
    });
}
