//! Verification: the server recomputes the hash of every event, and folds every document again from the log.

use domain::wire::{Problem, VerifyReport};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    components::{Icon, Picture, explain, text},
    erase::{Erase, View},
    language::language,
    text,
};

/// The button and the report. Without scripts it is a form, whose answer is the report as JSON.
#[derive(Serialize, Deserialize)]
pub(crate) struct Verify {}

impl Island for Verify {
    const NAME: &'static str = "verify";

    fn view(self) -> View {
        let language = language();
        let running = RwSignal::new(false);
        let outcome = RwSignal::new(None::<Result<VerifyReport, Problem>>);
        let verify = move || {
            #[cfg(not(feature = "ssr"))]
            if !running.get_untracked() {
                running.set(true);
                crate::erased_effects::spawn(async move {
                    let report = crate::api::verify().await;
                    let _ = outcome.try_set(Some(report));
                    let _ = running.try_set(false);
                });
            }
        };
        view! {
            <section class="panel">
                <h2>{text::verify::title(language)}</h2>
                <p>{text::verify::text(language)}</p>
                <form
                    method="get"
                    action="/api/v1/verify"
                    on:submit=move |event| {
                        event.prevent_default();
                        verify();
                    }
                >
                    <button
                        class="button"
                        class:button--pending=move || running.get()
                        aria-disabled=text(move || running.get().to_string())
                    >
                        <Icon picture=Picture::Shield />
                        {text(move || {
                            if running.get() {
                                text::verify::running(language)
                            } else {
                                text::verify::action(language)
                            }
                        })}
                    </button>
                </form>
                <div role="status">{move || outcome.get().map(shown)}</div>
            </section>
        }
        .erase()
    }
}

fn shown(outcome: Result<VerifyReport, Problem>) -> View {
    let language = language();
    match outcome {
        Err(problem) => view! {
            <p class="notice notice--danger"><Icon picture=Picture::Alert />{explain(&problem)}</p>
        }
        .erase(),
        Ok(VerifyReport {
            events,
            documents,
            mut findings,
            differences,
        }) => {
            findings.extend(differences);
            let whole = findings.is_empty();
            // The findings are the server's own words, for developers.
            view! {
                <div class=if whole { "notice notice--good" } else { "notice notice--danger" }>
                    <Icon picture=if whole { Picture::Check } else { Picture::Alert } />
                    <div>
                        <p>
                            {if whole {
                                text::verify::whole(language, events, documents)
                            } else {
                                text::verify::broken(language, events, documents)
                            }}
                        </p>
                        {(!whole).then(|| view! {
                            <ul lang="en" dir="ltr">
                                {findings
                                    .into_iter()
                                    .map(|finding| view! { <li>{finding}</li> })
                                    .collect_view()}
                            </ul>
                        })}
                    </div>
                </div>
            }
            .erase()
        }
    }
}
