//! Images to learn from.

mod error;
mod hash;
mod idx;
mod images;

pub use error::{Attempt, DataError};
pub use idx::{IdxImages, read_idx_images};
pub use images::Images;
