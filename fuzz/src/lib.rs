//! Hostile bytes for parsers. Inputs are valid samples with a few damages, structures with a foreign part,
//! and texts and bytes that parsers stumble over. A test states what holds for every input: that the parser
//! does not panic, that what it accepts is the same when it is written and read again, that what it refuses
//! is named, and that its output is bounded.
//!
//! A run of the unit suite tries each parser for a moment; `cargo xtask fuzz` tries for as long as one likes.
//! A failing input is made small before it is printed. The tests are named `hostile_<target>_…`; those of
//! public parsers are in `tests/`, and those of private ones beside them in their crates.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

pub use proptest::prelude::*;
use proptest::{
    collection::vec,
    sample::select,
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Number, Value};

/// The variable with the time that each test tries inputs, in seconds; without it, a test tries few.
const SECONDS: &str = "FOLDLINE_TEST_FUZZ_SECONDS";

/// The inputs of a test in the unit suite, and of each round of a longer run.
const CASES: u32 = 256;
/// The attempts to make a failing input smaller.
const SHRINK_STEPS: u32 = 4_096;
/// The longest text or sequence of bytes, apart from those that are long on purpose.
const MAX_LENGTH: usize = 64;
/// The damages of a sample.
const MAX_DAMAGES: usize = 6;

/// Tries a property on inputs.
///
/// # Panics
///
/// If an input breaks the property, or the parser panics; the message has a small input that does.
pub fn check<S: Strategy>(inputs: &S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    check_cases(CASES, inputs, property);
}

/// The same with another number of inputs, for a parser that takes long.
///
/// # Panics
///
/// As [`check`] does.
pub fn check_cases<S: Strategy>(
    cases: u32,
    inputs: &S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let seconds = std::env::var(SECONDS)
        .ok()
        .and_then(|seconds| seconds.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(0));
    let (start, mut tried) = (Instant::now(), 0_u64);
    loop {
        let config = Config {
            cases,
            failure_persistence: None,
            max_shrink_iters: SHRINK_STEPS,
            ..Config::default()
        };
        if let Err(failure) = TestRunner::new(config).run(inputs, &property) {
            panic!("after {tried} inputs: {failure}");
        }
        tried += u64::from(cases);
        if start.elapsed() >= time {
            println!("{tried} inputs");
            return;
        }
    }
}

/// Texts that parsers stumble over: signs of every syntax that is parsed here, ends of texts in other
/// languages, letters in two forms, invisible and directional characters, and lengths.
static STUMBLING_BLOCKS: &[&str] = &[
    "",
    " ",
    "\0",
    "\r\n",
    "\r\nBcc: eve@example.com\r\n\r\n",
    "\t",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{200b}",
    "\u{202e}",
    "\u{2066}",
    "\u{fffd}",
    "\u{10ffff}",
    "e\u{301}",
    "é",
    "ß",
    "İ",
    "ﬁ",
    "𝟙",
    "१२",
    "مرحبا",
    "馬克杯",
    "👩‍👩‍👧",
    "-",
    "--",
    "+",
    ".",
    "..",
    "/../",
    "%",
    "%00",
    "%zz",
    "&",
    "=",
    ";q=",
    ",",
    ":",
    "\"",
    "\\",
    "\\ud800",
    "'",
    "<script>",
    "{\"a\":1,\"a\":2}",
    "[[[[[[[[[[[[[[[[",
    "1e999",
    "18446744073709551616",
];

/// Any text: stumbling blocks, letters, and now and then a long one.
pub fn texts() -> impl Strategy<Value = String> {
    let characters = vec(any::<char>(), 0..MAX_LENGTH).prop_map(String::from_iter);
    let blocks = vec(select(STUMBLING_BLOCKS), 0..4).prop_map(|blocks| blocks.concat());
    let long = (select(STUMBLING_BLOCKS), 100_usize..3_000).prop_map(|(block, times)| block.repeat(times));
    prop_oneof![4 => characters, 4 => blocks, 4 => "[ -~]{0,40}", 1 => long]
}

/// A damage of a sample.
#[derive(Debug, Clone)]
enum Damage {
    /// Bytes are put in at a place.
    Insert(Vec<u8>),
    /// So many bytes are left out.
    Remove(usize),
    /// So many bytes come twice.
    Repeat(usize),
    /// A byte is another one.
    Replace(u8),
    /// The rest is left out.
    Truncate,
}

fn damages() -> impl Strategy<Value = Damage> {
    prop_oneof![
        select(STUMBLING_BLOCKS).prop_map(|block| Damage::Insert(block.as_bytes().to_vec())),
        vec(any::<u8>(), 1..4).prop_map(Damage::Insert),
        (1_usize..8).prop_map(Damage::Remove),
        (1_usize..64).prop_map(Damage::Repeat),
        any::<u8>().prop_map(Damage::Replace),
        Just(Damage::Truncate),
    ]
}

/// Carries out a damage at a place, which is taken modulo the length.
fn damage(bytes: &mut Vec<u8>, place: usize, damage: Damage) {
    let at = place % (bytes.len() + 1);
    let end = |count: usize| at.saturating_add(count).min(bytes.len());
    match damage {
        Damage::Insert(new) => {
            bytes.splice(at..at, new);
        }
        Damage::Remove(count) => {
            let end = end(count);
            bytes.drain(at..end);
        }
        Damage::Repeat(count) => {
            let again = bytes[at..end(count)].to_vec();
            bytes.splice(at..at, again);
        }
        Damage::Replace(byte) => {
            if let Some(changed) = bytes.get_mut(at) {
                *changed = byte;
            }
        }
        Damage::Truncate => bytes.truncate(at),
    }
}

/// One of the samples, which are valid, with up to some damages.
fn damaged(samples: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let damages = vec((any::<usize>(), damages()), 0..MAX_DAMAGES);
    (select(samples), damages).prop_map(|(sample, damages)| {
        let mut bytes = sample.as_bytes().to_vec();
        for (place, kind) in damages {
            damage(&mut bytes, place, kind);
        }
        bytes
    })
}

/// Samples with damages, texts, and bytes.
pub fn bytes(samples: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => damaged(samples),
        2 => texts().prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..MAX_LENGTH),
    ]
}

/// The same as texts: what is not UTF-8 is replaced.
pub fn texts_like(samples: &'static [&'static str]) -> impl Strategy<Value = String> {
    bytes(samples).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Any JSON, of a small depth.
pub fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)),
        texts().prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let members = vec((texts(), inner.clone()), 0..4);
        prop_oneof![
            vec(inner, 0..4).prop_map(Value::Array),
            members.prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// One of the samples, each a JSON document, in which a value, at any depth, is another one or is missing.
///
/// # Panics
///
/// If a sample is not JSON.
pub fn json_like(samples: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let replacement = prop_oneof![4 => json().prop_map(Some), 1 => Just(None)];
    (select(samples), any::<usize>(), replacement).prop_map(|(sample, place, replacement)| {
        let mut document: Value = serde_json::from_str(sample)
            .unwrap_or_else(|error| panic!("the sample {sample} is not JSON: {error}"));
        let mut place = place % count(&document);
        replace(&mut document, &mut place, replacement.as_ref());
        document
    })
}

/// The number of values in a document, at all depths, itself included.
fn count(document: &Value) -> usize {
    1 + match document {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

/// Replaces the value at a place, counted in the order of [`count`]. Returns whether it is to be removed by
/// its container; the whole document is null then.
fn replace(value: &mut Value, place: &mut usize, replacement: Option<&Value>) -> bool {
    if *place == 0 {
        // No other value has place 0 from now on.
        *place = usize::MAX;
        *value = replacement.cloned().unwrap_or_default();
        return replacement.is_none();
    }
    *place -= 1;
    match value {
        Value::Array(items) => {
            items.retain_mut(|item| *place == usize::MAX || !replace(item, place, replacement));
        }
        Value::Object(members) => {
            members.retain(|_, member| *place == usize::MAX || !replace(member, place, replacement));
        }
        _ => {}
    }
    false
}

/// What is accepted must be the same when it is written and read again.
pub fn same<T: PartialEq + Debug>(read: &T, again: &T) -> Result<(), TestCaseError> {
    prop_assert_eq!(read, again);
    Ok(())
}

/// An error must say something, and not more than a few times what was sent.
pub fn bounded(error: &str, sent: usize) -> Result<(), TestCaseError> {
    const SENTENCES: usize = 4_000;
    prop_assert!(!error.is_empty(), "a refusal without a word");
    prop_assert!(
        error.len() <= SENTENCES + 8 * sent,
        "{sent} bytes are refused with {} bytes",
        error.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_sample_is_mostly_like_the_sample() {
        check(&damaged(&["0:12,3:128"]), |bytes| {
            prop_assert!(bytes.len() < 100_000);
            Ok(())
        });
        let mut bytes = b"0:12".to_vec();
        damage(&mut bytes, 1, Damage::Insert(b"x".to_vec()));
        damage(&mut bytes, 0, Damage::Repeat(2));
        damage(&mut bytes, 6, Damage::Remove(9));
        assert_eq!(bytes, b"0x0x:1");
    }

    #[test]
    fn one_value_of_a_document_is_replaced() {
        let sample: Value = serde_json::from_str(r#"{"a":[1,{"b":2}],"c":3}"#).unwrap();
        let mut seen = Vec::new();
        for mut place in 0..count(&sample) {
            let mut document = sample.clone();
            replace(&mut document, &mut place, None);
            seen.push(document.to_string());
        }
        let expected = [
            "null",
            r#"{"c":3}"#,
            r#"{"a":[{"b":2}],"c":3}"#,
            r#"{"a":[1],"c":3}"#,
            r#"{"a":[1,{}],"c":3}"#,
            r#"{"a":[1,{"b":2}]}"#,
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    #[should_panic(expected = "minimal failing input: 10")]
    fn the_failing_input_is_small() {
        check(&any::<u32>(), |input| {
            prop_assert!(input < 10);
            Ok(())
        });
    }
}
