//! The digits inside the program; assets/README.md says where they come from.

use super::{DataError, Dataset, Images, Origin, idx};

const SAMPLE: &[u8] = include_bytes!("../assets/mnist-sample.gz");
const TRAIN: usize = 4_000;
const VALID: usize = 500;

/// MNIST in small: 4,000 + 500 + 500 images, taken from the parts of the paper's split.
///
/// errors: none, the sample is tested
pub fn bundled_sample() -> Result<Dataset, DataError> {
    let images = idx::parse(SAMPLE, SAMPLE.len() as u64, "bundled sample")?;
    let sha256 = images.sha256();
    let all = Images::from_bytes(images.height * images.width, images.bytes);
    Ok(Dataset {
        name: "mnist".to_string(),
        origin: Origin::BundledSample,
        height: images.height,
        width: images.width,
        channels: 1,
        train: all.slice(0..TRAIN)?,
        valid: all.slice(TRAIN..TRAIN + VALID)?,
        test: all.slice(TRAIN + VALID..all.n())?,
        further_folds: Vec::new(),
        sha256,
    })
}
