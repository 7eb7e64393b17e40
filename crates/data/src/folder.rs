//! A folder of pictures: PNG or JPEG, grey or RGB, all of one size or made so.

use std::fs;
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, ImageResult, Limits};
use sha2::{Digest, Sha256};

use super::arrays::split;
use super::{DataError, Dataset, Images, Origin, hash};
use crate::files::{FileError, read_regular};

/// Reads the pictures in `folder`, sorted by name, each cropped and resized to `size`, [height, width], where that is
/// given; the second value says how they are split, as for one array, and what was done to them.
///
/// Pictures are turned as their EXIF orientation says, colours are laid over black where they are transparent, and 16 bits
/// become 8. Files of other endings and hidden ones are left out.
///
/// errors: no pictures; one that cannot be read; without `size`, one of another size than the first; one of another kind
pub(super) fn dataset(
    folder: &Path,
    size: Option<[usize; 2]>,
) -> Result<(Dataset, Vec<String>), DataError> {
    let place = folder.display().to_string();
    let mut done = Done::default();
    let mut bytes = Vec::new();
    let mut first: Option<(Kind, PathBuf)> = None;
    for path in pictures(folder)? {
        let (picture, kind) = read(&path, size, &mut done)?;
        let (expected, at) = first.get_or_insert_with(|| (kind, path.clone()));
        if kind != *expected {
            return Err(odd(&path, kind, at, *expected).into());
        }
        append(&picture, kind, &mut bytes);
    }
    let Some((kind, _)) = first else {
        return Err(FileError::Empty {
            file: place,
            what: "images (.png, .jpg, .jpeg), and no data_batch_1.bin of CIFAR-10 either",
        }
        .into());
    };
    let sha256 = sum(kind, &bytes);
    let all = Images::from_bytes(kind.len(), bytes);
    let notices = done.notices(&place, all.n(), kind);
    let ([train, valid, test], notice) = split(all, &place)?;
    let data = Dataset {
        name: place,
        origin: Origin::File,
        height: kind.height,
        width: kind.width,
        channels: kind.channels,
        train,
        valid,
        test,
        further_folds: Vec::new(),
        sha256,
    };
    Ok((data, [vec![notice], notices].concat()))
}

/// Size and channels of a picture.
#[derive(Clone, Copy, PartialEq)]
struct Kind {
    height: usize,
    width: usize,
    channels: usize,
}

impl Kind {
    fn of(picture: &DynamicImage) -> Kind {
        Kind {
            height: picture.height() as usize,
            width: picture.width() as usize,
            channels: usize::from(picture.color().channel_count()),
        }
    }

    fn len(&self) -> usize {
        self.height * self.width * self.channels
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let colour = if self.channels == 1 { "grey" } else { "RGB" };
        write!(f, "{}x{} {colour}", self.height, self.width)
    }
}

/// How many pictures something was done to that the user must know.
#[derive(Default)]
struct Done {
    turned: usize,
    transparent: usize,
    deep: usize,
    resized: usize,
}

impl Done {
    fn notices(&self, place: &str, n: usize, kind: Kind) -> Vec<String> {
        let resized = format!("cropped at the centre and resized to {kind}");
        let all = [
            (self.turned, "turned as their EXIF orientation says"),
            (self.transparent, "with transparent pixels, laid over black"),
            (self.deep, "of 16 bits per channel, rounded to 8"),
            (self.resized, &resized),
        ];
        let said = all.into_iter().filter(|(count, _)| *count > 0);
        said.map(|(count, what)| format!("{place}: {count} of {n} pictures {what}"))
            .collect()
    }
}

/// The pictures in a folder, sorted by name. Hidden files are none: macOS leaves a `._a.png` beside each `a.png`.
fn pictures(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let fail = |reason| FileError::io(folder, "read", reason);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        let path = entry.path();
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        if !is_hidden && matches!(ending.as_deref(), Some("png" | "jpg" | "jpeg")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A picture of one or three channels of 8 bits.
fn read(
    path: &Path,
    size: Option<[usize; 2]>,
    done: &mut Done,
) -> Result<(DynamicImage, Kind), FileError> {
    let file = read_regular(path)?;
    let decoded = decode(&file, done).map_err(|e| {
        let reason = format!("is no picture that can be read: {e}");
        FileError::malformed(&path.display().to_string(), reason)
    });
    let mut picture = plain(decoded?, done);
    if let Some([height, width]) = size
        && (picture.height() as usize, picture.width() as usize) != (height, width)
    {
        picture = resized(&picture, height as u32, width as u32);
        done.resized += 1;
    }
    let kind = Kind::of(&picture);
    Ok((picture, kind))
}

/// The picture, the right side up.
fn decode(file: &[u8], done: &mut Done) -> ImageResult<DynamicImage> {
    let reader = ImageReader::new(std::io::Cursor::new(file)).with_guessed_format()?;
    let mut decoder = reader.into_decoder()?;
    Limits::default().reserve(decoder.total_bytes())?;
    // What cannot be read of it says nothing.
    let orientation = decoder.orientation();
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    done.turned += usize::from(orientation != Orientation::NoTransforms);
    Ok(picture)
}

/// Grey or RGB of 8 bits; what is transparent as if it lay on black.
fn plain(picture: DynamicImage, done: &mut Done) -> DynamicImage {
    let colour = picture.color();
    done.deep += usize::from(colour.bytes_per_pixel() > colour.channel_count());
    let over = |value: &mut u8, alpha: u8| {
        *value = ((u16::from(*value) * u16::from(alpha) + 127) / 255) as u8;
    };
    if colour.has_alpha() {
        let mut rgba = picture.to_rgba8();
        done.transparent += usize::from(rgba.pixels().any(|p| p.0[3] < 255));
        for pixel in rgba.pixels_mut() {
            let [red, green, blue, alpha] = &mut pixel.0;
            [red, green, blue].into_iter().for_each(|v| over(v, *alpha));
        }
        let flat = DynamicImage::ImageRgba8(rgba);
        return match colour.has_color() {
            true => DynamicImage::ImageRgb8(flat.to_rgb8()),
            false => DynamicImage::ImageLuma8(flat.to_luma8()),
        };
    }
    match colour.has_color() {
        true => DynamicImage::ImageRgb8(picture.into_rgb8()),
        false => DynamicImage::ImageLuma8(picture.into_luma8()),
    }
}

/// The largest part about the centre that has the shape asked for, resized: Lanczos of 3 lobes.
fn resized(picture: &DynamicImage, height: u32, width: u32) -> DynamicImage {
    let (h, w) = (u64::from(picture.height()), u64::from(picture.width()));
    let (to_h, to_w) = (u64::from(height), u64::from(width));
    // As wide as it is and so high that the sides are as height to width, or else as high as it is.
    let (ch, cw) = match h * to_w > w * to_h {
        true => ((w * to_h / to_w).max(1), w),
        false => (h, (h * to_w / to_h).max(1)),
    };
    let [y, x] = [(h - ch) / 2, (w - cw) / 2].map(|side| side as u32);
    let part = picture.crop_imm(x, y, cw as u32, ch as u32);
    part.resize_exact(width, height, FilterType::Lanczos3)
}

/// Appends a picture channel by channel.
fn append(picture: &DynamicImage, kind: Kind, bytes: &mut Vec<u8>) {
    for channel in 0..kind.channels {
        let values = picture.as_bytes().iter().skip(channel);
        bytes.extend(values.step_by(kind.channels));
    }
}

/// What is learnt from is not what the files say, but what was made of them: sizes and pixels.
fn sum(kind: Kind, bytes: &[u8]) -> String {
    let mut sum = Sha256::new();
    for side in [kind.channels, kind.height, kind.width] {
        sum.update((side as u64).to_le_bytes());
    }
    sum.update(bytes);
    hash::hex(sum)
}

/// A picture that is not as the first one, and what can be done.
fn odd(path: &Path, kind: Kind, first: &Path, expected: Kind) -> FileError {
    let mut reason = format!("is {kind}, but {} is {expected}", first.display());
    let Kind { height, width, .. } = expected;
    if kind.channels != expected.channels {
        reason += ": expected pictures of one kind";
    } else if height == width {
        reason += &format!(": `--set data.resize={height}` crops and resizes all of them");
    } else {
        reason +=
            &format!(": `--set \"data.resize=[{height}, {width}]\"` crops and resizes all of them");
    }
    FileError::malformed(&path.display().to_string(), reason)
}
