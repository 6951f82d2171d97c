//! Charts as SVG, drawn by plotters: the same text on the server and in the browser. It names colours only to tell its parts
//! apart; what they look like says the style sheet, which overrules an attribute (`style/chart.css`).
//!
//! A chart is a picture, hidden from assistive technology; whoever shows one shows the figures as a table, too.

use leptos::prelude::*;
use plotters::{
    chart::ChartBuilder,
    drawing::IntoDrawingArea,
    element::Rectangle,
    prelude::{IntoSegmentedCoord, SVGBackend, SegmentValue},
    style::{Color, IntoFont, RGBColor, TRANSPARENT},
};

use super::text;
use crate::erase::{Erase, View};

/// What a part of a chart is painted with; the style sheet knows the same ones.
const BAR: RGBColor = RGBColor(1, 0, 0);
const LINE: RGBColor = RGBColor(2, 0, 0);
const WORDS: RGBColor = RGBColor(3, 0, 0);

/// What is higher is drawn as high as this: plotters looks for round values at the edge by multiplying, and would go beyond
/// 64 bits.
const HIGHEST: i64 = 1_000_000_000_000_000;

/// One bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bar {
    /// What stands below it.
    pub(crate) label: String,
    /// How high it is; not negative.
    pub(crate) value: i64,
}

/// Bars side by side. What is written at the edge is a value in units of `unit`, as 100 for cents of a euro.
pub(crate) fn bar_chart(bars: Signal<Vec<Bar>>, unit: Signal<i64>) -> View {
    // Scaling one drawing down would leave writing that nobody can read: there is one for each width.
    let drawing = move |width, height, labels| {
        text(move || bars.with(|bars| draw(bars, (width, height), labels, unit.get())))
    };
    view! {
        <div class="chart" aria-hidden="true">
            <div class="chart__wide" inner_html=drawing(960, 280, 10)></div>
            <div class="chart__narrow" inner_html=drawing(330, 220, 4)></div>
        </div>
    }
    .erase()
}

/// The chart as SVG; empty where it cannot be drawn, as without bars.
fn draw(bars: &[Bar], size: (u32, u32), labels: usize, unit: i64) -> String {
    let mut svg = String::new();
    if bars.is_empty() || try_draw(bars, size, labels, unit, &mut svg).is_none() {
        svg.clear();
    }
    svg
}

fn try_draw(bars: &[Bar], size: (u32, u32), labels: usize, unit: i64, svg: &mut String) -> Option<()> {
    let highest = bars
        .iter()
        .map(|bar| bar.value.min(HIGHEST))
        .max()
        .unwrap_or_default()
        .max(1);
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    // Only these two edges have labels: for others plotters would measure them, and the browser's half would do that in
    // the page, and come to another picture than the server's.
    let mut chart = ChartBuilder::on(&root)
        .margin(8)
        .x_label_area_size(32)
        .y_label_area_size(72)
        .build_cartesian_2d((0..bars.len()).into_segmented(), 0..highest + highest / 12)
        .ok()?;
    let words = ("sans-serif", 16).into_font().color(&WORDS);
    let label = |at: &SegmentValue<usize>| match at {
        SegmentValue::Exact(at) | SegmentValue::CenterOf(at) => {
            bars.get(*at).map(|bar| bar.label.clone()).unwrap_or_default()
        }
        SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(LINE)
        .axis_style(LINE)
        .x_labels(labels)
        .x_label_formatter(&label)
        .y_labels(5)
        .y_label_formatter(&|value| (value / unit.max(1)).to_string())
        .label_style(words)
        .draw()
        .ok()?;
    let gap = if bars.len() > 12 { 2 } else { 6 };
    chart
        .draw_series(bars.iter().enumerate().map(|(at, bar)| {
            let corners = [
                (SegmentValue::Exact(at), 0),
                (SegmentValue::Exact(at + 1), bar.value.min(HIGHEST)),
            ];
            let mut rectangle = Rectangle::new(corners, BAR.filled());
            rectangle.set_margin(0, 0, gap, gap);
            rectangle
        }))
        .ok()?;
    root.present().ok()
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn drawn(values: &[i64]) -> String {
        let bars: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(day, &value)| Bar {
                label: format!("11-{day:02}"),
                value,
            })
            .collect();
        draw(&bars, (960, 280), 10, 1)
    }

    #[test]
    fn a_chart_has_a_bar_for_each_value_and_no_style_that_a_policy_refuses() {
        let svg = drawn(&[5, 0, 12]);
        assert_eq!(svg.matches("<rect").count(), 3, "{svg}");
        assert!(svg.contains("fill=\"#010000\""), "{svg}");
        assert!(svg.contains("11-01"), "{svg}");
        assert!(!svg.contains("style="), "{svg}");
    }

    #[test]
    fn no_value_is_too_small_or_too_large_to_be_drawn() {
        assert_eq!(drawn(&[]), "");
        for values in [vec![0], vec![0, 0], vec![i64::MAX, 1]] {
            assert!(drawn(&values).contains("<rect"), "{values:?}");
        }
    }
}
