//! The browser's half of the store: subscribes from the token of an answer, folds what arrives into its signal, and
//! ends the subscription with the component that asked for it.

use std::rc::Rc;

use domain::wire::ServerFrame;
use leptos::{prelude::*, task::spawn_local};

use super::Live;
use crate::{
    api::{self, Found, Listed},
    backend::ListingQuery,
    live::{
        document::DocumentFold,
        listing::ListingFold,
        protocol::{Link, Seen, Target},
        socket::{Listener, Socket, now},
    },
};

/// How often a page that is older than what is shown is asked for again.
const TRIES: usize = 3;

/// Ends its subscription when it is dropped.
struct Following {
    socket: Socket,
    subscription: u64,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.socket.unsubscribe(self.subscription);
    }
}

/// Keeps one subscription: `wanted` says of what, and ends the one before when it says something else; `lost` hears when
/// the connection is not there.
fn keep(
    wanted: impl Fn() -> Option<(Target, Option<Seen>)> + 'static,
    listener: impl Fn(ServerFrame) + 'static,
    lost: impl Fn() + 'static,
) {
    let Some(live) = use_context::<Live>() else { return };
    Effect::new(move || {
        if live.link.get() != Link::Live {
            lost();
        }
    });
    let listener: Listener = Rc::new(listener);
    let following: StoredValue<Option<Following>, LocalStorage> = StoredValue::new_local(None);
    Effect::new(move || {
        let wanted = wanted();
        following.set_value(None);
        if let Some((target, seen)) = wanted {
            let socket = live.socket.get_value();
            let subscription = socket.subscribe(target, seen, listener.clone());
            following.set_value(Some(Following { socket, subscription }));
        }
    });
    on_cleanup(move || {
        following.try_update_value(Option::take);
    });
}

/// Follows a listing from its answer on.
pub(super) fn listing(answer: Resource<Listed>, fold: RwSignal<Option<ListingFold>>) {
    let wanted = move || {
        let (query, answer) = answer.get()?;
        let answer = answer.ok()?;
        let ListingQuery {
            view,
            listing,
            group,
            order,
            limit,
            cursor: _,
        } = query;
        let seen = Seen {
            token: answer.as_of,
            generation: answer.generation,
        };
        Some((
            Target::Listing {
                view,
                listing,
                group,
                order,
                limit,
            },
            Some(seen),
        ))
    };
    let listener = move |frame| {
        fold.maybe_update(|fold| fold.as_mut().is_some_and(|fold| fold.apply(frame, now())));
    };
    keep(wanted, listener, move || {
        fold.maybe_update(|fold| fold.as_mut().is_some_and(|fold| fold.progress.lose()));
    });
}

/// Follows a document from its answer on; one that is not there is followed from its beginning.
pub(super) fn document(view: &'static str, answer: Resource<Found>, fold: RwSignal<Option<DocumentFold>>) {
    let wanted = move || {
        let (key, answer) = answer.get()?;
        let seen = match answer {
            Ok(answer) => Some(Seen {
                token: answer.as_of,
                generation: answer.generation,
            }),
            Err(problem) if problem.status == 404 => None,
            Err(_) => return None,
        };
        Some((
            Target::Document {
                view: view.to_owned(),
                key,
            },
            seen,
        ))
    };
    let listener = move |frame| {
        fold.maybe_update(|fold| fold.as_mut().is_some_and(|fold| fold.apply(frame, now())));
    };
    keep(wanted, listener, move || {
        fold.maybe_update(|fold| fold.as_mut().is_some_and(|fold| fold.progress.lose()));
    });
}

/// Adds the next page to a listing. A page that is older than what is shown by now is asked for again.
pub(super) fn more(
    fold: RwSignal<Option<ListingFold>>,
    adopted: StoredValue<Option<(ListingQuery, String)>>,
    loading: RwSignal<bool>,
) {
    let Some((query, _)) = adopted.get_value().filter(|_| !loading.get_untracked()) else {
        return;
    };
    loading.set(true);
    spawn_local(async move {
        for _ in 0..TRIES {
            let cursor =
                fold.with_untracked(|fold| fold.as_ref().and_then(|fold| fold.next().map(str::to_owned)));
            let (_, page) = api::listing(ListingQuery {
                cursor,
                ..query.clone()
            })
            .await;
            let Ok(page) = page else { break };
            let added = fold.try_update(|fold| fold.as_mut().is_none_or(|fold| fold.extend(page)));
            if added != Some(false) {
                break;
            }
        }
        let _ = loading.try_set(false);
    });
}
