//! Pictures in a folder, an archive or a database, decoded batch by batch.

use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{Batch, ImageOptions, Pixels};
use crate::album::{Member, Members, decoded};
use crate::files::npy::NpyHead;
use crate::files::{ArrayData, FileError};
use crate::pictures::{Picture, Read};
use crate::{ImageSize, hash};

/// How many files are looked at side by side.
const AT_ONCE: usize = 1024;

/// Pictures.
pub(super) struct PictureImages {
    members: Members,
    /// How many in folders within the folder were left out.
    below: usize,
    /// Of each, as it is stored.
    sizes: Vec<ImageSize>,
    /// Of all pictures as they are given.
    channels: usize,
    /// Of the next one.
    at: usize,
    done: Done,
}

/// How many pictures something was done to that the user must know, so far.
#[derive(Default)]
struct Done {
    turned: usize,
    transparent: usize,
    deep: usize,
}

impl PictureImages {
    /// The second value is the SHA-256 of those of the files.
    ///
    /// errors: no pictures; one whose head cannot be read; unless they may be mixed, two sizes
    pub(super) fn open(path: &Path, options: &ImageOptions) -> Result<(Self, String), FileError> {
        let mixed = options.mixed;
        let mut members = Members::with_arrays(path, options.arrays)?;
        let found = members.all.len();
        if !options.deep {
            let Members { all, folders, .. } = &mut members;
            let folder = |name: &str| name.rsplit_once('/').map(|(folder, _)| folder.to_string());
            all.retain(|member| {
                folder(&member.name).is_none_or(|within| !folders.contains(&within))
            });
        }
        let below = found - members.all.len();
        // As Python sorts paths, which decides what KID and the inception score draw: "a-b/x" before "a/x".
        members.all.sort_by(|a, b| a.name.cmp(&b.name));
        if members.all.is_empty() {
            let left_out = left_out(&members, below);
            let left_out: String = left_out.map(|what| format!("; {what}")).collect();
            let endings = match options.arrays {
                true => ".png, .jpg, .jpeg, .npy",
                false => ".png, .jpg, .jpeg",
            };
            let reason = format!("contains no pictures ({endings}){left_out}");
            return Err(FileError::malformed(&members.place, reason));
        }
        let mut sizes: Vec<ImageSize> = Vec::with_capacity(members.all.len());
        let mut sum = Sha256::new();
        for some in members.all.chunks(AT_ONCE) {
            let look = |member: &Member| {
                if members.is_array(member) {
                    let file = members.read(member)?;
                    let size = picture_of(&file, &members.place(member))?.size();
                    return Ok((size, Sha256::digest(&file)));
                }
                decoded(&members, member, |file| {
                    Ok((Picture::measure(file)?, Sha256::digest(file)))
                })
            };
            for found in some.par_iter().map(look).collect::<Vec<_>>() {
                let (size, digest) = found?;
                sum.update(digest);
                if let (false, Some(first)) = (mixed, sizes.first())
                    && [size.height, size.width] != [first.height, first.width]
                {
                    let of = |i: usize| members.place(&members.all[i]);
                    let (odd, before) = (of(sizes.len()), of(0));
                    let [a, b] =
                        [&size, first].map(|size| format!("{}x{}", size.height, size.width));
                    let reason =
                        format!("is {a}, but {before} is {b}: expected pictures of one size");
                    return Err(FileError::malformed(&odd, reason));
                }
                sizes.push(size);
            }
        }
        let channels = sizes.iter().map(|size| size.channels).max().unwrap_or(1);
        let pictures = Self {
            members,
            below,
            sizes,
            channels,
            at: 0,
            done: Done::default(),
        };
        Ok((pictures, hash::hex(sum)))
    }

    pub(super) fn n(&self) -> usize {
        self.sizes.len()
    }

    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// The size of picture `index` as it is given.
    fn of(&self, index: usize) -> ImageSize {
        ImageSize {
            channels: self.channels,
            ..self.sizes[index]
        }
    }

    pub(super) fn size(&self) -> Option<ImageSize> {
        let first = self.of(0);
        (0..self.n()).all(|i| self.of(i) == first).then_some(first)
    }

    pub(super) fn name(&self, index: usize) -> String {
        self.members.place(&self.members.all[index])
    }

    pub(super) fn notices(&self) -> Vec<String> {
        let n = self.n();
        let is_grey = |size: &&ImageSize| size.channels < self.channels;
        let Done {
            turned,
            transparent,
            deep,
        } = self.done;
        let counts = [
            (
                self.sizes.iter().filter(is_grey).count(),
                "in grey, repeated in three channels",
            ),
            (
                transparent,
                "with transparent pixels, whose transparency is left out",
            ),
            (turned, "not turned as their EXIF orientation says"),
            (
                deep,
                "with 16 bits per channel, of which the higher 8 are taken",
            ),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts = counts.map(move |(count, what)| format!("{count} of {n} pictures {what}"));
        left_out(&self.members, self.below).chain(counts).collect()
    }

    pub(super) fn restart(&mut self) {
        (self.at, self.done) = (0, Done::default());
    }

    pub(super) fn next(&mut self, max: usize) -> Result<Option<Batch>, FileError> {
        let first = self.at;
        if first == self.n() {
            return Ok(None);
        }
        let size = self.of(first);
        let alike = (first..self.n())
            .take(max)
            .take_while(|i| self.of(*i) == size);
        let end = first + alike.count();
        let read: Vec<Result<Read, FileError>> = self.members.all[first..end]
            .par_iter()
            .map(|member| stored(&self.members, member))
            .collect();
        let mut bytes = Vec::with_capacity((end - first) * size.values().unwrap_or(0));
        for (index, read) in (first..end).zip(read) {
            let read = read?;
            if read.picture.size() != self.sizes[index] {
                let reason = "has changed since it was opened";
                return Err(FileError::malformed(&self.name(index), reason));
            }
            self.done.turned += usize::from(read.is_turned);
            self.done.transparent += usize::from(read.is_transparent);
            self.done.deep += usize::from(read.is_deep);
            bytes.extend_from_slice(read.picture.with_channels(self.channels).bytes());
        }
        self.at = end;
        Ok(Some(Batch {
            first,
            size,
            pixels: Pixels::Bytes(bytes),
        }))
    }
}

/// A picture as it is stored.
fn stored(members: &Members, member: &Member) -> Result<Read, FileError> {
    match members.is_array(member) {
        false => decoded(members, member, Picture::decode_stored),
        true => Ok(Read {
            picture: picture_of(&members.read(member)?, &members.place(member))?,
            is_turned: false,
            is_transparent: false,
            is_deep: false,
        }),
    }
}

/// The image in an .npy file.
///
/// errors: another type or shape than uint8 [height, width, 3], or no pixels
fn picture_of(file: &[u8], place: &str) -> Result<Picture, FileError> {
    let (mut source, bytes) = (file, file.len() as u64);
    let array = NpyHead::read(&mut source, bytes, place)?.all(&mut source, place)?;
    let found = format!("{} {:?}", array.data.dtype(), array.shape);
    let picture = match (&*array.shape, array.data) {
        (&[height, width, channels @ 3], ArrayData::U8(bytes)) if !bytes.is_empty() => {
            let size = ImageSize {
                height,
                width,
                channels,
            };
            Picture::new(size, bytes)
        }
        _ => None,
    };
    picture.ok_or_else(|| {
        let reason = format!("is {found}: expected a picture, uint8 [height, width, 3]");
        FileError::malformed(place, reason)
    })
}

/// What was not taken, for people; `below` pictures lie in folders within the folder.
fn left_out(members: &Members, below: usize) -> impl Iterator<Item = String> + use<> {
    let within = match below {
        0 => None,
        1 => Some("1 picture in a folder within it left out".to_string()),
        n => Some(format!("{n} pictures in folders within it left out")),
    };
    members.left_out().into_iter().chain(within)
}
