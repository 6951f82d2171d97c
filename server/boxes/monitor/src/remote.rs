//! Requests from a subcommand to a running server.

use domain::wire::Problem;
use reqwest::{Method, Response};
use serde::de::DeserializeOwned;

use super::{tail::Remote, terminal::MonitorError};

/// Sends a request; an unsuccessful answer becomes an error with the server's explanation.
pub(super) async fn request(
    client: &reqwest::Client,
    remote: &Remote,
    method: Method,
    path: &str,
) -> Result<Response, MonitorError> {
    let url = remote.url.join(path).map_err(|error| failed(&error))?;
    let request = client.request(method, url).bearer_auth(&remote.token);
    let response = request.send().await.map_err(|error| failed(&error))?;
    if response.status().is_success() {
        return Ok(response);
    }
    let problem: Problem = response.json().await.map_err(|error| failed(&error))?;
    Err(MonitorError::Remote(problem.detail))
}

/// Sends a request and parses the JSON answer.
pub(super) async fn request_json<T: DeserializeOwned>(
    client: &reqwest::Client,
    remote: &Remote,
    method: Method,
    path: &str,
) -> Result<T, MonitorError> {
    let response = request(client, remote, method, path).await?;
    response.json().await.map_err(|error| failed(&error))
}

/// An error of the connection or of its content.
pub(super) fn failed(error: &dyn std::fmt::Display) -> MonitorError {
    MonitorError::Remote(error.to_string())
}
