//! What PostgreSQL refuses is a dead letter: a name with U+0000, stored before names were validated.

use documents::ParkedState;
use test_postgres::Database;
use test_support::{listed, price, received, reserved_for};

use crate::{Context, Projections, dead_letters::Remedy, retry::EVENT_ATTEMPTS, testing::LaneFixture};

async fn reach(fixture: &LaneFixture, context: &Context, position: u64) {
    for view in context.progress.handlers() {
        let progress = context.progress.of(fixture.workspace, view.name()).unwrap();
        progress.reaches(&format!("0:{position}").parse().unwrap()).await;
    }
}

/// View, stream and version of every dead letter, and how many events wait.
async fn letters(fixture: &LaneFixture, context: &Context) -> Vec<(String, String, u64, u64)> {
    let letters = context.documents.dead_letters(fixture.workspace, None, None, 100);
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
async fn an_event_that_the_database_refuses_is_a_dead_letter_and_holds_back_no_other_stream() {
    let database = Database::new().await;
    let documents = read_model::open(&database.url.parse().unwrap()).await.unwrap();
    let fixture = LaneFixture::new(1).await;
    let context = fixture.owner_with(documents);
    for n in 0..20 {
        fixture
            .append(
                &format!("product-before-{n}"),
                &[listed(&format!("before-{n}"), "Mug")],
            )
            .await;
    }
    // U+0000 in a sort key, and in a document's key.
    fixture
        .append("product-bad", &[listed("bad", "Mu\0g"), price(1_000)])
        .await;
    fixture
        .append(
            "inventory-bad",
            &[received(3), reserved_for("o\0", 1), received(2)],
        )
        .await;
    fixture.append("product-after", &[listed("after", "Mug")]).await;

    let projections = Projections::start(context.clone()).await.unwrap();
    reach(&fixture, &context, 26).await;
    let dead = letters(&fixture, &context).await;
    assert!(
        dead.contains(&("products".to_owned(), "product-bad".to_owned(), 1, 1)),
        "{dead:?}"
    );
    for key in ["before-0", "before-19", "after"] {
        let read = context
            .documents
            .document(fixture.workspace, "products", key)
            .await;
        assert!(read.unwrap().value.is_some(), "{key}");
    }
    for view in context.progress.handlers() {
        let failing = context.health.failing(view.name(), fixture.workspace);
        assert!(failing.is_empty(), "{failing:?}");
    }
    assert_eq!(context.health.unready_reasons(), Vec::<String>::new());

    // Another attempt ends in the same letter, and a rebuild in the same letters.
    let letter = context
        .documents
        .dead_letters(fixture.workspace, Some("products"), None, 1)
        .await
        .unwrap()
        .remove(0);
    let released = projections
        .dead_letters
        .remedy(fixture.workspace, letter.event.id, Remedy::Retry)
        .await
        .unwrap();
    assert_eq!(released.applied, 0);
    assert_eq!(letters(&fixture, &context).await, dead);
    projections.stop().await;
}
