//! Which data set, as a configuration names it.

use ganforge_settings::{Key, Reader, Scalar, Setting, Takes, Value, Writer, hint, quoted, scalar};

use super::Toy;

/// Size of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSize {
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// 1 for grey, 3 for RGB.
    pub channels: usize,
}

impl ImageSize {
    /// Values per image; none beyond the largest integer.
    pub fn values(&self) -> Option<usize> {
        self.height
            .checked_mul(self.width)?
            .checked_mul(self.channels)
    }
}

impl std::fmt::Display for ImageSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// A data set by name or by file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataSet {
    /// Handwritten digits, 28x28.
    Mnist,
    /// Articles of clothing, 28x28.
    FashionMnist,
    /// A toy set, drawn from the run's seed.
    Toy(Toy),
    /// Faces, 48x48: the Toronto Face Database.
    Tfd,
    /// Things and animals in colour, 3x32x32.
    Cifar10,
    /// A file of arrays or images or a folder of images; its path as written in the configuration.
    File(String),
}

impl DataSet {
    /// The name or the path, as in the configuration.
    pub fn as_str(&self) -> &str {
        match self {
            DataSet::Mnist => "mnist",
            DataSet::FashionMnist => "fashion-mnist",
            DataSet::Toy(toy) => toy.name(),
            DataSet::Tfd => "tfd",
            DataSet::Cifar10 => "cifar10",
            DataSet::File(path) => path,
        }
    }

    /// The size of one example, where it is known before the data are loaded.
    pub fn image(&self) -> Option<ImageSize> {
        let (height, width, channels) = match self {
            DataSet::Mnist | DataSet::FashionMnist => (28, 28, 1),
            DataSet::Toy(toy) => (1, toy.mixture().d, 1),
            DataSet::Tfd => (48, 48, 1),
            DataSet::Cifar10 => (32, 32, 3),
            DataSet::File(_) => return None,
        };
        Some(ImageSize {
            height,
            width,
            channels,
        })
    }

    /// Values of one example, where they are known before the data are loaded.
    pub fn dim(&self) -> Option<usize> {
        self.image()?.values()
    }

    /// Those with a name.
    fn named() -> impl Iterator<Item = DataSet> {
        let images = [
            DataSet::Mnist,
            DataSet::FashionMnist,
            DataSet::Tfd,
            DataSet::Cifar10,
        ];
        images.into_iter().chain(Toy::ALL.map(DataSet::Toy))
    }
}

impl Setting for DataSet {
    fn keys(name: &'static str, default: &DataSet) -> Vec<Key> {
        Sets.keys(name, default)
    }

    fn read(table: &Reader<'_>, key: &'static str, default: DataSet) -> DataSet {
        Sets.read(table, key, default)
    }

    fn write(&self, key: &str, to: &mut Writer) {
        Sets.write(self, key, to);
    }
}

/// What `data.set` takes.
struct Sets;

impl Scalar<DataSet> for Sets {
    fn what(&self) -> String {
        let names: Vec<String> = DataSet::named().map(|s| quoted(s.as_str())).collect();
        format!(
            "{}, or the path of an .npz, .npy, .mat or IDX file, or of a folder, with a / in it",
            names.join(", ")
        )
    }

    fn parse(&self, value: &Value) -> Result<DataSet, String> {
        let written = value.text().ok_or_else(String::new)?;
        match DataSet::named().find(|set| set.as_str() == written) {
            Some(set) => Ok(set),
            None if is_data_file(written) => Ok(DataSet::File(written.to_owned())),
            None => {
                let named: Vec<DataSet> = DataSet::named().collect();
                let names: Vec<&str> = named.iter().map(DataSet::as_str).collect();
                Err(hint(written, &names))
            }
        }
    }

    fn show(&self, set: &DataSet) -> String {
        quoted(set.as_str())
    }
}

scalar! { impl [] Sets => DataSet }

/// `a.npz`, `a.npz:train`, `a.npy`, `a.mat`, `train-images-idx3-ubyte`, with or without .gz, `a.idx`, `folder/`, `./folder`.
fn is_data_file(path: &str) -> bool {
    let endings = [".npz", ".npy", ".mat", ".gz", ".idx"];
    let is_folder = path.contains(['/', '\\']);
    let is_idx = path
        .rsplit(['/', '\\'])
        .next()
        .is_some_and(|f| f.contains("-idx"));
    let known = endings.iter().any(|e| path.ends_with(e)) || path.contains(".npz:");
    let known = known || is_idx || is_folder;
    known && !path.contains('\0')
}
