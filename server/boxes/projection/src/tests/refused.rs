//! What a real PostgreSQL refuses for good is a dead letter: a name with U+0000, which was stored before names were looked at.

use documents::ParkedState;
use test_support::{listed, price, received, reserved_for};
use testing_postgres::Database;

use crate::{Context, Projections, dead_letters::Remedy, retry::EVENT_ATTEMPTS, testing::Parts};

async fn reach(parts: &Parts, context: &Context, position: u64) {
    for view in context.progress.handlers() {
        let progress = context.progress.of(parts.workspace, view.name()).unwrap();
        progress.reaches(&format!("0:{position}").parse().unwrap()).await;
    }
}

/// View, stream and version of every dead letter, and how many events wait.
async fn letters(parts: &Parts, context: &Context) -> Vec<(String, String, u64, u64)> {
    let letters = context.documents.dead_letters(parts.workspace, None, None, 100);
    let mut letters: Vec<_> = letters
        .await
        .unwrap()
        .into_iter()
        .map(|letter| {
            assert!(
                matches!(&letter.event.state, ParkedState::Dead { reason, attempts }
                    if *attempts >= EVENT_ATTEMPTS && reason.contains("refuses") && !reason.contains("0x00")),
                "{:?}",
                letter.event.state
            );
            let stream = letter.event.stream.to_string();
            (letter.view.clone(), stream, letter.event.version, letter.waiting)
        })
        .collect();
    letters.sort();
    letters
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_refuses_is_a_dead_letter_and_holds_no_other_stream() {
    let database = Database::new().await;
    let documents = read_model::open(&database.url.parse().unwrap()).await.unwrap();
    let parts = Parts::new(1).await;
    let context = parts.owner_with(documents);
    for n in 0..20 {
        parts
            .append(
                &format!("product-before-{n}"),
                &[listed(&format!("before-{n}"), "Mug")],
            )
            .await;
    }
    // of a document's place in a listing, and of a document's key
    parts
        .append("product-bad", &[listed("bad", "Mu\0g"), price(1_000)])
        .await;
    parts
        .append(
            "inventory-bad",
            &[received(3), reserved_for("o\0", 1), received(2)],
        )
        .await;
    parts.append("product-behind", &[listed("behind", "Mug")]).await;

    let projections = Projections::start(context.clone()).await.unwrap();
    reach(&parts, &context, 26).await;
    let dead = letters(&parts, &context).await;
    assert!(
        dead.contains(&("products".to_owned(), "product-bad".to_owned(), 1, 1)),
        "{dead:?}"
    );
    for key in ["before-0", "before-19", "behind"] {
        let read = context.documents.document(parts.workspace, "products", key).await;
        assert!(read.unwrap().value.is_some(), "{key}");
    }
    for view in context.progress.handlers() {
        let failing = context.health.failing(view.name(), parts.workspace);
        assert!(failing.is_empty(), "{failing:?}");
    }
    assert_eq!(context.health.complaints(), Vec::<String>::new());

    // Another attempt ends in the same letter, and a rebuild in the same letters.
    let letter = context
        .documents
        .dead_letters(parts.workspace, Some("products"), None, 1)
        .await
        .unwrap()
        .remove(0);
    let released = projections
        .dead_letters
        .remedy(parts.workspace, letter.event.id, Remedy::Retry)
        .await
        .unwrap();
    assert_eq!(released.applied, 0);
    assert_eq!(letters(&parts, &context).await, dead);
    projections.stop().await;
}
