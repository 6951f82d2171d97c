//! The split view: what the event store knows, what views show, and what a shopper sees, side by side, each
//! at its own position. A button places an order, so that the moment can be seen in which the log knows it
//! and a view does not; an educator can hold that moment.

mod event_log;
mod phone;
#[cfg(not(feature = "ssr"))]
mod session;
mod view_column;

use domain::{
    event::RecordedEvent,
    token::ConsistencyToken,
    view::products::ProductDocument,
    wire::{Problem, ProjectionStatus},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    commands::use_commands,
    components::{explain, only_if, text},
    erase::{Erase, View},
    erased_signals::{Memo, RwSignal},
    islands::Island,
    lab::staleness::Staleness,
    language::language,
    live::store::{InitialListing, LiveListing, typed},
    person::use_person,
    text,
};

/// How many views are shown side by side at most.
const MOST_VIEWS: usize = 3;

/// The split view.
#[derive(Serialize, Deserialize)]
pub(crate) struct LabSplit {
    /// The head of the log when the page was rendered.
    pub(crate) head: ConsistencyToken,
    /// The status of every projection when the page was rendered.
    pub(crate) projections: Vec<ProjectionStatus>,
    /// The first page of each view that can be chosen; the first three are chosen.
    pub(crate) views: Vec<InitialListing>,
    /// The person's own orders, as the shop lists them.
    pub(crate) own_orders: InitialListing,
    /// Whether the person may hold a view.
    pub(crate) may_control: bool,
}

/// What the columns share.
#[derive(Clone, Copy)]
struct SplitSession {
    /// The newest event of each partition that is known here.
    head: RwSignal<ConsistencyToken>,
    /// The newest events of the log, newest first.
    events: RwSignal<Vec<RecordedEvent<Value>>>,
    /// How far the views were behind when they took their events.
    staleness: RwSignal<Staleness>,
    /// The places of the views that are shown.
    chosen: RwSignal<Vec<usize>>,
    /// The names of the views that are paused.
    paused: RwSignal<Vec<String>>,
    /// Why something that was asked for was refused.
    problem: RwSignal<Option<Problem>>,
}

impl Island for LabSplit {
    const NAME: &'static str = "lab-split";

    fn view(self) -> View {
        let language = language();
        let Self {
            head,
            projections,
            views,
            own_orders,
            may_control,
        } = self;
        let paused = projections.iter().filter(|status| status.paused);
        let session = SplitSession {
            paused: RwSignal::new(paused.map(|status| status.view.clone()).collect()),
            head: RwSignal::new(head),
            events: RwSignal::new(Vec::new()),
            staleness: RwSignal::new(Staleness::default()),
            chosen: RwSignal::new((0..views.len().min(MOST_VIEWS)).collect()),
            problem: RwSignal::new(None),
        };
        #[cfg(not(feature = "ssr"))]
        session.follow();
        let listings: Vec<(&'static str, LiveListing<Value>)> = views
            .into_iter()
            .filter_map(|initial| {
                let name = domain::view::NAMES
                    .iter()
                    .find(|name| **name == initial.query.view)?;
                Some((*name, LiveListing::new(initial)))
            })
            .collect();
        let products = listings.iter().find(|(name, _)| *name == "products");
        let product = product_in_stock(products.map(|(_, listing)| *listing));
        let choices = listings.iter().enumerate();
        let choices: Vec<View> = choices.map(|(at, (name, _))| choice(session, at, name)).collect();
        let columns = listings
            .into_iter()
            .enumerate()
            .map(|(at, (name, listing))| view_column::column(session, (at, name), listing, may_control));
        let columns: Vec<View> = columns.collect();
        let refusal = move || {
            let words = session.problem.with(|problem| problem.as_ref().map(explain));
            view! { <p class="notice notice--danger">{words}</p> }.erase()
        };
        let is_refused = move || session.problem.with(Option::is_some);
        view! {
            <section class="lab-split" aria-label=text::lab::split(language)>
                <div class="lab-split__bar needs-script">
                    {order_button(session, product)}
                    <fieldset class="lab-split__choices">
                        <legend>{text::lab::split_choose(language)}</legend>
                        {choices}
                    </fieldset>
                </div>
                <div role="alert">{only_if(is_refused, refusal)}</div>
                <div class="lab-split__columns">
                    {event_log::column(session)}
                    {columns}
                    {phone::column(own_orders)}
                </div>
            </section>
        }
        .erase()
    }
}

/// A product of which one can be ordered now.
fn product_in_stock(products: Option<LiveListing<Value>>) -> Memo<Option<ProductDocument>> {
    Memo::new(move |_| {
        let documents = products?.documents();
        let mut products = documents.iter().filter_map(typed::<ProductDocument>);
        products.find(|product| product.on_sale() && product.available > 0)
    })
}

/// The button that places an order, or why none can be placed.
fn order_button(session: SplitSession, product: Memo<Option<ProductDocument>>) -> View {
    let language = language();
    let is_short = move || product.with(Option::is_none);
    let commands = use_commands();
    let person = StoredValue::new(use_person());
    let place = move |_| {
        #[cfg(not(feature = "ssr"))]
        if let (Some(product), Some(commands), Some(person)) =
            (product.get_untracked(), commands, person.get_value())
        {
            session.place_order(product, commands, &person);
        }
        #[cfg(feature = "ssr")]
        let _ = (session, commands, person);
    };
    let why = move || {
        view! {
            <p class="muted" id="lab-split-short">
                {text::lab::split_no_product(language)}
                " "
                <a href="/office/stock">{text::lab::split_to_stock(language)}</a>
            </p>
        }
        .erase()
    };
    view! {
        <div>
            <button
                type="button"
                class="button button--primary"
                aria-disabled=text(move || is_short().to_string())
                aria-describedby="lab-split-short"
                on:click=place
            >
                {text::lab::split_order(language)}
            </button>
            {only_if(is_short, why)}
        </div>
    }
    .erase()
}

/// The check box of a view.
fn choice(session: SplitSession, at: usize, name: &'static str) -> View {
    let chosen = session.chosen;
    let is_chosen = move || chosen.with(|chosen| chosen.contains(&at));
    let is_full = move || chosen.with(|chosen| chosen.len() >= MOST_VIEWS);
    let toggle = move |_| {
        chosen.update(|chosen| match chosen.iter().position(|other| *other == at) {
            Some(place) => {
                chosen.remove(place);
            }
            None if chosen.len() < MOST_VIEWS => chosen.push(at),
            None => {}
        });
    };
    view! {
        <label class="lab-split__choice">
            <input
                type="checkbox"
                value=name
                prop:checked=is_chosen
                disabled=move || is_full() && !is_chosen()
                on:change=toggle
            />
            <code>{name}</code>
        </label>
    }
    .erase()
}
