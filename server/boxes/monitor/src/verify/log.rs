//! Reads the log of a partition page by page, checks its chain, its head and what is listed of it, and
//! decodes each event once for all views.

use std::{collections::BTreeSet, sync::Arc};

use domain::event::{StoredEvent, TypedEvent};
use tokio::sync::mpsc;

use super::{
    Limits, MAX_FINDINGS, VerifyError,
    answers::{CommandRuns, Run},
    blocking,
    findings::Findings,
    fold::{Touched, ViewFold, fold_pages},
    scratch::Scratch,
    stored_view::StoredView,
    stream_versions::StreamVersions,
    type_blocks::{BlockCheck, block_entry},
};
use crate::chain::ChainCheck;
use event_store::{AuditedEvent, ChainHead, EventStore, StoreError, TypeBlockEntry, Workspace};

/// Events of a page that were checked and decoded.
pub(super) struct CheckedPage {
    /// Those that change documents.
    pub(super) events: Vec<TypedEvent>,
    /// For each view, in the order of events, the documents that they change.
    pub(super) touched: Vec<Vec<Touched>>,
}

/// What a page says besides its documents.
struct PageRecords {
    /// The findings about its events.
    faults: Vec<String>,
    /// Whether an event cannot be read.
    has_unread: bool,
    /// The runs of commands' events.
    runs: Vec<Run>,
    /// The types of its blocks.
    blocks: BTreeSet<TypeBlockEntry>,
}

/// Checks the log of one partition and folds it into `folds`. The next page is read, and the one before it
/// checked and decoded, while a page is folded. Returns the folds, the number of events, and the position of
/// the last.
pub(super) async fn check_and_fold(
    store: &dyn EventStore,
    (workspace, partition): (&Workspace, u32),
    views: &Arc<[StoredView]>,
    folds: Vec<ViewFold>,
    limits: Limits,
    (scratch, runs, findings): (&mut Scratch, &mut CommandRuns, &mut Findings),
) -> Result<(Vec<ViewFold>, u64, u64), VerifyError> {
    let mut chain = ChainCheck::new(workspace.shards, partition);
    if let Some(head) = head(store, workspace, partition).await? {
        chain = chain.up_to(head);
    }
    let mut blocks = BlockCheck::new(store, workspace, partition);
    let (read, to_check) = mpsc::channel(1);
    let (checked, to_fold) = mpsc::channel(1);
    let ((), mut chain, folds) = tokio::try_join!(
        read_pages(store, (workspace, partition), limits.page, read),
        check_pages(
            chain,
            to_check,
            views,
            limits.streams,
            checked,
            (&mut *runs, &mut blocks, &mut *findings)
        ),
        fold_pages(folds, to_fold, limits.documents, scratch),
    )?;
    for finding in chain.findings.drain(..) {
        findings.add(finding);
    }
    let now = head(store, workspace, partition).await?;
    for finding in chain.head_faults(now.as_ref()) {
        findings.add(finding);
    }
    let is_whole = now.is_some_and(|now| now.position <= chain.newest().position);
    blocks.finish(is_whole, findings).await?;
    Ok((folds, chain.events, chain.newest().position))
}

/// The stored head of a partition.
async fn head(
    store: &dyn EventStore,
    workspace: &Workspace,
    partition: u32,
) -> Result<Option<ChainHead>, StoreError> {
    let heads = store.chain_heads(Some(workspace.id)).await?;
    let head = heads.into_iter().find(|(_, of, _)| *of == partition);
    Ok(head.map(|(.., head)| head))
}

async fn read_pages(
    store: &dyn EventStore,
    (workspace, partition): (&Workspace, u32),
    page_size: u32,
    pages: mpsc::Sender<Vec<AuditedEvent>>,
) -> Result<(), VerifyError> {
    let (mut after, mut unread) = (0, 0);
    loop {
        let page = store
            .audit_partition(workspace.id, partition, after, page_size)
            .await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.position;
        unread += page.iter().filter(|read| read.event.is_err()).count();
        // The next step ends early only with an error of its own.
        if pages.send(page).await.is_err() {
            return Ok(());
        }
        // The report has no room for what follows.
        if unread > MAX_FINDINGS {
            return Ok(());
        }
    }
}

async fn check_pages(
    mut chain: ChainCheck,
    mut pages: mpsc::Receiver<Vec<AuditedEvent>>,
    views: &Arc<[StoredView]>,
    max_streams: usize,
    checked: mpsc::Sender<CheckedPage>,
    (runs, blocks, findings): (&mut CommandRuns, &mut BlockCheck<'_>, &mut Findings),
) -> Result<ChainCheck, VerifyError> {
    let mut versions = StreamVersions::new(max_streams);
    while let Some(page) = pages.recv().await {
        versions.recall(&mut chain, &page).await?;
        let views = Arc::clone(views);
        let (continued, page, records) = blocking(move || {
            let (page, records) = check_page(&mut chain, &page, &views);
            (chain, page, records)
        })
        .await?;
        chain = continued;
        for finding in records.faults {
            findings.add(finding);
        }
        if records.has_unread {
            blocks.note_unread();
        }
        runs.add(&records.runs).await?;
        blocks.add(records.blocks, findings).await?;
        versions.make_room(&mut chain).await?;
        if checked.send(page).await.is_err() {
            break;
        }
    }
    Ok(chain)
}

/// The page, and what it says besides.
fn check_page(
    chain: &mut ChainCheck,
    page: &[AuditedEvent],
    views: &[StoredView],
) -> (CheckedPage, PageRecords) {
    let mut events = Vec::with_capacity(page.len());
    let mut touched: Vec<Vec<Touched>> = views.iter().map(|_| Vec::new()).collect();
    let mut faults = Vec::new();
    for read in page {
        let event = match &read.event {
            Ok(event) => event,
            Err(error) => {
                chain.pass(read.position, error);
                continue;
            }
        };
        if read.is_padded {
            faults.push(format!(
                "partition {}, position {}: white space is stored around the payload of {} {}, which was not \
                 hashed",
                event.partition, event.position, event.event_type, event.event_id
            ));
        }
        chain.check(event);
        faults.extend(views.iter().filter_map(|stored| stored.checkpoint_fault(event)));
        let typed = match event.decode() {
            Ok(typed) => typed,
            Err(error) => {
                faults.push(format!(
                    "partition {}, position {}: {} {} cannot be folded: {error}",
                    event.partition, event.position, event.event_type, event.event_id
                ));
                continue;
            }
        };
        let mut is_folded = false;
        for (stored, touched) in views.iter().zip(&mut touched) {
            if !stored.has_folded(&typed) {
                continue;
            }
            // A lane folds an event into a document once, even if the view names the document twice.
            let mut keys = stored.view.keys(&typed);
            keys.sort_unstable();
            keys.dedup();
            is_folded |= !keys.is_empty();
            let event = events.len();
            touched.extend(keys.into_iter().map(|key| Touched { event, key }));
        }
        if is_folded {
            events.push(typed);
        }
    }
    let records = PageRecords {
        faults,
        has_unread: page.iter().any(|read| read.event.is_err()),
        runs: Run::of(readable(page)),
        blocks: readable(page).map(block_entry).collect(),
    };
    (CheckedPage { events, touched }, records)
}

/// Those events of a page that can be read.
fn readable(page: &[AuditedEvent]) -> impl Iterator<Item = &StoredEvent> {
    page.iter().filter_map(|read| read.event.as_ref().ok())
}
