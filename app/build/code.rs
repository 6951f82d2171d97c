//! The generated code: a module for each group with a function for each text, and the files of the texts,
//! which the server reads when it starts and sends to browsers.
//!
//! A file is a JSON array: a fingerprint, the place of the area's first text among all texts, and then the
//! texts of the area in the order of their keys. A function knows the place of its text, in whichever areas a
//! page loads. The fingerprint stands for the keys and their arguments: a client refuses a file that was made
//! from others.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    Key, Part, Text, Texts,
    areas::{AREAS, PAGE, is_found_by_name},
    parts,
};

/// A file of texts in one language, for one area.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TextFile {
    pub(crate) language: String,
    pub(crate) area: &'static str,
    pub(crate) json: String,
}

impl TextFile {
    /// The name by which browsers load it: with a hash of its content, so that it can be cached for good.
    pub(crate) fn name(&self) -> String {
        let Self { language, area, json } = self;
        format!("text-{language}-{area}-{:016x}.json", hash(json))
    }
}

/// The English keys in the order of their texts: by area, by group, by key; last those that are found by
/// name. An error for a group that is in no area, for one in the table that has no text, and for a text that
/// is found by name although it has arguments.
pub(crate) fn ordered(english: &Texts) -> Result<Vec<(&'static str, &Key, &Text)>, Vec<String>> {
    let area_of = |group: &str| {
        let area = AREAS.iter().find(|(_, groups)| groups.contains(&group));
        let by_name = is_found_by_name(group).then_some(PAGE);
        area.map(|(area, _)| *area).or(by_name)
    };
    let mut problems: Vec<String> = english
        .0
        .keys()
        .filter(|key| area_of(&key.group).is_none())
        .map(|key| format!("{key}: its group is in no area of build/areas.rs"))
        .collect();
    let mut texts = Vec::new();
    for (area, groups) in AREAS {
        for group in groups {
            let before = texts.len();
            let of_group = english.0.iter().filter(|(key, _)| key.group == *group);
            texts.extend(of_group.map(|(key, text)| (area, key, text)));
            if texts.len() == before {
                problems.push(format!("{group}: build/areas.rs has a group without texts"));
            }
        }
    }
    // `PAGE` is the last area, so they continue it.
    for (key, text) in english.0.iter().filter(|(key, _)| is_found_by_name(&key.group)) {
        let is_plain = matches!(text, Text::Plain(_)) && text.arguments().is_ok_and(|names| names.is_empty());
        if !is_plain {
            problems.push(format!("{key}: a text that is found by name has no arguments"));
        }
        texts.push((PAGE, key, text));
    }
    problems.dedup();
    if problems.is_empty() {
        Ok(texts)
    } else {
        Err(problems)
    }
}

/// The fingerprint of the texts that islands use.
fn fingerprint(texts: &[(&'static str, &Key, &Text)]) -> String {
    let mut keys = String::new();
    for (area, key, text) in texts.iter().filter(|(area, ..)| *area != PAGE) {
        let arguments = text.arguments().unwrap_or_default().join(",");
        let kind = match text {
            Text::Plain(_) => "plain",
            Text::Plural(_) => "plural",
        };
        let _ = writeln!(keys, "{area} {key} {kind} {arguments}");
    }
    format!("{:016x}", hash(&keys))
}

/// The files of one language, which has every text.
pub(crate) fn files(language: &str, texts: &Texts, english: &[(&'static str, &Key, &Text)]) -> Vec<TextFile> {
    let file = |area: &'static str| {
        let place = english.iter().take_while(|(of, ..)| *of != area).count();
        let mut values = vec![json!(fingerprint(english)), json!(place)];
        for (_, key, source) in english.iter().filter(|(of, ..)| *of == area) {
            let arguments = source.arguments().unwrap_or_default();
            values.push(match texts.0.get(*key) {
                Some(Text::Plain(text)) => json!(template(text, &arguments)),
                Some(Text::Plural(forms)) => forms
                    .iter()
                    .map(|(category, form)| (category.clone(), json!(template(form, &arguments))))
                    .collect(),
                None => Value::Null,
            });
        }
        TextFile {
            language: language.to_owned(),
            area,
            json: Value::Array(values).to_string(),
        }
    };
    AREAS.map(|(area, _)| file(area)).into()
}

/// A form with numbers in place of the arguments' names: `{0} of {1}`.
fn template(form: &str, arguments: &[String]) -> String {
    let mut template = String::new();
    for part in parts(form).unwrap_or_default() {
        match part {
            Part::Words(words) => template.push_str(words),
            Part::Placeholder(name) => {
                let index = arguments.iter().position(|argument| *argument == name);
                let _ = write!(template, "{{{}}}", index.unwrap_or_default());
            }
        }
    }
    template
}

/// The module: constants for the reader of the files, and the functions.
pub(crate) fn module(english: &[(&'static str, &Key, &Text)], files: &[TextFile]) -> String {
    let mut code = String::new();
    let _ = writeln!(
        code,
        "/// Stands for the keys of the texts that islands use, and for their arguments.\n\
         pub(super) const FINGERPRINT: &str = {:?};\n",
        fingerprint(english)
    );
    let names: Vec<String> = english.iter().map(|(_, key, _)| key.to_string()).collect();
    let _ = writeln!(
        code,
        "/// The keys, in the order of the texts.\n\
         #[cfg(debug_assertions)]\n\
         pub(super) const KEYS: &[&str] = &{names:?};\n"
    );
    let _ = writeln!(
        code,
        "/// The files, in the order of the texts within each language.\n\
         #[cfg(feature = \"ssr\")]\n\
         pub(super) const FILES: &[super::server::TextFile] = &["
    );
    for file in files {
        let mut variant = file.language.clone();
        variant[..1].make_ascii_uppercase();
        let _ = writeln!(
            code,
            "    super::server::TextFile {{\n        \
                 language: domain::language::Language::{variant},\n        \
                 area: {:?},\n        \
                 name: {:?},\n        \
                 json: {:?},\n    \
             }},",
            file.area,
            file.name(),
            file.json
        );
    }
    code.push_str("];\n");
    code.push_str(
        "\n/// Group and key of the texts that are found by name, in their order, each with its place.\n\
         #[cfg(feature = \"ssr\")]\n\
         pub(super) const BY_NAME: &[(&str, &str, usize)] = &[\n",
    );
    for (index, (_, key, _)) in english.iter().enumerate() {
        if is_found_by_name(&key.group) {
            let _ = writeln!(code, "    ({:?}, {:?}, {index}),", key.group, key.name);
        }
    }
    code.push_str("];\n");
    let mut group = "";
    for (index, (area, key, text)) in english.iter().enumerate() {
        if is_found_by_name(&key.group) {
            continue;
        }
        if key.group != group {
            code.push_str(if group.is_empty() { "" } else { "}\n" });
            group = &key.group;
            let server_only = if *area == PAGE {
                "#[cfg(feature = \"ssr\")]\n"
            } else {
                ""
            };
            let _ = writeln!(code, "\n{server_only}pub(crate) mod {group} {{");
        }
        code.push_str(&function(index, &key.name, text));
    }
    code.push_str("}\n");
    code
}

fn function(index: usize, name: &str, text: &Text) -> String {
    const LANGUAGE: &str = "language: domain::language::Language";
    let documentation = text.example().replace('`', "'");
    let arguments = text.arguments().unwrap_or_default();
    let parameters = arguments.iter().map(|argument| match text {
        Text::Plural(_) if argument == super::COUNT => ", count: impl TryInto<u64>".to_owned(),
        _ => format!(", {argument}: impl std::fmt::Display"),
    });
    let parameters: String = parameters.collect();
    let values: Vec<String> = arguments.iter().map(|argument| format!("&{argument}")).collect();
    let values = values.join(", ");
    let (result, body) = match text {
        Text::Plain(_) if arguments.is_empty() => {
            ("&'static str", format!("crate::text::plain(language, {index})"))
        }
        Text::Plain(_) => (
            "String",
            format!("crate::text::filled(language, {index}, &[{values}])"),
        ),
        Text::Plural(_) => (
            "String",
            format!(
                "let count = count.try_into().unwrap_or(u64::MAX);\n        \
                 crate::text::counted(language, {index}, count, &[{values}])"
            ),
        ),
    };
    format!(
        "    /// `{documentation}`\n    \
         pub(crate) fn {name}({LANGUAGE}{parameters}) -> {result} {{\n        \
             {body}\n    \
         }}\n"
    )
}

/// FNV-1a with 64 bits: it tells two versions of our own texts apart, and resists no attacker.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = r#"{
        "stock": { "moved": "{{ name }} from {{ start }}", "none": "sold out" },
        "landing": { "title": "Welcome" },
        "verify": { "found": { "one": "{{ count }} in {{ view }}", "other": "{{ count }} in {{ view }}" } }
    }"#;

    /// The texts without the check that every group of the table is there.
    fn in_order(texts: &Texts) -> Vec<(&'static str, &Key, &Text)> {
        let area_of = |key: &Key| {
            let area = AREAS
                .iter()
                .find(|(_, groups)| groups.contains(&key.group.as_str()));
            area.unwrap().0
        };
        let mut all: Vec<_> = texts
            .0
            .iter()
            .map(|(key, text)| (area_of(key), key, text))
            .collect();
        all.sort_by_key(|(area, key, _)| (AREAS.iter().position(|(of, _)| of == area), *key));
        all
    }

    #[test]
    fn a_file_has_the_fingerprint_its_place_and_the_texts_with_numbered_arguments() {
        let english = Texts::parse(ENGLISH).unwrap();
        let order = in_order(&english);
        let german = ENGLISH.replace("{{ name }} from {{ start }}", "von {{ start }}: {{ name }}");
        let german = Texts::parse(&german).unwrap();
        let files = files("de", &german, &order);
        let print = fingerprint(&order);
        assert_eq!(
            files[0].json,
            format!(r#"["{print}",0,"von {{1}}: {{0}}","sold out"]"#)
        );
        assert_eq!(
            files[2].json,
            format!(r#"["{print}",2,{{"one":"{{0}} in {{1}}","other":"{{0}} in {{1}}"}}]"#)
        );
        assert!(
            files[0].name().starts_with("text-de-shop-"),
            "{}",
            files[0].name()
        );
    }

    #[test]
    fn another_text_gives_another_name_and_another_key_another_fingerprint() {
        let name_and_print = |json: &str| {
            let texts = Texts::parse(json).unwrap();
            let order = in_order(&texts);
            (files("en", &texts, &order)[0].name(), fingerprint(&order))
        };
        let (name, print) = name_and_print(ENGLISH);
        let (reworded, same) = name_and_print(&ENGLISH.replace("sold out", "out of stock"));
        assert_ne!(reworded, name);
        assert_eq!(same, print);
        assert_ne!(name_and_print(&ENGLISH.replace("\"none\"", "\"gone\"")).1, print);
        // Islands do not have the texts of pages.
        assert_eq!(name_and_print(&ENGLISH.replace("\"title\"", "\"head\"")).1, print);
    }

    #[test]
    fn a_function_has_the_arguments_of_its_text_and_shows_it() {
        let english = Texts::parse(ENGLISH).unwrap();
        let code = module(&in_order(&english), &[]);
        assert!(code.contains("/// `sold out`"), "{code}");
        assert!(
            code.contains("pub(crate) fn none(language: domain::language::Language) -> &'static str"),
            "{code}"
        );
        let moved = "moved(language: domain::language::Language, name: impl std::fmt::Display, start: \
                     impl std::fmt::Display) -> String";
        assert!(code.contains(moved), "{code}");
        assert!(code.contains("count: impl TryInto<u64>, view:"), "{code}");
        assert!(
            code.contains("#[cfg(feature = \"ssr\")]\npub(crate) mod landing"),
            "{code}"
        );
    }

    #[test]
    fn a_group_without_an_area_is_reported() {
        let texts = Texts::parse(r#"{ "unknown": { "title": "Title" } }"#).unwrap();
        let problems = ordered(&texts).unwrap_err();
        assert!(
            problems.contains(&"unknown.title: its group is in no area of build/areas.rs".to_owned()),
            "{problems:?}"
        );
    }

    #[test]
    fn a_text_of_a_lesson_has_a_place_by_its_name_and_no_function() {
        let json = ENGLISH.replace(
            r#""stock":"#,
            r#""lesson_first": { "title": "First", "lead": "A lead" }, "stock":"#,
        );
        let (english, others) = (Texts::parse(&json).unwrap(), Texts::parse(ENGLISH).unwrap());
        let mut order = in_order(&others);
        let first = order.len();
        let lesson = english.0.iter().filter(|(key, _)| key.group == "lesson_first");
        order.extend(lesson.map(|(key, text)| (PAGE, key, text)));
        let code = module(&order, &[]);
        let place = format!("    (\"lesson_first\", \"lead\", {first}),\n");
        assert!(code.contains(&place), "{code}");
        assert!(!code.contains("mod lesson_first"), "{code}");
        assert!(!code.contains("pub(crate) fn lead("), "{code}");
    }

    #[test]
    fn a_text_of_a_lesson_with_an_argument_is_reported() {
        let texts = Texts::parse(r#"{ "lesson_first": { "title": "First {{ name }}" } }"#).unwrap();
        let problems = ordered(&texts).unwrap_err();
        assert!(
            problems
                .iter()
                .any(|problem| problem.ends_with("a text that is found by name has no arguments")),
            "{problems:?}"
        );
    }
}
