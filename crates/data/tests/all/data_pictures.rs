//! CIFAR-10's binary files and folders of pictures, written here byte by byte or by the crates that also write pictures.

use std::fs;
use std::path::{Path, PathBuf};

use ganforge_data::{Cache, Contrast, Crop, Dataset, FetchPolicy, Preprocessing};
use png::ColorType::{self, Grayscale, GrayscaleAlpha, Rgb, Rgba};

const PIXELS: usize = 3072;

fn load(path: &Path) -> Result<(Dataset, Vec<String>), String> {
    let how = Preprocessing::default();
    load_into(tempfile::tempdir().unwrap().path(), path, &how)
}

/// The pictures at `path`, decoded into `cache`.
fn load_into(
    cache: &Path,
    path: &Path,
    how: &Preprocessing,
) -> Result<(Dataset, Vec<String>), String> {
    let path = path.to_str().unwrap();
    let loaded = Cache::at(cache).load_with(path, how, FetchPolicy::Offline, &mut |_| {});
    loaded.map_err(|e| e.to_string())
}

fn refusal(path: &Path) -> String {
    let message = load(path).unwrap_err();
    assert!(!message.contains('\n'), "{message}");
    message
}

/// The pixels of record i: red, green and blue planes one after the other.
fn pixels(i: usize) -> Vec<u8> {
    (0..PIXELS)
        .map(|p| ((p / 1024 + 1) * (i + 3) * (p % 1024) % 251) as u8)
        .collect()
}

fn records(range: std::ops::Range<usize>) -> Vec<u8> {
    let record = |i: usize| [vec![(i % 10) as u8], pixels(i)].concat();
    range.flat_map(record).collect()
}

/// Ten training images in two files, and three to test on.
fn cifar(folder: &Path) {
    fs::write(folder.join("data_batch_1.bin"), records(0..6)).unwrap();
    fs::write(folder.join("data_batch_2.bin"), records(6..10)).unwrap();
    fs::write(folder.join("test_batch.bin"), records(10..13)).unwrap();
}

#[test]
fn cifar_files_are_split_as_the_papers_code_splits_them() {
    let folder = tempfile::tempdir().unwrap();
    cifar(folder.path());
    let (data, notices) = load(folder.path()).unwrap();
    assert_eq!((data.channels, data.height, data.width), (3, 32, 32));
    assert_eq!((data.train.n(), data.valid.n(), data.test.n()), (8, 2, 3));
    assert!(notices[0].ends_with("8 images to train, 2 to validate, 3 to test"));
    // Pixel by pixel, red, green and blue of each.
    let unit = |i: usize| {
        let planes = pixels(i);
        let at = |p: usize| planes[p % 3 * 1024 + p / 3];
        (0..PIXELS)
            .map(|p| f32::from(at(p)) / 255.0)
            .collect::<Vec<f32>>()
    };
    assert_eq!(data.train.to_f32(7..8).unwrap(), unit(7));
    assert_eq!(data.valid.to_f32(0..1).unwrap(), unit(8));
    assert_eq!(data.test.to_f32(2..3).unwrap(), unit(12));
    let labels = [&data.train, &data.valid, &data.test].map(|part| part.labels().unwrap());
    assert_eq!(labels, [&[0, 1, 2, 3, 4, 5, 6, 7][..], &[8, 9], &[0, 1, 2]]);
    assert_eq!((data.classes.len(), data.classes[8].as_str()), (10, "ship"));
}

#[test]
fn normalised_contrast_is_seen_by_every_reader() {
    let folder = tempfile::tempdir().unwrap();
    cifar(folder.path());
    let (data, _) = load(folder.path()).unwrap();
    let data = data.with_contrast(Contrast::Gcn);
    for images in [&data.train, &data.valid, &data.test] {
        let all = images.to_f32(0..images.n()).unwrap();
        for image in all.chunks_exact(PIXELS) {
            let sum = |f: fn(f64) -> f64| image.iter().map(|&x| f(f64::from(x))).sum::<f64>();
            assert!((sum(|x| x * x).sqrt() - 55.0).abs() < 1e-3);
            assert!(sum(|x| x).abs() / PIXELS as f64 <= 1e-6);
        }
        let rows: Vec<usize> = (0..images.n()).rev().collect();
        let mut gathered = vec![f32::NAN; all.len()];
        images.rows_f32_into(&rows, &mut gathered).unwrap();
        let reversed = all.chunks_exact(PIXELS).rev().flatten().copied();
        assert!(gathered.iter().copied().eq(reversed));
    }
}

#[test]
fn cifar_files_that_are_none_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (name, bytes, part) in [
        (
            "data_batch_1.bin",
            records(0..10)[1..].to_vec(),
            "data_batch_1.bin: 30729 bytes are not a multiple",
        ),
        (
            "test_batch.bin",
            vec![0; 3074],
            "test_batch.bin: 3074 bytes are not a multiple of CIFAR-10's record size, 3073",
        ),
        (
            "data_batch_2.bin",
            vec![],
            "data_batch_2.bin: contains no images",
        ),
        (
            "data_batch_2.bin",
            [vec![10], pixels(0)].concat(),
            "record 0 has the label 10: expected 0 to 9",
        ),
    ] {
        cifar(folder.path());
        fs::write(at(name), bytes).unwrap();
        let message = refusal(folder.path());
        assert!(message.contains(part), "expected `{part}` in `{message}`");
    }
    cifar(folder.path());
    fs::rename(at("data_batch_2.bin"), at("data_batch_3.bin")).unwrap();
    assert!(refusal(folder.path()).contains("data_batch_2.bin: cannot read: "));
    cifar(folder.path());
    fs::remove_file(at("test_batch.bin")).unwrap();
    assert!(refusal(folder.path()).contains("test_batch.bin: cannot read: "));
    fs::write(at("test_batch.bin"), records(0..1)).unwrap();
    for name in ["data_batch_2.bin", "data_batch_3.bin"] {
        fs::remove_file(at(name)).unwrap();
    }
    fs::write(at("data_batch_1.bin"), records(0..4)).unwrap();
    assert!(refusal(folder.path()).contains("4 training images cannot be split"));
}

#[test]
fn only_the_published_cifar_files_come_into_the_cache() {
    let (from, cached) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    cifar(from.path());
    let cache = Cache::at(cached.path());
    let from = from.path().to_str();
    let result = cache.fetch("cifar10", from, FetchPolicy::Offline, &mut |_| {});
    let message = result.unwrap_err().to_string();
    assert!(
        message.contains("announces 30730000 bytes, but there are 18438 bytes"),
        "{message}"
    );
    assert_eq!(
        message.lines().count(),
        2,
        "from there and nowhere else: {message}"
    );
    let result = cache.fetch("cifar10", None, FetchPolicy::Offline, &mut |_| {});
    let message = result.unwrap_err().to_string();
    assert!(
        message.contains("cifar-10-binary.tar.gz: not tried: offline"),
        "{message}"
    );
    assert_eq!(
        fs::read_dir(cached.path().join("cifar10")).unwrap().count(),
        0
    );
}

/// A picture to write.
#[derive(Clone)]
struct Drawn {
    /// Height and width.
    size: [usize; 2],
    colour: ColorType,
    /// Of 8 bits per channel, or of 16, the higher byte first.
    bytes: Vec<u8>,
}

/// A picture whose pixel in column x and row y is `of(x, y)`.
fn drawn<const N: usize>(
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

fn grey(size: [usize; 2], value: u8) -> Drawn {
    drawn(size, Grayscale, |_, _| [value])
}

impl Drawn {
    fn png(&self) -> Vec<u8> {
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

    fn jpeg(&self) -> Vec<u8> {
        let mut jpeg = Vec::new();
        let [height, width] = self.size.map(|side| side as u16);
        let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 100);
        let colour = jpeg_encoder::ColorType::Luma;
        encoder.encode(&self.bytes, width, height, colour).unwrap();
        jpeg
    }
}

fn save(folder: &Path, name: &str, picture: &Drawn) {
    let is_png = name.to_lowercase().ends_with("png");
    let file = if is_png {
        picture.png()
    } else {
        picture.jpeg()
    };
    fs::write(folder.join(name), file).unwrap();
}

#[test]
fn pictures_are_read_in_the_order_of_their_names_pixel_by_pixel() {
    let folder = tempfile::tempdir().unwrap();
    for i in (0..9_u8).rev() {
        let picture = drawn([1, 2], Rgb, |x, _| [i, 100 + x as u8, 200]);
        save(folder.path(), &format!("{i}.png"), &picture);
    }
    fs::write(folder.path().join("notes.txt"), "not a picture").unwrap();
    let (data, notices) = load(folder.path()).unwrap();
    assert_eq!((data.channels, data.height, data.width), (3, 1, 2));
    assert_eq!((data.train.n(), data.valid.n(), data.test.n()), (7, 1, 1));
    assert!(notices[0].contains("one set of 9 images"), "{notices:?}");
    let expected = [8.0, 100.0, 200.0, 8.0, 101.0, 200.0].map(|v: f32| v / 255.0);
    assert_eq!(data.test.to_f32(0..1).unwrap(), expected);

    let folder = tempfile::tempdir().unwrap();
    for i in 0..7_u8 {
        let name = format!("{i}.{}", ["jpg", "PNG", "jpeg"][usize::from(i) % 3]);
        save(folder.path(), &name, &grey([16, 8], 30 * i));
    }
    let (data, _) = load(folder.path()).unwrap();
    assert_eq!((data.channels, data.height, data.width), (1, 16, 8));
    let last = data.test.to_f32(0..1).unwrap();
    assert!(
        last.iter().all(|p| (p * 255.0 - 180.0).abs() <= 2.0),
        "{last:?}"
    );
}

#[test]
fn the_first_odd_picture_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(refusal(folder).contains("contains no images (.png, .jpg, .jpeg)"));
    for i in 0..3 {
        save(folder, &format!("{i}.png"), &grey([5, 4], 0));
    }
    assert!(refusal(folder).contains("3 images cannot be split: expected at least 7"));
    for i in 4..8 {
        save(folder, &format!("{i}.png"), &grey([5, 4], 0));
    }
    for (name, picture, part) in [
        (
            "3.png",
            grey([4, 5], 0),
            "0.png is 5x4 grey: `--set \"data.resize=[5, 4]\"` crops and resizes all of them",
        ),
        (
            "2.png",
            drawn([5, 4], Rgb, |_, _| [0; 3]),
            "2.png: is 5x4 RGB, but ",
        ),
    ] {
        save(folder, name, &picture);
        let message = refusal(folder);
        assert!(message.contains(part), "expected `{part}` in `{message}`");
    }
    fs::write(folder.join("0.png"), "no picture").unwrap();
    assert!(refusal(folder).contains("0.png: is not a readable picture"));
}

/// Seven times the same picture.
fn seven(picture: Drawn) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..7 {
        save(folder.path(), &format!("{i}.png"), &picture);
    }
    folder
}

/// The bytes of the first picture, and what was said beside how they are split.
fn first(folder: &Path) -> (Vec<u8>, Vec<String>) {
    let (data, mut notices) = load(folder).unwrap();
    let d = data.train.d();
    notices.remove(0);
    (data.train.bytes().unwrap()[..d].to_vec(), notices)
}

#[test]
fn what_operating_systems_leave_in_folders_is_left_out() {
    let folder = seven(grey([2, 2], 9));
    let expected = load(folder.path()).unwrap();
    for name in [
        "._0.png",
        ".hidden.jpg",
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
    ] {
        fs::write(folder.path().join(name), "no picture").unwrap();
    }
    let found = load(folder.path()).unwrap();
    assert_eq!((found.0.sha256, found.1), (expected.0.sha256, expected.1));
}

#[test]
fn colours_lie_over_black_where_they_are_transparent() {
    let pixels = [[200, 100, 50, 255], [200, 100, 50, 128], [200, 100, 50, 0]];
    let picture = drawn([1, 3], Rgba, |x, _| pixels[x]);
    let folder = seven(picture);
    let (bytes, said) = first(folder.path());
    assert_eq!(bytes, [200, 100, 50, 100, 50, 25, 0, 0, 0]);
    assert_eq!(said.len(), 1);
    assert!(
        said[0].ends_with("7 of 7 pictures with transparent pixels, blended over black"),
        "{said:?}"
    );
    let grey = seven(drawn([1, 2], GrayscaleAlpha, |x, _| [80, [255, 51][x]]));
    assert_eq!(first(grey.path()).0, [80, 16]);
    // Nothing is lost of an alpha channel that hides nothing.
    let opaque = seven(drawn([1, 1], Rgba, |_, _| [1, 2, 3, 255]));
    assert_eq!(first(opaque.path()), (vec![1, 2, 3], vec![]));
}

#[test]
fn sixteen_bits_are_rounded_to_eight() {
    let values = [0_u16, 128, 129, 0x8000, 0xffff];
    let folder = seven(drawn([1, 5], Grayscale, |x, _| values[x].to_be_bytes()));
    let (bytes, said) = first(folder.path());
    assert_eq!(bytes, [0, 0, 1, 128, 255]);
    assert!(said[0].contains("7 of 7 pictures with 16 bits"), "{said:?}");
}

/// A PNG of two pixels with a palette of red, green and blue: blue and green, made here chunk by chunk.
fn with_palette() -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        let content = [kind, data].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&content);
        png.extend((data.len() as u32).to_be_bytes());
        png.extend([content, crc.sum().to_be_bytes().to_vec()].concat());
    };
    chunk(b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 1, 8, 3, 0, 0, 0]);
    chunk(b"PLTE", &[255, 0, 0, 0, 255, 0, 0, 0, 255]);
    let mut rows = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut rows, &[0, 2, 1]).unwrap();
    chunk(b"IDAT", &rows.finish().unwrap());
    chunk(b"IEND", &[]);
    png
}

#[test]
fn palettes_become_colours() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..7 {
        fs::write(folder.path().join(format!("{i}.png")), with_palette()).unwrap();
    }
    assert_eq!(first(folder.path()), (vec![0, 0, 255, 0, 255, 0], vec![]));
}

/// A JPEG, 16 wide and 8 high, white on the left and black on the right, whose EXIF says this orientation.
fn turned(orientation: u8) -> Vec<u8> {
    let picture = drawn([8, 16], Grayscale, |x, _| [if x < 8 { 255 } else { 0 }]);
    let jpeg = picture.jpeg();
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], b"\xff\xe1", &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn photographs_are_turned_as_their_exif_orientation_says() {
    // Where the white half is when one looks at it, and so which corner and its neighbours are white.
    let cases = [
        (1, (8, 16), [true, false, true, false]),
        (2, (8, 16), [false, true, false, true]),
        (3, (8, 16), [false, true, false, true]),
        (5, (16, 8), [true, true, false, false]),
        (6, (16, 8), [true, true, false, false]),
        (8, (16, 8), [false, false, true, true]),
    ];
    for (orientation, size, corners) in cases {
        let folder = tempfile::tempdir().unwrap();
        for i in 0..7 {
            fs::write(folder.path().join(format!("{i}.jpg")), turned(orientation)).unwrap();
        }
        let (data, notices) = load(folder.path()).unwrap();
        assert_eq!((data.height, data.width), size, "{orientation}");
        let pixels = data.train.bytes().unwrap();
        let (h, w) = size;
        let found = [0, w - 1, (h - 1) * w, h * w - 1].map(|at| pixels[at] > 128);
        assert_eq!(found, corners, "{orientation}");
        let is_said = notices
            .iter()
            .any(|n| n.contains("7 of 7 pictures rotated"));
        assert_eq!(is_said, orientation != 1, "{notices:?}");
    }
}

/// The pictures in `folder`, resized where a size is given.
fn of(folder: &Path, resize: Option<[usize; 2]>) -> Result<(Dataset, Vec<String>), String> {
    let how = Preprocessing {
        resize,
        ..Preprocessing::default()
    };
    load_into(tempfile::tempdir().unwrap().path(), folder, &how)
}

#[test]
fn pictures_are_cropped_at_the_centre_and_resized_where_that_is_asked_for() {
    // 12 wide and 8 high; the middle 8x8 are a chessboard of 4x4 fields, what is cut off is grey.
    let picture = drawn([8, 12], Grayscale, |x, y| match x {
        2..=9 if ((x - 2) / 4 + y / 4) % 2 == 0 => [255],
        2..=9 => [0],
        _ => [100],
    });
    let folder = seven(picture);
    let (data, notices) = of(folder.path(), Some([8, 8])).unwrap();
    assert_eq!((data.height, data.width, data.train.d()), (8, 8, 64));
    let pixels = data.train.bytes().unwrap();
    assert_eq!(
        [pixels[0], pixels[7], pixels[56], pixels[63]],
        [255, 0, 0, 255]
    );
    assert!(
        notices[1].ends_with("7 of 7 pictures cropped at the centre and resized to 8x8 grey"),
        "{notices:?}"
    );
    let sum = |size| of(folder.path(), size).unwrap().0.sha256;
    let sums = [sum(None), data.sha256, sum(Some([4, 4])), sum(Some([4, 8]))];
    for (i, a) in sums.iter().enumerate() {
        assert!(
            sums[i + 1..].iter().all(|b| a != b),
            "the sum is of what is trained on: {sums:?}"
        );
    }
    // As large as they are: nothing is done to them.
    let (same, notices) = of(folder.path(), Some([8, 12])).unwrap();
    assert_eq!((same.sha256, notices.len()), (sums[0].clone(), 1));
    // Higher than wide: two columns of the middle.
    let (high, _) = of(folder.path(), Some([8, 2])).unwrap();
    assert_eq!(high.train.bytes().unwrap()[..2], [255, 0]);
    // Of any sizes.
    save(folder.path(), "3.png", &grey([3, 200], 0));
    assert!(of(folder.path(), None).is_err());
    assert_eq!(of(folder.path(), Some([5, 5])).unwrap().0.train.d(), 25);
}

/// A tar archive of these files; folders are named with a `/` at the end.
fn tar_of(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
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
fn write_all(folder: &Path, files: &[(&str, Vec<u8>)]) {
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
fn twice(files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, [PathBuf; 2]) {
    let place = tempfile::tempdir().unwrap();
    let paths = [place.path().join("p"), place.path().join("p.tar")];
    fs::create_dir(&paths[0]).unwrap();
    write_all(&paths[0], files);
    fs::write(&paths[1], tar_of(files)).unwrap();
    (place, paths)
}

/// A grey picture of this value, 2x2.
fn of_value(value: u8) -> Vec<u8> {
    grey([2, 2], value).png()
}

/// The value of each picture of a part, and its label.
fn values(images: &ganforge_data::Images) -> (Vec<u8>, Option<&[u8]>) {
    let bytes = images.bytes().unwrap();
    let firsts = bytes.chunks_exact(images.d()).map(|image| image[0]);
    (firsts.collect(), images.labels())
}

#[test]
fn folders_of_classes_give_labels_and_each_class_is_split() {
    let names: Vec<String> = (0..21)
        .map(|i| {
            let class = ["dog", "cat", "ape"][i % 3];
            format!("{class}/{}{i:02}.png", if i == 20 { "deep/" } else { "" })
        })
        .collect();
    let files: Vec<(&str, Vec<u8>)> = names
        .iter()
        .enumerate()
        .map(|(i, name)| (name.as_str(), of_value(i as u8)))
        .chain([(".hidden/x.png", vec![])])
        .collect();
    let (_place, [folder, tar]) = twice(&files);
    let mut sums = Vec::new();
    for path in [&folder, &tar] {
        let (data, notices) = load(path).unwrap();
        assert_eq!(data.classes, ["ape", "cat", "dog"]);
        let train = [2, 5, 8, 11, 14, 1, 4, 7, 10, 13, 0, 3, 6, 9, 12];
        let labels = [[0; 5], [1; 5], [2; 5]].concat();
        assert_eq!(values(&data.train), (train.to_vec(), Some(&labels[..])));
        assert_eq!(
            values(&data.valid),
            (vec![17, 16, 15], Some(&[0, 1, 2][..]))
        );
        assert_eq!(values(&data.test), (vec![20, 19, 18], Some(&[0, 1, 2][..])));
        let said = "3 classes (ape, cat, dog): 15 images train, 3 validate, 3 test; test is the last seventh of each \
                    class, valid the one before";
        assert!(notices[0].ends_with(said), "{notices:?}");
        sums.push(data.sha256);
    }
    assert_eq!(sums[0], sums[1], "the same data, wherever they are");
}

#[test]
fn folders_of_parts_are_the_parts() {
    let of = |names: &[&'static str]| {
        let files = names
            .iter()
            .enumerate()
            .map(|(i, n)| (*n, of_value(i as u8)));
        twice(&files.collect::<Vec<_>>())
    };
    // Around them another folder, which means nothing.
    let (_place, paths) = of(&[
        "set/test/b/0.png",
        "set/train/a/0.png",
        "set/train/a/1.png",
        "set/train/b/0.png",
        "set/test/a/0.png",
        "set/val/a/7.png",
        "set/val/b/7.png",
    ]);
    for path in paths {
        let (data, notices) = load(&path).unwrap();
        assert_eq!(values(&data.train), (vec![1, 2, 3], Some(&[0, 0, 1][..])));
        assert_eq!(values(&data.valid), (vec![5, 6], Some(&[0, 1][..])));
        assert_eq!(values(&data.test), (vec![4, 0], Some(&[0, 1][..])));
        let said = "2 classes (a, b): 3 images train, 2 validate, 2 test";
        assert!(notices[0].ends_with(said), "{notices:?}");
    }
    // Without classes, and without a part to validate.
    let names: Vec<String> = (0..8).map(|i| format!("train/{i}.png")).collect();
    let mut files: Vec<(&str, Vec<u8>)> = names.iter().map(|n| (n.as_str(), of_value(9))).collect();
    files.push(("test/t.png", of_value(7)));
    let (_place, [folder, _]) = twice(&files);
    let (data, notices) = load(&folder).unwrap();
    assert_eq!((data.train.n(), data.valid.n(), data.test.n()), (7, 1, 1));
    assert_eq!(
        (values(&data.test), data.classes.len()),
        ((vec![7], None), 0)
    );
    let said = "no classes: 7 images train, 1 validate, 1 test; valid is the last seventh of train";
    assert!(notices[0].ends_with(said), "{notices:?}");
}

#[test]
fn folders_that_mean_nothing_are_refused() {
    let few: &[&str] = &["a/0.png", "b/0.png"];
    let cases: [(&[&str], &str); 11] = [
        (
            few,
            "2 images cannot be split: expected at least 7 of a class",
        ),
        (
            &["a/0.png", "b/0.png", "c/"],
            "p: c: contains no images (.png, .jpg, .jpeg)",
        ),
        (
            &["0.png", "b/0.png"],
            "0.png is in no folder of a class, but others are, as in b",
        ),
        (
            &["test/0.png", "val/0.png"],
            "has the folders test, val and no folder train",
        ),
        (
            &["test/0.png", "train/0.png", "more/0.png"],
            "has the folders more, test, train: expected parts alone (train, valid or val, test) or classes alone",
        ),
        (
            &["train/a/0.png", "test/a/0.png", "0.png"],
            "0.png lies beside the folders of the parts",
        ),
        (
            &["train/a/0.png", "train/b/0.png", "test/a/0.png"],
            "test has no images of the class b, which train has",
        ),
        (
            &["train/a/0.png", "val/b/0.png", "val/a/0.png"],
            "train has no images of the class b, which valid has",
        ),
        (
            &["train/a/0.png", "test/0.png"],
            "test/0.png is in no folder of a class, but others are, as in a",
        ),
        (
            &["train/a/0.png", "test/a/0.png", "test/b/"],
            "p: test/b: contains no images",
        ),
        (&["a/notes.txt"], "contains no images (.png, .jpg, .jpeg)"),
    ];
    for (names, part) in cases {
        let files: Vec<_> = names.iter().map(|n| (*n, of_value(0))).collect();
        let (_place, [folder, tar]) = twice(&files);
        let said = refusal(&folder);
        assert!(said.contains(part), "expected `{part}` in `{said}`");
        let said = refusal(&tar).replace("p.tar", "p");
        assert!(said.contains(part), "expected `{part}` in `{said}`");
    }
    let names: Vec<String> = (0..257).map(|i| format!("{i}/0.png")).collect();
    let many: Vec<_> = names.iter().map(|n| (n.as_str(), of_value(0))).collect();
    let (_place, [folder, _]) = twice(&many);
    assert!(refusal(&folder).contains("has 257 classes: expected at most 256"));
}

#[test]
fn archives_that_are_cut_short_or_none_are_refused() {
    let names: Vec<String> = (0..7).map(|i| format!("./a/{i}.png")).collect();
    let files: Vec<_> = names.iter().map(|n| (n.as_str(), of_value(3))).collect();
    let whole = tar_of(&files);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("p.tar");
    let of = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        load(&path).map(|(data, _)| data.train.n())
    };
    assert_eq!(of(&whole), Ok(5));
    let end = whole.len() - 1024;
    for (cut, part) in [
        (end, "truncated: expected two blocks of zeros at its end"),
        (
            end - 500,
            "p.tar: a/6.png: truncated or wrong header: it announces ",
        ),
        (end - 1024 + 300, "p.tar: is not a readable tar archive"),
        (0, "truncated"),
    ] {
        let said = of(&whole[..cut]).unwrap_err();
        assert!(said.contains(part), "{cut}: expected `{part}` in `{said}`");
    }
    let said = of(&[7; 4096]).unwrap_err();
    assert!(
        said.contains("p.tar: is not a readable tar archive"),
        "{said}"
    );
    let mut broken = files.clone();
    broken[4].1.truncate(40);
    let said = of(&tar_of(&broken)).unwrap_err();
    assert!(
        said.contains("p.tar: a/4.png: is not a readable picture: "),
        "{said}"
    );
    // A second name of the same file has no bytes of its own.
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Link);
    header.set_size(0);
    archive.append_link(&mut header, "b.png", "a.png").unwrap();
    let said = of(&archive.into_inner().unwrap()).unwrap_err();
    assert!(
        said.contains("p.tar: b.png: is a link or another special file"),
        "{said}"
    );
    let packed = place.path().join("p.tar.gz");
    fs::write(&packed, [0x1f, 0x8b, 8]).unwrap();
    assert!(refusal(&packed).contains("p.tar.gz: is compressed: expected a .tar"));
}

/// A JPEG of four shades, coded in several passes where `is_progressive`, cut off after `share` of its bytes.
fn shades(is_progressive: bool, share: f64) -> Vec<u8> {
    let picture = drawn([32, 32], Rgb, |x, y| [x as u8 * 7, y as u8 * 7, 90]);
    let mut jpeg = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut jpeg, 95);
    encoder.set_progressive(is_progressive);
    let colour = jpeg_encoder::ColorType::Rgb;
    encoder.encode(&picture.bytes, 32, 32, colour).unwrap();
    jpeg.truncate((jpeg.len() as f64 * share) as usize);
    jpeg
}

#[test]
fn jpegs_in_several_passes_are_read_and_those_cut_short_are_named() {
    for is_progressive in [false, true] {
        let whole: Vec<_> = [
            "0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg", "6.jpg",
        ]
        .map(|n| (n, shades(is_progressive, 1.0)))
        .to_vec();
        let (_place, [folder, _]) = twice(&whole);
        let (data, _) = load(&folder).unwrap();
        let of = |x: usize, y: usize| data.test.bytes().unwrap()[(y * 32 + x) * 3..][..3].to_vec();
        for (x, y) in [(3, 3), (28, 5), (6, 27)] {
            let near = [x * 7, y * 7, 90];
            let found = of(x, y);
            let far = |(a, b): (&u8, &usize)| usize::from(*a).abs_diff(*b) > 12;
            assert!(!found.iter().zip(&near).any(far), "{found:?}, {near:?}");
        }
        for share in [0.2, 0.5, 0.99] {
            let mut cut = whole.clone();
            cut[3].1 = shades(is_progressive, share);
            let (_place, [folder, _]) = twice(&cut);
            let said = refusal(&folder);
            let part = "3.jpg: is not a readable picture: it is cut short";
            assert!(said.contains(part), "{said}");
        }
    }
}

#[test]
fn pictures_are_cropped_and_recoloured_as_asked() {
    // Red grows to the right, green downwards.
    let picture = drawn([6, 4], Rgb, |x, y| [x as u8 * 10, y as u8 * 10, 0]);
    let folder = seven(picture);
    let cache = tempfile::tempdir().unwrap();
    let of = |how: Preprocessing| load_into(cache.path(), folder.path(), &how);
    let none = Preprocessing::default();
    let crop = |crop: Crop| Preprocessing {
        crop: Some(crop),
        ..none
    };
    let (data, notices) = of(crop(Crop::Center)).unwrap();
    assert_eq!((data.height, data.width, data.channels), (4, 4, 3));
    assert_eq!(data.train.bytes().unwrap()[..6], [0, 10, 0, 10, 10, 0]);
    assert!(
        notices[1].ends_with("7 of 7 pictures cropped to the largest square about the centre"),
        "{notices:?}"
    );
    let (data, notices) = of(crop(Crop::Sides([2, 6]))).unwrap();
    assert_eq!(data.train.bytes().unwrap()[..6], [0, 0, 0, 0, 20, 0]);
    assert!(notices[1].ends_with("with black around them, to make 2x6 about the centre"));
    let (data, _) = of(crop(Crop::At([1, 2, 5, 1]))).unwrap();
    assert_eq!(data.train.bytes().unwrap()[..6], [10, 50, 0, 20, 50, 0]);
    let said = of(crop(Crop::At([1, 2, 6, 1]))).unwrap_err();
    assert!(said.contains("0.png: is 6x4, in which data.crop = [1, 2, 6, 1] does not lie"));
    let grey = Preprocessing {
        channels: Some(1),
        resize: Some([2, 2]),
        ..crop(Crop::At([2, 2, 0, 0]))
    };
    let (data, notices) = of(grey).unwrap();
    assert_eq!(data.train.bytes().unwrap()[..4], [0, 3, 6, 9]);
    assert!(
        notices[2].ends_with("7 of 7 pictures in colour, made grey"),
        "{notices:?}"
    );
    // Grey and colour together.
    save(folder.path(), "3.png", &self::grey([6, 4], 50));
    let said = of(none).unwrap_err();
    assert!(
        said.contains("3.png: is 6x4 grey, but ") && said.contains("`--set data.channels=1` makes"),
        "{said}"
    );
    let (data, notices) = of(Preprocessing {
        channels: Some(3),
        ..none
    })
    .unwrap();
    assert_eq!(data.channels, 3);
    assert!(
        notices[1].ends_with("1 of 7 pictures in grey, made RGB"),
        "{notices:?}"
    );
}

#[test]
fn pictures_are_decoded_once_until_they_change() {
    let folder = seven(grey([2, 2], 9));
    let cache = tempfile::tempdir().unwrap();
    let load = || {
        let mut said = Vec::new();
        let mut progress = |line: &str| said.push(line.to_string());
        let (path, how) = (folder.path().to_str().unwrap(), Preprocessing::default());
        let cache = Cache::at(cache.path());
        let loaded = cache.load_with(path, &how, FetchPolicy::Offline, &mut progress);
        let (data, notices) = loaded.unwrap();
        (data, notices, said)
    };
    let files = || -> Vec<PathBuf> {
        let files = fs::read_dir(cache.path().join("pictures")).unwrap();
        files.map(|f| f.unwrap().path()).collect()
    };
    let (first, notices, said) = load();
    assert!(
        said[0].ends_with("7 pictures decoded, 2x2 grey"),
        "{said:?}"
    );
    let (again, same_notices, said) = load();
    assert_eq!((&again.sha256, same_notices), (&first.sha256, notices));
    assert_eq!((said.len(), files().len()), (0, 1), "{said:?}");
    assert_eq!(again.train.bytes(), first.train.bytes());

    // Changed pictures are other data; what was mapped before stays as it was.
    save(folder.path(), "0.png", &grey([2, 2], 77));
    let (changed, _, said) = load();
    assert!(
        said[0].ends_with("the pictures have changed since they were decoded"),
        "{said:?}"
    );
    assert_ne!(changed.sha256, first.sha256);
    assert_eq!(values(&changed.train).0, [77, 9, 9, 9, 9]);
    assert_eq!((values(&first.train).0, files().len()), (vec![9; 5], 1));
    save(folder.path(), "7.png", &grey([2, 2], 5));
    assert_eq!(load().0.train.n(), 6);

    // Any damage is noticed.
    let file = files().remove(0);
    let good = fs::read(&file).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let damaged = [
        flipped(0),
        flipped(64 + 3),
        flipped(good.len() - 1),
        flipped(good.len() - 100),
        good[..good.len() - 1].to_vec(),
        good[..10].to_vec(),
        vec![],
        [&good[..64], &[0], &good[64..]].concat(),
    ];
    for bytes in damaged {
        fs::write(&file, bytes).unwrap();
        let (data, notices, said) = load();
        let last = notices.last().unwrap();
        assert!(
            last.ends_with("the pictures are decoded again"),
            "{notices:?}"
        );
        assert_eq!((data.train.n(), said.len()), (6, 1));
        assert_eq!(fs::read(&file).unwrap(), good);
    }
}

#[test]
fn a_subset_is_drawn_from_its_seed_and_is_other_data() {
    let names: Vec<String> = (0..70)
        .map(|i| format!("{}/{i}.png", ["a", "b"][i % 2]))
        .collect();
    let files = names.iter().enumerate();
    let files: Vec<_> = files
        .map(|(i, n)| (n.as_str(), of_value(i as u8)))
        .collect();
    let (_place, [folder, _]) = twice(&files);
    let (all, _) = load(&folder).unwrap();
    let of = |n: usize, seed: u64| all.clone().subset(n, seed).unwrap();
    let some = of(20, 1);
    assert_eq!(
        (some.train.n(), some.valid.n(), some.test.n()),
        (20, 10, 10)
    );
    let (pixels, labels) = values(&some.train);
    let parity: Vec<u8> = pixels.iter().map(|v| v % 2).collect();
    assert_eq!(labels, Some(&parity[..]), "labels stay beside their images");
    let place = |v: &u8| values(&all.train).0.iter().position(|p| p == v).unwrap();
    assert!(pixels.iter().map(place).is_sorted(), "{pixels:?}");
    assert_eq!(values(&of(20, 1).train), values(&some.train));
    assert_ne!(values(&of(20, 2).train).0, pixels);
    let sums = [&all, &some, &of(20, 2), &of(19, 1)].map(|d| d.sha256.clone());
    assert!((1..4).all(|i| !sums[..i].contains(&sums[i])), "{sums:?}");
    // The numbers of the generator must not change: runs name what they have learnt from.
    assert_eq!(values(&of(3, 1).train).0, [42, 31, 37]);
    let said = all.subset(51, 1).unwrap_err().to_string();
    assert!(
        said.ends_with("data.subset = 51, but there are 50 images to train on"),
        "{said}"
    );
}

#[test]
fn without_a_cache_pictures_are_kept_in_memory() {
    let folder = seven(grey([2, 2], 9));
    let file = folder.path().join("no folder");
    fs::write(&file, "").unwrap();
    let (data, notices) = load_into(&file, folder.path(), &Preprocessing::default()).unwrap();
    assert_eq!(values(&data.train).0, [9; 5]);
    let last = notices.last().unwrap();
    assert!(
        last.contains("the decoded pictures are kept in memory"),
        "{notices:?}"
    );
    assert_eq!(data.sha256, load(folder.path()).unwrap().0.sha256);
}
