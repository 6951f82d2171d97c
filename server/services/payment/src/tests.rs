//! The test mode gives one answer for each key.

use std::{path::Path, sync::Arc};

use domain::{
    aggregate::payment::{ProviderAnswer, ProviderRequest},
    id::WorkspaceId,
    money::Money,
};
use uuid::Uuid;

use super::{
    DecliningProvider, PaymentProvider, ProviderError,
    test_mode::{TestMode, sample_answer},
};
use clock::SystemClock;
use documents::{DocumentStore, sqlite::SqliteDocumentStore};

use workspace_clock::Clocks;

const SHOP: WorkspaceId = WorkspaceId(Uuid::from_u128(1));

#[expect(clippy::struct_field_names, reason = "the provider is what is tested")]
struct Provider {
    books: Arc<dyn DocumentStore>,
    clocks: Arc<Clocks>,
    provider: TestMode,
}

impl Provider {
    async fn open(folder: &Path) -> Self {
        let books: Arc<dyn DocumentStore> =
            Arc::new(SqliteDocumentStore::open(&folder.join("books.db")).await.unwrap());
        let clocks = Arc::new(Clocks::new(Arc::new(SystemClock), books.clone()));
        let provider = TestMode::new(books.clone(), clocks.clone());
        Self {
            books,
            clocks,
            provider,
        }
    }

    async fn charge(&self, key: &str, amount: i64, method: &str) -> Result<ProviderAnswer, ProviderError> {
        let request = ProviderRequest::Charge {
            amount: Money::new(amount, "EUR"),
            method: method.to_owned(),
        };
        self.provider.ask(SHOP, key, &request).await
    }

    async fn decline(&self, key: &str, amount: i64, method: &str) -> Result<ProviderAnswer, ProviderError> {
        let request = ProviderRequest::Charge {
            amount: Money::new(amount, "EUR"),
            method: method.to_owned(),
        };
        self.provider.decline(SHOP, key, &request).await
    }

    async fn refund(&self, key: &str, charge: &str) -> ProviderAnswer {
        let request = ProviderRequest::Refund {
            charge: charge.to_owned(),
            amount: Money::new(500, "EUR"),
        };
        self.provider.ask(SHOP, key, &request).await.unwrap()
    }

    async fn charges(&self) -> usize {
        TestMode::charges(&*self.books, SHOP).await.unwrap().len()
    }
}

fn charge_of(answer: &ProviderAnswer) -> String {
    let ProviderAnswer::Charged { charge } = answer else {
        panic!("{answer:?}");
    };
    charge.clone()
}

#[tokio::test]
async fn a_key_is_charged_once_also_after_a_restart_and_by_many_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::open(folder.path()).await;
    let asked = (0..16).map(|_| provider.charge("1", 500, "tok_ok"));
    let answers = futures::future::join_all(asked).await;
    let first = answers[0].as_ref().unwrap().clone();
    for answer in answers {
        assert_eq!(answer.unwrap(), first);
    }
    provider.books.close().await;
    let provider = Provider::open(folder.path()).await;
    assert_eq!(provider.charge("1", 500, "tok_ok").await.unwrap(), first);
    assert_eq!(provider.charges().await, 1);
    assert_ne!(provider.charge("2", 500, "tok_ok").await.unwrap(), first);
}

#[tokio::test]
async fn a_key_stands_for_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::open(folder.path()).await;
    provider.charge("1", 500, "tok_ok").await.unwrap();
    for (amount, method) in [(501, "tok_ok"), (500, "tok_declined")] {
        let other = provider.charge("1", amount, method).await;
        assert!(matches!(other, Err(ProviderError::KeyReused)), "{other:?}");
    }
    assert_eq!(provider.charges().await, 1);
}

#[tokio::test]
async fn books_that_do_not_answer_are_no_answer_of_the_provider() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::open(folder.path()).await;
    provider.books.close().await;
    let interrupted = provider.charge("1", 500, "tok_ok").await;
    assert!(
        matches!(interrupted, Err(ProviderError::Interrupted(_))),
        "{interrupted:?}"
    );
}

#[tokio::test]
async fn each_method_has_its_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::open(folder.path()).await;
    for method in ["tok_declined", "tok_insufficient_funds", "cash"] {
        let answer = provider.charge(method, 500, method).await.unwrap();
        assert!(matches!(answer, ProviderAnswer::Refused { .. }), "{method}");
    }
    for _ in 0..2 {
        let failed = provider.charge("flaky", 500, "tok_flaky").await;
        assert!(matches!(failed, Err(ProviderError::Unavailable(_))), "{failed:?}");
    }
    assert_eq!(provider.charges().await, 0);
    charge_of(&provider.charge("flaky", 500, "tok_flaky").await.unwrap());
    let late = provider.charge("late", 500, "tok_timeout").await;
    assert!(matches!(late, Err(ProviderError::NotYet)), "{late:?}");
    assert_eq!(
        provider.charges().await,
        2,
        "it has charged, and does not answer yet"
    );
    provider.clocks.put_forward(SHOP, 8_000).await.unwrap();
    charge_of(&provider.charge("late", 500, "tok_timeout").await.unwrap());
    assert_eq!(provider.charges().await, 2);
}

#[tokio::test]
async fn a_charge_that_is_to_be_declined_is_declined_for_ever_and_an_earlier_answer_stays() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::open(folder.path()).await;
    let earlier = provider.charge("earlier", 500, "tok_ok").await.unwrap();
    assert_eq!(provider.decline("earlier", 500, "tok_ok").await.unwrap(), earlier);
    provider.charge("flaky", 500, "tok_flaky").await.unwrap_err();
    for method in ["tok_ok", "tok_flaky", "tok_timeout"] {
        let key = method.strip_prefix("tok_").unwrap();
        let declined = provider.decline(key, 500, method).await.unwrap();
        assert!(
            matches!(declined, ProviderAnswer::Refused { .. }),
            "{method}: {declined:?}"
        );
        assert_eq!(
            provider.charge(key, 500, method).await.unwrap(),
            declined,
            "{method}"
        );
        let other = provider.decline(key, 501, method).await;
        assert!(matches!(other, Err(ProviderError::KeyReused)), "{other:?}");
    }
    assert_eq!(provider.charges().await, 1);
    // what was charged before can be given back
    let refund = ProviderRequest::Refund {
        charge: charge_of(&earlier),
        amount: Money::new(500, "EUR"),
    };
    let refunded = provider.provider.decline(SHOP, "back", &refund).await.unwrap();
    assert_eq!(refunded, ProviderAnswer::Refunded);
}

#[tokio::test]
async fn a_charge_is_refunded_once() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::open(folder.path()).await;
    let charge = charge_of(&provider.charge("1", 500, "tok_ok").await.unwrap());
    for _ in 0..2 {
        assert_eq!(provider.refund("back", &charge).await, ProviderAnswer::Refunded);
    }
    let other = provider.refund("again", &charge).await;
    assert!(matches!(other, ProviderAnswer::Refused { .. }), "{other:?}");
    let unknown = provider.refund("unknown", "ch_0").await;
    assert!(matches!(unknown, ProviderAnswer::Refused { .. }), "{unknown:?}");
    let charges = TestMode::charges(&*provider.books, SHOP).await.unwrap();
    assert_eq!(charges.len(), 1);
    assert!(charges[0].refunded_at.is_some());
}

#[tokio::test]
async fn the_charge_of_a_sample_order_is_refunded_once_too() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::open(folder.path()).await;
    let request = |method: &str| ProviderRequest::Charge {
        amount: Money::new(500, "EUR"),
        method: method.to_owned(),
    };
    let charge = charge_of(&sample_answer("7", &request("tok_ok")).unwrap());
    assert_ne!(
        charge,
        charge_of(&sample_answer("8", &request("tok_ok")).unwrap())
    );
    assert_eq!(
        sample_answer("7", &request("tok_declined")),
        Some(provider.charge("7", 500, "tok_declined").await.unwrap()),
        "it answers as the provider does"
    );
    for method in ["tok_flaky", "tok_timeout"] {
        assert_eq!(sample_answer("7", &request(method)), None, "{method}");
    }
    for _ in 0..2 {
        assert_eq!(provider.refund("back", &charge).await, ProviderAnswer::Refunded);
    }
    let other = provider.refund("again", &charge).await;
    assert!(matches!(other, ProviderAnswer::Refused { .. }), "{other:?}");
    let charges = TestMode::charges(&*provider.books, SHOP).await.unwrap();
    assert_eq!(charges.len(), 1);
    assert!(charges[0].refunded_at.is_some());
}
