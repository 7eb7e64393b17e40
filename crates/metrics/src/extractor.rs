//! Features of images, by which metrics compare samples with data.

use ganforge_data::{Contrast, Dataset, ImageSize};

use crate::Error;

/// Features that a metric asks for: of all samples that it asks for, and of test images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extraction {
    /// The network: a name, or the path of a run's folder or of a file.
    pub extractor: String,
    /// The first so many samples, and as many test images, or all where there are fewer.
    pub images: usize,
}

/// What an extractor says of n images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// [n, d]
    pub features: Vec<f32>,
    /// Features of an image.
    pub d: usize,
    /// A logit for each class, [n, classes].
    pub logits: Vec<f32>,
    /// How many classes it tells apart.
    pub classes: usize,
}

impl Seen {
    /// How many images.
    pub fn n(&self) -> usize {
        self.features.len().checked_div(self.d).unwrap_or(0)
    }
}

/// What an extractor says of samples and of test images.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Of the samples.
    pub samples: Seen,
    /// Of the test images.
    pub test: Seen,
}

/// Networks by their names.
pub trait Extractors {
    /// What `extractor` says of images [n, d] of this size, pixels from 0 to 1.
    ///
    /// # Errors
    /// No such network; images of another size than it takes; a pixel that is not from 0 to 1.
    fn look(&self, extractor: &str, size: ImageSize, images: &[f32]) -> Result<Seen, Error>;
}

impl Extraction {
    /// What the extractor says of the first samples [n, d] and the first test images, which `metric` asks for.
    pub(crate) fn compare(
        &self,
        metric: &str,
        extractors: Option<&dyn Extractors>,
        data: &Dataset,
        samples: &[f32],
    ) -> Result<Compared, Error> {
        let refuse = |reason: &str| Error::Other(format!("{metric}: {reason}"));
        let extractors =
            extractors.ok_or_else(|| refuse("asks for a network that looks at images"))?;
        if data.test.contrast() != Contrast::AsIs {
            return Err(refuse(
                "needs pixels from 0 to 1, not images of normalised contrast",
            ));
        }
        let (size, d) = (data.image(), data.test.d());
        let n = data.test.n().min(self.images);
        let samples = &samples[..samples.len().min(self.images * d)];
        Ok(Compared {
            samples: extractors.look(&self.extractor, size, samples)?,
            test: extractors.look(&self.extractor, size, &data.test.to_f32(0..n)?)?,
        })
    }

    /// What columns of scores that rest on it are called after: its name, or that of its file without the ending, in small letters
    /// with `_` for all but letters and digits.
    pub fn label(&self) -> String {
        let path = self.extractor.trim_end_matches('/');
        let last = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let stem = match last.rsplit_once('.') {
            Some((stem, "npz" | "safetensors")) => stem,
            _ => last,
        };
        let letter = |c: char| match c.is_ascii_alphanumeric() {
            true => c.to_ascii_lowercase(),
            false => '_',
        };
        stem.chars().map(letter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_name_that_a_column_can_have() {
        for (extractor, label) in [
            ("mnistnet", "mnistnet"),
            ("runs/mnistnet-001/", "mnistnet_001"),
            ("/a/My Net.v2.npz", "my_net_v2"),
            ("x.safetensors", "x"),
        ] {
            let extraction = Extraction {
                extractor: extractor.into(),
                images: 1,
            };
            assert_eq!(extraction.label(), label);
        }
    }
}
