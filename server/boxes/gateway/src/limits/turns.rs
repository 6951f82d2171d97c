//! Turns at work that many clients want at once: each client may do some of it at a time, and its other
//! requests wait for these.
//!
//! What all clients share behind it, such as the threads that hash passwords, serves requests in the order of
//! their arrival. With turns, a client has only a few requests in that line, however many it sends: so it
//! cannot make the others wait.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns of clients of one kind.
#[derive(Debug)]
pub(crate) struct Turns<K: Hash + Eq + Copy> {
    at_a_time: usize,
    /// The most requests of a client that work or wait.
    most: usize,
    clients: Mutex<HashMap<K, Line>>,
}

/// The requests of a client that work or wait.
#[derive(Debug)]
struct Line {
    places: Arc<Semaphore>,
    requests: usize,
}

/// A client's turn, which ends when it is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Turn<K: Hash + Eq + Copy> {
    // In this order: the permit is returned before the request is forgotten.
    _permit: OwnedSemaphorePermit,
    _request: Request<K>,
}

/// A request that works or waits.
#[derive(Debug)]
struct Request<K: Hash + Eq + Copy> {
    turns: Arc<Turns<K>>,
    client: K,
}

impl<K: Hash + Eq + Copy> Drop for Request<K> {
    fn drop(&mut self) {
        let mut clients = self.turns.lock();
        if let Entry::Occupied(mut line) = clients.entry(self.client) {
            line.get_mut().requests -= 1;
            if line.get().requests == 0 {
                line.remove();
            }
        }
    }
}

impl<K: Hash + Eq + Copy> Turns<K> {
    /// Turns of which each client has `at_a_time`, and as many requests that work or wait as `most` says.
    pub(crate) fn new(at_a_time: usize, most: usize) -> Arc<Self> {
        Arc::new(Self {
            at_a_time,
            most,
            clients: Mutex::default(),
        })
    }

    /// Waits for a turn of a client; `None`: too many of its requests are waiting.
    pub(crate) async fn take(self: &Arc<Self>, client: K) -> Option<Turn<K>> {
        let (places, request) = self.enter(client)?;
        // The semaphore is never closed.
        let permit = places.acquire_owned().await.ok()?;
        Some(Turn {
            _permit: permit,
            _request: request,
        })
    }

    fn enter(self: &Arc<Self>, client: K) -> Option<(Arc<Semaphore>, Request<K>)> {
        let mut clients = self.lock();
        let line = clients.entry(client).or_insert_with(|| Line {
            places: Arc::new(Semaphore::new(self.at_a_time)),
            requests: 0,
        });
        if line.requests >= self.most {
            return None;
        }
        line.requests += 1;
        let places = Arc::clone(&line.places);
        drop(clients);
        let turns = Arc::clone(self);
        Some((places, Request { turns, client }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Line>> {
        // A line is changed in one step: a panic leaves it whole.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_client_waits_for_its_own_requests_and_for_no_other_clients() {
        let turns = Turns::new(1, 8);
        let first = turns.take(1).await.unwrap();
        let mut second = Box::pin(turns.take(1));
        assert!(second.as_mut().now_or_never().is_none());
        let _other = turns.take(2).await.unwrap();
        drop(first);
        assert!(second.await.is_some());
    }

    #[tokio::test]
    async fn a_client_with_too_many_requests_is_refused_and_those_that_end_make_room() {
        let turns = Turns::new(1, 2);
        let first = turns.take(1).await.unwrap();
        let mut second = Box::pin(turns.take(1));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(turns.take(1).await.is_none());
        // The second request is abandoned.
        drop(second);
        drop(first);
        let _third = turns.take(1).await.unwrap();
    }

    #[tokio::test]
    async fn what_no_client_uses_takes_no_memory() {
        let turns = Turns::new(1, 2);
        for client in 0..1_000 {
            drop(turns.take(client).await);
        }
        assert!(turns.lock().is_empty());
    }
}
