//! The page of the picture: the infographic in the reader's choice of language, sheet, theme and format, and
//! what can be downloaded and copied. Choosing needs no script; `frontend/infographic.js` copies, and draws
//! the PNG files.

use domain::language::Language;
use drawing::{Format, Labels, Names, Request, Sheet, TITLE_LIMIT};
use leptos::prelude::*;
use leptos_meta::Meta;
use leptos_router::hooks::use_query_map;
use url::form_urlencoded;

use crate::{
    SiteAddress, Theme,
    components::{Field, Icon, Picture, WindowTitle},
    erase::{Erase, View},
    language::{language, requested_language},
    shell::InfographicScript,
    text,
};

/// The parameter of this page with the language of the labels.
const LABELS: &str = "labels";
/// The maximum length of a title.
#[expect(clippy::cast_possible_truncation, reason = "it is 120")]
const MAX_TITLE: u16 = TITLE_LIMIT as u16;
/// The factors by which a PNG file is larger than the picture.
const PNG_SCALES: [u32; 3] = [1, 2, 4];

/// The reader's choice, as the query of the page has it; what is unknown has its default.
struct Choice {
    language: Language,
    sheet: Sheet,
    theme: drawing::Theme,
    format: Format,
    names: Names,
    title: String,
}

impl Choice {
    fn of_query() -> Self {
        let query = use_query_map();
        let value = |name: &str| query.with_untracked(|query| query.get(name)).unwrap_or_default();
        let preferred = match use_context::<Theme>().unwrap_or_default() {
            Theme::Light => drawing::Theme::Light,
            Theme::Dark | Theme::Auto => drawing::Theme::Dark,
        };
        Self {
            language: value(LABELS).parse().unwrap_or_else(|_| requested_language()),
            sheet: Sheet::parse(&value("sheet")).unwrap_or(Sheet::Pattern),
            theme: drawing::Theme::parse(&value("theme")).unwrap_or(preferred),
            format: Format::parse(&value("format")).unwrap_or(Format::Wide),
            names: match value("names").as_str() {
                "document" => Names::DOCUMENT,
                _ => use_context().unwrap_or(Names::DOCUMENT),
            },
            title: value("title").trim().to_owned(),
        }
    }

    /// The query of `/infographic.svg`, or of this page. They differ in the name of the labels' language: on
    /// a page, `lang` is the language of the interface.
    fn query(&self, language: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("sheet", self.sheet.as_str())
            .append_pair(language, self.language.code())
            .append_pair("theme", self.theme.as_str())
            .append_pair("format", self.format.as_str());
        if self.names == Names::DOCUMENT {
            query.append_pair("names", "document");
        }
        if !self.title.is_empty() {
            query.append_pair("title", &self.title);
        }
        query.finish()
    }

    fn draw(&self) -> Result<String, drawing::DrawError> {
        let request = Request {
            sheet: self.sheet,
            format: self.format,
            theme: self.theme,
            names: self.names,
            language: self.language.code(),
            direction: self.language.direction(),
            labels: Labels::of(self.language),
            title: (!self.title.is_empty()).then_some(self.title.as_str()),
        };
        Ok(drawing::draw(&request)?.svg)
    }
}

/// The page.
#[component]
pub(crate) fn InfographicPage() -> impl IntoView {
    let language = language();
    let mut choice = Choice::of_query();
    let mut drawn = choice.draw();
    let typed = choice.title.clone();
    let SiteAddress(site) = use_context().unwrap_or_default();
    let mut error = None;
    if drawn.is_err() {
        // The title is the only text of the reader's own. It stays in its field, to be shortened.
        error = Some(text::infographic::own_title_wrong(language));
        choice.title.clear();
        drawn = choice.draw();
    }
    let svg = drawn.unwrap_or_default();
    view! {
        <WindowTitle text=text::infographic::title(language) />
        <Meta name="description" content=text::infographic::lead(language) />
        <Meta property="og:title" content=text::infographic::title(language) />
        <Meta property="og:description" content=text::infographic::lead(language) />
        <Meta property="og:image" content=format!("{site}/social.png") />
        <div class="infographic">
            <h1>{text::infographic::title(language)}</h1>
            <p class="muted">{text::infographic::lead(language)}</p>
            {form(language, &choice, typed, error)}
            <div class="infographic__picture" data-format=choice.format.as_str() inner_html=svg></div>
            {downloads(language, &choice)}
        </div>
        <InfographicScript />
    }
    .erase()
}

/// The form that changes the choice. `typed` is the title as the reader typed it, and `error` what is wrong
/// with it.
fn form(language: Language, choice: &Choice, typed: String, error: Option<&'static str>) -> View {
    let languages = Language::ALL.map(|one| (one.code(), one.endonym()));
    let sheets = [
        (
            Sheet::Pattern.as_str(),
            text::infographic::sheet_pattern(language),
        ),
        (
            Sheet::Business.as_str(),
            text::infographic::sheet_business(language),
        ),
    ];
    let themes = [
        (
            drawing::Theme::Dark.as_str(),
            text::infographic::theme_dark(language),
        ),
        (
            drawing::Theme::Light.as_str(),
            text::infographic::theme_light(language),
        ),
    ];
    let formats = [
        (Format::Wide.as_str(), text::infographic::format_wide(language)),
        (Format::Tall.as_str(), text::infographic::format_tall(language)),
    ];
    let names = [
        ("running", text::infographic::names_running(language)),
        ("document", text::infographic::names_document(language)),
    ];
    let source = if choice.names == Names::DOCUMENT {
        "document"
    } else {
        "running"
    };
    view! {
        <form method="get" action="/infographic" class="infographic__form">
            {select(LABELS, text::infographic::language(language), &languages, choice.language.code())}
            {select("sheet", text::infographic::sheet(language), &sheets, choice.sheet.as_str())}
            {select("theme", text::infographic::theme(language), &themes, choice.theme.as_str())}
            {select("format", text::infographic::format(language), &formats, choice.format.as_str())}
            {select("names", text::infographic::names(language), &names, source)}
            <Field
                id="infographic-title"
                name="title"
                label=text::infographic::own_title(language)
                help=text::infographic::own_title_help(language)
                error=Signal::stored(error)
                value=typed
                max=MAX_TITLE
            />
            <button class="button button--primary">{text::infographic::show(language)}</button>
        </form>
    }
    .erase()
}

/// A choice among a few values.
fn select(
    name: &'static str,
    label: &'static str,
    options: &[(&'static str, &'static str)],
    chosen: &str,
) -> View {
    let id = format!("infographic-{name}");
    let options = options
        .iter()
        .map(|&(value, text)| {
            let lang = (name == LABELS).then_some(value);
            view! { <option value=value lang=lang selected=value == chosen>{text}</option> }
        })
        .collect_view();
    view! {
        <div class="field">
            <label for=id.clone()>{label}</label>
            <select id=id name=name>{options}</select>
        </div>
    }
    .erase()
}

/// What can be taken along: files and texts.
fn downloads(language: Language, choice: &Choice) -> View {
    let svg = format!("/infographic.svg?{}", choice.query("lang"));
    let page = format!("/infographic?{}", choice.query(LABELS));
    let mermaid = format!(
        "/architecture.mmd?sheet={}&lang={}",
        choice.sheet.as_str(),
        choice.language
    );
    let file = format!("foldline-{}-{}", choice.sheet.as_str(), choice.language);
    let images = PNG_SCALES.map(|scale| {
        view! {
            <button type="button" class="button" data-png=scale data-file=format!("{file}@{scale}x.png")>
                {text::infographic::png(language, scale)}
            </button>
        }
        .erase()
    });
    view! {
        <section class="infographic__downloads" aria-labelledby="infographic-downloads">
            <h2 id="infographic-downloads">{text::infographic::download(language)}</h2>
            <div class="infographic__actions">
                <a class="button" href=svg.clone() download=format!("{file}.svg") rel="external">
                    <Icon picture=Picture::Download />
                    {text::infographic::svg(language)}
                </a>
                {images.into_iter().collect_view()}
                <button type="button" class="button" data-copy="link" data-address=page>
                    {text::infographic::copy_link(language)}
                </button>
                <button type="button" class="button" data-copy="html" data-address=svg>
                    {text::infographic::copy_html(language)}
                </button>
                <button type="button" class="button" data-copy="text" data-address=mermaid>
                    {text::infographic::copy_mermaid(language)}
                </button>
            </div>
            <p
                class="muted"
                role="status"
                id="infographic-status"
                data-copied=text::infographic::copied(language)
                data-ready=text::infographic::downloaded(language)
                data-failed=text::infographic::failed(language)
            ></p>
            <noscript><p class="muted">{text::infographic::needs_script(language)}</p></noscript>
            <p class="muted">
                <a href="/api/docs/" rel="external">{text::infographic::custom(language)}</a>
            </p>
        </section>
    }
    .erase()
}
