//! The sheets as Mermaid text, which a reader copies into a document of their own.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::labels::Labels;
use crate::layout::{Block, Layout};
use crate::sheet::{Format, Names, Sheet};

/// A section with its boxes; the others stand outside.
type Group = (&'static str, &'static str, &'static [&'static str]);

const PATTERN: &[Group] = &[
    (
        "write",
        "section.write",
        &["api_gateway", "command_service", "aggregate"],
    ),
    ("backbone", "section.backbone", &["event_store", "message_broker"]),
    (
        "read",
        "section.read",
        &["projection_worker", "read_model_database", "cache", "query_api"],
    ),
    ("operations", "section.operations", &["monitoring"]),
];

const BUSINESS: &[Group] = &[
    (
        "producers",
        "business.section.producers",
        &["order_service", "user_service", "payment_service"],
    ),
    ("bus", "business.section.bus", &["event_bus", "event_store"]),
    (
        "consumers",
        "business.section.consumers",
        &[
            "inventory_consumer",
            "notification_consumer",
            "analytics_consumer",
            "search_indexer",
        ],
    ),
    (
        "sinks",
        "business.section.sinks",
        &["inventory_db", "email_push", "data_warehouse", "search"],
    ),
    (
        "cqrs",
        "business.section.cqrs",
        &["write_model", "read_model", "read_db"],
    ),
];

/// A sheet as a Mermaid flowchart: its boxes in their sections, and its arrows with their labels.
pub fn mermaid(sheet: Sheet, labels: &Labels, names: Names) -> String {
    let layout = Layout::of(sheet, Format::Wide);
    let text = |label: &str| escape(labels.get(&names.resolve(label)).unwrap_or_default());
    let blocks: BTreeMap<&str, &Block> = layout.boxes.iter().map(|it| (it.id.as_str(), it)).collect();
    let (groups, cloud) = match sheet {
        Sheet::Pattern => (PATTERN, layout.boundary.cloud.as_ref()),
        Sheet::Business => (BUSINESS, None),
    };
    let mut out = String::from("flowchart LR\n");
    let title = text(&layout.heading.title);
    let _ = writeln!(
        out,
        "  accTitle: {title}\n  accDescr: {}",
        text(&layout.heading.description)
    );
    let grouped = |id: &str| groups.iter().any(|(_, _, boxes)| boxes.contains(&id));
    for block in layout.boxes.iter().filter(|block| !grouped(&block.id)) {
        node(&mut out, 1, block, &text);
    }
    let depth = if let Some(cloud) = cloud {
        let _ = writeln!(
            out,
            "  subgraph {}[\"{}: {}\"]",
            cloud.id,
            text(&cloud.name),
            text(&cloud.role)
        );
        2
    } else {
        1
    };
    let indent = "  ".repeat(depth);
    for (id, label, boxes) in groups {
        let _ = writeln!(out, "{indent}subgraph section_{id}[\"{}\"]", text(label));
        for block in boxes.iter().filter_map(|id| blocks.get(id)) {
            node(&mut out, depth + 1, block, &text);
        }
        let _ = writeln!(out, "{indent}end");
    }
    if cloud.is_some() {
        out.push_str("  end\n");
    }
    for arrow in &layout.arrows {
        let line = if arrow.is_both_ways { "<-->" } else { "-->" };
        let label = arrow
            .plate
            .as_ref()
            .map_or(String::new(), |plate| format!("|\"{}\"|", text(&plate.label)));
        let _ = writeln!(out, "  {} {line}{label} {}", arrow.from, arrow.to);
    }
    out
}

fn node(out: &mut String, depth: usize, block: &Block, text: &impl Fn(&str) -> String) {
    let role = block
        .role
        .as_ref()
        .map_or(String::new(), |role| format!("<br/>{}", text(role)));
    let _ = writeln!(
        out,
        "{}{}[\"{}{role}\"]",
        "  ".repeat(depth),
        block.id,
        text(&block.name)
    );
}

/// Writes a label in such a way that Mermaid takes no part of it for its own signs: other signs than those of
/// prose become entities. What only line breaking needs is left out.
fn escape(label: &str) -> String {
    let mut out = String::new();
    for character in label.chars() {
        match character {
            '\u{ad}' | '\u{200b}' => {}
            it if crate::svg::is_forbidden(it) => {}
            ' ' | '.' | ',' | '-' | '/' | '+' | ':' | '\'' => out.push(character),
            it if it.is_alphanumeric() || !it.is_ascii() => out.push(it),
            it => {
                let _ = write!(out, "#{};", it as u32);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use domain::language::Language;

    use super::*;
    use crate::sheet::{Bus, Search};

    #[test]
    fn the_pattern_has_twelve_boxes_and_thirteen_arrows() {
        let text = mermaid(Sheet::Pattern, Labels::of(Language::En), Names::DOCUMENT);
        let roles = text.lines().filter(|line| line.contains("<br/>")).count();
        assert_eq!(roles, 11, "and the cloud, which is a subgraph:\n{text}");
        assert!(text.contains("subgraph cloud[\"Generic Cloud Boundary: Hosts application components\"]"));
        assert_eq!(text.lines().filter(|line| line.contains("-->")).count(), 13);
        assert!(text.contains("query_api <-->|\"Cache lookup / cache set\"| cache"));
        assert!(text.contains("web_client -->|\"HTTPS + JWT command request\"| api_gateway"));
    }

    #[test]
    fn the_business_sheet_follows_the_configuration() {
        let text = mermaid(Sheet::Business, Labels::of(Language::En), Names::DOCUMENT);
        for words in [
            "Event Bus - Kafka",
            "Write Model - Commands",
            "Read DB - Materialized Views",
            "Elasticsearch",
        ] {
            assert!(text.contains(&format!("[\"{words}\"]")), "{text}");
        }
        let names = Names {
            bus: Bus::InProcess,
            search: Search::Embedded,
        };
        let text = mermaid(Sheet::Business, Labels::of(Language::En), names);
        assert!(
            text.contains("[\"Event Bus - in-process\"]") && text.contains("[\"Search Index - embedded\"]")
        );
    }

    #[test]
    fn a_label_cannot_leave_its_quotes() {
        assert_eq!(
            escape("a\"] --> b%%{init}\n`x` #lt;"),
            "a#34;#93; --#62; b#37;#37;#123;init#125;#96;x#96; #35;lt#59;"
        );
    }
}
