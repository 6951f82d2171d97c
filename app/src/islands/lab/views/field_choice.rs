//! A field of an event, chosen among those that the chosen event types offer.

use domain::wire::{FieldKind, FoldOp};
use leptos::prelude::*;

use super::session::ViewsSession;
use crate::{
    components::{for_each, text},
    erase::{Erase, View},
    erased_signals::Memo,
    lab::own_views::{Draft, Entry, FieldChoice, FieldRole, field_choices},
    language::language,
    text,
};

/// An entry of the form that is a field of an event.
#[derive(Clone, Copy)]
pub(super) enum FieldEntry {
    /// The key.
    Key,
    /// The group.
    Group,
    /// The field of the fold in the row with this number.
    Fold(u32),
}

impl FieldEntry {
    /// The entry of the form.
    pub(super) const fn entry(self) -> Entry {
        match self {
            Self::Key => Entry::Key,
            Self::Group => Entry::Group,
            Self::Fold(row) => Entry::FoldField(row),
        }
    }

    /// The chosen path; empty for none.
    fn path(self, draft: &Draft) -> String {
        match self {
            Self::Key => draft.key.clone(),
            Self::Group => draft.group.clone(),
            Self::Fold(row) => draft.fold(row).map(|row| row.of.clone()).unwrap_or_default(),
        }
    }

    fn set(self, draft: &mut Draft, path: String) {
        match self {
            Self::Key => draft.key = path,
            Self::Group => draft.group = path,
            Self::Fold(row) => {
                if let Some(row) = draft.fold_mut(row) {
                    row.of = path;
                }
            }
        }
    }

    /// What the field is chosen for.
    fn role(self, draft: &Draft) -> FieldRole {
        match self {
            Self::Key => FieldRole::Key,
            Self::Group => FieldRole::Group,
            Self::Fold(row) => FieldRole::Values(draft.fold(row).map_or(FoldOp::Count, |row| row.op)),
        }
    }

    /// The words for no field: what that means, or the request to choose one.
    fn none(self, draft: &Draft) -> &'static str {
        let language = language();
        match self.role(draft) {
            FieldRole::Group => text::lab_views::no_group(language),
            FieldRole::Values(op) if !op.needs_field() => text::lab_views::every_event(language),
            FieldRole::Key | FieldRole::Values(_) => text::lab_views::choose(language),
        }
    }
}

/// The choice; `described` are the ids of the elements that describe it, and `invalid` says whether it was
/// refused.
pub(super) fn field_choice(
    session: ViewsSession,
    of: FieldEntry,
    described: String,
    invalid: impl Fn() -> Option<&'static str> + Send + Sync + 'static,
) -> View {
    let choices = Memo::new(move |_| {
        session.draft.with(|draft| {
            session
                .offered
                .with_value(|offered| field_choices(offered, &draft.on, of.role(draft), &of.path(draft)))
        })
    });
    let paths = move || choices.with(|choices| choices.iter().map(|choice| choice.path.clone()).collect());
    let chosen = Memo::new(move |_| session.draft.with(|draft| of.path(draft)));
    let none = move || session.draft.with(|draft| of.none(draft));
    let is_none = move || chosen.with(String::is_empty);
    let choose = move |event: leptos::ev::Event| {
        let path = event_target_value(&event);
        session.draft.update(|draft| of.set(draft, path));
    };
    view! {
        <select
            id=of.entry().id()
            aria-describedby=described
            aria-invalid=invalid
            on:change=choose
        >
            <option value="" prop:selected=is_none>{text(none)}</option>
            {for_each(paths, move |path| option(choices, chosen, path))}
        </select>
    }
    .erase()
}

/// The option of a field.
fn option(choices: Memo<Vec<FieldChoice>>, chosen: Memo<String>, path: String) -> View {
    let value = path.clone();
    let own = path.clone();
    let is_chosen = move || chosen.with(|chosen| *chosen == own);
    let words = move || {
        choices.with(|choices| {
            let mut choices = choices.iter();
            choices
                .find(|choice| choice.path == path)
                .map(words_of)
                .unwrap_or_default()
        })
    };
    view! { <option value=value prop:selected=is_chosen>{text(words)}</option> }.erase()
}

/// A field with what its values are, and with the types that have it if not all of them do.
fn words_of(choice: &FieldChoice) -> String {
    let language = language();
    let path = &choice.path;
    let Some(kind) = choice.kind else {
        return text::lab_views::field_gone(language, path);
    };
    let kind = match kind {
        FieldKind::Text => text::lab_views::kind_text(language),
        FieldKind::Integer => text::lab_views::kind_integer(language),
        FieldKind::Time => text::lab_views::kind_time(language),
        FieldKind::Boolean => text::lab_views::kind_boolean(language),
    };
    if choice.only_of.is_empty() {
        text::lab_views::field(language, path, kind)
    } else {
        text::lab_views::field_only(language, path, kind, choice.only_of.join(", "))
    }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn a_field_says_what_its_values_are_and_which_types_have_it() {
        let mut choice = FieldChoice {
            path: "data.reason".to_owned(),
            kind: Some(FieldKind::Text),
            only_of: Vec::new(),
        };
        assert_eq!(words_of(&choice), "data.reason · text");
        choice.only_of.push("OrderCancelled".to_owned());
        assert_eq!(words_of(&choice), "data.reason · text · only in OrderCancelled");
        choice.kind = None;
        assert_eq!(words_of(&choice), "data.reason · not with these event types");
    }
}
