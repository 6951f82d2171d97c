//! A payment provider like the test mode of a card processor: the payment method decides what happens.
//!
//! It has its own books, as a processor does: every request under its key, and every charge. They are in
//! the process store, change in one transaction for each request, and are purged with their workspace. Its
//! clock is the workspace's.
//!
//! Sample orders, as those of a template, are charged without it: [`sample_answer`] gives its answers. It has
//! no request of theirs in its books, and refunds their charges like its own.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    aggregate::payment::{ProviderAnswer, ProviderRequest},
    id::WorkspaceId,
    money::Money,
    reason::Reason,
    timestamp::Timestamp,
    view::ListingEntry,
    wire::Order,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::timeout;
use uuid::Uuid;

use super::{BOOKS_TIMEOUT, DecliningProvider, PaymentProvider, ProviderError};
use documents::{
    DocumentStore, DocumentStoreError, DocumentWrite, FIRST_GENERATION, FoldFault, FoldInput, FoldOutput,
    PageRequest, Scope, SeekKey,
};

use workspace_clock::Clocks;

/// The view name of the books in the process store.
const BOOKS: &str = "payment_provider";

/// The listing of charges, by time.
const CHARGES: &str = "charges";

/// After how long `tok_timeout` answers: after the deadline of the caller.
const LATE_MS: i64 = 8_000;

/// The method that is declined, and as which a charge is treated that is to be declined.
const DECLINED: &str = "tok_declined";

/// How often `tok_flaky` fails before it charges.
const FLAKY_FAILURES: u32 = 2;

/// How ids of the charges of sample orders begin; the order's id follows.
const SAMPLE_CHARGE: &str = "ch_sample_";

const PAGE: u32 = 200;

/// A request, as it is stored under its key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Request {
    /// The content of the request, so that a key belongs to one request only.
    wanted: String,
    /// How often it was sent.
    asked: u32,
    /// The answer; `None` while the provider fails.
    answer: Option<ProviderAnswer>,
    /// From when on it is given, by the workspace's clock.
    answers_at: Timestamp,
}

/// A charge in the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Its id at the provider.
    pub charge: String,
    /// The key of the request that it belongs to.
    pub key: String,
    /// The amount.
    pub amount: Money,
    /// The payment method.
    pub method: String,
    /// When it was made, by the workspace's clock.
    pub charged_at: Timestamp,
    /// When it was refunded; `None`: it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded_at: Option<Timestamp>,
}

/// The payment provider in test mode.
#[derive(Debug)]
pub struct TestMode {
    books: Arc<dyn DocumentStore>,
    clocks: Arc<Clocks>,
}

/// The changes of a request in the books.
struct Entry {
    request: Request,
    charge: Option<Charge>,
}

impl TestMode {
    /// A provider with its books in `books`, which uses the workspaces' clocks.
    pub fn new(books: Arc<dyn DocumentStore>, clocks: Arc<Clocks>) -> Self {
        Self { books, clocks }
    }

    /// Every charge in a workspace, by time.
    pub async fn charges(
        books: &dyn DocumentStore,
        workspace: WorkspaceId,
    ) -> Result<Vec<Charge>, DocumentStoreError> {
        let mut charges = Vec::new();
        let mut after: Option<SeekKey> = None;
        loop {
            let request = PageRequest {
                listing: CHARGES,
                group: "",
                order: Order::Asc,
                limit: PAGE,
                after: after.as_ref(),
            };
            let page = books.page(workspace, BOOKS, &request).await?.value;
            let Some(last) = page.last() else {
                return Ok(charges);
            };
            after = Some(SeekKey {
                sort: last.sort.clone(),
                key: last.document.key.clone(),
            });
            for row in &page {
                charges.push(parsed(row.document.data.get())?);
            }
        }
    }

    /// Looks up a request in the books, and enters its outcome, in one transaction. `declines`: a charge that
    /// has no answer yet is declined.
    async fn enter(
        &self,
        workspace: WorkspaceId,
        key: &str,
        request: &ProviderRequest,
        (declines, now): (bool, Timestamp),
    ) -> Result<Request, DocumentStoreError> {
        let request_key = format!("request/{key}");
        // An id that cannot be guessed; it is used if the request is new.
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
        let mut fold = |loaded: FoldInput| {
            let find = |key: &str| loaded.documents.iter().find(|document| document.key == *key);
            let recorded: Option<Request> = find(&request_key)
                .map(|document| parsed(document.data.get()).map_err(fault))
                .transpose()?;
            let charge: Option<Charge> = find(&charge_key)
                .map(|document| parsed(document.data.get()).map_err(fault))
                .transpose()?;
            let is_answered = recorded
                .as_ref()
                .is_some_and(|recorded| recorded.answer.is_some() || recorded.wanted != wanted(request));
            if is_answered {
                found = recorded;
                return Ok(FoldOutput::default());
            }
            let asked = recorded.map_or(0, |recorded| recorded.asked) + 1;
            let entry = match request {
                ProviderRequest::Charge { amount, method } => {
                    let treated = if declines { DECLINED } else { method.as_str() };
                    let mut entry = charged(key, &new_charge, (amount, treated), asked, now);
                    // The key stands for what was asked, however it was treated.
                    entry.request.wanted = wanted(request);
                    entry
                }
                ProviderRequest::Refund { .. } => {
                    let charge = charge.clone().or_else(|| sample_charge(request, now));
                    refunded(charge, asked, request, now)
                }
            };
            found = Some(entry.request.clone());
            let mut writes = vec![write(&request_key, &entry.request, Vec::new())?];
            if let Some(after) = &entry.charge {
                let added_entries = match &charge {
                    Some(_) => Vec::new(),
                    None => vec![ListingEntry::new(CHARGES, after.charged_at.to_string())],
                };
                writes.push(write(&charge_key, after, added_entries)?);
            }
            Ok(FoldOutput {
                writes,
                ..FoldOutput::default()
            })
        };
        self.books
            .amend(&scope, &[request_key.clone(), charge_key.clone()], &mut fold)
            .await?;
        found.ok_or_else(|| DocumentStoreError::Corrupt("a request was not entered".to_owned()))
    }

    /// Enters a request, and gives the answer as far as it has one.
    async fn answer(
        &self,
        workspace: WorkspaceId,
        key: &str,
        request: &ProviderRequest,
        declines: bool,
    ) -> Result<ProviderAnswer, ProviderError> {
        let entering = async {
            let now = self.clocks.now(workspace).await?;
            let entered = self.enter(workspace, key, request, (declines, now)).await?;
            Ok::<_, DocumentStoreError>((entered, now))
        };
        let entered = timeout(BOOKS_TIMEOUT, entering)
            .await
            .unwrap_or_else(|elapsed| Err(DocumentStoreError::Unavailable(elapsed.to_string())));
        let (entered, now) = entered.map_err(|error| {
            tracing::warn!(%error, "the books of the payment provider's test mode cannot be used");
            let reason = "its books cannot be used now".to_owned();
            match error {
                DocumentStoreError::Unavailable(_) | DocumentStoreError::Full(_) => {
                    ProviderError::Interrupted(reason)
                }
                _ => ProviderError::Unavailable(reason),
            }
        })?;
        if entered.wanted != wanted(request) {
            return Err(ProviderError::KeyReused);
        }
        match entered.answer {
            Some(answer) if entered.answers_at <= now => Ok(answer),
            Some(_) => Err(ProviderError::NotYet),
            None => Err(ProviderError::Unavailable(
                "it failed, as its method says".to_owned(),
            )),
        }
    }
}

#[async_trait]
impl PaymentProvider for TestMode {
    async fn ask(
        &self,
        workspace: WorkspaceId,
        key: &str,
        request: &ProviderRequest,
    ) -> Result<ProviderAnswer, ProviderError> {
        self.answer(workspace, key, request, false).await
    }
}

#[async_trait]
impl DecliningProvider for TestMode {
    async fn decline(
        &self,
        workspace: WorkspaceId,
        key: &str,
        request: &ProviderRequest,
    ) -> Result<ProviderAnswer, ProviderError> {
        self.answer(workspace, key, request, true).await
    }
}

/// The answer to a request for a sample order, which is not in the books. `None`: its method gives none at
/// once.
pub fn sample_answer(order: &str, request: &ProviderRequest) -> Option<ProviderAnswer> {
    match request {
        ProviderRequest::Charge { amount, method } => {
            let (id, now) = (format!("{SAMPLE_CHARGE}{order}"), Timestamp::default());
            let Request {
                answer, answers_at, ..
            } = charged("", &id, (amount, method), 1, now).request;
            answer.filter(|_| answers_at == now)
        }
        ProviderRequest::Refund { .. } => Some(ProviderAnswer::Refunded),
    }
}

/// The charge of a sample order that is to be refunded, as if it had been in the books.
fn sample_charge(request: &ProviderRequest, now: Timestamp) -> Option<Charge> {
    let ProviderRequest::Refund { charge, amount } = request else {
        return None;
    };
    let order = charge.strip_prefix(SAMPLE_CHARGE)?;
    Some(Charge {
        charge: charge.clone(),
        key: format!("charge/{order}"),
        amount: amount.clone(),
        method: "tok_ok".to_owned(),
        charged_at: now,
        refunded_at: None,
    })
}

fn charged(
    key: &str,
    new_charge: &str,
    (amount, method): (&Money, &str),
    asked: u32,
    now: Timestamp,
) -> Entry {
    let declined = |reason: Reason<'_>| {
        Some(ProviderAnswer::Refused {
            reason: reason.to_string(),
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
        DECLINED => (declined(Reason::CardDeclined), 0),
        "tok_insufficient_funds" => (declined(Reason::InsufficientFunds), 0),
        _ => (declined(Reason::UnknownMethod), 0),
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

/// The content of a request as a text, for comparison.
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
    added_entries: Vec<ListingEntry>,
) -> Result<DocumentWrite, FoldFault> {
    let data = serde_json::value::to_raw_value(document)
        .map_err(|error| fault(DocumentStoreError::Corrupt(error.to_string())))?;
    Ok(DocumentWrite {
        key: key.to_owned(),
        data: Some(data.into()),
        owner: None,
        removed_entries: Vec::new(),
        added_entries,
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
