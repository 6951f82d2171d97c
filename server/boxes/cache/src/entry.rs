//! An entry of the cache: an answer as it was read, and beside it the bytes that were sent last.
//!
//! The bytes depend on the answer, on what the client may see of it and in which direction ([`Form`]), and on
//! the progress that their end states, by its version. Bytes of another form or version are never returned.

use std::{
    ops::Deref,
    sync::{Arc, PoisonError, RwLock},
};

use super::{
    CachedAnswer,
    encoded::{self, EncodedAnswer},
};

/// The bytes of an entry, and of each of its rows, besides the documents.
const OVERHEAD: usize = 256;

/// The bytes of a row's JSON besides its document, its key and what it is sorted by.
const ROW_FIELDS: usize = 64;

/// The bytes of an answer's JSON besides its rows and its cursors, with the token's first partition.
const ANSWER_FIELDS: usize = 256;

/// The bytes of each further partition in a token.
const PARTITION: usize = 24;

/// The bytes of the cursors of a page.
const CURSORS: usize = 1_024;

/// The most rows that a [`VisibleRows`] can hold, 64 in each word.
const WORDS: usize = 4;

/// The rows of an answer that an actor may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisibleRows([u64; WORDS]);

impl VisibleRows {
    /// The rows for which `visible` has true, in order; `None`: there are too many rows.
    pub fn of(visible: impl Iterator<Item = bool>) -> Option<Self> {
        let mut words = [0; WORDS];
        for (row, visible) in visible.enumerate() {
            *words.get_mut(row / 64)? |= u64::from(visible) << (row % 64);
        }
        Some(Self(words))
    }
}

/// What an answer's JSON depends on besides the answer and the progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// The rows that are shown.
    pub visible: VisibleRows,
    /// The rows are shown in the reverse of the order in which they were read.
    pub backwards: bool,
}

/// An answer in the cache.
#[derive(Debug)]
pub struct CacheEntry {
    answer: CachedAnswer,
    /// The bytes of the answer as it was read.
    read: usize,
    /// The most bytes of the encoded answer; a larger one is not kept.
    reserved: usize,
    sent: RwLock<Option<Sent>>,
}

#[derive(Debug)]
struct Sent {
    form: Form,
    version: u64,
    encoded: Arc<EncodedAnswer>,
}

/// The answer as it was read.
impl Deref for CacheEntry {
    type Target = CachedAnswer;

    fn deref(&self) -> &CachedAnswer {
        &self.answer
    }
}

impl CacheEntry {
    /// An entry of an answer that was not sent yet.
    pub fn new(answer: CachedAnswer) -> Self {
        let rows = || answer.rows.iter();
        let documents: usize = rows().map(|row| row.data.get().len()).sum();
        // The keys are in the row and, where the row is at the edge of a page, in a cursor.
        let fields: usize = rows()
            .map(|row| row.key.len() + row.sort.len() + ROW_FIELDS)
            .sum();
        let is_page = answer.more || answer.rows.len() > 1;
        let cursors = if is_page { CURSORS } else { 0 };
        let end = ANSWER_FIELDS + PARTITION * answer.as_of.iter().count();
        Self {
            read: documents + OVERHEAD * (answer.rows.len() + 1),
            reserved: encoded::most_bytes(documents + fields + cursors + end),
            answer,
            sent: RwLock::default(),
        }
    }

    /// The bytes that it is counted with: those of the answer, and those that are reserved for its encoded
    /// form.
    pub fn bytes(&self) -> usize {
        self.read + self.reserved
    }

    /// What was sent last, if it has this form and states the progress of this version.
    pub fn sent(&self, form: Form, version: u64) -> Option<Arc<EncodedAnswer>> {
        let sent = self.sent.read().unwrap_or_else(PoisonError::into_inner);
        let sent = sent.as_ref()?;
        (sent.form == form && sent.version == version).then(|| Arc::clone(&sent.encoded))
    }

    /// What was sent last in this form, with the end of any version.
    pub fn sent_earlier(&self, form: Form) -> Option<Arc<EncodedAnswer>> {
        let sent = self.sent.read().unwrap_or_else(PoisonError::into_inner);
        let sent = sent.as_ref()?;
        (sent.form == form).then(|| Arc::clone(&sent.encoded))
    }

    /// Keeps what is sent, in place of what was sent before; what is larger than the reserve is not kept.
    pub fn keep(&self, form: Form, version: u64, encoded: &Arc<EncodedAnswer>) {
        if encoded.most_bytes() > self.reserved {
            return;
        }
        let sent = Sent {
            form,
            version,
            encoded: Arc::clone(encoded),
        };
        *self.sent.write().unwrap_or_else(PoisonError::into_inner) = Some(sent);
    }
}

#[cfg(test)]
mod tests {
    use domain::token::ConsistencyToken;
    use serde_json::value::RawValue;

    use super::*;
    use crate::CachedRow;

    fn entry(rows: usize) -> CacheEntry {
        let row = |n: usize| CachedRow {
            key: format!("mug-{n}"),
            sort: String::new(),
            owner: None,
            data: RawValue::from_string("{}".to_owned()).unwrap(),
        };
        CacheEntry::new(CachedAnswer {
            rows: (0..rows).map(row).collect(),
            more: false,
            as_of: ConsistencyToken::at(0, 1),
            generation: 1,
        })
    }

    fn form(visible: &[bool], backwards: bool) -> Form {
        Form {
            visible: VisibleRows::of(visible.iter().copied()).unwrap(),
            backwards,
        }
    }

    #[test]
    fn an_audience_never_gets_what_another_one_may_see() {
        let entry = entry(2);
        let all = Arc::new(EncodedAnswer::new(b"{\"data\":[1,2]", b"}"));
        entry.keep(form(&[true, true], false), 7, &all);
        let sent = |form, version| entry.sent(form, version).map(|sent| sent.plain().clone());
        assert_eq!(sent(form(&[true, true], false), 7).as_ref(), Some(all.plain()));
        for (other, version) in [
            (form(&[true, false], false), 7),
            (form(&[false, true], false), 7),
            (form(&[true], false), 7),
            (form(&[true, true], true), 7),
            (form(&[true, true], false), 8),
        ] {
            assert_eq!(sent(other, version), None, "{other:?} {version}");
        }
        assert!(entry.sent_earlier(form(&[true, true], false)).is_some());
        assert!(entry.sent_earlier(form(&[true, false], false)).is_none());
    }

    #[test]
    fn more_rows_than_a_set_can_hold_are_no_set() {
        assert!(VisibleRows::of(std::iter::repeat_n(true, 64 * WORDS)).is_some());
        assert!(VisibleRows::of(std::iter::repeat_n(true, 64 * WORDS + 1)).is_none());
    }

    #[test]
    fn an_encoded_answer_beyond_the_reserve_is_not_kept() {
        let entry = entry(1);
        let all = form(&[true], false);
        let within = Arc::new(EncodedAnswer::new(b"{\"data\":{}", b"}"));
        entry.keep(all, 1, &within);
        assert!(entry.sent(all, 1).is_some());
        let beyond = Arc::new(EncodedAnswer::new(&vec![b' '; entry.bytes()], b"}"));
        entry.keep(all, 2, &beyond);
        assert!(entry.sent(all, 2).is_none());
    }
}
