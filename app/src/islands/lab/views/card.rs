//! One view of one's own: where it is, what it folds, its documents, and the buttons that rebuild and delete
//! it.

use domain::{
    event::personal::ERASED,
    wire::{OwnFold, OwnView, ProjectionStatus, RebuildProgress},
};
use leptos::prelude::*;

use super::{
    documents::documents,
    session::{Deed, ViewsSession, focus},
};
use crate::{
    components::{Icon, When, either, only_if, text},
    erase::{Erase, View},
    erased_signals::{Memo, RwSignal},
    islands::lab::handlers::card::{picture, rebuild_bar, state_words},
    lab::handlers::HandlerState,
    language::language,
    text,
};

/// Where a view is; `None` once it is deleted.
type Status = Memo<Option<ProjectionStatus>>;

/// The id of the card of a view.
pub(super) fn id_of(name: &str) -> String {
    ["own-view-", name].concat()
}

/// The card of the view with this key.
pub(super) fn card(session: ViewsSession, key: String) -> View {
    // A card without a view is about to be removed.
    let Some(view) = session.view(&key) else {
        return ().erase();
    };
    let stored = StoredValue::new(key.clone());
    let status: Status = Memo::new(move |_| stored.with_value(|key| session.status(key)));
    let state = move || {
        status.with(|status| {
            status
                .as_ref()
                .map_or(HandlerState::UpToDate, HandlerState::of_status)
        })
    };
    let state_picture = Signal::derive(move || picture(state()));
    let name = view.name.clone();
    let id = id_of(&name);
    view! {
        <section
            class="panel handler own-view"
            id=id
            data-own-view=name.clone()
            data-state=text(move || state().as_str())
        >
            <h2 class="handler__name"><code>{name.clone()}</code></h2>
            <p class="handler__state">
                <Icon picture=state_picture />
                <span>{text(move || state_words(state()))}</span>
            </p>
            {definition(&view)}
            {dead_letters(&view.name, status)}
            {rebuild(status)}
            {controls(session, &view, status)}
            {table(session, view, key)}
        </section>
    }
    .erase()
}

/// What the view folds, and who made it.
fn definition(view: &OwnView) -> View {
    let language = language();
    let types = view.on.join(", ");
    let folds: Vec<View> = view
        .fold
        .iter()
        .map(|fold| view! { <li><code>{in_code(fold)}</code></li> }.erase())
        .collect();
    let group = view.group.clone().map(|group| {
        view! {
            <div>
                <dt>{text::lab_views::group(language)}</dt>
                <dd><code class="break">{group}</code></dd>
            </div>
        }
        .erase()
    });
    let duplicates = if view.detect_duplicates {
        text::lab_views::duplicates_skipped(language)
    } else {
        text::lab_views::duplicates_counted(language)
    };
    let address = ["/api/v1/views/", &view.name, "?listing=all"].concat();
    // The name of an erased person is not theirs any more.
    let maker = Some(view.created_by_name.clone()).filter(|name| name != ERASED);
    let maker = maker.unwrap_or_else(|| "–".to_owned());
    view! {
        <dl class="facts">
            <div>
                <dt>{text::lab_views::types(language)}</dt>
                <dd><code class="break">{types}</code></dd>
            </div>
            <div>
                <dt>{text::lab_views::key(language)}</dt>
                <dd><code class="break">{view.key.clone()}</code></dd>
            </div>
            {group}
            <div>
                <dt>{text::lab_views::folds(language)}</dt>
                <dd><ul class="own-view__folds" dir="ltr">{folds}</ul></dd>
            </div>
            <div>
                <dt>{text::lab_views::duplicates(language)}</dt>
                <dd data-fact="duplicates">{duplicates}</dd>
            </div>
            <div>
                <dt>{text::lab_views::made_by(language)}</dt>
                <dd>{maker}" · "<When at=view.created_at /></dd>
            </div>
            <div>
                <dt>{text::lab_views::address(language)}</dt>
                <dd><code class="break" dir="ltr">{address}</code></dd>
            </div>
        </dl>
    }
    .erase()
}

/// A fold as `spent = sum(data.total.amount)`.
fn in_code(fold: &OwnFold) -> String {
    let of = fold.of.as_deref().unwrap_or_default();
    [&fold.field, " = ", fold.op.as_str(), "(", of, ")"].concat()
}

/// How many events it could not fold, with a link to them.
fn dead_letters(name: &str, status: Status) -> View {
    let href = StoredValue::new(["/lab/dead-letters?view=", name].concat());
    let count =
        Memo::new(move |_| status.with(|status| status.as_ref().map_or(0, |status| status.dead_letters)));
    let link = move || {
        let words = move || text::lab_handlers::letters(language(), count.get());
        view! { <p class="handler__letters"><a href=href.get_value()>{text(words)}</a></p> }.erase()
    };
    only_if(move || count.get() > 0, link)
}

/// The progress of a rebuild, while there is one.
fn rebuild(status: Status) -> View {
    rebuild_bar(Memo::new(move |_| progress_of(status)))
}

fn progress_of(status: Status) -> Option<RebuildProgress> {
    status.with(|status| status.as_ref()?.rebuild.clone())
}

/// The link to its place among the event handlers, and the buttons.
fn controls(session: ViewsSession, view: &OwnView, status: Status) -> View {
    let language = language();
    let name = StoredValue::new(view.name.clone());
    let href = ["/lab/projections#handler-", &view.name].concat();
    let rebuild = session.may_control.then(|| {
        let is_rebuilding = Memo::new(move |_| progress_of(status).is_some());
        let word = move || {
            if is_rebuilding.get() {
                text::lab_handlers::rebuild_cancel(language)
            } else {
                text::lab_handlers::rebuild(language)
            }
        };
        let act = move |_| {
            let deed = if is_rebuilding.get_untracked() {
                Deed::CancelRebuild
            } else {
                Deed::Rebuild
            };
            name.with_value(|name| session.act(name, deed));
        };
        view! {
            <button
                type="button"
                class="button button--small needs-script"
                data-action="rebuild"
                on:click=act
            >
                {text(word)}
                <span class="hidden">" "{name.get_value()}</span>
            </button>
        }
        .erase()
    });
    let deletion = view.may_delete.then(|| deletion(session, name));
    view! {
        <div class="handler__controls">
            <a class="button button--small" href=href>{text::lab_views::to_handlers(language)}</a>
            {rebuild}
            {deletion}
        </div>
    }
    .erase()
}

/// The button that deletes the view, once the page has asked.
fn deletion(session: ViewsSession, name: StoredValue<String>) -> View {
    let language = language();
    let is_asking = RwSignal::new(false);
    let id = ["own-delete-", &name.get_value()].concat();
    let button_id = StoredValue::new(id.clone());
    let question = move || {
        let keep = move |_| {
            is_asking.set(false);
            focus(button_id.get_value());
        };
        let delete = move |_| {
            is_asking.set(false);
            name.with_value(|name| session.act(name, Deed::Delete));
        };
        view! {
            <div class="notice notice--danger own-view__question" role="group">
                <p>{text::lab_views::delete_ask(language, name.get_value())}</p>
                <button
                    type="button"
                    class="button button--danger button--small"
                    data-action="delete-yes"
                    on:click=delete
                >
                    {text::lab_views::delete_yes(language)}
                </button>
                <button type="button" class="button button--small" data-action="delete-no" on:click=keep>
                    {text::lab_views::delete_no(language)}
                </button>
            </div>
        }
        .erase()
    };
    view! {
        <button
            type="button"
            class="button button--small needs-script"
            id=id
            data-action="delete"
            aria-expanded=text(move || is_asking.get().to_string())
            on:click=move |_| is_asking.update(|is_asking| *is_asking = !*is_asking)
        >
            {text::lab_views::delete(language)}
            <span class="hidden">" "{name.get_value()}</span>
        </button>
        {only_if(move || is_asking.get(), question)}
    }
    .erase()
}

/// The documents, once the first of them are here.
fn table(session: ViewsSession, view: OwnView, key: String) -> View {
    let key = StoredValue::new(key);
    let view = StoredValue::new(view);
    let is_here = move || {
        session
            .first_pages
            .with(|pages| key.with_value(|key| pages.iter().any(|(of, _)| of == key)))
    };
    let here = move || {
        let first = session.first_pages.with_untracked(|pages| {
            let mut pages = pages.iter();
            key.with_value(|key| pages.find(|(of, _)| of == key))
                .map(|(_, first)| first.clone())
        });
        match first {
            Some(first) => view.with_value(|view| documents(view, first)),
            None => ().erase(),
        }
    };
    let loading = move || view! { <p class="muted">{text::lab_views::loading(language())}</p> }.erase();
    either(is_here, here, loading)
}

#[cfg(test)]
mod tests {
    use domain::wire::FoldOp;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_fold_is_shown_as_a_short_formula() {
        let fold = |op: FoldOp, of: Option<&str>| OwnFold {
            field: "spent".to_owned(),
            op,
            of: of.map(str::to_owned),
        };
        let sum = fold(FoldOp::Sum, Some("data.total.amount"));
        assert_eq!(in_code(&sum), "spent = sum(data.total.amount)");
        assert_eq!(in_code(&fold(FoldOp::Count, None)), "spent = count()");
    }
}
