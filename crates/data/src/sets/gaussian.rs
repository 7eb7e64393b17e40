//! A one-dimensional Gaussian, as in the paper's Figure 1.

use super::Toy;
use crate::Mixture;

/// One Gaussian on the line.
pub static GAUSSIAN: Toy = Toy {
    name: "gaussian",
    about: "one Gaussian on the line, mean 4, sd 0.5",
    classes: &["4"],
    mixture: || Mixture {
        centres: vec![4.0],
        d: 1,
        sd: 0.5,
    },
};
