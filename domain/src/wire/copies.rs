//! Copies of a workspace, and its reset.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Template;
use crate::id::WorkspaceId;

/// The most copies that a workspace gives to its people, in all.
pub const MAX_COPIES: u32 = 60;

/// `POST /api/v1/lab/class/copies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"count": 30})))]
pub struct CopyClass {
    /// The most copies that are made now, 1 to 60: one for each student who has none.
    pub count: u32,
}

/// A person's own copy of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PersonalCopy {
    /// The person of the copied workspace.
    pub person: Uuid,
    /// Their name.
    pub name: String,
    /// The copy.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub workspace: WorkspaceId,
    /// Its join code.
    pub join_code: String,
}

/// The answer to `GET` and `POST /api/v1/lab/class/copies`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CopiesAnswer {
    /// Every copy, in the order in which they were made.
    pub data: Vec<PersonalCopy>,
    /// How many of them were made by this request.
    pub made: u32,
    /// How many students have none.
    pub without: u32,
}

/// `POST /api/v1/lab/reset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({})))]
pub struct ResetWorkspace {
    /// The content of the new workspace; by default the template of the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Template>,
}
