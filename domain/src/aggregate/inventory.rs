//! `inventory-<sku>`: the stock of a product, and its reservations by orders.
//!
//! On hand is the sum of reserved and available, and available is never negative. The stock of an order is
//! reserved, released and shipped by fulfilment alone, as the order's own stream decides; the reservations of
//! people have ids that are no order's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    access::Role,
    command_types,
    decider::{Context, Decider},
    event_types,
    id::category,
    rejection::{Rejection, Violations},
};

/// The maximum quantity of one command.
pub const MAX_QUANTITY: u32 = 1_000_000;

/// Adds received units to the stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReceiveStock {
    /// 1 to [`MAX_QUANTITY`].
    pub quantity: u32,
}

/// Reserves units for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReserveStock {
    /// The order's id, as in its stream's name.
    pub order: String,
    /// 1 to [`MAX_QUANTITY`].
    pub quantity: u32,
}

/// Releases an order's reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReleaseStock {
    /// The order's id, as in its stream's name.
    pub order: String,
}

/// Ships an order's reserved units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShipStock {
    /// The order's id, as in its stream's name.
    pub order: String,
}

command_types! {
    /// The commands of an inventory.
    pub enum InventoryCommand { ReceiveStock, ReserveStock, ReleaseStock, ShipStock }
}

impl InventoryCommand {
    /// The id of its reservation, which may be an order's; `None` for a command without one.
    pub fn order(&self) -> Option<&str> {
        match self {
            Self::ReceiveStock(_) => None,
            Self::ReserveStock(ReserveStock { order, .. })
            | Self::ReleaseStock(ReleaseStock { order })
            | Self::ShipStock(ShipStock { order }) => Some(order),
        }
    }
}

/// To whom the id of a reservation belongs: the evidence for the commands of people about one. It has to be
/// read after the state that the decision sees. Then no reservation of an order is mistaken for another: its
/// order was placed before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReservationOwner {
    /// An order with this id was placed, or it is not known.
    #[default]
    Order,
    /// No order has this id: the reservation is staff's own.
    Staff,
}

/// The rule that people do not move the stock of an order.
pub const STOCK_OF_AN_ORDER: &str = "stock-of-an-order";

/// Units were received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StockReceived {
    /// The number of units.
    pub quantity: u32,
}

/// Units are reserved for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StockReserved {
    /// The order's id.
    pub order: String,
    /// The number of units.
    pub quantity: u32,
}

/// The available stock was too small for a reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StockReservationFailed {
    /// The order's id.
    pub order: String,
    /// The requested units.
    pub requested: u32,
    /// The available units.
    pub available: u32,
}

/// Version 1 of [`StockReservationFailed`]. It named the requested units `quantity`, the name of the moved
/// units in every other event of an inventory, so that a sum of that field counted units that were never
/// moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StockReservationFailedV1 {
    /// The order's id.
    pub order: String,
    /// The requested units.
    pub quantity: u32,
    /// The available units.
    pub available: u32,
}

impl From<StockReservationFailedV1> for StockReservationFailed {
    fn from(old: StockReservationFailedV1) -> Self {
        Self {
            order: old.order,
            requested: old.quantity,
            available: old.available,
        }
    }
}

/// Reserved units are available again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StockReleased {
    /// The order's id.
    pub order: String,
    /// The number of units.
    pub quantity: u32,
}

/// Reserved units were shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StockShipped {
    /// The order's id.
    pub order: String,
    /// The number of units.
    pub quantity: u32,
}

event_types! {
    /// The events of an inventory.
    pub enum InventoryEvent {
        StockReceived: 1,
        StockReserved: 1,
        StockReservationFailed: 2 from [StockReservationFailedV1: 1 => StockReservationFailed],
        StockReleased: 1,
        StockShipped: 1,
    }
}

impl InventoryEvent {
    /// The order of the reservation; `None` for an event without one.
    pub fn order(&self) -> Option<&str> {
        match self {
            Self::StockReceived(_) => None,
            Self::StockReserved(StockReserved { order, .. })
            | Self::StockReservationFailed(StockReservationFailed { order, .. })
            | Self::StockReleased(StockReleased { order, .. })
            | Self::StockShipped(StockShipped { order, .. }) => Some(order),
        }
    }
}

/// The stock on hand, and its reservations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InventoryState {
    /// Units in the building, reserved or not.
    pub on_hand: u32,
    /// Reserved units, by order.
    pub reservations: BTreeMap<String, u32>,
}

impl InventoryState {
    /// The sum of all reservations.
    pub fn reserved(&self) -> u32 {
        // A stream whose versions were not compared may have more reservations than stock.
        self.reservations.values().copied().fold(0, u32::saturating_add)
    }

    /// Units that can be reserved.
    pub fn available(&self) -> u32 {
        self.on_hand.saturating_sub(self.reserved())
    }
}

/// The inventory aggregate.
#[derive(Debug)]
pub struct Inventory;

impl Decider for Inventory {
    const CATEGORY: &'static str = category::INVENTORY;
    const SNAPSHOT_VERSION: u32 = 1;
    type State = InventoryState;
    type Command = InventoryCommand;
    type Event = InventoryEvent;
    type Evidence = ReservationOwner;

    fn decide(
        state: &InventoryState,
        command: InventoryCommand,
        context: &Context<ReservationOwner>,
    ) -> Result<Vec<InventoryEvent>, Rejection> {
        match command {
            InventoryCommand::ReceiveStock(ReceiveStock { quantity }) => {
                let mut violations = Violations::default();
                violations.require_name_in_urls(&context.stream);
                require_quantity(&mut violations, quantity);
                violations.finish()?;
                if state.on_hand.checked_add(quantity).is_none() {
                    return Err(Rejection::new("stock-overflow", "more stock than can be counted"));
                }
                Ok(vec![StockReceived { quantity }.into()])
            }
            InventoryCommand::ReserveStock(ReserveStock { order, quantity }) => {
                let mut violations = Violations::default();
                require_order(&mut violations, &order);
                require_quantity(&mut violations, quantity);
                violations.finish()?;
                require_mover(context)?;
                Ok(reserve(state, order, quantity))
            }
            InventoryCommand::ReleaseStock(ReleaseStock { order }) => {
                let quantity = reserved(state, &order)?;
                require_mover(context)?;
                Ok(match quantity {
                    Some(quantity) => vec![StockReleased { order, quantity }.into()],
                    None => Vec::new(),
                })
            }
            InventoryCommand::ShipStock(ShipStock { order }) => {
                let quantity = reserved(state, &order)?;
                require_mover(context)?;
                Ok(match quantity {
                    Some(quantity) => vec![StockShipped { order, quantity }.into()],
                    // It has left already: an order is shipped only with its goods reserved, and fulfilment
                    // may hear of the reservation later than of the shipment.
                    None => Vec::new(),
                })
            }
        }
    }

    fn evolve(mut state: InventoryState, event: &InventoryEvent) -> InventoryState {
        match event {
            InventoryEvent::StockReceived(StockReceived { quantity }) => {
                state.on_hand = state.on_hand.saturating_add(*quantity);
            }
            InventoryEvent::StockReserved(StockReserved { order, quantity }) => {
                state.reservations.insert(order.clone(), *quantity);
            }
            InventoryEvent::StockReservationFailed(_) => {}
            InventoryEvent::StockReleased(StockReleased { order, .. }) => {
                state.reservations.remove(order);
            }
            InventoryEvent::StockShipped(StockShipped { order, quantity }) => {
                state.reservations.remove(order);
                state.on_hand = state.on_hand.saturating_sub(*quantity);
            }
        }
        state
    }
}

/// The events of a reservation. An existing reservation stays as it is: the same command twice reserves once.
fn reserve(state: &InventoryState, order: String, quantity: u32) -> Vec<InventoryEvent> {
    if state.reservations.contains_key(&order) {
        return Vec::new();
    }
    let available = state.available();
    if available < quantity {
        return vec![
            StockReservationFailed {
                order,
                requested: quantity,
                available,
            }
            .into(),
        ];
    }
    vec![StockReserved { order, quantity }.into()]
}

/// The reservation of an order; `None` without one. Reservations from before order ids were validated, under
/// a name that is not an id, can still be released and shipped.
fn reserved(state: &InventoryState, order: &str) -> Result<Option<u32>, Rejection> {
    if let Some(&quantity) = state.reservations.get(order) {
        return Ok(Some(quantity));
    }
    let mut violations = Violations::default();
    require_order(&mut violations, order);
    violations.finish()?;
    Ok(None)
}

/// What an order has reserved follows from its own stream, so fulfilment alone moves it.
fn require_mover(context: &Context<ReservationOwner>) -> Result<(), Rejection> {
    if context.actor.role == Role::System || context.evidence == ReservationOwner::Staff {
        return Ok(());
    }
    Err(Rejection::new(
        STOCK_OF_AN_ORDER,
        "the stock of an order is reserved, released and shipped by its fulfilment alone: ship, cancel or \
         reject the order",
    ))
}

fn require_order(violations: &mut Violations, order: &str) {
    violations.require_id(order, category::ORDER, "data.order");
}

fn require_quantity(violations: &mut Violations, quantity: u32) {
    let valid = (1..=MAX_QUANTITY).contains(&quantity);
    violations.require(valid, "data.quantity", format!("is 1 to {MAX_QUANTITY}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decider::testing::{actor, context, decide};
    use proptest::prelude::*;

    fn when(
        given: &[InventoryEvent],
        command: impl Into<InventoryCommand>,
    ) -> Result<Vec<InventoryEvent>, Rejection> {
        when_by(Role::System, ReservationOwner::Order, given, command)
    }

    fn when_by(
        role: Role,
        owner: ReservationOwner,
        given: &[InventoryEvent],
        command: impl Into<InventoryCommand>,
    ) -> Result<Vec<InventoryEvent>, Rejection> {
        let context = context("inventory-mug-01", actor(role, 1)).with_evidence(owner);
        decide::<Inventory>(given, command.into(), &context)
    }

    fn received(quantity: u32) -> InventoryEvent {
        StockReceived { quantity }.into()
    }

    fn reserved(order: &str, quantity: u32) -> InventoryEvent {
        StockReserved {
            order: order.into(),
            quantity,
        }
        .into()
    }

    #[test]
    fn received_stock_is_added() {
        assert_eq!(when(&[], ReceiveStock { quantity: 5 }), Ok(vec![received(5)]));
        assert_eq!(
            when(&[], ReceiveStock { quantity: 0 }).unwrap_err().violations[0].field,
            "data.quantity"
        );
    }

    #[test]
    fn available_stock_can_be_reserved() {
        assert_eq!(
            when(
                &[received(5)],
                ReserveStock {
                    order: "a".into(),
                    quantity: 5
                }
            ),
            Ok(vec![reserved("a", 5)])
        );
    }

    #[test]
    fn a_reservation_of_unavailable_stock_fails_with_an_event() {
        let failed = StockReservationFailed {
            order: "b".into(),
            requested: 3,
            available: 2,
        };
        assert_eq!(
            when(
                &[received(5), reserved("a", 3)],
                ReserveStock {
                    order: "b".into(),
                    quantity: 3
                }
            ),
            Ok(vec![failed.into()])
        );
    }

    #[test]
    fn reservations_that_nothing_limited_are_counted_up_to_what_can_be_counted() {
        let reservations = (0..3).map(|n| reserved(&n.to_string(), u32::MAX / 2));
        let given: Vec<_> = std::iter::once(received(5)).chain(reservations).collect();
        let state = given.iter().fold(InventoryState::default(), Inventory::evolve);
        assert_eq!((state.reserved(), state.available()), (u32::MAX, 0));
    }

    #[test]
    fn the_same_reservation_twice_is_made_once() {
        assert_eq!(
            when(
                &[received(5), reserved("a", 3)],
                ReserveStock {
                    order: "a".into(),
                    quantity: 3
                }
            ),
            Ok(vec![])
        );
    }

    #[test]
    fn a_release_or_shipment_without_a_reservation_changes_nothing() {
        let given = [received(5)];
        let by_staff =
            |command: InventoryCommand| when_by(Role::Educator, ReservationOwner::Staff, &given, command);
        assert_eq!(by_staff(ReleaseStock { order: "a".into() }.into()), Ok(vec![]));
        assert_eq!(by_staff(ShipStock { order: "a".into() }.into()), Ok(vec![]));
        assert_eq!(when(&given, ReleaseStock { order: "a".into() }), Ok(vec![]));
        assert_eq!(when(&given, ShipStock { order: "a".into() }), Ok(vec![]));
    }

    #[test]
    fn people_do_not_move_the_stock_of_an_order() {
        let given = [received(5), reserved("a", 3)];
        let order = || "a".to_owned();
        let commands: [InventoryCommand; 3] = [
            ReserveStock {
                order: order(),
                quantity: 3,
            }
            .into(),
            ReleaseStock { order: order() }.into(),
            ShipStock { order: order() }.into(),
        ];
        for command in commands {
            for role in [Role::Staff, Role::Educator] {
                let refused = when_by(role, ReservationOwner::Order, &given, command.clone());
                assert_eq!(refused.unwrap_err().rule, STOCK_OF_AN_ORDER, "{command:?}");
                let own = when_by(role, ReservationOwner::Staff, &given, command.clone());
                assert_eq!(own, when(&given, command.clone()), "{command:?}");
            }
        }
    }

    #[test]
    fn an_order_is_named_as_its_stream_is() {
        for order in ["", "A", "a b", ".", "..", &"x".repeat(115), &"x".repeat(4_000)] {
            let order = order.to_owned();
            let commands: [InventoryCommand; 3] = [
                ReserveStock {
                    order: order.clone(),
                    quantity: 1,
                }
                .into(),
                ReleaseStock { order: order.clone() }.into(),
                ShipStock { order: order.clone() }.into(),
            ];
            for command in commands {
                let rejection = when(&[received(5)], command).unwrap_err();
                assert_eq!(rejection.rule, "invalid-data");
                let [violation] = rejection.violations.try_into().unwrap();
                assert_eq!(violation.field, "data.order", "{order}");
            }
        }
        let longest = "x".repeat(114);
        let reserve = ReserveStock {
            order: longest.clone(),
            quantity: 1,
        };
        assert_eq!(when(&[received(5)], reserve), Ok(vec![reserved(&longest, 1)]));
    }

    #[test]
    fn no_stock_begins_under_a_name_that_no_url_has() {
        for (id, is_refused) in [(".", true), ("..", true), ("...", false), (".a", false)] {
            let context = context(&format!("inventory-{id}"), actor(Role::Staff, 1))
                .with_evidence(ReservationOwner::default());
            let received = decide::<Inventory>(&[], ReceiveStock { quantity: 1 }.into(), &context);
            let fields = received
                .map_err(|rejection| rejection.violations[0].field.clone())
                .err();
            assert_eq!(fields.as_deref(), is_refused.then_some("stream"), "{id}");
        }
    }

    #[test]
    fn a_reservation_for_a_name_that_is_no_id_can_still_be_released_or_shipped() {
        for order in ["Order 1", ".."] {
            a_reservation_can_be_released_or_shipped(order);
        }
    }

    fn a_reservation_can_be_released_or_shipped(name: &str) {
        let given = [received(5), reserved(name, 3)];
        let order = || name.to_owned();
        let released = StockReleased {
            order: order(),
            quantity: 3,
        };
        let shipped = StockShipped {
            order: order(),
            quantity: 3,
        };
        assert_eq!(
            when(&given, ReleaseStock { order: order() }),
            Ok(vec![released.into()])
        );
        assert_eq!(
            when(&given, ShipStock { order: order() }),
            Ok(vec![shipped.into()])
        );
    }

    #[test]
    fn a_reservation_is_released_or_shipped_whole() {
        let given = [received(5), reserved("a", 3)];
        let released = StockReleased {
            order: "a".into(),
            quantity: 3,
        };
        let shipped = StockShipped {
            order: "a".into(),
            quantity: 3,
        };
        assert_eq!(
            when(&given, ReleaseStock { order: "a".into() }),
            Ok(vec![released.into()])
        );
        assert_eq!(
            when(&given, ShipStock { order: "a".into() }),
            Ok(vec![shipped.into()])
        );
    }

    fn any_command() -> impl Strategy<Value = InventoryCommand> {
        let order = || (0..4_u8).prop_map(|order| order.to_string());
        prop_oneof![
            (1..10_u32).prop_map(|quantity| ReceiveStock { quantity }.into()),
            (order(), 1..10_u32).prop_map(|(order, quantity)| ReserveStock { order, quantity }.into()),
            order().prop_map(|order| ReleaseStock { order }.into()),
            order().prop_map(|order| ShipStock { order }.into()),
        ]
    }

    proptest! {
        #[test]
        fn no_sequence_of_commands_reserves_more_than_is_on_hand(
            commands in prop::collection::vec(any_command(), 0..60)
        ) {
            let context = context("inventory-mug-01", actor(Role::Educator, 1))
                .with_evidence(ReservationOwner::Staff);
            let (mut state, mut received, mut shipped) = (InventoryState::default(), 0, 0);
            for command in commands {
                for event in Inventory::decide(&state, command, &context).unwrap() {
                    match &event {
                        InventoryEvent::StockReceived(event) => received += event.quantity,
                        InventoryEvent::StockShipped(event) => shipped += event.quantity,
                        _ => {}
                    }
                    state = Inventory::evolve(state, &event);
                }
                prop_assert!(state.reserved() <= state.on_hand);
                prop_assert_eq!(state.on_hand, received - shipped);
            }
        }
    }
}
