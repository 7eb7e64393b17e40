//! The data of a run.

use crate::config::{Config, Data};
use crate::data::{Cache, Contrast, DataError, DataSet, Dataset, FetchPolicy, Images};
use crate::files::FileError;

impl Data {
    /// The data, and what the user must be told of them, line by line: a toy set and a subset are drawn from `seed`; of
    /// another one, [loaded](Cache::load_with), size and contrast are as the settings say.
    ///
    /// errors: as [`Cache::load_with`]; a subset of more images than there are
    pub fn load(
        &self,
        seed: u64,
        policy: FetchPolicy,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(Dataset, Vec<String>), DataError> {
        if let DataSet::Toy(toy) = &self.set {
            return Ok((toy.draw(seed), Vec::new()));
        }
        let how = self.preprocessing();
        let loaded = Cache::from_env()?.load_with(self.set.as_str(), &how, policy, progress);
        let (mut data, mut notices) = loaded?;
        if let Some(n) = self.subset {
            let of = data.train.n();
            data = data.subset(n, seed)?;
            notices.push(format!(
                "{}: {n} of {of} training images, drawn from seed {seed}",
                data.name
            ));
        }
        Ok((data.with_contrast(self.contrast), notices))
    }
}

impl Config {
    /// The data of a run, and what the user must be told of them, line by line: a toy set is drawn from the run's seed;
    /// of another one, [loaded](Cache::load), contrast and size are as the configuration says.
    ///
    /// errors: as [`Cache::load_with`]; values that G cannot give, in any part
    pub fn load_data(
        &self,
        policy: FetchPolicy,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(Dataset, Vec<String>), DataError> {
        let (data, notices) = self.data.load(self.seed, policy, progress)?;
        if !matches!(self.data.set, DataSet::Toy(_)) {
            self.check_image(data.image()).map_err(|error| {
                FileError::malformed(&data.name, error.faults[0].message.clone())
            })?;
            for (part, images) in data.parts() {
                self.check_range(part, images)
                    .map_err(|reason| FileError::malformed(&data.name, reason))?;
            }
        }
        Ok((data, notices))
    }

    /// The least and the greatest value that examples can have: none of those of toy sets and of images with data.contrast =
    /// "gcn"; those that G can give where the data are files, which are refused otherwise.
    pub fn data_range(&self) -> Option<[f64; 2]> {
        match (&self.data.set, self.data.contrast) {
            (DataSet::Toy(_), _) | (_, Contrast::Gcn) => None,
            (_, Contrast::Signed) => Some([-1.0, 1.0]),
            (DataSet::Published(_), Contrast::AsIs) => Some([0.0, 1.0]),
            (DataSet::File(_), Contrast::AsIs) => {
                let range = self.generator.layers.last()?.kind.range();
                let (lo, hi) = (f64::from(*range.start()), f64::from(*range.end()));
                (lo.is_finite() || hi.is_finite()).then_some([lo, hi])
            }
        }
    }

    /// Refuses images that G can never give, and says which; normalised contrast was checked with the configuration.
    pub(crate) fn check_range(&self, part: &str, images: &Images) -> Result<(), String> {
        let Some(out) = self.generator.layers.last() else {
            return Ok(());
        };
        let range = match self.data.contrast {
            Contrast::Signed => 0.0..=1.0, // before they become values from -1 to 1
            _ => out.kind.range(),
        };
        let (lo, hi) = (*range.start(), *range.end());
        match images.outside(range) {
            Some((image, place, value)) if self.data.contrast != Contrast::Gcn => Err(format!(
                "{part}: image {image} has the value {value} at place {place}, which G's layer {} cannot give: its activation \
                 reaches {lo} to {hi} (expected uint8 pixels, or such values, or a linear layer with data.contrast = \"gcn\")",
                out.name
            )),
            _ => Ok(()),
        }
    }
}
