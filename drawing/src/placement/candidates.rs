//! The places that a text may take, and the best that is free.
//!
//! For every kind of text the search is the same: sizes from large to small; for a size, several wraps; for a
//! wrap, the offsets from near to far. The first size at which a place is free decides; among its places the
//! cheapest wins.

use super::offsets::{ALONG, AROUND, ASIDE, Offset};
use super::{Placement, Task};
use crate::geometry::{Point, Rect};
use crate::obstacles::Obstacles;
use crate::paragraph::{Draft, Paragraph, TextBlock, attempts};
use crate::scene::Scene;
use crate::text::Weight;

/// How far a plate's edge is from its text.
const PLATE: (f64, f64) = (8.0, 5.0);
/// The same for a note, which has a mark at its start.
const NOTE: (f64, f64) = (10.0, 5.0);
/// The same for the backing of a name.
const BACKING: (f64, f64) = (6.0, 3.0);
/// Between a name and its role.
const ROLE_GAP: f64 = 3.0;
/// Between a name and its block.
const NAME_GAP: f64 = 8.0;
/// From the middle of a head's mark to its text.
pub(crate) const HEAD_MARK: f64 = 14.0;
/// From the middle of the cloud's icon to its name.
pub(crate) const CLOUD_MARK: f64 = 30.0;
/// How long a line to a note's target may be.
const LEADER: std::ops::RangeInclusive<f64> = 9.0..=190.0;
/// A line that breaks within a word costs as much as a move by so many pixels.
const CUT: f64 = 14.0;

/// What a search knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) obstacles: &'a Obstacles,
    /// The smallest part of its size that a text may have.
    pub(super) smallest: f64,
}

/// Parts of the width that a name may have, and how many lines it and its role may take.
const NAME_WRAPS: [(f64, [usize; 2]); 7] = [
    (1.0, [2, 3]),
    (1.2, [2, 3]),
    (0.85, [2, 3]),
    (0.7, [2, 3]),
    (1.45, [2, 3]),
    (1.0, [3, 4]),
    (0.75, [3, 5]),
];

/// The best place for a text, if there is one.
pub(super) fn best(context: Context<'_>, task: Task) -> Option<Placement> {
    match task {
        Task::Name(i) => name(context, i),
        Task::Plate(i) => plate(context, i),
        Task::Cloud => cloud(context),
        Task::Head(i) => head(context, i),
        Task::Note(i) => note(context, i),
    }
}

/// The cheapest place so far.
struct PlaceSearch {
    task: Task,
    best: Option<(f64, Placement)>,
}

impl PlaceSearch {
    /// The first size at which `places` finds something decides.
    fn run(
        context: Context<'_>,
        task: Task,
        mut places: impl FnMut(&mut Self, bool, f64),
    ) -> Option<Placement> {
        let mut search = Self { task, best: None };
        for (cut, scale) in attempts().filter(|(_, scale)| *scale >= context.smallest) {
            places(&mut search, cut, scale);
            if let Some((_, placement)) = search.best {
                return Some(placement);
            }
        }
        None
    }

    fn is_worse(&self, cost: f64) -> bool {
        self.best.as_ref().is_some_and(|(best, _)| cost >= *best)
    }

    fn offer(
        &mut self,
        cost: f64,
        texts: Vec<TextBlock>,
        rect: Rect,
        plate: Rect,
        leader: Option<[Point; 2]>,
    ) {
        self.best = Some((
            cost,
            Placement {
                task: self.task,
                texts,
                rect,
                plate,
                leader,
            },
        ));
    }
}

/// What a wrap costs: another width than the one of the layout, and words that are cut.
fn wrap_cost(factor: f64, paragraph: &Paragraph) -> f64 {
    (1.0 - factor).abs() * 24.0 + paragraph.cuts() * CUT
}

/// Name and role, one above the other, centred on `x` and ending at `bottom`.
fn stacked(name: &Paragraph, role: Option<&Paragraph>, x: f64, bottom: f64) -> Vec<TextBlock> {
    let height = name.height() + role.map_or(0.0, |role| ROLE_GAP + role.height());
    let mut texts = vec![TextBlock::centred(name.clone(), x, bottom - height)];
    texts.extend(role.map(|role| TextBlock::centred(role.clone(), x, bottom - role.height())));
    texts
}

fn bounds(texts: &[TextBlock], forward: f64) -> Rect {
    let corners = texts
        .iter()
        .map(|text| text.rect(forward))
        .flat_map(|it| [Point::new(it.left, it.top), Point::new(it.right, it.bottom)]);
    Rect::bounds(&corners.collect::<Vec<_>>())
}

fn name(context: Context<'_>, index: usize) -> Option<Placement> {
    let Context { scene, obstacles, .. } = context;
    let (block, sizes) = (&scene.layout.boxes[index], &scene.layout.sizes);
    let forward = scene.projection.forward();
    let name = scene.draft(&block.name, sizes.name, Weight::Bold);
    let role = block
        .role
        .as_ref()
        .map(|role| scene.draft(role, sizes.role, Weight::Regular));
    let [width, depth, height] = block.size;
    let wanted = block.name_width.unwrap_or(sizes.name_width);
    if let Some(on) = block.name_on {
        let paragraph = name.fit(wanted, 60.0, 3)?;
        let center = scene.projection.grid(on, height);
        let bottom = center.y + paragraph.height() / 2.0;
        let texts = stacked(&paragraph, None, center.x, bottom);
        let rect = bounds(&texts, forward).grown(BACKING.0, BACKING.1);
        return Some(Placement {
            task: Task::Name(index),
            texts,
            rect,
            plate: rect,
            leader: None,
        });
    }
    let top = scene
        .projection
        .grid([block.at[0] - width / 2.0, block.at[1] - depth / 2.0], height);
    PlaceSearch::run(context, Task::Name(index), |search, cut, scale| {
        for (factor, lines) in NAME_WRAPS {
            let Some(name) = name.set(scale, wanted * factor, lines[0], cut) else {
                continue;
            };
            let role = role
                .as_ref()
                .map(|role| role.set(scale, wanted * factor, lines[1], cut));
            let Some(role) = role.map_or(Some(None), |role| role.map(Some)) else {
                continue;
            };
            let wrap = wrap_cost(factor, &name) + role.as_ref().map_or(0.0, |role| role.cuts() * CUT);
            for offset in ASIDE.iter() {
                let cost = offset.cost + wrap;
                if search.is_worse(cost) {
                    break;
                }
                let texts = stacked(
                    &name,
                    role.as_ref(),
                    top.x + offset.x,
                    top.y - NAME_GAP + offset.y,
                );
                let rect = bounds(&texts, forward);
                if obstacles.is_free(rect, None) {
                    search.offer(cost, texts, rect, rect.grown(BACKING.0, BACKING.1), None);
                }
            }
        }
    })
}

fn plate(context: Context<'_>, index: usize) -> Option<Placement> {
    let Context { scene, obstacles, .. } = context;
    let (arrow, sizes) = (&scene.layout.arrows[index], &scene.layout.sizes);
    let plate = arrow.plate.as_ref()?;
    let draft = scene.draft(&plate.label, sizes.plate, Weight::Regular);
    let forward = scene.projection.forward();
    let ends = [arrow.points[plate.segment], arrow.points[plate.segment + 1]];
    let [from, to] = ends.map(|point| scene.projection.grid(point, 0.0));
    let length = from.distance(to).max(1.0);
    let (along, down) = ((to.x - from.x) / length, (to.y - from.y) / length);
    let middle = from.toward(to, plate.along);
    let wanted = Point::new(middle.x + forward * plate.shift[0], middle.y + plate.shift[1]);
    let disc = if plate.number.is_some() { sizes.number } else { 0.0 };
    PlaceSearch::run(context, Task::Plate(index), |search, cut, scale| {
        for factor in [1.0, 0.8, 1.25, 0.65, 1.5, 1.8] {
            let width = plate.width.unwrap_or(sizes.plate_width) * factor;
            let Some(text) = draft.set(scale, width, 4, cut) else {
                continue;
            };
            let inner = (disc - 1.0).max(0.0);
            let width = text.width() + 2.0 * PLATE.0 + inner;
            let height = (text.height() + 2.0 * PLATE.1).max(2.0 * disc + 2.0);
            let wrap = wrap_cost(factor, &text);
            for Offset { x, y, cost } in ALONG.iter() {
                let cost = cost + wrap;
                if search.is_worse(cost) {
                    break;
                }
                let center = Point::new(wanted.x + along * x - down * y, wanted.y + down * x + along * y);
                let rect = Rect::around(center, width, height);
                let mut taken = rect;
                if forward > 0.0 {
                    taken.left -= disc;
                } else {
                    taken.right += disc;
                }
                if obstacles.lies_on(rect, index) && obstacles.is_free(taken, Some(index)) {
                    let x = center.x + forward * inner / 2.0;
                    let placed = TextBlock::centred(text.clone(), x, center.y - text.height() / 2.0);
                    search.offer(cost, vec![placed], taken, rect, None);
                }
            }
        }
    })
}

/// Offers the free places around a wish, from near to far, until no better one can follow.
fn around(
    search: &mut PlaceSearch,
    obstacles: &Obstacles,
    (wanted, [width, height], wrap): (Point, [f64; 2], f64),
    mut offer: impl FnMut(&mut PlaceSearch, Rect, f64),
) {
    for offset in AROUND.iter() {
        let cost = offset.cost + wrap;
        if search.is_worse(cost) {
            break;
        }
        let rect = Rect::around(
            Point::new(wanted.x + offset.x, wanted.y + offset.y),
            width,
            height,
        );
        if obstacles.is_free(rect, None) {
            offer(search, rect, cost);
        }
    }
}

fn head(context: Context<'_>, index: usize) -> Option<Placement> {
    let Context { scene, obstacles, .. } = context;
    let head = &scene.layout.heads[index];
    let draft = scene.draft(&head.label, scene.layout.sizes.head, Weight::Bold);
    let forward = scene.projection.forward();
    let wanted = scene.projection.canvas(head.at);
    PlaceSearch::run(context, Task::Head(index), |search, cut, scale| {
        for (limit, lines) in [(260.0, 1), (150.0, 2)] {
            let Some(text) = draft.set(scale, limit, lines, cut) else {
                continue;
            };
            let mark = HEAD_MARK + 8.0;
            let wrap = wrap_cost(1.0, &text) + if lines > 1 { 30.0 } else { 0.0 };
            let size = [text.width() + mark, text.height()];
            around(search, obstacles, (wanted, size, wrap), |search, rect, cost| {
                let start = if forward > 0.0 {
                    rect.left + mark
                } else {
                    rect.right - mark
                };
                let placed = TextBlock::started(text.clone(), start, rect.top);
                search.offer(cost, vec![placed], rect, rect, None);
            });
        }
    })
}

fn note(context: Context<'_>, index: usize) -> Option<Placement> {
    let Context { scene, obstacles, .. } = context;
    let note = &scene.layout.notes[index];
    let draft = scene.draft(&note.label, scene.layout.sizes.note, Weight::Regular);
    let forward = scene.projection.forward();
    let wanted = scene.projection.canvas(note.at);
    let targets = targets(scene, &note.targets);
    PlaceSearch::run(context, Task::Note(index), |search, cut, scale| {
        for factor in [1.0, 0.8, 1.3, 1.6, 2.0] {
            let Some(text) = draft.set(scale, note.width * factor, 4, cut) else {
                continue;
            };
            let size = [text.width() + 2.0 * NOTE.0, text.height() + 2.0 * NOTE.1];
            let wrap = wrap_cost(factor, &text);
            around(search, obstacles, (wanted, size, wrap), |search, rect, cost| {
                let Some((leader, cost)) = leader(search, obstacles, rect, (&targets, cost)) else {
                    return;
                };
                let x = rect.center().x + if note.is_side_label { 0.0 } else { forward * 2.0 };
                let placed = TextBlock::centred(text.clone(), x, rect.top + NOTE.1);
                search.offer(cost, vec![placed], rect, rect, Some(leader));
            });
        }
    })
}

/// Where the line of a note may lead to.
fn targets(scene: &Scene<'_>, targets: &[[f64; 3]]) -> Vec<Point> {
    targets
        .iter()
        .map(|[x, y, height]| scene.projection.grid([*x, *y], *height))
        .collect()
}

/// The line from a note to the first of its targets that it sees, with what the place costs then.
fn leader(
    search: &PlaceSearch,
    obstacles: &Obstacles,
    rect: Rect,
    (targets, cost): (&[Point], f64),
) -> Option<([Point; 2], f64)> {
    targets
        .iter()
        .zip([0.0, 12.0, 24.0, 36.0])
        .find_map(|(target, preference)| {
            let edge = rect.nearest(*target, 8.0);
            let length = edge.distance(*target);
            let cost = cost + preference + length * 0.25;
            let is_good = LEADER.contains(&length) && !search.is_worse(cost) && obstacles.sees(edge, *target);
            is_good.then_some(([edge, *target], cost))
        })
}

fn cloud(context: Context<'_>) -> Option<Placement> {
    let Context { scene, obstacles, .. } = context;
    let cloud = scene.layout.boundary.cloud.as_ref()?;
    let sizes = &scene.layout.sizes;
    let name: Draft = scene.draft(&cloud.name, sizes.name, Weight::Bold);
    let role = scene.draft(&cloud.role, sizes.role, Weight::Regular);
    let forward = scene.projection.forward();
    let wanted = scene.projection.canvas(cloud.at);
    let targets = targets(scene, &cloud.targets);
    let mark = CLOUD_MARK + 22.0;
    PlaceSearch::run(context, Task::Cloud, |search, cut, scale| {
        for factor in [1.0, 1.2, 0.8, 0.65] {
            let Some(name) = name.set(scale, cloud.width * factor, 2, cut) else {
                continue;
            };
            let Some(role) = role.set(scale, cloud.width * factor, 3, cut) else {
                continue;
            };
            let text_height = name.height() + ROLE_GAP + role.height();
            let size = [name.width().max(role.width()) + mark, text_height.max(34.0)];
            let wrap = wrap_cost(factor, &name) + role.cuts() * CUT;
            around(search, obstacles, (wanted, size, wrap), |search, rect, cost| {
                let Some((leader, cost)) = leader(search, obstacles, rect, (&targets, cost)) else {
                    return;
                };
                let start = if forward > 0.0 {
                    rect.left + mark
                } else {
                    rect.right - mark
                };
                let top = rect.center().y - text_height / 2.0;
                let texts = vec![
                    TextBlock::started(name.clone(), start, top),
                    TextBlock::started(role.clone(), start, top + name.height() + ROLE_GAP),
                ];
                search.offer(cost, texts, rect, rect, Some(leader));
            });
        }
    })
}
