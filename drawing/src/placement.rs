//! Finds a place for every text that stands in the picture, so that none touches another, a block or an
//! arrow's head.
//!
//! The layout has wishes; here they are granted or amended. Blocks and arrows are fixed. Each text then takes
//! the best free place near the one that it wants: first at its full size, in other wraps and a little to the
//! side, then smaller, down to 70 %. Where a text finds none, or has to shrink, everything is tried again
//! with that text first, a bounded number of times; the best outcome counts.

mod candidates;
mod offsets;
mod task;

use crate::DrawError;
use crate::geometry::{Point, Rect};
use crate::obstacles::Obstacles;
use crate::paragraph::TextBlock;
use crate::scene::Scene;

use candidates::Context;
pub(crate) use candidates::{CLOUD_MARK, HEAD_MARK};
pub(crate) use task::Task;

/// The rounds: how small a text may become in each. A search that fails is the dearest one, so the first
/// rounds look only for places at about the full size.
const ROUNDS: [f64; 6] = [0.92, 0.92, 0.92, 0.84, 0.7, 0.7];

/// A text with its place: a name with its role, a plate, a head, a note.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    pub(crate) task: Task,
    /// The paragraphs; a name comes before its role.
    pub(crate) texts: Vec<TextBlock>,
    /// What it takes, with its plate, its number or its mark.
    pub(crate) rect: Rect,
    /// The plate itself.
    pub(crate) plate: Rect,
    /// The line from a note to what it is about, ending there.
    pub(crate) leader: Option<[Point; 2]>,
}

impl Placement {
    fn scale(&self) -> f64 {
        self.texts.iter().map(|it| it.paragraph.scale).fold(1.0, f64::min)
    }
}

/// Places all texts of a scene around the obstacles that do not move.
pub(crate) fn arrange(scene: &Scene<'_>, obstacles: &Obstacles) -> Result<Vec<Placement>, DrawError> {
    let mut order = Task::all(scene.layout);
    let mut best: Option<Outcome> = None;
    for smallest in ROUNDS {
        // Nothing is gained by a round that allows smaller texts once all have a place.
        if best
            .as_ref()
            .is_some_and(|it| it.failed.is_empty() && smallest < ROUNDS[0])
        {
            break;
        }
        let outcome = attempt(scene, obstacles.clone(), &order, smallest);
        let amended = outcome.amended(&order);
        if best.as_ref().is_none_or(|it| outcome.cost() < it.cost()) {
            best = Some(outcome);
        }
        if amended == order && best.as_ref().is_some_and(|it| it.failed.is_empty()) {
            break;
        }
        order = amended;
    }
    let outcome = best.unwrap_or_default();
    match outcome.failed.first() {
        None => Ok(outcome.placements),
        Some(task) => Err(DrawError::CannotFit {
            label: task.label(scene),
        }),
    }
}

/// What came of one attempt.
#[derive(Debug, Default)]
struct Outcome {
    placements: Vec<Placement>,
    failed: Vec<Task>,
}

impl Outcome {
    /// Lower is better: a text without a place costs more than any shrinking.
    fn cost(&self) -> f64 {
        let shrunk: f64 = self
            .placements
            .iter()
            .map(|placement| 1.0 - placement.scale())
            .sum();
        let failed = u32::try_from(self.failed.len()).unwrap_or(u32::MAX);
        1000.0 * f64::from(failed) + shrunk
    }

    /// The order with those first that have found no place, or that have had to shrink.
    fn amended(&self, order: &[Task]) -> Vec<Task> {
        let is_pressed = |task: &Task| {
            self.failed.contains(task)
                || self
                    .placements
                    .iter()
                    .any(|placement| placement.task == *task && placement.scale() < 1.0)
        };
        let (pressed, others): (Vec<Task>, Vec<Task>) = order.iter().partition(|task| is_pressed(task));
        [pressed, others].concat()
    }
}

fn attempt(scene: &Scene<'_>, mut obstacles: Obstacles, order: &[Task], smallest: f64) -> Outcome {
    let mut outcome = Outcome::default();
    for task in order {
        match candidates::best(
            Context {
                scene,
                obstacles: &obstacles,
                smallest,
            },
            *task,
        ) {
            Some(placement) => {
                obstacles.add_text(placement.rect);
                if let Some(leader) = placement.leader {
                    obstacles.add_line(usize::MAX, &leader);
                }
                outcome.placements.push(placement);
            }
            None => outcome.failed.push(*task),
        }
    }
    outcome
}
