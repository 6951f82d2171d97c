//! The warehouse over a real log, read back from its files: each line once, wherever the server stops, also
//! when files are merged.

use std::{path::PathBuf, sync::Arc};

use super::consumers_with;
use ::warehouse::{
    Analytics, MERGE_THRESHOLD,
    location::WarehouseLocation,
    table::{Row, Value, read},
};
use clock::SystemClock;
use query::settled::SettleRequest;

use crate::{
    consumers::Consumers,
    read_side::testing::{Shop, TEST_TIMEOUT, confirmed, created, customer, listed},
};

async fn running(shop: &Shop) -> Arc<Consumers> {
    let at = WarehouseLocation::Folder(shop.folder.path().join("warehouse"));
    let analytics = Analytics::open(&at, Arc::new(SystemClock)).await.unwrap();
    consumers_with(shop, "consumers.db", vec![Arc::new(analytics)]).await
}

async fn settled(shop: &Shop) {
    let settle = SettleRequest {
        timeout: TEST_TIMEOUT,
        ..SettleRequest::default()
    };
    shop.read
        .settlement
        .settled(shop.workspace, &settle)
        .await
        .unwrap();
}

/// Every file of a table that a reader's pattern matches.
fn files(shop: &Shop, table: &str) -> Vec<PathBuf> {
    let folder = shop
        .folder
        .path()
        .join("warehouse")
        .join(format!("workspace={}", shop.workspace));
    let mut found = Vec::new();
    let mut folders = vec![folder.join(table)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

fn rows(shop: &Shop, table: &str) -> Vec<Row> {
    let files = files(shop, table);
    let rows = files
        .iter()
        .map(|file| read(std::fs::read(file).unwrap().into()).unwrap());
    rows.flatten().collect()
}

async fn order(shop: &Shop, n: usize) {
    shop.append(&format!("order-{n}"), &[created(&customer(1)), confirmed()])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_in_the_warehouse_once_and_small_files_are_merged() {
    let shop = Shop::open(2).await;
    shop.append("product-mug-1", &[listed("mug-1", "Mug")]).await;
    let consumers = running(&shop).await;
    for n in 0..40 {
        order(&shop, n).await;
        if n % 2 == 0 {
            // So that each gets a file of its own.
            settled(&shop).await;
        }
    }
    settled(&shop).await;
    let amounts = rows(&shop, "fact_order_lines")
        .into_iter()
        .map(|row| row[10].clone());
    let amounts: Vec<_> = amounts.collect();
    assert_eq!(amounts, vec![Value::Number(900); 40]);
    assert!(files(&shop, "fact_order_lines").len() <= MERGE_THRESHOLD);
    for (table, count) in [("dim_product", 1), ("dim_customer", 1), ("dim_date", 1)] {
        assert_eq!(
            (files(&shop, table).len(), rows(&shop, table).len()),
            (1, count),
            "{table}"
        );
    }
    // Events that come again after a loss of the checkpoints have no second effect.
    consumers.stop().await;
    std::fs::remove_dir_all(shop.folder.path().join("checkpoints")).unwrap();
    let shop = shop.restart().await;
    let consumers = running(&shop).await;
    order(&shop, 40).await;
    settled(&shop).await;
    assert_eq!(rows(&shop, "fact_order_lines").len(), 41);
    consumers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_commit_is_finished_and_a_lost_warehouse_is_created_again() {
    let shop = Shop::open(1).await;
    let consumers = running(&shop).await;
    order(&shop, 0).await;
    settled(&shop).await;
    consumers.stop().await;
    // As if the server had been killed between the manifest and the renames: no file is published yet.
    let root = shop
        .folder
        .path()
        .join("warehouse")
        .join(format!("workspace={}", shop.workspace));
    for file in files(&shop, "fact_order_lines") {
        let staged = root.join("_staging").join(file.strip_prefix(&root).unwrap());
        std::fs::create_dir_all(staged.parent().unwrap()).unwrap();
        std::fs::rename(file, staged).unwrap();
    }
    let shop = shop.restart().await;
    let consumers = running(&shop).await;
    order(&shop, 1).await;
    settled(&shop).await;
    assert_eq!(rows(&shop, "fact_order_lines").len(), 2);
    consumers.stop().await;
    std::fs::remove_dir_all(shop.folder.path().join("warehouse")).unwrap();
    let shop = shop.restart().await;
    let consumers = running(&shop).await;
    settled(&shop).await;
    assert_eq!(rows(&shop, "fact_order_lines").len(), 2);
    consumers.stop().await;
}
