//! The texts of the interface, `locales/<language>.json`: read, and checked against the English ones.
//!
//! A file has groups of keys. A text is a string, or an object with one form for each plural category that
//! CLDR gives the language for cardinal numbers. `{{ name }}` is the place of an argument; a plural has the
//! argument `count`.
//!
//! | module | content |
//! |---|---|
//! | [`areas`] | which group is loaded by which pages |
//! | [`code`] | the module `text`, and the files that browsers load |
//! | [`usage`] | the texts that the sources use |

pub(crate) mod areas;
pub(crate) mod code;
pub(crate) mod usage;

use std::collections::BTreeMap;

use icu_locale_core::Locale;
use icu_plurals::{PluralCategory, PluralRules};
use serde_json::Value;

/// The placeholder of the number that selects the form of a plural.
const COUNT: &str = "count";

/// Words that cannot be the name of a function or a parameter.
const KEYWORDS: [&str; 39] = [
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false",
    "fn", "for", "gen", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where",
    "while", "yield",
];

/// A group and a key in it, as in `office.low`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) group: String,
    pub(crate) name: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.group, self.name)
    }
}

/// One text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Text {
    /// A text with one form.
    Plain(String),
    /// A text with a form for each plural category, by the category's name in CLDR.
    Plural(BTreeMap<String, String>),
}

impl Text {
    /// The names of the arguments, in the order of their first appearance; that of a plural's number first.
    pub(crate) fn arguments(&self) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        let forms: Vec<&String> = match self {
            Self::Plain(text) => vec![text],
            Self::Plural(forms) => {
                names.push(COUNT.to_owned());
                forms.values().collect()
            }
        };
        for form in forms {
            for name in placeholders(form)? {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }

    /// The form that a reader of the code sees: of a plural, the one for most numbers.
    pub(crate) fn example(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Plural(forms) => forms.get("other").map_or("", String::as_str),
        }
    }
}

/// The texts of one language.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts(pub(crate) BTreeMap<Key, Text>);

impl Texts {
    /// Reads a file. The error names the key, where there is one.
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let groups: BTreeMap<String, BTreeMap<String, Value>> =
            serde_json::from_str(json).map_err(|error| format!("not groups of texts: {error}"))?;
        let mut texts = BTreeMap::new();
        for (group, keys) in groups {
            for (name, value) in keys {
                let key = Key {
                    group: group.clone(),
                    name,
                };
                let text = text(value).ok_or_else(|| format!("{key}: not a text, and not a plural"))?;
                texts.insert(key, text);
            }
        }
        Ok(Self(texts))
    }

    /// What is wrong with the English texts by themselves, and with the plurals of any language.
    pub(crate) fn own_problems(&self, language: &str) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, text) in &self.0 {
            let mut report = |problem: String| problems.push(format!("{key}: {problem}"));
            for name in [&key.group, &key.name] {
                if !is_name(name) {
                    report(format!("`{name}` cannot be the name of a function"));
                }
            }
            if let Err(problem) = text.arguments() {
                report(problem);
            }
            match text {
                Text::Plain(text) if text.trim().is_empty() => report("the text is empty".to_owned()),
                Text::Plain(_) => {}
                Text::Plural(forms) => {
                    let needed = categories(language);
                    for category in &needed {
                        if forms.get(category).is_none_or(|form| form.trim().is_empty()) {
                            report(format!("the plural has no form `{category}`"));
                        }
                    }
                    for category in forms.keys().filter(|category| !needed.contains(category)) {
                        report(format!("the language has no plural form `{category}`"));
                    }
                    if !placeholders(text.example())
                        .unwrap_or_default()
                        .iter()
                        .any(|name| name == COUNT)
                    {
                        report("the form `other` has no {{ count }}".to_owned());
                    }
                }
            }
        }
        problems
    }

    /// What a translation lacks, has in excess, or has otherwise than the English texts.
    pub(crate) fn problems_against(&self, english: &Self) -> Vec<String> {
        let mut problems = Vec::new();
        for key in english.0.keys().filter(|key| !self.0.contains_key(key)) {
            problems.push(format!("{key}: is missing"));
        }
        for (key, text) in &self.0 {
            let problem = match (text, english.0.get(key)) {
                (_, None) => Some("the English texts have no such key".to_owned()),
                (Text::Plain(_), Some(Text::Plural(_))) => Some("is a plural in English".to_owned()),
                (Text::Plural(_), Some(Text::Plain(_))) => Some("is no plural in English".to_owned()),
                (Text::Plain(text), Some(source)) => other_placeholders(text, source, false),
                (Text::Plural(forms), Some(source)) => forms.iter().find_map(|(category, form)| {
                    // "One result" need not have the number.
                    other_placeholders(form, source, category != "other")
                }),
            };
            problems.extend(problem.map(|problem| format!("{key}: {problem}")));
        }
        problems
    }
}

fn text(value: Value) -> Option<Text> {
    match value {
        Value::String(text) => Some(Text::Plain(text)),
        Value::Object(forms) => {
            let forms = forms.into_iter().map(|(category, form)| match form {
                Value::String(form) => Some((category, form)),
                _ => None,
            });
            forms.collect::<Option<_>>().map(Text::Plural)
        }
        _ => None,
    }
}

/// A problem if a form has other placeholders than the English text.
fn other_placeholders(form: &str, source: &Text, may_omit_count: bool) -> Option<String> {
    let (Ok(found), Ok(expected)) = (placeholders(form), source.arguments()) else {
        // Reported with the text itself.
        return None;
    };
    let unknown = found.iter().find(|name| !expected.contains(name));
    let is_optional = |name: &str| may_omit_count && name == COUNT;
    let missing = expected
        .iter()
        .find(|name| !found.contains(name) && !is_optional(name));
    match (unknown, missing) {
        (Some(name), _) => Some(format!("the English text has no {{{{ {name} }}}}")),
        (None, Some(name)) => Some(format!("{{{{ {name} }}}} is missing")),
        (None, None) => None,
    }
}

/// The names of the placeholders of a form, each once.
fn placeholders(form: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for part in parts(form)? {
        if let Part::Placeholder(name) = part
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// A piece of a form.
enum Part<'a> {
    Words(&'a str),
    Placeholder(String),
}

fn parts(form: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = form;
    while let Some((words, after)) = rest.split_once("{{") {
        let (name, after) = after
            .split_once("}}")
            .ok_or_else(|| "a placeholder is not closed".to_owned())?;
        let name = name.trim();
        if !is_name(name) {
            return Err(format!("`{name}` cannot be the name of a parameter"));
        }
        parts.push(Part::Words(words));
        parts.push(Part::Placeholder(name.to_owned()));
        rest = after;
    }
    parts.push(Part::Words(rest));
    let has_brace = |part: &Part<'_>| matches!(part, Part::Words(words) if words.contains(['{', '}']));
    if parts.iter().any(has_brace) {
        return Err("a brace is no part of a placeholder".to_owned());
    }
    Ok(parts)
}

fn is_name(name: &str) -> bool {
    let is_snake_case = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_snake_case && !KEYWORDS.contains(&name)
}

/// The plural categories of a language for cardinal numbers, by CLDR.
fn categories(language: &str) -> Vec<String> {
    let rules = Locale::try_from_str(language)
        .ok()
        .and_then(|locale| PluralRules::try_new_cardinal((&locale).into()).ok());
    let name = |category| match category {
        PluralCategory::Zero => "zero",
        PluralCategory::One => "one",
        PluralCategory::Two => "two",
        PluralCategory::Few => "few",
        PluralCategory::Many => "many",
        PluralCategory::Other => "other",
    };
    rules
        .map(|rules| {
            rules
                .categories()
                .map(|category| name(category).to_owned())
                .collect()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = r#"{
        "stock": {
            "left": {
                "one": "only {{ count }} of {{ name }} left",
                "other": "only {{ count }} of {{ name }} left"
            },
            "none": "sold out",
            "moved": "{{ name }}, from {{ from }} to {{ name }}"
        }
    }"#;

    fn english() -> Texts {
        Texts::parse(ENGLISH).unwrap()
    }

    fn translated(change: impl Fn(&str) -> String) -> Vec<String> {
        Texts::parse(&change(ENGLISH))
            .unwrap()
            .problems_against(&english())
    }

    fn own_problems(language: &str, text: &str) -> Vec<String> {
        let json = format!(r#"{{ "group": {{ "key": {text} }} }}"#);
        Texts::parse(&json).unwrap().own_problems(language)
    }

    #[test]
    fn arguments_are_in_the_order_of_their_first_appearance_and_a_number_is_first() {
        let texts = english();
        let arguments = |name: &str| {
            let key = Key {
                group: "stock".to_owned(),
                name: name.to_owned(),
            };
            texts.0[&key].arguments().unwrap()
        };
        assert_eq!(arguments("moved"), ["name", "from"]);
        assert_eq!(arguments("left"), ["count", "name"]);
        assert!(arguments("none").is_empty());
    }

    #[test]
    fn the_same_keys_and_placeholders_are_accepted_in_any_order() {
        assert!(translated(str::to_owned).is_empty());
        let moved = translated(|json| json.replace("from {{ from }} to {{ name }}", "{{ from }}"));
        assert!(moved.is_empty(), "{moved:?}");
        // The number may be left out of a form for few numbers.
        let one = translated(|json| json.replacen("only {{ count }} of", "the last", 1));
        assert!(one.is_empty(), "{one:?}");
    }

    #[test]
    fn a_key_that_is_missing_or_unknown_is_named() {
        let problems = translated(|json| json.replace("\"none\"", "\"nothing\""));
        assert_eq!(
            problems,
            [
                "stock.none: is missing",
                "stock.nothing: the English texts have no such key"
            ]
        );
    }

    #[test]
    fn a_placeholder_that_is_missing_or_unknown_is_named() {
        let problems = translated(|json| json.replace("{{ from }}", "{{ start }}"));
        assert_eq!(problems, ["stock.moved: the English text has no {{ start }}"]);
        let problems = translated(|json| json.replace("{{ from }}", "there"));
        assert_eq!(problems, ["stock.moved: {{ from }} is missing"]);
    }

    #[test]
    fn a_plural_has_the_forms_of_its_language() {
        let two = r#"{ "one": "{{ count }} day", "other": "{{ count }} days" }"#;
        for language in ["en", "de"] {
            assert!(own_problems(language, two).is_empty(), "{language}");
        }
        assert_eq!(
            own_problems("ja", two),
            ["group.key: the language has no plural form `one`"]
        );
        let missing = own_problems("ar", two);
        for category in ["zero", "two", "few", "many"] {
            let expected = format!("group.key: the plural has no form `{category}`");
            assert!(missing.contains(&expected), "{missing:?}");
        }
    }

    #[test]
    fn a_text_that_is_empty_or_malformed_is_refused() {
        assert_eq!(own_problems("en", "\" \""), ["group.key: the text is empty"]);
        assert_eq!(
            own_problems("en", "\"{{ a\""),
            ["group.key: a placeholder is not closed"]
        );
        assert_eq!(
            own_problems("en", "\"a } b\""),
            ["group.key: a brace is no part of a placeholder"]
        );
        assert_eq!(
            own_problems("en", "\"{{ type }}\""),
            ["group.key: `type` cannot be the name of a parameter"]
        );
        assert!(Texts::parse(r#"{ "group": { "key": 7 } }"#).is_err());
        assert!(Texts::parse(r#"{ "brand": "Foldline" }"#).is_err());
    }

    #[test]
    fn a_key_that_is_a_keyword_is_refused() {
        let texts = Texts::parse(r#"{ "group": { "move": "Move" } }"#).unwrap();
        assert_eq!(
            texts.own_problems("en"),
            ["group.move: `move` cannot be the name of a function"]
        );
    }
}
