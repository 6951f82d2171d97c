//! Plots of the results as SVG: `growth.svg`, what a longer log or more open orders cost, and `latency.svg`,
//! the median and the 99th percentile of each contender. A row is a line from a low to a high figure.
//! `soak.svg` has a chart of each figure over the time of a soak.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, anyhow};
use plotters::{
    chart::ChartBuilder,
    coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter},
    drawing::IntoDrawingArea as _,
    element::{Circle, PathElement, Text},
    prelude::{IntoLogRange as _, SVGBackend},
    style::{Color as _, IntoFont as _, RGBColor, TextStyle},
};

use super::{Report, ReportedCase, number};
use crate::case::{Measure, Series};

const WIDTH: u32 = 960;
const ROW: u32 = 20;
const LABELS: u32 = 470;
const CHART: u32 = 150;

const OURS: RGBColor = RGBColor(27, 94, 173);
const OTHERS: RGBColor = RGBColor(120, 120, 120);
const AIM: RGBColor = RGBColor(196, 60, 40);
const TEXT: RGBColor = RGBColor(60, 60, 60);

/// The threshold of the design for growth.
const GROWTH: f64 = 1.2;

/// A row of a plot.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    label: String,
    low: f64,
    dot: f64,
    high: f64,
    ours: bool,
}

/// Writes those plots into a folder that the report has figures for.
pub(super) fn write(report: &Report, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let growth = growth(&report.cases);
    if !growth.is_empty() {
        let most = growth.iter().map(|row| row.high).fold(GROWTH, f64::max);
        let caption = "Cost relative to the smallest size: median, minimum and maximum of the runs; aim 1.2";
        let svg = draw(&growth, caption, 0.0..most * 1.05, &[1.0, GROWTH])?;
        save(&folder.join("growth.svg"), &svg)?;
    }
    let latency = latency(&report.cases);
    if !latency.is_empty() {
        let least = latency.iter().map(|row| row.low).fold(f64::MAX, f64::min);
        let most = latency.iter().map(|row| row.high).fold(0.0, f64::max);
        let caption = "Milliseconds, logarithmic: from the median (dot) to the 99th percentile";
        let axis = (least * 0.8..most * 1.2).log_scale();
        let svg = draw(&latency, caption, axis, &[])?;
        save(&folder.join("latency.svg"), &svg)?;
    }
    let courses = courses(&report.cases);
    if !courses.is_empty() {
        save(&folder.join("soak.svg"), &draw_courses(&courses)?)?;
    }
    Ok(())
}

/// What changed over the time of a run, with its caption.
fn courses(cases: &[ReportedCase]) -> Vec<(String, &Series)> {
    let mut courses = Vec::new();
    for ReportedCase { found, .. } in cases {
        for series in found.contenders.iter().flat_map(|placed| &placed.series) {
            courses.push((format!("{}: {}", found.title, series.name), series));
        }
    }
    courses
}

/// Draws a chart for each, one below the other, over the seconds.
fn draw_courses(courses: &[(String, &Series)]) -> Result<String> {
    let count = u32::try_from(courses.len())?;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, count * CHART)).into_drawing_area();
        let text = TextStyle::from(("sans-serif", 13).into_font()).color(&TEXT);
        for (area, (caption, series)) in root.split_evenly((courses.len(), 1)).iter().zip(courses) {
            area.draw(&Text::new(caption.as_str(), (8, 8), text.clone()))
                .map_err(failed)?;
            let end = series.points.iter().map(|(at, _)| *at).fold(1.0, f64::max);
            let most = series
                .points
                .iter()
                .map(|(_, figure)| *figure)
                .fold(0.0, f64::max);
            // From zero, so that a flat line looks flat.
            let top = if most > 0.0 { most * 1.1 } else { 1.0 };
            let mut chart = ChartBuilder::on(area)
                .margin_top(28)
                .margin_right(24)
                .x_label_area_size(24)
                .y_label_area_size(80)
                .build_cartesian_2d(0.0..end, 0.0..top)
                .map_err(failed)?;
            chart
                .configure_mesh()
                .x_labels(10)
                .y_labels(4)
                .x_label_formatter(&|seconds| format!("{seconds:.0} s"))
                .y_label_formatter(&|figure| number(*figure))
                .label_style(text.clone())
                .draw()
                .map_err(failed)?;
            let line = PathElement::new(series.points.clone(), OURS.stroke_width(2));
            chart.draw_series([line]).map_err(failed)?;
        }
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

fn save(file: &Path, svg: &str) -> Result<()> {
    fs::write(file, svg).with_context(|| format!("write {}", file.display()))
}

/// The ratios of costs to those of the smallest size.
fn growth(cases: &[ReportedCase]) -> Vec<Row> {
    let grows = |case: &&ReportedCase| matches!(case.benchmark, "growth" | "orders");
    let mut rows = Vec::new();
    for ReportedCase { found, .. } in cases.iter().filter(grows) {
        for compared in &found.comparisons {
            if compared.to.is_none() || compared.measure == Measure::PerSecond {
                continue;
            }
            let size = compared.of.trim_start_matches("ours, ");
            rows.push(Row {
                label: format!(
                    "{}: {size}",
                    found.title.trim_end_matches(", by the length of the log")
                ),
                low: compared.figure.min,
                dot: compared.figure.median,
                high: compared.figure.max,
                ours: true,
            });
        }
    }
    rows
}

/// The latencies of ours and of what it is compared with.
fn latency(cases: &[ReportedCase]) -> Vec<Row> {
    let timed = |case: &&ReportedCase| matches!(case.benchmark, "append" | "commands" | "live");
    let mut rows = Vec::new();
    for ReportedCase { benchmark, found } in cases.iter().filter(timed) {
        for placed in &found.contenders {
            let (Some(p50), Some(p99)) = (&placed.figures.p50_ms, placed.figures.p99_ms) else {
                continue;
            };
            rows.push(Row {
                label: format!("{benchmark}, {}: {}", found.title, placed.name),
                low: p50.median,
                dot: p50.median,
                high: p99.max(p50.median),
                ours: placed.name.starts_with("ours"),
            });
        }
    }
    rows
}

/// Draws rows over an axis, with vertical lines at `marks`.
fn draw<A>(rows: &[Row], caption: &str, axis: A, marks: &[f64]) -> Result<String>
where
    A: AsRangedCoord<Value = f64>,
    A::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let count = u32::try_from(rows.len())?;
    let end = f64::from(count);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, count * ROW + 90)).into_drawing_area();
        let text = TextStyle::from(("sans-serif", 13).into_font()).color(&TEXT);
        root.draw(&Text::new(caption, (8, 8), text.clone()))
            .map_err(failed)?;
        let mut chart = ChartBuilder::on(&root)
            .margin_top(36)
            .margin_right(24)
            .x_label_area_size(32)
            .y_label_area_size(LABELS)
            .build_cartesian_2d(axis, end..0.0)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(0)
            .x_labels(8)
            .x_label_formatter(&|figure| number(*figure))
            .label_style(text.clone())
            .draw()
            .map_err(failed)?;
        for mark in marks {
            let line = PathElement::new(vec![(*mark, 0.0), (*mark, end)], AIM.stroke_width(1));
            chart.draw_series([line]).map_err(failed)?;
        }
        for (at, row) in (0_u32..).zip(rows) {
            let middle = f64::from(at) + 0.5;
            let colour = if row.ours { OURS } else { OTHERS };
            let line = PathElement::new(
                vec![(row.low, middle), (row.high, middle)],
                colour.stroke_width(3),
            );
            chart.draw_series([line]).map_err(failed)?;
            let dot = Circle::new((row.dot, middle), 4, colour.filled());
            chart.draw_series([dot]).map_err(failed)?;
            let top = i32::try_from(at * ROW)? + 40;
            root.draw(&Text::new(row.label.as_str(), (8, top), text.clone()))
                .map_err(failed)?;
        }
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("draw a plot: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_a_label_and_a_dot_for_each_row() {
        let row = |label: &str, ours| Row {
            label: label.to_owned(),
            low: 1.0,
            dot: 1.1,
            high: 1.3,
            ours,
        };
        let rows = [row("SQLite: 100000 events", true), row("bare axum", false)];
        let svg = draw(&rows, "Cost", 0.0..2.0, &[1.2]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("SQLite: 100000 events") && svg.contains("bare axum"));
        let logarithmic = draw(&rows, "Cost", (0.1..10.0).log_scale(), &[]).unwrap();
        assert_eq!(logarithmic.matches("<circle").count(), 2);
    }

    #[test]
    fn a_course_has_a_chart_with_its_caption() {
        let series = |name, points| Series {
            name,
            tenths: Vec::new(),
            points,
        };
        let memory = series("memory, MiB", vec![(1.0, 90.0), (2.0, 91.0), (3.0, 90.5)]);
        let behind = series("events behind", vec![(1.0, 0.0), (2.0, 0.0)]);
        let courses = [
            ("SQLite: memory, MiB".to_owned(), &memory),
            ("SQLite: events behind".to_owned(), &behind),
        ];
        let svg = draw_courses(&courses).unwrap();
        assert!(svg.contains("SQLite: memory, MiB") && svg.contains("SQLite: events behind"));
        assert!(svg.contains("<polyline"), "{svg}");
    }
}
