//! Tells a flood of frames from a client that is briefly over its rate limit.
//!
//! Every frame is counted against the limit of its client, with any content. A frame over the limit is
//! refused, or carried out where the client takes less by it, and either is work too. So a connection that
//! goes on far over the limit is closed.

/// How many more frames over the limit than within it a connection may send before it is closed.
const MOST_OVER: u32 = 256;

/// The reason of the close frame.
pub(super) const FLOOD: &str = "too many frames over the rate limit: this is a flood";

/// The frames of one connection over the limit of its client, less those within it.
#[derive(Debug, Default)]
pub(super) struct FloodMeter {
    over: u32,
}

impl FloodMeter {
    /// Counts a frame; `true`: with it the frames are a flood.
    pub(super) fn is_flood_after(&mut self, is_over: bool) -> bool {
        self.over = if is_over {
            self.over.saturating_add(1)
        } else {
            self.over.saturating_sub(1)
        };
        self.over > MOST_OVER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_goes_on_over_its_limit_is_a_flood() {
        let mut meter = FloodMeter::default();
        assert!((0..MOST_OVER).all(|_| !meter.is_flood_after(true)));
        assert!(meter.is_flood_after(true));
    }

    #[test]
    fn frames_within_the_limit_make_good_for_as_many_over_it() {
        let mut meter = FloodMeter::default();
        for _ in 0..10 * MOST_OVER {
            assert!(!meter.is_flood_after(true));
            assert!(!meter.is_flood_after(false));
        }
        // a flood has few frames within a limit that is refilled slowly
        let is_over = |n: u32| !n.is_multiple_of(100);
        assert!((0..2 * MOST_OVER).any(|n| meter.is_flood_after(is_over(n))));
    }
}
