//! A payment provider like a card processor's test mode: the method says what happens.
//!
//! It keeps books of its own, as a processor does: every request under its key, and every charge. They lie beside the
//! processes, are changed in one transaction a request, and go with their workspace. Its time is the workspace's.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    aggregate::payment::{ProviderAnswer, ProviderRequest},
    id::WorkspaceId,
    money::Money,
    timestamp::Timestamp,
    view::ListingEntry,
    wire::Order,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{NoAnswer, PaymentProvider};
use documents::{
    DocumentStore, DocumentStoreError, DocumentWrite, Effect, FIRST_GENERATION, FoldFault, Loaded,
    PageRequest, Scope, SeekKey,
};

use workspace_clock::Clocks;

/// The name under which the books are kept beside the processes.
const BOOKS: &str = "payment_provider";

/// The listing of charges, by time.
const CHARGES: &str = "charges";

/// After how long `tok_timeout` answers: behind the deadline of whoever waits for it.
const LATE_MS: i64 = 8_000;

/// How often `tok_flaky` fails before it charges.
const FLAKY_FAILURES: u32 = 2;

const PAGE: u32 = 200;

/// A request, as it is kept under its key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Request {
    /// What was asked for, so that a key stands for one thing.
    wanted: String,
    /// How often.
    asked: u32,
    /// What is answered; absent while it fails.
    answer: Option<ProviderAnswer>,
    /// From when on, by the workspace's clock.
    answers_at: Timestamp,
}

/// A charge in the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The provider's name for it.
    pub charge: String,
    /// The key of the request that it was made for.
    pub key: String,
    /// How much.
    pub amount: Money,
    /// How.
    pub method: String,
    /// When, by the workspace's clock.
    pub charged_at: Timestamp,
    /// When it was given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded_at: Option<Timestamp>,
}

/// See the module.
#[derive(Debug)]
pub struct TestMode {
    books: Arc<dyn DocumentStore>,
    clocks: Arc<Clocks>,
}

/// What a request changes in the books.
struct Entry {
    request: Request,
    charge: Option<Charge>,
}

impl TestMode {
    /// A provider with its books in `books`, which lives by the workspaces' clocks.
    pub fn new(books: Arc<dyn DocumentStore>, clocks: Arc<Clocks>) -> Self {
        Self { books, clocks }
    }

    /// Every charge in a workspace, by time.
    pub async fn charges(
        books: &dyn DocumentStore,
        workspace: WorkspaceId,
    ) -> Result<Vec<Charge>, DocumentStoreError> {
        let mut charges = Vec::new();
        let mut behind: Option<SeekKey> = None;
        loop {
            let request = PageRequest {
                listing: CHARGES,
                group: "",
                order: Order::Asc,
                limit: PAGE,
                behind: behind.as_ref(),
            };
            let page = books.page(workspace, BOOKS, &request).await?.value;
            let Some(last) = page.last() else {
                return Ok(charges);
            };
            behind = Some(SeekKey {
                sort: last.sort.clone(),
                key: last.document.key.clone(),
            });
            for row in &page {
                charges.push(parsed(row.document.data.get())?);
            }
        }
    }

    /// Looks a request up in the books, and enters what becomes of it, in one transaction.
    async fn enter(
        &self,
        workspace: WorkspaceId,
        key: &str,
        request: &ProviderRequest,
        now: Timestamp,
    ) -> Result<Request, DocumentStoreError> {
        let request_key = format!("request/{key}");
        // A name that nobody can guess; it is used where the request turns out to be new.
        let new_charge = format!("ch_{}", Uuid::from_bytes(rand::random()).simple());
        let charge_key = match request {
            ProviderRequest::Charge { .. } => format!("charge/{new_charge}"),
            ProviderRequest::Refund { charge, .. } => format!("charge/{charge}"),
        };
        let scope = Scope {
            workspace,
            view: BOOKS,
            generation: FIRST_GENERATION,
        };
        let mut found: Option<Request> = None;
        let mut fold = |loaded: Loaded| {
            let find = |key: &str| loaded.documents.iter().find(|document| document.key == *key);
            let known: Option<Request> = find(&request_key)
                .map(|document| parsed(document.data.get()).map_err(fault))
                .transpose()?;
            let charge: Option<Charge> = find(&charge_key)
                .map(|document| parsed(document.data.get()).map_err(fault))
                .transpose()?;
            let is_answered = known
                .as_ref()
                .is_some_and(|known| known.answer.is_some() || known.wanted != wanted(request));
            if is_answered {
                found = known;
                return Ok(Effect::default());
            }
            let asked = known.map_or(0, |known| known.asked) + 1;
            let entry = match request {
                ProviderRequest::Charge { amount, method } => {
                    charged(key, &new_charge, (amount, method.as_str()), asked, now)
                }
                ProviderRequest::Refund { .. } => refunded(charge.clone(), asked, request, now),
            };
            found = Some(entry.request.clone());
            let mut writes = vec![write(&request_key, &entry.request, Vec::new())?];
            if let Some(after) = &entry.charge {
                let entered = match &charge {
                    Some(_) => Vec::new(),
                    None => vec![ListingEntry::new(CHARGES, after.charged_at.to_string())],
                };
                writes.push(write(&charge_key, after, entered)?);
            }
            Ok(Effect {
                writes,
                parked: Vec::new(),
            })
        };
        self.books
            .amend(&scope, &[request_key.clone(), charge_key.clone()], &mut fold)
            .await?;
        found.ok_or_else(|| DocumentStoreError::Corrupt("a request was not entered".to_owned()))
    }
}

#[async_trait]
impl PaymentProvider for TestMode {
    async fn ask(
        &self,
        workspace: WorkspaceId,
        key: &str,
        request: &ProviderRequest,
    ) -> Result<ProviderAnswer, NoAnswer> {
        let unavailable = |error: DocumentStoreError| {
            tracing::warn!(%error, "the books of the payment provider's test mode cannot be used");
            NoAnswer::Unavailable("its books cannot be used now".to_owned())
        };
        let now = self.clocks.now(workspace).await.map_err(unavailable)?;
        let entered = self
            .enter(workspace, key, request, now)
            .await
            .map_err(unavailable)?;
        if entered.wanted != wanted(request) {
            return Err(NoAnswer::KeyReused);
        }
        match entered.answer {
            Some(answer) if entered.answers_at <= now => Ok(answer),
            Some(_) => Err(NoAnswer::NotYet),
            None => Err(NoAnswer::Unavailable("it failed, as its method says".to_owned())),
        }
    }
}

fn charged(
    key: &str,
    new_charge: &str,
    (amount, method): (&Money, &str),
    asked: u32,
    now: Timestamp,
) -> Entry {
    let declined = |reason: &str| {
        Some(ProviderAnswer::Refused {
            reason: reason.to_owned(),
        })
    };
    let done = || {
        Some(ProviderAnswer::Charged {
            charge: new_charge.to_owned(),
        })
    };
    let (answer, late_ms) = match method {
        "tok_timeout" => (done(), LATE_MS),
        "tok_flaky" if asked <= FLAKY_FAILURES => (None, 0),
        "tok_ok" | "tok_flaky" => (done(), 0),
        "tok_declined" => (declined("the card was declined"), 0),
        "tok_insufficient_funds" => (declined("there is not enough money on the card"), 0),
        _ => (declined("this method of payment is not known"), 0),
    };
    let is_charged = matches!(answer, Some(ProviderAnswer::Charged { .. }));
    Entry {
        request: Request {
            wanted: wanted_charge(amount, method),
            asked,
            answer,
            answers_at: Timestamp::from_micros(now.as_micros().saturating_add(late_ms * 1_000)),
        },
        charge: is_charged.then(|| Charge {
            charge: new_charge.to_owned(),
            key: key.to_owned(),
            amount: amount.clone(),
            method: method.to_owned(),
            charged_at: now,
            refunded_at: None,
        }),
    }
}

fn refunded(charge: Option<Charge>, asked: u32, request: &ProviderRequest, now: Timestamp) -> Entry {
    let refused = |reason: &str| ProviderAnswer::Refused {
        reason: reason.to_owned(),
    };
    let (answer, charge) = match charge {
        None => (refused("there is no such charge"), None),
        Some(charge) if charge.refunded_at.is_some() => (refused("it was given back before"), None),
        Some(charge) => {
            let refunded_at = Some(now);
            (
                ProviderAnswer::Refunded,
                Some(Charge {
                    refunded_at,
                    ..charge
                }),
            )
        }
    };
    Entry {
        request: Request {
            wanted: wanted(request),
            asked,
            answer: Some(answer),
            answers_at: now,
        },
        charge,
    }
}

/// A request as a text: the same for the same.
fn wanted(request: &ProviderRequest) -> String {
    match request {
        ProviderRequest::Charge { amount, method } => wanted_charge(amount, method),
        ProviderRequest::Refund { charge, amount } => {
            format!("refund {charge} {} {}", amount.amount, amount.currency)
        }
    }
}

fn wanted_charge(amount: &Money, method: &str) -> String {
    format!("charge {} {} by {method}", amount.amount, amount.currency)
}

fn write<T: Serialize>(
    key: &str,
    document: &T,
    entered: Vec<ListingEntry>,
) -> Result<DocumentWrite, FoldFault> {
    let data = serde_json::value::to_raw_value(document)
        .map_err(|error| fault(DocumentStoreError::Corrupt(error.to_string())))?;
    Ok(DocumentWrite {
        key: key.to_owned(),
        data: Some(data.into()),
        owner: None,
        left: Vec::new(),
        entered,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn fault(error: DocumentStoreError) -> FoldFault {
    FoldFault {
        position: 0,
        reason: error.to_string(),
    }
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, DocumentStoreError> {
    serde_json::from_str(text)
        .map_err(|error| DocumentStoreError::Corrupt(format!("the payment provider's books: {error}")))
}
