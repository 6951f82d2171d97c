//! The endpoint of the live socket; its frames are in [`crate::live`].

use axum::{
    Extension,
    extract::{
        State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use domain::wire::Problem;
use telemetry::security;

use crate::{
    SharedGateway,
    auth::{self, Caller},
    limits::Address,
    live::{self, READ_BUFFER_BYTES, SUBPROTOCOL, SocketOwner, WRITE_BUFFER_BYTES},
    problem::{ApiProblem, Kind},
};

/// Follow views live
///
/// A WebSocket with the subprotocol `foldline.v1`. The client sends `subscribe`, `unsubscribe`, `command`
/// and `pong`; the server sends `snapshot`, `change`, `caught_up`, `behind`, `hops`, `dials`, `invariants`,
/// `class`, `result`, `error`, `moved` and `ping`.
/// A program sends its token as `Authorization: Bearer`; a browser sends the session cookie, and must connect
/// from Foldline's own pages.
///
/// `{"op":"subscribe","id":1,"view":"orders","key":"…"}` follows a document; with `listing` and `group` in
/// place of `key`, a listing. `{"op":"subscribe","id":7,"lab":"hops"}` follows the hops of the workspace, for
/// students and educators. It is answered with
/// `{"op":"hops","id":7,"data":[…],"merged":[…],"dropped":0}`: first, at once, the newest up to 200 hops that
/// are kept, or none, and then at most 10 frames a second of at most 50 single hops each; of the others there
/// is a number for each arrow in `merged`. The members are those of `GET /lab/hops`. A client that reads
/// slowly loses the oldest hops, and `dropped` counts them.
///
/// `{"op":"subscribe","id":8,"lab":"dials"}` follows the dials, for everybody in the workspace, and
/// `{"op":"subscribe","id":9,"lab":"invariants"}` the lights of its invariants, for students and educators.
/// They are answered with `{"op":"dials","id":8,"data":{…}}` and `{"op":"invariants","id":9,"data":{…}}`: at
/// once, and again at each change, with the answers of `GET /lab/dials/bent` and `GET /lab/invariants`.
/// `{"op":"subscribe","id":10,"lab":"class"}` follows the class, for everybody in the workspace: `class`
/// frames have what `GET /lab/class` answers to the person of the socket. A
/// connection has at most four subscriptions to each topic of the lab.
///
/// Where an educator resets the workspace, every socket gets `{"op":"moved","workspace":"…"}`, and is closed
/// with the code 1008: see `POST /sessions/follow`.
///
/// Every frame counts as a request, with any content. A client that goes on far over its limit is closed with
/// the code 1008 and a reason. The open sockets of one person, of one address and of one workspace are
/// limited. While the dial `live.cut` is set, open sockets are closed with the code 1012, and new ones after
/// their first answer; a client connects again, and resumes.
#[utoipa::path(get, path = "/live", tag = "views", responses(
    (status = 101, description = "The socket is open"),
    (status = 400, description = "Not a WebSocket, or another subprotocol", body = Problem),
    (status = 401, description = "Not signed in", body = Problem),
    (status = 403, description = "Sent by a page of another site", body = Problem),
    (status = 429, description = "Too many requests, or too many open sockets", body = Problem),
))]
pub(super) async fn live(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Extension(Address(address)): Extension<Address>,
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
    let permit = gateway.socket_quota.take(SocketOwner {
        workspace: caller.workspace(),
        person: caller.actor().id,
        address,
    })?;
    let sockets = gateway.sockets.clone();
    let sender = auth::sender(Some(&caller), address);
    Ok(upgrade.on_upgrade(move |socket| {
        let served = live::serve(gateway, caller, socket, permit);
        sockets.track_future(security::in_request(sender, served))
    }))
}
