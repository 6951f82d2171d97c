//! Who is looking, as the islands need to know it to foresee what a command will do. The server decides by the session;
//! this is only told.

use domain::access::Actor;
use leptos::prelude::use_context;

/// Where the page's body names the person, for the islands.
pub(crate) const ATTRIBUTE: &str = "data-person";

/// The person, by context.
#[derive(Debug, Clone)]
pub(crate) struct Person(pub(crate) Option<Actor>);

/// Who is looking; `None` where nobody has opened or joined a workspace.
pub(crate) fn use_person() -> Option<Actor> {
    #[cfg(feature = "ssr")]
    if let Some(session) = crate::api::use_session() {
        return Some(of_session(session));
    }
    use_context::<Person>()?.0
}

/// Whom the page was rendered for. A browser whose session is another one's by now still shows it.
#[cfg(not(feature = "ssr"))]
pub(crate) fn of_page() -> Option<Actor> {
    let person = leptos::prelude::document().body()?.get_attribute(ATTRIBUTE)?;
    crate::live::store::typed(&serde_json::from_str(&person).ok()?)
}

/// The person of a session.
#[cfg(feature = "ssr")]
pub(crate) fn of_session(session: domain::wire::SessionInfo) -> Actor {
    Actor {
        id: session.actor_id,
        role: session.role,
        name: session.display_name,
    }
}
