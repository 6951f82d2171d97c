//! Live projections as signals. An island begins with what the server rendered; in the browser the tab's one socket
//! continues it from its token, so the first paint and the first change agree.
//!
//! Documents stay JSON in here and are typed where a component reads them: the code that follows changes exists once,
//! and not once for every type of document.

use std::marker::PhantomData;

use domain::wire::{DocumentAnswer, ListingAnswer};
use leptos::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{document::DocumentFold, listing::ListingFold, progress::Progress, protocol::Link};
use crate::backend::ListingQuery;

#[cfg(not(feature = "ssr"))]
mod follow;

/// The tab's live connection, by context.
#[derive(Clone, Copy)]
pub struct Live {
    /// How the connection is.
    pub link: RwSignal<Link>,
    /// Whether somebody wanted to go to another page while there was no network.
    pub held: RwSignal<bool>,
    #[cfg(not(feature = "ssr"))]
    socket: StoredValue<super::socket::Socket, LocalStorage>,
}

/// Gives the islands their live connection, and connects where there is a workspace to follow.
#[cfg(not(feature = "ssr"))]
pub fn provide_live(connects: bool) {
    let link = RwSignal::new(Link::Idle);
    let socket = super::socket::Socket::new(move |now| link.set(now));
    if connects {
        let socket = socket.clone();
        // When the islands have hydrated: connecting changes what they show.
        crate::boxed::effect(move || socket.start());
    }
    let socket = StoredValue::new_local(socket);
    let held = RwSignal::new(false);
    hold_while_offline(link, held);
    provide_context(Live { link, held, socket });
}

/// Without a network another page cannot be loaded, and this one, which goes on by itself, would be lost: so it stays.
#[cfg(not(feature = "ssr"))]
fn hold_while_offline(link: RwSignal<Link>, held: RwSignal<bool>) {
    use leptos::web_sys::Element;
    use wasm_bindgen::JsCast;

    // Until the page is left.
    std::mem::forget(window_event_listener(leptos::ev::click, move |event| {
        let element = event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok());
        let leaves =
            element.is_some_and(|element| element.closest("a[href^='/']").is_ok_and(|link| link.is_some()));
        if leaves && link.get_untracked() == Link::Offline {
            event.prevent_default();
            held.set(true);
        }
    }));
}

/// The page's live connection; idle on the server.
pub fn use_link() -> RwSignal<Link> {
    use_context::<Live>().map_or_else(|| RwSignal::new(Link::Idle), |live| live.link)
}

/// Whether the page is being held because there is no network.
pub fn use_held() -> Signal<bool> {
    use_context::<Live>().map_or_else(
        || Signal::stored(false),
        |live| Signal::derive(move || live.held.get() && live.link.get() == Link::Offline),
    )
}

/// A document as a component sees it: typed, and how often it has changed while it was watched.
pub type Shown<D> = Option<(D, u32)>;

/// A document read from JSON; `None` where it is of another shape.
pub(crate) fn typed<D: DeserializeOwned>(data: &Value) -> Option<D> {
    D::deserialize(data).ok()
}

/// What a live listing begins with: the question, and its first answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Which listing.
    pub query: ListingQuery,
    /// Its first page.
    pub answer: ListingAnswer,
}

/// What a live document begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The view.
    pub view: String,
    /// The document's key.
    pub key: String,
    /// The document; absent where there is none yet: it may begin while it is watched.
    pub answer: Option<DocumentAnswer>,
}

/// A live listing of documents `D`.
pub struct LiveListing<D> {
    pub(super) fold: RwSignal<ListingFold>,
    #[cfg(not(feature = "ssr"))]
    query: StoredValue<ListingQuery>,
    loading_more: RwSignal<bool>,
    document: PhantomData<fn() -> D>,
}

impl<D> Clone for LiveListing<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for LiveListing<D> {}

impl<D: 'static> LiveListing<D> {
    /// Follows a listing from its first answer on.
    pub fn new(listed: Listed) -> Self {
        let Listed { query, answer } = listed;
        let fold = RwSignal::new(ListingFold::new(query.order, answer));
        #[cfg(not(feature = "ssr"))]
        follow::listing(&query, fold);
        Self {
            fold,
            #[cfg(not(feature = "ssr"))]
            query: StoredValue::new(query),
            loading_more: RwSignal::new(false),
            document: PhantomData,
        }
    }

    /// The same listing, for those who do not read its documents.
    pub fn untyped(self) -> LiveListing<Value> {
        LiveListing {
            fold: self.fold,
            #[cfg(not(feature = "ssr"))]
            query: self.query,
            loading_more: self.loading_more,
            document: PhantomData,
        }
    }

    /// The keys of the rows, in order.
    pub fn keys(self) -> Vec<String> {
        self.fold
            .with(|fold| fold.rows().iter().map(|row| row.key.clone()).collect())
    }

    /// Whether there is no row.
    pub fn is_empty(self) -> bool {
        self.fold.with(|fold| fold.rows().is_empty())
    }

    /// How far it has come.
    pub fn progress(self) -> Signal<Progress> {
        let fold = self.fold;
        Signal::derive(move || fold.with(|fold| fold.progress.clone()))
    }

    /// Whether there are more rows than are shown.
    pub fn has_more(self) -> bool {
        self.fold.with(|fold| fold.next().is_some())
    }

    /// Whether more rows are on their way.
    pub fn is_loading_more(self) -> bool {
        self.loading_more.get()
    }

    /// Fetches the next page.
    pub fn more(self) {
        #[cfg(not(feature = "ssr"))]
        follow::more(self.fold, self.query, self.loading_more);
    }
}

impl<D: DeserializeOwned + Clone + PartialEq + Send + Sync + 'static> LiveListing<D> {
    /// The document of a row, for as long as it is in the listing.
    pub fn row(self, key: String) -> Memo<Shown<D>> {
        let fold = self.fold;
        Memo::new(move |_| {
            fold.with(|fold| {
                let row = fold.row(&key)?;
                Some((typed(&row.data)?, row.revision))
            })
        })
    }

    /// Every document, in order.
    pub fn documents(self) -> Vec<D> {
        self.fold
            .with(|fold| fold.rows().iter().filter_map(|row| typed(&row.data)).collect())
    }
}

/// A live document `D`.
pub struct LiveDocument<D> {
    pub(super) fold: RwSignal<DocumentFold>,
    document: PhantomData<fn() -> D>,
}

impl<D> Clone for LiveDocument<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for LiveDocument<D> {}

impl<D> LiveDocument<D> {
    /// Follows a document from its first answer on.
    pub fn new(found: Found) -> Self {
        let Found { view, key, answer } = found;
        let first = match answer {
            Some(answer) => {
                DocumentFold::new(Some(answer.data), answer.as_of, answer.generation, answer.behind)
            }
            None => DocumentFold::absent(),
        };
        let fold = RwSignal::new(first);
        #[cfg(not(feature = "ssr"))]
        follow::document(view, key, fold);
        #[cfg(feature = "ssr")]
        drop((view, key));
        Self {
            fold,
            document: PhantomData,
        }
    }

    /// How far it has come.
    pub fn progress(self) -> Signal<Progress> {
        let fold = self.fold;
        Signal::derive(move || fold.with(|fold| fold.progress.clone()))
    }
}

impl<D: DeserializeOwned + Clone + PartialEq + Send + Sync + 'static> LiveDocument<D> {
    /// The document, while there is one.
    pub fn shown(self) -> Memo<Shown<D>> {
        let fold = self.fold;
        Memo::new(move |_| fold.with(|fold| Some((typed(fold.data.as_ref()?)?, fold.revision))))
    }
}
