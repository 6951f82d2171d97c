//! Live projections as signals. An island starts with the server-rendered answer; in the browser, the tab's
//! one socket continues from its token, so that the first change follows the first paint without a gap.
//!
//! Documents stay JSON in this module and are typed where a component reads them, so that the code that
//! follows changes is compiled once, and not once for every type of document.

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
    /// The state of the connection.
    pub link: RwSignal<Link>,
    /// Whether a click on a link was blocked because there is no network.
    pub navigation_blocked: RwSignal<bool>,
    #[cfg(not(feature = "ssr"))]
    socket: StoredValue<super::socket::Socket, LocalStorage>,
}

/// Provides the islands with the live connection, and connects if the page belongs to a workspace.
#[cfg(not(feature = "ssr"))]
pub fn provide_live(connects: bool, read_frame: super::socket::ReadFrame) {
    let link = RwSignal::new(Link::Idle);
    let socket = super::socket::Socket::new(read_frame, move |now| link.set(now));
    if connects {
        let socket = socket.clone();
        // Only after hydration, because connecting changes what the islands show.
        crate::erased_effects::effect(move || socket.start());
    }
    let socket = StoredValue::new_local(socket);
    let navigation_blocked = RwSignal::new(false);
    block_navigation_while_offline(link, navigation_blocked);
    provide_context(Live {
        link,
        navigation_blocked,
        socket,
    });
}

/// Blocks links while there is no network: another page could not be loaded, and this one, which recovers by
/// itself, would be lost.
#[cfg(not(feature = "ssr"))]
fn block_navigation_while_offline(link: RwSignal<Link>, navigation_blocked: RwSignal<bool>) {
    use leptos::web_sys::Element;
    use wasm_bindgen::JsCast;

    // The listener lives as long as the page.
    std::mem::forget(window_event_listener(leptos::ev::click, move |event| {
        let element = event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok());
        let leaves =
            element.is_some_and(|element| element.closest("a[href^='/']").is_ok_and(|link| link.is_some()));
        if leaves && link.get_untracked() == Link::Offline {
            event.prevent_default();
            navigation_blocked.set(true);
        }
    }));
}

/// Subscribes to what the lab shows of the pipeline, while the page is open; `listener` receives the frames,
/// the server's refusal among them.
#[cfg(not(feature = "ssr"))]
pub fn follow_lab(topic: domain::wire::LabTopic, listener: impl Fn(domain::wire::ServerFrame) + 'static) {
    use super::protocol::Target;

    if let Some(live) = use_context::<Live>() {
        let listener = std::rc::Rc::new(listener);
        live.socket
            .with_value(|socket| socket.subscribe(Target::Lab(topic), None, listener));
    }
}

/// The page's live connection; idle on the server.
pub fn use_link() -> RwSignal<Link> {
    use_context::<Live>().map_or_else(|| RwSignal::new(Link::Idle), |live| live.link)
}

/// Whether a click on a link was blocked, and there is still no network.
pub fn use_navigation_blocked() -> Signal<bool> {
    use_context::<Live>().map_or_else(
        || Signal::stored(false),
        |live| Signal::derive(move || live.navigation_blocked.get() && live.link.get() == Link::Offline),
    )
}

/// A document with the number of its changes since the page was opened; `None` while there is no document.
pub type Revision<D> = Option<(D, u32)>;

/// Reads a document from JSON; `None` if it has another shape.
pub(crate) fn typed<D: DeserializeOwned>(data: &Value) -> Option<D> {
    domain::wire::from_plain(data).ok()
}

/// The first page of a live listing, with its query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InitialListing {
    /// The query.
    pub query: ListingQuery,
    /// The first page.
    pub answer: ListingAnswer,
}

/// The server's answer that a live document starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InitialDocument {
    /// The view.
    pub view: String,
    /// The document's key.
    pub key: String,
    /// The document; `None` if there is none yet. It may appear while the page is open.
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
    /// Follows a listing from its first page on.
    pub fn new(initial: InitialListing) -> Self {
        let InitialListing { query, answer } = initial;
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

    /// The same listing, for components that do not read its documents.
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

    /// Whether the listing has no rows.
    pub fn is_empty(self) -> bool {
        self.fold.with(|fold| fold.rows().is_empty())
    }

    /// The progress of the subscription.
    pub fn progress(self) -> Signal<Progress> {
        let fold = self.fold;
        Signal::derive(move || fold.with(|fold| fold.progress.clone()))
    }

    /// Whether the listing has another page.
    pub fn has_more(self) -> bool {
        self.fold.with(|fold| fold.next().is_some())
    }

    /// Whether the next page is being fetched.
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
    /// The document of a row, while it is in the listing.
    pub fn row(self, key: String) -> Memo<Revision<D>> {
        let fold = self.fold;
        Memo::new(move |_| {
            fold.with(|fold| {
                let row = fold.row(&key)?;
                Some((typed(&row.data)?, row.revision))
            })
        })
    }

    /// All documents, in order.
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
    /// Follows a document from the server's answer on.
    pub fn new(initial: InitialDocument) -> Self {
        let InitialDocument { view, key, answer } = initial;
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

    /// Reads a document that the page did not come with, and follows it. It is also there without a live
    /// connection.
    #[cfg(not(feature = "ssr"))]
    pub fn read(view: &str, key: &str) -> Self {
        let document = Self::new(InitialDocument {
            view: view.to_owned(),
            key: key.to_owned(),
            answer: None,
        });
        follow::read(view, key, document.fold);
        document
    }

    /// Whether it is known if there is a document.
    pub fn is_known(self) -> bool {
        self.fold
            .with(|fold| fold.data.is_some() || fold.progress.is_followed())
    }

    /// The progress of the subscription, now.
    pub fn current_progress(self) -> Progress {
        self.fold.with(|fold| fold.progress.clone())
    }

    /// The progress of the subscription.
    pub fn progress(self) -> Signal<Progress> {
        let fold = self.fold;
        Signal::derive(move || fold.with(|fold| fold.progress.clone()))
    }
}

impl<D: DeserializeOwned + Clone + PartialEq + Send + Sync + 'static> LiveDocument<D> {
    /// The document, while there is one.
    pub fn shown(self) -> Memo<Revision<D>> {
        Memo::new(move |_| self.get())
    }

    /// The document now, if there is one.
    pub fn get(self) -> Revision<D> {
        self.fold
            .with(|fold| Some((typed(fold.data.as_ref()?)?, fold.revision)))
    }
}
