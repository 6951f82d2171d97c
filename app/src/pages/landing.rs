//! The landing page: what this is, one button that opens a sandbox, and the picture.

use leptos::prelude::*;
use leptos_meta::Meta;

use super::form_problem::message;
use crate::{
    SiteAddress, Theme,
    api::use_session,
    components::{Icon, Picture, ProblemSummary, WindowTitle},
    erase::Erase,
    language::{language, requested_language},
    text,
};

const NARROW: &str = "(max-width: 640px)";
const LIGHT: &str = "(prefers-color-scheme: light)";

/// The landing page.
#[component]
pub(crate) fn LandingPage() -> impl IntoView {
    let language = language();
    let return_link = use_session().map(|session| {
        view! {
            <a class="button button--primary" href="/shop">
                {text::landing::back(language, session.workspace_name)}
            </a>
        }
    });
    let SiteAddress(site) = use_context().unwrap_or_default();
    let is_first = return_link.is_none();
    view! {
        <WindowTitle text=text::landing::window(language) />
        <Meta name="description" content=text::landing::description(language) />
        <Meta property="og:title" content=text::landing::window(language) />
        <Meta property="og:description" content=text::landing::description(language) />
        <Meta property="og:type" content="website" />
        <Meta property="og:image" content=format!("{site}/social.png") />
        <Meta property="og:image:width" content="1200" />
        <Meta property="og:image:height" content="630" />
        <Meta name="twitter:card" content="summary_large_image" />
        <div class="landing">
            <section class="hero">
                <h1>{text::landing::title(language)}</h1>
                <p class="hero__lead">{text::landing::lead(language)}</p>
                <div class="hero__actions">
                    {return_link}
                    <form method="post" action="/session/open">
                        <input type="hidden" name="template" value="shop" />
                        <button class="button" class:button--primary=is_first aria-describedby="try-it">
                            {text::landing::try_it(language)}
                        </button>
                    </form>
                    <a class="button button--quiet" href="/join">{text::landing::join(language)}</a>
                    <a class="button button--quiet" href="/sign-in">{text::landing::sign_in(language)}</a>
                </div>
                <p id="try-it" class="muted">{text::landing::try_help(language)}</p>
            </section>
            <ProblemSummary message=message() />
            <PipelinePicture />
            <section>
                <h2 class="hidden">{text::landing::uses(language)}</h2>
                <ul class="uses">
                    <li>
                        <Icon picture=Picture::Shop />
                        <h3>{text::landing::shop_title(language)}</h3>
                        <p>{text::landing::shop_text(language)}</p>
                    </li>
                    <li>
                        <Icon picture=Picture::Live />
                        <h3>{text::landing::teach_title(language)}</h3>
                        <p>{text::landing::teach_text(language)}</p>
                        <p><a href="/open">{text::landing::teach_action(language)}</a></p>
                    </li>
                    <li>
                        <Icon picture=Picture::Shield />
                        <h3>{text::landing::test_title(language)}</h3>
                        <p>{text::landing::test_text(language)}</p>
                        <p><a href="/api/docs/" rel="external">{text::landing::test_action(language)}</a></p>
                    </li>
                </ul>
            </section>
            <p class="muted">{text::landing::educational(language)}</p>
        </div>
    }
    .erase()
}

/// The picture of the pipeline, in the page's language and theme; on a narrow screen, its tall format.
#[component]
fn PipelinePicture() -> impl IntoView {
    let language = language();
    let requested = requested_language();
    let address = |theme: &str, format: &str| {
        format!("/infographic.svg?sheet=pattern&lang={requested}&theme={theme}&format={format}")
    };
    let theme = use_context::<Theme>().unwrap_or_default();
    // The sources are tried in order; with an automatic theme, the browser's preference decides.
    let sources: Vec<(String, String)> = match theme {
        Theme::Auto => vec![
            (format!("{NARROW} and {LIGHT}"), address("light", "tall")),
            (LIGHT.to_owned(), address("light", "wide")),
            (NARROW.to_owned(), address("dark", "tall")),
        ],
        fixed => vec![(NARROW.to_owned(), address(fixed.as_str(), "tall"))],
    };
    let fallback = match theme {
        Theme::Auto => address("dark", "wide"),
        fixed => address(fixed.as_str(), "wide"),
    };
    view! {
        <section class="landing__picture">
            <h2>{text::landing::picture_title(language)}</h2>
            <p class="muted">{text::landing::picture_text(language)}</p>
            <picture>
                {sources
                    .into_iter()
                    .map(|(media, address)| view! { <source media=media srcset=address /> })
                    .collect_view()}
                <img src=fallback alt=text::landing::picture_text(language) width="1600" height="1000" />
            </picture>
            <p><a href="/infographic">{text::landing::picture_link(language)}</a></p>
        </section>
    }
    .erase()
}
