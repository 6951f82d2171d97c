//! A dial: its title, its path in the API, a line that explains it, what sets it, and its reset.

use leptos::prelude::*;

use super::{control::control, session::DialSession, wording};
use crate::{
    components::{only_if, text},
    erase::{Erase, View},
    erased_signals::Memo,
    lab::dials::DialKind,
    language::language,
    text,
};

/// The row of the dial with this path.
pub(super) fn row(session: DialSession, path: String, kind: DialKind) -> View {
    let language = language();
    let title = wording::title(&path);
    let why = wording::explanation(&path);
    let name_id = ["name-", &path].concat();
    let title_id = name_id.clone();
    let shown_path = if kind == DialKind::Frequency {
        [&path, "_next, …_every, …_percent"].concat()
    } else {
        path.clone()
    };
    let stored = StoredValue::new(path.clone());
    let bent = Memo::new(move |_| stored.with_value(|path| session.bent(path)));
    let is_bent = move || bent.with(Option::is_some);
    let by = move || {
        bent.with(|bent| match bent {
            Some(bent) if !bent.name.is_empty() => text::lab_dials::by(language, &bent.name),
            Some(_) | None => String::new(),
        })
    };
    let reset_word = if kind == DialKind::Guarantee {
        text::lab_dials::put_back(language)
    } else {
        text::lab_dials::reset(language)
    };
    let hidden_title = title.clone();
    let reset = move || {
        let title = hidden_title.clone();
        view! {
            <button
                type="button"
                class="button button--small needs-script"
                aria-disabled=text(move || (!is_bent()).to_string())
                on:click=move |_| {
                    if stored.with_value(|path| session.bent(path)).is_some() {
                        stored.with_value(|path| session.rest(Some(path.as_str())));
                    }
                }
            >
                {reset_word}
                <span class="hidden">" "{title}</span>
            </button>
        }
        .erase()
    };
    let may_set = move || stored.with_value(|path| session.may_set(path));
    view! {
        <li class="dial" id=path data-bent=text(move || is_bent().to_string())>
            <div class="dial__head">
                <h3 class="dial__name" id=title_id>{title}</h3>
                <code class="dial__path break">{shown_path}</code>
            </div>
            <p class="muted dial__why">{why}</p>
            <div class="dial__control">
                {control(session, stored, kind, name_id)}
                {only_if(may_set, reset)}
            </div>
            <p class="dial__by">{text(by)}</p>
        </li>
    }
    .erase()
}
