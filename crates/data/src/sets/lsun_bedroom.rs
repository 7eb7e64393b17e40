//! The bedrooms of LSUN (Yu et al. 2015), about 3 million pictures whose shorter side is 256, in an LMDB database: the middle
//! 128x128 of each.
//!
//! Kurach et al. 2019 hold out 30,588 of the training pictures to test on, because only 300 are published for validation. Which
//! ones follows from how TensorFlow Datasets shuffled them: here they are the last ones by key. The 1,000 before them are kept
//! to validate.
//!
//! source: address, size and SHA-256 of the archive as in `lsun.txt` of TensorFlow Datasets; the preparation as in
//! `LsunBedroomDataset` of compare_gan, `datasets.py`

use super::{Published, Reading};
use crate::album;
use crate::pictures::{Crop, Filter};
use crate::published::{Check, PublishedFile};
use crate::sources::Source;
use crate::{HeldOut, ImageSize, Preprocessing};

/// Bedrooms in colour, 128x128.
pub static LSUN_BEDROOM: Published = Published {
    name: "lsun-bedroom",
    about: "bedrooms in colour, the middle of each picture",
    image: ImageSize {
        height: 128,
        width: 128,
        channels: 3,
    },
    classes: &[],
    files: &[PublishedFile {
        name: "data.mdb",
        check: Check::Content(album::check),
    }],
    sources: &[Source::OnRequest(
        "fetch and unpack http://dl.yf.io/lsun/scenes/bedroom_train_lmdb.zip (45,922,737,680 bytes, SHA-256 \
         a15644c2e7153106867f0adb3491fc41224102d1f01b24494fb47d9f5d1f174e), then `ganforge data fetch lsun-bedroom --from \
         bedroom_train_lmdb`, or use its path as data.set, without a copy",
    )],
    on_disk: Some("46 GB as an archive, and 149 GB decoded"),
    reading: Reading::Pictures(
        "",
        Preprocessing {
            crop: Some(Crop::Sides([128, 128])),
            channels: Some(3),
            resize: None,
            filter: Filter::Lanczos,
            held_out: HeldOut {
                valid: Some(1_000),
                test: Some(30_588),
            },
        },
    ),
    sample: None,
};
