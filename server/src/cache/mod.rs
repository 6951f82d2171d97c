//! Box 9, Cache: accelerates hot read responses.
