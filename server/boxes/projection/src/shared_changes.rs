//! The changes of a commit as JSON, for the servers that do not own its lane: enough to invalidate their
//! caches and to tell their clients what a client of the owner is told.

use std::{borrow::Cow, sync::Arc};

use cache::Topic;
use documents::Scope;
use domain::view::{AnyView, ListingEntry};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::fold_result::{ChangeEvent, DocumentChange, DocumentState};

/// More than this is not handed over change by change: the other servers read what they need.
const MAX_BYTES: usize = 256 * 1024;

#[derive(Debug, Serialize, Deserialize)]
struct Change<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    position: u64,
    event_id: Uuid,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    command_id: Option<Uuid>,
    last_of_event: bool,
    #[serde(borrow)]
    before: Option<State<'a>>,
    #[serde(borrow)]
    after: Option<State<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct State<'a> {
    /// Absent in the state before: no client is shown it.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    owner: Option<Uuid>,
    /// Listing, group and sort key.
    listings: Vec<(String, String, String)>,
}

impl<'a> State<'a> {
    fn new(state: &'a DocumentState, with_data: bool) -> Self {
        let listings = state.listings.iter();
        Self {
            data: with_data.then_some(&*state.data),
            owner: state.owner,
            listings: listings
                .map(|entry| (entry.listing.to_owned(), entry.group.clone(), entry.sort.clone()))
                .collect(),
        }
    }

    /// The state at this server. A listing that this program does not have is left out.
    fn restored(self, view: &dyn AnyView) -> Result<Arc<DocumentState>, serde_json::Error> {
        let known = view.listing_names();
        let entry = |(name, group, sort): (String, String, String)| {
            let listing = known.iter().copied().find(|listing| *listing == name)?;
            Some(ListingEntry { listing, group, sort })
        };
        let data = match self.data {
            Some(data) => data.to_owned(),
            None => to_raw_value(&())?,
        };
        Ok(Arc::new(DocumentState {
            data: data.into(),
            owner: self.owner,
            listings: self.listings.into_iter().filter_map(entry).collect(),
        }))
    }
}

/// The changes as JSON; `None`: there are too many.
pub(super) fn encode(changes: &[DocumentChange]) -> Option<String> {
    let changes: Vec<_> = changes
        .iter()
        .map(|change| Change {
            key: Cow::Borrowed(&*change.key),
            position: change.event.position,
            event_id: change.event.event_id,
            event_type: Cow::Borrowed(change.event.event_type.as_str()),
            command_id: change.event.command_id,
            last_of_event: change.last_of_event,
            before: change.before.as_ref().map(|state| State::new(state, false)),
            after: change.after.as_ref().map(|state| State::new(state, true)),
        })
        .collect();
    let json = serde_json::to_string(&changes).ok()?;
    (json.len() <= MAX_BYTES).then_some(json)
}

/// The changes of a view that another server has handed over.
pub(super) fn decode(view: &dyn AnyView, json: &str) -> Result<Vec<DocumentChange>, serde_json::Error> {
    let changes: Vec<Change<'_>> = serde_json::from_str(json)?;
    let restored = |state: Option<State<'_>>| state.map(|state| state.restored(view)).transpose();
    changes
        .into_iter()
        .map(|change| {
            Ok(DocumentChange {
                key: (&*change.key).into(),
                event: Arc::new(ChangeEvent {
                    position: change.position,
                    event_id: change.event_id,
                    event_type: change.event_type.into_owned(),
                    command_id: change.command_id,
                }),
                last_of_event: change.last_of_event,
                before: restored(change.before)?,
                after: restored(change.after)?,
            })
        })
        .collect()
}

/// The topics whose cached answers the changes make out of date.
pub(super) fn topics(scope: &Scope, changes: &[DocumentChange]) -> Vec<Topic> {
    let mut topics = Vec::new();
    for change in changes {
        topics.push(Topic::Document {
            workspace: scope.workspace,
            view: scope.view,
            key: change.key.to_string(),
        });
        for state in [&change.before, &change.after].into_iter().flatten() {
            topics.extend(state.listings.iter().map(|entry| Topic::Group {
                workspace: scope.workspace,
                view: scope.view,
                listing: entry.listing,
                group: entry.group.clone(),
            }));
        }
    }
    topics
}

#[cfg(test)]
mod tests {
    use domain::{id::WorkspaceId, view};

    use super::*;

    #[expect(
        clippy::unnecessary_wraps,
        reason = "a change has no state where its document is gone"
    )]
    fn state(data: &str, group: &str) -> Option<Arc<DocumentState>> {
        let view = view::all()[0];
        Some(Arc::new(DocumentState {
            data: RawValue::from_string(data.to_owned()).unwrap().into(),
            owner: Some(Uuid::from_u128(7)),
            listings: vec![ListingEntry {
                listing: view.listing_names()[0],
                group: group.to_owned(),
                sort: "\u{0}1".to_owned(),
            }],
        }))
    }

    fn change(key: &str, position: u64, data: &str) -> DocumentChange {
        DocumentChange {
            key: key.into(),
            event: Arc::new(ChangeEvent {
                position,
                event_id: Uuid::from_u128(position.into()),
                event_type: "OrderCreated".to_owned(),
                command_id: None,
            }),
            last_of_event: true,
            before: state("{\"secret\":1}", "open"),
            after: state(data, "shipped"),
        }
    }

    #[test]
    fn another_server_gets_what_clients_are_told() {
        let changes = [change("a \"\\\u{1f600}", 5, "{\"n\":1.0,\"text\":\"\\u0000\"}")];
        let json = encode(&changes).unwrap();
        assert!(!json.contains("secret"), "{json}");
        let decoded = decode(view::all()[0], &json).unwrap();
        let ([sent], [got]) = (&changes, &decoded[..]) else {
            panic!("{decoded:?}")
        };
        assert_eq!(
            (&got.key, &got.event, got.last_of_event),
            (&sent.key, &sent.event, true)
        );
        let (sent_after, got_after) = (sent.after.as_ref().unwrap(), got.after.as_ref().unwrap());
        assert_eq!(got_after.data.get(), sent_after.data.get());
        assert_eq!(
            (got_after.owner, &got_after.listings),
            (sent_after.owner, &sent_after.listings)
        );
        assert_eq!(
            got.before.as_ref().unwrap().listings,
            sent.before.as_ref().unwrap().listings
        );
        let scope = Scope {
            workspace: WorkspaceId(Uuid::nil()),
            view: view::all()[0].name(),
            generation: 1,
        };
        assert_eq!(
            topics(&scope, &decoded).len(),
            3,
            "the document and both of its groups"
        );
    }

    #[test]
    fn too_much_is_not_handed_over_change_by_change() {
        let long = format!("\"{}\"", "x".repeat(MAX_BYTES));
        assert_eq!(encode(&[change("a", 1, &long)]), None);
        assert_eq!(encode(&[]).as_deref(), Some("[]"));
    }
}
