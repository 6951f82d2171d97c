//! Signing in, and the links in emails: the JSON of `/sessions`, `/password-resets` and
//! `/email-confirmations`.

use serde::{Deserialize, Serialize};

use crate::{aggregate::user::Password, id::WorkspaceId};

/// `POST /api/v1/sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignIn {
    /// The registered address; case-insensitive, its domain in letters or in Punycode.
    pub email: String,
    /// The password; never logged.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = Password))]
    pub password: Password,
    /// The workspace; by default that of the sender's token, or else the one that was used last, of those in
    /// which email and password match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Uuid>))]
    pub workspace: Option<WorkspaceId>,
}

/// `PUT /api/v1/sessions/password`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangePassword {
    /// The current password; never logged.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = Password))]
    pub current: Password,
    /// The new password; never logged.
    #[cfg_attr(
        feature = "openapi",
        schema(value_type = String, format = Password, min_length = 8, max_length = 200)
    )]
    pub new: Password,
}

/// The token of a link in an email; never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkToken(String);

impl LinkToken {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkToken(…)")
    }
}

/// `POST /api/v1/password-resets`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ForgottenPassword {
    /// The registered address.
    pub email: String,
    /// The workspace; by default that of the sender's token, or else every one with such an account, the
    /// confirmed ones first, up to 64; the next request is about the next ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Uuid>))]
    pub workspace: Option<WorkspaceId>,
}

/// `POST /api/v1/password-resets/complete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasswordReset {
    /// The `token` of the link in the email; never logged.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub token: LinkToken,
    /// The new password; never logged.
    #[cfg_attr(
        feature = "openapi",
        schema(value_type = String, format = Password, min_length = 8, max_length = 200)
    )]
    pub password: Password,
}

/// `POST /api/v1/email-confirmations/complete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EmailConfirmation {
    /// The `token` of the link in the email; never logged.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub token: LinkToken,
}

/// The answer to a sign-in, and to its renewal. The refresh token is in a cookie that scripts cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionAccess {
    /// The workspace.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub workspace: WorkspaceId,
    /// The access token, for `Authorization: Bearer`.
    pub token: String,
    /// Seconds until it expires.
    pub expires_in: u64,
}
