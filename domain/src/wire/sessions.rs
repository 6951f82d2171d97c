//! Signing in: the JSON of `/sessions`.

use serde::{Deserialize, Serialize};

use crate::{aggregate::user::Password, id::WorkspaceId};

/// `POST /api/v1/sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignIn {
    /// As it was registered; upper and lower case do not matter.
    pub email: String,
    /// Printed nowhere.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = Password))]
    pub password: Password,
    /// Where; the workspace of the sender's token where absent, or else the only one where email and password fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Uuid>))]
    pub workspace: Option<WorkspaceId>,
}

/// `PUT /api/v1/sessions/password`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangePassword {
    /// What it is now; printed nowhere.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = Password))]
    pub current: Password,
    /// What it is to be; printed nowhere.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = Password, min_length = 8, max_length = 200))]
    pub new: Password,
}

/// The answer to a sign-in, and to its renewal. What renews it is in a cookie that no script can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionAccess {
    /// Where.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub workspace: WorkspaceId,
    /// The access token, for `Authorization: Bearer`.
    pub token: String,
    /// Seconds until it ends.
    pub expires_in: u64,
}
