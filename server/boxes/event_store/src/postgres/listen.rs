//! Listening: one connection of a server hears what the others commit to the same database, and tells the observer.
//!
//! What a notice says is a hint; the truth are the heads of the partitions. All of them are looked at when the connection
//! listens, after it was lost as well, and every few seconds while there is none. So a lost notice makes this server late,
//! and never wrong.

use std::{convert::Infallible, sync::Arc, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use uuid::Uuid;

use super::notice::{CHANNEL, Moved, Notice};
use database::postgres::{Database, PATIENCE};

use crate::{
    CommitObserver, StoreError,
    sql::{Listening, read},
};

/// How often the heads are looked at while nothing can be heard, and a connection is tried.
const DEAF: Duration = Duration::from_secs(2);

/// How long after a connection was lost the next one is tried.
const LOST: Duration = Duration::from_millis(100);

/// After so much silence the connection is asked whether it still is one: a machine that has gone says no goodbye.
const SILENCE: Duration = Duration::from_secs(10);

/// How long notices without names are gathered before the heads are looked at.
const GATHER: Duration = Duration::from_millis(20);

/// Listens to every server but `origin`, which is this one.
pub(super) fn start(
    database: Database,
    readers: PgPool,
    origin: Uuid,
    observer: Arc<dyn CommitObserver>,
) -> Listening {
    let listener = Listener {
        database,
        readers,
        origin,
        observer,
    };
    Listening::start(async move { listener.run().await })
}

struct Listener {
    database: Database,
    readers: PgPool,
    origin: Uuid,
    observer: Arc<dyn CommitObserver>,
}

/// Why nothing is heard any more.
enum Deaf {
    /// There was a connection that listened.
    Lost(StoreError),
    /// There was none.
    Never(StoreError),
}

impl Listener {
    async fn run(&self) {
        loop {
            let Err(deaf) = self.listen().await;
            metrics::counter!("foldline_event_store_deaf_total").increment(1);
            match deaf {
                Deaf::Lost(error) => {
                    tracing::warn!(%error, "the connection that listens to other servers was lost");
                    sleep(LOST).await;
                }
                Deaf::Never(error) => {
                    tracing::warn!(%error, "other servers cannot be heard; the heads are looked at instead");
                    if let Err(error) = self.look().await {
                        tracing::warn!(%error, "the heads cannot be looked at");
                    }
                    sleep(DEAF).await;
                }
            }
        }
    }

    async fn listen(&self) -> Result<Infallible, Deaf> {
        let mut listener = self.connect().await.map_err(Deaf::Never)?;
        // What was committed before is looked at, and what is committed from here on is heard.
        self.look().await.map_err(Deaf::Never)?;
        self.hear_all(&mut listener).await.map_err(Deaf::Lost)
    }

    /// A connection that listens. Its pool is its own: one that hangs stands in nobody's way.
    async fn connect(&self) -> Result<PgListener, StoreError> {
        let pool = self.database.listener();
        let connect = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            // One that is lost is replaced here, where it is known what was missed.
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        Ok(timeout(PATIENCE, connect).await.map_err(|_| silent())??)
    }

    async fn hear_all(&self, listener: &mut PgListener) -> Result<Infallible, StoreError> {
        let mut look_at: Option<Instant> = None;
        loop {
            let silence = Instant::now() + SILENCE;
            tokio::select! {
                heard = listener.try_recv() => {
                    let Some(notification) = heard? else { return Err(silent()) };
                    if !self.hear(notification.payload()) {
                        look_at.get_or_insert_with(|| Instant::now() + GATHER);
                    }
                }
                () = sleep_until(look_at.unwrap_or(silence)) => {
                    if look_at.take().is_some() {
                        self.look().await?;
                    } else {
                        let alive = sqlx::query("select 1").execute(&mut *listener);
                        timeout(PATIENCE, alive).await.map_err(|_| silent())??;
                    }
                }
            }
        }
    }

    /// Tells what a notice says; `false`: it does not say what was moved.
    fn hear(&self, text: &str) -> bool {
        match Notice::parse(text) {
            Some(notice) if notice.origin == self.origin => true,
            Some(Notice {
                moved: Some(moved), ..
            }) => {
                self.tell(moved);
                true
            }
            // Also what a newer program says in words of its own.
            Some(Notice { moved: None, .. }) | None => false,
        }
    }

    async fn look(&self) -> Result<(), StoreError> {
        self.tell(read::heads(&self.readers).await?);
        Ok(())
    }

    fn tell(&self, moved: Vec<Moved>) {
        for (workspace, partition, head) in moved {
            self.observer.moved(workspace, partition, head);
        }
    }
}

fn silent() -> StoreError {
    StoreError::Unavailable("the connection does not answer".to_owned())
}
