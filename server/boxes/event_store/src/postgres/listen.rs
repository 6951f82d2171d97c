//! The listener: one connection receives the notifications of the other servers on the same database, and
//! passes heads and messages on to the observer.
//!
//! A notification is a hint; the partitions' rows hold the heads. The listener reads all of them when its
//! connection begins to listen, also after it was lost, and every few seconds while there is none. So a lost
//! notification delays this server, and never misleads it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use uuid::Uuid;

use super::notification::{CHANNEL, HeadNotification, PartitionHead, parse_message};
use database::postgres::{CONNECT_TIMEOUT, Database};

use crate::{
    CommitObserver, StoreError,
    sql::{ListenerTask, read},
};

/// How often the heads are read, and a connection is tried, while there is none that listens.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// How long after a lost connection the next one is tried.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// How long no notification may arrive before the connection is tested: a machine that has crashed does not
/// close it.
const PING_AFTER: Duration = Duration::from_secs(10);

/// How long notifications without names are gathered before the heads are read.
const GATHER_TIME: Duration = Duration::from_millis(20);

/// Starts a listener to every server except `origin`, which is this one.
pub(super) fn start(
    database: Database,
    readers: PgPool,
    origin: Uuid,
    observer: Arc<dyn CommitObserver>,
) -> ListenerTask {
    let listener = Listener {
        database,
        readers,
        origin,
        observer,
    };
    ListenerTask::start(origin, async move { listener.run().await })
}

struct Listener {
    database: Database,
    readers: PgPool,
    origin: Uuid,
    observer: Arc<dyn CommitObserver>,
}

/// Why the listener receives nothing.
enum ListenError {
    /// The connection that listened was lost.
    Lost(StoreError),
    /// No connection could be opened.
    NotConnected(StoreError),
}

impl Listener {
    async fn run(&self) {
        loop {
            let Err(error) = self.listen().await;
            metrics::counter!("foldline_event_store_deaf_total").increment(1);
            match error {
                ListenError::Lost(error) => {
                    tracing::warn!(%error, "the connection that listens to other servers was lost");
                    sleep(RECONNECT_PAUSE).await;
                }
                ListenError::NotConnected(error) => {
                    tracing::warn!(%error, "no connection can listen to other servers; polling the heads");
                    if let Err(error) = self.read_heads().await {
                        tracing::warn!(%error, "the heads cannot be read");
                    }
                    sleep(POLL_INTERVAL).await;
                }
            }
        }
    }

    async fn listen(&self) -> Result<Infallible, ListenError> {
        let mut listener = self.connect().await.map_err(ListenError::NotConnected)?;
        // Reads what was committed before; later commits arrive as notifications.
        self.read_heads().await.map_err(ListenError::NotConnected)?;
        self.observer.heard(None);
        self.receive_all(&mut listener).await.map_err(ListenError::Lost)
    }

    /// A connection that listens. It has its own pool, so that one that hangs blocks no other.
    async fn connect(&self) -> Result<PgListener, StoreError> {
        let pool = self.database.listener();
        let connect = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            // No automatic reconnect: `run` has to read the heads that were missed.
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        Ok(timeout(CONNECT_TIMEOUT, connect)
            .await
            .map_err(|_| unanswered())??)
    }

    async fn receive_all(&self, listener: &mut PgListener) -> Result<Infallible, StoreError> {
        let mut read_at: Option<Instant> = None;
        loop {
            let ping_at = Instant::now() + PING_AFTER;
            tokio::select! {
                received = listener.try_recv() => {
                    let Some(notification) = received? else { return Err(unanswered()) };
                    if !self.receive(notification.payload()) {
                        read_at.get_or_insert_with(|| Instant::now() + GATHER_TIME);
                    }
                }
                () = sleep_until(read_at.unwrap_or(ping_at)) => {
                    if read_at.take().is_some() {
                        self.read_heads().await?;
                    } else {
                        let ping = sqlx::query("select 1").execute(&mut *listener);
                        timeout(CONNECT_TIMEOUT, ping).await.map_err(|_| unanswered())??;
                    }
                }
            }
        }
    }

    /// Passes on a message, or the heads of a notification; `false`: it names none.
    fn receive(&self, text: &str) -> bool {
        if let Some((origin, message)) = parse_message(text) {
            if origin != self.origin {
                self.observer.heard(Some(message));
            }
            return true;
        }
        match HeadNotification::parse(text) {
            Some(notification) if notification.origin == self.origin => true,
            Some(HeadNotification {
                heads: Some(heads), ..
            }) => {
                self.pass_on(heads);
                true
            }
            // A newer version of the program may use another format.
            Some(HeadNotification { heads: None, .. }) | None => false,
        }
    }

    async fn read_heads(&self) -> Result<(), StoreError> {
        self.pass_on(read::heads(&self.readers).await?);
        Ok(())
    }

    fn pass_on(&self, heads: Vec<PartitionHead>) {
        for (workspace, partition, head) in heads {
            self.observer.head_advanced(workspace, partition, head);
        }
    }
}

fn unanswered() -> StoreError {
    StoreError::Unavailable("the connection does not answer".to_owned())
}
