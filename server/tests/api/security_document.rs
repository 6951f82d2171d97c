//! `docs/security.md` names tests as evidence: each of them exists.

use std::{collections::BTreeSet, fs, path::Path};

const DOCUMENT: &str = include_str!("../../../docs/security.md");

/// The folders with Rust sources, from the root of the repository.
const SOURCES: [&str; 3] = ["server", "domain", "app"];

/// The names of tests in a text: words in code marks that are a sentence.
fn named(text: &str) -> BTreeSet<&str> {
    let in_code = text.split('`').skip(1).step_by(2);
    in_code
        .filter(|word| word.matches('_').count() >= 3)
        .filter(|word| {
            word.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        })
        .collect()
}

/// Removes the names that the sources of a folder define as functions.
fn find_in(folder: &Path, missing: &mut BTreeSet<&str>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_in(&path, missing);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            missing.retain(|name| {
                let is_function = source.contains(&format!("fn {name}("));
                // a test of a suite that every database runs has a type parameter
                !is_function && !source.contains(&format!("fn {name}<"))
            });
        }
    }
}

#[test]
fn every_test_that_the_document_names_exists() {
    let mut missing = named(DOCUMENT);
    assert!(missing.len() > 60, "{} tests are named", missing.len());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for folder in SOURCES {
        find_in(&root.join(folder), &mut missing);
    }
    assert!(
        missing.is_empty(),
        "docs/security.md names no such tests: {missing:?}"
    );
}
