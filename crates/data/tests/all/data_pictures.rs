//! CIFAR-10's binary files and folders of pictures, written here byte by byte or by the crates that also write pictures.

use std::fs;
use std::path::Path;

use ganforge_data::{Cache, Contrast, Dataset, FetchPolicy};
use png::ColorType::{self, Grayscale, GrayscaleAlpha, Rgb, Rgba};

const PIXELS: usize = 3072;

fn load(path: &Path) -> Result<(Dataset, Vec<String>), String> {
    let cache = Cache::at("no-cache");
    let loaded = cache.load(path.to_str().unwrap(), FetchPolicy::Offline, &mut |_| {});
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
fn of(folder: &Path, size: Option<[usize; 2]>) -> Result<(Dataset, Vec<String>), String> {
    let cache = Cache::at("none");
    let loaded = cache.load_resized(
        folder.to_str().unwrap(),
        size,
        FetchPolicy::Offline,
        &mut |_| {},
    );
    loaded.map_err(|e| e.to_string())
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
