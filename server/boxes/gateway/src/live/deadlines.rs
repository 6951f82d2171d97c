//! The deadlines of a connection, which has one timer for all of them.

use std::time::Duration;

use tokio::time::Instant;

/// The interval of pings.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long the client may take to answer a ping.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);

/// A deadline that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// The client has not answered a ping.
    Silence,
    /// The access token has expired.
    Expiry,
    /// The client is to be sent a ping.
    Ping,
}

/// When a connection next has something to do without a message.
#[derive(Debug)]
pub(super) struct Deadlines {
    /// `None`: the token ends later than a clock can tell.
    expiry: Option<Instant>,
    ping: Instant,
    unanswered_since: Option<Instant>,
}

impl Deadlines {
    /// The deadlines of a connection that begins now, whose token ends after `left`.
    pub(super) fn new(now: Instant, left: Duration) -> Self {
        Self {
            expiry: now.checked_add(left),
            ping: now + PING_INTERVAL,
            unanswered_since: None,
        }
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Instant {
        [self.silence(), self.expiry]
            .into_iter()
            .flatten()
            .fold(self.ping, Instant::min)
    }

    /// A deadline that has passed, if any has.
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        let has_passed = |deadline: Instant| deadline <= now;
        if self.silence().is_some_and(has_passed) {
            Some(Due::Silence)
        } else if self.expiry.is_some_and(has_passed) {
            Some(Due::Expiry)
        } else if has_passed(self.ping) {
            Some(Due::Ping)
        } else {
            None
        }
    }

    /// The token was renewed: it ends at `expiry`.
    pub(super) fn renew(&mut self, expiry: Instant) {
        self.expiry = Some(expiry);
    }

    /// The client is sent a ping now.
    pub(super) fn pinged(&mut self, now: Instant) {
        self.ping = now + PING_INTERVAL;
        self.unanswered_since.get_or_insert(now);
    }

    /// The client has sent something, which answers every ping. Returns whether one was unanswered.
    pub(super) fn heard(&mut self) -> bool {
        self.unanswered_since.take().is_some()
    }

    fn silence(&self) -> Option<Instant> {
        self.unanswered_since.map(|since| since + PONG_TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(begin: Instant, seconds: u64) -> Instant {
        begin + Duration::from_secs(seconds)
    }

    #[test]
    fn a_client_that_answers_is_pinged_at_an_interval() {
        let begin = Instant::now();
        let mut deadlines = Deadlines::new(begin, Duration::from_hours(1));
        for ping in [20, 40, 60] {
            assert_eq!(deadlines.next(), after(begin, ping));
            assert_eq!(deadlines.due(after(begin, ping - 1)), None);
            assert_eq!(deadlines.due(after(begin, ping)), Some(Due::Ping));
            deadlines.pinged(after(begin, ping));
            assert_eq!(deadlines.next(), after(begin, ping + 10));
            assert!(deadlines.heard());
            assert!(!deadlines.heard());
        }
    }

    #[test]
    fn a_client_that_does_not_answer_is_silent() {
        let begin = Instant::now();
        let mut deadlines = Deadlines::new(begin, Duration::from_hours(1));
        deadlines.pinged(after(begin, 25));
        assert_eq!(deadlines.due(after(begin, 34)), None);
        assert_eq!(deadlines.due(after(begin, 35)), Some(Due::Silence));
        deadlines.pinged(after(begin, 35));
        assert_eq!(deadlines.next(), after(begin, 35), "the first ping counts");
    }

    #[test]
    fn a_token_expires_unless_it_is_renewed() {
        let begin = Instant::now();
        let mut deadlines = Deadlines::new(begin, Duration::from_secs(5));
        assert_eq!(deadlines.next(), after(begin, 5));
        assert_eq!(deadlines.due(after(begin, 5)), Some(Due::Expiry));
        deadlines.renew(after(begin, 900));
        assert_eq!(deadlines.next(), after(begin, 20));
        let endless = Deadlines::new(begin, Duration::from_secs(u64::MAX));
        assert_eq!(endless.next(), after(begin, 20));
    }
}
