//! The findings of a verification, and those of comparing stored documents with folded ones.

use serde_json::Value;

use super::{
    MAX_FINDINGS, VerifyError,
    scratch::{Difference, Scratch},
    stored_view::StoredView,
};

/// The first findings; later ones are dropped.
#[derive(Default)]
pub(super) struct Findings(Vec<String>);

impl Findings {
    pub(super) fn add(&mut self, finding: String) {
        if !self.is_full() {
            self.0.push(finding);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MAX_FINDINGS
    }

    pub(super) fn into_vec(self) -> Vec<String> {
        self.0
    }

    /// Compares the stored documents of a view with the folded ones.
    pub(super) async fn compare(
        &mut self,
        stored: &StoredView,
        scratch: &mut Scratch,
    ) -> Result<(), VerifyError> {
        let view = stored.view.name();
        if !stored.passed.is_empty() {
            self.add(format!(
                "{view}: {} events are dead letters, wait behind one, or were discarded",
                stored.passed.len()
            ));
        }
        scratch
            .differences(view, |difference| {
                self.compare_one(view, difference);
                !self.is_full()
            })
            .await?;
        for key in scratch.missing(view, MAX_FINDINGS).await? {
            self.add(format!("{view}: {key} is missing"));
        }
        Ok(())
    }

    fn compare_one(&mut self, view: &str, (key, stored, folded, entries, listed): Difference) {
        let Some(folded) = folded else {
            self.add(format!("{view}: {key} is there, and no event makes it"));
            return;
        };
        if folded != stored && parsed(&folded) != parsed(&stored) {
            self.add(format!("{view}: {key} differs from its fold"));
        }
        if entries.as_deref().and_then(places) != places(&listed) {
            self.add(format!("{view}: {key} is not listed where it belongs"));
        }
    }
}

/// Listing, group and sort key of each entry, in order.
fn places(json: &str) -> Option<Vec<(String, String, String)>> {
    let mut places: Vec<_> = serde_json::from_str(json).ok()?;
    places.sort_unstable();
    Some(places)
}

/// Parses JSON, because the order of fields does not matter.
fn parsed(json: &str) -> Option<Value> {
    serde_json::from_str(json).ok()
}
