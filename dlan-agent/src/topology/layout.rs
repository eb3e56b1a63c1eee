//! Places the routers of a mesh on a plane so that linked ones are near each other: the same places for the same mesh.

use std::f64::consts::TAU;

/// Steps times pairs: what placing a large mesh may cost.
const WORK_MAX: usize = 20_000_000;
/// Above this many routers a circle is all that is drawn.
const ROUTERS_MAX: usize = 2000;

/// A place; both coordinates within 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// From left to right.
    pub x: f64,
    /// From top to bottom.
    pub y: f64,
}

/// Returns a place for each of `count` points, linked as `links` says by index. Starts from a circle; then springs pull
/// linked points together while all points push each other away, in steps that grow smaller.
pub fn places(count: usize, links: &[(usize, usize)]) -> Vec<Place> {
    let mut points = circle(count);
    if count > 2 && count <= ROUTERS_MAX {
        let steps = (WORK_MAX / (count * count)).clamp(30, 400);
        for step in 0..steps {
            let share = step as f64 / steps as f64;
            relax(&mut points, links, 0.1 * (1.0 - share));
        }
    }
    fit(&mut points);
    points
}

fn circle(count: usize) -> Vec<Place> {
    let place = |index: usize| {
        let angle = TAU * (index as f64 / count.max(1) as f64 - 0.25);
        // Not quite round, or a symmetric mesh would stay in a balance that is no rest.
        let radius = 0.5 + 0.02 * ((index * 7) % 5) as f64;
        Place { x: radius * angle.cos(), y: radius * angle.sin() }
    };
    (0..count).map(place).collect()
}

/// Moves every point once, by `reach` at most.
fn relax(points: &mut [Place], links: &[(usize, usize)], reach: f64) {
    let ideal = 0.9 / (points.len() as f64).sqrt();
    let mut forces = vec![Place { x: 0.0, y: 0.0 }; points.len()];
    for (force, point) in forces.iter_mut().zip(points.iter()) {
        for other in points.iter() {
            let (dx, dy) = (point.x - other.x, point.y - other.y);
            let square = (dx * dx + dy * dy).max(1e-6);
            force.x += dx * ideal * ideal / square;
            force.y += dy * ideal * ideal / square;
        }
        // A weak pull to the middle keeps parts without a link between them on the picture.
        force.x -= point.x * 0.05;
        force.y -= point.y * 0.05;
    }
    for &(a, b) in links {
        let (Some(from), Some(to)) = (points.get(a).copied(), points.get(b).copied()) else { continue };
        let (dx, dy) = (to.x - from.x, to.y - from.y);
        let pull = (dx * dx + dy * dy).sqrt() / ideal;
        if let Some(force) = forces.get_mut(a) {
            force.x += dx * pull;
            force.y += dy * pull;
        }
        if let Some(force) = forces.get_mut(b) {
            force.x -= dx * pull;
            force.y -= dy * pull;
        }
    }
    for (point, force) in points.iter_mut().zip(&forces) {
        let length = (force.x * force.x + force.y * force.y).sqrt().max(1e-9);
        let step = length.min(reach) / length;
        point.x += force.x * step;
        point.y += force.y * step;
    }
}

/// Stretches the points to the unit square, each direction for itself: pictures are wider than high.
fn fit(points: &mut [Place]) {
    let bounds = |coordinate: fn(&Place) -> f64| {
        let low = points.iter().map(coordinate).fold(f64::INFINITY, f64::min);
        let high = points.iter().map(coordinate).fold(f64::NEG_INFINITY, f64::max);
        (low, high)
    };
    let ((left, right), (top, bottom)) = (bounds(|place| place.x), bounds(|place| place.y));
    let scale = |value: f64, low: f64, high: f64| {
        if high - low < 1e-3 { 0.5 } else { (value - low) / (high - low) }
    };
    for point in points {
        point.x = scale(point.x, left, right);
        point.y = scale(point.y, top, bottom);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(a: Place, b: Place) -> f64 {
        ((a.x - b.x).powi(2) + (a.y - b.y).powi(2)).sqrt()
    }

    #[test]
    fn the_same_mesh_is_placed_the_same() {
        let links = [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)];
        assert_eq!(places(4, &links), places(4, &links));
    }

    #[test]
    fn every_place_is_on_the_picture_and_no_two_are_one() {
        for count in [0, 1, 2, 3, 7, 40] {
            let links: Vec<_> = (1..count).map(|index| (index - 1, index)).collect();
            let places = places(count, &links);
            for (index, place) in places.iter().enumerate() {
                assert!((0.0..=1.0).contains(&place.x) && (0.0..=1.0).contains(&place.y), "{place:?}");
                for other in &places[..index] {
                    assert!(apart(*place, *other) > 1e-3, "{count}: {place:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn the_ends_of_a_line_are_further_apart_than_its_neighbors() {
        let places = places(6, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]);
        assert!(apart(places[0], places[5]) > apart(places[0], places[1]));
    }
}
