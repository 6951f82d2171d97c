//! Hydrates a page, whose texts are loaded: provides the context that its islands share, and then hydrates
//! each island.

use domain::id::WorkspaceId;
use leptos::{
    mount::hydrate_islands,
    prelude::*,
    tachys::{dom::document, view::Position},
};
use serde_json::Value;
use web_sys::{Element, Event};

use super::Island;
use crate::{
    WORKSPACE_ATTRIBUTE,
    api::LastWrite,
    basket, commands,
    erase::View,
    format,
    live::{self, store::typed},
    person::{self, Person},
};

/// The event by which `frontend/frame.js` learns that the islands take clicks.
const HYDRATED: &str = "hydrated";

/// The hydration of one type of island.
pub(super) struct IslandHydrator {
    name: &'static str,
    view_of: fn(&Value) -> Option<View>,
}

/// The hydrator of an island.
pub(super) const fn hydrator<I: Island>() -> IslandHydrator {
    IslandHydrator {
        name: I::NAME,
        view_of: view_of::<I>,
    }
}

/// Hydrates every island of the page by its hydrator.
pub(super) fn hydrate_page(hydrators: &[IslandHydrator]) {
    hydrate_islands();
    let workspace = workspace();
    let hydration = format::provide_hydration();
    live::store::provide_live(workspace.is_some());
    basket::provide_basket(workspace);
    let last_write = LastWrite::provide(workspace);
    let person = person::of_page();
    let commands = commands::provide_commands(workspace, person.as_ref());
    provide_context(Person(person));
    hydrate_each(hydrators);
    // From here on, islands may differ from what the server has rendered.
    last_write.load();
    commands.resume();
    hydration.complete();
    if let Ok(event) = Event::new(HYDRATED) {
        let _ = document().dispatch_event(&event);
    }
}

fn hydrate_each(hydrators: &[IslandHydrator]) {
    let islands = document().get_elements_by_tag_name("leptos-island");
    for index in 0..islands.length() {
        let Some(element) = islands.item(index) else {
            continue;
        };
        let name = element.get_attribute("data-component").unwrap_or_default();
        let Some(hydrator) = hydrators.iter().find(|hydrator| hydrator.name == name) else {
            leptos::logging::error!("the page has an island that the bundle does not contain: {name}");
            continue;
        };
        if hydrate_one(&element, hydrator.view_of).is_none() {
            leptos::logging::error!("the props of an island cannot be read");
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

/// Compiled once for each island, so code that all islands share does not belong here.
fn view_of<I: Island>(props: &Value) -> Option<View> {
    Some(typed::<I>(props)?.view())
}

fn hydrate_one(element: &Element, view_of: fn(&Value) -> Option<View>) -> Option<()> {
    let props = serde_json::from_str(&element.get_attribute("data-props")?).ok()?;
    let owner = Owner::new();
    let state = owner.with(|| {
        let view = view_of(&props)?;
        Some(view.hydrate_from_position::<true>(element, Position::FirstChild))
    })?;
    // An island lives as long as its page.
    std::mem::forget((state, owner));
    Some(())
}
