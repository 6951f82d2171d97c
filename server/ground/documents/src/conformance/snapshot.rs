//! All of a view in one snapshot, page by page.

use super::{super::DocumentStoreError, TestDatabase, VIEW, entry, fold, lane, workspace, write};
use domain::token::ConsistencyToken;

pub(crate) async fn a_snapshot_is_read_in_pages_of_any_size<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let workspace = workspace();
    let lane = lane(workspace, 1, 0);
    let first = vec![
        write("c", 3, vec![]),
        write("a", 1, vec![entry("berta", "2"), entry("anna", "1")]),
        write("B", 2, vec![entry("anna", "1")]),
    ];
    fold(&*model, &lane, 0, 3, first).await;
    for limit in [1, 2, 100] {
        let snapshot = model.snapshot(workspace, VIEW).await.unwrap();
        assert_eq!(
            (snapshot.as_of, snapshot.generation),
            (ConsistencyToken::at(0, 3), 1)
        );
        let mut snapshot = snapshot.value;
        let (mut keys, mut places) = (Vec::new(), Vec::new());
        loop {
            let page = snapshot.documents(limit).await.unwrap();
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= limit as usize);
            keys.extend(page.into_iter().map(|document| document.key));
        }
        loop {
            let page = snapshot.entries(limit).await.unwrap();
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= limit as usize);
            places.extend(page.into_iter().map(|entry| (entry.group, entry.sort, entry.key)));
        }
        assert_eq!(keys, ["B", "a", "c"]);
        let place = |group: &str, sort: &str, key: &str| (group.to_owned(), sort.to_owned(), key.to_owned());
        assert_eq!(
            places,
            [
                place("anna", "1", "B"),
                place("anna", "1", "a"),
                place("berta", "2", "a")
            ]
        );
        assert!(snapshot.passed().await.unwrap().is_empty());
    }
}

pub(crate) async fn a_snapshot_does_not_see_later_updates<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let workspace = workspace();
    let lane = lane(workspace, 1, 0);
    fold(
        &*model,
        &lane,
        0,
        1,
        vec![write("a", 1, vec![entry("anna", "1")])],
    )
    .await;
    let mut snapshot = model.snapshot(workspace, VIEW).await.unwrap().value;
    fold(
        &*model,
        &lane,
        1,
        2,
        vec![write("b", 2, vec![entry("anna", "2")])],
    )
    .await;
    let documents = snapshot.documents(10).await.unwrap();
    assert_eq!(
        documents.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(),
        ["a"]
    );
    assert_eq!(snapshot.entries(10).await.unwrap().len(), 1);
    drop(snapshot);
    let now = model.contents(workspace, VIEW).await.unwrap();
    assert_eq!(now.value.documents.len(), 2);
}

pub(crate) async fn contents_with_an_entry_of_no_document_are_corrupt<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let workspace = workspace();
    fold(
        &*model,
        &lane(workspace, 1, 0),
        0,
        1,
        vec![write("a", 1, vec![entry("anna", "1")])],
    )
    .await;
    database.run("delete from documents").await;
    let error = model.contents(workspace, VIEW).await.unwrap_err();
    assert!(
        matches!(&error, DocumentStoreError::Corrupt(reason)
            if reason == "orders lists a, of which there is no document"),
        "{error}"
    );
}

pub(crate) async fn a_document_that_cannot_be_read_hides_no_other<B: TestDatabase>(database: B) {
    let model = database.open().await.unwrap();
    let workspace = workspace();
    let written = ["a", "b", "c"].map(|key| write(key, 1, vec![]));
    fold(&*model, &lane(workspace, 1, 0), 0, 3, written.to_vec()).await;
    database
        .run("update documents set data = '{' where key = 'b'")
        .await;
    for limit in [1, 2, 100] {
        let mut snapshot = model.snapshot(workspace, VIEW).await.unwrap().value;
        let mut texts = Vec::new();
        loop {
            let page = snapshot.raw_documents(limit).await.unwrap();
            if page.is_empty() {
                break;
            }
            texts.extend(page.into_iter().map(|it| (it.key, it.content.unwrap().0)));
        }
        let texts: Vec<_> = texts
            .iter()
            .map(|(key, text)| (key.as_str(), text.as_str()))
            .collect();
        assert_eq!(
            texts,
            [("a", r#"{"number":1}"#), ("b", "{"), ("c", r#"{"number":1}"#)]
        );
        assert!(snapshot.contains("b").await.unwrap() && !snapshot.contains("d").await.unwrap());
        assert_eq!(snapshot.checkpoints().await.unwrap(), [(0, 3_u64.into())]);
    }
}
