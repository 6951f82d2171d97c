//! An answer as the bytes that are sent: its JSON, plain and compressed.
//!
//! The JSON is a part that stays as long as the answer, and an end that says how far the view is folded. The
//! end changes with every commit of the workspace. A new end copies the part that stays, in both forms, so
//! nothing is serialised or compressed again. In the compressed form the end is a stored block of its own
//! (RFC 1951, section 3.2.4) behind the compressed part, in one member of gzip (RFC 1952).

use std::{io::Write as _, sync::OnceLock};

use bytes::Bytes;
use flate2::{Compression, Crc, write::DeflateEncoder};

/// A shorter answer is not compressed: it fits into one packet anyway.
pub const LEAST_COMPRESSED: usize = 1_024;

/// The head of a member of gzip: deflate, no flags, no time, unknown system.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The head of a stored block that is the last one, before its two lengths.
const LAST_STORED_BLOCK: u8 = 1;

/// An answer as it is sent.
#[derive(Debug)]
pub struct EncodedAnswer {
    plain: Bytes,
    /// The bytes of the part that stays.
    stable: usize,
    /// Made for the first client that accepts it; `None`: it would not be shorter.
    gzip: OnceLock<Option<Gzip>>,
}

#[derive(Debug)]
struct Gzip {
    bytes: Bytes,
    /// The bytes of the head and of the part that stays.
    stable: usize,
}

impl EncodedAnswer {
    /// An answer of the part that stays and its end; together they are the JSON.
    pub fn new(stable: &[u8], end: &[u8]) -> Self {
        Self {
            plain: Bytes::from([stable, end].concat()),
            stable: stable.len(),
            gzip: OnceLock::new(),
        }
    }

    /// The same answer with another end.
    #[must_use]
    pub fn with_end(&self, end: &[u8]) -> Self {
        let next = Self::new(&self.plain[..self.stable], end);
        let Some(known) = self.gzip.get() else {
            return next;
        };
        let gzip = known.as_ref();
        let gzip = gzip.and_then(|gzip| Gzip::new(&gzip.bytes[..gzip.stable], end, &next.plain));
        Self {
            gzip: OnceLock::from(gzip),
            ..next
        }
    }

    /// The JSON.
    pub fn plain(&self) -> &Bytes {
        &self.plain
    }

    /// The JSON compressed with gzip; `None`: that would not be shorter.
    pub fn gzip(&self) -> Option<&Bytes> {
        let gzip = self.gzip.get_or_init(|| {
            if !self.is_compressible() {
                return None;
            }
            let (stable, end) = self.plain.split_at(self.stable);
            Gzip::new(&compressed(stable)?, end, &self.plain)
        });
        gzip.as_ref().map(|gzip| &gzip.bytes)
    }

    /// Whether the JSON is long enough to be compressed.
    pub fn is_compressible(&self) -> bool {
        self.plain.len() >= LEAST_COMPRESSED
    }

    /// The most bytes that it takes in memory, in both forms.
    pub(crate) fn most_bytes(&self) -> usize {
        most_bytes(self.plain.len())
    }
}

/// The most bytes that an answer with JSON of this length takes in memory: its compressed form is shorter.
pub(crate) fn most_bytes(plain: usize) -> usize {
    if plain < LEAST_COMPRESSED {
        plain
    } else {
        2 * plain
    }
}

impl Gzip {
    /// The member of gzip that begins with `stable`, its head and whole blocks, and ends with `end`.
    fn new(stable: &[u8], end: &[u8], plain: &[u8]) -> Option<Self> {
        let length = u16::try_from(end.len()).ok()?;
        let mut checksum = Crc::new();
        checksum.update(plain);
        let bytes = [
            stable,
            &[LAST_STORED_BLOCK],
            &length.to_le_bytes(),
            &(!length).to_le_bytes(),
            end,
            &checksum.sum().to_le_bytes(),
            &checksum.amount().to_le_bytes(),
        ]
        .concat();
        (bytes.len() < plain.len()).then(|| Self {
            bytes: Bytes::from(bytes),
            stable: stable.len(),
        })
    }
}

/// The head of a member of gzip and the compressed bytes, up to the end of a byte and of a block.
fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(GZIP_HEAD.to_vec(), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.flush_finish().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    fn long() -> Vec<u8> {
        let rows: Vec<String> = (0..100).map(|n| format!("{{\"sku\":\"mug-{n}\"}}")).collect();
        format!("{{\"data\":[{}]", rows.join(",")).into_bytes()
    }

    fn uncompressed(gzip: &[u8]) -> Vec<u8> {
        let mut decoder = GzDecoder::new(gzip);
        let mut bytes = Vec::new();
        decoder.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn compressed_and_plain_are_the_same_answer_with_every_end() {
        let first = EncodedAnswer::new(&long(), b",\"as_of\":\"0:1\"}");
        assert_eq!(uncompressed(first.gzip().unwrap()), *first.plain());
        let second = first.with_end(b",\"as_of\":\"0:12\"}");
        assert!(second.plain().ends_with(b"\"0:12\"}") && second.plain().starts_with(&long()));
        assert_eq!(uncompressed(second.gzip().unwrap()), *second.plain());
        // Also where no client has asked for the earlier one's compressed form.
        let third = EncodedAnswer::new(&long(), b"}").with_end(b",\"behind\":3}");
        assert_eq!(uncompressed(third.gzip().unwrap()), *third.plain());
    }

    #[test]
    fn what_would_not_be_shorter_is_not_compressed() {
        let short = EncodedAnswer::new(b"{\"data\":1", b"}");
        assert_eq!((short.gzip(), short.with_end(b" }").gzip()), (None, None));
        // Without a pattern, so that deflate stores it.
        let mut state = 1_u32;
        let random = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        let random = EncodedAnswer::new(&random.take(4_096).collect::<Vec<_>>(), b"}");
        assert_eq!((random.gzip(), random.with_end(b" }").gzip()), (None, None));
    }

    #[test]
    fn it_takes_no_more_memory_than_it_says() {
        for answer in [
            EncodedAnswer::new(&long(), b"}"),
            EncodedAnswer::new(b"{\"data\":1", b"}"),
        ] {
            let bytes = answer.plain().len() + answer.gzip().map_or(0, Bytes::len);
            assert!(bytes <= answer.most_bytes());
        }
    }
}
