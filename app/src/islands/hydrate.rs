//! Brings a page to life: the context that its islands share, and then each island.

use domain::id::WorkspaceId;
use leptos::{
    mount::hydrate_islands,
    prelude::*,
    tachys::{dom::document, view::Position},
};
use serde_json::Value;
use web_sys::Element;

use super::Island;
use crate::{
    WORKSPACE_ATTRIBUTE,
    api::Written,
    basket, commands,
    erase::View,
    format,
    live::{self, store::typed},
    person::{self, Person},
};

/// An island that a program knows.
pub(super) struct Known {
    name: &'static str,
    view_of: fn(&Value) -> Option<View>,
}

/// An island, as a program names it.
pub(super) const fn known<I: Island>() -> Known {
    Known {
        name: I::NAME,
        view_of: view_of::<I>,
    }
}

/// Hydrates every island of a page on which nothing is live, each of which is among those that are known.
pub(super) fn hydrate_still(known: &[Known]) {
    hydrate_islands();
    hydrate_each(known);
}

/// Hydrates every island of a page of a workspace, each of which is among those that are known.
pub(super) fn hydrate_live(known: &[Known]) {
    hydrate_islands();
    let workspace = workspace();
    let alive = format::provide_alive();
    live::store::provide_live(workspace.is_some());
    basket::provide_basket(workspace);
    let written = Written::provide(workspace);
    let person = person::of_page();
    let commands = commands::provide_commands(workspace, person.as_ref());
    provide_context(Person(person));
    hydrate_each(known);
    // Only now may anything differ from what the server rendered.
    written.load();
    commands.begin();
    alive.begin();
}

fn hydrate_each(known: &[Known]) {
    let islands = document().get_elements_by_tag_name("leptos-island");
    for index in 0..islands.length() {
        let Some(element) = islands.item(index) else {
            continue;
        };
        let name = element.get_attribute("data-component").unwrap_or_default();
        let Some(island) = known.iter().find(|known| known.name == name) else {
            leptos::logging::error!("the page has an island that this program does not know: {name}");
            continue;
        };
        if hydrate_one(&element, island.view_of).is_none() {
            leptos::logging::error!("an island cannot read what it begins with");
        }
    }
}

/// The workspace that the page belongs to.
fn workspace() -> Option<WorkspaceId> {
    document()
        .body()?
        .get_attribute(WORKSPACE_ATTRIBUTE)?
        .parse()
        .ok()
        .map(WorkspaceId)
}

/// What is the same for all islands is not here: this is compiled for each of them.
fn view_of<I: Island>(beginning: &Value) -> Option<View> {
    Some(typed::<I>(beginning)?.view())
}

fn hydrate_one(element: &Element, view_of: fn(&Value) -> Option<View>) -> Option<()> {
    let beginning = serde_json::from_str(&element.get_attribute("data-props")?).ok()?;
    let owner = Owner::new();
    let state = owner.with(|| {
        let view = view_of(&beginning)?;
        Some(view.hydrate_from_position::<true>(element, Position::FirstChild))
    })?;
    // An island lives as long as its page.
    std::mem::forget((state, owner));
    Some(())
}
