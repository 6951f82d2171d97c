//! The pages of the class for its educator: who is there and what is asked, the join code in full size for
//! the projector, and the presenter's view. Students are shown the way to their own page.

use domain::{
    language::Language,
    lesson::{LESSONS, LessonOutline, QuestionOutline, StepOutline},
};
use leptos::prelude::*;
use url::{Host, Url};

use super::{CLASS, head, lab};
use crate::{
    SiteAddress,
    api::{self, use_session},
    components::{WindowTitle, qr_code},
    erase::{Erase, View},
    islands::{Island, LabClass, LabPresent, LessonChoice, StepChoice},
    language::language,
    pages::{
        class::{initial_round, state_of_page},
        problem_view, refused_page, suspend,
    },
    text::{self, by_name},
};

/// The page of the code, for the projector.
const CODE: &str = "/lab/class/code";

/// The presenter's view.
const PRESENT: &str = "/lab/class/present";

/// Renders a page of the class for an educator.
fn of_educator(page: impl FnOnce() -> View) -> View {
    lab(|is_educator| {
        if is_educator {
            return page();
        }
        let language = language();
        refused_page(
            text::class_page::refused_title(language),
            text::class_page::refused(language),
            text::class_page::refused_action(language),
            "/class",
        )
    })
}

/// The code by which people join, and the address that takes it.
#[derive(Debug, Clone)]
struct Joining {
    code: String,
    address: String,
    /// Whether the address is of this machine alone, so that no other device reaches it.
    is_local: bool,
}

impl Joining {
    /// That of the page's workspace.
    fn of_page() -> Self {
        let SiteAddress(site) = use_context().unwrap_or_default();
        let code = use_session().map(|session| session.join_code).unwrap_or_default();
        Self {
            address: [&site, "/join/", &code].concat(),
            is_local: is_local(&site),
            code,
        }
    }

    /// The QR code of the address.
    fn qr(&self) -> Option<View> {
        qr_code(&self.address, text::class_page::qr(language()))
    }

    /// A warning where other devices do not reach the address.
    fn warning(&self) -> Option<View> {
        self.is_local
            .then(|| view! { <p class="notice">{text::class_page::local(language())}</p> }.erase())
    }
}

/// Whether a site is reached from its own machine alone.
fn is_local(site: &str) -> bool {
    let url = Url::parse(site).ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// `/lab/class`.
#[component]
pub(crate) fn LabClassPage() -> impl IntoView {
    of_educator(|| {
        let language = language();
        let title = text::class_page::title(language);
        let class = api::class();
        let joining = join_panel(&Joining::of_page());
        suspend(async move {
            let (state, documents) = match class.await {
                Ok(class) => class,
                Err(problem) => return problem_view(title, &problem),
            };
            let class = LabClass {
                round: documents.map(|documents| initial_round(language, documents)),
                state: state_of_page(&state),
                lessons: LESSONS.iter().map(|lesson| choice(language, lesson)).collect(),
            };
            view! {
                {head(title, text::class_page::lead(language))}
                <noscript>
                    <p class="notice">{text::class_page::educator_needs_script(language)}</p>
                </noscript>
                {joining}
                {class.island()}
            }
            .erase()
        })
    })
}

/// The code with its address, and the ways to show them.
fn join_panel(joining: &Joining) -> View {
    let language = language();
    view! {
        <section class="panel class-join" aria-labelledby="class-join">
            <h2 id="class-join">{text::class_page::join(language)}</h2>
            <div class="class-join__code">
                {joining.qr()}
                <div>
                    <p class="class-join__word"><code>{joining.code.clone()}</code></p>
                    <p class="break"><code>{joining.address.clone()}</code></p>
                    {joining.warning()}
                    <p class="buttons">
                        <a class="button" href=CODE>{text::class_page::show_code(language)}</a>
                        <a class="button" href=PRESENT>{text::class_page::show_present(language)}</a>
                        <a class="button" href="/class">{text::class_page::show_phone(language)}</a>
                    </p>
                </div>
            </div>
        </section>
    }
    .erase()
}

/// `/lab/class/code`.
#[component]
pub(crate) fn LabClassCodePage() -> impl IntoView {
    of_educator(|| {
        let language = language();
        let title = text::class_page::join(language);
        let joining = Joining::of_page();
        view! {
            <WindowTitle text=title />
            <section class="projector class-code">
                <h1>{title}</h1>
                <div class="class-code__qr">{joining.qr()}</div>
                <p class="class-code__address break"><code>{joining.address.clone()}</code></p>
                <p class="class-code__word"><code>{joining.code.clone()}</code></p>
                {joining.warning()}
                {back()}
            </section>
        }
        .erase()
    })
}

/// `/lab/class/present`.
#[component]
pub(crate) fn LabPresentPage() -> impl IntoView {
    of_educator(|| {
        let language = language();
        let title = text::class_page::present(language);
        let class = api::class();
        let joining = Joining::of_page();
        let back = back();
        suspend(async move {
            let (mut state, documents) = match class.await {
                Ok(class) => class,
                Err(problem) => return problem_view(title, &problem),
            };
            // What is projected has no names.
            state.roster = None;
            state.handed.clear();
            let present = LabPresent {
                round: documents.map(|documents| initial_round(language, documents)),
                state: state_of_page(&state),
            };
            view! {
                <WindowTitle text=title />
                <section class="projector">
                    <h1 class="hidden">{title}</h1>
                    <noscript>
                        <p class="notice">{text::class_page::educator_needs_script(language)}</p>
                    </noscript>
                    {present.island()}
                    <p class="present__join">
                        {text::class_page::join(language)}" "<code>{joining.code}</code>
                    </p>
                    {back}
                </section>
            }
            .erase()
        })
    })
}

fn back() -> View {
    view! {
        <p class="projector__back">
            <a class="button button--small" href=CLASS>{text::class_page::back(language())}</a>
        </p>
    }
    .erase()
}

/// A lesson with the titles of its steps, in a language.
fn choice(language: Language, lesson: &LessonOutline) -> LessonChoice {
    let group = lesson.text_group();
    let title = by_name(language, &group, "title").unwrap_or(lesson.name);
    let step = |step: &StepOutline| StepChoice {
        name: step.name.to_owned(),
        title: by_name(language, &group, &[step.name, "_title"].concat())
            .unwrap_or(step.name)
            .to_owned(),
        asks: step.question.is_some(),
        choices: match step.question {
            Some(QuestionOutline::Choices(choices)) => Some(choices),
            Some(QuestionOutline::Number) | None => None,
        },
    };
    LessonChoice {
        name: lesson.name.to_owned(),
        title: format!("{}. {title}", lesson.number),
        steps: lesson.steps.iter().map(step).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_only_its_own_machine_reaches_is_told_from_others() {
        for site in [
            "http://localhost:3000",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
        ] {
            assert!(is_local(site), "{site}");
        }
        for site in [
            "http://192.168.4.1:3000",
            "https://class.example",
            "http://[fe80::1]:3000",
            "",
        ] {
            assert!(!is_local(site), "{site}");
        }
    }

    #[test]
    fn every_lesson_can_be_chosen_with_its_steps_in_words() {
        for lesson in LESSONS {
            let choice = choice(Language::De, lesson);
            assert_eq!(choice.steps.len(), lesson.steps.len());
            assert_ne!(choice.title, lesson.name);
        }
    }
}
