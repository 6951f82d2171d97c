//! One change at a time, with pauses: from before the command is sent until another client has the change.

use std::time::{Duration, Instant};

use anyhow::Result;
use async_trait::async_trait;

use super::Feed;
use crate::{
    case::Contender,
    figures::{Cost, Latencies, Sample},
};

/// The pause after a change: the server is idle then.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Idle(pub(super) Feed);

#[async_trait(?Send)]
impl Contender for Idle {
    fn name(&self) -> String {
        self.0.kind.name().to_owned()
    }

    async fn run(&mut self, time: Duration) -> Result<Sample> {
        let Self(feed) = self;
        let mut subscriber = feed.subscribe().await?;
        let mut latencies = Latencies::new()?;
        let begun = Instant::now();
        while begun.elapsed() < time {
            tokio::time::sleep(PAUSE).await;
            let before = Instant::now();
            let seen = async {
                subscriber.change().await?;
                anyhow::Ok(before.elapsed())
            };
            let (published, seen) = tokio::join!(feed.publish(), seen);
            published?;
            latencies.note(seen?);
        }
        Ok(Sample {
            done: latencies.count(),
            time: begun.elapsed(),
            latencies,
            cost: Cost::default(),
        })
    }
}
