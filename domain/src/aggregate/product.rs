//! `product-<sku>`: a product of the catalogue with its price. Stock is another aggregate.

use serde::{Deserialize, Serialize};

use crate::{
    command_types,
    decider::{Context, Decider},
    event_types,
    id::category,
    money::Money,
    rejection::{Rejection, Violations},
};

/// The maximum length of a name, in characters.
pub const MAX_NAME: usize = 120;
/// The maximum length of a description, in characters.
pub const MAX_DESCRIPTION: usize = 2_000;
/// The maximum number of tags.
pub const MAX_TAGS: usize = 10;
/// The maximum length of a tag, in characters.
pub const MAX_TAG: usize = 40;

/// Adds a product to the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListProduct {
    /// The id of the stream; short enough for the name of the inventory's stream, too.
    pub sku: String,
    /// One line of 1 to [`MAX_NAME`] visible characters.
    pub name: String,
    /// 1 to [`MAX_DESCRIPTION`] characters, in lines.
    pub description: String,
    /// Positive.
    pub price: Money,
    /// Up to [`MAX_TAGS`] tags in lower case, each with 1 to [`MAX_TAG`] characters.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// Changes the price of a listed product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangePrice {
    /// Positive, in the product's currency.
    pub price: Money,
    /// The price that the sender has seen: if another person has changed it since, the command is rejected by
    /// [`PRICE_CHANGED`]. Absent: the new price replaces any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Money>,
}

/// Removes a product from the catalogue; existing orders are not affected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RetireProduct {}

command_types! {
    /// The commands of a product.
    pub enum ProductCommand { ListProduct, ChangePrice, RetireProduct }
}

/// A product was added to the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProductListed {
    /// The stock-keeping unit, which is its id.
    pub sku: String,
    /// The display name.
    pub name: String,
    /// A few sentences.
    pub description: String,
    /// The price of one unit.
    pub price: Money,
    /// The tags by which it is found.
    pub tags: Vec<String>,
}

/// The price of a product was changed; existing orders keep theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PriceChanged {
    /// The new price.
    pub price: Money,
}

/// A product was removed from the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProductRetired {}

event_types! {
    /// The events of a product.
    pub enum ProductEvent { ProductListed: 1, PriceChanged: 1, ProductRetired: 1 }
}

/// The state for decisions about a product, or about an order for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProductState {
    /// Name and price; `None` before the product is listed.
    pub listed: Option<CatalogueEntry>,
    /// Whether it was removed from the catalogue.
    pub retired: bool,
}

/// The name and price of a listed product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueEntry {
    /// The display name.
    pub name: String,
    /// The current price of one unit.
    pub price: Money,
}

/// The product aggregate.
#[derive(Debug)]
pub struct Product;

impl Decider for Product {
    const CATEGORY: &'static str = "product";
    const SNAPSHOT_VERSION: u32 = 1;
    type State = ProductState;
    type Command = ProductCommand;
    type Event = ProductEvent;
    type Evidence = ();

    fn decide(
        state: &ProductState,
        command: ProductCommand,
        context: &Context,
    ) -> Result<Vec<ProductEvent>, Rejection> {
        match command {
            ProductCommand::ListProduct(product) => list(state, product, context),
            ProductCommand::ChangePrice(change) => change_price(state, change),
            ProductCommand::RetireProduct(_) => {
                on_sale(state)?;
                Ok(vec![ProductRetired {}.into()])
            }
        }
    }

    fn evolve(state: ProductState, event: &ProductEvent) -> ProductState {
        match event {
            ProductEvent::ProductListed(ProductListed { name, price, .. }) => ProductState {
                listed: Some(CatalogueEntry {
                    name: name.clone(),
                    price: price.clone(),
                }),
                retired: false,
            },
            ProductEvent::PriceChanged(PriceChanged { price }) => {
                let listed = state.listed.map(|listed| CatalogueEntry {
                    price: price.clone(),
                    ..listed
                });
                ProductState { listed, ..state }
            }
            ProductEvent::ProductRetired(_) => ProductState {
                retired: true,
                ..state
            },
        }
    }
}

fn list(
    state: &ProductState,
    product: ListProduct,
    context: &Context,
) -> Result<Vec<ProductEvent>, Rejection> {
    if state.listed.is_some() {
        return Err(Rejection::new(
            "product-already-listed",
            format!("{} is already listed", product.sku),
        ));
    }
    let mut violations = Violations::default();
    violations.require(
        product.sku == context.stream.id(),
        "data.sku",
        "is the id of the stream",
    );
    // The stream of its stock has the same id and a longer name.
    violations.require_id(context.stream.id(), category::INVENTORY, "data.sku");
    violations.require_name(&product.name, MAX_NAME, "data.name");
    violations.require_prose(&product.description, MAX_DESCRIPTION, "data.description");
    require_price(&mut violations, &product.price);
    violations.require(
        product.tags.len() <= MAX_TAGS,
        "data.tags",
        format!("has up to {MAX_TAGS} tags"),
    );
    for (n, tag) in product.tags.iter().enumerate() {
        violations.require_name(tag, MAX_TAG, &format!("data.tags[{n}]"));
    }
    violations.finish()?;
    let ListProduct {
        sku,
        name,
        description,
        price,
        tags,
    } = product;
    Ok(vec![
        ProductListed {
            sku,
            name,
            description,
            price,
            tags,
        }
        .into(),
    ])
}

/// The rule that another person has changed the price that the sender of a [`ChangePrice`] has seen.
pub const PRICE_CHANGED: &str = "price-changed";

/// The beginning of the sentence about [`PRICE_CHANGED`], before the current price.
const BEFORE_PRICE: &str = "the price was changed to ";

fn price_changed(current: &Money) -> Rejection {
    let Money { amount, currency } = current;
    Rejection::new(PRICE_CHANGED, format!("{BEFORE_PRICE}{amount} {currency}"))
}

/// The current price that a rejection by [`PRICE_CHANGED`] names, for interfaces that word it in another
/// language.
pub fn price_of_rejection(detail: &str) -> Option<Money> {
    let (amount, currency) = detail.strip_prefix(BEFORE_PRICE)?.split_once(' ')?;
    Some(Money::new(amount.parse().ok()?, currency))
}

fn change_price(state: &ProductState, change: ChangePrice) -> Result<Vec<ProductEvent>, Rejection> {
    let ChangePrice { price, seen } = change;
    let listed = on_sale(state)?;
    let mut violations = Violations::default();
    require_amount(&mut violations, &price);
    violations.require(
        price.currency == listed.price.currency,
        "data.price.currency",
        format!("stays {}", listed.price.currency),
    );
    violations.require(
        seen.as_ref()
            .is_none_or(|seen| seen.currency == listed.price.currency),
        "data.seen.currency",
        format!("is {}", listed.price.currency),
    );
    violations.finish()?;
    if price == listed.price {
        return Ok(Vec::new());
    }
    if seen.is_some_and(|seen| seen != listed.price) {
        return Err(price_changed(&listed.price));
    }
    Ok(vec![PriceChanged { price }.into()])
}

fn on_sale(state: &ProductState) -> Result<&CatalogueEntry, Rejection> {
    match &state.listed {
        Some(listed) if !state.retired => Ok(listed),
        Some(_) => Err(Rejection::new(
            "product-retired",
            "this product is no longer sold",
        )),
        None => Err(Rejection::new("product-not-listed", "there is no such product")),
    }
}

/// A new price; a later one keeps its currency, also one that is no longer taken.
fn require_price(violations: &mut Violations, price: &Money) {
    require_amount(violations, price);
    violations.require(
        price.has_current_currency(),
        "data.price.currency",
        "is the ISO 4217 code of money in use, as in EUR",
    );
}

fn require_amount(violations: &mut Violations, price: &Money) {
    violations.require(price.amount > 0, "data.price.amount", "is positive");
    violations.require(
        price.amount <= 1_000_000_000,
        "data.price.amount",
        "is at most 1,000,000,000",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::Role,
        decider::testing::{actor, context, decide},
    };

    fn mug() -> ListProduct {
        ListProduct {
            sku: "mug-01".into(),
            name: "Mug".into(),
            description: "Holds coffee.".into(),
            price: Money::new(1_250, "EUR"),
            tags: vec!["kitchen".into()],
        }
    }

    fn listed() -> ProductEvent {
        let ListProduct {
            sku,
            name,
            description,
            price,
            tags,
        } = mug();
        ProductListed {
            sku,
            name,
            description,
            price,
            tags,
        }
        .into()
    }

    fn to(price: Money) -> ChangePrice {
        ChangePrice { price, seen: None }
    }

    fn when(
        given: &[ProductEvent],
        command: impl Into<ProductCommand>,
    ) -> Result<Vec<ProductEvent>, Rejection> {
        decide::<Product>(
            given,
            command.into(),
            &context("product-mug-01", actor(Role::Staff, 1)),
        )
    }

    #[test]
    fn a_new_product_is_listed() {
        assert_eq!(when(&[], mug()), Ok(vec![listed()]));
    }

    #[test]
    fn a_product_is_listed_once() {
        assert_eq!(
            when(&[listed()], mug()).unwrap_err().rule,
            "product-already-listed"
        );
    }

    #[test]
    fn every_invalid_field_is_named() {
        let product = ListProduct {
            sku: "other".into(),
            name: " ".into(),
            description: "x".repeat(2_001),
            price: Money::new(0, "euro"),
            tags: vec![String::new()],
        };
        let rejection = when(&[], product).unwrap_err();
        let fields: Vec<_> = rejection
            .violations
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(
            fields,
            [
                "data.sku",
                "data.name",
                "data.description",
                "data.price.amount",
                "data.price.currency",
                "data.tags[0]"
            ]
        );
    }

    #[test]
    fn names_and_tags_are_lines_of_visible_text_and_a_description_has_lines() {
        let product = ListProduct {
            description: "Holds\ncoffee.".into(),
            ..mug()
        };
        when(&[], product).unwrap();
        for hostile in [
            "a\nb",
            "a\0b",
            "a\u{2028}b",
            "a\u{202e}b",
            "a\u{200b}b",
            "\u{e000}",
            "\u{3164}",
        ] {
            let product = ListProduct {
                name: hostile.into(),
                tags: vec![hostile.into()],
                ..mug()
            };
            let rejection = when(&[], product).unwrap_err();
            let fields: Vec<_> = rejection
                .violations
                .iter()
                .map(|violation| violation.field.as_str())
                .collect();
            assert_eq!(fields, ["data.name", "data.tags[0]"], "{hostile:?}");
        }
        let product = ListProduct {
            description: "\u{202e}Holds coffee.".into(),
            ..mug()
        };
        let rejection = when(&[], product).unwrap_err();
        assert_eq!(rejection.violations[0].field, "data.description");
    }

    #[test]
    fn surrounding_white_space_counts_towards_the_length() {
        let product = ListProduct {
            name: format!("Mug{}", " ".repeat(4_000)),
            description: format!("{}Holds coffee.", " ".repeat(4_000)),
            tags: vec![format!("a{}", " ".repeat(40))],
            ..mug()
        };
        let rejection = when(&[], product).unwrap_err();
        let fields: Vec<_> = rejection
            .violations
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(fields, ["data.name", "data.description", "data.tags[0]"]);
    }

    #[test]
    fn a_sku_is_short_enough_for_the_stream_of_its_stock() {
        let list = |sku: String| {
            let stream = format!("product-{sku}");
            let product = ListProduct { sku, ..mug() };
            decide::<Product>(&[], product.into(), &context(&stream, actor(Role::Staff, 1)))
        };
        list("x".repeat(110)).unwrap();
        for dots in [".", ".."] {
            assert_eq!(
                list(dots.into()).unwrap_err().violations[0].field,
                "data.sku",
                "{dots}"
            );
        }
        list("...".into()).unwrap();
        let rejection = list("x".repeat(111)).unwrap_err();
        let [violation] = rejection.violations.try_into().unwrap();
        assert_eq!(violation.field, "data.sku");
        assert!(
            violation.message.contains("inventory-<id>: 1 to 110 "),
            "{violation:?}"
        );
    }

    #[test]
    fn a_price_changes_within_its_currency() {
        let price = Money::new(990, "EUR");
        assert_eq!(
            when(&[listed()], to(price.clone())),
            Ok(vec![PriceChanged { price }.into()])
        );
        let rejection = when(&[listed()], to(Money::new(990, "USD"))).unwrap_err();
        assert_eq!(rejection.violations[0].field, "data.price.currency");
    }

    #[test]
    fn a_price_that_another_person_has_changed_is_not_replaced_unseen() {
        let (old, other, new) = (
            Money::new(1_250, "EUR"),
            Money::new(1_400, "EUR"),
            Money::new(990, "EUR"),
        );
        let change = |seen: &Money, price: &Money| ChangePrice {
            price: price.clone(),
            seen: Some(seen.clone()),
        };
        let changed = |price: &Money| ProductEvent::from(PriceChanged { price: price.clone() });
        assert_eq!(when(&[listed()], change(&old, &new)), Ok(vec![changed(&new)]));
        let given = [listed(), changed(&other)];
        let rejection = when(&given, change(&old, &new)).unwrap_err();
        assert_eq!(rejection.rule, PRICE_CHANGED);
        assert_eq!(price_of_rejection(&rejection.detail), Some(other.clone()));
        assert_eq!(when(&given, change(&other, &new)), Ok(vec![changed(&new)]));
        assert_eq!(
            when(&given, change(&old, &other)),
            Ok(vec![]),
            "both wanted the same"
        );
        let dollars = Money::new(1_400, "USD");
        let rejection = when(&given, change(&dollars, &new)).unwrap_err();
        assert_eq!(rejection.violations[0].field, "data.seen.currency");
    }

    #[test]
    fn the_same_price_again_changes_nothing() {
        assert_eq!(when(&[listed()], to(Money::new(1_250, "EUR"))), Ok(vec![]));
    }

    #[test]
    fn a_retired_product_stays_retired() {
        assert_eq!(
            when(&[listed()], RetireProduct {}),
            Ok(vec![ProductRetired {}.into()])
        );
        let retired = [listed(), ProductRetired {}.into()];
        assert_eq!(
            when(&retired, RetireProduct {}).unwrap_err().rule,
            "product-retired"
        );
        assert_eq!(
            when(&retired, to(Money::new(1, "EUR"))).unwrap_err().rule,
            "product-retired"
        );
    }

    #[test]
    fn an_unlisted_product_has_no_price_to_change() {
        assert_eq!(
            when(&[], to(Money::new(1, "EUR"))).unwrap_err().rule,
            "product-not-listed"
        );
    }
}
