//! Reads the log of a partition page by page, checks its chain, and decodes each event once for all views.

use std::sync::Arc;

use domain::event::{StoredEvent, TypedEvent};
use tokio::sync::mpsc;

use super::{
    Limits, VerifyError, blocking,
    findings::Findings,
    fold::{Touched, ViewFold, fold_pages},
    scratch::Scratch,
    stored_view::StoredView,
    stream_versions::StreamVersions,
};
use crate::chain::ChainCheck;
use event_store::{EventStore, Workspace};

/// Events of a page that were checked and decoded.
pub(super) struct CheckedPage {
    /// Those that change documents.
    pub(super) events: Vec<TypedEvent>,
    /// For each view, in the order of events, the documents that they change.
    pub(super) touched: Vec<Vec<Touched>>,
}

/// Checks the log of one partition and folds it into `folds`. The next page is read, and the one before it
/// checked and decoded, while a page is folded. Returns the folds and the number of events.
pub(super) async fn check_and_fold(
    store: &dyn EventStore,
    (workspace, partition): (&Workspace, u32),
    views: &Arc<[StoredView]>,
    folds: Vec<ViewFold>,
    limits: Limits,
    (scratch, findings): (&mut Scratch, &mut Findings),
) -> Result<(Vec<ViewFold>, u64), VerifyError> {
    let chain = ChainCheck::new(workspace.shards, partition);
    let (read, to_check) = mpsc::channel(1);
    let (checked, to_fold) = mpsc::channel(1);
    let ((), mut chain, folds) = tokio::try_join!(
        read_pages(store, (workspace, partition), limits.page, read),
        check_pages(chain, to_check, views, limits.streams, (checked, &mut *findings)),
        fold_pages(folds, to_fold, limits.documents, scratch),
    )?;
    for finding in chain.findings.drain(..) {
        findings.add(finding);
    }
    Ok((folds, chain.events))
}

async fn read_pages(
    store: &dyn EventStore,
    (workspace, partition): (&Workspace, u32),
    page_size: u32,
    pages: mpsc::Sender<Vec<StoredEvent>>,
) -> Result<(), VerifyError> {
    let mut after = 0;
    loop {
        let page = store
            .read_partition(workspace.id, partition, after, page_size)
            .await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.position;
        // The next step ends early only with an error of its own.
        if pages.send(page).await.is_err() {
            return Ok(());
        }
    }
}

async fn check_pages(
    mut chain: ChainCheck,
    mut pages: mpsc::Receiver<Vec<StoredEvent>>,
    views: &Arc<[StoredView]>,
    max_streams: usize,
    (checked, findings): (mpsc::Sender<CheckedPage>, &mut Findings),
) -> Result<ChainCheck, VerifyError> {
    let mut versions = StreamVersions::new(max_streams);
    while let Some(page) = pages.recv().await {
        versions.recall(&mut chain, &page).await?;
        let views = Arc::clone(views);
        let (continued, page, unreadable) = blocking(move || {
            let (page, unreadable) = check_page(&mut chain, &page, &views);
            (chain, page, unreadable)
        })
        .await?;
        chain = continued;
        for finding in unreadable {
            findings.add(finding);
        }
        versions.make_room(&mut chain).await?;
        if checked.send(page).await.is_err() {
            break;
        }
    }
    Ok(chain)
}

/// The page, and a finding for each event that cannot be decoded.
fn check_page(
    chain: &mut ChainCheck,
    page: &[StoredEvent],
    views: &[StoredView],
) -> (CheckedPage, Vec<String>) {
    let mut events = Vec::with_capacity(page.len());
    let mut touched: Vec<Vec<Touched>> = views.iter().map(|_| Vec::new()).collect();
    let mut unreadable = Vec::new();
    for event in page {
        chain.check(event);
        let typed = match event.decode() {
            Ok(typed) => typed,
            Err(error) => {
                unreadable.push(format!(
                    "{} {} cannot be folded: {error}",
                    event.event_type, event.event_id
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
    (CheckedPage { events, touched }, unreadable)
}
