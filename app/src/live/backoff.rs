//! How long to wait before the next attempt to connect: exponential, capped, with full jitter, so that the
//! browsers of a class do not all reconnect at the moment at which a server is back.
//!
//! The formula is "full jitter" of Marc Brooker's *Exponential Backoff And Jitter* (2015). Randomness comes
//! in as a number, so every wait can be tested.

use super::Millis;

/// The upper limit of the wait before the second attempt.
pub const BASE: Millis = 500;
/// The upper limit of every wait.
pub const CAP: Millis = 30_000;

/// The wait after `attempt` failures (0 after the first), for a `random` number in 0..1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a product of a number in 0..=1 and at most 30,000 fits both ways"
)]
pub fn delay(attempt: u32, random: f64) -> Millis {
    let most = BASE.saturating_mul(1 << attempt.min(16)).min(CAP);
    (most as f64 * random.clamp(0.0, 1.0)) as Millis
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_cap() {
        let longest: Vec<_> = (0..9).map(|attempt| delay(attempt, 1.0)).collect();
        assert_eq!(
            longest,
            [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]
        );
        assert_eq!(delay(u32::MAX, 1.0), CAP);
    }

    #[test]
    fn jitter_spreads_it_over_the_whole_range() {
        assert_eq!(delay(3, 0.0), 0);
        assert_eq!(delay(3, 0.5), 2_000);
        assert_eq!(delay(3, f64::NAN), 0);
    }
}
