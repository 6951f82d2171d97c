//! The form that defines a view: its name, the event types, the key, a row for each fold, the group, and
//! whether duplicates are detected. What is wrong is said at its entry and in a summary that takes the focus;
//! what is entered stays.

use domain::wire::{
    FoldOp,
    own_views::{MAX_OWN_FOLDS, MAX_OWN_NAME, MAX_OWN_TYPES},
};
use leptos::{html, prelude::*};

use super::{
    field_choice::{FieldEntry, field_choice},
    session::{ADD_FOLD, ViewsSession},
};
use crate::{
    components::{Icon, Picture, for_each, only_if, text},
    erase::{Erase, View},
    erased_effects::effect,
    erased_signals::Memo,
    lab::own_views::Entry,
    language::language,
    text,
};

/// The form. It is open while the workspace has no view of its own.
pub(super) fn form(session: ViewsSession) -> View {
    let language = language();
    let is_open = session.views.with_untracked(Vec::is_empty);
    let full =
        move || view! { <p class="notice">{text::lab_views::full(language, session.limit)}</p> }.erase();
    view! {
        <details class="panel own-form needs-script" data-testid="own-form" open=is_open>
            <summary>
                <h2>{text::lab_views::define(language)}</h2>
            </summary>
            <form
                class="form"
                novalidate
                on:submit=move |event| {
                    event.prevent_default();
                    session.create();
                }
            >
                {summary(session)}
                {only_if(move || session.is_full(), full)}
                {name(session)}
                {types(session)}
                {key(session)}
                {folds(session)}
                {group(session)}
                {duplicates(session)}
                <button
                    class="button button--primary"
                    class:button--pending=move || session.is_sending.get()
                    aria-disabled=text(move || session.is_sending.get().to_string())
                >
                    {text::lab_views::create(language)}
                </button>
            </form>
        </details>
    }
    .erase()
}

/// What is wrong with an entry.
fn fault_words(entry: Entry) -> String {
    let language = language();
    match entry {
        Entry::Name => text::lab_views::invalid_name(language, MAX_OWN_NAME),
        Entry::Types => text::lab_views::invalid_types(language, MAX_OWN_TYPES),
        Entry::Key => text::lab_views::invalid_key(language).to_owned(),
        Entry::Folds => text::lab_views::invalid_folds(language, MAX_OWN_FOLDS),
        Entry::FoldName(_) => text::lab_views::invalid_fold_name(language, MAX_OWN_NAME),
        Entry::FoldField(_) => text::lab_views::invalid_fold_field(language).to_owned(),
        Entry::Group => text::lab_views::invalid_group(language).to_owned(),
    }
}

/// The summary of a refused form, with a link to each wrong entry. It takes the focus.
fn summary(session: ViewsSession) -> View {
    let language = language();
    let has_problem = move || session.problem.with(|problem| !problem.is_empty());
    let is_refused = move || has_problem() || session.faults.with(|faults| !faults.is_empty());
    let node = NodeRef::<html::Div>::new();
    effect(move || {
        session.refused.track();
        if is_refused()
            && let Some(node) = node.get()
        {
            let _ = node.focus();
        }
    });
    let links = move || {
        session.faults.with(|faults| {
            let links = faults.iter().map(|entry| {
                let href = ["#", &entry.id()].concat();
                view! { <li><a href=href>{fault_words(*entry)}</a></li> }.erase()
            });
            links.collect::<Vec<View>>()
        })
    };
    let other = move || view! { <p>{text(move || session.problem.get())}</p> }.erase();
    let shown = move || {
        view! {
            <div
                class="notice notice--danger"
                role="alert"
                tabindex="-1"
                data-testid="own-form-refusal"
                node_ref=node
            >
                <Icon picture=Picture::Alert />
                <div>
                    <h3>{text::problem::refused(language)}</h3>
                    {only_if(has_problem, other)}
                    <ul class="notice__list">{links}</ul>
                </div>
            </div>
        }
        .erase()
    };
    only_if(is_refused, shown)
}

/// Whether an entry was wrong when the form was last sent, for `aria-invalid`.
fn is_wrong(session: ViewsSession, entry: Entry) -> Option<&'static str> {
    session
        .faults
        .with(|faults| faults.contains(&entry))
        .then_some("true")
}

/// What is wrong with an entry, below it; empty if nothing is.
fn fault(session: ViewsSession, entry: Entry) -> View {
    let words = move || {
        if is_wrong(session, entry).is_some() {
            fault_words(entry)
        } else {
            String::new()
        }
    };
    view! { <p class="field__error" id=fault_id(entry)>{text(words)}</p> }.erase()
}

fn fault_id(entry: Entry) -> String {
    [&entry.id(), "-error"].concat()
}

/// The ids of what describes an entry: what is wrong with it, and its help.
fn described(entry: Entry) -> String {
    let help = entry.id() + "-help";
    [fault_id(entry).as_str(), &help].join(" ")
}

/// The help of an entry.
fn help(entry: Entry, words: &'static str) -> View {
    let id = entry.id() + "-help";
    view! { <p class="field__help" id=id>{words}</p> }.erase()
}

fn name(session: ViewsSession) -> View {
    let language = language();
    let entry = Entry::Name;
    let typed = move |event: leptos::ev::Event| {
        let name = event_target_value(&event);
        session.draft.update(|draft| draft.name = name);
    };
    view! {
        <div class="field">
            <label for=entry.id()>{text::lab_views::name(language)}</label>
            <input
                id=entry.id()
                class="mono"
                dir="ltr"
                maxlength=MAX_OWN_NAME.to_string()
                autocomplete="off"
                autocapitalize="none"
                spellcheck="false"
                aria-describedby=described(entry)
                aria-invalid=move || is_wrong(session, entry)
                prop:value=text(move || session.draft.with(|draft| draft.name.clone()))
                on:input=typed
            />
            {fault(session, entry)}
            {help(entry, text::lab_views::name_help(language))}
        </div>
    }
    .erase()
}

/// The event types, by aggregate.
fn types(session: ViewsSession) -> View {
    let language = language();
    let entry = Entry::Types;
    let mut aggregates: Vec<(String, Vec<String>)> = Vec::new();
    session.offered.with_value(|offered| {
        for of in &offered.types {
            match aggregates.iter_mut().find(|(name, _)| *name == of.aggregate) {
                Some((_, types)) => types.push(of.event_type.clone()),
                None => aggregates.push((of.aggregate.clone(), vec![of.event_type.clone()])),
            }
        }
    });
    let groups = aggregates.into_iter().map(|(aggregate, types)| {
        let choices: Vec<View> = types.into_iter().map(|of| type_choice(session, of)).collect();
        view! {
            <fieldset class="own-types__group">
                <legend><code>{aggregate}</code></legend>
                {choices}
            </fieldset>
        }
        .erase()
    });
    let groups: Vec<View> = groups.collect();
    view! {
        <fieldset class="choices own-types" id=entry.id() tabindex="-1" aria-describedby=described(entry)>
            <legend>{text::lab_views::types(language)}</legend>
            {fault(session, entry)}
            {help(entry, text::lab_views::types_help(language))}
            <div class="own-types__groups">{groups}</div>
        </fieldset>
    }
    .erase()
}

/// The check box of an event type.
fn type_choice(session: ViewsSession, event_type: String) -> View {
    let name = StoredValue::new(event_type.clone());
    let is_chosen = move || {
        session
            .draft
            .with(|draft| name.with_value(|name| draft.on.contains(name)))
    };
    let choose = move |event: leptos::ev::Event| {
        let is_chosen = event_target_checked(&event);
        session
            .draft
            .update(|draft| name.with_value(|name| draft.choose(name, is_chosen)));
    };
    view! {
        <label class="own-types__type">
            <input type="checkbox" value=event_type.clone() prop:checked=is_chosen on:change=choose />
            <code class="break">{event_type}</code>
        </label>
    }
    .erase()
}

fn key(session: ViewsSession) -> View {
    let language = language();
    let entry = Entry::Key;
    let choice = field_choice(session, FieldEntry::Key, described(entry), move || {
        is_wrong(session, entry)
    });
    view! {
        <div class="field">
            <label for=entry.id()>{text::lab_views::key(language)}</label>
            {choice}
            {fault(session, entry)}
            {help(entry, text::lab_views::key_help(language))}
        </div>
    }
    .erase()
}

/// The rows of the folds, and the button that adds one.
fn folds(session: ViewsSession) -> View {
    let language = language();
    let entry = Entry::Folds;
    let rows = move || {
        session.draft.with(|draft| {
            let rows = draft.folds.iter().map(|row| row.id.to_string());
            rows.collect()
        })
    };
    let row = move |id: String| match id.parse::<u32>() {
        Ok(id) => fold(session, id),
        // A row is named after its number.
        Err(_) => ().erase(),
    };
    let is_full = move || session.draft.with(|draft| draft.folds.len() >= MAX_OWN_FOLDS);
    view! {
        <fieldset class="choices" id=entry.id() tabindex="-1" aria-describedby=described(entry)>
            <legend>{text::lab_views::folds(language)}</legend>
            {fault(session, entry)}
            {help(entry, text::lab_views::folds_help(language))}
            {for_each(rows, row)}
            <button
                type="button"
                class="button button--small own-fold__add"
                id=ADD_FOLD
                aria-disabled=text(move || is_full().to_string())
                on:click=move |_| session.add_fold()
            >
                {text::lab_views::add_fold(language)}
            </button>
        </fieldset>
    }
    .erase()
}

/// The row of a fold: its name, what it is, and of which field.
fn fold(session: ViewsSession, id: u32) -> View {
    let language = language();
    let (name_entry, field_entry) = (Entry::FoldName(id), Entry::FoldField(id));
    let number = Memo::new(move |_| {
        session.draft.with(|draft| {
            let place = draft.folds.iter().position(|row| row.id == id);
            place.map_or(1, |place| place + 1)
        })
    });
    let is_only = move || session.draft.with(|draft| draft.folds.len() == 1);
    let name_now = move || {
        session
            .draft
            .with(|draft| draft.fold(id).map(|row| row.field.clone()).unwrap_or_default())
    };
    let typed = move |event: leptos::ev::Event| {
        let name = event_target_value(&event);
        session.draft.update(|draft| {
            if let Some(row) = draft.fold_mut(id) {
                row.field = name;
            }
        });
    };
    let choice = field_choice(session, FieldEntry::Fold(id), fault_id(field_entry), move || {
        is_wrong(session, field_entry)
    });
    let title = move || text::lab_views::fold_number(language, number.get());
    view! {
        <fieldset class="own-fold" data-fold=text(move || number.get().to_string())>
            <legend>{text(title)}</legend>
            <div class="field">
                <label for=name_entry.id()>{text::lab_views::fold_name(language)}</label>
                <input
                    id=name_entry.id()
                    class="mono"
                    dir="ltr"
                    maxlength=MAX_OWN_NAME.to_string()
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                    aria-describedby=fault_id(name_entry)
                    aria-invalid=move || is_wrong(session, name_entry)
                    prop:value=text(name_now)
                    on:input=typed
                />
                {fault(session, name_entry)}
            </div>
            {operation(session, id)}
            <div class="field">
                <label for=field_entry.id()>{text::lab_views::fold_field(language)}</label>
                {choice}
                {fault(session, field_entry)}
            </div>
            <button
                type="button"
                class="button button--small own-fold__remove"
                aria-disabled=text(move || is_only().to_string())
                on:click=move |_| {
                    if !untrack(is_only) {
                        session.remove_fold(id);
                    }
                }
            >
                {text::lab_views::remove_fold(language)}
                <span class="hidden">" "{text(title)}</span>
            </button>
        </fieldset>
    }
    .erase()
}

/// What a fold makes of the values.
fn operation(session: ViewsSession, id: u32) -> View {
    let language = language();
    let element = format!("own-fold-{id}-op");
    let chosen = Memo::new(move |_| {
        session
            .draft
            .with(|draft| draft.fold(id).map_or(FoldOp::Count, |row| row.op))
    });
    let options = FoldOp::ALL.map(|op| {
        let is_chosen = move || chosen.with(|chosen| *chosen == op);
        view! { <option value=op.as_str() prop:selected=is_chosen>{operation_words(op)}</option> }.erase()
    });
    let options: Vec<View> = options.into();
    let choose = move |event: leptos::ev::Event| {
        let name = event_target_value(&event);
        let op = FoldOp::ALL.into_iter().find(|op| op.as_str() == name);
        session.draft.update(|draft| {
            if let (Some(op), Some(row)) = (op, draft.fold_mut(id)) {
                row.op = op;
            }
        });
    };
    view! {
        <div class="field">
            <label for=element.clone()>{text::lab_views::op(language)}</label>
            <select id=element on:change=choose>{options}</select>
        </div>
    }
    .erase()
}

fn operation_words(op: FoldOp) -> &'static str {
    let language = language();
    match op {
        FoldOp::Count => text::lab_views::op_count(language),
        FoldOp::Sum => text::lab_views::op_sum(language),
        FoldOp::Min => text::lab_views::op_min(language),
        FoldOp::Max => text::lab_views::op_max(language),
        FoldOp::Last => text::lab_views::op_last(language),
        FoldOp::Set => text::lab_views::op_set(language),
    }
}

fn group(session: ViewsSession) -> View {
    let language = language();
    let entry = Entry::Group;
    let choice = field_choice(session, FieldEntry::Group, described(entry), move || {
        is_wrong(session, entry)
    });
    view! {
        <div class="field">
            <label for=entry.id()>{text::lab_views::group(language)}</label>
            {choice}
            {fault(session, entry)}
            {help(entry, text::lab_views::group_help(language))}
        </div>
    }
    .erase()
}

/// Whether an event that is delivered twice counts once.
fn duplicates(session: ViewsSession) -> View {
    let language = language();
    let choose = move |event: leptos::ev::Event| {
        let detects = event_target_checked(&event);
        session.draft.update(|draft| draft.detect_duplicates = detects);
    };
    let detects = move || session.draft.with(|draft| draft.detect_duplicates);
    view! {
        <div class="field">
            <label class="own-types__type" for="own-duplicates">
                <input
                    type="checkbox"
                    id="own-duplicates"
                    aria-describedby="own-duplicates-help"
                    prop:checked=detects
                    on:change=choose
                />
                <span>{text::lab_views::detect_duplicates(language)}</span>
            </label>
            <p class="field__help" id="own-duplicates-help">
                {text::lab_views::duplicates_help(language)}
            </p>
        </div>
    }
    .erase()
}
