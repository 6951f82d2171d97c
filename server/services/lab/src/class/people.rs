//! The people of one workspace whom this server has seen, and how many sockets each has open here.

use std::collections::{BTreeMap, BTreeSet};

use domain::access::{Actor, Role};
use uuid::Uuid;

/// The most people of a workspace whom a server knows; a sandbox admits fewer.
const MOST: usize = 10_000;

/// A person whom this server has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PersonHere {
    pub(super) name: String,
    pub(super) role: Role,
    sockets: u32,
    /// Whether name and role are stored as they are.
    is_stored: bool,
}

/// The people of one workspace whom this server has seen.
#[derive(Debug, Default)]
pub(super) struct PeopleHere(BTreeMap<Uuid, PersonHere>);

impl PeopleHere {
    /// Notes a person, with this many more sockets. Returns whether the person is counted, and whether that
    /// changes anything.
    pub(super) fn arrive(&mut self, actor: &Actor, sockets: u32) -> (bool, bool) {
        let Some(person) = self.0.get_mut(&actor.id) else {
            if self.0.len() >= MOST {
                return (false, false);
            }
            let person = PersonHere {
                name: actor.name.clone(),
                role: actor.role,
                sockets,
                is_stored: false,
            };
            self.0.insert(actor.id, person);
            return (true, true);
        };
        let is_renamed = person.name != actor.name || person.role != actor.role;
        if is_renamed {
            person.name.clone_from(&actor.name);
            person.role = actor.role;
            person.is_stored = false;
        }
        let appears = sockets > 0 && person.sockets == 0;
        person.sockets = person.sockets.saturating_add(sockets);
        (true, is_renamed || appears)
    }

    /// One socket of a person is closed; whether it was the last one.
    pub(super) fn leave(&mut self, person: Uuid) -> bool {
        let Some(person) = self.0.get_mut(&person) else {
            return false;
        };
        person.sockets = person.sockets.saturating_sub(1);
        person.sockets == 0
    }

    /// Whether a person has a socket open here.
    pub(super) fn is_present(&self, person: Uuid) -> bool {
        self.0.get(&person).is_some_and(|person| person.sockets > 0)
    }

    /// The people with a socket open here.
    pub(super) fn present(&self) -> BTreeSet<Uuid> {
        let present = self.0.iter().filter(|(_, person)| person.sockets > 0);
        present.map(|(id, _)| *id).collect()
    }

    /// The people whose names are not stored as they are.
    pub(super) fn unstored(&self) -> impl Iterator<Item = (Uuid, &PersonHere)> {
        let unstored = self.0.iter().filter(|(_, person)| !person.is_stored);
        unstored.map(|(id, person)| (*id, person))
    }

    /// A person is stored, unless there is another name meanwhile.
    pub(super) fn stored(&mut self, id: Uuid, as_person: &PersonHere) {
        if let Some(person) = self.0.get_mut(&id)
            && (&person.name, person.role) == (&as_person.name, as_person.role)
        {
            person.is_stored = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Actor {
        Actor {
            id: Uuid::from_u128(1),
            role: Role::Student,
            name: "Ada".to_owned(),
        }
    }

    #[test]
    fn a_person_with_two_pages_is_there_until_both_are_closed() {
        let mut people = PeopleHere::default();
        assert_eq!(people.arrive(&ada(), 1), (true, true));
        assert_eq!(
            people.arrive(&ada(), 1),
            (true, false),
            "a second page changes nothing"
        );
        assert!(!people.leave(ada().id));
        assert!(people.is_present(ada().id));
        assert!(people.leave(ada().id));
        assert!(people.present().is_empty());
        assert_eq!(people.arrive(&ada(), 1), (true, true), "the person is back");
    }

    #[test]
    fn a_new_name_is_to_be_stored() {
        let mut people = PeopleHere::default();
        people.arrive(&ada(), 0);
        let (id, seen) = people
            .unstored()
            .map(|(id, person)| (id, person.clone()))
            .next()
            .unwrap();
        people.stored(id, &seen);
        assert_eq!(people.unstored().count(), 0);
        let renamed = Actor {
            name: "Countess".to_owned(),
            ..ada()
        };
        assert_eq!(people.arrive(&renamed, 0), (true, true));
        people.stored(id, &seen);
        assert_eq!(people.unstored().count(), 1, "the old name was stored");
    }
}
