//! Eight Gaussians on a circle, the usual test of mode collapse.

use std::f64::consts::TAU;

use super::Toy;
use crate::Mixture;

/// 8 Gaussians on a circle.
pub static RING: Toy = Toy {
    name: "ring",
    about: "8 Gaussians on a circle of radius 2, sd 0.02",
    classes: &["0°", "45°", "90°", "135°", "180°", "225°", "270°", "315°"],
    mixture: || {
        let angle = |i: u32| TAU * f64::from(i) / 8.0;
        let point = |i| [RADIUS * angle(i).cos(), RADIUS * angle(i).sin()];
        Mixture {
            centres: (0..8).flat_map(point).collect(),
            d: 2,
            sd: 0.02,
        }
    },
};

const RADIUS: f64 = 2.0;
