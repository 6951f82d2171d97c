//! Box 6, Message Broker: publishes events to subscribers asynchronously, at least once, in order per partition.
