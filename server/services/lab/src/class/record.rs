//! What is stored of a class, and the class at one moment.

use std::collections::{BTreeMap, BTreeSet};

use documents::{DocumentStoreError, DocumentWrite, StoredDocument};
use domain::{
    access::Role,
    timestamp::Timestamp,
    view::ListingEntry,
    wire::{ClassCopy, ClassStage},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::people::PeopleHere;

/// What an educator has set: the document of a class that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassRecord {
    /// Counts its changes.
    pub version: u64,
    /// What the class is shown.
    pub stage: ClassStage,
    /// The dials that are handed out, each to one person.
    pub handed: BTreeMap<String, Uuid>,
    /// The copies of the workspace, each of one person.
    pub copies: BTreeMap<Uuid, ClassCopy>,
}

/// A person of the class, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredPerson {
    /// The sealed name: an erasure takes it away.
    pub(super) name: String,
    pub(super) role: Role,
}

/// The people of a class.
pub(super) type StoredPeople = BTreeMap<Uuid, StoredPerson>;

/// The people who are at one server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct ServerPresence {
    /// Until when this holds, unless the server says it again.
    pub(super) until: Timestamp,
    /// The people with an open socket.
    pub(super) people: BTreeSet<Uuid>,
}

/// A class as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct StoredClass {
    /// `None`: it has not begun.
    pub(super) record: Option<ClassRecord>,
    pub(super) people: StoredPeople,
    /// The people who are at other servers.
    pub(super) elsewhere: BTreeSet<Uuid>,
}

/// A person of the class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonNow {
    /// The name, sealed where it is stored.
    pub name: String,
    /// The role.
    pub role: Role,
    /// Whether a page of theirs is open.
    pub present: bool,
}

/// A class at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClassNow {
    /// What an educator has set.
    pub record: ClassRecord,
    /// The people who were seen.
    pub people: BTreeMap<Uuid, PersonNow>,
}

impl ClassNow {
    /// The class that these make together.
    pub(super) fn of(stored: &StoredClass, here: &PeopleHere) -> Self {
        let is_elsewhere = |person: &Uuid| stored.elsewhere.contains(person);
        let from_store = stored.people.iter().map(|(id, person)| {
            let now = PersonNow {
                name: person.name.clone(),
                role: person.role,
                present: is_elsewhere(id) || here.is_present(*id),
            };
            (*id, now)
        });
        let mut people: BTreeMap<_, _> = from_store.collect();
        for (id, person) in here.unstored() {
            let now = PersonNow {
                name: person.name.clone(),
                role: person.role,
                present: is_elsewhere(&id) || here.is_present(id),
            };
            people.insert(id, now);
        }
        Self {
            record: stored.record.clone().unwrap_or_default(),
            people,
        }
    }

    /// How many people are there.
    pub fn present(&self) -> u32 {
        let present = self.people.values().filter(|person| person.present).count();
        u32::try_from(present).unwrap_or(u32::MAX)
    }

    /// Whether an educator is there.
    pub fn is_presenting(&self) -> bool {
        let mut people = self.people.values();
        people.any(|person| person.present && person.role == Role::Educator)
    }

    /// The dials that a person was handed.
    pub fn dials_of(&self, person: Uuid) -> Vec<String> {
        let handed = self.record.handed.iter().filter(|(_, to)| **to == person);
        handed.map(|(dial, _)| dial.clone()).collect()
    }
}

/// The document of this key among those read.
pub(super) fn parsed<T: DeserializeOwned>(
    documents: &[StoredDocument],
    key: &str,
) -> Result<Option<T>, DocumentStoreError> {
    let stored = documents.iter().find(|document| document.key == key);
    let parsed = stored.map(|document| serde_json::from_str(document.data.get()));
    parsed.transpose().map_err(|error| unreadable(&error))
}

/// The write of a document, which is in a listing from now on.
pub(super) fn write<T: Serialize>(
    key: &str,
    document: &T,
    listing: Option<&'static str>,
) -> Result<DocumentWrite, DocumentStoreError> {
    let data = serde_json::value::to_raw_value(document).map_err(|error| unreadable(&error))?;
    let entry = listing.map(|listing| ListingEntry::new(listing, ""));
    Ok(DocumentWrite {
        key: key.to_owned(),
        data: Some(data.into()),
        owner: None,
        removed_entries: Vec::new(),
        added_entries: entry.into_iter().collect(),
    })
}

pub(super) fn unreadable(error: &serde_json::Error) -> DocumentStoreError {
    DocumentStoreError::Corrupt(format!("a class: {error}"))
}
