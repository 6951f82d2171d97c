//! Hydrates a page, whose texts are loaded: provides the context that its islands share, and then hydrates
//! each island. A bundle of the lab (feature `anew`) renders its islands in place of what the server has
//! rendered.

use domain::{access::Actor, id::WorkspaceId};
#[cfg(not(feature = "anew"))]
use leptos::tachys::view::Position;
use leptos::{mount::hydrate_islands, prelude::*, tachys::dom::document};
use serde_json::Value;
#[cfg(feature = "anew")]
use wasm_bindgen::JsCast;
#[cfg(feature = "anew")]
use web_sys::HtmlElement;
use web_sys::{Element, Event};

use super::Island;
use crate::{
    WORKSPACE_ATTRIBUTE,
    api::LastWrite,
    basket, commands,
    erase::View,
    format,
    live::{self, socket::ReadFrame, store::typed},
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

/// Provides the islands with the command queue; the bundle of a page that sends no commands has none.
pub(super) type ProvideCommands = fn(Option<WorkspaceId>, Option<&Actor>) -> Box<dyn FnOnce()>;

/// The queue of a page whose islands send commands. What is returned resumes it after hydration.
pub(super) fn provide_commands(workspace: Option<WorkspaceId>, person: Option<&Actor>) -> Box<dyn FnOnce()> {
    let commands = commands::provide_commands(workspace, person);
    Box::new(move || commands.resume())
}

/// What the islands of a bundle need, besides what all need.
pub(super) struct Needs {
    /// The queue of commands.
    pub(super) provide_commands: Option<ProvideCommands>,
    /// The frames of the live connection.
    pub(super) read_frame: ReadFrame,
}

/// Hydrates every island of the page by its hydrator.
pub(super) fn hydrate_page(hydrators: &[IslandHydrator], needs: &Needs) {
    hydrate_islands();
    let workspace = workspace();
    let hydration = format::provide_hydration();
    live::store::provide_live(workspace.is_some(), needs.read_frame);
    basket::provide_basket(workspace);
    let last_write = LastWrite::provide(workspace);
    let person = person::of_page();
    let resume = needs
        .provide_commands
        .map(|provide| provide(workspace, person.as_ref()));
    provide_context(Person(person));
    hydrate_each(hydrators);
    // From here on, islands may differ from what the server has rendered.
    last_write.load();
    if let Some(resume) = resume {
        resume();
    }
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
pub(crate) fn workspace() -> Option<WorkspaceId> {
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
        Some(take_over(element, view))
    })?;
    // An island lives as long as its page.
    std::mem::forget((state, owner));
    Some(())
}

/// Hydrates what the server rendered.
#[cfg(not(feature = "anew"))]
fn take_over(element: &Element, view: View) -> impl Sized + use<> {
    view.hydrate_from_position::<true>(element, Position::FirstChild)
}

/// Puts the same view in place of what the server rendered; who was at an element of it stays there.
#[cfg(feature = "anew")]
fn take_over(element: &Element, view: View) -> impl Sized + use<> {
    use leptos::tachys::view::{Mountable, Render};

    let focus = place_of_focus(element);
    element.set_inner_html("");
    let mut state = view.build();
    state.mount(element, None);
    let focused = focus.and_then(|places| {
        let mut places = places.into_iter().rev();
        places.try_fold(element.clone(), |parent, place| parent.children().item(place))
    });
    if let Some(focused) = focused.and_then(|focused| focused.dyn_into::<HtmlElement>().ok()) {
        let _ = focused.focus();
    }
    state
}

/// The place of the focused element among its siblings, and those of the elements around it, up to this one.
#[cfg(feature = "anew")]
fn place_of_focus(island: &Element) -> Option<Vec<u32>> {
    let mut element = document().active_element()?;
    if element == *island || !island.contains(Some(&element)) {
        return None;
    }
    let mut places = Vec::new();
    while element != *island {
        let mut place = 0;
        let mut before = element.previous_element_sibling();
        while let Some(sibling) = before {
            place += 1;
            before = sibling.previous_element_sibling();
        }
        places.push(place);
        element = element.parent_element()?;
    }
    Some(places)
}
