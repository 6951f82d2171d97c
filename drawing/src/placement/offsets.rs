//! How far a text may move from the place that it wants, the nearest offsets first.

use std::sync::LazyLock;

/// An offset in two directions, with what it costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offset {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) cost: f64,
}

/// For plates: along their line, and across it.
pub(super) static ALONG: LazyLock<Vec<Offset>> = LazyLock::new(|| {
    let along = [0.0, 8.0, -8.0, 16.0, -16.0, 24.0, -24.0, 34.0, -34.0, 48.0, -48.0];
    let across = [0.0, 5.0, -5.0, 10.0, -10.0, 15.0, -15.0, 20.0, -20.0, 25.0, -25.0];
    sorted(along.iter().flat_map(|x| across.map(|y| (*x, y))), |x, y| {
        x.abs() + 1.6 * y.abs()
    })
});

/// For notes and heads: anywhere around.
pub(super) static AROUND: LazyLock<Vec<Offset>> = LazyLock::new(|| {
    let steps = |count: i32, step: f64| (-count..=count).map(move |i| f64::from(i) * step);
    sorted(
        steps(11, 10.0).flat_map(|x| steps(9, 7.0).map(move |y| (x, y))),
        |x, y| x.hypot(1.5 * y),
    )
});

/// For names: sideways, and up.
pub(super) static ASIDE: LazyLock<Vec<Offset>> = LazyLock::new(|| {
    let aside = [0.0, 8.0, -8.0, 16.0, -16.0, 24.0, -24.0, 34.0, -34.0, 46.0, -46.0];
    sorted(
        aside
            .iter()
            .flat_map(|x| [0.0, -7.0, -14.0, -22.0].map(|y| (*x, y))),
        |x, y| x.abs() + 2.0 * y.abs(),
    )
});

fn sorted(offsets: impl Iterator<Item = (f64, f64)>, cost: impl Fn(f64, f64) -> f64) -> Vec<Offset> {
    let mut offsets: Vec<Offset> = offsets
        .map(|(x, y)| Offset {
            x,
            y,
            cost: cost(x, y),
        })
        .collect();
    offsets.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    offsets
}
