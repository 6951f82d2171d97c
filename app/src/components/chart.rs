//! Charts as SVG, drawn by plotters: the same text on the server and in the browser. Its colours only
//! identify its parts; the style sheet, which overrides the attributes, defines their look
//! (`style/chart.css`).
//!
//! A chart is hidden from assistive technology; the page that shows it must offer the figures as a table,
//! too.

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

/// The colours that identify the parts of a chart; the style sheet selects by them.
const BAR: RGBColor = RGBColor(1, 0, 0);
const LINE: RGBColor = RGBColor(2, 0, 0);
const LABEL: RGBColor = RGBColor(3, 0, 0);

/// The highest bar drawn: plotters multiplies values when it looks for round labels, and would exceed 64
/// bits.
const MAX_VALUE: i64 = 1_000_000_000_000_000;

/// A chart with fewer bars keeps the space of this many, so that one day is no wall.
const FEWEST_PLACES: usize = 7;

/// One bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bar {
    /// The label below it.
    pub(crate) label: String,
    /// The height; not negative.
    pub(crate) value: i64,
}

/// A bar chart. The labels of the axis are values divided by `unit`, such as 100 for cents.
pub(crate) fn bar_chart(bars: Signal<Vec<Bar>>, unit: Signal<i64>) -> View {
    // One drawing for each width, because scaling one down would make its labels unreadable.
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
        .map(|bar| bar.value.min(MAX_VALUE))
        .max()
        .unwrap_or_default()
        .max(1);
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    // Only these two edges have labels: plotters would measure those of others, which the browser does with
    // its own fonts, with another result than the server.
    let mut chart = ChartBuilder::on(&root)
        .margin(8)
        .x_label_area_size(32)
        .y_label_area_size(72)
        .build_cartesian_2d(
            (0..bars.len().max(FEWEST_PLACES)).into_segmented(),
            0..highest + highest / 12,
        )
        .ok()?;
    let label_style = ("sans-serif", 16).into_font().color(&LABEL);
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
        .label_style(label_style)
        .draw()
        .ok()?;
    let gap = if bars.len() > 12 { 2 } else { 6 };
    chart
        .draw_series(bars.iter().enumerate().map(|(at, bar)| {
            let corners = [
                (SegmentValue::Exact(at), 0),
                (SegmentValue::Exact(at + 1), bar.value.min(MAX_VALUE)),
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
    fn a_chart_has_a_bar_for_each_value_and_no_inline_style() {
        let svg = drawn(&[5, 0, 12]);
        assert_eq!(svg.matches("<rect").count(), 3, "{svg}");
        assert!(svg.contains("fill=\"#010000\""), "{svg}");
        assert!(svg.contains("11-01"), "{svg}");
        assert!(!svg.contains("style="), "{svg}");
    }

    #[test]
    fn the_smallest_and_largest_values_are_drawn() {
        assert_eq!(drawn(&[]), "");
        for values in [vec![0], vec![0, 0], vec![i64::MAX, 1]] {
            assert!(drawn(&values).contains("<rect"), "{values:?}");
        }
    }
}
