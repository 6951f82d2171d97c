//! The page of the live map: a sheet of the drawing, over which the island draws what happens, and the lamps
//! of the invariants. Without a script it shows the drawing, and the figures and lamps of the moment at which
//! it was rendered.
//!
//! The lamps are no part of the island: the map's bundle is nearly as large as it may be, and
//! `frontend/frame.js` reads them again in a few lines.

use domain::wire::{Invariant, InvariantStatus};
use drawing::Sheet;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{head, lab, sheet::Subject};
use crate::{
    api,
    erase::{Erase, View},
    islands::{Island, LabMap, STAGE, invariant_name},
    language::language,
    pages::{problem_view, suspend},
    text,
};

/// `/lab?sheet=`: `pattern`, which is the default, or `business`.
#[component]
pub(crate) fn LabMapPage() -> impl IntoView {
    lab(|_| {
        let language = language();
        let sheet = use_query_map().with_untracked(|query| query.get("sheet").unwrap_or_default());
        let subject = Subject::of_request(Sheet::parse(&sheet).unwrap_or_default());
        let title = text::lab::map(language);
        let pipeline = api::pipeline();
        let lights = api::invariants();
        suspend(async move {
            // Lamps without a light say that they are not checked yet.
            let lights = lights.await.unwrap_or_default();
            match pipeline.await {
                Ok((position, projections)) => {
                    let map = LabMap {
                        sheet: subject.words(),
                        head: position,
                        projections,
                    };
                    view! {
                        {head(title, text::lab_page::map_lead(language))}
                        {sheets(subject.sheet)}
                        <noscript>
                            <p class="notice">{text::lab_page::needs_script(language)}</p>
                        </noscript>
                        <div class="lab" id=STAGE>
                            {lamps(&lights.data)}
                            {subject.stage()}
                            {map.island()}
                        </div>
                    }
                    .erase()
                }
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}

/// A lamp for each invariant, which leads to the lights with their evidence. While an invariant holds, its
/// lamp is a dot; a broken one has its name beside it.
fn lamps(lights: &[InvariantStatus]) -> View {
    let language = language();
    let lamps = Invariant::ALL.map(|invariant| {
        let light = lights.iter().find(|light| light.name == invariant);
        let holds = light.map_or("unknown", |light| if light.holds { "true" } else { "false" });
        let name = invariant_name(invariant);
        view! {
            <li>
                <a
                    class="lamp"
                    href="/lab/dials#lights"
                    title=name
                    data-light=invariant.as_str()
                    data-holds=holds
                >
                    <span class="lamp__dot" aria-hidden="true"></span>
                    <span class="lamp__name">{name}</span>
                    " "
                    <span class="lamp__state" data-state="true">{text::lab_dials::holds(language)}</span>
                    <span class="lamp__state" data-state="false">{text::lab_page::broken(language)}</span>
                    <span class="lamp__state" data-state="unknown">
                        {text::lab_dials::unchecked(language)}
                    </span>
                </a>
            </li>
        }
    });
    view! {
        <nav class="lamps" aria-label=text::lab_dials::lights(language) data-testid="lamps">
            <ul>{lamps.collect_view()}</ul>
        </nav>
    }
    .erase()
}

/// The links to both sheets, and to the picture.
fn sheets(shown: Sheet) -> View {
    let language = language();
    let names = [
        (Sheet::Pattern, text::infographic::sheet_pattern(language)),
        (Sheet::Business, text::infographic::sheet_business(language)),
    ];
    let links = names.map(|(sheet, name)| {
        let href = format!("/lab?sheet={}", sheet.as_str());
        let is_shown = sheet == shown;
        view! { <li><a class="tag" href=href aria-current=is_shown.then_some("true")>{name}</a></li> }
    });
    let picture = format!("/infographic?sheet={}", shown.as_str());
    view! {
        <nav class="tags" aria-label=text::lab_page::sheets(language)>
            <ul>
                {links.collect_view()}
                <li><a class="tag" href=picture>{text::lab_page::picture(language)}</a></li>
            </ul>
        </nav>
    }
    .erase()
}
