//! Points, rectangles and convex shapes on the canvas, and the projection that brings the grid there.
//!
//! The projection is the 2:1 isometric one: an axis of the grid goes two pixels across for one pixel down. A
//! sheet for a language that is written from right to left is mirrored here, at the last moment, so that no
//! other module has a second layout to look after.

/// A point on the canvas, in pixels from its upper left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

impl Point {
    pub(crate) const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    /// The point that lies `fraction` of the way to `other`.
    pub(crate) fn toward(self, other: Self, fraction: f64) -> Self {
        Self::new(
            self.x + (other.x - self.x) * fraction,
            self.y + (other.y - self.y) * fraction,
        )
    }

    pub(crate) fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// A rectangle with upright sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rect {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Rect {
    pub(crate) const fn new(left: f64, top: f64, right: f64, bottom: f64) -> Self {
        Self {
            left,
            top,
            right,
            bottom,
        }
    }

    /// The rectangle of this size around a point.
    pub(crate) fn around(center: Point, width: f64, height: f64) -> Self {
        let (x, y) = (width / 2.0, height / 2.0);
        Self::new(center.x - x, center.y - y, center.x + x, center.y + y)
    }

    /// The smallest rectangle that holds all points.
    pub(crate) fn bounds(points: &[Point]) -> Self {
        let empty = Self::new(f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY);
        points.iter().fold(empty, |rect, point| {
            Self::new(
                rect.left.min(point.x),
                rect.top.min(point.y),
                rect.right.max(point.x),
                rect.bottom.max(point.y),
            )
        })
    }

    pub(crate) fn grown(self, across: f64, down: f64) -> Self {
        Self::new(
            self.left - across,
            self.top - down,
            self.right + across,
            self.bottom + down,
        )
    }

    pub(crate) fn width(self) -> f64 {
        self.right - self.left
    }

    pub(crate) fn height(self) -> f64 {
        self.bottom - self.top
    }

    pub(crate) fn center(self) -> Point {
        Point::new(
            f64::midpoint(self.left, self.right),
            f64::midpoint(self.top, self.bottom),
        )
    }

    /// Whether the two share more than an edge.
    pub(crate) fn meets(self, other: Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    /// The point of the rectangle that is nearest to `point`, at least `inset` from a corner where it can be.
    pub(crate) fn nearest(self, point: Point, inset: f64) -> Point {
        let x = inset.min(self.width() / 2.0);
        Point::new(
            point.x.clamp(self.left + x, self.right - x),
            point.y.clamp(self.top, self.bottom),
        )
    }

    fn corners(self) -> [Point; 4] {
        [
            Point::new(self.left, self.top),
            Point::new(self.right, self.top),
            Point::new(self.right, self.bottom),
            Point::new(self.left, self.bottom),
        ]
    }
}

/// Whether a convex polygon, or a segment of two points, meets a rectangle: the separating axis theorem.
pub(crate) fn polygon_meets(points: &[Point], rect: Rect) -> bool {
    if !Rect::bounds(points).meets(rect) && !is_flat(points, rect) {
        return false;
    }
    let corners = rect.corners();
    (0..points.len()).all(|i| {
        let (a, b) = (points[i], points[(i + 1) % points.len()]);
        let (u, v) = (a.y - b.y, b.x - a.x);
        if u.abs() + v.abs() < 1e-6 {
            return true;
        }
        let project = |point: &Point| point.x * u + point.y * v;
        let range = |points: &[Point]| {
            points
                .iter()
                .map(project)
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| {
                    (low.min(it), high.max(it))
                })
        };
        let ((low, high), (from, to)) = (range(points), range(&corners));
        high > from && to > low
    })
}

/// An upright or level segment has bounds without an area, which meet nothing by the rule for areas.
fn is_flat(points: &[Point], rect: Rect) -> bool {
    let bounds = Rect::bounds(points);
    (bounds.width() < 1e-6 || bounds.height() < 1e-6) && bounds.grown(1e-3, 1e-3).meets(rect)
}

/// Whether a segment comes nearer than `gap` to a convex polygon; at a corner it may come a little nearer.
pub(crate) fn segment_meets(ends: [Point; 2], polygon: &[Point], gap: f64) -> bool {
    let edges = (0..polygon.len()).map(|i| (polygon[i], polygon[(i + 1) % polygon.len()]));
    edges.chain([(ends[0], ends[1])]).all(|(a, b)| {
        let length = a.distance(b);
        if length < 1e-6 {
            return true;
        }
        let (u, v) = ((a.y - b.y) / length, (b.x - a.x) / length);
        let range = |points: &[Point]| {
            let along = points.iter().map(|point| point.x * u + point.y * v);
            along.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| {
                (low.min(it), high.max(it))
            })
        };
        let ((low, high), (from, to)) = (range(polygon), range(&ends));
        high + gap > from && to + gap > low
    })
}

/// The convex hull, by Andrew's monotone chain.
pub(crate) fn hull(points: &[Point]) -> Vec<Point> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    let half = |points: &mut dyn Iterator<Item = Point>| {
        let mut chain: Vec<Point> = Vec::new();
        for point in points {
            while let [.., a, b] = chain[..] {
                if (b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x) > 0.0 {
                    break;
                }
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut hull = half(&mut sorted.iter().copied());
    hull.extend(half(&mut sorted.iter().rev().copied()));
    hull
}

/// The part of a segment that lies in a rectangle, as two fractions of its length (Liang and Barsky).
pub(crate) fn clip(a: Point, b: Point, rect: Rect) -> Option<(f64, f64)> {
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let (mut from, mut to) = (0.0_f64, 1.0_f64);
    for (p, q) in [
        (-dx, a.x - rect.left),
        (dx, rect.right - a.x),
        (-dy, a.y - rect.top),
        (dy, rect.bottom - a.y),
    ] {
        if p.abs() < 1e-9 {
            if q < 0.0 {
                return None;
            }
        } else if p < 0.0 {
            from = from.max(q / p);
        } else {
            to = to.min(q / p);
        }
    }
    (from < to).then_some((from, to))
}

/// Brings places on the grid, and places on the canvas of the layout, to the canvas of the drawing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Projection {
    /// Half of the width of a grid unit, in pixels.
    pub(crate) unit: f64,
    /// Where the grid has its origin on the canvas.
    pub(crate) origin: [f64; 2],
    /// The width of the canvas.
    pub(crate) width: f64,
    /// Whether left and right are exchanged.
    pub(crate) mirrored: bool,
}

impl Projection {
    /// A place on the canvas of the layout.
    pub(crate) fn canvas(self, [x, y]: [f64; 2]) -> Point {
        Point::new(if self.mirrored { self.width - x } else { x }, y)
    }

    /// A place on the grid, `height` pixels over the ground.
    pub(crate) fn grid(self, [x, y]: [f64; 2], height: f64) -> Point {
        let [left, top] = self.origin;
        self.canvas([
            left + (x - y) * self.unit,
            top + (x + y) * self.unit / 2.0 - height,
        ])
    }

    /// The direction in which a line of text goes: 1 to the right, −1 to the left.
    pub(crate) fn forward(self) -> f64 {
        if self.mirrored { -1.0 } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Projection = Projection {
        unit: 20.0,
        origin: [100.0, 50.0],
        width: 1000.0,
        mirrored: false,
    };

    #[test]
    fn an_axis_goes_two_pixels_across_for_one_down() {
        assert_eq!(PLAIN.grid([1.0, 0.0], 0.0), Point::new(120.0, 60.0));
        assert_eq!(PLAIN.grid([0.0, 1.0], 4.0), Point::new(80.0, 56.0));
    }

    #[test]
    fn mirroring_exchanges_left_and_right() {
        let mirrored = Projection {
            mirrored: true,
            ..PLAIN
        };
        assert_eq!(mirrored.grid([1.0, 0.0], 0.0), Point::new(880.0, 60.0));
    }

    #[test]
    fn a_rhombus_meets_a_rectangle_only_where_it_is() {
        let rhombus = [(50.0, 0.0), (100.0, 25.0), (50.0, 50.0), (0.0, 25.0)].map(|(x, y)| Point::new(x, y));
        assert!(polygon_meets(&rhombus, Rect::new(40.0, 20.0, 60.0, 30.0)));
        // The corner of its bounds is free.
        assert!(!polygon_meets(&rhombus, Rect::new(0.0, 0.0, 15.0, 10.0)));
        assert_eq!(hull(&rhombus).len(), 4);
    }

    #[test]
    fn a_segment_is_clipped_to_the_part_inside() {
        let clipped = clip(
            Point::new(0.0, 0.0),
            Point::new(100.0, 0.0),
            Rect::new(25.0, -1.0, 50.0, 1.0),
        );
        assert_eq!(clipped, Some((0.25, 0.5)));
        assert!(polygon_meets(
            &[Point::new(0.0, 0.0), Point::new(100.0, 0.0)],
            Rect::new(25.0, -1.0, 50.0, 1.0)
        ));
    }
}
