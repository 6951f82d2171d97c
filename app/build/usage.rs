//! The texts that the sources use. Every use is a path, as in `text::office::low(language)`, so the sources
//! need not be parsed: a text is unused if no source has `office::low`. Those that are found by name are
//! compared with the lessons by a test of their pages.

use std::{collections::BTreeSet, fs, io, path::Path};

use super::{Texts, areas::is_found_by_name};

/// All paths of two names, as in `office::low`, that the Rust sources in a folder have.
pub(crate) fn paths_in(folder: &Path) -> io::Result<BTreeSet<String>> {
    let mut paths = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            paths.append(&mut paths_in(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            collect(&fs::read_to_string(&path)?, &mut paths);
        }
    }
    Ok(paths)
}

fn collect(source: &str, paths: &mut BTreeSet<String>) {
    let is_of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    for (at, _) in source.match_indices("::") {
        let before = &source[..at];
        let first = &before[before.trim_end_matches(is_of_name).len()..];
        let after = &source[at + 2..];
        let second = &after[..after.len() - after.trim_start_matches(is_of_name).len()];
        if !first.is_empty() && !second.is_empty() {
            paths.insert(format!("{first}::{second}"));
        }
    }
}

/// The texts that no path names.
pub(crate) fn unused(texts: &Texts, paths: &BTreeSet<String>) -> Vec<String> {
    let is_unused = |key: &&super::Key| {
        !is_found_by_name(&key.group) && !paths.contains(&format!("{}::{}", key.group, key.name))
    };
    let unused = texts.0.keys().filter(is_unused);
    unused.map(|key| format!("{key}: no source uses it")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_a_use_is_reported() {
        let texts = Texts::parse(r#"{ "shop": { "title": "Shop", "tags": "Tags" } }"#).unwrap();
        let mut paths = BTreeSet::new();
        collect("title=text::shop::title(language) other::tags", &mut paths);
        assert_eq!(unused(&texts, &paths), ["shop.tags: no source uses it"]);
    }

    #[test]
    fn the_sources_are_read_with_their_folders() {
        // `app`'s own, which the tests of the build are a part of.
        let paths = paths_in(Path::new("src")).unwrap();
        assert!(paths.contains("landing::try_it"), "in src/pages/landing.rs");
    }
}
