//! A notice: what a server tells the others of a group that it commits, in the text of a `NOTIFY`.
//!
//! It names the partitions that the group has moved, and their heads. It is heard after the commit or not at all, and may be
//! lost with the connection of a listener: what it says can always be read from the partitions' own rows.

use std::fmt;

use domain::id::WorkspaceId;
use uuid::Uuid;

use crate::appender::ValidatedGroup;

/// The channel; of one database, like its tables.
pub(super) const CHANNEL: &str = "foldline_events";

/// PostgreSQL takes fewer than 8000 bytes.
const LONGEST: usize = 7_900;

/// Said instead of names where there are too many.
const LOOK: &str = "*";

/// A partition and its head.
pub(super) type Moved = (WorkspaceId, u32, u64);

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    /// Who tells: so that nobody listens to themselves.
    pub(super) origin: Uuid,
    /// `None`: so many that whoever hears this must look for themselves.
    pub(super) moved: Option<Vec<Moved>>,
}

impl Notice {
    /// What there is to tell of a group.
    pub(super) fn of(origin: Uuid, group: &ValidatedGroup) -> Self {
        let moved = group.partitions.iter().filter(|it| it.head > it.before);
        Self {
            origin,
            moved: Some(moved.map(|it| (it.workspace, it.partition, it.head)).collect()),
        }
    }

    /// Reads what somebody told; `None`: it is in no form that this program knows.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let origin = words.next()?.parse().ok()?;
        let words: Vec<_> = words.collect();
        let moved = if words == [LOOK] {
            None
        } else {
            Some(words.into_iter().map(moved).collect::<Option<_>>()?)
        };
        Some(Self { origin, moved })
    }
}

fn moved(word: &str) -> Option<Moved> {
    let (workspace, rest) = word.split_once('/')?;
    let (partition, head) = rest.split_once(':')?;
    Some((
        WorkspaceId(workspace.parse().ok()?),
        partition.parse().ok()?,
        head.parse().ok()?,
    ))
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |moved: &Vec<Moved>| -> String {
            let word = |(workspace, partition, head): &Moved| {
                format!(" {}/{partition}:{head}", workspace.0.simple())
            };
            moved.iter().map(word).collect()
        };
        match self.moved.as_ref().map(words) {
            Some(words) if words.len() <= LONGEST - 32 => write!(f, "{}{words}", self.origin.simple()),
            _ => write!(f, "{} {LOOK}", self.origin.simple()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(partitions: u32) -> Notice {
        let moved = |partition| (WorkspaceId(Uuid::from_u128(7)), partition, u64::MAX);
        Notice {
            origin: Uuid::from_u128(42),
            moved: Some((0..partitions).map(moved).collect()),
        }
    }

    #[test]
    fn what_is_told_is_heard() {
        for partitions in [0, 1, 2, 64] {
            let told = of(partitions);
            assert_eq!(Notice::parse(&told.to_string()), Some(told));
        }
    }

    #[test]
    fn however_many_partitions_were_moved_it_fits() {
        let mut named = 0;
        for partitions in 0..600 {
            let text = of(partitions).to_string();
            assert!(text.len() < 8_000, "{partitions}");
            let heard = Notice::parse(&text).unwrap();
            assert_eq!(heard.origin, Uuid::from_u128(42));
            if let Some(moved) = heard.moved {
                assert_eq!(moved.len(), partitions as usize);
                named = partitions;
            }
        }
        assert!(
            (100..599).contains(&named),
            "many are named, and then none: {named}"
        );
    }

    #[test]
    fn what_nobody_here_would_say_is_not_understood() {
        let origin = Uuid::from_u128(42).simple();
        for text in [
            "",
            "*",
            "hello",
            &format!("{origin} x"),
            &format!("{origin} */1:2"),
        ] {
            assert_eq!(Notice::parse(text), None, "{text}");
        }
        for word in ["", "/", "7/0:1", "0/0:-1", "* *"] {
            assert_eq!(Notice::parse(&format!("{origin} {word}")), None, "{word}");
        }
    }
}
