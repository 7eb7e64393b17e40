//! Pictures as a data set: PNG and JPEG files in a folder, an archive or an LMDB database, cropped, resized, decoded once.
//!
//! What is decoded is bytes in a file of the cache, which is mapped: it takes room in memory only as the system sees fit.

mod decode;
mod layout;
mod members;
mod partition;
mod stored;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Cache, DataError, Dataset, HeldOut, ImageSize, Images, Origin, hash};
use crate::files::FileError;
use crate::files::atomic::AtomicFile;
use crate::images::Shared;
use crate::pictures::{Crop, Filter, Picture};
pub(crate) use decode::decoded;
use layout::Layout;
pub(crate) use members::{COMPRESSED, Member, Members};
use partition::Partition;
use stored::{Found, Head, Stored};

/// Raised when the same pictures and settings make other pixels than before.
const VERSION: u32 = 2;

/// How pictures become images, in this order, and which of them are held out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preprocessing {
    /// The part that is taken.
    pub crop: Option<Crop>,
    /// 1: grey, 3: RGB; else as the pictures are, which must all be alike.
    pub channels: Option<usize>,
    /// [height, width]: the largest part about the centre of that shape is resized to it; else pictures must have one size.
    pub resize: Option<[usize; 2]>,
    /// How they are resized.
    pub filter: Filter,
    /// How many of them validate and test.
    pub held_out: HeldOut,
}

impl Default for Preprocessing {
    /// None, with the filter Lanczos, a seventh held out for each part.
    fn default() -> Preprocessing {
        Preprocessing {
            crop: None,
            channels: None,
            resize: None,
            filter: Filter::Lanczos,
            held_out: HeldOut::default(),
        }
    }
}

impl Preprocessing {
    /// What is done, in a text that is another one where it is something else.
    fn key(&self) -> String {
        let Preprocessing {
            crop,
            channels,
            resize,
            filter,
            held_out,
        } = self;
        let mut text = format!(
            "Preprocessing {{ crop: {crop:?}, channels: {channels:?}, resize: {resize:?} }}"
        );
        // Left out where it is as it was before there was a choice: what was decoded then is found still.
        if *filter != Filter::Lanczos && resize.is_some() {
            text += &format!(" {filter:?}");
        }
        if held_out.key().is_some() {
            text += &format!(" {held_out:?}");
        }
        text
    }
}

/// Whether a file holds pictures; messages call it `place`.
///
/// errors: an archive or a database that cannot be read, or one without pictures
pub(crate) fn check(path: &Path, place: &str) -> Result<(), DataError> {
    match Members::of(path)?.all.is_empty() {
        false => Ok(()),
        true => Err(FileError::Empty {
            file: place.to_string(),
            what: "pictures",
        }
        .into()),
    }
}

/// The pictures in a folder, an archive or a database as a data set; what is made of them lies in `cache`. The second value says how
/// they are split and what was done to them.
///
/// Pictures are turned as their EXIF orientation says, transparent ones are blended over black, and 16 bits
/// become 8. Files of other endings and hidden ones are left out. Where CelebA's list of parts lies in the folder or beside
/// it, it says which part each picture is of.
///
/// errors: as of [`Members::of`], [`Layout::of`], [`decode::all`]; a cache that cannot be written to its end
pub(super) fn dataset(
    cache: &Cache,
    path: &Path,
    how: &Preprocessing,
    progress: &mut dyn FnMut(&str),
) -> Result<(Dataset, Vec<String>), DataError> {
    let members = Members::of(path)?;
    let partition = Partition::of(path)?;
    let key = key(&members, partition.as_ref(), how);
    let file = file(cache, path, how);
    let left_out = members.left_out();
    let left_out = left_out.map(|what| format!("{}: {what}", members.place));
    let mut notices: Vec<String> = left_out.into_iter().collect();
    match stored::open(&file, &key) {
        Found::Stored(stored) => return data(&members.place, *stored, notices),
        Found::Nothing => {}
        Found::Stale => progress(&format!(
            "{}: the pictures have changed since they were decoded",
            members.place
        )),
        Found::Damaged(reason) => {
            let file = file.display();
            notices.push(format!("{file}: {reason}: the pictures are decoded again"));
        }
    }
    let layout = Layout::of(&members, partition.as_ref(), how.held_out)?;
    let stored = match stored::start(&file) {
        Ok(sink) => {
            make(&members, &layout, how, &key, Sink::File(sink), progress)?;
            match stored::open(&file, &key) {
                Found::Stored(stored) => *stored,
                Found::Damaged(reason) => {
                    return Err(FileError::malformed(&file.display().to_string(), reason).into());
                }
                Found::Nothing | Found::Stale => {
                    let reason = "was replaced while it was read: is another process training on these pictures as they change?";
                    return Err(FileError::malformed(&file.display().to_string(), reason).into());
                }
            }
        }
        Err(reason) => {
            notices.push(format!(
                "{reason}: the decoded pictures are kept in memory, and decoded anew by the next run"
            ));
            let sink = Sink::Memory(Vec::new());
            make(&members, &layout, how, &key, sink, progress)?.expect("kept in memory")
        }
    };
    let (n, size) = (stored.head.counts.iter().sum::<usize>(), stored.head.size);
    let place = &members.place;
    progress(&format!("{place}: {n} pictures decoded, {}", words(size)));
    data(place, stored, notices)
}

/// Where decoded pictures go.
enum Sink {
    File(AtomicFile),
    Memory(Vec<u8>),
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        match self {
            Sink::Memory(all) => {
                all.extend_from_slice(bytes);
                Ok(())
            }
            Sink::File(file) => {
                let written = std::io::Write::write_all(file, bytes);
                written.map_err(|reason| FileError::io(file.target(), "write", reason))
            }
        }
    }
}

/// Decodes the pictures into the sink; what is in memory then.
fn make(
    members: &Members,
    layout: &Layout,
    how: &Preprocessing,
    key: &str,
    mut sink: Sink,
    progress: &mut dyn FnMut(&str),
) -> Result<Option<Stored>, DataError> {
    let order: Vec<usize> = layout.parts.concat();
    let labels = layout.labels.as_ref();
    let labels = labels.map_or(Vec::new(), |l| order.iter().map(|&i| l[i]).collect());
    let mut sum = None;
    let mut head = Head {
        key: key.to_string(),
        size: ImageSize {
            height: 0,
            width: 0,
            channels: 0,
        },
        counts: [0, 1, 2].map(|part| layout.parts[part].len()),
        classes: layout.classes.clone(),
        is_plain: layout.is_plain,
        notices: vec![layout.notice.clone()],
        sha256: String::new(),
    };
    let write = |picture: &Picture| {
        let sum = sum.get_or_insert_with(|| {
            head.size = picture.size();
            head.sum_of_pixels()
        });
        sum.update(picture.bytes());
        sink.write(picture.bytes())
    };
    let (size, done) = decode::all(members, &order, how, progress, write)?;
    head.notices.extend(done.notices(how, order.len(), size));
    head.sha256 = head.sum_with(sum.expect("at least one picture"), &labels);
    match sink {
        Sink::Memory(bytes) => Ok(Some(Stored {
            head,
            pixels: Shared::from(bytes),
            labels,
        })),
        Sink::File(mut file) => {
            let finished = stored::finish(&mut file, &head, &labels);
            finished.map_err(|reason| FileError::io(file.target(), "write", reason))?;
            file.commit()?;
            Ok(None)
        }
    }
}

/// Decoded pictures as a data set called `place`.
fn data(
    place: &str,
    stored: Stored,
    notices: Vec<String>,
) -> Result<(Dataset, Vec<String>), DataError> {
    let Stored {
        head,
        pixels,
        labels,
    } = stored;
    let ImageSize {
        height,
        width,
        channels,
    } = head.size;
    let mut all = Images::from_shared(height * width * channels, pixels);
    if !head.classes.is_empty() {
        all = all.with_labels(labels);
    }
    let [train, valid, _] = head.counts;
    let data = Dataset {
        name: place.to_string(),
        origin: Origin::File,
        height,
        width,
        channels,
        train: all.slice(0..train)?,
        valid: all.slice(train..train + valid)?,
        test: all.slice(train + valid..all.n())?,
        classes: head.classes,
        further_folds: Vec::new(),
        sha256: head.sha256,
    };
    let own = head.notices.iter().map(|line| format!("{place}: {line}"));
    Ok((data, own.chain(notices).collect()))
}

/// Which images these are: the pictures, and what is made of them.
fn key(members: &Members, partition: Option<&Partition>, how: &Preprocessing) -> String {
    let mut text = format!("{VERSION} {} {}", members.key(), how.key());
    if let Some(partition) = partition {
        text += &format!(" {}", partition.sum);
    }
    hash::hex(Sha256::new_with_prefix(text))
}

/// The file of the cache for pictures at `path`: one for each place and way to make images of it.
fn file(cache: &Cache, path: &Path, how: &Preprocessing) -> PathBuf {
    let place = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let stem = place.file_stem().unwrap_or_default().to_string_lossy();
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let stem: String = stem.chars().filter(|c| good(*c)).take(40).collect();
    let sum = hash::hex(Sha256::new_with_prefix(format!("{place:?} {}", how.key())));
    let name = format!("{stem}-{:.16}.pixels", sum);
    cache.folder("pictures").join(name)
}

/// Size and colours for people.
fn words(size: ImageSize) -> String {
    let colour = if size.channels == 1 { "grey" } else { "RGB" };
    format!("{}x{} {colour}", size.height, size.width)
}
