//! CelebA-HQ (Karras et al. 2018) of 128x128: 30,000 faces in `data128x128.tar`.
//!
//! Kurach et al. 2019 test on 3,000 of them and train on the others. Which 3,000 is not said in terms of the files: here they
//! are the last ones by name. The 1,000 before them are kept to validate.
//!
//! source: the name of the archive as in `celeb_a_hq.py` of TensorFlow Datasets; no checksum is published

use super::{Published, Reading};
use crate::album;
use crate::pictures::Filter;
use crate::published::{Check, PublishedFile};
use crate::sources::Source;
use crate::{HeldOut, ImageSize, Preprocessing};

/// Faces in colour, 128x128.
pub static CELEBA_HQ_128: Published = Published {
    name: "celeba-hq-128",
    about: "faces in colour, of high quality",
    image: ImageSize {
        height: 128,
        width: 128,
        channels: 3,
    },
    classes: &[],
    files: &[PublishedFile {
        name: PICTURES,
        check: Check::Content(album::check),
    }],
    sources: &[Source::OnRequest(
        "CelebA-HQ (Karras et al. 2018) is made from CelebA, or found on drives that are opened in a browser: see \
         https://github.com/tkarras/progressive_growing_of_gans, put the 30,000 pictures into data128x128.tar, then `ganforge \
         data fetch celeba-hq-128 --from FOLDER`",
    )],
    on_disk: Some("the archive, and 1.5 GB decoded"),
    reading: Reading::Pictures(
        PICTURES,
        Preprocessing {
            crop: None,
            channels: Some(3),
            resize: None,
            filter: Filter::Lanczos,
            held_out: HeldOut {
                valid: Some(1_000),
                test: Some(3_000),
            },
        },
    ),
    sample: None,
};

const PICTURES: &str = "data128x128.tar";
