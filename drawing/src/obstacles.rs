//! What is on the canvas already, and what a further text may therefore not touch.

use crate::geometry::{Point, Rect, polygon_meets, segment_meets};

/// How near to the edge of the canvas a text may come.
const MARGIN: f64 = 10.0;

/// How far texts stay apart, across and down.
const GAP: (f64, f64) = (3.0, 2.0);

/// How far a text stays away from an arrow that is not its own.
const LINE_GAP: f64 = 3.0;

/// How far the line from a note to its target stays away from bodies.
const LEADER_GAP: f64 = 3.0;

/// A convex body with the distance that texts keep from it.
#[derive(Debug, Clone)]
struct Body {
    points: Vec<Point>,
    bounds: Rect,
    gap: f64,
}

/// A straight part of an arrow.
#[derive(Debug, Clone, Copy)]
struct Segment {
    arrow: usize,
    ends: [Point; 2],
}

/// The canvas with its obstacles.
#[derive(Debug, Clone)]
pub(crate) struct Obstacles {
    inner: Rect,
    bodies: Vec<Body>,
    texts: Vec<Rect>,
    segments: Vec<Segment>,
}

impl Obstacles {
    pub(crate) fn new([width, height]: [f64; 2]) -> Self {
        let inner = Rect::new(MARGIN, MARGIN, width - MARGIN, height - MARGIN);
        Self {
            inner,
            bodies: Vec::new(),
            texts: Vec::new(),
            segments: Vec::new(),
        }
    }

    /// Adds a convex body, such as a block or an arrow's head.
    pub(crate) fn add_body(&mut self, points: Vec<Point>, gap: f64) {
        let bounds = Rect::bounds(&points);
        self.bodies.push(Body { points, bounds, gap });
    }

    /// Adds a text, with its plate if it has one.
    pub(crate) fn add_text(&mut self, rect: Rect) {
        self.texts.push(rect);
    }

    /// Adds the line of an arrow, by its index in the layout.
    pub(crate) fn add_line(&mut self, arrow: usize, points: &[Point]) {
        self.segments.extend(points.windows(2).map(|ends| Segment {
            arrow,
            ends: [ends[0], ends[1]],
        }));
    }

    /// Whether a text may have this rectangle; a plate may lie on its own arrow.
    pub(crate) fn is_free(&self, rect: Rect, own: Option<usize>) -> bool {
        let within = rect.left >= self.inner.left
            && rect.top >= self.inner.top
            && rect.right <= self.inner.right
            && rect.bottom <= self.inner.bottom;
        let apart = rect.grown(GAP.0, GAP.1);
        within
            && !self.texts.iter().any(|text| text.meets(apart))
            && !self.bodies.iter().any(|body| {
                let rect = rect.grown(body.gap, body.gap);
                body.bounds.meets(rect) && polygon_meets(&body.points, rect)
            })
            && !self.segments.iter().any(|segment| {
                own != Some(segment.arrow) && polygon_meets(&segment.ends, rect.grown(LINE_GAP, LINE_GAP))
            })
    }

    /// Whether a plate lies on the line of its arrow, so that a reader sees which arrow it is of.
    pub(crate) fn lies_on(&self, rect: Rect, arrow: usize) -> bool {
        let inside = rect.grown(-4.0, -3.0);
        self.segments
            .iter()
            .any(|segment| segment.arrow == arrow && polygon_meets(&segment.ends, inside))
    }

    /// Whether a line from a note to its target meets nothing but what the target is part of.
    pub(crate) fn sees(&self, from: Point, target: Point) -> bool {
        let leader = [from, target];
        let bounds = Rect::bounds(&leader).grown(LEADER_GAP, LEADER_GAP);
        let near = Rect::around(target, 4.0, 4.0);
        !self
            .texts
            .iter()
            .any(|text| text.meets(bounds) && polygon_meets(&leader, text.grown(4.0, 3.0)))
            && !self
                .segments
                .iter()
                .any(|it| crosses(leader, it.ends) && !polygon_meets(&it.ends, near))
            && !self.bodies.iter().any(|body| {
                body.bounds.meets(bounds)
                    && segment_meets(leader, &body.points, LEADER_GAP)
                    && !polygon_meets(&body.points, near)
            })
    }
}

/// Whether two segments cross.
fn crosses([a, b]: [Point; 2], [c, d]: [Point; 2]) -> bool {
    let side = |p: Point, q: Point, r: Point| (q.x - p.x) * (r.y - p.y) - (q.y - p.y) * (r.x - p.x);
    side(a, b, c) * side(a, b, d) < 0.0 && side(c, d, a) * side(c, d, b) < 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_away_from_texts_lines_and_the_edge() {
        let mut obstacles = Obstacles::new([200.0, 100.0]);
        let rect = Rect::new(50.0, 40.0, 90.0, 60.0);
        assert!(obstacles.is_free(rect, None));
        assert!(!obstacles.is_free(Rect::new(2.0, 40.0, 40.0, 60.0), None));
        obstacles.add_line(3, &[Point::new(0.0, 50.0), Point::new(200.0, 50.0)]);
        assert!(!obstacles.is_free(rect, None));
        assert!(obstacles.is_free(rect, Some(3)) && obstacles.lies_on(rect, 3));
        obstacles.add_text(Rect::new(92.0, 40.0, 120.0, 60.0));
        assert!(!obstacles.is_free(rect, Some(3)));
    }

    #[test]
    fn a_line_to_a_target_may_end_in_a_body_and_may_not_pass_one() {
        let mut obstacles = Obstacles::new([200.0, 100.0]);
        let square = |x: f64| {
            [(x, 40.0), (x + 20.0, 40.0), (x + 20.0, 60.0), (x, 60.0)].map(|(x, y)| Point::new(x, y))
        };
        obstacles.add_body(square(100.0).to_vec(), 2.0);
        assert!(obstacles.sees(Point::new(20.0, 50.0), Point::new(102.0, 50.0)));
        assert!(!obstacles.sees(Point::new(20.0, 50.0), Point::new(180.0, 50.0)));
    }
}
