//! The page of the live map: a sheet of the drawing, over which the island draws what happens. Without a
//! script it shows the drawing, and the figures of the moment at which it was rendered.

use drawing::Sheet;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{head, lab, sheet::Subject};
use crate::{
    api,
    erase::{Erase, View},
    islands::{Island, LabMap, STAGE},
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
        suspend(async move {
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
