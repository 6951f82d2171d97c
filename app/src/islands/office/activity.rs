//! The live activity feed of the workspace, newest first: all events, or those of one kind of stream.

use domain::view::activity::ActivityDocument;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    components::{
        EmptyState, Freshness, Id, MoreRows, PageHead, When, either, for_each, highlight_class, role_word,
        text,
    },
    erase::{Erase, View},
    islands::Island,
    language::language,
    live::store::{InitialListing, LiveListing, Revision},
    text,
};

/// The feed.
#[derive(Serialize, Deserialize)]
pub(crate) struct OfficeActivity {
    /// The newest events.
    pub(crate) initial: InitialListing,
    /// Whether the session's role may read streams.
    pub(crate) reads_streams: bool,
}

/// The kinds of streams: the first part of a stream's name.
const KINDS: [&str; 5] = ["order", "payment", "inventory", "product", "user"];

impl Island for OfficeActivity {
    const NAME: &'static str = "office-activity";

    fn view(self) -> View {
        let language = language();
        let Self {
            initial,
            reads_streams,
        } = self;
        let listing = LiveListing::<ActivityDocument>::new(initial);
        let chosen = RwSignal::new("");
        let keys = move || {
            let kind = chosen.get();
            let is_of_kind = |of: &ActivityDocument| kind.is_empty() || kind_of(&of.stream) == kind;
            listing
                .documents()
                .iter()
                .filter(|activity| is_of_kind(activity))
                .map(|activity| activity.event_id.to_string())
                .collect()
        };
        let word = move |kind: &str| match kind {
            "order" => text::orders::title(language),
            "payment" => text::office::payments(language),
            "inventory" => text::office::stock(language),
            "product" => text::office::products(language),
            "user" => text::office::people(language),
            _ => text::office::everything(language),
        };
        let choice = move |kind: &'static str| {
            view! {
                <li>
                    <button
                        type="button"
                        class="tag"
                        aria-pressed=text(move || (chosen.get() == kind).to_string())
                        on:click=move |_| chosen.set(kind)
                    >
                        {word(kind)}
                    </button>
                </li>
            }
            .erase()
        };
        let choices: Vec<_> = std::iter::once("").chain(KINDS).map(choice).collect();
        let feed = move || {
            view! {
                <ol class="feed">{for_each(keys, move |key| entry(listing.row(key), reads_streams))}</ol>
            }
            .erase()
        };
        let nothing = move || {
            view! {
                <EmptyState
                    title=text::office::activity_none(language)
                    text=text::office::activity_empty(language)
                    action=().erase()
                />
            }
            .erase()
        };
        view! {
            <PageHead
                title=text::office::activity(language)
                mark=view! { <Freshness view="activity" progress=listing.progress() /> }.erase()
            />
            <div class="tags needs-script" role="group" aria-label=text::office::kinds(language)>
                <ul>{choices}</ul>
            </div>
            {either(move || keys().is_empty(), nothing, feed)}
            <MoreRows listing=listing.untyped() />
        }
        .erase()
    }
}

fn kind_of(stream: &str) -> &str {
    stream.split('-').next().unwrap_or_default()
}

fn entry(activity: Memo<Revision<ActivityDocument>>, reads_streams: bool) -> View {
    let language = language();
    // Events are immutable, so the entry is read once.
    let Some((
        ActivityDocument {
            at,
            event,
            stream,
            by,
            ..
        },
        _,
    )) = activity.get_untracked()
    else {
        return ().erase();
    };
    let (kind, id) = stream.split_once('-').unwrap_or((&stream, ""));
    let page = match kind {
        "order" | "payment" => Some((format!("/orders/{id}"), text::office::to_order(language))),
        "inventory" | "product" => Some((format!("/shop/{id}"), text::office::to_product(language))),
        _ => None,
    };
    let page = page.map(|(href, words)| view! { <a href=href>{words}</a> });
    let name = view! { <span class="mono muted">{kind.to_owned()}"-"</span><Id id=id.to_owned() /> };
    let name = if reads_streams {
        view! { <a href=format!("/lab/streams/{stream}")>{name}</a> }.erase()
    } else {
        name.erase()
    };
    view! {
        <li
            class=text(move || format!("feed__entry {}", highlight_class(activity)))
            data-kind=kind.to_owned()
        >
            <code class="feed__event">{event}</code>
            <span>{name}</span>
            <span class="muted"><When at />" · "{role_word(by)}</span>
            <span>{page}</span>
        </li>
    }
    .erase()
}
