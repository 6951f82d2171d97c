//! The endpoint of the live socket; its frames are in [`crate::live`].

use axum::{
    extract::{
        State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use domain::wire::Problem;

use crate::{
    SharedGateway,
    auth::Caller,
    live::{self, READ_BUFFER_BYTES, SUBPROTOCOL, WRITE_BUFFER_BYTES},
    problem::{ApiProblem, Kind},
};

/// Follow views live
///
/// A WebSocket with the subprotocol `foldline.v1`. The client sends `subscribe`, `unsubscribe`, `command` and
/// `pong`; the server sends `snapshot`, `change`, `caught_up`, `result`, `error` and `ping`. A program sends
/// its token as `Authorization: Bearer`; a browser sends the session cookie, and must connect from Foldline's
/// own pages.
#[utoipa::path(get, path = "/live", tag = "views", responses(
    (status = 101, description = "The socket is open"),
    (status = 400, description = "Not a WebSocket, or another subprotocol", body = Problem),
    (status = 401, description = "Not signed in", body = Problem),
    (status = 403, description = "Sent by a page of another site", body = Problem),
))]
pub(super) async fn live(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiProblem> {
    caller.require_same_site()?;
    let upgrade =
        upgrade.map_err(|_| ApiProblem::new(Kind::Malformed, "connect to this path with a WebSocket"))?;
    let most = gateway.limits.max_body_bytes;
    let upgrade = upgrade
        .max_message_size(most)
        .max_frame_size(most)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .protocols([SUBPROTOCOL]);
    let speaks_another =
        upgrade.requested_protocols().next().is_some() && upgrade.selected_protocol().is_none();
    if speaks_another {
        let detail = format!("the subprotocol of this socket is {SUBPROTOCOL}");
        return Err(ApiProblem::new(Kind::Malformed, detail));
    }
    let sockets = gateway.sockets.clone();
    Ok(upgrade.on_upgrade(move |socket| sockets.track_future(live::serve(gateway, caller, socket))))
}
