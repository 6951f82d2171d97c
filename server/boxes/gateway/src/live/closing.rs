//! The end of a connection, with the closing handshake of RFC 6455 (section 7).
//!
//! Each side sends one close frame, and the server closes the TCP connection after both. A client that does
//! not complete the handshake is not waited for long.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures::SinkExt;
use tokio_tungstenite::tungstenite::{Error, error::ProtocolError};

/// How long the closing handshake may take at most.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disconnect {
    /// The connection is lost, or takes no more data.
    Lost,
    /// The client has sent a close frame, which is answered with the same.
    ByClient,
    /// The server closes it, with a code and a reason.
    Close(u16, &'static str),
    /// The same, after a frame behind which nothing more can be read.
    Unreadable(u16, &'static str),
}

impl Disconnect {
    /// The end after a frame that cannot be read, or after a failure of the connection.
    pub(super) fn after(error: axum::Error) -> Self {
        match error.into_inner().downcast_ref::<Error>() {
            Some(Error::Capacity(_)) => Self::Unreadable(close_code::SIZE, "the frame is too large"),
            Some(Error::Utf8(_)) => Self::Unreadable(close_code::INVALID, "a text frame is not UTF-8"),
            Some(Error::Protocol(error)) if *error != ProtocolError::ResetWithoutClosingHandshake => {
                Self::Unreadable(close_code::PROTOCOL, "a frame breaks the protocol of WebSockets")
            }
            _ => Self::Lost,
        }
    }
}

/// Closes a connection. The handshake takes no more than half of `shutdown_timeout`: a server that stops
/// waits for it.
pub(super) async fn close(mut socket: WebSocket, end: Disconnect, shutdown_timeout: Duration) {
    let timeout = HANDSHAKE_TIMEOUT.min(shutdown_timeout / 2);
    // A client that does not answer is disconnected all the same.
    let _ = tokio::time::timeout(timeout, shake_hands(&mut socket, end)).await;
}

async fn shake_hands(socket: &mut WebSocket, end: Disconnect) {
    match end {
        Disconnect::Lost => {}
        Disconnect::ByClient => drain(socket).await,
        Disconnect::Close(code, reason) => {
            if send(socket, code, reason).await {
                drain(socket).await;
            }
        }
        Disconnect::Unreadable(code, reason) => {
            if send(socket, code, reason).await {
                // The client's close frame cannot be read. Closed at once, with data unread, the connection
                // would be reset, and the client might lose the close frame.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Sends a close frame; `false`: the connection is lost.
async fn send(socket: &mut WebSocket, code: u16, reason: &'static str) -> bool {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    socket.send(Message::Close(Some(frame))).await.is_ok()
}

/// Reads, and ignores, what the client has still sent, up to its close frame. This also sends the answer to
/// a close frame that was received.
async fn drain(socket: &mut WebSocket) {
    while let Some(Ok(_)) = socket.recv().await {}
    // What is left to send, if anything.
    let _ = SinkExt::<Message>::flush(socket).await;
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::error::CapacityError;

    use super::*;

    fn after(error: Error) -> Disconnect {
        Disconnect::after(axum::Error::new(error))
    }

    #[test]
    fn a_client_is_told_why_its_frames_cannot_be_read() {
        let code = |error| match after(error) {
            Disconnect::Unreadable(code, _) => code,
            other => panic!("{other:?}"),
        };
        let size = CapacityError::MessageTooLong { size: 2, max_size: 1 };
        assert_eq!(code(Error::Capacity(size)), 1009);
        assert_eq!(code(Error::Utf8(String::new())), 1007);
        assert_eq!(
            code(Error::Protocol(ProtocolError::UnmaskedFrameFromClient)),
            1002
        );
    }

    #[test]
    fn a_lost_connection_gets_no_close_frame() {
        let reset = Error::Protocol(ProtocolError::ResetWithoutClosingHandshake);
        let broken = Error::Io(std::io::ErrorKind::BrokenPipe.into());
        assert_eq!([reset, broken].map(after), [Disconnect::Lost; 2]);
    }
}
