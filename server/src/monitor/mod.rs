//! Box 11, Monitoring / Replay Tool: inspects streams and replays events.
