//! Compares the table of allowed dependencies in ARCHITECTURE.md with cargo's metadata, so that no dependency
//! is added that the diagram does not have.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use serde_json::Value;

/// The heading of the table's first column, by which it is found.
const HEADING: &str = "| crate | may depend on";

/// The folder of the crates that the table is about; the program and the crates of tests are in it too.
const SERVER: &str = "server/";

#[derive(Debug, Default)]
struct Allowed {
    /// The foundation crates, from the lowest up: each may depend on those before it.
    foundation: Vec<String>,
    /// What each of the others may depend on, besides the domain and the foundation.
    boxes: BTreeMap<String, BTreeSet<String>>,
}

/// The names in back quotes.
fn names(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// Reads the table.
fn allowed(architecture: &str) -> Allowed {
    let mut allowed = Allowed::default();
    let rows = architecture
        .lines()
        .skip_while(|line| !line.starts_with(HEADING))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if cells[1].starts_with("foundation") {
            allowed.foundation = names(cells[1]).collect();
        } else {
            for name in names(cells[1]) {
                allowed.boxes.insert(name, names(cells[2]).collect());
            }
        }
    }
    allowed
}

/// The crates of the server with their folders, and what each depends on of this workspace, but for its
/// tests.
fn dependencies(root: &Path) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut crates = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let manifest = text(&package["manifest_path"]);
        let folder = Path::new(&manifest).parent().unwrap().strip_prefix(root).unwrap();
        let folder = folder.to_str().unwrap().to_owned();
        if !folder.starts_with(SERVER) {
            continue;
        }
        let depends = package["dependencies"].as_array().unwrap().iter();
        let depends = depends
            .filter(|dependency| !dependency["path"].is_null() && dependency["kind"] != "dev")
            .map(|dependency| text(&dependency["name"]))
            .collect();
        crates.insert(text(&package["name"]), (folder, depends));
    }
    crates
}

/// Every dependency that the table does not have, and every crate that it does not name.
fn violations(allowed: &Allowed, crates: &BTreeMap<String, (String, BTreeSet<String>)>) -> Vec<String> {
    let mut violations = Vec::new();
    for (name, (folder, depends)) in crates {
        let is_for_tests = folder.starts_with("server/test");
        let lower = allowed.foundation.iter().take_while(|lower| *lower != name);
        let mut may: BTreeSet<&str> = lower.map(String::as_str).chain(["domain"]).collect();
        match allowed.boxes.get(name) {
            Some(boxes) => may.extend(boxes.iter().map(String::as_str)),
            None if allowed.foundation.contains(name) || is_for_tests => {}
            None => violations.push(format!("{name} is not in the table of ARCHITECTURE.md")),
        }
        if is_for_tests {
            continue;
        }
        let forbidden = depends.iter().filter(|it| !may.contains(it.as_str()));
        violations.extend(forbidden.map(|other| format!("{name} must not depend on {other}")));
    }
    let named = allowed.boxes.keys().chain(&allowed.foundation);
    violations.extend(
        named
            .filter(|name| !crates.contains_key(*name))
            .map(|name| format!("{name} is in the table of ARCHITECTURE.md, and there is no such crate")),
    );
    violations
}

#[test]
fn crates_depend_on_what_the_architecture_allows_and_on_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let architecture = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let allowed = allowed(&architecture);
    let crates = dependencies(root);
    assert!(crates.len() > 10, "{crates:?}");
    assert_eq!(violations(&allowed, &crates), Vec::<String>::new());
}

/// Traces are kept by the name of a crate: one that is not named in the program would lose its spans without
/// a word.
#[test]
fn the_program_exports_the_spans_of_every_crate_that_makes_some() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let program = std::fs::read_to_string(root.join("server/src/cli.rs")).unwrap();
    let list = program
        .split("const CRATES")
        .nth(1)
        .unwrap()
        .split(';')
        .nth(1)
        .unwrap();
    let exported: BTreeSet<String> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    let makes_spans = |folder: &Path| {
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        manifest.contains("\ntracing.workspace = true")
    };
    // What only passes spans on has none of its own.
    let passes_on = ["telemetry"];
    let expected: BTreeSet<String> = dependencies(root)
        .into_iter()
        .filter(|(name, (folder, _))| makes_spans(&root.join(folder)) && !passes_on.contains(&name.as_str()))
        .map(|(name, _)| name)
        .chain(["server".to_owned()])
        .collect();
    assert_eq!(exported, expected);
}

#[test]
fn an_arrow_that_is_not_allowed_is_named() {
    let table = "| crate | may depend on |\n|---|---|\n| foundation, from below: `clock`, `database` | |\n\
                 | `event_store` | nothing |\n| `broker` | `event_store` |\n";
    let crates = |arrows: &[(&str, &[&str])]| {
        let arrows = arrows.iter().map(|(name, depends)| {
            let depends = depends.iter().map(|it| (*it).to_owned()).collect();
            ((*name).to_owned(), ("server/boxes/x".to_owned(), depends))
        });
        arrows.collect::<BTreeMap<_, _>>()
    };
    let as_drawn: [(&str, &[&str]); 4] = [
        ("clock", &["domain"]),
        ("database", &["clock"]),
        ("event_store", &["database", "domain"]),
        ("broker", &["event_store", "clock"]),
    ];
    assert_eq!(
        violations(&allowed(table), &crates(&as_drawn)),
        Vec::<String>::new()
    );
    let against: [(&str, &[&str]); 5] = [
        ("clock", &["database"]),
        ("database", &[]),
        ("event_store", &["broker"]),
        ("broker", &[]),
        ("cache", &[]),
    ];
    assert_eq!(
        violations(&allowed(table), &crates(&against)),
        [
            "cache is not in the table of ARCHITECTURE.md",
            "clock must not depend on database",
            "event_store must not depend on broker"
        ]
    );
}
