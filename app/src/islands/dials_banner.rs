//! The banner that says what is bent in the workspace, and by whom: on every page, for everybody in the
//! workspace. The server words it, also when the page's live connection says that the dials have changed: the
//! bundles of pages have no words for dials.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    components::{Icon, Picture, only_if},
    erase::{Erase, View},
    erased_signals::RwSignal,
    language::language,
    text,
};

/// The banner.
#[derive(Serialize, Deserialize)]
pub(crate) struct DialsBanner {
    /// What was bent when the page was rendered: a sentence for each person.
    pub(crate) lines: Vec<String>,
    /// The version of the dials.
    pub(crate) version: u64,
    /// Whether the person may open the page of the dials.
    pub(crate) reads_lab: bool,
}

impl Island for DialsBanner {
    const NAME: &'static str = "dials-banner";

    fn view(self) -> View {
        let Self {
            lines,
            version,
            reads_lab,
        } = self;
        let shown = RwSignal::new(lines);
        #[cfg(not(feature = "ssr"))]
        follow(shown, version);
        #[cfg(feature = "ssr")]
        let _ = version;
        let is_bent = move || shown.with(|lines| !lines.is_empty());
        view! {
            <div role="status" data-testid="dials-banner">
                {only_if(is_bent, move || banner(shown, reads_lab))}
            </div>
        }
        .erase()
    }
}

/// Follows the dials while the page is open: each newer version is worded by the server.
#[cfg(not(feature = "ssr"))]
fn follow(shown: RwSignal<Vec<String>>, version: u64) {
    use domain::wire::{LabTopic, ServerFrame};
    use serde_json::Value;

    use crate::{api, erased_effects::spawn, live::store::follow_lab};

    let newest = StoredValue::new(version);
    follow_lab(LabTopic::Dials, move |frame| {
        let ServerFrame::Dials { data, .. } = frame else {
            return;
        };
        let version = data.get("version").and_then(Value::as_u64).unwrap_or_default();
        if version <= newest.get_value() {
            return;
        }
        newest.set_value(version);
        let is_at_rest = data
            .get("bent")
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty);
        if is_at_rest {
            shown.set(Vec::new());
            return;
        }
        spawn(async move {
            // Without an answer the banner stays as it was; the next change is worded again.
            if let Ok(lines) = api::dials_in_words().await
                && newest.try_get_value() == Some(version)
            {
                shown.set(lines);
            }
        });
    });
}

fn banner(shown: RwSignal<Vec<String>>, reads_lab: bool) -> View {
    let language = language();
    let lines = move || {
        let lines = shown.get().into_iter();
        lines
            .map(|line| view! { <p>{line}</p> }.erase())
            .collect::<Vec<View>>()
    };
    let link = reads_lab.then(|| {
        view! { <a class="bent__link" href="/lab/dials">{text::dials::to_dials(language)}</a> }.erase()
    });
    view! {
        <section class="bent" aria-label=text::dials::banner(language)>
            <Icon picture=Picture::Alert />
            <div class="bent__words">{lines}</div>
            {link}
        </section>
    }
    .erase()
}
