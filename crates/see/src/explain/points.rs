//! Values that are points in the one- or two-dimensional space of the data, shown with D's output and the descent direction
//! of G's loss.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ganforge_tensor::{Op, Store};
use serde_json::{Value, json};

use super::Explained;
use crate::diagram::Stage;
use ganforge_gan::config::Update;
use ganforge_gan::critic::Critic;

/// The most points of a value.
const POINTS: usize = 200;
/// D is shown on as many cells along each axis of the plane, or at as many places of the line.
const CELLS: usize = 56;
const PLACES: usize = 240;

/// The space of the data.
pub(super) struct Space {
    /// Coordinates of a point: 1 or 2.
    d: usize,
    /// From, to, of each axis.
    ranges: Vec<[f64; 2]>,
    /// Nodes whose rows are points.
    points: BTreeSet<usize>,
    /// Nodes whose rows are gradients in points: the points, and whose loss it is.
    gradients: BTreeMap<usize, (usize, String)>,
}

impl Space {
    /// The space of a step's data, where it has one or two dimensions.
    pub(super) fn of(e: &Explained) -> Option<Space> {
        let diagram = &e.diagram;
        let d = e.size.values().filter(|d| (1..=2).contains(d))?;
        let mut points: BTreeSet<usize> = diagram.samples().into_iter().collect();
        for n in (0..diagram.len()).filter(|&n| diagram.stage(n) == Stage::Forward) {
            let is_point = match diagram.node(n).op {
                Op::Input(_) => true,
                Op::Concat(_) | Op::Slice(_) | Op::Detach(_) => {
                    diagram.inputs(n).any(|i| points.contains(&i))
                }
                _ => false,
            };
            if is_point && diagram.node(n).shape.dims().last() == Some(&d) {
                points.insert(n);
            }
        }
        let passes = diagram
            .passes()
            .flat_map(|(pass, loss)| pass.adjoints.iter().map(move |a| (a, loss)));
        let of_points = passes.filter(|((of, _), _)| points.contains(&of.index()));
        let gradients = of_points
            .map(|((of, dy), loss)| (dy.index(), (of.index(), loss.to_string())))
            .collect();
        let ranges = ranges(e, &points, d);
        Some(Space {
            d,
            ranges,
            points,
            gradients,
        })
    }

    /// What the page needs to draw it: the ranges, and D before the step and as G's loss saw it.
    pub(super) fn json(&self, e: &Explained) -> Value {
        // Taking turns, G's loss is that of the D which this step has made.
        let for_g = match e.trainer.config().train.update {
            Update::Simultaneous | Update::Single => &e.before,
            Update::Alternating => e.trainer.store(),
        };
        json!({
            "d": self.d,
            "ranges": self.ranges,
            "cells": if self.d == 1 { PLACES } else { CELLS },
            "judged": { "loss/d": self.judged(e, &e.before), "loss/g": self.judged(e, for_g) },
        })
    }

    /// The picture of a node's value, where it has one in this space.
    pub(super) fn picture(&self, e: &Explained, n: usize) -> Option<Value> {
        let gradient = self.gradients.get(&n);
        let of = gradient.map_or(n, |(of, _)| *of);
        if !self.points.contains(&of) {
            return None;
        }
        let rows = |n: usize| -> Option<Vec<Vec<f32>>> {
            let value = e.value(n)?;
            Some(
                value
                    .chunks_exact(self.d)
                    .take(POINTS)
                    .map(<[f32]>::to_vec)
                    .collect(),
            )
        };
        let real = (0..e.diagram.len()).find(|&n| matches!(e.diagram.node(n).op, Op::Input(_)));
        let is_data = matches!(e.diagram.node(of).op, Op::Input(_));
        Some(json!({
            "kind": "points",
            "at": rows(of)?,
            "real": real.filter(|_| !is_data).and_then(rows),
            "gradient": gradient.and_then(|_| rows(n)),
            "judged": gradient.map_or("loss/d", |(_, loss)| loss),
        }))
    }

    /// D(x) all over the space, as bytes: rows from the top, each from left to right; on the line from left to right.
    fn judged(&self, e: &Explained, store: &Store) -> Option<String> {
        let at = |axis: usize, i: usize, n: usize| {
            let [lo, hi] = self.ranges[axis];
            (lo + (hi - lo) * (i as f64 + 0.5) / n as f64) as f32
        };
        let grid: Vec<f32> = match self.d {
            1 => (0..PLACES).map(|i| at(0, i, PLACES)).collect(),
            _ => (0..CELLS * CELLS)
                .flat_map(|i| [at(0, i % CELLS, CELLS), at(1, CELLS - 1 - i / CELLS, CELLS)])
                .collect(),
        };
        let mut d = Critic::new(e.trainer.config()).ok()?;
        let logits = d.of(&mut store.clone(), &grid).ok()?;
        let byte = |a: &f32| (255.0 / (1.0 + (-a).exp())).round() as u8;
        Some(STANDARD.encode(logits.iter().map(byte).collect::<Vec<u8>>()))
    }
}

/// The ranges of the axes: all points with a margin; in the plane both as long.
fn ranges(e: &Explained, points: &BTreeSet<usize>, d: usize) -> Vec<[f64; 2]> {
    let mut ranges = vec![[f64::INFINITY, f64::NEG_INFINITY]; d];
    for value in points.iter().filter_map(|&n| e.value(n)) {
        for (i, v) in value.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            let [lo, hi] = &mut ranges[i % d];
            (*lo, *hi) = (lo.min(f64::from(*v)), hi.max(f64::from(*v)));
        }
    }
    let span = ranges.iter().map(|[lo, hi]| hi - lo).fold(0.0, f64::max);
    let half = if span > 0.0 && span.is_finite() {
        0.6 * span
    } else {
        1.0
    };
    let centre = |[lo, hi]: [f64; 2]| if lo <= hi { (lo + hi) / 2.0 } else { 0.0 };
    ranges
        .into_iter()
        .map(|r| [centre(r) - half, centre(r) + half])
        .collect()
}
