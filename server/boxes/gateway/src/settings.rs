//! The settings of the gateway: its limits, and HTTPS.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, builder::RangedU64ValueParser};

use super::proxies::Network;

/// The limits of requests and connections.
#[derive(Debug, Clone, Args)]
pub struct Limits {
    /// The largest request body, and the largest frame of a socket, in bytes
    #[arg(long, env = "FOLDLINE_MAX_BODY_BYTES", default_value = "262144", value_name = "BYTES",
        value_parser = RangedU64ValueParser::<usize>::new().range(1_024..=16_777_216))]
    pub max_body_bytes: usize,
    /// Proxies in front of this server: addresses and ranges, separated by commas, as in
    /// 127.0.0.1,10.0.0.0/8. What they say in X-Forwarded-For or Forwarded is the client's address; of others
    /// it is ignored
    #[arg(
        long,
        env = "FOLDLINE_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_name = "NETWORKS"
    )]
    pub trusted_proxies: Vec<Network>,
    /// From where /metrics may be asked: addresses and ranges, separated by commas; `0.0.0.0/0,::/0` is
    /// everywhere. What a proxy passes on counts only if the proxy is trusted
    #[arg(
        long,
        env = "FOLDLINE_METRICS_FROM",
        value_delimiter = ',',
        default_values = ["127.0.0.0/8", "::1"],
        value_name = "NETWORKS"
    )]
    pub metrics_from: Vec<Network>,
    /// Requests a minute of one person, or of one address without a session; 0 is no limit
    #[arg(
        long,
        env = "FOLDLINE_REQUESTS_PER_MINUTE",
        default_value = "6000",
        value_name = "COUNT"
    )]
    pub requests_per_minute: u32,
    /// Wrong passwords of the accounts of one email from one address in a minute, after which each further
    /// one doubles the wait for the next; 0 is no limit
    #[arg(
        long,
        env = "FOLDLINE_SIGN_INS_PER_MINUTE",
        default_value = "10",
        value_name = "COUNT"
    )]
    pub sign_ins_per_minute: u32,
    /// Connections at a time, in all; 0 is as many as the process has descriptors for
    #[arg(
        long,
        env = "FOLDLINE_MAX_CONNECTIONS",
        default_value = "0",
        value_name = "COUNT"
    )]
    pub max_connections: u32,
    /// Connections at a time from one address; 0 is no limit [default: half of those in all, 2048 at most; no
    /// limit for this machine's own addresses]
    #[arg(long, env = "FOLDLINE_MAX_CONNECTIONS_PER_ADDRESS", value_name = "COUNT")]
    pub max_connections_per_address: Option<u32>,
    /// Live sockets of one person at a time; 0 is no limit
    #[arg(
        long,
        env = "FOLDLINE_SOCKETS_PER_PERSON",
        default_value = "50",
        value_name = "COUNT"
    )]
    pub sockets_per_person: u32,
    /// Live sockets of one workspace at a time, on one server; 0 is no limit
    #[arg(
        long,
        env = "FOLDLINE_SOCKETS_PER_WORKSPACE",
        default_value = "2000",
        value_name = "COUNT"
    )]
    pub sockets_per_workspace: u32,
    /// Live sockets from one address at a time; 0 is no limit [default: 1024; no limit for this machine's own
    /// addresses]
    #[arg(long, env = "FOLDLINE_SOCKETS_PER_ADDRESS", value_name = "COUNT")]
    pub sockets_per_address: Option<u32>,
    /// How long a connection may take to bring the head of its first request, TLS included
    #[arg(long, env = "FOLDLINE_FIRST_REQUEST_TIMEOUT_MS", default_value = "15000", value_name = "MS",
        value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub first_request_timeout_ms: u64,
    /// How long a connection may make no progress, idle or with a request under way: no further request,
    /// nothing more of its body, nothing taken of its answer. The server's own work on an answer does not
    /// count, and live sockets have pings instead
    #[arg(long, env = "FOLDLINE_IDLE_TIMEOUT_MS", default_value = "75000", value_name = "MS",
        value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub idle_timeout_ms: u64,
    /// How long an answer may take, besides what the request itself asks to wait
    #[arg(long, env = "FOLDLINE_REQUEST_TIMEOUT_MS", default_value = "10000", value_name = "MS",
        value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub request_timeout_ms: u64,
    /// How long requests and other running work may take to finish when the server stops
    #[arg(long, env = "FOLDLINE_SHUTDOWN_TIMEOUT_MS", default_value = "5000", value_name = "MS",
        value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub shutdown_timeout_ms: u64,
}

impl Limits {
    /// Requests a minute; `None` is no limit.
    pub fn rate(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.requests_per_minute)
    }

    /// Wrong passwords of the accounts of one email from one address in a minute; `None` is no limit.
    pub fn sign_ins(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.sign_ins_per_minute)
    }

    /// How long a connection may take to bring its first request.
    pub fn first_request_timeout(&self) -> Duration {
        Duration::from_millis(self.first_request_timeout_ms)
    }

    /// How long a connection may make no progress.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    /// How long an answer may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// How long stopping may take.
    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.shutdown_timeout_ms)
    }
}

/// The certificate of HTTPS; without any of these the server speaks plain HTTP.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsSettings {
    /// The certificate chain, PEM
    #[arg(
        long,
        env = "FOLDLINE_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key",
        conflicts_with = "tls"
    )]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, PEM
    #[arg(
        long,
        env = "FOLDLINE_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert",
        conflicts_with = "tls"
    )]
    pub tls_key: Option<PathBuf>,
    /// Make a certificate, and keep it in the data folder
    #[arg(long, env = "FOLDLINE_TLS")]
    pub tls: Option<TlsMode>,
}

/// The kind of certificate that the server makes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TlsMode {
    /// Signed by itself: for trying things out.
    SelfSigned,
}
