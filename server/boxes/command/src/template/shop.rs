//! The template `shop`: 24 products in 5 tags, each with stock; two are nearly sold out, so that low stock is
//! shown. Their texts are in `texts/`, in several languages; SKUs, prices and quantities are the same in all.

use domain::wire::CommandRequest;
use serde_json::json;

use super::{first, texts::Texts};

/// A product of the template.
struct Item {
    sku: &'static str,
    /// Euro cents.
    price: i64,
    /// In English.
    tags: &'static [&'static str],
    stock: u32,
}

/// The commands that list every product and receive its stock.
pub(super) fn commands(texts: &Texts) -> Vec<CommandRequest> {
    ITEMS
        .iter()
        .flat_map(|item| [list(item, texts), receive(item)])
        .collect()
}

fn list(item: &Item, texts: &Texts) -> CommandRequest {
    let (name, description) = texts.product(item.sku);
    let tags: Vec<_> = item.tags.iter().map(|tag| texts.tag(tag)).collect();
    first(
        "ListProduct",
        format!("product-{}", item.sku),
        json!({
            "sku": item.sku,
            "name": name,
            "description": description,
            "price": { "amount": item.price, "currency": "EUR" },
            "tags": tags,
        }),
    )
}

fn receive(item: &Item) -> CommandRequest {
    first(
        "ReceiveStock",
        format!("inventory-{}", item.sku),
        json!({ "quantity": item.stock }),
    )
}

const fn item(sku: &'static str, price: i64, tags: &'static [&'static str], stock: u32) -> Item {
    Item {
        sku,
        price,
        tags,
        stock,
    }
}

const ITEMS: [Item; 24] = [
    item("mug-01", 1_250, &["kitchen"], 40),
    item("kettle-01", 5_900, &["kitchen"], 12),
    item("grinder-01", 7_400, &["kitchen"], 9),
    item("tea-01", 1_450, &["kitchen", "pantry"], 60),
    item("board-01", 3_200, &["kitchen"], 15),
    item("honey-01", 980, &["pantry"], 48),
    item("salt-01", 640, &["pantry"], 75),
    item("oil-01", 1_680, &["pantry"], 33),
    item("chocolate-01", 520, &["pantry"], 90),
    item("notebook-01", 1_490, &["desk"], 55),
    item("pencil-01", 890, &["desk"], 70),
    item("ink-01", 1_120, &["desk"], 26),
    item("lamp-01", 8_900, &["desk", "home"], 3),
    item("ruler-01", 760, &["desk"], 44),
    item("stand-01", 4_300, &["desk"], 18),
    item("blanket-01", 11_900, &["home"], 7),
    item("candle-01", 1_350, &["home"], 38),
    item("clock-01", 5_400, &["home"], 2),
    item("vase-01", 3_800, &["home"], 11),
    item("basket-01", 2_900, &["home"], 20),
    item("bottle-01", 2_750, &["outdoors"], 36),
    item("lantern-01", 4_600, &["outdoors"], 14),
    item("knife-01", 3_950, &["outdoors", "kitchen"], 16),
    item("map-01", 1_850, &["outdoors"], 22),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::{aggregate::Command, language::Language};

    use super::*;
    use crate::template::texts::texts;

    #[test]
    fn the_shop_has_24_products_in_5_tags() {
        let skus: BTreeSet<_> = ITEMS.iter().map(|item| item.sku).collect();
        let tags: BTreeSet<_> = ITEMS.iter().flat_map(|item| item.tags).collect();
        assert_eq!((skus.len(), tags.len()), (24, 5));
    }

    #[test]
    fn every_command_of_the_template_can_be_read() {
        for language in Language::ALL {
            for request in commands(texts(language)) {
                let stream = request.stream.parse().unwrap();
                Command::parse(&request.command_type, &stream, &request.data).unwrap();
            }
        }
    }

    #[test]
    fn every_product_and_tag_has_its_texts() {
        let english = texts(Language::En);
        for item in &ITEMS {
            let (name, description) = english.product(item.sku);
            assert!(name != item.sku && description != item.sku, "{}", item.sku);
            for tag in item.tags {
                assert_ne!(texts(Language::De).tag(tag), *tag);
            }
        }
    }
}
