//! The live sales dashboard: sales by day, as a chart or as a table, and the bestsellers.

use domain::{
    money::{Money, Sums, minor_digits},
    timestamp::Timestamp,
    view::sales::SalesDocument,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::customers::sums;
use crate::{
    components::{Bar, EmptyState, Freshness, PageHead, bar_chart, either, for_each, highlight_class, text},
    erase::{Erase, View},
    islands::Island,
    language::language,
    live::store::{InitialListing, LiveListing, Revision},
    text,
};

/// The dashboard.
#[derive(Serialize, Deserialize)]
pub(crate) struct OfficeSales {
    /// The last days with sales, newest first.
    pub(crate) days: InitialListing,
    /// The bestsellers.
    pub(crate) products: InitialListing,
}

/// The maximum number of days in the chart.
const DAYS: usize = 30;

impl Island for OfficeSales {
    const NAME: &'static str = "office-sales";

    fn view(self) -> View {
        let language = language();
        let days = LiveListing::<SalesDocument>::new(self.days);
        let products = LiveListing::<SalesDocument>::new(self.products);
        let nothing = move || {
            view! {
                <EmptyState
                    title=text::office::sales_none(language)
                    text=text::office::sales_empty(language)
                    action=view! {
                        <a class="button" href="/shop">{text::orders::empty_action(language)}</a>
                    }.erase()
                />
            }
            .erase()
        };
        let dashboard = move || view! { {totals(days)} {by_day(days)} {top_products(products)} }.erase();
        view! {
            <PageHead
                title=text::office::sales(language)
                mark=view! { <Freshness view="sales" progress=days.progress() /> }.erase()
            />
            {either(move || days.is_empty(), nothing, dashboard)}
        }
        .erase()
    }
}

/// The totals of the days.
fn totals(days: LiveListing<SalesDocument>) -> View {
    let language = language();
    let figure = move |read: fn(&SalesDocument) -> u64| {
        text(move || days.documents().iter().map(read).sum::<u64>().to_string())
    };
    let net = Signal::derive(move || {
        let mut net = Sums::default();
        for day in days.documents() {
            day.net_revenue()
                .as_slice()
                .iter()
                .for_each(|amount| net.add(amount));
        }
        net
    });
    view! {
        <section class="panel">
            <h2>{text::office::totals(language)}</h2>
            <dl class="facts totals">
                <div>
                    <dt>{text::office::revenue(language)}</dt>
                    <dd>{move || sums(net.get().as_slice())}</dd>
                </div>
                <div>
                    <dt>{text::orders::title(language)}</dt>
                    <dd class="mono">{figure(|day| day.orders)}</dd>
                </div>
                <div>
                    <dt>{text::office::units(language)}</dt>
                    <dd class="mono">{figure(|day| day.units)}</dd>
                </div>
                <div>
                    <dt>{text::office::cancellations(language)}</dt>
                    <dd class="mono">{figure(|day| day.cancelled_orders)}</dd>
                </div>
                <div>
                    <dt>{text::office::refunds(language)}</dt>
                    <dd class="mono">{figure(|day| day.refunded_orders)}</dd>
                </div>
            </dl>
        </section>
    }
    .erase()
}

/// The days as a chart, or as a table with the same figures.
fn by_day(days: LiveListing<SalesDocument>) -> View {
    let language = language();
    let as_table = RwSignal::new(false);
    let currency = Signal::derive(move || {
        let documents = days.documents();
        let mut revenues = documents.iter().flat_map(|day| day.revenue.as_slice());
        revenues
            .next()
            .map(|money| money.currency.clone())
            .unwrap_or_default()
    });
    let unit =
        Signal::derive(move || currency.with(|currency| 10_i64.pow(u32::from(minor_digits(currency)))));
    let bars = Signal::derive(move || currency.with(|currency| bars(&days.documents(), currency)));
    let chart = move || {
        view! {
            <p class="muted">
                {text(move || text::office::chart_is(language, currency.get()))}
            </p>
            {bar_chart(bars, unit)}
        }
        .erase()
    };
    let table = move || {
        view! {
            <table class="table">
                <thead>
                    <tr>
                        <th scope="col">{text::office::day(language)}</th>
                        <th scope="col" class="figure">{text::orders::title(language)}</th>
                        <th scope="col" class="figure">{text::office::units(language)}</th>
                        <th scope="col" class="figure">{text::office::sold(language)}</th>
                        <th scope="col" class="figure">{text::office::cancelled(language)}</th>
                        <th scope="col" class="figure">{text::office::refunded_revenue(language)}</th>
                    </tr>
                </thead>
                <tbody>{for_each(move || days.keys(), move |key| day_row(days.row(key)))}</tbody>
            </table>
        }
        .erase()
    };
    let switch = move |is_table: bool, word: &'static str| {
        view! {
            <button
                type="button"
                class="tag"
                aria-pressed=text(move || (as_table.get() == is_table).to_string())
                on:click=move |_| as_table.set(is_table)
            >
                {word}
            </button>
        }
        .erase()
    };
    view! {
        <section class="panel">
            <div class="panel__head">
                <h2>{text::office::by_day(language)}</h2>
                <div class="switch needs-script" role="group" aria-label=text::office::shown_as(language)>
                    {switch(false, text::office::as_chart(language))}
                    {switch(true, text::office::as_table(language))}
                </div>
            </div>
            {either(move || as_table.get(), table, chart)}
        </section>
    }
    .erase()
}

fn day_row(day: Memo<Revision<SalesDocument>>) -> View {
    let language = language();
    let figure = move |read: fn(&SalesDocument) -> u64| {
        text(move || {
            day.with(|day| {
                day.as_ref()
                    .map(|(day, _)| read(day).to_string())
                    .unwrap_or_default()
            })
        })
    };
    let money = move |read: fn(&SalesDocument) -> &[Money]| {
        move || {
            day.with(|day| {
                day.as_ref()
                    .map_or_else(|| ().erase(), |(day, _)| sums(read(day)))
            })
        }
    };
    let name = text(move || {
        day.with(|day| {
            day.as_ref()
                .and_then(|(day, _)| day.day.clone())
                .unwrap_or_default()
        })
    });
    view! {
        <tr class=text(move || highlight_class(day))>
            <th scope="row" class="mono">{name}</th>
            <td class="figure mono" data-label=text::orders::title(language)>
                {figure(|day| day.orders)}
            </td>
            <td class="figure mono" data-label=text::office::units(language)>{figure(|day| day.units)}</td>
            <td class="figure" data-label=text::office::sold(language)>
                {money(|day| day.revenue.as_slice())}
            </td>
            <td class="figure" data-label=text::office::cancelled(language)>
                {money(|day| day.cancelled_revenue.as_slice())}
            </td>
            <td class="figure" data-label=text::office::refunded_revenue(language)>
                {money(|day| day.refunded_revenue.as_slice())}
            </td>
        </tr>
    }
    .erase()
}

fn top_products(products: LiveListing<SalesDocument>) -> View {
    let language = language();
    let row = move |product: Memo<Revision<SalesDocument>>| {
        let Some((first, _)) = product.get_untracked() else {
            return ().erase();
        };
        let sku = first.sku.unwrap_or_default();
        let name = first.name.unwrap_or_else(|| sku.clone());
        let units = text(move || {
            product.with(|product| {
                product
                    .as_ref()
                    .map(|(product, _)| product.net_units().to_string())
                    .unwrap_or_default()
            })
        });
        let revenue = move || {
            product.with(|product| {
                product.as_ref().map_or_else(
                    || ().erase(),
                    |(product, _)| sums(product.net_revenue().as_slice()),
                )
            })
        };
        view! {
            <tr class=text(move || highlight_class(product)) data-sku=sku.clone()>
                <th scope="row"><a class="row-link" href=format!("/shop/{sku}")>{name}</a></th>
                <td class="figure mono" data-label=text::office::units(language)>{units}</td>
                <td class="figure" data-label=text::office::revenue(language)>{revenue}</td>
            </tr>
        }
        .erase()
    };
    view! {
        <section class="panel">
            <div class="panel__head">
                <h2>{text::office::top_products(language)}</h2>
                <Freshness view="sales" progress=products.progress() />
            </div>
            <table class="table">
                <thead>
                    <tr>
                        <th scope="col">{text::basket::product(language)}</th>
                        <th scope="col" class="figure">{text::office::units(language)}</th>
                        <th scope="col" class="figure">{text::office::revenue(language)}</th>
                    </tr>
                </thead>
                <tbody>{for_each(move || products.keys(), move |key| row(products.row(key)))}</tbody>
            </table>
        </section>
    }
    .erase()
}

/// One bar for each day from the first to the last, at most [`DAYS`]; a day without a sale has an empty bar.
fn bars(newest_first: &[SalesDocument], currency: &str) -> Vec<Bar> {
    const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;
    let start = |day: &str| format!("{day}T00:00:00Z").parse::<Timestamp>().ok();
    let of_day = |sales: &SalesDocument| {
        let net = sales.net_revenue();
        let amount = net.as_slice().iter().find(|money| money.currency == currency);
        amount.map_or(0, |money| money.amount.max(0))
    };
    let days: Vec<_> = newest_first
        .iter()
        .filter_map(|sales| Some((start(sales.day.as_deref()?)?, of_day(sales))))
        .collect();
    let (Some((last, _)), Some((first, _))) = (days.first(), days.last()) else {
        return Vec::new();
    };
    let mut bars = Vec::new();
    let mut at = *last;
    while at >= *first && bars.len() < DAYS {
        let value = days
            .iter()
            .find(|(day, _)| *day == at)
            .map_or(0, |(_, value)| *value);
        let label = at.to_string().get(5..10).unwrap_or_default().to_owned();
        bars.push(Bar { label, value });
        at = Timestamp::from_micros(at.as_micros() - DAY_MICROS);
    }
    bars.reverse();
    bars
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn sold(day: &str, revenue: i64, cancelled: i64) -> SalesDocument {
        let sums = |amount| {
            if amount == 0 {
                serde_json::json!([])
            } else {
                serde_json::json!([{ "amount": amount, "currency": "EUR" }])
            }
        };
        serde_json::from_value(serde_json::json!({
            "kind": "day", "day": day, "orders": 1, "units": 1, "revenue": sums(revenue),
            "cancelled_orders": 0, "cancelled_units": 0, "cancelled_revenue": sums(cancelled),
        }))
        .unwrap()
    }

    #[test]
    fn days_without_a_sale_are_empty_bars_and_cancelled_revenue_does_not_count() {
        let days = [sold("2026-03-02", 900, 200), sold("2026-02-28", 500, 0)];
        let drawn: Vec<_> = bars(&days, "EUR")
            .into_iter()
            .map(|bar| (bar.label, bar.value))
            .collect();
        let expected = [("02-28", 500), ("03-01", 0), ("03-02", 700)];
        assert_eq!(drawn, expected.map(|(label, value)| (label.to_owned(), value)));
    }

    #[test]
    fn refunded_revenue_does_not_count() {
        let mut day = sold("2026-03-02", 900, 200);
        day.refunded_revenue.add(&Money::new(300, "EUR"));
        let drawn = bars(&[day], "EUR");
        assert_eq!(drawn.first().map(|bar| bar.value), Some(400));
    }

    #[test]
    fn a_long_gap_does_not_lengthen_the_chart_and_no_bar_is_negative() {
        let days = [sold("2026-11-22", 100, 300), sold("2020-01-01", 500, 0)];
        let drawn = bars(&days, "EUR");
        assert_eq!(drawn.len(), DAYS);
        assert_eq!(drawn.last().unwrap().value, 0);
        assert_eq!(bars(&[], "EUR"), []);
    }
}
