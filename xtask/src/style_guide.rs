//! Two rules of the style guide that a machine can check, held against the files that git tracks: a text
//! names its actors, and lines keep to the width that rustfmt keeps code to. rustfmt itself leaves comments,
//! long texts and the insides of macros as they are.

use std::{fs, path::Path, process::Command};

/// Words that are used in place of an actor or a thing that should be named.
const VAGUE: [&str; 5] = ["somebody", "nobody", "whoever", "whatever", "wherever"];
/// They are not wrong everywhere: some sentences have no actor, and fixtures and translations keep theirs.
const MOST_VAGUE: usize = 150;

/// The tracked files that are text, with their paths in the workspace. Migrations are left out: what they say
/// was applied to stores, and never changes.
fn texts(root: &Path) -> Vec<(String, String)> {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(listed.status.success(), "git ls-files: {}", listed.status);
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files = listed.split_terminator('\0');
    files
        .filter(|file| !file.starts_with("migrations/"))
        // Neither a picture nor a file that was deleted and not yet committed is text.
        .filter_map(|file| Some((file.to_owned(), fs::read_to_string(root.join(file)).ok()?)))
        .filter(|(_, text)| !text.contains('\0'))
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// How often a text has one of the vague words, as a whole word.
fn vague_words(text: &str) -> usize {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| VAGUE.iter().any(|vague| vague.eq_ignore_ascii_case(word)))
        .count()
}

/// The width in `rustfmt.toml`.
fn max_width(root: &Path) -> usize {
    let settings = fs::read_to_string(root.join("rustfmt.toml")).unwrap();
    let width = settings
        .lines()
        .find_map(|line| line.strip_prefix("max_width"))
        .unwrap();
    width.trim_start_matches([' ', '=']).trim().parse().unwrap()
}

/// Whether a line cannot be broken: after its indentation and its comment's mark it is a single word, such
/// as a URL or a literal without a space, or it is a row of a comment's table. A text with spaces is none of
/// these: a backslash continues it on the next line.
fn is_unbreakable(line: &str) -> bool {
    let line = line.trim_start();
    let comment = ["///", "//!", "//"]
        .iter()
        .find_map(|mark| line.strip_prefix(mark))
        .map(str::trim_start);
    comment.is_some_and(|text| text.starts_with('|'))
        || comment.unwrap_or(line).split_whitespace().count() == 1
}

#[test]
fn texts_name_their_actors() {
    let texts = texts(root());
    assert!(texts.len() > 500, "{}", texts.len());
    let mut counts: Vec<(usize, &str)> = texts
        .iter()
        .map(|(file, text)| (vague_words(text), file.as_str()))
        .filter(|(count, _)| *count > 0)
        .collect();
    counts.sort_unstable_by(|one, other| other.cmp(one));
    let total: usize = counts.iter().map(|(count, _)| count).sum();
    assert!(
        total <= MOST_VAGUE,
        "{VAGUE:?} occur {total} times, and may {MOST_VAGUE} times: {counts:#?}"
    );
}

#[test]
fn a_description_says_something() {
    // In two parts, so that this file has none.
    let empty = ["See the", "module"].join(" ");
    let texts = texts(root());
    let empty: Vec<&str> = texts
        .iter()
        .filter(|(_, text)| text.contains(&empty))
        .map(|(file, _)| file.as_str())
        .collect();
    assert_eq!(empty, Vec::<&str>::new());
}

#[test]
fn lines_of_rust_are_as_wide_as_rustfmt_allows() {
    let width = max_width(root());
    let texts = texts(root());
    let rust = texts.iter().filter(|(file, _)| {
        Path::new(file)
            .extension()
            .is_some_and(|extension| extension == "rs")
    });
    let lines = rust.flat_map(|(file, text)| {
        let numbered = text.lines().zip(1..);
        numbered.map(move |(line, number)| (format!("{file}:{number}"), line))
    });
    let wide: Vec<String> = lines
        .filter(|(_, line)| line.chars().count() > width && !is_unbreakable(line))
        .map(|(place, _)| place)
        .collect();
    assert!(wide.is_empty(), "wider than {width}: {wide:#?}");
}

#[test]
fn whole_words_are_counted_in_any_case() {
    assert_eq!(vague_words("Nobody, or nobody's; (whatever)"), 3);
    assert_eq!(vague_words("nobodys is_nobody somebody_else"), 0);
}

#[test]
fn only_a_single_word_and_a_row_of_a_table_cannot_be_broken() {
    for whole in [
        "    /// <https://example.com/a>",
        "    \"a-long-literal\",",
        "//! | a row | of a table |",
    ] {
        assert!(is_unbreakable(whole), "{whole}");
    }
    for several in ["    // two words", "a | b", "", "    \"two words\","] {
        assert!(!is_unbreakable(several), "{several}");
    }
}
