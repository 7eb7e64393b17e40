//! A data set that is loaded.

use std::fmt;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use sha2::{Digest, Sha256};

use super::{Contrast, DataError, ImageSize, Images, hash};
use crate::files::FileError;

/// Images in three parts, and where they come from.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The name of a published or of a toy set, or the path it was read from.
    pub name: String,
    /// Whether it is all of it.
    pub origin: Origin,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// What the labels of [`Images::labels`] mean, by number; empty where there are none.
    pub classes: Vec<String>,
    /// 1 for grey, 3 for RGB: images are [height, width, channels].
    pub channels: usize,
    /// To train on.
    pub train: Images,
    /// To choose by.
    pub valid: Images,
    /// To report on.
    pub test: Images,
    /// Where there are several such pairs, the others: a score is then a mean over all of them.
    pub further_folds: Vec<Fold>,
    /// SHA-256 of what was read: of a file its bytes; of pictures channels, height and width, as 64 bits each, and
    /// all pixels as they are learnt from, image by image, [height, width, channels], with the counts of the parts, labels and
    /// classes where their folders say so; of several other files their bytes, one after the other (of MNIST and
    /// Fashion-MNIST the two uncompressed image files; of CIFAR-10 after the text `hwc`, the order in which its pixels are learnt from; of SVHN, after that text, the
    /// SHA-256 of each); of the sample its uncompressed content; of a toy set
    /// its values, little-endian, part by part.
    pub sha256: String,
}

/// Images to choose by and to report on.
#[derive(Debug, Clone)]
pub struct Fold {
    /// To choose by.
    pub valid: Images,
    /// To report on.
    pub test: Images,
}

/// Names of classes, to be kept.
pub(super) fn owned(classes: &[&str]) -> Vec<String> {
    classes.iter().map(|class| class.to_string()).collect()
}

impl Dataset {
    /// Examples of the size `image`, one after the other: the last two tenths are for choosing and for reporting.
    ///
    /// # Errors
    /// Values that are no whole examples, fewer than 10 of them, or not finite.
    pub fn of_values(name: &str, image: ImageSize, values: &[f32]) -> Result<Dataset, FileError> {
        let refuse = |reason: String| Err(FileError::malformed(name, reason));
        let d = image.values().unwrap_or(0);
        if d == 0 || !values.len().is_multiple_of(d) || values.len() / d < 10 {
            let n = values.len();
            return refuse(format!(
                "{n} values, expected 10 or more examples of {d} each"
            ));
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return refuse(format!("value {at} is {}", values[at]));
        }
        let tenth = values.len() / d / 10 * d;
        let (rest, test) = values.split_at(values.len() - tenth);
        let (train, valid) = rest.split_at(rest.len() - tenth);
        let mut sum = Sha256::new();
        values.iter().for_each(|v| sum.update(v.to_le_bytes()));
        let part = |values: &[f32]| Images::from_values(d, values);
        Ok(Dataset {
            name: name.to_string(),
            origin: Origin::Drawn,
            height: image.height,
            width: image.width,
            channels: image.channels,
            classes: Vec::new(),
            train: part(train),
            valid: part(valid),
            test: part(test),
            further_folds: Vec::new(),
            sha256: hash::hex(sum),
        })
    }

    /// The size of an image.
    pub fn image(&self) -> ImageSize {
        ImageSize {
            height: self.height,
            width: self.width,
            channels: self.channels,
        }
    }

    /// All pairs of images to choose by and images to report on, at least one.
    pub fn folds(&self) -> impl Iterator<Item = (&Images, &Images)> {
        let further = self.further_folds.iter().map(|f| (&f.valid, &f.test));
        std::iter::once((&self.valid, &self.test)).chain(further)
    }

    /// The same with the validation images, of the first fold, in the place of those to report on: what is chosen by them is not
    /// chosen by those that are reported on.
    pub fn on_valid(&self) -> Dataset {
        Dataset {
            test: self.valid.clone(),
            further_folds: Vec::new(),
            ..self.clone()
        }
    }

    /// All images with the names of their parts: train, valid and test, and of the further folds valid and test again.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &Images)> {
        let folds = self.folds();
        let folds = folds.flat_map(|(valid, test)| [("valid", valid), ("test", test)]);
        std::iter::once(("train", &self.train)).chain(folds)
    }

    /// Refuses to pass for the data that `who`, a run or a generator, has learnt from, unless its SHA-256 is `learnt`.
    ///
    /// errors: [`DataError::Other`]
    pub fn check_learnt(&self, who: &str, learnt: &str) -> Result<(), DataError> {
        if learnt == self.sha256 {
            return Ok(());
        }
        let advice = match self.origin {
            Origin::BundledSample => format!(
                "this is the bundled sample: `ganforge data fetch {}` brings the data",
                self.name
            ),
            Origin::File => {
                "restore the data that it was trained on, or train a new run".to_string()
            }
            Origin::Full | Origin::Drawn => "train a new run on these".to_string(),
        };
        Err(DataError::Other {
            who: who.to_string(),
            learnt: learnt.to_string(),
            name: self.name.clone(),
            found: self.sha256.clone(),
            advice,
        })
    }

    /// `n` of the training images, drawn without replacement from `seed`, in their old order; the other parts as they are.
    ///
    /// errors: fewer training images
    pub fn subset(mut self, n: usize, seed: u64) -> Result<Dataset, DataError> {
        let all = self.train.n();
        if n > all {
            let reason = format!("data.subset = {n}, but there are {all} images to train on");
            return Err(FileError::malformed(&self.name, reason).into());
        }
        // Of a named generator, whose numbers stay the same.
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut rows: Vec<usize> = (0..all).collect();
        let mut rows = rows.partial_shuffle(&mut rng, n).0.to_vec();
        rows.sort_unstable();
        self.train = self.train.select(&rows)?;
        let mut sum = Sha256::new_with_prefix(&self.sha256);
        rows.iter()
            .for_each(|&row| sum.update((row as u64).to_le_bytes()));
        self.sha256 = hash::hex(sum);
        Ok(self)
    }

    /// The same images with their contrast treated so.
    pub fn with_contrast(mut self, contrast: Contrast) -> Self {
        let further = self.further_folds.iter_mut();
        let further = further.flat_map(|fold| [&mut fold.valid, &mut fold.test]);
        [&mut self.train, &mut self.valid, &mut self.test]
            .into_iter()
            .chain(further)
            .for_each(|images| images.set_contrast(contrast));
        self
    }
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
