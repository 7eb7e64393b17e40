//! Data by name or path.

use std::path::Path;

use super::fetch::unknown;
use super::sets::{published, tfd};
use super::{
    Attempt, Cache, DataError, Dataset, FetchPolicy, Images, Preprocessing, album, arrays,
};
use crate::files::matrix::{split_name, suspicion};
use crate::files::{FileError, found};

/// What is odd about the bytes of some parts, in a line that names them.
fn suspicions(data: &Dataset) -> Option<String> {
    let odd = |images: &Images| images.bytes().and_then(suspicion);
    let found: Vec<_> = data
        .parts()
        .filter_map(|(part, images)| Some((part, odd(images)?)))
        .collect();
    let (_, reason) = found.first()?;
    let name = &data.name;
    Some(match found.len() == data.parts().count() {
        true => format!("{name}: {reason}"),
        false => {
            let parts: Vec<&str> = found.iter().map(|(part, _)| *part).collect();
            format!("{name}: {}: {reason}", parts.join(", "))
        }
    })
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
    /// Loads a data set: by its name, or the path of an .npz, .npy (also `file.npz:name`), IDX or .mat file, or of a folder,
    /// a .tar or .zip archive or an LMDB database of pictures, or of a folder of the files of CIFAR-10 or SVHN.
    ///
    /// A known data set that is not in the cache is fetched. Where MNIST cannot be had, the bundled sample takes its
    /// place. The second value is what the user must be told, line by line; empty if nothing is unusual.
    ///
    /// Pictures are decoded once, into a file of the cache. Their folders may be parts (`train`, `valid` or `val`, `test`),
    /// classes, or classes in parts.
    ///
    /// A file is an .npz with arrays `train`, `valid` and `test`; or one array, IDX file or set of pictures, of which
    /// the last seventh (of each class) tests and the seventh before validates; or a MATLAB file like the Toronto Face Database's, with
    /// its folds. Of CIFAR-10's files the last fifth of the training images validates. Arrays are uint8 or floats.
    ///
    /// errors: neither a name nor a file; an unusable file; a data set without a sample that cannot be fetched
    pub fn load(
        &self,
        name_or_path: &str,
        policy: FetchPolicy,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(Dataset, Vec<String>), DataError> {
        self.load_with(name_or_path, &Preprocessing::default(), policy, progress)
    }

    /// As [`Cache::load`], pictures treated as `how` says.
    ///
    /// errors: as [`Cache::load`]; something to do to what are no pictures; counts of what is held out from what has parts
    pub fn load_with(
        &self,
        name_or_path: &str,
        how: &Preprocessing,
        policy: FetchPolicy,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(Dataset, Vec<String>), DataError> {
        let Some(set) = published().find(|set| set.name == name_or_path) else {
            let path = Path::new(name_or_path);
            if found(path)?.is_some() || split_name(path).is_some() {
                let (data, mut notices) = self.of_path(path, how, progress)?;
                notices.extend(suspicions(&data));
                return Ok((data, notices));
            }
            return Err(unknown(name_or_path, |known| {
                format!("neither a known data set ({known}) nor a file")
            }));
        };
        if let Ok(loaded) = set.read(self, progress) {
            return Ok(loaded);
        }
        let (error, sample) = match (self.fetch(set.name, None, policy, progress), set.sample) {
            (Ok(_), _) => return set.read(self, progress),
            (Err(error), None) => return Err(error),
            (Err(error), Some(sample)) => (error, sample()?),
        };
        let attempts = match error {
            DataError::NotFetched { attempts, .. } => attempts,
            error => {
                let (source, kind) = ("cache".to_string(), error.kind());
                vec![Attempt::new(source, error.to_string(), kind)]
            }
        };
        let notice = notice(&sample, &attempts);
        Ok((sample, notice))
    }

    /// The data in a file or folder of the user's.
    fn of_path(
        &self,
        path: &Path,
        how: &Preprocessing,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(Dataset, Vec<String>), DataError> {
        let place = path.display().to_string();
        let ends_with = |ending: &str| place.to_lowercase().ends_with(ending);
        let known = published().find_map(|set| Some((set.name, set.own(path)?)));
        let is_pictures = match path.is_dir() {
            true => known.is_none(),
            false => [".tar", ".zip", ".mdb"].into_iter().any(ends_with),
        };
        if is_pictures {
            return album::dataset(self, path, how, progress);
        }
        let for_pictures = [
            ("data.crop", how.crop.is_some()),
            ("data.channels", how.channels.is_some()),
            ("data.resize", how.resize.is_some()),
        ];
        if let Some((key, _)) = for_pictures.iter().find(|(_, is_set)| *is_set) {
            let reason = format!(
                "{key} is for pictures in a folder or in a .tar or .zip archive, and this is neither"
            );
            return Err(FileError::malformed(&place, reason).into());
        }
        if [".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst"]
            .into_iter()
            .any(ends_with)
        {
            return Err(FileError::malformed(&place, album::COMPRESSED).into());
        }
        if let Some((name, read)) = known {
            how.held_out.refuse(&place, "files for each part")?;
            let data = read(path)?;
            let (train, valid, test) = (data.train.n(), data.valid.n(), data.test.n());
            let notice = format!(
                "{place}: files of {name}: {train} images to train, {valid} to validate, {test} to test"
            );
            Ok((data, vec![notice]))
        } else if ends_with(".mat") {
            how.held_out.refuse(&place, "folds")?;
            Ok((tfd::dataset(path, &place)?, Vec::new()))
        } else {
            arrays::dataset(path, how.held_out)
        }
    }
}

fn notice(sample: &Dataset, attempts: &[Attempt]) -> Vec<String> {
    let name = &sample.name;
    let [train, valid, test] = [&sample.train, &sample.valid, &sample.test].map(Images::n);
    let mut lines = vec![
        format!(
            "{name} could not be fetched: this run uses the bundled sample of {train} + {valid} + {test} images instead"
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
