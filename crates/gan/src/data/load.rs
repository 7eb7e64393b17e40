//! Data by configuration, name or path.

use std::path::Path;

use super::fetch::unknown;
use super::known::{self, Known, SIDE, TRAIN};
use super::{
    Attempt, Cache, DataError, Dataset, FetchPolicy, Images, Origin, arrays, bundled_sample,
    read_idx_images,
};
use crate::config::{Config, DataSet};
use crate::files::FileError;
use crate::files::matrix::split_name;

/// The data of a run: a toy set is drawn from the run's seed, another one [`load`]ed.
///
/// errors: as [`load`]
pub fn of(
    config: &Config,
    policy: FetchPolicy,
    progress: &mut dyn FnMut(&str),
) -> Result<(Dataset, Vec<String>), DataError> {
    match &config.data.set {
        DataSet::Toy(toy) => Ok((toy.draw(config.seed), Vec::new())),
        set => load(set.as_str(), policy, progress),
    }
}

/// [`Cache::load`] from the cache of [`Cache::from_env`].
///
/// errors: as [`Cache::load`]
pub fn load(
    name_or_path: &str,
    policy: FetchPolicy,
    progress: &mut dyn FnMut(&str),
) -> Result<(Dataset, Vec<String>), DataError> {
    Cache::from_env()?.load(name_or_path, policy, progress)
}

impl Cache {
    /// Loads a data set: "mnist", "fashion-mnist", or the path of an .npz, .npy (also `file.npz:name`) or IDX file.
    ///
    /// A known data set that is not in the cache is fetched. Where MNIST cannot be had, the bundled sample takes its
    /// place. The second value is what the user must be told, line by line; empty if nothing is unusual.
    ///
    /// A file is an .npz with arrays `train`, `valid` and `test`, or one array or IDX file, of which the last seventh
    /// tests and the seventh before validates. Pixels are uint8, or floats in [0, 1].
    ///
    /// errors: neither a name nor a file; an unusable file; a data set without a sample that cannot be fetched
    pub fn load(
        &self,
        name_or_path: &str,
        policy: FetchPolicy,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(Dataset, Vec<String>), DataError> {
        let Some(known) = known::find(name_or_path) else {
            let path = Path::new(name_or_path);
            if path.exists() || split_name(path).is_some() {
                return arrays::dataset(path);
            }
            return Err(unknown(name_or_path));
        };
        if let Ok(data) = self.read(known) {
            return Ok((data, Vec::new()));
        }
        match self.fetch(known.name, None, policy, progress) {
            Ok(_) => Ok((self.read(known)?, Vec::new())),
            Err(error) if !known.has_sample => Err(error),
            Err(DataError::NotFetched { attempts, .. }) => {
                Ok((bundled_sample()?, notice(known, &attempts)))
            }
            Err(error) => {
                let attempt = Attempt {
                    source: "cache".to_string(),
                    reason: error.to_string(),
                };
                Ok((bundled_sample()?, notice(known, &[attempt])))
            }
        }
    }

    /// The data set as it is in the cache, its image files checked.
    fn read(&self, known: &Known) -> Result<Dataset, DataError> {
        let folder = self.folder(known);
        let [train, test] = [&known.files[0], &known.files[2]].map(|file| {
            let path = folder.join(file.name);
            let images = read_idx_images(&path)?;
            let found = images.sha256();
            if found != file.sha256 {
                let (file, expected) = (path.display().to_string(), file.sha256.to_string());
                return Err(FileError::Checksum {
                    file,
                    kind: "SHA-256",
                    expected,
                    found,
                });
            }
            Ok(Images::from_bytes(
                images.height * images.width,
                images.bytes,
            ))
        });
        let (train, test) = (train?, test?);
        Ok(Dataset {
            name: known.name.to_string(),
            origin: Origin::Full,
            height: SIDE,
            width: SIDE,
            channels: 1,
            valid: train.slice(TRAIN..train.n())?,
            train: train.slice(0..TRAIN)?,
            test,
            sha256: known.sha256.to_string(),
        })
    }
}

fn notice(known: &Known, attempts: &[Attempt]) -> Vec<String> {
    let name = known.name;
    let mut lines = vec![
        format!(
            "{name} could not be fetched: this run uses the bundled sample of 4,000 + 500 + 500 digits instead"
        ),
        "its results say nothing about the full data and cannot be compared with the paper"
            .to_string(),
        format!(
            "to get the data: `ganforge data fetch {name}`, or `ganforge data fetch {name} --from FOLDER`"
        ),
        "tried:".to_string(),
    ];
    lines.extend(attempts.iter().map(|attempt| format!("  {attempt}")));
    lines
}
