//! A data set as named in a configuration.

use ganforge_settings::{Key, Reader, Scalar, Setting, Takes, Value, Writer, hint, quoted, scalar};

use super::Mixture;
use super::sets::{Published, Toy, published, toys};

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
#[derive(Clone, Debug)]
pub enum DataSet {
    /// A published one.
    Published(&'static Published),
    /// One of known distribution.
    Toy(&'static Toy),
    /// A file of arrays or images, or a folder or archive of pictures; its path as written in the configuration.
    File(String),
}

impl PartialEq for DataSet {
    fn eq(&self, other: &DataSet) -> bool {
        let is_file = |set: &DataSet| matches!(set, DataSet::File(_));
        is_file(self) == is_file(other) && self.as_str() == other.as_str()
    }
}

impl Eq for DataSet {}

impl DataSet {
    /// All that have a name.
    pub fn all() -> impl Iterator<Item = DataSet> {
        published()
            .map(DataSet::Published)
            .chain(toys().map(DataSet::Toy))
    }

    /// Their names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        published()
            .map(|set| set.name)
            .chain(toys().map(|toy| toy.name))
    }

    /// What a configuration names: a data set, or else a file or folder, which has one of the usual endings or a `/`.
    pub fn of(written: &str) -> Option<DataSet> {
        let known = DataSet::all().find(|set| set.as_str() == written);
        known.or_else(|| is_data_file(written).then(|| DataSet::File(written.to_string())))
    }

    /// The name or the path, as in the configuration.
    pub fn as_str(&self) -> &str {
        match self {
            DataSet::Published(set) => set.name,
            DataSet::Toy(toy) => toy.name,
            DataSet::File(path) => path,
        }
    }

    /// What it holds, in a few words.
    pub fn about(&self) -> &str {
        match self {
            DataSet::Published(set) => set.about,
            DataSet::Toy(toy) => toy.about,
            DataSet::File(_) => "the user's own images",
        }
    }

    /// The size of one example, where it is known before the data are loaded.
    pub fn image(&self) -> Option<ImageSize> {
        match self {
            DataSet::Published(set) => Some(set.image),
            DataSet::Toy(toy) => Some(ImageSize {
                height: 1,
                width: toy.mixture().d,
                channels: 1,
            }),
            DataSet::File(_) => None,
        }
    }

    /// Values of one example, where they are known before the data are loaded.
    pub fn dim(&self) -> Option<usize> {
        self.image()?.values()
    }

    /// What the labels mean, by number; empty where there are none before the data are loaded.
    pub fn classes(&self) -> &'static [&'static str] {
        match self {
            DataSet::Published(set) => set.classes,
            DataSet::Toy(toy) => toy.classes,
            DataSet::File(_) => &[],
        }
    }

    /// What it takes on a disk, in a few words: its files and what is made of them. `None` where it is
    /// not known, and of what is drawn or the user's own.
    pub fn on_disk(&self) -> Option<&'static str> {
        match self {
            DataSet::Published(set) => set.on_disk,
            _ => None,
        }
    }

    /// What to do to have it in the cache, and where it comes from; `None` but of a published set.
    pub fn advice(&self) -> Option<String> {
        match self {
            DataSet::Published(set) => Some(set.advice()),
            _ => None,
        }
    }

    /// The distribution of a toy set; none of what is read or fetched.
    pub fn mixture(&self) -> Option<Mixture> {
        match self {
            DataSet::Toy(toy) => Some(toy.mixture()),
            _ => None,
        }
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
        let names: Vec<String> = DataSet::names().map(quoted).collect();
        format!(
            "{}, or the path of an .npz, .npy, .mat, .tar, .zip, .mdb or IDX file, or of a folder, with a / in it",
            names.join(", ")
        )
    }

    fn parse(&self, value: &Value) -> Result<DataSet, String> {
        let written = value.text().ok_or_else(String::new)?;
        DataSet::of(written).ok_or_else(|| {
            let names: Vec<&str> = DataSet::names().collect();
            hint(written, &names)
        })
    }

    fn show(&self, set: &DataSet) -> String {
        quoted(set.as_str())
    }
}

scalar! { impl [] Sets => DataSet }

/// `a.npz`, `a.npz:train`, `a.npy`, `a.mat`, `a.tar`, `a.zip`, `data.mdb`, `train-images-idx3-ubyte`, with or without .gz, `a.idx`, `folder/`, `./folder`.
fn is_data_file(path: &str) -> bool {
    let endings = [
        ".npz", ".npy", ".mat", ".tar", ".zip", ".mdb", ".gz", ".idx",
    ];
    let is_folder = path.contains(['/', '\\']);
    let is_idx = path
        .rsplit(['/', '\\'])
        .next()
        .is_some_and(|f| f.contains("-idx"));
    let known = endings.iter().any(|e| path.ends_with(e)) || path.contains(".npz:");
    let known = known || is_idx || is_folder;
    known && !path.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_the_page_of_the_data_sets_has_them_all() {
        let page = include_str!("../../../docs/data.md");
        let names: Vec<&str> = DataSet::names().collect();
        for (i, name) in names.iter().enumerate() {
            assert!(!names[..i].contains(name) && !is_data_file(name), "{name}");
            assert!(page.contains(&format!("| `{name}` |")), "{name}");
            assert_eq!(DataSet::of(name).unwrap().as_str(), *name);
        }
        assert_eq!(DataSet::of("minst"), None);
        assert_ne!(DataSet::of("./mnist"), DataSet::of("mnist"));
    }
}
