//! The catalogue: all products on sale, those with a tag, or the hits of a search, with live price and stock.

use domain::{
    view::products::ProductDocument,
    wire::{Highlight, Problem},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Island;
use crate::{
    components::{
        EmptyState, Freshness, Icon, LiveRows, MoreRows, PageHead, Picture, ProductOffer, either, explain,
        highlight_class, item_gap, live_rows, text,
    },
    erase::{Erase, View},
    language::language,
    live::store::{InitialListing, LiveListing, Revision, typed},
    text,
};

/// The maximum length of a search.
const MAX_QUERY: u16 = 200;

/// The catalogue.
#[derive(Serialize, Deserialize)]
pub(crate) struct Catalogue {
    /// The first page of the products.
    pub(crate) initial: InitialListing,
    /// All tags.
    pub(crate) tags: Vec<String>,
    /// The search text; empty without a search.
    pub(crate) query: String,
    /// The outcome of the search; `None` without a search.
    pub(crate) outcome: Option<SearchOutcome>,
}

/// The outcome of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum SearchOutcome {
    /// The hits, best match first.
    Hits(Hits),
    /// The reason of a failure.
    Problem(Problem),
}

#[cfg(feature = "ssr")]
impl SearchOutcome {
    /// From the server's answer.
    fn of(answer: Result<Value, Problem>) -> Self {
        match answer {
            Ok(answer) => Self::Hits(typed(&answer).unwrap_or_default()),
            Err(problem) => Self::Problem(problem),
        }
    }
}

#[cfg(feature = "ssr")]
impl Catalogue {
    /// The catalogue, with the outcome of a search if there was one.
    pub(crate) fn new(
        initial: InitialListing,
        tags: Vec<String>,
        query: String,
        outcome: Option<Result<Value, Problem>>,
    ) -> Self {
        Self {
            initial,
            tags,
            query,
            outcome: outcome.map(SearchOutcome::of),
        }
    }
}

/// The shown part of a search's answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Hits {
    hits: Vec<Hit>,
    behind: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Hit {
    key: String,
    highlights: Vec<Highlight>,
    data: Value,
}

impl Island for Catalogue {
    const NAME: &'static str = "catalogue";

    fn view(self) -> View {
        let language = language();
        let Self {
            initial,
            tags,
            query,
            outcome,
        } = self;
        let tag = Some(initial.query.group.clone()).filter(|tag| !tag.is_empty());
        let empty_text = match tag {
            Some(_) => text::shop::empty_tag(language),
            None => text::shop::empty(language),
        };
        let listing = LiveListing::<ProductDocument>::new(initial);
        let query = RwSignal::new(query);
        let outcome = RwSignal::new(outcome);
        let nothing = move || {
            view! {
                <EmptyState
                    title=text::shop::empty_title(language)
                    text=empty_text
                    action=view! {
                        <a class="button" href="/shop">{text::shop::all_tags(language)}</a>
                    }.erase()
                />
            }
            .erase()
        };
        let products = move || {
            let row = move |key: String| {
                let name = listing.row(key.clone());
                let words = text(move || {
                    name.with(|shown| {
                        shown
                            .as_ref()
                            .map(|(product, _)| product.name.clone())
                            .unwrap_or_default()
                    })
                });
                card(&key, listing.row(key.clone()), view! { {words} }.erase())
            };
            let LiveRows { rows, notice } = live_rows(listing.untyped(), row, item_gap);
            view! {
                <ul class="products" data-rows="">{rows}</ul>
                {notice}
                <MoreRows listing=listing.untyped() />
            }
            .erase()
        };
        let everything = move || either(move || listing.is_empty(), nothing, products);
        let results = move || (move || outcome.get().map(|outcome| results(outcome, listing))).erase();
        view! {
            <PageHead
                title=text::shop::title(language)
                mark=view! { <Freshness view="products" progress=listing.progress() /> }.erase()
            />
            <Search query outcome tag=tag.clone() />
            <Tags tags tag query />
            {either(move || outcome.with(Option::is_some), results, everything)}
        }
        .erase()
    }
}

/// The search field: a plain form, which searches while typing if scripts run.
#[component]
fn Search(
    query: RwSignal<String>,
    outcome: RwSignal<Option<SearchOutcome>>,
    tag: Option<String>,
) -> impl IntoView {
    let language = language();
    let first = query.get_untracked();
    let hidden = tag
        .clone()
        .map(|tag| view! { <input type="hidden" name="tag" value=tag /> }.erase());
    #[cfg(not(feature = "ssr"))]
    browser::search_while_typing(query, outcome, tag);
    #[cfg(feature = "ssr")]
    let _ = tag;
    let message = move || {
        outcome.with(|outcome| match outcome {
            Some(SearchOutcome::Hits(outcome)) => text::shop::found(language, outcome.hits.len()),
            _ => String::new(),
        })
    };
    view! {
        <form method="get" action="/shop" class="form form--inline" role="search">
            <div class="field">
                <label for="search">{text::shop::search(language)}</label>
                <input
                    type="search"
                    id="search"
                    name="q"
                    value=first
                    maxlength=MAX_QUERY
                    autocomplete="off"
                    on:input=move |event| query.set(event_target_value(&event))
                />
                <p class="field__help" role="status">{text(message)}</p>
            </div>
            {hidden}
            <button class="button">{text::shop::search_action(language)}</button>
        </form>
    }
    .erase()
}

/// The cards of the hits, or the problem.
fn results(outcome: SearchOutcome, listing: LiveListing<ProductDocument>) -> View {
    let language = language();
    let hits = match outcome {
        SearchOutcome::Hits(Hits { hits, .. }) => hits,
        SearchOutcome::Problem(problem) => {
            return view! {
                <p class="notice notice--danger" role="alert">
                    <Icon picture=Picture::Alert />
                    {explain(&problem)}
                </p>
            }
            .erase();
        }
    };
    if hits.is_empty() {
        return view! {
            <EmptyState
                title=text::shop::nothing_found_title(language)
                text=text::shop::nothing_found(language)
                action=view! {
                    <a class="button" href="/shop">{text::shop::all_tags(language)}</a>
                }.erase()
            />
        }
        .erase();
    }
    let hit = |hit: Hit| {
        // A product in the listing is live; others show the data of the search index.
        let row = listing.row(hit.key.clone());
        let indexed: Option<ProductDocument> = typed(&hit.data);
        let name = indexed
            .as_ref()
            .map(|product| product.name.clone())
            .unwrap_or_default();
        let shown = Memo::new(move |_| row.get().or_else(|| Some((indexed.clone()?, 0))));
        let title = hit
            .highlights
            .into_iter()
            .find(|highlight| highlight.field == "title");
        let title = title.map_or_else(|| name.erase(), marked);
        card(&hit.key, shown, title)
    };
    let cards: Vec<View> = hits.into_iter().map(hit).collect();
    view! { <ul class="products">{cards}</ul> }.erase()
}

/// A text with its matches marked.
fn marked(highlight: Highlight) -> View {
    let part = |part: domain::wire::HighlightPart| {
        if part.matched {
            view! { <mark>{part.text}</mark> }.erase()
        } else {
            part.text.erase()
        }
    };
    highlight
        .parts
        .into_iter()
        .map(part)
        .collect::<Vec<View>>()
        .erase()
}

/// The tags as links.
#[component]
fn Tags(tags: Vec<String>, tag: Option<String>, query: RwSignal<String>) -> impl IntoView {
    let language = language();
    let query = query.get_untracked();
    let link = move |href: String, name: String, chosen: bool| {
        view! { <li><a class="tag" href=href aria-current=chosen.then_some("true")>{name}</a></li> }.erase()
    };
    let mut links = Vec::new();
    if !tags.is_empty() {
        links.push(link(
            address(&query, ""),
            text::shop::all_tags(language).to_owned(),
            tag.is_none(),
        ));
    }
    links.extend(tags.into_iter().map(|name| {
        let chosen = tag.as_ref() == Some(&name);
        link(address(&query, &name), name, chosen)
    }));
    view! { <nav class="tags" aria-label=text::shop::tags(language)><ul>{links}</ul></nav> }.erase()
}

/// The address of a search, percent-encoded.
fn address(query: &str, tag: &str) -> String {
    const DIGITS: [&str; 16] = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F",
    ];
    let mut address = "/shop".to_owned();
    let mut before = "?";
    for (name, value) in [("q=", query), ("tag=", tag)] {
        if value.is_empty() {
            continue;
        }
        address.push_str(before);
        address.push_str(name);
        before = "&";
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                address.push(char::from(byte));
            } else {
                address.push('%');
                address.push_str(DIGITS[usize::from(byte >> 4)]);
                address.push_str(DIGITS[usize::from(byte & 15)]);
            }
        }
    }
    address
}

fn card(sku: &str, product: Memo<Revision<ProductDocument>>, title: View) -> View {
    let description = text(move || {
        product.with(|product| {
            product
                .as_ref()
                .map(|(product, _)| product.description.clone())
                .unwrap_or_default()
        })
    });
    view! {
        <li class=text(move || ["product ", highlight_class(product)].concat())>
            <h2><a href=["/shop/", sku].concat()>{title}</a></h2>
            <p class="product__text">{description}</p>
            <ProductOffer product />
        </li>
    }
    .erase()
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! Searches while typing: a moment after the last key, and only the newest search's answer is shown.

    use std::time::Duration;

    use leptos::prelude::*;

    use super::{SearchOutcome, address};
    use crate::{
        api,
        erased_effects::{effect, spawn},
    };

    /// The wait after the last key.
    const PAUSE: Duration = Duration::from_millis(150);

    pub(super) fn search_while_typing(
        query: RwSignal<String>,
        outcome: RwSignal<Option<SearchOutcome>>,
        tag: Option<String>,
    ) {
        // The search that the server has rendered is not repeated.
        let first = outcome
            .with_untracked(Option::is_some)
            .then(|| query.get_untracked());
        let latest = StoredValue::new(first.unwrap_or_default());
        let tag = StoredValue::new(tag.unwrap_or_default());
        let search = move || {
            let now = query.get_untracked();
            let now = now.trim().to_owned();
            if latest.with_value(|latest| *latest == now) {
                return;
            }
            latest.set_value(now.clone());
            let address = tag.with_value(|tag| address(&now, tag));
            if let Ok(history) = window().history() {
                let _ = history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&address));
            }
            if now.is_empty() {
                outcome.set(None);
                return;
            }
            spawn(async move {
                let answer = match api::search(&address).await {
                    Ok(hits) => SearchOutcome::Hits(hits),
                    Err(problem) => SearchOutcome::Problem(problem),
                };
                if latest.try_with_value(|latest| *latest == now) == Some(true) {
                    let _ = outcome.try_set(Some(answer));
                }
            });
        };
        effect(move || {
            query.track();
            let timer = set_timeout_with_handle(search, PAUSE);
            on_cleanup(move || {
                if let Ok(timer) = timer {
                    timer.clear();
                }
            });
        });
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_address_of_a_search_is_percent_encoded() {
        assert_eq!(address("", ""), "/shop");
        assert_eq!(address("", "kitchen"), "/shop?tag=kitchen");
        assert_eq!(
            address("blue mug & tea", "kitchen"),
            "/shop?q=blue%20mug%20%26%20tea&tag=kitchen"
        );
        assert_eq!(address("é", ""), "/shop?q=%C3%A9");
    }
}
