//! The cryptography provider of TLS, for the server and for its clients (other servers, emails, traces, an
//! object store): ring. It is set explicitly, since the libraries do not choose between two providers.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// Ring's cryptography.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Makes ring the default of this process; called before the first client is created.
pub fn use_ring() {
    // It fails if a default is set already, which is this one.
    let _ = ring::default_provider().install_default();
}
