//! The template `shop`: 24 products in 5 tags, each with stock; two are nearly sold out, so that low stock is
//! shown.

use domain::wire::CommandRequest;
use serde_json::json;

use super::first;

/// A product of the template.
struct Item {
    sku: &'static str,
    name: &'static str,
    description: &'static str,
    /// Euro cents.
    price: i64,
    tags: &'static [&'static str],
    stock: u32,
}

/// The commands that list every product and receive its stock.
pub(super) fn commands() -> Vec<CommandRequest> {
    ITEMS
        .iter()
        .flat_map(|item| [list(item), receive(item)])
        .collect()
}

fn list(item: &Item) -> CommandRequest {
    first(
        "ListProduct",
        format!("product-{}", item.sku),
        json!({
            "sku": item.sku,
            "name": item.name,
            "description": item.description,
            "price": { "amount": item.price, "currency": "EUR" },
            "tags": item.tags,
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

const fn item(
    sku: &'static str,
    name: &'static str,
    description: &'static str,
    price: i64,
    tags: &'static [&'static str],
    stock: u32,
) -> Item {
    Item {
        sku,
        name,
        description,
        price,
        tags,
        stock,
    }
}

const ITEMS: [Item; 24] = [
    item(
        "mug-01",
        "Enamel mug",
        "Holds coffee, and outlives the desk it stands on.",
        1_250,
        &["kitchen"],
        40,
    ),
    item(
        "kettle-01",
        "Pour-over kettle",
        "A slow spout for people who are not in a hurry.",
        5_900,
        &["kitchen"],
        12,
    ),
    item(
        "grinder-01",
        "Hand grinder",
        "Steel burrs, forty turns a cup.",
        7_400,
        &["kitchen"],
        9,
    ),
    item(
        "tea-01",
        "Green tea, 100 g",
        "First harvest, steamed the day it was picked.",
        1_450,
        &["kitchen", "pantry"],
        60,
    ),
    item(
        "board-01",
        "Oak board",
        "One piece, oiled, with a groove that catches the juice.",
        3_200,
        &["kitchen"],
        15,
    ),
    item(
        "honey-01",
        "Heather honey",
        "Dark, and stubborn with a spoon.",
        980,
        &["pantry"],
        48,
    ),
    item(
        "salt-01",
        "Sea salt flakes",
        "Raked by hand, dried by wind.",
        640,
        &["pantry"],
        75,
    ),
    item(
        "oil-01",
        "Olive oil, 500 ml",
        "Pressed within four hours of picking.",
        1_680,
        &["pantry"],
        33,
    ),
    item(
        "chocolate-01",
        "Dark chocolate 72 %",
        "Two ingredients, no more.",
        520,
        &["pantry"],
        90,
    ),
    item(
        "notebook-01",
        "Dot notebook",
        "160 numbered pages; an append-only log for the pocket.",
        1_490,
        &["desk"],
        55,
    ),
    item(
        "pencil-01",
        "Cedar pencils, 12",
        "Soft enough to think with.",
        890,
        &["desk"],
        70,
    ),
    item(
        "ink-01",
        "Emerald ink",
        "Dries in seconds, refuses to be erased.",
        1_120,
        &["desk"],
        26,
    ),
    item(
        "lamp-01",
        "Desk lamp",
        "Warm light, two joints, no app.",
        8_900,
        &["desk", "home"],
        3,
    ),
    item(
        "ruler-01",
        "Steel ruler",
        "30 cm, etched so that it stays true.",
        760,
        &["desk"],
        44,
    ),
    item(
        "stand-01",
        "Laptop stand",
        "Folds flat, lifts the screen to your eyes.",
        4_300,
        &["desk"],
        18,
    ),
    item(
        "blanket-01",
        "Wool blanket",
        "Woven twice as dense as it needs to be.",
        11_900,
        &["home"],
        7,
    ),
    item(
        "candle-01",
        "Beeswax candle",
        "Burns thirty hours and smells of summer.",
        1_350,
        &["home"],
        38,
    ),
    item(
        "clock-01",
        "Wall clock",
        "Ticks in one direction only.",
        5_400,
        &["home"],
        2,
    ),
    item(
        "vase-01",
        "Stoneware vase",
        "Ash glaze, no two alike.",
        3_800,
        &["home"],
        11,
    ),
    item(
        "basket-01",
        "Willow basket",
        "For bread, yarn, or what you have not paid for yet.",
        2_900,
        &["home"],
        20,
    ),
    item(
        "bottle-01",
        "Steel bottle",
        "Cold for a day, hot for half of one.",
        2_750,
        &["outdoors"],
        36,
    ),
    item(
        "lantern-01",
        "Camp lantern",
        "Eighty hours on one charge.",
        4_600,
        &["outdoors"],
        14,
    ),
    item(
        "knife-01",
        "Folding knife",
        "Carbon steel and beech; sharpen it now and then.",
        3_950,
        &["outdoors", "kitchen"],
        16,
    ),
    item(
        "map-01",
        "Star map",
        "The northern sky, folded so that it folds back.",
        1_850,
        &["outdoors"],
        22,
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::aggregate::Command;

    use super::*;

    #[test]
    fn the_shop_has_24_products_in_5_tags() {
        let skus: BTreeSet<_> = ITEMS.iter().map(|item| item.sku).collect();
        let tags: BTreeSet<_> = ITEMS.iter().flat_map(|item| item.tags).collect();
        assert_eq!((skus.len(), tags.len()), (24, 5));
    }

    #[test]
    fn every_command_of_the_template_can_be_read() {
        for request in commands() {
            let stream = request.stream.parse().unwrap();
            Command::parse(&request.command_type, &stream, &request.data).unwrap();
        }
    }
}
