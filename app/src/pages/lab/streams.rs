//! The page of the log: what people did first, orders before all; every event by type, time, version and
//! correlation, with addresses that keep the selection; the streams by name; and the verification of all.

use domain::{
    event::DomainEvent,
    view::orders::OrderDocument,
    wire::{EventPage, Order, Page, Row, StreamInfo},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{head, lab};
use crate::{
    api,
    backend::ListingQuery,
    components::{EmptyState, Exact, Icon, Picture, StatusBadge},
    erase::{Erase, View},
    format::fixed_money,
    islands::{Island, LabTail, Verify},
    lab::log_filter::{CATEGORIES, LogFilter, PAGE, field_of_time},
    language::language,
    live::store::typed,
    pages::{problem_view, suspend},
    text,
};

/// How many orders the page begins with.
const ORDERS: u32 = 10;

/// What the address asks for.
struct Selection {
    filter: LogFilter,
    /// The parameters that cannot be read.
    unreadable: Vec<&'static str>,
    /// The token up to which events are shown; the newest ones if it is `None`.
    to: Option<String>,
    /// The beginning of the names of streams, if these are asked for.
    prefix: Option<String>,
    cursor: Option<String>,
}

impl Selection {
    fn of_request() -> Self {
        use_query_map().with_untracked(|query| {
            let (filter, unreadable) = LogFilter::parse(|name| query.get(name));
            Self {
                filter,
                unreadable,
                to: query.get("to").filter(|to| !to.is_empty()),
                prefix: query.get("prefix"),
                cursor: query.get("cursor"),
            }
        })
    }

    /// Whether the page is as it opens.
    fn is_first(&self) -> bool {
        self.filter == LogFilter::of_people() && self.to.is_none() && self.prefix.is_none()
    }
}

/// `/lab/streams`.
#[component]
pub(crate) fn LabStreamsPage() -> impl IntoView {
    lab(|_| {
        let language = language();
        let title = text::streams::title(language);
        let selection = Selection::of_request();
        // Before the events: what comes meanwhile is read again by the live tail, and nothing is missed.
        let log_head = api::log_head();
        let events = api::newest_events(selection.filter.clone(), selection.to.clone());
        let orders = selection.is_first().then(|| api::listing(newest_orders()));
        let streams = selection
            .prefix
            .clone()
            .map(|prefix| api::streams(prefix, selection.cursor.clone()));
        suspend(async move {
            let (log_head, events) = match (log_head, events.await) {
                (Ok(log_head), Ok(events)) => (log_head, events),
                (Err(problem), _) | (_, Err(problem)) => return problem_view(title, &problem),
            };
            let orders = match orders {
                Some(orders) => match orders.await {
                    Ok(orders) => Some(orders.answer.data),
                    Err(problem) => return problem_view(title, &problem),
                },
                None => None,
            };
            let streams = match streams {
                Some(streams) => match streams.await {
                    Ok(streams) => Some(streams),
                    Err(problem) => return problem_view(title, &problem),
                },
                None => None,
            };
            let EventPage { data, next } = events;
            let is_live = selection.to.is_none() && selection.filter.until.is_none();
            let tail = LabTail {
                filter: selection.filter.clone(),
                events: data,
                head: log_head,
                is_live,
            };
            view! {
                {head(title, text::lab_page::streams_lead(language))}
                {kinds(&selection.filter)}
                {orders.map(|orders| orders_table(&orders))}
                <section class="panel lab-log-panel">
                    <h2>{text::lab_page::events_title(language)}</h2>
                    {filter_form(&selection)}
                    {tail.island()}
                    {paging(&selection, next)}
                </section>
                {by_name(&selection, streams)}
                {Verify {}.island()}
            }
            .erase()
        })
    })
}

fn newest_orders() -> ListingQuery {
    ListingQuery {
        view: "orders".to_owned(),
        listing: "all".to_owned(),
        group: String::new(),
        order: Order::Desc,
        limit: ORDERS,
        cursor: None,
    }
}

/// The name of a category of streams.
fn category_name(category: &str) -> &'static str {
    let language = language();
    match category {
        "order" => text::lab_page::of_orders(language),
        "product" => text::lab_page::of_products(language),
        "inventory" => text::lab_page::of_stock(language),
        "payment" => text::lab_page::of_payments(language),
        "user" => text::lab_page::of_users(language),
        "inbox" => text::lab_page::of_inboxes(language),
        _ => text::lab_page::of_emails(language),
    }
}

/// The links to what people did, to each category, and to everything.
fn kinds(shown: &LogFilter) -> View {
    let language = language();
    let people = (LogFilter::of_people(), text::lab_page::of_people(language));
    let everything = (LogFilter::default(), text::lab_page::of_all(language));
    let of_category = |category| (LogFilter::of_category(category), category_name(category));
    let all = std::iter::once(people)
        .chain(CATEGORIES.map(of_category))
        .chain(std::iter::once(everything));
    let links = all.map(|(filter, name)| {
        let is_shown = filter == *shown;
        let href = filter.address();
        view! { <li><a class="tag" href=href aria-current=is_shown.then_some("true")>{name}</a></li> }
    });
    view! {
        <nav class="tags" aria-label=text::lab_page::kinds(language)>
            <ul>{links.collect_view()}</ul>
        </nav>
    }
    .erase()
}

/// The newest orders, each with the link to its time line.
fn orders_table(orders: &[Row]) -> View {
    let language = language();
    let orders: Vec<OrderDocument> = orders.iter().filter_map(|row| typed(&row.data)).collect();
    if orders.is_empty() {
        return ().erase();
    }
    let rows = orders.into_iter().map(|order| {
        let goods: Vec<String> = order
            .lines
            .iter()
            .map(|line| format!("{} × {}", line.quantity, line.name))
            .collect();
        let href = format!("/lab/streams/order-{}", order.id);
        view! {
            <tr data-order=order.id>
                <th scope="row" data-label=text::orders::customer(language)>
                    <a class="row-link" href=href>{order.customer.name}</a>
                </th>
                <td data-label=text::orders::items(language)>{goods.join(", ")}</td>
                <td data-label=text::orders::total(language) class="figure money">
                    {fixed_money(&order.total)}
                </td>
                <td data-label=text::orders::placed(language)><Exact at=order.placed_at /></td>
                <td data-label=text::orders::status(language)>
                    <StatusBadge status=Signal::stored(order.status) />
                </td>
            </tr>
        }
        .erase()
    });
    view! {
        <section class="panel" data-testid="newest-orders">
            <h2>{text::lab_page::newest_orders(language)}</h2>
            <table class="table">
                <thead>
                    <tr>
                        <th scope="col">{text::orders::customer(language)}</th>
                        <th scope="col">{text::orders::items(language)}</th>
                        <th scope="col" class="figure">{text::orders::total(language)}</th>
                        <th scope="col">{text::orders::placed(language)}</th>
                        <th scope="col">{text::orders::status(language)}</th>
                    </tr>
                </thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </section>
    }
    .erase()
}

/// A choice among values.
fn choice(id: &'static str, label: &'static str, chosen: &str, options: Vec<(String, String)>) -> View {
    let options = options.into_iter().map(|(value, name)| {
        let is_chosen = value == chosen;
        view! { <option value=value selected=is_chosen>{name}</option> }.erase()
    });
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <select id=id name=id>{options.collect_view()}</select>
        </div>
    }
    .erase()
}

/// A field for a text, a number or a time.
fn field((id, kind): (&'static str, &'static str), label: &'static str, value: String) -> View {
    // Times are to the millisecond; versions are whole numbers from 1.
    let step = (kind == "datetime-local").then_some("0.001");
    let min = (kind == "number").then_some("1");
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input type=kind id=id name=id value=value step=step min=min autocomplete="off" />
        </div>
    }
    .erase()
}

/// The form that selects events. Its address is a link to the selection.
fn filter_form(selection: &Selection) -> View {
    let language = language();
    let LogFilter {
        people,
        category,
        event_type,
        correlation,
        version,
        since,
        until,
    } = selection.filter.clone();
    let by = vec![
        (
            "people".to_owned(),
            text::lab_page::of_people(language).to_owned(),
        ),
        ("all".to_owned(), text::lab_page::of_all(language).to_owned()),
    ];
    let mut categories = vec![(String::new(), text::lab_page::any_category(language).to_owned())];
    categories.extend(CATEGORIES.map(|name| (name.to_owned(), category_name(name).to_owned())));
    let mut names: Vec<String> = DomainEvent::types().map(|known| known.name.to_owned()).collect();
    // A type of another version of the program can be asked for by its address.
    let unknown = event_type.clone().filter(|name| !names.contains(name));
    names.extend(unknown);
    names.sort_unstable();
    let mut types = vec![(String::new(), text::lab_page::any_type(language).to_owned())];
    types.extend(names.into_iter().map(|name| (name.clone(), name)));
    let unreadable = (!selection.unreadable.is_empty()).then(|| {
        let words = text::lab_page::unreadable(language, selection.unreadable.join(", "));
        view! {
            <p class="notice notice--danger" role="alert"><Icon picture=Picture::Alert />{words}</p>
        }
        .erase()
    });
    let number = version.map(|version| version.to_string()).unwrap_or_default();
    let id = correlation.map(|id| id.to_string()).unwrap_or_default();
    let time = |at: Option<_>| at.map(field_of_time).unwrap_or_default();
    view! {
        <form
            method="get"
            action=PAGE
            class="form lab-log__filter"
            role="search"
            aria-label=text::lab_page::filter(language)
            data-testid="log-filter"
        >
            {choice("by", text::lab_page::by(language), if people { "people" } else { "all" }, by)}
            {choice(
                "category",
                text::lab_page::category(language),
                category.as_deref().unwrap_or_default(),
                categories,
            )}
            {choice("type", text::lab::kind(language), event_type.as_deref().unwrap_or_default(), types)}
            {field(("version", "number"), text::streams::version(language), number)}
            {field(("since", "datetime-local"), text::lab_page::since(language), time(since))}
            {field(("until", "datetime-local"), text::lab_page::until(language), time(until))}
            {field(("correlation", "text"), text::stream::correlation(language), id)}
            <button class="button">{text::lab_page::filter(language)}</button>
            <a class="button button--quiet" href=PAGE>{text::lab_page::reset(language)}</a>
        </form>
        {unreadable}
    }
    .erase()
}

/// The links to older events of the selection, and back to the newest ones.
fn paging(selection: &Selection, next: Option<String>) -> View {
    let language = language();
    let newest = selection.to.is_some().then(|| {
        let href = selection.filter.address();
        view! { <a class="button" href=href>{text::lab_page::newer(language)}</a> }.erase()
    });
    let older = next.map(|next| {
        let href = selection.filter.address_to(&next);
        view! {
            <a class="button" href=href data-testid="older">{text::lab_page::older(language)}</a>
        }
        .erase()
    });
    view! { <p class="more">{newest}{older}</p> }.erase()
}

/// The streams by name: a form, and the table once it is asked for.
fn by_name(selection: &Selection, streams: Option<Page<StreamInfo>>) -> View {
    let language = language();
    let prefix = selection.prefix.clone().unwrap_or_default();
    let table = streams.map(|page| stream_table(page, prefix.clone()));
    view! {
        <section class="panel" id="by-name">
            <h2>{text::lab_page::by_name(language)}</h2>
            <form
                method="get"
                action="/lab/streams#by-name"
                class="form form--inline"
                role="search"
                aria-label=text::lab_page::by_name(language)
            >
                <div class="field">
                    <label for="prefix">{text::streams::prefix(language)}</label>
                    <input
                        type="search"
                        id="prefix"
                        name="prefix"
                        value=prefix
                        aria-describedby="prefix-help"
                        autocomplete="off"
                    />
                    <p class="field__help" id="prefix-help">{text::streams::prefix_help(language)}</p>
                </div>
                <button class="button">{text::streams::find(language)}</button>
            </form>
            {table}
        </section>
    }
    .erase()
}

fn stream_table(page: Page<StreamInfo>, prefix: String) -> View {
    let language = language();
    if page.data.is_empty() {
        return view! {
            <EmptyState
                title=text::streams::empty_title(language)
                text=text::streams::empty(language)
                action=view! {
                    <a class="button" href="/lab/streams?prefix=">{text::streams::all(language)}</a>
                }.erase()
            />
        }
        .erase();
    }
    let next = page.next.map(|cursor| {
        view! {
            <form method="get" action="/lab/streams#by-name" class="more">
                <input type="hidden" name="prefix" value=prefix />
                <input type="hidden" name="cursor" value=cursor />
                <button class="button">{text::orders::more(language)}</button>
            </form>
        }
        .erase()
    });
    let rows = page.data.into_iter().map(
        |StreamInfo {
             stream,
             version,
             partition,
         }| {
            let href = format!("/lab/streams/{stream}");
            view! {
                <tr>
                    <th scope="row"><a class="row-link mono" href=href>{stream}</a></th>
                    <td class="figure mono" data-label=text::streams::version(language)>{version}</td>
                    <td class="figure mono" data-label=text::streams::partition(language)>{partition}</td>
                </tr>
            }
            .erase()
        },
    );
    view! {
        <table class="table">
            <thead>
                <tr>
                    <th scope="col">{text::streams::stream(language)}</th>
                    <th scope="col" class="figure">{text::streams::version(language)}</th>
                    <th scope="col" class="figure">{text::streams::partition(language)}</th>
                </tr>
            </thead>
            <tbody>{rows.collect_view()}</tbody>
        </table>
        {next}
    }
    .erase()
}
