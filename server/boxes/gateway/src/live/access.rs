//! The access of a connection, which may end before the connection does.

use std::time::Duration;

use axum::extract::ws::close_code;
use tokio::sync::broadcast::error::RecvError;

use super::Disconnect;
use crate::{
    SharedGateway,
    auth::{Caller, is_erased},
    tokens::SESSION_ENDED,
};
use identity::{
    session_status::{SessionChange, SessionStatus},
    sessions::ACCESS_SECONDS,
};

/// Ends the connection of a person who was erased, or whose session has ended, here or on another server.
/// Where that cannot be looked up, the connection stays.
pub(super) async fn check(gateway: &SharedGateway, caller: &Caller) -> Result<(), Disconnect> {
    if is_erased(gateway, caller.bearer()).await {
        let reason = "the person of this session was erased";
        return Err(Disconnect::Close(close_code::POLICY, reason));
    }
    match caller.session_status(gateway).await {
        Ok(SessionStatus::Guest | SessionStatus::Active) => Ok(()),
        Ok(SessionStatus::Ended) => Err(Disconnect::Close(close_code::POLICY, SESSION_ENDED)),
        Err(error) => {
            tracing::warn!(%error, "the status of a session could not be looked up");
            Ok(())
        }
    }
}

/// Checks the access again where sessions of this person have changed, or where changes were missed.
pub(super) async fn check_after(
    change: Result<SessionChange, RecvError>,
    gateway: &SharedGateway,
    caller: &Caller,
) -> Result<(), Disconnect> {
    match change {
        Ok(SessionChange::Of(person)) if person != caller.bearer().of() => Ok(()),
        _ => check(gateway, caller).await,
    }
}

/// How much longer a browser may stay connected whose token has ended: for the lifetime of a new token, if
/// its session has not ended.
pub(super) async fn extension(gateway: &SharedGateway, caller: &Caller) -> Option<Duration> {
    if !caller.is_browser() {
        return None;
    }
    match caller.session_status(gateway).await {
        Ok(SessionStatus::Active) => Some(Duration::from_secs(ACCESS_SECONDS)),
        Ok(SessionStatus::Guest | SessionStatus::Ended) => None,
        Err(error) => {
            tracing::warn!(%error, "the status of a session could not be looked up");
            None
        }
    }
}
