//! A proxy for TCP connections that can be cut: between a server and its clients, and between a server and
//! its database.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::AbortHandle,
};

/// The peer to which connections lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Upstream {
    /// A host and a port.
    Tcp(String),
    /// The file of a socket.
    Unix(PathBuf),
}

/// A listener on this machine whose connections lead to a peer.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    /// Counts the cuts; each ends all connections.
    cuts: watch::Sender<u64>,
    /// Whether new connections are closed at once.
    is_severed: Arc<AtomicBool>,
    accepting: AbortHandle,
}

impl Proxy {
    /// Starts it. `upstream` names the peer of each new connection; without a peer, the connection is closed.
    pub(crate) fn start(upstream: impl Fn() -> Option<Upstream> + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let listener = TcpListener::from_std(listener).unwrap();
        let (cuts, is_severed) = (watch::Sender::new(0), Arc::new(AtomicBool::new(false)));
        let (cut, severed) = (cuts.clone(), Arc::clone(&is_severed));
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("a proxy has a descriptor left");
                let upstream = (!severed.load(Ordering::SeqCst)).then(&upstream).flatten();
                let Some(upstream) = upstream else {
                    continue;
                };
                let mut cut = cut.subscribe();
                tokio::spawn(async move {
                    // Either end may close at any time: that is no fault of the proxy.
                    tokio::select! {
                        _ = forward(client, upstream) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self {
            port,
            cuts,
            is_severed,
            accepting: accepting.abort_handle(),
        }
    }

    /// Ends all connections; new ones are possible.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Ends all connections, and lets none through until [`Self::restore`].
    pub(crate) fn sever(&self) {
        self.is_severed.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// Lets new connections through.
    pub(crate) fn restore(&self) {
        self.is_severed.store(false, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

/// Copies in both directions until one end closes.
async fn forward(client: TcpStream, upstream: Upstream) -> io::Result<u64> {
    client.set_nodelay(true)?;
    match upstream {
        Upstream::Tcp(address) => {
            let server = TcpStream::connect(address).await?;
            server.set_nodelay(true)?;
            relay(client, server).await
        }
        Upstream::Unix(file) => relay(client, UnixStream::connect(file).await?).await,
    }
}

async fn relay(client: TcpStream, server: impl AsyncRead + AsyncWrite) -> io::Result<u64> {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    tokio::select! {
        ended = tokio::io::copy(&mut from_client, &mut to_server) => ended,
        ended = tokio::io::copy(&mut from_server, &mut to_client) => ended,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A peer that answers every byte with the same byte.
    async fn echo() -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reads, mut writes) = connection.split();
                    let _ = tokio::io::copy(&mut reads, &mut writes).await;
                });
            }
        });
        Upstream::Tcp(address)
    }

    /// Whether a connection lets a byte through, there and back.
    async fn carries(connection: &mut TcpStream) -> bool {
        let mut byte = [0];
        connection.write_all(b"x").await.is_ok() && connection.read_exact(&mut byte).await.is_ok()
    }

    #[tokio::test]
    async fn a_cut_ends_connections_and_a_severed_proxy_lets_none_through_until_it_is_restored() {
        let peer = echo().await;
        let proxy = Proxy::start(move || Some(peer.clone()));
        let connect = || TcpStream::connect(("127.0.0.1", proxy.port));
        let mut before = connect().await.unwrap();
        assert!(carries(&mut before).await);
        proxy.cut();
        assert!(!carries(&mut before).await);
        assert!(carries(&mut connect().await.unwrap()).await);
        proxy.sever();
        assert!(!carries(&mut connect().await.unwrap()).await);
        proxy.restore();
        assert!(carries(&mut connect().await.unwrap()).await);
    }
}
