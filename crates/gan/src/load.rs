//! The data of a run.

use crate::config::Config;
use crate::data::{Cache, Contrast, DataError, DataSet, Dataset, FetchPolicy, Images};
use crate::files::FileError;

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
        match &self.data.set {
            DataSet::Toy(toy) => Ok((toy.draw(self.seed), Vec::new())),
            set => {
                let cache = Cache::from_env()?;
                let how = self.data.preprocessing();
                let (data, notices) = cache.load_with(set.as_str(), &how, policy, progress)?;
                self.check_image(data.image()).map_err(|error| {
                    FileError::malformed(&data.name, error.faults[0].message.clone())
                })?;
                for (part, images) in data.parts() {
                    self.check_range(part, images)
                        .map_err(|reason| FileError::malformed(&data.name, reason))?;
                }
                Ok((data.with_contrast(self.data.contrast), notices))
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
