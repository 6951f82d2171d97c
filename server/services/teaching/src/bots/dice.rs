//! What bots do by chance: seeded by their workspace, so that a run can be understood.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{FAILING, FAILING_SHARE, MOST_LINES, MOST_UNITS};

/// Milliseconds of a minute.
const MINUTE_MS: u64 = 60_000;

/// A generator of numbers that look random: splitmix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// Dice that fall in the same way for the same seed.
    pub(super) fn new(seed: Uuid) -> Self {
        let (high, low) = seed.as_u64_pair();
        Self(high ^ low)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 below 0.
    fn below(&mut self, end: u64) -> u64 {
        self.roll().checked_rem(end).unwrap_or(0)
    }

    /// An index of a list of this length; 0 of an empty one.
    pub(super) fn index(&mut self, length: usize) -> usize {
        let index = self.below(u64::try_from(length).unwrap_or(u64::MAX));
        usize::try_from(index).unwrap_or(0)
    }

    /// The time until the next order: between half and one and a half times the mean.
    pub(super) fn pause(&mut self, orders_per_minute: u32) -> Duration {
        let mean = MINUTE_MS / u64::from(orders_per_minute.max(1));
        Duration::from_millis(mean / 2 + self.below(mean + 1))
    }

    /// The lines of an order: a few of these products, each once.
    pub(super) fn lines(&mut self, skus: &[&str]) -> Vec<Value> {
        let mut left = skus.to_vec();
        let count = 1 + self.below(MOST_LINES);
        let mut lines = Vec::new();
        for _ in 0..count {
            if left.is_empty() {
                break;
            }
            let sku = left.swap_remove(self.index(left.len()));
            lines.push(json!({"sku": sku, "quantity": 1 + self.below(MOST_UNITS)}));
        }
        lines
    }

    /// How an order is paid: sometimes with a method that fails.
    pub(super) fn method(&mut self) -> &'static str {
        if self.below(FAILING_SHARE) == 0 {
            FAILING[self.index(FAILING.len())]
        } else {
            "tok_ok"
        }
    }
}
