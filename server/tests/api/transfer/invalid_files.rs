//! Changed and truncated exports: each is refused with the number of its line, and imports nothing.

use monitor::import::ImportError;
use serde_json::{Value, json};
use server::import_files::FileImportError;

use super::{ImportTarget, class, download_export, json_lines};

/// The lines with one of them changed.
fn with_line(lines: &str, index: usize, change: impl Fn(&str) -> String) -> String {
    let changed = lines.lines().enumerate().map(|(n, line)| {
        if n == index {
            change(line) + "\n"
        } else {
            line.to_owned() + "\n"
        }
    });
    changed.collect()
}

fn without_line(lines: &str, index: usize) -> String {
    let kept = lines.lines().enumerate().filter(|(n, _)| *n != index);
    kept.map(|(_, line)| line.to_owned() + "\n").collect()
}

/// Changed exports; the index of the faulty line; and a part of the message.
#[expect(clippy::too_many_lines, reason = "a table, one row for each fault")]
fn spoiled(taken: &str) -> Vec<(String, usize, &'static str)> {
    let parsed = json_lines(taken);
    let at = |event_type: &str| parsed.iter().position(|line| line["type"] == event_type).unwrap();
    let (end, command) = (parsed.len() - 1, at("foldline.command.v2"));
    let (listed, failed) = (at("ProductListed"), at("StockReservationFailed"));
    let second = parsed
        .windows(2)
        .position(|pair| {
            pair.iter()
                .all(|line| line["partition"] == parsed[1]["partition"])
        })
        .unwrap()
        + 1;
    let replaced = |index, from: &'static str, to: &'static str| {
        assert!(taken.lines().nth(index).unwrap().contains(from));
        with_line(taken, index, |line| line.replace(from, to))
    };
    let no_heads = with_line(taken, 0, |line| {
        let mut opening: Value = serde_json::from_str(line).unwrap();
        opening["data"]["heads"][0] = json!({"position": 0, "hash": "0".repeat(64)});
        opening.to_string()
    });
    vec![
        (
            replaced(failed, "\"quantity\":9", "\"quantity\":8"),
            failed,
            "does not follow from its content",
        ),
        (
            replaced(failed, "\"schemaversion\":1", "\"schemaversion\":3"),
            failed,
            "2 is the newest known",
        ),
        (
            replaced(failed, "StockReservationFailed", "OrderTeleported"),
            failed,
            "is unknown",
        ),
        (
            replaced(failed, "\"quantity\":9", "\"amount\":9"),
            failed,
            "quantity",
        ),
        (
            replaced(failed, "inventory-export-mug", "inventory-other"),
            failed,
            "expected",
        ),
        (
            replaced(listed, "\"position\":", "\"place\":"),
            listed,
            "it has no position",
        ),
        (
            replaced(listed, "\"specversion\":\"1.0\"", "\"specversion\":\"0.3\""),
            listed,
            "0.3; 1.0 is read",
        ),
        (
            replaced(listed, "urn:foldline:workspace:", "urn:other:"),
            listed,
            "its source is not",
        ),
        (replaced(listed, "{", "["), listed, "is not a CloudEvent"),
        (
            replaced(0, "workspace.v2", "workspace.v9"),
            0,
            "another version of this program",
        ),
        (
            replaced(0, "\"shards\":3", "\"shards\":4"),
            0,
            "3 heads for 4 shards",
        ),
        (no_heads, 1, "after the head"),
        (replaced(0, "\"shards\":3", "\"shards\":65"), 0, "1 to 64 shards"),
        (
            replaced(0, "Class 7b", "Class\\u00007b"),
            0,
            "data.name has the control character U+0000",
        ),
        (
            replaced(listed, "\"name\":\"", "\"name\":\"\\u0000"),
            listed,
            "data.name has the control character U+0000",
        ),
        (replaced(0, "Class 7b", ""), 0, "its name has 1 to 80 characters"),
        (without_line(taken, 0), 0, "before the first line of a workspace"),
        (without_line(taken, second), second, "was expected"),
        (without_line(taken, end - 1), end - 1, "commands were exported"),
        (
            replaced(command, "\"answer\":{", "\"answer\":{\"other\":1,"),
            command,
            "data.answer",
        ),
        (
            replaced(0, "\"number\":1", "\"number\":2"),
            0,
            "its part is none of its parts",
        ),
        (replaced(0, "workspace.v2", "workspace.v1"), 0, "the part is in"),
        (
            replaced(0, "Class 7b", "Class 8c"),
            end,
            "not those that were exported",
        ),
        (
            with_line(taken, end, |line| format!("{line}\n{{}}")),
            end + 1,
            "is not a CloudEvent",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_export_is_refused_by_line_and_imports_nothing() {
    let (app, educator, _) = class().await;
    let taken = download_export(&app, &educator).await;
    app.stop().await;
    for target in [ImportTarget::files(), ImportTarget::postgres().await] {
        for (lines, index, said) in &spoiled(&taken) {
            let refused = target.import(lines).await.unwrap_err().to_string();
            assert!(refused.contains(said), "{said}: {refused}");
            // lines are checked in batches, and the message still names the exact line
            assert!(
                refused.starts_with(&format!("line {}: ", index + 1)),
                "{said}: {refused}"
            );
            let is_there = target.store().await.workspace(educator.workspace).await.unwrap();
            assert!(is_there.is_none(), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_export_imports_nothing() {
    let (app, educator, _) = class().await;
    let taken = download_export(&app, &educator).await;
    app.stop().await;
    let target = ImportTarget::files();
    let steps = (0..taken.len() - 1).step_by(taken.len() / 40);
    // also truncated exactly between lines
    let ends = taken.match_indices('\n').map(|(at, _)| at + 1).step_by(13);
    for length in steps.chain(ends.filter(|end| *end < taken.len())) {
        let refused = target.import(&taken[..length]).await.unwrap_err();
        assert!(
            matches!(refused, FileImportError::Import(ImportError::Truncated { .. })),
            "{length}: {refused}"
        );
        assert_eq!(
            target.store().await.workspace(educator.workspace).await.unwrap(),
            None
        );
    }
    // the last line feed is optional
    target.import(taken.trim_end()).await.unwrap();
    assert_eq!(target.export().await, taken);
}
