//! The text of a checkpoint: its origin, the number of events, the hash of the newest one, an empty line, and
//! the signatures.
//!
//! ```text
//! foldline/0198c1a2-0000-7000-8000-000000000001/0
//! 106
//! 3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
//!
//! — foldline Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
//! ```

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::id::WorkspaceId;

use super::{CheckpointKey, LogCheckpoint, NAME, Verifier};

/// The beginning of a line with a signature.
const SIGNATURE: &str = "\u{2014} ";

/// The most bytes of a line.
const MAX_LINE: usize = 1_024;

/// The most lines of a note: further ones of its text, and further signatures, belong to other tools.
const MAX_LINES: usize = 32;

/// A signature of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    id: [u8; 4],
    signature: Vec<u8>,
}

/// A signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    checkpoint: LogCheckpoint,
    /// What is signed.
    text: String,
    signatures: Vec<NoteSignature>,
}

/// A note that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the checkpoint in line {line} cannot be read: {reason}")]
pub struct MalformedNote {
    /// The line at which it begins, from 1.
    pub line: usize,
    /// The reason.
    pub reason: &'static str,
}

impl Note {
    /// Signs a checkpoint.
    pub fn sign(checkpoint: LogCheckpoint, key: &CheckpointKey) -> Self {
        let text = text_of(&checkpoint);
        let signature = NoteSignature {
            name: key.verifier().name().to_owned(),
            id: key.verifier().id(),
            signature: key.sign(&text).to_vec(),
        };
        Self {
            checkpoint,
            text,
            signatures: vec![signature],
        }
    }

    /// What it says.
    pub fn checkpoint(&self) -> &LogCheckpoint {
        &self.checkpoint
    }

    /// What is signed, with its last line feed.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether a key has signed it.
    pub fn is_signed_by(&self, verifier: &Verifier) -> bool {
        self.signatures.iter().any(|signature| {
            signature.name == verifier.name()
                && signature.id == verifier.id()
                && verifier.verifies(&self.text, &signature.signature)
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for NoteSignature { name, id, signature } in &self.signatures {
            let bytes = [&id[..], signature].concat();
            writeln!(f, "{SIGNATURE}{name} {}", BASE64_STANDARD.encode(bytes))?;
        }
        Ok(())
    }
}

fn text_of(checkpoint: &LogCheckpoint) -> String {
    let LogCheckpoint {
        workspace,
        partition,
        position,
        hash,
    } = checkpoint;
    let hash = BASE64_STANDARD.encode(hash);
    format!("{NAME}/{workspace}/{partition}\n{position}\n{hash}\n")
}

/// The notes of a text, one after another. One that cannot be read, such as the rest of one that a full disk
/// has cut off, ends at the next empty line, and does not hide those after it.
pub fn parse(text: &str) -> Vec<Result<Note, MalformedNote>> {
    let mut lines = text.lines().zip(1..).peekable();
    let mut notes = Vec::new();
    loop {
        while lines.next_if(|(line, _)| line.is_empty()).is_some() {}
        let Some((_, begin)) = lines.peek().copied() else {
            return notes;
        };
        let mut content = Vec::new();
        while let Some((line, _)) = lines.next_if(|(line, _)| !line.is_empty()) {
            content.push(line);
        }
        let separator = lines.next_if(|(line, _)| line.is_empty());
        let mut signatures = Vec::new();
        while separator.is_some()
            && let Some((line, _)) = lines.next_if(|(line, _)| line.starts_with(SIGNATURE))
        {
            signatures.push(line);
        }
        let note = note(&content, &signatures);
        notes.push(note.map_err(|reason| MalformedNote { line: begin, reason }));
    }
}

fn note(content: &[&str], signatures: &[&str]) -> Result<Note, &'static str> {
    if content.len() + signatures.len() > MAX_LINES {
        return Err("it has too many lines");
    }
    if content.iter().chain(signatures).any(|line| line.len() > MAX_LINE) {
        return Err("a line is too long");
    }
    let [origin, size, hash, ..] = content else {
        return Err("it has no origin, size and hash");
    };
    let origin = origin_of(origin).ok_or("its origin is not foldline/<workspace>/<partition>")?;
    let position: u64 = size.parse().map_err(|_| "its size is not a number")?;
    if position.to_string() != *size {
        return Err("its size is not a number");
    }
    let hash = BASE64_STANDARD
        .decode(hash)
        .ok()
        .and_then(|hash| <[u8; 32]>::try_from(hash).ok())
        .ok_or("its hash is not 32 bytes in base64")?;
    let signatures: Option<Vec<NoteSignature>> = signatures.iter().map(|line| signature_of(line)).collect();
    let signatures = signatures.ok_or("a signature is not a name and base64")?;
    if signatures.is_empty() {
        return Err("it has no signature");
    }
    let mut text = content.join("\n");
    text.push('\n');
    Ok(Note {
        checkpoint: LogCheckpoint {
            workspace: origin.0,
            partition: origin.1,
            position,
            hash,
        },
        text,
        signatures,
    })
}

fn origin_of(line: &str) -> Option<(WorkspaceId, u32)> {
    let (workspace, partition) = line.strip_prefix(NAME)?.strip_prefix('/')?.split_once('/')?;
    Some((workspace.parse().ok()?, partition.parse().ok()?))
}

fn signature_of(line: &str) -> Option<NoteSignature> {
    let (name, bytes) = line.strip_prefix(SIGNATURE)?.split_once(' ')?;
    let bytes = BASE64_STANDARD.decode(bytes).ok()?;
    let (id, signature) = bytes.split_at_checked(4)?;
    let is_name = !name.is_empty() && !name.contains('+') && !signature.is_empty();
    is_name.then(|| NoteSignature {
        name: name.to_owned(),
        id: [id[0], id[1], id[2], id[3]],
        signature: signature.to_vec(),
    })
}
