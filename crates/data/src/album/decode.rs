//! Pictures decoded side by side, in order.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::members::{Member, Members};
use super::{Preprocessing, words};
use crate::files::FileError;
use crate::pictures::{Crop, Picture};
use crate::{DataError, ImageSize};

/// The bytes of decoded pictures that wait for being written, about; a picture is decoded whole before it is resized, one by
/// each thread.
const WAITING: usize = 1 << 24;
/// The most pictures that wait.
const MOST_WAITING: usize = 1024;
/// The largest side that is made with black around a picture and not made smaller then.
const MOST_PADDED: usize = 1000;
/// Time between two words on how far it is.
const BETWEEN: Duration = Duration::from_secs(2);

/// How many pictures something was done to that the user must know.
#[derive(Default)]
pub(super) struct Done {
    turned: usize,
    transparent: usize,
    deep: usize,
    cropped: usize,
    padded: usize,
    recoloured: usize,
    resized: usize,
}

impl Done {
    fn add(&mut self, other: Done) {
        self.turned += other.turned;
        self.transparent += other.transparent;
        self.deep += other.deep;
        self.cropped += other.cropped;
        self.padded += other.padded;
        self.recoloured += other.recoloured;
        self.resized += other.resized;
    }

    /// A line for each.
    pub(super) fn notices(&self, how: &Preprocessing, n: usize, kind: ImageSize) -> Vec<String> {
        let crop = match how.crop {
            Some(Crop::Sides([h, w])) => format!("{h}x{w} about the centre"),
            Some(Crop::At([h, w, top, left])) => format!("{h}x{w} from row {top}, column {left}"),
            Some(Crop::Center) | None => "the largest square about the centre".to_string(),
        };
        let all = [
            (self.turned, "rotated by their EXIF orientation".to_string()),
            (
                self.transparent,
                "with transparent pixels, blended over black".to_string(),
            ),
            (
                self.deep,
                "with 16 bits per channel, rounded to 8".to_string(),
            ),
            (self.cropped, format!("cropped to {crop}")),
            (
                self.padded,
                format!("with black around them, to make {crop}"),
            ),
            (
                self.recoloured,
                match kind.channels {
                    1 => "in colour, made grey".to_string(),
                    _ => "in grey, made RGB".to_string(),
                },
            ),
            (
                self.resized,
                format!("cropped at the centre and resized to {}", words(kind)),
            ),
        ];
        let said = all.into_iter().filter(|(count, _)| *count > 0);
        said.map(|(count, what)| format!("{count} of {n} pictures {what}"))
            .collect()
    }
}

/// Decodes the pictures `order`, numbers of members, and hands each to `write`, in that order; their size, and what was done
/// to them.
///
/// errors: a picture that cannot be read; without `resize`, one of another size than the first; one of other channels; what
/// `write` refuses
pub(super) fn all(
    members: &Members,
    order: &[usize],
    how: &Preprocessing,
    progress: &mut dyn FnMut(&str),
    mut write: impl FnMut(&Picture) -> Result<(), FileError>,
) -> Result<(ImageSize, Done), DataError> {
    let of = |i: &usize| one(members, &members.all[*i], how);
    let (first, mut done) = of(&order[0])?;
    let kind = first.size();
    write(&first)?;
    let at_once = (WAITING / first.bytes().len().max(1)).clamp(1, MOST_WAITING);
    let mut said = Instant::now();
    let mut decoded = 1;
    for some in order[1..].chunks(at_once) {
        let pictures: Vec<_> = some.par_iter().map(of).collect();
        for (i, picture) in some.iter().zip(pictures) {
            let (picture, did) = picture?;
            if picture.size() != kind {
                return Err(odd(members, *i, picture.size(), order[0], kind).into());
            }
            done.add(did);
            write(&picture)?;
        }
        decoded += some.len();
        if said.elapsed() > BETWEEN && decoded < order.len() {
            let n = order.len();
            progress(&format!(
                "{}: {decoded} of {n} pictures decoded",
                members.place
            ));
            said = Instant::now();
        }
    }
    Ok((kind, done))
}

/// What `decode` makes of the file of a picture.
///
/// errors: what the system refuses; what `decode` says, with the picture's name
pub(crate) fn decoded<T>(
    members: &Members,
    member: &Member,
    decode: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<T, FileError> {
    decode(&members.read(member)?).map_err(|e| {
        let on_one_line = e.split_whitespace().collect::<Vec<_>>().join(" ");
        let reason = format!("is not a readable picture: {on_one_line}");
        FileError::malformed(&members.place(member), reason)
    })
}

/// A picture as it is learnt from, and what was done to it.
fn one(
    members: &Members,
    member: &Member,
    how: &Preprocessing,
) -> Result<(Picture, Done), FileError> {
    let fail = |reason: String| FileError::malformed(&members.place(member), reason);
    let read = decoded(members, member, Picture::decode)?;
    let mut done = Done {
        turned: usize::from(read.is_turned),
        transparent: usize::from(read.is_transparent),
        deep: usize::from(read.is_deep),
        ..Done::default()
    };
    let mut picture = read.picture;
    if let Some(crop) = how.crop {
        let before = picture.size();
        picture = picture.cropped(crop).map_err(fail)?;
        let now = picture.size();
        let is_padded = now.height > before.height || now.width > before.width;
        if is_padded && how.resize.is_none() && now.height.max(now.width) > MOST_PADDED {
            return Err(fail(format!(
                "is {} and has black around it by data.crop, to make {}: more than {MOST_PADDED} rows or columns need \
                 data.resize, which makes them fewer",
                words(before),
                words(now)
            )));
        }
        done.padded = usize::from(is_padded);
        done.cropped = usize::from(!is_padded && now != before);
    }
    if let Some(channels) = how.channels {
        done.recoloured = usize::from(channels != picture.size().channels);
        picture = picture.with_channels(channels);
    }
    if let Some([height, width]) = how.resize
        && [picture.size().height, picture.size().width] != [height, width]
    {
        done.resized = 1;
        picture = picture.cropped_and_resized(height, width, how.filter);
    }
    Ok((picture, done))
}

/// A picture that is not as the first one, and what can be done.
fn odd(
    members: &Members,
    picture: usize,
    kind: ImageSize,
    first: usize,
    expected: ImageSize,
) -> FileError {
    let place = |i: usize| members.place(&members.all[i]);
    let mut reason = format!(
        "is {}, but {} is {}",
        words(kind),
        place(first),
        words(expected)
    );
    let ImageSize { height, width, .. } = expected;
    if kind.channels != expected.channels {
        reason += ": `--set data.channels=1` makes all of them grey, `--set data.channels=3` RGB";
    } else if height == width {
        reason += &format!(": `--set data.resize={height}` crops and resizes all of them");
    } else {
        reason +=
            &format!(": `--set \"data.resize=[{height}, {width}]\"` crops and resizes all of them");
    }
    FileError::malformed(&place(picture), reason)
}
