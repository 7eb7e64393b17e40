//! Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): articles of clothing in MNIST's format and split.

use std::borrow::Cow;

use super::{Published, Reading};
use crate::published::PublishedFile;
use crate::sources::Source;
use crate::{ImageSize, idx};

/// Articles of clothing, 28x28.
pub static FASHION_MNIST: Published = Published {
    name: "fashion-mnist",
    about: "articles of clothing",
    image: ImageSize {
        height: 28,
        width: 28,
        channels: 1,
    },
    classes: CLASSES,
    files: &FILES,
    sources: &[
        // This host serves no TLS; what it sends is checked against the sums below all the same.
        Source::Files(Cow::Borrowed(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        )),
        Source::Debian {
            package: "dataset-fashion-mnist",
            folder: "/usr/share/datasets/fashion-mnist",
        },
    ],
    on_disk: Some("55 MB"),
    reading: Reading::Published(|folder| idx::dataset(folder, &FILES, CLASSES, SHA256)),
    sample: None,
};

const CLASSES: &[&str] = &[
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
];

static FILES: [PublishedFile; 4] = idx::files([
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
]);
/// Of the two image files, one after the other.
const SHA256: &str = "ece903fe722556775ff12ebafb1f5a149c59ea7a517ceb58794471682179b2ad";
