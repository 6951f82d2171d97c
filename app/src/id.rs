//! Generates ids in the browser: an order has its id before the server receives it, so that a retry is the
//! same order.

use uuid::{Builder, Uuid};

/// A `UUIDv7` of this moment.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "milliseconds since 1970 fit"
)]
pub(crate) fn new_id() -> Uuid {
    let mut random = [0; 10];
    // Without the browser's random source, the id is the time alone; the server refuses a repeated id.
    if let Ok(crypto) = leptos::prelude::window().crypto() {
        let _ = crypto.get_random_values_with_u8_array(&mut random);
    }
    Builder::from_unix_timestamp_millis(js_sys::Date::now() as u64, &random).into_uuid()
}
