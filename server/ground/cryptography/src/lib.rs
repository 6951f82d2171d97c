//! Whose cryptography TLS is made of, for the server and for every client in it (other servers, mails, traces, an object
//! store): ring's. One is enough, and the libraries do not choose where two could be meant.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// Ring's cryptography.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Has clients of this process use it; called before the first is made.
pub fn use_ring() {
    // Refused where there is one already, which is this one.
    let _ = ring::default_provider().install_default();
}
