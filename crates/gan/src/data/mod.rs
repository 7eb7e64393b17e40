//! What to learn from: MNIST and Fashion-MNIST with the paper's split, the user's own arrays, a bundled sample, and
//! [toy sets](Toy) of known distribution.
//!
//! Goodfellow et al. 2014 train on images 0..49,999 of the training file, choose by 50,000..59,999, and report on the
//! test file; pixels are bytes / 255, neither binarised nor centred.
//!
//! | variable | meaning |
//! |---|---|
//! | `GANFORGE_DATA` | folder of fetched data, instead of `ganforge` in the platform's cache folder |
//! | `GANFORGE_OFFLINE` | `1`: never use the network |
//!
//! ```
//! use ganforge_gan::data::{Cache, FetchPolicy, Origin};
//!
//! let empty = tempfile::tempdir()?;
//! let cache = Cache::at(empty.path());
//! let (data, notices) = cache.load("mnist", FetchPolicy::Offline, &mut |_| {})?;
//! assert_eq!(data.origin, Origin::BundledSample);
//! assert_eq!((data.train.n(), data.train.d()), (4000, 784));
//! assert!(notices[0].contains("bundled sample"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arrays;
mod cache;
mod error;
mod fetch;
mod hash;
mod idx;
mod images;
mod known;
mod load;
mod sample;
mod sources;
mod toy;

use std::fmt;

pub use cache::{Cache, FetchPolicy};
pub use error::{Attempt, DataError};
pub use fetch::{FetchReport, fetch};
pub use idx::{IdxImages, read_idx_images};
pub use images::Images;
pub use known::names;
pub use load::{load, of};
pub use sample::bundled_sample;
pub use toy::{Mixture, Toy};

/// Images in three parts, and where they come from.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// "mnist", "fashion-mnist", the name of a toy set, or the path it was read from.
    pub name: String,
    /// Whether it is all of it.
    pub origin: Origin,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// 1 for grey; where there are more, a row is channel by channel, as in [N, c, h, w].
    pub channels: usize,
    /// To train on.
    pub train: Images,
    /// To choose by.
    pub valid: Images,
    /// To report on.
    pub test: Images,
    /// SHA-256 of what was read: of a file its bytes; of MNIST and Fashion-MNIST the two uncompressed image files, one
    /// after the other; of the sample its uncompressed content; of a toy set its values, little-endian, part by part.
    pub sha256: String,
}

/// Where a data set comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The whole published data set, checked against its SHA-256.
    Full,
    /// The few thousand digits inside this program.
    BundledSample,
    /// A file of the user's.
    File,
    /// Drawn from a known distribution.
    Drawn,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full data set",
            Self::BundledSample => "bundled sample",
            Self::File => "file",
            Self::Drawn => "drawn from its seed",
        })
    }
}
