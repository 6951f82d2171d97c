//! The commands whose outcome was recorded lately. A document from before the record still has the command,
//! and may arrive after it: it must not be sent again.

use std::collections::{HashMap, VecDeque};

use domain::id::WorkspaceId;
use uuid::Uuid;

/// How many commands are remembered: many more than are recorded while a commit is announced.
const CAPACITY: usize = 16_384;

/// The newest recorded commands, with the number of each record.
#[derive(Debug, Default)]
pub(super) struct RecordedCommands {
    count: u64,
    numbers: HashMap<(WorkspaceId, Uuid), u64>,
    /// In the order of their first record.
    order: VecDeque<(WorkspaceId, Uuid)>,
}

impl RecordedCommands {
    /// How many records there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Adds a record.
    pub(super) fn add(&mut self, workspace: WorkspaceId, command: Uuid) {
        self.count += 1;
        let key = (workspace, command);
        if self.numbers.insert(key, self.count).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.numbers.remove(&oldest);
        }
    }

    /// Whether a command was recorded after this many records; `None`: whether it was recorded at all.
    pub(super) fn is_after(&self, workspace: WorkspaceId, command: Uuid, as_of: Option<u64>) -> bool {
        let number = self.numbers.get(&(workspace, command));
        number.is_some_and(|number| as_of.is_none_or(|as_of| *number > as_of))
    }

    /// Forgets a purged workspace.
    pub(super) fn end(&mut self, workspace: WorkspaceId) {
        self.numbers.retain(|(of, _), _| *of != workspace);
        self.order.retain(|(of, _)| *of != workspace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_commands_are_remembered_with_the_number_of_their_record() {
        let workspace = WorkspaceId(Uuid::from_u128(1));
        let id = |n: usize| Uuid::from_u128(u128::try_from(n).unwrap());
        let mut recorded = RecordedCommands::default();
        for n in 1..=CAPACITY {
            recorded.add(workspace, id(n));
        }
        let before = recorded.count();
        assert!(recorded.is_after(workspace, id(1), None));
        assert!(!recorded.is_after(workspace, id(1), Some(before)));
        recorded.add(workspace, id(1));
        assert!(recorded.is_after(workspace, id(1), Some(before)));
        recorded.add(workspace, id(CAPACITY + 1));
        assert!(
            !recorded.is_after(workspace, id(1), None),
            "the oldest is forgotten"
        );
        assert!(recorded.is_after(workspace, id(2), None));
        recorded.end(workspace);
        assert!(!recorded.is_after(workspace, id(2), None));
    }
}
