//! Networks by name, whose features metrics compare.

mod images;
mod kept;
mod loaded;
mod network;
mod pixels;

use std::path::Path;

use ganforge_tensor::Device;

use crate::config::{Contrast, DataSet, nearest};
use crate::data::pictures::shown;
use crate::data::{Dataset, ImageSize};
use crate::error::{Error, Result};
use crate::inception::Inception;
use crate::metrics::extractor::NAMES;
use crate::metrics::{Extraction, MetricKind, Scores, Task};

pub use images::{ImageSet, Keep, Run};
pub use loaded::{Identity, Loaded};
pub use network::{Extractor, Pixels};
pub use pixels::Alike;

/// A classifier that comes with the program.
pub struct Bundled {
    /// Its name.
    pub name: &'static str,
    /// The size of the images that it takes.
    pub image: ImageSize,
    /// Its file.
    bytes: &'static [u8],
}

/// All of them.
pub const BUNDLED: &[Bundled] = &[
    Bundled {
        name: "mnistnet",
        image: ImageSize {
            height: 28,
            width: 28,
            channels: 1,
        },
        bytes: include_bytes!("../../assets/mnistnet.npz"),
    },
    Bundled {
        name: "cifarnet",
        image: ImageSize {
            height: 32,
            width: 32,
            channels: 3,
        },
        bytes: include_bytes!("../../assets/cifarnet.npz"),
    },
];

/// The network whose weights are a file of the user's.
const INCEPTION: &str = "inception";

/// Why there is no such network, or none for images of this size, as far as that is known without a file being read.
///
/// # Errors
/// That, to be read after a metric's name.
pub(crate) fn check(extraction: &Extraction, image: Option<ImageSize>) -> Result<(), String> {
    let (name, weights) = (&extraction.extractor, extraction.weights.as_deref());
    let is_configuration = Path::new(name).extension() == Some("toml".as_ref());
    match (is_configuration || name == INCEPTION, weights) {
        (true, None) if name == INCEPTION => {
            return Err(format!(
                "asks for {INCEPTION}, whose weights do not come with the program: expected weights = a file of them, as \
                 {}, which torch-fidelity and pytorch-fid download (SHA-256 {})",
                Inception::PUBLISHED[0],
                Inception::PUBLISHED[1]
            ));
        }
        (true, None) => {
            return Err(format!(
                "asks for the network of {name}, a configuration: expected weights with it"
            ));
        }
        (false, Some(_)) => {
            return Err(format!(
                "asks for {name}, which has weights of its own: expected none beside it"
            ));
        }
        _ => {}
    }
    let bundled = BUNDLED.iter().find(|b| b.name == name);
    if bundled.is_none() && name != INCEPTION {
        if extraction.is_path() {
            return Ok(());
        }
        let hint = match nearest(name, &NAMES) {
            _ if Path::new(name).exists() => format!(
                "which there is not: expected ./{name} for the run or the file of that name"
            ),
            Some(near) => format!("did you mean {near}?"),
            None => format!(
                "there are {}, or the path of a run or a file, with a / in it",
                NAMES.join(", ")
            ),
        };
        return Err(format!("asks for the network {name:?}, {hint}"));
    }
    match image {
        Some(image) => match takes(name, bundled.map(|b| b.image), image) {
            Ok(_) => Ok(()),
            Err(reason) => Err(format!("asks for {reason}")),
        },
        None => Ok(()),
    }
}

/// What is done to images of a size for a network that takes images of the size `own`, or any, where that needs saying.
///
/// # Errors
/// That it does not take them.
fn takes(name: &str, own: Option<ImageSize>, size: ImageSize) -> Result<Option<String>, String> {
    let colours = |channels| ImageSize { channels, ..size };
    match own {
        Some(own) if own == size => Ok(None),
        None if size.channels == 3 => Ok(None),
        Some(own) if size.channels == 1 && own == colours(3) => Ok(grey(name)),
        None if size.channels == 1 => Ok(grey(name)),
        Some(own) => Err(format!(
            "{name}, which takes images of {own}, and these are {size}"
        )),
        None => Err(format!(
            "{name}, which takes grey images or such of three channels, and these are {size}"
        )),
    }
}

fn grey(name: &str) -> Option<String> {
    Some(format!(
        "images are grey, and {name} takes colour: each is repeated in three channels"
    ))
}

/// Scores samples [n, d] of any origin against the test images of `data`. `contrast` says what the pixels of the samples are:
/// from 0 to 1, or from -1 to 1.
///
/// ```
/// use ganforge_gan::config::Contrast;
/// use ganforge_gan::extractors::score_samples;
/// use ganforge_gan::metrics::{Extraction, MetricKind, fid::Fid};
/// let digits = ganforge_gan::data::bundled_sample()?;
/// let samples = digits.valid.to_f32(0..200)?; // of a perfect generator
/// let looks = Extraction { images: 200, ..Extraction::default() };
/// let fid = MetricKind::Fid(Fid { looks });
/// let scores = score_samples(&[fid], &samples, Contrast::AsIs, &digits)?;
/// assert_eq!(scores.values()[0].name, "fid_mnistnet");
/// # Ok::<(), ganforge_gan::Error>(())
/// ```
///
/// # Errors
/// Fewer samples than a metric asks for, sample i of class i mod the number of classes where it asks for classes; a metric that asks for more than samples and features; what a metric refuses.
pub fn score_samples(
    metrics: &[MetricKind],
    samples: &[f32],
    contrast: Contrast,
    data: &Dataset,
) -> Result<Scores> {
    let device = Device::CPU;
    let set = DataSet::File(data.name.clone());
    let n = samples.len().checked_div(data.test.d()).unwrap_or(0);
    let task = Task::new(metrics, &set, n);
    if !task.points().is_empty() || task.asks_for_classes() {
        let message = "samples alone are scored without the discriminator, which a metric asks for";
        return Err(Error::Mismatch(message.to_string()));
    }
    let loaded = Loaded::at(&device);
    loaded.prepare(&task, data)?;
    let samples = shown(samples, contrast);
    let data = data.clone().with_contrast(Contrast::AsIs);
    let task = task.with_extractors(&loaded);
    Ok(task.score(&device, &data, &samples, &[], &[])?)
}
