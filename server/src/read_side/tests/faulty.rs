//! A faulty view: it is `inventory`, and panics at the events that the test selects.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use domain::{
    event::TypedEvent,
    view::{self, AnyView, DocumentError, FoldTarget, ListingEntry},
};
use serde_json::value::RawValue;
use uuid::Uuid;

/// The view `inventory` with panics at selected events.
#[derive(Debug)]
pub(super) struct FaultyInventory {
    inner: &'static dyn AnyView,
    broken: Mutex<HashSet<(String, u64)>>,
    panics: AtomicU32,
    heals_after: AtomicU32,
}

struct FaultyDocument {
    inner: Box<dyn FoldTarget>,
    view: &'static FaultyInventory,
}

/// The view, and a registry that contains only it.
pub(super) fn faulty_inventory() -> (&'static FaultyInventory, &'static [&'static dyn AnyView]) {
    let view: &'static FaultyInventory = Box::leak(Box::new(FaultyInventory {
        inner: view::find("inventory").unwrap(),
        broken: Mutex::default(),
        panics: AtomicU32::new(0),
        heals_after: AtomicU32::new(u32::MAX),
    }));
    let views: Vec<&'static dyn AnyView> = vec![Box::leak(Box::new(FaultyViewRef(view)))];
    (view, Box::leak(views.into_boxed_slice()))
}

/// The registry and documents hold references to the view.
#[derive(Debug)]
struct FaultyViewRef(&'static FaultyInventory);

impl FaultyInventory {
    /// Makes it panic at this version of this stream.
    pub(super) fn break_at(&self, stream: &str, version: u64) {
        self.broken.lock().unwrap().insert((stream.to_owned(), version));
    }

    /// Limits how often it panics.
    pub(super) fn heal_after(&self, panics: u32) {
        self.heals_after.store(panics, Ordering::Relaxed);
    }

    /// Makes it apply this event again.
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

impl AnyView for FaultyViewRef {
    fn name(&self) -> &'static str {
        self.0.inner.name()
    }

    fn listing_names(&self) -> &'static [&'static str] {
        self.0.inner.listing_names()
    }

    fn keys(&self, event: &TypedEvent) -> Vec<String> {
        self.0.inner.keys(event)
    }

    fn load(&self, key: &str, document: Option<&RawValue>) -> Result<Box<dyn FoldTarget>, DocumentError> {
        Ok(Box::new(FaultyDocument {
            inner: self.0.inner.load(key, document)?,
            view: self.0,
        }))
    }
}

impl FoldTarget for FaultyDocument {
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
