//! Which files of a day are merged with new rows.
//!
//! Only files of a similar size are, so each row is written a few times however many small files a day gets:
//! first with its delivery, then in a file about sixteen times as large, and so on until the file is no
//! longer small.

use super::{MERGE_THRESHOLD, warehouse::FactFile};

/// A file with fewer rows is small, and so is what is merged at a time.
const SMALL_FILE_ROWS: usize = 50_000;

/// Takes the files out that are to be merged with this many rows. `None`: the rows are a file of their own.
pub(super) fn take_similar(files: &mut Vec<FactFile>, rows: usize) -> Option<Vec<FactFile>> {
    let size = size_class(rows)?;
    let is_similar = |file: &FactFile| size_class(file.rows) == Some(size);
    let similar: Vec<usize> = files
        .iter()
        .filter(|file| is_similar(file))
        .map(|file| file.rows)
        .collect();
    let sum = rows + similar.iter().sum::<usize>();
    if similar.len() + 1 < MERGE_THRESHOLD && sum < SMALL_FILE_ROWS {
        return None;
    }
    let (merged, kept) = files.drain(..).partition(is_similar);
    *files = kept;
    Some(merged)
}

/// Files of one class differ by less than the factor by which a merge makes them larger. `None`: it is not
/// small.
fn size_class(rows: usize) -> Option<u32> {
    (rows < SMALL_FILE_ROWS).then(|| rows.max(1).ilog(MERGE_THRESHOLD))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds rows to a day; returns how many rows that writes.
    fn add(files: &mut Vec<FactFile>, mut rows: usize) -> usize {
        while let Some(merged) = take_similar(files, rows) {
            rows += merged.iter().map(|file| file.rows).sum::<usize>();
        }
        files.push(FactFile {
            path: String::new(),
            rows,
        });
        rows
    }

    #[test]
    fn a_day_has_few_files_and_each_row_is_written_a_few_times() {
        let (mut files, mut written) = (Vec::new(), 0);
        let deliveries = 60_000;
        for _ in 0..deliveries {
            written += add(&mut files, 3);
        }
        let rows = 3 * deliveries;
        assert_eq!(files.iter().map(|file| file.rows).sum::<usize>(), rows);
        assert!(written <= 5 * rows, "{written}");
        assert!(files.len() <= 4 * MERGE_THRESHOLD, "{}", files.len());
        assert!(files.iter().all(|file| file.rows < 2 * SMALL_FILE_ROWS));
    }

    #[test]
    fn a_large_file_is_left_alone_and_an_empty_one_is_not() {
        let (mut files, mut empty) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            assert_eq!(add(&mut files, SMALL_FILE_ROWS), SMALL_FILE_ROWS);
            add(&mut empty, 0);
        }
        assert_eq!(files.len(), 100);
        assert!(empty.len() < MERGE_THRESHOLD);
    }
}
