//! The page of views of one's own: the form that defines one, and each view with its documents. Without a
//! script it shows the views and documents of the moment it was rendered.

use leptos::prelude::*;

use super::{head, lab};
use crate::{
    api,
    erase::Erase,
    islands::{Island, LabViews, own_documents},
    language::language,
    pages::{problem_view, suspend},
    text,
};

/// `/lab/views`.
#[component]
pub(crate) fn LabViewsPage() -> impl IntoView {
    lab(|may_control| {
        let language = language();
        let title = text::lab_views::title(language);
        let views = api::own_views(own_documents);
        suspend(async move {
            match views.await {
                Ok((answer, offered, documents)) => {
                    let views = LabViews {
                        answer,
                        offered,
                        documents,
                        may_control,
                    };
                    view! {
                        {head(title, text::lab_page::views_lead(language))}
                        <noscript>
                            <p class="notice">{text::lab_page::views_need_script(language)}</p>
                        </noscript>
                        <div class="lab">{views.island()}</div>
                    }
                    .erase()
                }
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}
