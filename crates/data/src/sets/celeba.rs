//! CelebA (Liu et al. 2015), aligned and cropped: 202,599 faces of 178x218, and the authors' list of parts.
//!
//! Prepared as Kurach et al. 2019 do in their later code: the middle 160x160, resized to 64x64.
//!
//! source: SHA-256 and sizes as in `celeb_a.txt` of TensorFlow Datasets; the preparation as in `CelebaDataset` of
//! compare_gan, `datasets.py`

use super::{Published, Reading};
use crate::hash::Sum;
use crate::pictures::{Crop, Filter};
use crate::published::PublishedFile;
use crate::sources::Source;
use crate::{HeldOut, ImageSize, Preprocessing};

/// Faces in colour, 64x64.
pub static CELEBA: Published = Published {
    name: "celeba",
    about: "faces in colour, the middle 160x160 resized",
    image: ImageSize {
        height: 64,
        width: 64,
        channels: 3,
    },
    classes: &[],
    files: &[
        PublishedFile::new(
            PICTURES,
            1_443_490_838,
            Sum::Sha256,
            "46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74",
        ),
        PublishedFile::new(
            "list_eval_partition.txt",
            2_836_386,
            Sum::Sha256,
            "fc955bcb3ef8fbdf7d5640d9a8693a8431b5f2ee291a5c1449a1549e7e073fe7",
        ),
    ],
    sources: &[Source::OnRequest(
        "CelebA (Liu et al. 2015) is on a drive that is opened in a browser: save img_align_celeba.zip and \
         list_eval_partition.txt from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, then `ganforge data fetch celeba \
         --from FOLDER`",
    )],
    on_disk: Some("1.4 GB, and 2.5 GB decoded"),
    reading: Reading::Pictures(
        PICTURES,
        Preprocessing {
            crop: Some(Crop::Sides([160, 160])),
            channels: Some(3),
            resize: Some([64, 64]),
            filter: Filter::Bilinear,
            held_out: HeldOut {
                valid: None,
                test: None,
            },
        },
    ),
    sample: None,
};

const PICTURES: &str = "img_align_celeba.zip";
