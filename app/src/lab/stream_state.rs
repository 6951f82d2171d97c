//! The state of an aggregate at any version of its stream, folded by its own decider. What a decision about
//! the aggregate is made upon is shown, and nothing of a view.

use domain::event::{StoredEvent, before_first_event};

use super::folding::DocumentStep;

/// The state before and after the event with this version, of the events of a stream from the first one on.
/// `None`: they are not complete up to this version, or this code cannot read one of them.
pub fn step(events: &[StoredEvent], version: u64) -> Option<DocumentStep> {
    let count = usize::try_from(version).ok()?;
    let events = events.get(..count)?;
    let last = events.last()?;
    let (category, id) = (last.stream.category(), last.stream.id());
    let mut aggregate = before_first_event(category)?;
    let mut before = None;
    for (expected, event) in (1..).zip(events) {
        if event.version != expected || event.stream != last.stream {
            return None;
        }
        if event.version == version && version > 1 {
            before = Some(aggregate.state().ok()?);
        }
        aggregate.evolve(&event.decode().ok()?.payload);
    }
    Some(DocumentStep {
        view: category.to_owned(),
        key: id.to_owned(),
        before,
        after: Some(aggregate.state().ok()?),
    })
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{super::time_travel::testing::shop, *};

    /// The events of a stream of a shop.
    fn stream(name: &str) -> Vec<StoredEvent> {
        let mut events = shop(400, 3);
        events.retain(|event| event.stream.as_str() == name);
        events
    }

    #[test]
    fn an_aggregate_is_folded_up_to_each_version() {
        let order = stream("order-1");
        assert!(order.len() >= 2, "{order:?}");
        let mut before = None;
        for version in 1..=order.len() as u64 {
            let step = step(&order, version).unwrap();
            assert_eq!((step.view.as_str(), step.key.as_str()), ("order", "1"));
            assert_eq!(step.before, before, "version {version}");
            assert!(step.after.is_some());
            assert_ne!(step.before, step.after, "version {version}");
            before = step.after;
        }
        assert_eq!(step(&order, 0), None);
        assert_eq!(step(&order, order.len() as u64 + 1), None);
    }

    #[test]
    fn a_stream_with_a_gap_or_an_unknown_event_has_no_state() {
        let mut order = stream("order-1");
        let mut unknown = order.clone();
        unknown[0].event_type = "OrderDreamt".to_owned();
        assert_eq!(step(&unknown, 1), None);
        order.remove(0);
        assert_eq!(step(&order, 1), None);
    }
}
