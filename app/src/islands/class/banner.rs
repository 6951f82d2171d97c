//! The banner of the class, on every page of its people: while there is a question that they have not
//! answered, the way to it; and "everybody order now". It begins empty, so that no page waits for it, and
//! lies over the page, so that nothing jumps when it appears.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::super::Island;
use crate::{
    components::{Icon, Picture, only_if, text},
    erase::{Erase, View},
    erased_signals::RwSignal,
    language::language,
    text,
};

/// The banner.
#[derive(Serialize, Deserialize)]
pub(crate) struct ClassBanner {}

/// What the banner shows.
#[derive(Clone, Copy)]
struct Banner {
    /// Whether there is a question to answer.
    asks: RwSignal<bool>,
    /// The step that the class is kept on, if this page is another one; empty otherwise.
    step: RwSignal<String>,
    /// The call to order that the person has not taken notice of; 0 if there is none.
    call: RwSignal<i64>,
}

impl Island for ClassBanner {
    const NAME: &'static str = "class-banner";

    fn view(self) -> View {
        let banner = Banner {
            asks: RwSignal::new(false),
            step: RwSignal::new(String::new()),
            call: RwSignal::new(0),
        };
        #[cfg(not(feature = "ssr"))]
        browser::follow(banner);
        let language = language();
        let question = move || {
            view! {
                <p class="class-banner__line">
                    <Icon picture=Picture::Bell />
                    <span>{text::class::banner(language)}</span>
                    <a class="button button--primary button--small" href="/class">
                        {text::class::to_question(language)}
                    </a>
                </p>
            }
            .erase()
        };
        let call = move || {
            view! {
                <p class="class-banner__line">
                    <Icon picture=Picture::Basket />
                    <span>{text::class::order_now(language)}</span>
                    <a
                        class="button button--primary button--small"
                        href="/shop"
                        on:click=move |_| banner.take_notice()
                    >
                        {text::class::to_shop(language)}
                    </a>
                    <button
                        type="button"
                        class="button button--small"
                        on:click=move |_| banner.take_notice()
                    >
                        {text::class::dismiss(language)}
                    </button>
                </p>
            }
            .erase()
        };
        let step = move || {
            view! {
                <p class="class-banner__line">
                    <Icon picture=Picture::Clock />
                    <span>{text::class::locked(language)}</span>
                    <a class="button button--small" href=text(move || banner.step.get())>
                        {text::class::to_step(language)}
                    </a>
                </p>
            }
            .erase()
        };
        view! {
            <div class="class-banner" role="status" data-testid="class-banner">
                {only_if(move || banner.call.get() > 0, call)}
                {only_if(move || banner.asks.get(), question)}
                {only_if(move || banner.step.with(|step| !step.is_empty()), step)}
            </div>
        }
        .erase()
    }
}

impl Banner {
    /// The person has seen the call.
    fn take_notice(self) {
        #[cfg(not(feature = "ssr"))]
        browser::take_notice(self);
        #[cfg(feature = "ssr")]
        let _ = self;
    }
}

/// Keeps in this tab that the question is answered, so that the banner does not ask for it.
#[cfg(not(feature = "ssr"))]
pub(super) fn note_answered(question: &str) {
    browser::keep(browser::ANSWERED, question);
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! The live connection, and what the tab keeps from page to page.

    use domain::wire::{LabTopic, ServerFrame};
    use gloo_storage::{SessionStorage, Storage as _};
    use leptos::prelude::window;
    use serde_json::Value;

    use super::Banner;
    use crate::{
        lab::class::{kept_on, number_of, question_of},
        live::store::follow_lab,
    };

    /// The storage key of the question that is answered.
    pub(super) const ANSWERED: &str = "foldline.class.answered";

    /// The storage key of the newest call that the person has taken notice of.
    const CALL: &str = "foldline.class.call";

    /// The page of the question.
    const PAGE: &str = "/class";

    pub(super) fn follow(banner: Banner) {
        follow_lab(LabTopic::Class, move |frame| {
            if let ServerFrame::Class { data, .. } = frame {
                show(banner, &data);
            }
        });
    }

    fn show(banner: Banner, state: &Value) {
        let question = question_of(state);
        let path = window().location().pathname().unwrap_or_default();
        let is_here = path == PAGE;
        let is_answered = || kept(ANSWERED).is_some_and(|answered| answered == question);
        banner
            .asks
            .set(!question.is_empty() && !is_here && !is_answered());
        // The page of the class has the way to the step itself.
        let step = kept_on(state).filter(|(_, page)| !is_here && *page != path);
        banner
            .step
            .set(step.map(|(address, _)| address).unwrap_or_default());
        let call = number_of(state, "order_call");
        match kept(CALL).and_then(|call| call.parse::<i64>().ok()) {
            Some(noticed) if noticed < call => banner.call.set(call),
            Some(noticed) if noticed == call => banner.call.set(0),
            // Calls of before this tab was opened are over, and another workspace counts from the beginning.
            Some(_) | None => {
                keep(CALL, &call.to_string());
                banner.call.set(0);
            }
        }
    }

    pub(super) fn take_notice(banner: Banner) {
        keep(CALL, &banner.call.get_untracked().to_string());
        banner.call.set(0);
    }

    /// A browser that stores nothing shows the banner again on the next page.
    pub(super) fn keep(key: &str, value: &str) {
        let _ = SessionStorage::raw().set_item(key, value);
    }

    fn kept(key: &str) -> Option<String> {
        SessionStorage::raw().get_item(key).ok().flatten()
    }
}
