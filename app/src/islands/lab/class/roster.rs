//! The people of the class: as dots on the box of the Web Client, as the drawing of the pipeline has them,
//! and as rows that say who is there and who placed what.

use domain::access::Role;
use leptos::prelude::*;
use serde_json::Value;

use super::session::ClassSession;
use crate::{
    components::{Icon, Picture, for_each, role_word, text},
    erase::{Erase, View},
    erased_signals::Memo,
    lab::class::{is_set, number_of, text_of},
    language::language,
    text,
};

/// The people.
pub(super) fn roster(session: ClassSession) -> View {
    let language = language();
    let keys = move || ids(&session.roster());
    let row = move |id: String| row(session, id);
    let dot = move |id: String| dot(session, id);
    let count = move || {
        let roster = session.roster();
        let present = roster.iter().filter(|member| is_set(member, "present")).count();
        text::lab_class::here(language, present, roster.len())
    };
    view! {
        <section class="panel" aria-labelledby="class-roster">
            <h2 id="class-roster">{text::lab_class::roster(language)}</h2>
            <div class="web-client">
                <p><Icon picture=Picture::Person />"Web Client"</p>
                <ul class="web-client__dots" aria-hidden="true">{for_each(keys, dot)}</ul>
            </div>
            <p role="status" data-testid="class-here">{text(count)}</p>
            <table class="table" data-testid="roster">
                <thead>
                    <tr>
                        <th scope="col">{text::lab_class::name(language)}</th>
                        <th scope="col">{text::lab_class::presence(language)}</th>
                        <th scope="col" class="figure">{text::lab_class::orders(language)}</th>
                        <th scope="col">{text::lab_class::copy(language)}</th>
                    </tr>
                </thead>
                <tbody>{for_each(keys, row)}</tbody>
            </table>
        </section>
    }
    .erase()
}

/// The ids of the people.
pub(super) fn ids(roster: &[Value]) -> Vec<String> {
    let ids = roster.iter().map(|member| text_of(member, "person").to_owned());
    ids.collect()
}

fn dot(session: ClassSession, id: String) -> View {
    let is_present = move || {
        session
            .member(&id)
            .is_some_and(|member| is_set(&member, "present"))
    };
    view! { <li class="dot" data-present=text(move || is_present().to_string())></li> }.erase()
}

fn row(session: ClassSession, id: String) -> View {
    let language = language();
    let member = Memo::new(move |_| session.member(&id).unwrap_or_default());
    let of = move |name: &'static str| member.with(|member| text_of(member, name).to_owned());
    let role = move || {
        let role = of("role");
        let role = Role::ALL.into_iter().find(|known| known.as_str() == role);
        role.map(role_word).unwrap_or_default()
    };
    let is_present = move || member.with(|member| is_set(member, "present"));
    let presence = move || {
        if is_present() {
            text::lab_class::present(language)
        } else {
            text::lab_class::absent(language)
        }
    };
    let orders = move || member.with(|member| number_of(member, "orders").to_string());
    let newest = move || {
        let order = of("newest_order");
        if order.is_empty() {
            return ().erase();
        }
        let address = ["/orders/", &order].concat();
        view! { " "<a href=address>{text::lab_class::newest(language)}</a> }.erase()
    };
    let code = move || {
        let code = member.with(|member| {
            member
                .get("copy")
                .map(|copy| text_of(copy, "join_code").to_owned())
        });
        code.unwrap_or_default()
    };
    view! {
        <tr data-present=text(move || is_present().to_string())>
            <th scope="row" data-label=text::lab_class::name(language)>
                {text(move || of("name"))}" "<span class="muted">{text(role)}</span>
            </th>
            <td data-label=text::lab_class::presence(language)>
                <span
                    class="dot"
                    aria-hidden="true"
                    data-present=text(move || is_present().to_string())
                ></span>
                " "{text(presence)}
            </td>
            <td class="figure" data-label=text::lab_class::orders(language)>{text(orders)}{newest}</td>
            <td data-label=text::lab_class::copy(language)><code>{text(code)}</code></td>
        </tr>
    }
    .erase()
}
