//! Exports that were made up, with hashes that fit: each line is refused by its field, and nothing of the
//! file is imported.

use domain::event::GENESIS_HASH;
use monitor::cloud_event::Line;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{ImportTarget, class, download_export, json_lines};

/// An export whose lines were changed, with the hashes and the trailer that follow from the change.
fn forged(taken: &str, change: impl FnOnce(&mut Vec<Value>)) -> String {
    let mut lines = json_lines(taken);
    change(&mut lines);
    let count = lines[0]["data"]["heads"].as_array().unwrap().len();
    let mut heads = vec![(0, GENESIS_HASH.to_owned()); count];
    for line in &mut lines[1..] {
        if let Ok(Line::Event(event)) = Line::parse(&line.to_string())
            && let Some(head) = heads.get_mut(event.partition as usize)
        {
            *head = (event.position, event.chain_hash(&head.1));
            line["hash"] = json!(head.1);
        }
    }
    let heads: Vec<Value> = heads
        .into_iter()
        .map(|(position, hash)| json!({"position": position, "hash": hash}))
        .collect();
    lines[0]["data"]["heads"] = json!(heads);
    let mut end = lines.pop().unwrap();
    let text: String = lines.iter().map(|line| line.to_string() + "\n").collect();
    end["data"]["sha256"] = json!(hex::encode(Sha256::digest(&text)));
    text + &end.to_string() + "\n"
}

/// The index of the first line of a type by a role.
fn line_of(taken: &str, event_type: &str, role: &str) -> usize {
    let is_wanted = |line: &Value| line["type"] == event_type && line["actorrole"] == role;
    json_lines(taken).iter().position(is_wanted).unwrap()
}

/// Another value at a pointer of a line.
fn with(taken: &str, index: usize, pointer: &str, value: Value) -> (String, usize) {
    let file = forged(taken, |lines| {
        let line = &mut lines[index];
        match line.pointer_mut(pointer) {
            Some(member) => *member = value,
            None => line[pointer.trim_start_matches('/')] = value,
        }
    });
    (file, index)
}

/// Made-up files, the faulty line of each, and a part of the message: the field.
#[expect(clippy::too_many_lines, reason = "a table, one row for each fault")]
fn made_up(taken: &str) -> Vec<((String, usize), &'static str)> {
    let listed = line_of(taken, "ProductListed", "educator");
    let received = line_of(taken, "StockReceived", "educator");
    let created = line_of(taken, "OrderCreated", "educator");
    let command = json_lines(taken)
        .iter()
        .position(|line| line["type"].as_str().unwrap().starts_with("foldline.command"))
        .unwrap();
    let nil = json!(Uuid::nil());
    let end = json_lines(taken).len() - 1;
    vec![
        // what this program does not write
        (
            (
                forged(taken, |lines| {
                    lines[received]["data"]["note"] = json!("\u{202e}<b>".repeat(10_000));
                }),
                received,
            ),
            "data.note",
        ),
        (
            (
                forged(taken, |lines| {
                    lines[command]["data"]["answer"]["note"] = json!("<b>");
                }),
                command,
            ),
            "data.answer",
        ),
        // ids
        (with(taken, received, "/causationid", nil.clone()), "causationid"),
        (
            (
                forged(taken, |lines| lines[received]["id"] = lines[listed]["id"].clone()),
                end,
            ),
            "have the id",
        ),
        (
            (
                forged(taken, |lines| lines.insert(command + 1, lines[command].clone())),
                command + 1,
            ),
            "is there once",
        ),
        // the workspace
        (with(taken, 0, "/data/join_code", json!("A")), "data.join_code"),
        (
            with(taken, 0, "/data/name", json!("Class\u{202e}7b")),
            "data.name",
        ),
        (
            with(taken, 0, "/data/created_at", json!("9999-01-01T00:00:00.000000Z")),
            "data.created_at",
        ),
        (
            (
                forged(taken, |lines| {
                    for line in lines {
                        line["source"] = json!(format!("urn:foldline:workspace:{}", Uuid::nil()));
                    }
                }),
                0,
            ),
            "source",
        ),
        // actors and roles
        (with(taken, listed, "/actorrole", json!("customer")), "actorrole"),
        (with(taken, received, "/actorrole", json!("student")), "actorrole"),
        (with(taken, listed, "/actorid", nil.clone()), "actorid"),
        (
            with(taken, listed, "/correlationid", nil.clone()),
            "correlationid",
        ),
        (with(taken, listed, "/traceparent", json!("a b")), "traceparent"),
        // times
        (
            with(taken, listed, "/time", json!("9999-12-31T23:59:59.000000Z")),
            "time",
        ),
        (
            with(taken, listed, "/time", json!("1970-01-01T00:00:00.000000Z")),
            "time",
        ),
        // texts and numbers
        (
            with(taken, listed, "/data/name", json!("x".repeat(121))),
            "data.name",
        ),
        (
            with(taken, listed, "/data/name", json!("x".repeat(3_000_000))),
            "bytes",
        ),
        (
            with(taken, listed, "/data/name", json!("a\u{2028}b")),
            "data.name",
        ),
        (
            with(taken, listed, "/data/price/amount", json!(-1)),
            "data.price.amount",
        ),
        (with(taken, received, "/data/quantity", json!(0)), "data.quantity"),
        (with(taken, created, "/data/total/amount", json!(1)), "data.total"),
        (
            with(taken, created, "/data/customer/name", json!("a\u{200b}")),
            "data.customer.name",
        ),
        (with(taken, created, "/data/customer/id", nil), "data.customer"),
        (with(taken, created, "/data/lines", json!([])), "data.lines"),
        // types and streams
        (
            with(taken, listed, "/type", json!("ProductRetired2")),
            "is unknown",
        ),
        (with(taken, received, "/data", json!({})), "quantity"),
        // commands
        (
            with(taken, command, "/correlationid", json!(Uuid::nil())),
            "correlationid",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_made_up_export_is_refused_by_line_and_field_and_imports_nothing() {
    let (app, educator, _) = class().await;
    let taken = download_export(&app, &educator).await;
    app.stop().await;
    for target in [ImportTarget::files(), ImportTarget::postgres().await] {
        for ((lines, index), said) in made_up(&taken) {
            let refused = target.import(&lines).await.unwrap_err().to_string();
            let refused: String = refused.chars().take(400).collect();
            assert!(
                refused.starts_with(&format!("line {}: ", index + 1)) && refused.contains(said),
                "{said} of line {}: {refused}",
                index + 1
            );
            let store = target.store().await;
            assert!(store.workspaces(None, 10).await.unwrap().is_empty(), "{said}");
        }
        // What was not changed is imported.
        target.import(&forged(&taken, |_| {})).await.unwrap();
        assert!(target.verified().await.contains("  ok  "));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_character_does_not_hide_behind_a_number_that_no_parser_reads() {
    let (app, educator, _) = class().await;
    let taken = download_export(&app, &educator).await;
    app.stop().await;
    let listed = line_of(&taken, "ProductListed", "educator");
    let hidden: String = taken
        .lines()
        .enumerate()
        .map(|(n, line)| {
            if n == listed {
                line.replacen("\"name\":\"", "\"x\":1e999,\"name\":\"\\u0000", 1) + "\n"
            } else {
                line.to_owned() + "\n"
            }
        })
        .collect();
    let target = ImportTarget::files();
    let refused = target.import(&hidden).await.unwrap_err().to_string();
    assert!(
        refused.starts_with(&format!("line {}: ", listed + 1)),
        "{refused}"
    );
    assert!(refused.contains("cannot be read"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_imported_whole_or_not_at_all() {
    let (app, educator, _) = class().await;
    let taken = download_export(&app, &educator).await;
    let other = app.educator().await;
    let second = download_export(&app, &other).await;
    app.stop().await;
    let spoiled = second.replace("\"name\":", "\"nome\":");
    for target in [ImportTarget::files(), ImportTarget::postgres().await] {
        let both = format!("{taken}{spoiled}");
        target.import(&both).await.unwrap_err();
        let store = target.store().await;
        assert!(store.workspaces(None, 10).await.unwrap().is_empty());
        let twice = target.import(&format!("{taken}{taken}")).await.unwrap_err();
        assert!(twice.to_string().contains("is twice in this file"), "{twice}");
        let imported = target.import(&format!("{taken}{second}")).await.unwrap();
        assert_eq!(imported.len(), 2);
        // Again: both are there already.
        let again = target.import(&format!("{taken}{second}")).await.unwrap();
        assert!(again.iter().all(|one| one.already_existed));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_cut_between_two_workspaces_is_refused_whole() {
    let (app, educator, _) = class().await;
    let taken = download_export(&app, &educator).await;
    let other = app.educator().await;
    let second = download_export(&app, &other).await;
    app.stop().await;
    let source = ImportTarget::files();
    source.import(&format!("{taken}{second}")).await.unwrap();
    let both = source.export().await;
    let parts = json_lines(&both);
    let ends: Vec<_> = parts
        .iter()
        .enumerate()
        .filter(|(_, line)| line["type"] == "foldline.end.v1")
        .map(|(n, _)| n + 1)
        .collect();
    assert_eq!(ends.len(), 2);
    let part = |from: usize, to: usize| -> String {
        let lines = both.lines().skip(from).take(to - from);
        lines.map(|line| line.to_owned() + "\n").collect()
    };
    for target in [ImportTarget::files(), ImportTarget::postgres().await] {
        for (cut, said) in [
            (part(0, ends[0]), "before workspace 2 of 2"),
            (part(ends[0], ends[1]), "the file is not whole"),
            (part(0, ends[0]) + &second, "the file is not whole"),
        ] {
            let refused = target.import(&cut).await.unwrap_err().to_string();
            assert!(refused.contains(said), "{said}: {refused}");
            assert!(
                target
                    .store()
                    .await
                    .workspaces(None, 10)
                    .await
                    .unwrap()
                    .is_empty()
            );
        }
        let imported = target.import(&both).await.unwrap();
        assert!(imported.len() == 2 && imported.iter().all(|one| one.is_counted));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_an_earlier_version_is_imported_and_says_that_it_is_not_counted() {
    let (app, educator, _) = class().await;
    let taken = download_export(&app, &educator).await;
    app.stop().await;
    let earlier = forged(&taken, |lines| {
        lines[0]["type"] = json!("foldline.workspace.v1");
        lines[0]["data"].as_object_mut().unwrap().remove("part");
    });
    let imported = ImportTarget::files().import(&earlier).await.unwrap();
    assert!(!imported[0].is_counted);
}
