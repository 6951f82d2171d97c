//! Many subscribers of one document: from before the command is sent until the last of them has the change.
//! They are tasks of this program, on the same cores as the server, for both contenders.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use tokio::{sync::Notify, task::JoinSet, time::timeout};

use super::Feed;
use crate::{
    case::Contender,
    figures::{Cost, Latencies, Sample},
    outside::Socket,
};

/// The pause after a change.
const PAUSE: Duration = Duration::from_millis(20);

/// The longest that a change may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Subscribers connect in groups of this size.
const TOGETHER: usize = 50;

pub(super) struct FanOut {
    feed: Feed,
    subscribers: usize,
}

/// How many subscribers do not have the change yet.
#[derive(Debug, Default)]
struct Missing {
    count: AtomicUsize,
    none: Notify,
}

impl FanOut {
    pub(super) fn new(feed: Feed, subscribers: usize) -> Self {
        Self { feed, subscribers }
    }
}

/// Subscribes this many clients.
pub(super) async fn subscribe(feed: &Feed, subscribers: usize) -> Result<Vec<Socket>> {
    let mut sockets = Vec::with_capacity(subscribers);
    while sockets.len() < subscribers {
        let group = TOGETHER.min(subscribers - sockets.len());
        let group = (0..group).map(|_| feed.subscribe());
        sockets.extend(futures::future::try_join_all(group).await?);
    }
    Ok(sockets)
}

async fn read(mut socket: Socket, missing: Arc<Missing>) -> Result<()> {
    loop {
        socket.change().await?;
        if missing.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            missing.none.notify_one();
        }
    }
}

#[async_trait(?Send)]
impl Contender for FanOut {
    fn name(&self) -> String {
        self.feed.kind.name().to_owned()
    }

    async fn run(&mut self, time: Duration) -> Result<Sample> {
        let missing = Arc::new(Missing::default());
        let mut readers = JoinSet::new();
        for socket in subscribe(&self.feed, self.subscribers).await? {
            readers.spawn(read(socket, missing.clone()));
        }
        let mut latencies = Latencies::new()?;
        let begun = Instant::now();
        while begun.elapsed() < time || latencies.count() == 0 {
            tokio::time::sleep(PAUSE).await;
            missing.count.store(self.subscribers, Ordering::Release);
            let before = Instant::now();
            let seen = async {
                timeout(PATIENCE, missing.none.notified())
                    .await
                    .context("not all subscribers get a change")?;
                anyhow::Ok(before.elapsed())
            };
            let (published, seen) = tokio::join!(self.feed.publish(), seen);
            published?;
            latencies.note(seen?);
            if let Some(ended) = readers.try_join_next() {
                ended??;
            }
        }
        Ok(Sample {
            done: latencies.count(),
            time: begun.elapsed(),
            latencies,
            cost: Cost::default(),
        })
    }
}
