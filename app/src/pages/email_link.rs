//! The token of a link in an email, from the page's address.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// The longest token.
const MAX_TOKEN: usize = 128;

/// The token of the page's address, if it can be one.
pub(super) fn token() -> Option<String> {
    let token = use_query_map().get_untracked().get("token")?;
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_token = (1..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(is_base64url);
    is_token.then_some(token)
}
