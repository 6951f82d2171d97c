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
        let (lane, view) = (stored.view.name(), stored.name.as_str());
        if let Some(damage) = &stored.damage {
            self.add(format!("{view}: it cannot be read: {damage}"));
            return Ok(());
        }
        for (key, reason) in &stored.unreadable {
            self.add(format!("{view}: {key} cannot be read: {reason}"));
        }
        for key in scratch.entries_without_document(lane, MAX_FINDINGS).await? {
            self.add(format!("{view}: it lists {key}, of which there is no document"));
        }
        if !stored.passed.is_empty() {
            self.add(format!(
                "{view}: {} events are dead letters, wait behind one, or were discarded",
                stored.passed.len()
            ));
        }
        scratch
            .differences(lane, |difference| {
                self.compare_one(view, difference);
                !self.is_full()
            })
            .await?;
        for key in scratch.missing(lane, MAX_FINDINGS).await? {
            self.add(format!("{view}: {key} is missing"));
        }
        Ok(())
    }

    /// What a part of the verification could not read becomes a finding, and the other parts go on.
    pub(super) fn note_damage(
        &mut self,
        part: &str,
        outcome: Result<(), VerifyError>,
    ) -> Result<(), VerifyError> {
        match outcome {
            Err(error) if error.is_damage() => {
                self.add(format!("{part} cannot be read any further: {error}"));
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn compare_one(&mut self, view: &str, difference: Difference) {
        let (key, stored, folded, entries, listed, is_of_another) = difference;
        let Some(folded) = folded else {
            self.add(format!("{view}: {key} is there, and no event makes it"));
            return;
        };
        if folded != stored {
            match serde_json::from_str::<Value>(&stored) {
                Err(error) => self.add(format!("{view}: {key} is not JSON: {error}")),
                // Parsed, because the order of fields does not matter.
                Ok(stored) if serde_json::from_str::<Value>(&folded).ok().as_ref() != Some(&stored) => {
                    self.add(format!("{view}: {key} differs from its fold"));
                }
                Ok(_) => {}
            }
        }
        if is_of_another {
            self.add(format!(
                "{view}: {key} belongs to another person than in its fold"
            ));
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
