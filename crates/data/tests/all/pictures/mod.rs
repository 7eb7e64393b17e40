//! Pictures: drawn for tests, read, in folders and archives, in the cache.

mod archives;
mod decoded;
mod folders;
mod image_files;
mod kept;

use std::fs;
use std::path::{Path, PathBuf};

use ganforge_data::{Cache, Dataset, FetchPolicy, Preprocessing};
use png::ColorType::{self, Grayscale};

pub(crate) fn load(path: &Path) -> Result<(Dataset, Vec<String>), String> {
    let how = Preprocessing::default();
    load_into(tempfile::tempdir().unwrap().path(), path, &how)
}

/// The pictures at `path`, decoded into `cache`.
pub(crate) fn load_into(
    cache: &Path,
    path: &Path,
    how: &Preprocessing,
) -> Result<(Dataset, Vec<String>), String> {
    let path = path.to_str().unwrap();
    let loaded = Cache::at(cache).load_with(path, how, FetchPolicy::Offline, &mut |_| {});
    loaded.map_err(|e| e.to_string())
}

pub(crate) fn refusal(path: &Path) -> String {
    let message = load(path).unwrap_err();
    assert!(!message.contains('\n'), "{message}");
    message
}

/// A picture to write.
#[derive(Clone)]
pub(crate) struct Drawn {
    /// Height and width.
    size: [usize; 2],
    colour: ColorType,
    /// Of 8 bits per channel, or of 16, the higher byte first.
    bytes: Vec<u8>,
}

/// A picture whose pixel in column x and row y is `of(x, y)`.
pub(crate) fn drawn<const N: usize>(
    [height, width]: [usize; 2],
    colour: ColorType,
    of: impl Fn(usize, usize) -> [u8; N],
) -> Drawn {
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    Drawn {
        size: [height, width],
        colour,
        bytes: places.flat_map(|(x, y)| of(x, y)).collect(),
    }
}

pub(crate) fn grey(size: [usize; 2], value: u8) -> Drawn {
    drawn(size, Grayscale, |_, _| [value])
}

impl Drawn {
    pub(crate) fn png(&self) -> Vec<u8> {
        let mut png = Vec::new();
        let [height, width] = self.size.map(|side| side as u32);
        let mut encoder = png::Encoder::new(&mut png, width, height);
        encoder.set_color(self.colour);
        let is_deep = self.bytes.len() > self.size[0] * self.size[1] * self.colour.samples();
        encoder.set_depth(match is_deep {
            true => png::BitDepth::Sixteen,
            false => png::BitDepth::Eight,
        });
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&self.bytes).unwrap();
        writer.finish().unwrap();
        png
    }

    pub(crate) fn jpeg(&self) -> Vec<u8> {
        let mut jpeg = Vec::new();
        let [height, width] = self.size.map(|side| side as u16);
        let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 100);
        let colour = jpeg_encoder::ColorType::Luma;
        encoder.encode(&self.bytes, width, height, colour).unwrap();
        jpeg
    }
}

pub(crate) fn save(folder: &Path, name: &str, picture: &Drawn) {
    let is_png = name.to_lowercase().ends_with("png");
    let file = if is_png {
        picture.png()
    } else {
        picture.jpeg()
    };
    fs::write(folder.join(name), file).unwrap();
}

/// The pictures in `folder`, resized where a size is given.
pub(crate) fn of(
    folder: &Path,
    resize: Option<[usize; 2]>,
) -> Result<(Dataset, Vec<String>), String> {
    let how = Preprocessing {
        resize,
        ..Preprocessing::default()
    };
    load_into(tempfile::tempdir().unwrap().path(), folder, &how)
}

/// A tar archive of these files; folders are named with a `/` at the end.
pub(crate) fn tar_of(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
        }
        archive.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Those files in a folder.
pub(crate) fn write_all(folder: &Path, files: &[(&str, Vec<u8>)]) {
    for (name, bytes) in files {
        let path = folder.join(name);
        match name.ends_with('/') {
            true => fs::create_dir_all(&path).unwrap(),
            false => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, bytes).unwrap();
            }
        }
    }
}

/// A folder and an archive of these files, in a place of their own.
pub(crate) fn twice(files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, [PathBuf; 2]) {
    let place = tempfile::tempdir().unwrap();
    let paths = [place.path().join("p"), place.path().join("p.tar")];
    fs::create_dir(&paths[0]).unwrap();
    write_all(&paths[0], files);
    fs::write(&paths[1], tar_of(files)).unwrap();
    (place, paths)
}

/// A grey picture of this value, 2x2.
pub(crate) fn of_value(value: u8) -> Vec<u8> {
    grey([2, 2], value).png()
}

/// The value of each picture of a part, and its label.
pub(crate) fn values(images: &ganforge_data::Images) -> (Vec<u8>, Option<&[u8]>) {
    let bytes = images.bytes().unwrap();
    let firsts = bytes.chunks_exact(images.d()).map(|image| image[0]);
    (firsts.collect(), images.labels())
}

/// Seven times the same picture.
pub(crate) fn seven(picture: Drawn) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..7 {
        save(folder.path(), &format!("{i}.png"), &picture);
    }
    folder
}
