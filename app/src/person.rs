//! The person for whom the page was rendered, which islands need to predict the effect of a command. The
//! server always decides by the session.

use domain::access::Actor;
use leptos::prelude::use_context;

/// The attribute of the page's body that carries the person, for the islands.
pub(crate) const ATTRIBUTE: &str = "data-person";

/// The person, provided by context.
#[derive(Debug, Clone)]
pub(crate) struct Person(pub(crate) Option<Actor>);

/// The person; `None` outside of a workspace.
pub(crate) fn use_person() -> Option<Actor> {
    #[cfg(feature = "ssr")]
    if let Some(session) = crate::api::use_session() {
        return Some(of_session(session));
    }
    use_context::<Person>()?.0
}

/// Whether the person may open the page of a stream, so that links to it lead somewhere.
pub(crate) fn reads_streams() -> bool {
    use_person().is_some_and(|person| person.role.reads_lab())
}

/// The person for whom the page was rendered, even if the browser's session is another person's by now.
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
