//! The drawn sheets, read again as XML.

#![expect(clippy::unwrap_used, reason = "what a test finds missing fails it")]

use std::collections::{BTreeMap, BTreeSet};

use drawing::{
    Bus, Direction, DrawError, Drawing, Format, Labels, Language, Names, Request, Search, Sheet, TITLE_LIMIT,
    Theme, draw, label_ids, mermaid,
};
use proptest::prelude::*;
use roxmltree::{Document, Node};

/// The largest document that a page should load.
const MOST_BYTES: usize = 90 * 1024;

/// Every sheet that comes with the program.
fn shipped() -> impl Iterator<Item = Request<'static>> {
    Sheet::ALL.into_iter().flat_map(|sheet| {
        Format::ALL.into_iter().flat_map(move |format| {
            Theme::ALL.into_iter().flat_map(move |theme| {
                Language::ALL
                    .into_iter()
                    .map(move |language| Request::shipped(sheet, format, theme, language))
            })
        })
    })
}

fn english(sheet: Sheet) -> Request<'static> {
    Request::shipped(sheet, Format::Wide, Theme::Dark, Language::En)
}

/// The English labels of a sheet, to be changed.
fn table(sheet: Sheet) -> BTreeMap<String, String> {
    let labels = Labels::of(Language::En);
    label_ids(sheet)
        .map(|id| (id.to_owned(), labels.get(id).unwrap().to_owned()))
        .collect()
}

fn draw_with(sheet: Sheet, format: Format, labels: &Labels) -> Result<Drawing, DrawError> {
    draw(&Request {
        labels,
        format,
        ..english(sheet)
    })
}

/// The text of an element with all of its parts.
fn text_of(node: Node<'_, '_>) -> String {
    node.descendants()
        .filter_map(|it| if it.is_text() { it.text() } else { None })
        .collect()
}

/// The drawn texts by the ids of their labels.
fn texts(document: &Document<'_>) -> BTreeMap<String, String> {
    let labelled = document
        .descendants()
        .filter(|node| node.has_attribute("data-label"));
    labelled
        .map(|node| (node.attribute("data-label").unwrap().to_owned(), text_of(node)))
        .collect()
}

fn assert_sound(svg: &str) {
    let document = Document::parse(svg).unwrap();
    let root = document.root_element();
    assert_eq!(root.tag_name().namespace(), Some("http://www.w3.org/2000/svg"));
    let mut ids = BTreeSet::new();
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        assert!(
            !["script", "style", "foreignObject", "image", "a", "use"].contains(&name),
            "{name}"
        );
        if let Some(id) = node.attribute("id") {
            assert!(ids.insert(id), "{id} twice");
        }
        for attribute in node.attributes() {
            assert!(
                !attribute.name().starts_with("on") && attribute.name() != "href",
                "{attribute:?}"
            );
            assert!(!attribute.value().contains("url(h"), "{attribute:?}");
        }
    }
}

#[test]
fn every_sheet_is_sound_small_and_readable_in_every_language_format_and_theme() {
    for request in shipped() {
        let what = format!(
            "{:?} {:?} {:?} {}",
            request.sheet, request.format, request.theme, request.language
        );
        let drawing = draw(&request).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_sound(&drawing.svg);
        assert!(
            drawing.svg.len() <= MOST_BYTES,
            "{what}: {} bytes",
            drawing.svg.len()
        );
        let document = Document::parse(&drawing.svg).unwrap();
        assert_eq!(document.root_element().attribute("lang"), Some(request.language));
        assert_eq!(
            document.root_element().attribute("direction"),
            Some(request.direction.as_str())
        );
        for size in document
            .descendants()
            .filter_map(|node| node.attribute("font-size"))
        {
            assert!(size.parse::<f64>().unwrap() >= 11.0, "{what}: {size} px");
        }
        // Each note, each side label and the cloud has a line to what it is about.
        let leaders = document
            .descendants()
            .filter(|node| node.attribute("class") == Some("leader"))
            .count();
        assert_eq!(
            leaders,
            if request.sheet == Sheet::Pattern { 8 } else { 0 },
            "{what}"
        );
    }
}

#[test]
fn every_english_label_is_in_the_picture_word_for_word() {
    for sheet in Sheet::ALL {
        for format in Format::ALL {
            let drawing = draw(&Request {
                format,
                ..english(sheet)
            })
            .unwrap();
            let document = Document::parse(&drawing.svg).unwrap();
            let drawn = texts(&document);
            for (id, label) in table(sheet) {
                let is_alternative = id.ends_with(".in_process") || id.ends_with(".embedded");
                if id.ends_with(".description") {
                    assert!(text_of(document.root_element()).contains(&label), "{id}");
                } else if !is_alternative {
                    assert_eq!(drawn.get(&id), Some(&label), "{id}");
                }
            }
        }
    }
}

#[test]
fn the_lines_of_a_label_joined_by_spaces_are_the_label() {
    let drawing = draw(&english(Sheet::Pattern)).unwrap();
    let document = Document::parse(&drawing.svg).unwrap();
    let role = document
        .descendants()
        .find(|it| it.attribute("data-label") == Some("box.event_store.role"))
        .unwrap();
    let lines: Vec<_> = role.children().filter(Node::is_element).map(text_of).collect();
    assert!(lines.len() > 1);
    assert_eq!(lines.join(" "), "Persists immutable event stream by aggregate");
}

#[test]
fn each_box_and_each_arrow_can_be_found_by_its_id() {
    for (sheet, boxes, arrows) in [(Sheet::Pattern, 12, 13), (Sheet::Business, 17, 17)] {
        let drawing = draw(&english(sheet)).unwrap();
        let document = Document::parse(&drawing.svg).unwrap();
        let groups = |key| document.descendants().filter(move |node| node.has_attribute(key));
        assert_eq!(groups("data-box").count(), boxes);
        assert_eq!(groups("data-arrow").count(), arrows);
        for group in groups("data-box") {
            assert_eq!(
                group.attribute("id").unwrap(),
                format!("box-{}", group.attribute("data-box").unwrap())
            );
        }
        for group in groups("data-arrow") {
            let lines = group
                .descendants()
                .filter(|it| it.attribute("class") == Some("line"));
            assert_eq!(
                lines
                    .filter(|line| line.attribute("d").unwrap().starts_with('M'))
                    .count(),
                1
            );
        }
        let figures = document
            .descendants()
            .filter(|it| it.attribute("class") == Some("figures"));
        for place in figures {
            assert!(place.has_attribute("data-x") && place.has_attribute("data-y"));
        }
    }
}

#[test]
fn the_business_sheet_follows_the_configuration() {
    let names = Names {
        bus: Bus::InProcess,
        search: Search::Embedded,
    };
    let drawing = draw(&Request {
        names,
        ..english(Sheet::Business)
    })
    .unwrap();
    let document = Document::parse(&drawing.svg).unwrap();
    let drawn = texts(&document);
    assert_eq!(
        drawn["business.box.event_bus.in_process"],
        "Event Bus - in-process"
    );
    assert!(!drawn.contains_key("business.box.event_bus.kafka"));
    assert!(drawn.contains_key("business.box.search.embedded"));
}

#[test]
fn arabic_is_mirrored() {
    let place = |language| {
        let request = Request::shipped(Sheet::Pattern, Format::Wide, Theme::Dark, language);
        let drawing = draw(&request).unwrap();
        let document = Document::parse(&drawing.svg).unwrap();
        let title = document
            .descendants()
            .find(|it| it.attribute("data-label") == Some("pattern.title"))
            .unwrap();
        title.attribute("x").unwrap().parse::<f64>().unwrap()
    };
    assert!((place(Language::En) + place(Language::Ar) - 1600.0).abs() < 0.1);
}

#[test]
fn markup_in_labels_and_in_the_title_is_text() {
    let mut own = table(Sheet::Pattern);
    own.insert("box.cache.name".to_owned(), "<script>x()</script>".to_owned());
    own.insert("note.audit".to_owned(), "👩🏽‍🏫 & \"quotes\" 🚀".to_owned());
    own.insert(
        "box.query_api.name".to_owned(),
        "\u{2067}عربي\u{2069} API".to_owned(),
    );
    let labels = Labels::check(Sheet::Pattern, own).unwrap();
    let title = "</title><script>alert(1)</script> \u{202e}txt\u{7}";
    let drawing = draw(&Request {
        labels: &labels,
        title: Some(title),
        ..english(Sheet::Pattern)
    })
    .unwrap();
    assert_sound(&drawing.svg);
    let document = Document::parse(&drawing.svg).unwrap();
    let drawn = texts(&document);
    assert_eq!(drawn["box.cache.name"], "<script>x()</script>");
    assert_eq!(drawn["note.audit"], "👩🏽‍🏫 & \"quotes\" 🚀");
    assert_eq!(drawn["pattern.title"], "</title><script>alert(1)</script> txt");
}

#[test]
fn a_title_has_a_limit_and_a_blank_one_is_none() {
    let long = "x ".repeat(TITLE_LIMIT);
    let error = draw(&Request {
        title: Some(&long),
        ..english(Sheet::Pattern)
    })
    .unwrap_err();
    assert_eq!(error, DrawError::TitleTooLong { limit: TITLE_LIMIT });
    let title = "One order, followed from the browser to every view that shows it, \
                 told by the events of a single afternoon at work";
    for sheet in Sheet::ALL {
        for format in Format::ALL {
            assert!(
                draw(&Request {
                    title: Some(title),
                    format,
                    ..english(sheet)
                })
                .is_ok(),
                "{sheet:?} {format:?}"
            );
        }
    }
    let drawing = draw(&Request {
        title: Some("  "),
        ..english(Sheet::Pattern)
    })
    .unwrap();
    assert!(drawing.svg.contains(">Event Sourcing Pattern<"));
}

#[test]
fn labels_of_another_sheet_are_refused_by_the_name_of_what_is_missing() {
    let labels = Labels::check(Sheet::Pattern, table(Sheet::Pattern)).unwrap();
    let error = draw_with(Sheet::Business, Format::Wide, &labels).unwrap_err();
    assert_eq!(
        error,
        DrawError::MissingLabel {
            label: "business.arrow.append".to_owned()
        }
    );
}

#[test]
fn two_hundred_characters_are_shrunk_or_refused_by_name() {
    let long = "A label that goes on and on, "
        .repeat(7)
        .chars()
        .take(200)
        .collect::<String>();
    for sheet in Sheet::ALL {
        for format in Format::ALL {
            // Every third one, as each takes a search through all rounds.
            for id in label_ids(sheet).step_by(3) {
                let mut own = table(sheet);
                own.insert(id.to_owned(), long.clone());
                let labels = Labels::check(sheet, own).unwrap();
                match draw_with(sheet, format, &labels) {
                    Ok(drawing) => {
                        let document = Document::parse(&drawing.svg).unwrap();
                        let mut scales = drawing.shrunk.iter().map(|(_, scale)| *scale);
                        assert!(scales.all(|scale| (0.7..1.0).contains(&scale)), "{id}");
                        // Its figures show that it was drawn whole.
                        if let Some(text) = texts(&document).get(id) {
                            assert_eq!(*text, long.trim(), "{id}");
                        }
                    }
                    Err(DrawError::CannotFit { label }) => assert!(!label.is_empty()),
                    Err(error) => panic!("{id}: {error}"),
                }
            }
        }
    }
}

#[test]
fn mermaid_names_every_box_and_every_arrow_in_every_language() {
    for language in Language::ALL {
        let labels = Labels::of(language);
        let text = mermaid(Sheet::Pattern, labels, Names::DOCUMENT);
        assert!(text.starts_with("flowchart LR\n"));
        assert_eq!(
            text.lines().filter(|line| line.contains("-->")).count(),
            13,
            "{language}"
        );
        assert_eq!(text.matches("<br/>").count(), 11, "{language}");
        assert_eq!(
            text.matches("subgraph ").count(),
            text.lines().filter(|line| line.trim() == "end").count()
        );
        let text = mermaid(Sheet::Business, labels, Names::DOCUMENT);
        assert_eq!(
            text.lines().filter(|line| line.contains("-->")).count(),
            17,
            "{language}"
        );
        assert!(
            text.contains("Kafka") && text.contains("PaymentProcessed"),
            "{language}"
        );
    }
}

/// Texts in many scripts, with what a hostile client would send.
fn any_label() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{1,60}",
        "[a-zäöü ]{1,120}",
        "[\u{0621}-\u{064a} ]{1,80}",
        "[\u{0900}-\u{097f} ]{1,80}",
        "[\u{3041}-\u{30ff}\u{4e00}-\u{4eff}。、]{1,60}",
        "[\u{0e01}-\u{0e5b}]{1,60}",
        "[<>&\"'/\\]\\[{}%#;`-]{1,80}",
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_label_brings_the_drawing_down_or_leaves_its_element(
        texts in proptest::collection::vec((any::<prop::sample::Index>(), any_label()), 1..8),
        is_business in any::<bool>(),
        is_tall in any::<bool>(),
        is_rtl in any::<bool>(),
        title in proptest::option::of(any_label()),
    ) {
        let sheet = if is_business { Sheet::Business } else { Sheet::Pattern };
        let ids: Vec<&str> = label_ids(sheet).collect();
        let mut own = table(sheet);
        for (index, text) in texts {
            own.insert((*index.get(&ids)).to_owned(), text);
        }
        if let Ok(labels) = Labels::check(sheet, own) {
            let request = Request {
                sheet,
                format: if is_tall { Format::Tall } else { Format::Wide },
                theme: Theme::Light,
                language: "x\"<",
                direction: if is_rtl { Direction::RightToLeft } else { Direction::LeftToRight },
                labels: &labels,
                title: title.as_deref(),
                names: Names::DOCUMENT,
            };
            if let Ok(drawing) = draw(&request) {
                assert_sound(&drawing.svg);
            }
            let lines = mermaid(sheet, &labels, Names::DOCUMENT).lines().count();
            prop_assert_eq!(lines, mermaid(sheet, Labels::of(Language::En), Names::DOCUMENT).lines().count());
        }
    }
}
