//! The browser's half of the store: subscribes from where the server's answer ends, and folds what arrives into its
//! signal, for as long as the page is open.

use std::rc::Rc;

use domain::wire::ServerFrame;
use leptos::prelude::*;

use super::Live;
use crate::{
    api,
    backend::ListingQuery,
    boxed::{effect, spawn},
    live::{
        document::DocumentFold,
        listing::ListingFold,
        progress::Progress,
        protocol::{Link, Seen, Target},
        socket::now,
    },
};

/// How often a page that is older than what is shown is asked for again.
const TRIES: usize = 3;

/// Keeps one subscription; `lost` hears when the connection is not there.
fn keep(
    target: Target,
    seen: Option<Seen>,
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
        .with_value(|socket| socket.subscribe(target, seen, Rc::new(listener)));
}

fn seen(progress: &Progress) -> Seen {
    Seen {
        token: progress.as_of().clone(),
        generation: progress.generation(),
    }
}

/// Follows a listing from what is shown on.
pub(super) fn listing(query: &ListingQuery, fold: RwSignal<ListingFold>) {
    let target = Target::Listing {
        view: query.view.clone(),
        listing: query.listing.clone(),
        group: query.group.clone(),
        order: query.order,
        limit: query.limit,
    };
    let seen = fold.with_untracked(|fold| seen(&fold.progress));
    let listener = move |frame| fold.maybe_update(|fold| fold.apply(frame, now()));
    keep(target, Some(seen), listener, move || {
        fold.maybe_update(|fold| fold.progress.lose());
    });
}

/// Follows a document from what is shown on; one that is not there is followed from its beginning.
pub(super) fn document(view: String, key: String, fold: RwSignal<DocumentFold>) {
    let seen = fold.with_untracked(|fold| fold.data.as_ref().map(|_| seen(&fold.progress)));
    let listener = move |frame| fold.maybe_update(|fold| fold.apply(frame, now()));
    keep(Target::Document { view, key }, seen, listener, move || {
        fold.maybe_update(|fold| fold.progress.lose());
    });
}

/// Adds the next page to a listing. A page that is older than what is shown by now is asked for again.
pub(super) fn more(fold: RwSignal<ListingFold>, query: StoredValue<ListingQuery>, loading: RwSignal<bool>) {
    if loading.get_untracked() {
        return;
    }
    loading.set(true);
    let query = query.get_value();
    spawn(async move {
        for _ in 0..TRIES {
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
