//! What each view, process manager and consumer has done with an event. While one of them has not handled it,
//! the page asks again.

use domain::wire::{HandledBy, HandlerKind, Handling};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    erase::{Erase, View},
    erased_signals::RwSignal,
    islands::Island,
    language::language,
    text,
};

/// What the handlers have done with an event.
#[derive(Serialize, Deserialize)]
pub(crate) struct LabHandling {
    /// The event.
    pub(crate) event: Uuid,
    /// The handlers when the page was rendered.
    pub(crate) handlers: Vec<HandledBy>,
}

impl Island for LabHandling {
    const NAME: &'static str = "lab-handling";

    fn view(self) -> View {
        let language = language();
        let Self { event, handlers } = self;
        let handlers = RwSignal::new(handlers);
        #[cfg(not(feature = "ssr"))]
        browser::follow(event, handlers);
        #[cfg(feature = "ssr")]
        let _ = event;
        let rows = move || handlers.with(|handlers| handlers.iter().map(row).collect::<Vec<View>>());
        view! {
            <table class="table" data-testid="handling">
                <thead>
                    <tr>
                        <th scope="col">{text::lab_handlers::handler(language)}</th>
                        <th scope="col">{text::lab::kind(language)}</th>
                        <th scope="col">{text::lab::outcome(language)}</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        }
        .erase()
    }
}

fn row(handler: &HandledBy) -> View {
    let language = language();
    let HandledBy {
        name,
        kind,
        handling,
        reason,
    } = handler;
    let kind = match kind {
        HandlerKind::View => text::lab_log::kind_view(language),
        HandlerKind::ProcessManager => text::lab_log::kind_process_manager(language),
        HandlerKind::Consumer => text::lab_log::kind_consumer(language),
    };
    let words = match handling {
        Handling::Handled => text::lab_handlers::handled(language),
        Handling::Behind => text::lab_handlers::handled_behind(language),
        Handling::DeadLetter => text::lab_handlers::handled_dead(language),
        Handling::Waiting => text::lab_handlers::handled_waiting(language),
        Handling::Discarded => text::lab_handlers::handled_discarded(language),
    };
    let is_parked = matches!(handling, Handling::DeadLetter | Handling::Waiting);
    let words = if is_parked {
        view! { <a href="/lab/dead-letters">{words}</a> }.erase()
    } else {
        view! { <span>{words}</span> }.erase()
    };
    // The reason is the server's own words, for developers.
    let reason = reason
        .clone()
        .map(|reason| view! { " "<span class="muted" lang="en" dir="ltr">{reason}</span> }.erase());
    view! {
        <tr data-handler=name.clone() data-handling=handling.as_str()>
            <th scope="row" data-label=text::lab_handlers::handler(language)><code>{name.clone()}</code></th>
            <td data-label=text::lab::kind(language)>{kind}</td>
            <td data-label=text::lab::outcome(language)>{words}{reason}</td>
        </tr>
    }
    .erase()
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! Asks again while the event is not handled by all.

    use domain::wire::{HandledBy, Handling};
    use uuid::Uuid;

    use super::super::growth::now_and_then;
    use crate::{api, erased_effects::spawn, erased_signals::RwSignal};

    pub(super) fn follow(event: Uuid, handlers: RwSignal<Vec<HandledBy>>) {
        now_and_then(move || {
            let is_done =
                |handler: &HandledBy| matches!(handler.handling, Handling::Handled | Handling::Discarded);
            if handlers.with_untracked(|handlers| handlers.iter().all(is_done)) {
                return;
            }
            spawn(async move {
                // What cannot be read now is read with the next attempt.
                if let Ok(answer) = api::lab::handled(&event.to_string()).await {
                    handlers.try_set(answer.data);
                }
            });
        });
    }
}
