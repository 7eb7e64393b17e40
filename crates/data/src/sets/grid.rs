//! Twenty-five Gaussians on a square lattice.

use super::Toy;
use crate::Mixture;

/// 25 Gaussians at (i, j) for i, j = -2 ..= 2.
pub static GRID: Toy = Toy {
    name: "grid",
    about: "25 Gaussians at (i, j) for i, j = -2 ..= 2, sd 0.02",
    classes: &[
        "-2,-2", "-2,-1", "-2,0", "-2,1", "-2,2", //
        "-1,-2", "-1,-1", "-1,0", "-1,1", "-1,2", //
        "0,-2", "0,-1", "0,0", "0,1", "0,2", //
        "1,-2", "1,-1", "1,0", "1,1", "1,2", //
        "2,-2", "2,-1", "2,0", "2,1", "2,2",
    ],
    mixture: || {
        let point = |i: i32| [f64::from(i / 5 - 2), f64::from(i % 5 - 2)];
        Mixture {
            centres: (0..25).flat_map(point).collect(),
            d: 2,
            sd: 0.02,
        }
    },
};
