//! How the index is written: its memory, its threads, and which segments are merged.

use tantivy::{
    Index, IndexWriter,
    indexer::{IndexWriterOptions, LogMergePolicy, NoMergePolicy},
};

/// The memory limit of the writer, in bytes: the least that tantivy allows. A part of it is allocated for
/// every segment, however small.
const MEMORY: usize = 15_000_000;

/// Segments with up to this many documents are merged with each other, however small they are: a commit makes
/// one of them.
const SMALL_SEGMENT: u32 = 500;

/// Larger segments are merged with each other if their sizes differ by less than this power of two.
const MERGED_SIZES: f64 = 1.5;

/// Opens the writer, of which an index has one, and removes the files of an interrupted commit.
pub(super) fn open(index: &Index) -> tantivy::Result<IndexWriter> {
    let options = IndexWriterOptions::builder()
        .memory_budget_per_thread(MEMORY)
        .num_worker_threads(1)
        .num_merge_threads(1)
        .build();
    let writer: IndexWriter = index.writer_with_options(options)?;
    resume_merges(&writer);
    collect_garbage(&writer)?;
    Ok(writer)
}

/// Begins no merges from now on. While deleted documents are removed from the files, that is the only merge:
/// of two merges of one segment the index discards the later, with a warning and for nothing.
pub(super) fn pause_merges(writer: &IndexWriter) {
    writer.set_merge_policy(Box::new(NoMergePolicy));
}

/// Merges again from the next commit on.
pub(super) fn resume_merges(writer: &IndexWriter) {
    writer.set_merge_policy(Box::new(merge_policy()));
}

/// Rolls back what was not committed, including its files.
pub(super) fn roll_back(writer: &mut IndexWriter) -> tantivy::Result<()> {
    writer.rollback()?;
    // It is another writer now, with the settings of tantivy.
    resume_merges(writer);
    collect_garbage(writer)
}

/// Removes the files of an interrupted commit. The repeated commit would use some of their names, and fails
/// if they exist.
fn collect_garbage(writer: &IndexWriter) -> tantivy::Result<()> {
    writer.garbage_collect_files().wait()?;
    Ok(())
}

/// Eight segments of similar sizes are merged, so that a large one is not written again for a few small ones.
fn merge_policy() -> LogMergePolicy {
    let mut policy = LogMergePolicy::default();
    policy.set_min_layer_size(SMALL_SEGMENT);
    policy.set_level_log_size(MERGED_SIZES);
    policy
}
