//! Data sets: MNIST and Fashion-MNIST with the paper's split, the Toronto Face Database with its folds,
//! CIFAR-10, SVHN, CelebA, CelebA-HQ and LSUN's bedrooms, the user's own arrays and pictures, a bundled sample, and
//! [toy sets](Toy) with known distributions.
//!
//! Goodfellow et al. 2014 train on images 0..49,999 of the MNIST training file, validate on 50,000..59,999, and test on
//! the test file; pixels are bytes / 255, neither binarised nor centred, but CIFAR-10's [contrast](Contrast) is
//! normalised.
//!
//! | variable | meaning |
//! |---|---|
//! | `GANFORGE_DATA` | cache folder, instead of `ganforge` in the platform's cache folder |
//! | `GANFORGE_OFFLINE` | `1`: never use the network |
//!
//! ```
//! use ganforge_data::{Cache, FetchPolicy, Origin};
//!
//! let empty = tempfile::tempdir()?;
//! let cache = Cache::at(empty.path());
//! let (data, notices) = cache.load("mnist", FetchPolicy::Offline, &mut |_| {})?;
//! assert_eq!(data.origin, Origin::BundledSample);
//! assert_eq!((data.train.n(), data.train.d()), (4000, 784));
//! assert!(notices[0].contains("bundled sample"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod album;
mod arrays;
pub mod augment;
mod cache;
mod contrast;
mod dataset;
mod error;
mod fetch;
pub mod files;
pub mod hash;
mod held;
mod idx;
pub mod image_files;
mod images;
mod labelled;
mod load;
mod mixture;
pub mod pictures;
mod published;
mod set;
mod sets;
mod sources;
pub mod time;

pub use album::Preprocessing;
pub use augment::{Augment, AugmentTerm};
pub use cache::{Cache, FetchPolicy};
pub use contrast::Contrast;
pub use dataset::{Dataset, Fold, Origin};
pub use error::{Attempt, DataError, Kind};
pub use fetch::{FetchReport, fetch};
pub use ganforge_settings::nearest;
pub use held::HeldOut;
pub use idx::{IdxImages, read_idx_images};
pub use images::Images;
pub use load::load;
pub use mixture::Mixture;
pub use pictures::{Channels, Crop, Crops, Filter, Picture};
pub use set::{DataSet, ImageSize};
pub use sets::mnist::bundled_sample;
pub use sets::*;
