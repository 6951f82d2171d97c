//! A sheet of the drawing for the page of the map: as an inline SVG, and in words.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use domain::language::Language;
use drawing::{Format, Labels, Names, Outline, OutlineArrow, OutlineBox, Request, Sheet, Theme};
use leptos::prelude::*;

use crate::{
    erase::{Erase, View},
    islands::{DRAWING, LabArrow, LabBox, LabSheet},
    language::language,
    text,
};

/// What a drawing depends on. Each member has a few values, so all drawings fit into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) sheet: Sheet,
    pub(super) names: Names,
    pub(super) language: Language,
}

impl Subject {
    /// A sheet for the page of this request.
    pub(super) fn of_request(sheet: Sheet) -> Self {
        Self {
            sheet,
            names: use_context().unwrap_or(Names::DOCUMENT),
            language: language(),
        }
    }

    /// The drawing as a part of a page, over which its island draws.
    pub(super) fn stage(self) -> View {
        view! {
            <div
                class="lab__drawing"
                id=DRAWING
                role="region"
                aria-label=text::lab_page::drawing(self.language)
                tabindex="0"
                inner_html=self.svg()
            ></div>
        }
        .erase()
    }

    /// The SVG for a page. Placing its texts takes a while, so it is drawn once.
    pub(super) fn svg(self) -> Arc<str> {
        static DRAWN: LazyLock<RwLock<HashMap<Subject, Arc<str>>>> = LazyLock::new(RwLock::default);
        // The map is whole even if another thread panicked while it had the lock.
        let kept = DRAWN
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&self)
            .cloned();
        kept.unwrap_or_else(|| {
            let drawn: Arc<str> = self.draw().into();
            let mut kept = DRAWN.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(kept.entry(self).or_insert(drawn))
        })
    }

    fn draw(self) -> String {
        let request = Request {
            names: self.names,
            ..Request::shipped(self.sheet, Format::Wide, Theme::default(), self.language)
        };
        // Every sheet can be drawn with labels of ours, which a test of the drawing shows.
        let svg = drawing::draw_for_page(&request)
            .map(|drawing| drawing.svg)
            .unwrap_or_default();
        // Assistive technology takes what is inside an image for a part of it, and the map has buttons.
        svg.replacen("role=\"img\"", "role=\"group\"", 1)
    }

    /// The sheet in words, for the islands.
    pub(super) fn words(self) -> LabSheet {
        let Outline { boxes, arrows } = drawing::outline(self.sheet, Labels::of(self.language), self.names);
        let of_box = |OutlineBox { id, name, role }| LabBox {
            id: id.to_owned(),
            name,
            role,
        };
        let of_arrow = |arrow| {
            let OutlineArrow {
                id,
                label,
                from,
                to,
                flow,
            } = arrow;
            LabArrow {
                id: id.to_owned(),
                label,
                from: from.to_owned(),
                to: to.to_owned(),
                flow: flow.to_owned(),
            }
        };
        LabSheet {
            name: self.sheet.as_str().to_owned(),
            boxes: boxes.into_iter().map(of_box).collect(),
            arrows: arrows.into_iter().map(of_arrow).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(sheet: Sheet, language: Language) -> Subject {
        Subject {
            sheet,
            names: Names::DOCUMENT,
            language,
        }
    }

    #[test]
    fn the_drawing_of_a_page_has_every_box_and_arrow_of_its_words_and_may_contain_buttons() {
        for sheet in Sheet::ALL {
            let subject = subject(sheet, Language::Ar);
            let svg = subject.svg();
            assert!(svg.contains("role=\"group\"") && !svg.contains("role=\"img\""));
            let LabSheet { name, boxes, arrows } = subject.words();
            assert_eq!(name, sheet.as_str());
            for id in boxes.iter().map(|it| format!("id=\"box-{}\"", it.id)) {
                assert_eq!(svg.matches(&id).count(), 1, "{id}");
            }
            for id in arrows.iter().map(|it| format!("id=\"arrow-{}\"", it.id)) {
                assert_eq!(svg.matches(&id).count(), 1, "{id}");
            }
        }
    }

    #[test]
    fn a_drawing_is_kept_for_the_next_page_and_another_language_has_another_one() {
        let first = subject(Sheet::Pattern, Language::En).svg();
        assert!(Arc::ptr_eq(&first, &subject(Sheet::Pattern, Language::En).svg()));
        assert_ne!(first, subject(Sheet::Pattern, Language::De).svg());
    }

    #[test]
    fn a_drawing_needs_no_inline_style_which_the_policy_of_pages_refuses() {
        for sheet in Sheet::ALL {
            let svg = subject(sheet, Language::En).svg();
            assert!(!svg.contains("style=") && !svg.contains("<style"), "{sheet:?}");
        }
    }

    #[test]
    fn a_drawing_has_the_colours_of_its_page_so_that_it_follows_the_theme() {
        for sheet in Sheet::ALL {
            let svg = subject(sheet, Language::En).svg();
            assert!(svg.contains("fill=\"var(--sheet-background)\""), "{sheet:?}");
            for attribute in ["fill=\"#", "stroke=\"#", "stop-color=\"#"] {
                assert!(!svg.contains(attribute), "{sheet:?} {attribute}");
            }
        }
    }
}
