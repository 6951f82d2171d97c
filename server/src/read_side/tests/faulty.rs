//! A view that can be broken: it is `inventory`, and panics at the events that it is told to.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use domain::{
    event::TypedEvent,
    view::{self, AnyView, DocumentError, Folding, ListingEntry},
};
use serde_json::value::RawValue;
use uuid::Uuid;

/// See the module.
#[derive(Debug)]
pub(super) struct Faulty {
    inner: &'static dyn AnyView,
    broken: Mutex<HashSet<(String, u64)>>,
    panics: AtomicU32,
    heals_after: AtomicU32,
}

struct FaultyDocument {
    inner: Box<dyn Folding>,
    view: &'static Faulty,
}

/// The view, and a registry with it alone.
pub(super) fn faulty() -> (&'static Faulty, &'static [&'static dyn AnyView]) {
    let view: &'static Faulty = Box::leak(Box::new(Faulty {
        inner: view::find("inventory").unwrap(),
        broken: Mutex::default(),
        panics: AtomicU32::new(0),
        heals_after: AtomicU32::new(u32::MAX),
    }));
    let views: Vec<&'static dyn AnyView> = vec![Box::leak(Box::new(Shared(view)))];
    (view, Box::leak(views.into_boxed_slice()))
}

/// The registry holds references; so does a document.
#[derive(Debug)]
struct Shared(&'static Faulty);

impl Faulty {
    /// From now on it panics at this version of this stream.
    pub(super) fn break_at(&self, stream: &str, version: u64) {
        self.broken.lock().unwrap().insert((stream.to_owned(), version));
    }

    /// It panics so often, and then never again.
    pub(super) fn heal_after(&self, panics: u32) {
        self.heals_after.store(panics, Ordering::Relaxed);
    }

    /// It panics no more at this event.
    pub(super) fn mend(&self, stream: &str, version: u64) {
        self.broken.lock().unwrap().remove(&(stream.to_owned(), version));
    }

    /// How often it has panicked.
    pub(super) fn panics(&self) -> u32 {
        self.panics.load(Ordering::Relaxed)
    }

    fn check(&self, event: &TypedEvent) {
        let broken = self
            .broken
            .lock()
            .unwrap()
            .contains(&(event.stream.to_string(), event.version));
        if broken && self.panics() < self.heals_after.load(Ordering::Relaxed) {
            self.panics.fetch_add(1, Ordering::Relaxed);
            panic!("broken at {} v{}", event.stream, event.version);
        }
    }
}

impl AnyView for Shared {
    fn name(&self) -> &'static str {
        self.0.inner.name()
    }

    fn listing_names(&self) -> &'static [&'static str] {
        self.0.inner.listing_names()
    }

    fn keys(&self, event: &TypedEvent) -> Vec<String> {
        self.0.inner.keys(event)
    }

    fn load(&self, key: &str, document: Option<&RawValue>) -> Result<Box<dyn Folding>, DocumentError> {
        Ok(Box::new(FaultyDocument {
            inner: self.0.inner.load(key, document)?,
            view: self.0,
        }))
    }
}

impl Folding for FaultyDocument {
    fn fold(&mut self, event: &TypedEvent) {
        self.view.check(event);
        self.inner.fold(event);
    }

    fn document(&self) -> Result<Option<Box<RawValue>>, DocumentError> {
        self.inner.document()
    }

    fn listings(&self) -> Vec<ListingEntry> {
        self.inner.listings()
    }

    fn owner(&self) -> Option<Uuid> {
        self.inner.owner()
    }
}
