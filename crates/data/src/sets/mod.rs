//! The named data sets. To add one, add its file here and its line to the list below.

use std::path::Path;

use super::dataset::owned;
use super::files::FileError;
use super::published::Check;
use super::published::PublishedFile;
use super::sources::Source;
use super::{Cache, DataError, Dataset, ImageSize, Images, Mixture, Origin, Preprocessing, album};

/// The modules of data sets, and the lists of them in this order.
macro_rules! sets {
    (published: $($file:ident::$set:ident,)*; toys: $($toy_file:ident::$toy:ident,)*) => {
        $(pub(super) mod $file; pub use $file::$set;)*
        $(mod $toy_file; pub use $toy_file::$toy;)*
        static PUBLISHED: &[&Published] = &[$(&$set),*];
        static TOYS: &[&Toy] = &[$(&$toy),*];
    };
}

sets! {
    published:
        mnist::MNIST,
        fashion_mnist::FASHION_MNIST,
        tfd::TFD,
        cifar10::CIFAR10,
        svhn::SVHN,
        celeba::CELEBA,
        celeba_hq_128::CELEBA_HQ_128,
        lsun_bedroom::LSUN_BEDROOM,
    ;
    toys:
        ring::RING,
        grid::GRID,
        gaussian::GAUSSIAN,
}

/// A published data set.
#[derive(Debug)]
pub struct Published {
    /// Its name in a configuration.
    pub name: &'static str,
    /// What it holds, in a few words.
    pub about: &'static str,
    /// The size of an image.
    pub image: ImageSize,
    /// What the labels mean, by number; empty where none are read.
    pub classes: &'static [&'static str],
    pub(super) files: &'static [PublishedFile],
    /// Where it can be had, in the order to try.
    pub(super) sources: &'static [Source],
    /// What its files and what is made of them take on a disk, where that is known.
    pub(super) on_disk: Option<&'static str>,
    /// How its files are read.
    pub(super) reading: Reading,
    /// A sample of it inside the program.
    pub(super) sample: Option<fn() -> Result<Dataset, DataError>>,
}

/// Reads the files in a folder.
type Reader = fn(&Path) -> Result<Dataset, DataError>;

/// How the files of a published data set in a folder become a data set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    /// Files that must be the published ones, which the function checks.
    Published(Reader),
    /// Files of these names: the published ones, which are checked before, or a folder of the user's own.
    Files(Reader),
    /// Pictures in the archive of this name, or in the database that the folder is where it is empty; what is made of them.
    Pictures(&'static str, Preprocessing),
}

impl Published {
    /// Reads its files in the cache, all that can be checked of them checked. The second value is what the user must know.
    ///
    /// errors: a file that is not the published one; pictures that cannot be read, or of another size
    pub(super) fn read(
        &self,
        cache: &Cache,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(Dataset, Vec<String>), DataError> {
        let folder = cache.folder(self.name);
        let (data, notices) = match &self.reading {
            Reading::Published(read) => (read(&folder)?, Vec::new()),
            Reading::Files(read) => {
                self.check(&folder)?;
                (read(&folder)?, Vec::new())
            }
            Reading::Pictures(archive, how) => {
                self.check(&folder)?;
                let (data, notices) = album::dataset(cache, &folder.join(archive), how, progress)?;
                if data.image() != self.image {
                    let (found, expected) = (data.image(), self.image);
                    let reason = format!("holds images of {found}, expected {expected}");
                    return Err(FileError::malformed(&data.name, reason).into());
                }
                (data, notices)
            }
        };
        let is_known = |file: &PublishedFile| matches!(file.check, Check::Sum { .. });
        let origin = match self.files.iter().all(is_known) {
            true => Origin::Full,
            false => Origin::File,
        };
        let name = self.name.to_string();
        let data = Dataset {
            name,
            origin,
            ..data
        };
        Ok((data, notices))
    }

    /// The data set of the images that were read from `place`: the last one in `share` of the training images validates.
    ///
    /// errors: fewer training images than `share`
    fn of_images(
        &self,
        place: String,
        [train, test]: [Images; 2],
        share: usize,
        sha256: String,
    ) -> Result<Dataset, DataError> {
        let n = train.n();
        if n < share {
            let reason = format!("{n} training images cannot be split: expected at least {share}");
            return Err(FileError::malformed(&place, reason).into());
        }
        let first_valid = n - n / share;
        let ImageSize {
            height,
            width,
            channels,
        } = self.image;
        Ok(Dataset {
            name: place,
            origin: Origin::File,
            height,
            width,
            channels,
            classes: owned(self.classes),
            valid: train.slice(first_valid..n)?,
            train: train.slice(0..first_valid)?,
            test,
            further_folds: Vec::new(),
            sha256,
        })
    }

    /// What to do to have it in the cache, and where it comes from.
    pub(super) fn advice(&self) -> String {
        match self.sources {
            [Source::OnRequest(whom)] => whom.to_string(),
            sources => {
                let places: Vec<String> = sources.iter().map(Source::to_string).collect();
                let (name, places) = (self.name, places.join(", or "));
                format!("`ganforge data fetch {name}`, from {places}")
            }
        }
    }

    fn check(&self, folder: &Path) -> Result<(), DataError> {
        for file in self.files {
            file.check.of_file(&folder.join(file.name))?;
        }
        Ok(())
    }

    /// How a folder of the user's is read that has files of this set's names; `None` where it has none.
    pub(super) fn own(&self, folder: &Path) -> Option<Reader> {
        let Reading::Files(read) = self.reading else {
            return None;
        };
        let is_one = self.files.iter().any(|f| folder.join(f.name).exists());
        is_one.then_some(read)
    }
}

/// A data set of known distribution, drawn from the run's seed: what a generator should make of it is known exactly.
///
/// ```
/// use ganforge_data::RING;
/// let data = RING.draw(1);
/// assert_eq!((data.train.n(), data.valid.n(), data.test.n(), data.train.d()), (51_200, 10_000, 10_000, 2));
/// assert_eq!(RING.mixture().modes(), 8);
/// ```
#[derive(Debug)]
pub struct Toy {
    /// Its name in a configuration.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// What the labels mean, the modes by number.
    pub classes: &'static [&'static str],
    pub(super) mixture: fn() -> Mixture,
}

impl Toy {
    /// Its distribution.
    pub fn mixture(&self) -> Mixture {
        (self.mixture)()
    }

    /// The data set of the key `seed`: 51,200 points to train, 10,000 to validate and 10,000 to test on. The labels are
    /// the modes that the points come from.
    pub fn draw(&self, seed: u64) -> Dataset {
        self.mixture().draw(self.name, self.classes, seed)
    }
}

/// All published data sets.
pub(super) fn published() -> impl Iterator<Item = &'static Published> {
    PUBLISHED.iter().copied()
}

/// All of known distribution.
pub(super) fn toys() -> impl Iterator<Item = &'static Toy> {
    TOYS.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HeldOut, Picture};

    #[test]
    fn pictures_of_a_set_are_read_from_its_archive_in_the_cache() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("faces");
        std::fs::create_dir(&folder).unwrap();
        let image = ImageSize {
            height: 1,
            width: 2,
            channels: 3,
        };
        let mut archive = tar::Builder::new(std::fs::File::create(folder.join("a.tar")).unwrap());
        for i in 0..9 {
            let path = root.path().join("one.png");
            let picture = Picture::new(image, vec![i; 6]).unwrap();
            picture.save(&path).unwrap();
            let name = format!("data/{i}.png");
            archive.append_path_with_name(&path, name).unwrap();
        }
        archive.finish().unwrap();
        let held_out = HeldOut {
            valid: Some(1),
            test: Some(3),
        };
        let how = Preprocessing {
            held_out,
            ..Preprocessing::default()
        };
        let faces = |image| Published {
            name: "faces",
            image,
            files: &[PublishedFile {
                name: "a.tar",
                check: Check::Content(album::check),
            }],
            reading: Reading::Pictures("a.tar", how),
            ..CIFAR10
        };
        let cache = Cache::at(root.path());
        let (data, notices) = faces(image).read(&cache, &mut |_| {}).unwrap();
        assert_eq!((data.name.as_str(), data.origin), ("faces", Origin::File));
        assert_eq!(data.test.bytes().unwrap()[..7], [6, 6, 6, 6, 6, 6, 7]);
        assert_eq!((data.train.n(), data.valid.n(), data.test.n()), (5, 1, 3));
        assert!(notices[0].ends_with("0..4 train, 5..5 validate, 6..8 test"));
        let wide = ImageSize { width: 3, ..image };
        let refused = faces(wide).read(&cache, &mut |_| {}).unwrap_err();
        let expected = "a.tar: holds images of 1x2x3, expected 1x3x3";
        assert!(refused.to_string().ends_with(expected), "{refused}");
    }

    #[test]
    fn a_label_of_a_toy_set_is_the_mode_that_its_point_is_near() {
        for toy in toys() {
            let (mixture, data) = (toy.mixture(), toy.draw(1));
            assert_eq!(mixture.modes(), toy.classes.len());
            let labels = data.test.labels().unwrap();
            let points = data.test.to_f32(0..data.test.n()).unwrap();
            for (x, &label) in points.chunks_exact(mixture.d).zip(labels) {
                let x: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
                assert_eq!(mixture.nearest(&x).0, usize::from(label), "{}", toy.name);
            }
        }
    }
}
