//! What the experiments on digits share: the images, and what a classifier says of them.

use ganforge_gan::data::{Dataset, ImageSize, Images, Origin, bundled_sample};
use ganforge_gan::error::{Error, Result};
use ganforge_gan::extractors::{Extractor, Pixels};
use ganforge_gan::metrics::sets::kid::{self, Kernel};
use ganforge_gan::metrics::sets::prdc::{self, Ball};
use ganforge_gan::metrics::sets::random_state::RandomState;
use ganforge_gan::metrics::sets::{Features, SetError, frechet};
use ganforge_gan::metrics::{self, Extraction, Seen};
use ganforge_tensor::words::counted;

use super::Options;

/// The digits of an experiment: those of its options, else the sample inside the program.
pub(super) fn data(options: &Options) -> Result<Dataset> {
    match &options.digits {
        Some(data) => Ok(data.clone()),
        None => Ok(bundled_sample()?),
    }
}

/// What they are called: "mnist" or "the bundled sample of mnist".
pub(super) fn called(data: &Dataset) -> String {
    match data.origin {
        Origin::BundledSample => format!("the bundled sample of {}", data.name),
        _ => data.name.clone(),
    }
}

/// The images of a set: `n` of the options, from `least` to `most`; else `default`, or `most` where that is fewer.
pub(super) fn count(options: &Options, default: usize, least: usize, most: usize) -> Result<usize> {
    match options.n {
        Some(n) if n < least || n > most => Err(Error::Mismatch(format!(
            "sets of {}: expected from {least} to {most} with these data",
            counted(n, "image")
        ))),
        Some(n) => Ok(n),
        None => Ok(default.min(most)),
    }
}

/// The rows of `images` in an order drawn from `seed`.
pub(super) fn shuffled(images: &Images, seed: u64) -> Vec<usize> {
    random(seed).permutation(images.n())
}

/// Random numbers of a seed.
pub(super) fn random(seed: u64) -> RandomState {
    RandomState::new((seed ^ (seed >> 32)) as u32)
}

/// Those images [rows, d].
pub(super) fn gather(images: &Images, rows: &[usize]) -> Result<Vec<f32>> {
    let mut values = vec![0.0; rows.len() * images.d()];
    images.rows_f32_into(rows, &mut values)?;
    Ok(values)
}

/// The network whose features are compared, mnistnet.
pub(super) struct Judge {
    network: Extractor,
    image: ImageSize,
}

impl Judge {
    /// For images of this size.
    pub(super) fn new(image: ImageSize) -> Result<Judge> {
        let network = Extractor::find(&Extraction::default())?;
        Ok(Judge { network, image })
    }

    /// What it says of images [n, d].
    pub(super) fn look(&mut self, images: &[f32]) -> Result<Seen> {
        self.network.look(self.image, Pixels::Units(images))
    }
}

/// The likeliest class of each image.
pub(super) fn classes(seen: &Seen) -> Vec<usize> {
    let likeliest = |logits: &[f32]| {
        let logits = logits.iter().enumerate();
        logits
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map_or(0, |(i, _)| i)
    };
    seen.logits.chunks(seen.classes).map(likeliest).collect()
}

/// The features of images, called `name` in errors.
pub(super) fn features<'a>(name: &'a str, seen: &'a Seen) -> Result<Features<'a>> {
    Features::new(name, &seen.features, seen.d).map_err(refused)
}

/// FID, KID over all pairs, precision and recall (balls to the 3rd neighbour), density and coverage (to the 5th).
pub(super) fn compared(generated: Features<'_>, real: Features<'_>) -> Result<[f64; 6]> {
    let balls = [(3, Ball::Closed), (5, Ball::Open)]; // as metric `precision` has them
    let balls = prdc::scores(real, generated, &balls).map_err(refused)?;
    Ok([
        frechet::score(generated, real).map_err(refused)?,
        kid::unbiased(generated, real, Kernel::default()).map_err(refused)?,
        balls[0].precision,
        balls[0].recall,
        balls[1].density,
        balls[1].coverage,
    ])
}

/// An error of a score.
pub(super) fn refused(error: SetError) -> Error {
    metrics::Error::from(error).into()
}
