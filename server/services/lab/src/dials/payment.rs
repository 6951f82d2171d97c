//! The dials of the payment provider: one that is slow, declines, gives no answer, or is not reached.
//!
//! What was asked under a key has one outcome for ever, also when the dials change: a decline is entered into
//! the provider's own books, and what a silent or slow provider has carried out stays carried out. So a
//! request that is repeated once the dials are at rest gets the answer that belongs to its key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use domain::{
    aggregate::payment::{ProviderAnswer, ProviderRequest},
    id::WorkspaceId,
    wire::ProviderMode,
};
use payment::{DecliningProvider, PaymentProvider, ProviderError};
use tokio::time::Instant;

use super::{board::DialBoard, hold::hold};

/// The most slow answers of which it is known when they were asked for.
const MOST_SLOW: usize = 1_024;

/// A request: its workspace and its key.
type RequestKey = (WorkspaceId, String);

/// A payment provider that the dials bend.
#[derive(Debug)]
pub struct BentProvider {
    inner: Arc<dyn DecliningProvider>,
    board: Arc<DialBoard>,
    /// When a slow provider was first asked for what it has not answered yet: a repetition does not begin
    /// its time anew.
    asked_at: Mutex<HashMap<RequestKey, Instant>>,
}

impl BentProvider {
    /// Wraps a provider.
    pub fn new(inner: Arc<dyn DecliningProvider>, board: Arc<DialBoard>) -> Self {
        Self {
            inner,
            board,
            asked_at: Mutex::default(),
        }
    }

    fn asked_at(&self) -> MutexGuard<'_, HashMap<RequestKey, Instant>> {
        // Each change is one step: a panic leaves it usable.
        self.asked_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as the answer takes, counted from when it was first asked for.
    async fn take_time(&self, workspace: WorkspaceId, key: &str) {
        let request = (workspace, key.to_owned());
        let since = {
            let mut asked_at = self.asked_at();
            if asked_at.len() >= MOST_SLOW && !asked_at.contains_key(&request) {
                asked_at.retain(|(of, _), _| self.board.of(*of).is_some());
                if asked_at.len() >= MOST_SLOW {
                    asked_at.clear();
                }
            }
            *asked_at.entry(request.clone()).or_insert_with(Instant::now)
        };
        hold(&self.board, workspace, since, |dials| dials.payment.delay_ms).await;
        self.asked_at().remove(&request);
    }
}

#[async_trait]
impl PaymentProvider for BentProvider {
    async fn ask(
        &self,
        workspace: WorkspaceId,
        key: &str,
        request: &ProviderRequest,
    ) -> Result<ProviderAnswer, ProviderError> {
        let Some(bent) = self.board.of(workspace) else {
            return self.inner.ask(workspace, key, request).await;
        };
        let dials = bent.dials.payment;
        if bent.strikes("payment.fail", "", dials.failures()) {
            return Err(ProviderError::Unavailable("it was not reached".to_owned()));
        }
        let answer = match dials.mode {
            ProviderMode::Normal | ProviderMode::Silent => self.inner.ask(workspace, key, request).await,
            ProviderMode::Declining => self.inner.decline(workspace, key, request).await,
        };
        match answer {
            // Nothing is known of the request, or it is another one: that is no answer of a provider.
            Err(ProviderError::Interrupted(_) | ProviderError::KeyReused) => answer,
            _ if dials.mode == ProviderMode::Silent => Err(ProviderError::NotYet),
            _ => {
                if dials.delay_ms > 0 {
                    self.take_time(workspace, key).await;
                }
                answer
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clock::SystemClock;
    use documents::{DocumentStore, sqlite::SqliteDocumentStore};
    use domain::{
        money::Money,
        wire::{Dials, PaymentDials},
    };
    use payment::test_mode::TestMode;
    use tempfile::TempDir;
    use uuid::Uuid;
    use workspace_clock::Clocks;

    use super::*;

    const CLASS: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
    const OTHER: WorkspaceId = WorkspaceId(Uuid::from_u128(2));

    /// The provider of a class whose dials a test bends.
    struct Fixture {
        books: Arc<dyn DocumentStore>,
        board: Arc<DialBoard>,
        provider: Arc<dyn PaymentProvider>,
        version: u64,
        _folder: TempDir,
    }

    impl Fixture {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = SqliteDocumentStore::open(&folder.path().join("books.db")).await;
            let books: Arc<dyn DocumentStore> = Arc::new(store.unwrap());
            let clocks = Arc::new(Clocks::new(Arc::new(SystemClock), Arc::clone(&books)));
            let inner = Arc::new(TestMode::new(Arc::clone(&books), clocks));
            let board = Arc::new(DialBoard::default());
            Self {
                provider: Arc::new(BentProvider::new(inner, Arc::clone(&board))),
                books,
                board,
                version: 0,
                _folder: folder,
            }
        }

        fn bend(&mut self, payment: PaymentDials) {
            self.version += 1;
            let dials = Dials {
                payment,
                ..Dials::default()
            };
            assert!(self.board.show(CLASS, self.version, dials));
        }

        fn reset(&mut self) {
            self.bend(PaymentDials::default());
        }

        /// Charges as the command service does, with its timeout.
        async fn charge(&self, workspace: WorkspaceId, order: &str) -> Result<ProviderAnswer, ProviderError> {
            let request = ProviderRequest::Charge {
                amount: Money::new(500, "EUR"),
                method: "tok_ok".to_owned(),
            };
            let stream = format!("payment-{order}").parse().unwrap();
            payment::ask(&self.provider, workspace, &stream, &request).await
        }

        async fn is_charged_elsewhere(&self, order: &str) -> bool {
            matches!(
                self.charge(OTHER, order).await,
                Ok(ProviderAnswer::Charged { .. })
            )
        }

        async fn charges(&self) -> usize {
            TestMode::charges(&*self.books, CLASS).await.unwrap().len()
        }
    }

    #[tokio::test]
    async fn a_declining_provider_declines_a_key_for_ever_and_keeps_what_it_has_charged() {
        let mut fixture = Fixture::new().await;
        let earlier = fixture.charge(CLASS, "earlier").await.unwrap();
        fixture.bend(PaymentDials {
            mode: ProviderMode::Declining,
            ..PaymentDials::default()
        });
        let declined = fixture.charge(CLASS, "1").await.unwrap();
        assert!(matches!(declined, ProviderAnswer::Refused { .. }), "{declined:?}");
        assert_eq!(fixture.charge(CLASS, "earlier").await.unwrap(), earlier);
        assert!(fixture.is_charged_elsewhere("1").await);
        fixture.reset();
        assert_eq!(fixture.charge(CLASS, "1").await.unwrap(), declined);
        let later = fixture.charge(CLASS, "2").await.unwrap();
        assert!(matches!(later, ProviderAnswer::Charged { .. }), "{later:?}");
        assert_eq!(fixture.charges().await, 2);
    }

    #[tokio::test]
    async fn a_silent_provider_has_charged_once_and_says_so_when_it_is_asked_again() {
        let mut fixture = Fixture::new().await;
        fixture.bend(PaymentDials {
            mode: ProviderMode::Silent,
            ..PaymentDials::default()
        });
        for _ in 0..3 {
            let silent = fixture.charge(CLASS, "1").await;
            assert!(matches!(silent, Err(ProviderError::NotYet)), "{silent:?}");
        }
        assert!(fixture.is_charged_elsewhere("1").await);
        assert_eq!(fixture.charges().await, 1);
        fixture.reset();
        let charged = fixture.charge(CLASS, "1").await.unwrap();
        assert!(matches!(charged, ProviderAnswer::Charged { .. }), "{charged:?}");
        assert_eq!(fixture.charges().await, 1);
    }

    #[tokio::test]
    async fn a_request_that_does_not_reach_the_provider_is_not_carried_out() {
        let mut fixture = Fixture::new().await;
        fixture.bend(PaymentDials {
            fail_next: 3,
            ..PaymentDials::default()
        });
        for _ in 0..3 {
            let failed = fixture.charge(CLASS, "1").await;
            assert!(matches!(failed, Err(ProviderError::Unavailable(_))), "{failed:?}");
            assert_eq!(fixture.charges().await, 0);
        }
        assert!(fixture.is_charged_elsewhere("1").await);
        assert!(fixture.charge(CLASS, "1").await.is_ok());
        assert_eq!(fixture.charges().await, 1);
    }

    /// A provider that charges at once, and counts that.
    #[derive(Debug, Default)]
    struct PromptProvider {
        charges: Mutex<u32>,
    }

    #[async_trait]
    impl PaymentProvider for PromptProvider {
        async fn ask(
            &self,
            _: WorkspaceId,
            key: &str,
            _: &ProviderRequest,
        ) -> Result<ProviderAnswer, ProviderError> {
            *self.charges.lock().unwrap() += 1;
            Ok(ProviderAnswer::Charged {
                charge: format!("ch_{key}"),
            })
        }
    }

    #[async_trait]
    impl DecliningProvider for PromptProvider {
        async fn decline(
            &self,
            workspace: WorkspaceId,
            key: &str,
            request: &ProviderRequest,
        ) -> Result<ProviderAnswer, ProviderError> {
            self.ask(workspace, key, request).await
        }
    }

    async fn charge(
        provider: &Arc<dyn PaymentProvider>,
        workspace: WorkspaceId,
    ) -> Result<ProviderAnswer, ProviderError> {
        let request = ProviderRequest::Charge {
            amount: Money::new(500, "EUR"),
            method: "tok_ok".to_owned(),
        };
        payment::ask(provider, workspace, &"payment-1".parse().unwrap(), &request).await
    }

    fn slow(delay_ms: u32) -> Dials {
        Dials {
            payment: PaymentDials {
                delay_ms,
                ..PaymentDials::default()
            },
            ..Dials::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_comes_after_its_time_to_a_caller_that_repeats_the_request() {
        let (inner, board) = (
            Arc::new(PromptProvider::default()),
            Arc::new(DialBoard::default()),
        );
        let bent = Arc::new(BentProvider::new(Arc::clone(&inner) as _, Arc::clone(&board)));
        let provider: Arc<dyn PaymentProvider> = Arc::clone(&bent) as _;
        board.show(CLASS, 1, slow(5_000));
        for asked in 1..3 {
            let early = charge(&provider, CLASS).await;
            assert!(matches!(early, Err(ProviderError::NotYet)), "{early:?}");
            assert_eq!(*inner.charges.lock().unwrap(), asked, "it was carried out");
        }
        charge(&provider, OTHER).await.unwrap();
        charge(&provider, CLASS).await.unwrap();
        assert!(bent.asked_at().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_comes_at_once_when_the_dial_is_put_to_rest() {
        let board = Arc::new(DialBoard::default());
        let bent = BentProvider::new(Arc::new(PromptProvider::default()), Arc::clone(&board));
        let provider: Arc<dyn PaymentProvider> = Arc::new(bent);
        board.show(CLASS, 1, slow(60_000));
        let reset = async {
            tokio::task::yield_now().await;
            board.show(CLASS, 2, Dials::default())
        };
        let (answered, is_shown) = tokio::join!(charge(&provider, CLASS), reset);
        assert!(
            matches!(answered, Ok(ProviderAnswer::Charged { .. })),
            "{answered:?}"
        );
        assert!(is_shown);
    }

    #[tokio::test(start_paused = true)]
    async fn the_requests_that_a_slow_provider_has_not_answered_are_bounded() {
        let board = Arc::new(DialBoard::default());
        let bent = BentProvider::new(Arc::new(PromptProvider::default()), Arc::clone(&board));
        board.show(CLASS, 1, slow(60_000));
        for n in 0..2 * MOST_SLOW {
            let key = n.to_string();
            let unanswered = tokio::time::timeout(Duration::from_millis(1), bent.take_time(CLASS, &key));
            assert!(unanswered.await.is_err());
        }
        assert!(bent.asked_at().len() <= MOST_SLOW);
    }
}
