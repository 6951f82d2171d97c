//! Signed checkpoints: their format, against an example of the specification's own library; their files; and
//! what a log that was rewritten, cut off or continued is told.

use std::{fs, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::SigningKey;
use tempfile::TempDir;

use super::{CheckpointKeeper, CheckpointKey, Comparison, LogCheckpoint, Note, Verifier, compare, parse};
use clock::SystemClock;
use domain::id::WorkspaceId;
use event_store::{EventStore, SqliteEventStore, Workspace};
use test_support::{append, open_workspace, received};

/// A verifier, a text and its signature, as the documentation of the Go project's notes has them.
const VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your \
                    problem is.\n";
const SIGNATURE: &str =
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";

fn key(seed: u8) -> CheckpointKey {
    CheckpointKey::of(SigningKey::from_bytes(&[seed; 32]))
}

fn checkpoint(position: u64) -> LogCheckpoint {
    LogCheckpoint {
        workspace: WorkspaceId(uuid::Uuid::from_u128(7)),
        partition: 3,
        position,
        hash: [9; 32],
    }
}

/// A log of one workspace with one partition, in a folder of its own.
struct Log {
    store: Arc<dyn EventStore>,
    workspace: Workspace,
    folder: TempDir,
}

impl Log {
    async fn open(events: usize) -> Self {
        let (store, folder) = empty_store().await;
        let workspace = open_workspace(&*store, 1).await;
        let workspace = store.workspace(workspace).await.unwrap().unwrap();
        let log = Self {
            store,
            workspace,
            folder,
        };
        log.append(events).await;
        log
    }

    /// A log of the same workspace, with other events.
    async fn rewritten(&self, events: usize) -> Self {
        let (store, folder) = empty_store().await;
        assert!(store.create_workspace(&self.workspace).await.unwrap());
        let log = Self {
            store,
            workspace: self.workspace.clone(),
            folder,
        };
        log.append(events).await;
        log
    }

    async fn append(&self, events: usize) {
        for _ in 0..events {
            append(&*self.store, self.workspace.id, "inventory-mug-1", &[received(1)]).await;
        }
    }

    fn keeper(&self) -> CheckpointKeeper {
        let key = CheckpointKey::open(&self.folder.path().join("key")).unwrap();
        CheckpointKeeper::new(Arc::clone(&self.store), key, self.folder.path().join("kept"))
    }

    fn kept(&self) -> String {
        let file = format!("kept/{}.notes", self.workspace.id);
        fs::read_to_string(self.folder.path().join(file)).unwrap()
    }

    async fn compare(&self, notes: &str, verifier: &Verifier) -> Comparison {
        compare(&*self.store, verifier, parse(notes), None).await.unwrap()
    }
}

async fn empty_store() -> (Arc<dyn EventStore>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.db");
    let store = SqliteEventStore::open(&file, Arc::new(SystemClock), None).await;
    (Arc::new(store.unwrap()), folder)
}

#[test]
fn a_signature_of_another_implementation_is_verified() {
    let verifier: Verifier = VERIFIER.parse().unwrap();
    assert_eq!(verifier.to_string(), VERIFIER);
    let bytes = BASE64_STANDARD.decode(SIGNATURE).unwrap();
    let (id, signature) = bytes.split_at(4);
    assert_eq!(id, verifier.id());
    assert!(verifier.verifies(TEXT, signature));
    assert!(!verifier.verifies(&TEXT.replace("answer", "cure"), signature));
}

#[test]
fn a_text_that_is_no_verifier_is_refused() {
    for text in [
        "",
        "foldline",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+Apc2QcUPDhMQegwxbzhKqiBfsVkmqq",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ] {
        assert!(text.parse::<Verifier>().is_err(), "{text}");
    }
}

#[test]
fn a_note_has_origin_size_hash_and_signature_and_is_read_again() {
    let key = key(1);
    let note = Note::sign(checkpoint(106), &key);
    let text = note.to_string();
    let lines: Vec<&str> = text.lines().collect();
    let [origin, size, hash, empty, signature] = lines.as_slice() else {
        panic!("{text}");
    };
    assert_eq!(*origin, "foldline/00000000-0000-0000-0000-000000000007/3");
    assert_eq!((*size, *empty), ("106", ""));
    assert_eq!(BASE64_STANDARD.decode(hash).unwrap(), [9; 32]);
    let signature = signature.strip_prefix("\u{2014} foldline ").unwrap();
    assert_eq!(BASE64_STANDARD.decode(signature).unwrap().len(), 4 + 64);

    let read = parse(&text).remove(0).unwrap();
    assert_eq!(read, note);
    assert!(read.is_signed_by(key.verifier()));
    let verifier: Verifier = key.verifier().to_string().parse().unwrap();
    assert!(read.is_signed_by(&verifier));
    assert!(!read.is_signed_by(CheckpointKey::of(SigningKey::from_bytes(&[2; 32])).verifier()));
}

#[test]
fn a_changed_note_is_not_signed_any_more() {
    let key = key(1);
    let text = Note::sign(checkpoint(106), &key).to_string();
    for changed in [
        text.replace("\n106\n", "\n107\n"),
        text.replace("/3\n", "/4\n"),
        text.replace("\n\n", "\nfurther\n\n"),
    ] {
        let note = parse(&changed).remove(0).unwrap();
        assert!(!note.is_signed_by(key.verifier()), "{changed}");
    }
}

#[test]
fn a_malformed_note_is_named_and_hides_no_other() {
    let good = Note::sign(checkpoint(106), &key(1)).to_string();
    for bad in [
        "foldline/00000000-0000-0000-0000-000000000007/3\n1".to_owned(),
        good.replacen("foldline/", "elsewhere/", 1),
        good.replace("\n106\n", "\n0106\n"),
        good.replace("\n106\n", "\n-1\n"),
        good.replace("\u{2014} foldline", "\u{2014} "),
        "x\n".repeat(1_000),
    ] {
        let notes = parse(&format!("{good}\n{bad}\n\n{good}"));
        let read: Vec<bool> = notes.iter().map(Result::is_ok).collect();
        assert_eq!(read, [true, false, true], "{bad}: {notes:?}");
        let malformed = notes[1].as_ref().unwrap_err();
        assert!(malformed.to_string().contains("line 7"), "{malformed}");
    }
    assert!(parse("\n\n").is_empty());
}

#[tokio::test]
async fn heads_are_kept_once_and_files_only_grow() {
    let log = Log::open(2).await;
    let empty = open_workspace(&*log.store, 1).await;
    let keeper = log.keeper();
    assert_eq!(
        keeper.keep(None).await.unwrap(),
        1,
        "a partition without an event has none"
    );
    let first = log.kept();
    assert_eq!(keeper.keep(None).await.unwrap(), 0);
    // also after a restart, with the same key
    let restarted = log.keeper();
    assert_eq!(restarted.verifier(), keeper.verifier());
    assert_eq!(restarted.keep(Some(log.workspace.id)).await.unwrap(), 0);
    log.append(1).await;
    assert_eq!(restarted.keep(None).await.unwrap(), 1);
    assert!(log.kept().starts_with(&first) && log.kept().len() > first.len());

    let kept = keeper.kept(log.workspace.id, 9).await.unwrap();
    let positions: Vec<u64> = kept.iter().map(|note| note.checkpoint().position).collect();
    assert_eq!(positions, [2, 3]);
    assert_eq!(keeper.kept(log.workspace.id, 1).await.unwrap(), kept[1..]);
    assert!(keeper.kept(empty, 9).await.unwrap().is_empty());
    let fresh = keeper.fresh(log.workspace.id).await.unwrap();
    assert_eq!(fresh, kept[1..], "Ed25519 signs alike");
}

#[tokio::test]
async fn a_note_that_was_cut_off_does_not_spoil_the_next() {
    let log = Log::open(2).await;
    let keeper = log.keeper();
    keeper.keep(None).await.unwrap();
    let file = log.folder.path().join(format!("kept/{}.notes", log.workspace.id));
    let whole = log.kept();
    fs::write(&file, format!("{whole}{}", &whole[..60])).unwrap();
    log.append(1).await;
    keeper.keep(None).await.unwrap();
    let kept = keeper.kept(log.workspace.id, 9).await.unwrap();
    assert_eq!(kept.last().unwrap().checkpoint().position, 3);
}

#[tokio::test]
async fn a_log_that_does_not_contain_what_is_kept_gets_a_file_of_its_own() {
    let log = Log::open(5).await;
    let keeper = log.keeper();
    keeper.keep(None).await.unwrap();
    assert_eq!(keeper.all_differences().await.unwrap(), Vec::<String>::new());
    let first = log.kept();

    // Another history in the place of the log, beside the same files and with the same key.
    let rewritten = log.rewritten(7).await;
    let elsewhere = |log: &Log, of: &Log| {
        let key = CheckpointKey::open(&of.folder.path().join("key")).unwrap();
        CheckpointKeeper::new(Arc::clone(&log.store), key, of.folder.path().join("kept"))
    };
    let keeper = elsewhere(&rewritten, &log);
    let differences = keeper.differences(log.workspace.id).await.unwrap();
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert!(
        differences[0].contains("differs from the checkpoint at position 5"),
        "{differences:?}"
    );
    assert_eq!(keeper.keep(None).await.unwrap(), 1);
    assert_eq!(log.kept(), first, "the file of the first history stays as it was");
    let second = log
        .folder
        .path()
        .join(format!("kept/{}.2.notes", log.workspace.id));
    let kept = fs::read_to_string(&second).unwrap();
    assert_eq!(parse(&kept).len(), 1);

    // The other history goes on in its file, also after a restart, and the first in its own.
    rewritten.append(1).await;
    assert_eq!(elsewhere(&rewritten, &log).keep(None).await.unwrap(), 1);
    assert_eq!(parse(&fs::read_to_string(&second).unwrap()).len(), 2);
    log.append(1).await;
    assert_eq!(log.keeper().keep(None).await.unwrap(), 1);
    assert_eq!(parse(&log.kept()).len(), 2);
    let kept = keeper.kept(log.workspace.id, 9).await.unwrap();
    assert_eq!(kept.len(), 4);
}

#[tokio::test]
async fn a_workspace_that_was_deleted_as_a_whole_is_missed() {
    let log = Log::open(2).await;
    log.keeper().keep(None).await.unwrap();
    let (store, _folder) = empty_store().await;
    let key = CheckpointKey::open(&log.folder.path().join("key")).unwrap();
    let keeper = CheckpointKeeper::new(store, key, log.folder.path().join("kept"));
    assert_eq!(
        keeper.all_differences().await.unwrap(),
        [format!(
            "workspace {}, partition 0: the log has no such partition",
            log.workspace.id
        )]
    );
}

#[tokio::test]
async fn what_another_key_has_signed_is_no_difference() {
    let log = Log::open(5).await;
    log.keeper().keep(None).await.unwrap();
    let rewritten = log.rewritten(2).await;
    let keeper = CheckpointKeeper::new(
        Arc::clone(&rewritten.store),
        key(9),
        log.folder.path().join("kept"),
    );
    assert!(keeper.all_differences().await.unwrap().is_empty());
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys/checkpoints");
    CheckpointKey::open(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = CheckpointKey::open(&file).unwrap_err().to_string();
    assert!(refused.contains("chmod 600"), "{refused}");
}

#[tokio::test]
async fn a_log_that_goes_on_contains_its_checkpoints() {
    let log = Log::open(2).await;
    let keeper = log.keeper();
    keeper.keep(None).await.unwrap();
    log.append(3).await;
    keeper.keep(None).await.unwrap();
    log.append(1).await;
    let compared = log.compare(&log.kept(), keeper.verifier()).await;
    assert_eq!((compared.contained, compared.findings), (2, Vec::new()));
}

#[tokio::test]
async fn a_rewritten_log_is_told_by_its_first_checkpoint_that_differs() {
    let log = Log::open(2).await;
    let keeper = log.keeper();
    keeper.keep(None).await.unwrap();
    log.append(3).await;
    keeper.keep(None).await.unwrap();
    let place = format!("workspace {}, partition 0", log.workspace.id);

    let longer = log.rewritten(9).await;
    let compared = longer.compare(&log.kept(), keeper.verifier()).await;
    let expected = format!(
        "{place}: the history differs from the checkpoint at position 2, which is the first that differs; no \
         earlier one was compared"
    );
    assert_eq!((compared.contained, compared.findings), (0, vec![expected]));

    let shorter = log.rewritten(1).await;
    let compared = shorter.compare(&log.kept(), keeper.verifier()).await;
    let expected = format!(
        "{place}: the log ends at position 1, before the checkpoint at 2; no earlier one was compared"
    );
    assert_eq!(compared.findings, [expected]);

    let (store, _folder) = empty_store().await;
    let compared = compare(&*store, keeper.verifier(), parse(&log.kept()), None).await;
    assert_eq!(
        compared.unwrap().findings,
        [format!("{place}: the log has no such partition")]
    );
}

#[tokio::test]
async fn a_checkpoint_of_another_key_vouches_for_nothing() {
    let log = Log::open(2).await;
    let keeper = log.keeper();
    keeper.keep(None).await.unwrap();
    let other = key(5);
    let compared = log.compare(&log.kept(), other.verifier()).await;
    assert_eq!(compared.contained, 0);
    assert!(
        compared.unusable[0].contains("is not signed by foldline+"),
        "{compared:?}"
    );
    assert!(compared.findings.is_empty(), "{compared:?}");
}
