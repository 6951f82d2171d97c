//! Live projections as signals. A page names a listing or a document and gets what the server rendered; in the browser
//! the tab's one socket continues it from its token, so the first paint and the first change agree.
//!
//! Documents stay JSON in here and are typed where a component reads them: the code that follows changes exists once,
//! and not once for every type of document.

use std::{marker::PhantomData, pin::Pin};

use domain::wire::{Problem, SessionInfo};
use leptos::prelude::*;
use serde::de::DeserializeOwned;

use super::{document::DocumentFold, listing::ListingFold, progress::Progress, protocol::Link};
use crate::{
    api::{self, Found, Listed},
    backend::ListingQuery,
};

#[cfg(not(feature = "ssr"))]
mod follow;

/// The tab's live connection, by context.
#[derive(Clone, Copy)]
pub struct Live {
    /// How the connection is.
    pub link: RwSignal<Link>,
    #[cfg(not(feature = "ssr"))]
    socket: StoredValue<super::socket::Socket, LocalStorage>,
}

/// Gives the page its live connection, and connects where there is a workspace to follow.
pub fn provide_live(session: Option<&SessionInfo>) {
    let link = RwSignal::new(Link::Idle);
    #[cfg(feature = "ssr")]
    {
        let _ = session;
        provide_context(Live { link });
    }
    #[cfg(not(feature = "ssr"))]
    {
        let socket = StoredValue::new_local(super::socket::Socket::new(move |now| link.set(now)));
        provide_context(Live { link, socket });
        if session.is_some() {
            Effect::new(move || socket.with_value(super::socket::Socket::start));
        }
    }
}

/// The page's live connection.
pub fn use_link() -> RwSignal<Link> {
    use_context::<Live>().map_or_else(|| RwSignal::new(Link::Idle), |live| live.link)
}

/// Waits until there is something to show, or a problem; what asks for nothing else can wait for it.
pub type Ready = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A document as a component sees it: typed, and how often it has changed while it was watched.
pub type Shown<D> = Option<(D, u32)>;

fn typed<D: DeserializeOwned>(data: &serde_json::Value) -> Option<D> {
    D::deserialize(data).ok()
}

/// A live listing of documents `D`.
pub struct LiveListing<D> {
    fold: RwSignal<Option<ListingFold>>,
    adopted: StoredValue<Option<(ListingQuery, String)>>,
    answer: Resource<Listed>,
    loading_more: RwSignal<bool>,
    document: PhantomData<fn() -> D>,
}

impl<D> Clone for LiveListing<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for LiveListing<D> {}

/// Follows the listing that `query` names, and another one when it names another.
pub fn use_live_listing<D>(query: impl Fn() -> ListingQuery + Send + Sync + 'static) -> LiveListing<D> {
    let fold = RwSignal::new(None);
    let answer = Resource::new(query, api::listing);
    #[cfg(not(feature = "ssr"))]
    follow::listing(answer, fold);
    LiveListing {
        fold,
        adopted: StoredValue::new(None),
        answer,
        loading_more: RwSignal::new(false),
        document: PhantomData,
    }
}

impl<D: 'static> LiveListing<D> {
    /// Waits for the first answer, inside a `Suspense`; from then on the rows are there.
    pub async fn ready(self) -> Result<(), Problem> {
        let (query, answer) = self.answer.await;
        let answer = answer?;
        let adopting = Some((query, answer.as_of.to_string()));
        // A page that renders again for another reason must not fall back to what it began with.
        if self.adopted.with_value(|adopted| *adopted != adopting) {
            let order = adopting
                .as_ref()
                .map(|(query, _)| query.order)
                .unwrap_or_default();
            self.adopted.set_value(adopting);
            self.fold.set(Some(ListingFold::new(order, answer)));
        }
        Ok(())
    }

    /// The same for those who do not care what comes of it.
    pub fn settled(self) -> Ready {
        Box::new(move || {
            Box::pin(async move {
                let _ = self.ready().await;
            })
        })
    }

    /// The keys of the rows, in order.
    pub fn keys(self) -> Vec<String> {
        self.fold.with(|fold| match fold {
            Some(fold) => fold.rows().iter().map(|row| row.key.clone()).collect(),
            None => Vec::new(),
        })
    }

    /// Whether there is no row.
    pub fn is_empty(self) -> bool {
        self.fold
            .with(|fold| fold.as_ref().is_none_or(|fold| fold.rows().is_empty()))
    }

    /// How far it has come.
    pub fn progress(self) -> Signal<Option<Progress>> {
        let fold = self.fold;
        Signal::derive(move || fold.with(|fold| fold.as_ref().map(|fold| fold.progress.clone())))
    }

    /// Whether there are more rows than are shown.
    pub fn has_more(self) -> bool {
        self.fold
            .with(|fold| fold.as_ref().is_some_and(|fold| fold.next().is_some()))
    }

    /// Whether more rows are on their way.
    pub fn is_loading_more(self) -> bool {
        self.loading_more.get()
    }

    /// Asks again, after a problem.
    pub fn retry(self) {
        self.answer.refetch();
    }

    /// Fetches the next page.
    pub fn more(self) {
        #[cfg(not(feature = "ssr"))]
        follow::more(self.fold, self.adopted, self.loading_more);
    }
}

impl<D: DeserializeOwned + Clone + PartialEq + Send + Sync + 'static> LiveListing<D> {
    /// The document of a row, for as long as it is in the listing.
    pub fn row(self, key: String) -> Memo<Shown<D>> {
        let fold = self.fold;
        Memo::new(move |_| {
            fold.with(|fold| {
                let row = fold.as_ref()?.row(&key)?;
                Some((typed(&row.data)?, row.revision))
            })
        })
    }

    /// Every document, in order.
    pub fn documents(self) -> Vec<D> {
        self.fold.with(|fold| match fold {
            Some(fold) => fold.rows().iter().filter_map(|row| typed(&row.data)).collect(),
            None => Vec::new(),
        })
    }
}

/// A live document `D`.
pub struct LiveDocument<D> {
    fold: RwSignal<Option<DocumentFold>>,
    adopted: StoredValue<Option<(String, String)>>,
    answer: Resource<Found>,
    document: PhantomData<fn() -> D>,
}

impl<D> Clone for LiveDocument<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for LiveDocument<D> {}

/// Follows the document of a view that `key` names, and another one when it names another.
pub fn use_live_document<D>(
    view: &'static str,
    key: impl Fn() -> String + Send + Sync + 'static,
) -> LiveDocument<D> {
    let fold = RwSignal::new(None);
    let answer = Resource::new(key, move |key| api::document(view, key));
    #[cfg(not(feature = "ssr"))]
    follow::document(view, answer, fold);
    LiveDocument {
        fold,
        adopted: StoredValue::new(None),
        answer,
        document: PhantomData,
    }
}

impl<D> LiveDocument<D> {
    /// Waits for the first answer, inside a `Suspense`. A document that is not there (yet) is no problem: it may begin
    /// while it is watched.
    pub async fn ready(self) -> Result<(), Problem> {
        let (key, answer) = self.answer.await;
        let (identity, first) = match answer {
            Ok(answer) => (
                answer.as_of.to_string(),
                DocumentFold::new(Some(answer.data), answer.as_of, answer.generation, answer.behind),
            ),
            Err(problem) if problem.status == 404 => (String::new(), DocumentFold::absent()),
            Err(problem) => return Err(problem),
        };
        let adopting = Some((key, identity));
        if self.adopted.with_value(|adopted| *adopted != adopting) {
            self.adopted.set_value(adopting);
            self.fold.set(Some(first));
        }
        Ok(())
    }

    /// How far it has come.
    pub fn progress(self) -> Signal<Option<Progress>> {
        let fold = self.fold;
        Signal::derive(move || fold.with(|fold| fold.as_ref().map(|fold| fold.progress.clone())))
    }

    /// Asks again, after a problem.
    pub fn retry(self) {
        self.answer.refetch();
    }
}

impl<D: DeserializeOwned + Clone + PartialEq + Send + Sync + 'static> LiveDocument<D> {
    /// The document, while there is one.
    pub fn shown(self) -> Memo<Shown<D>> {
        let fold = self.fold;
        Memo::new(move |_| {
            fold.with(|fold| {
                let fold = fold.as_ref()?;
                Some((typed(fold.data.as_ref()?)?, fold.revision))
            })
        })
    }
}
