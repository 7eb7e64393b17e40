//! What is read of pictures of all kinds, cropped and resized as asked.

use std::fs;
use std::path::Path;

use ganforge_data::{Crop, Preprocessing};
use png::ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};

use super::*;

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
pub(super) fn with_palette() -> Vec<u8> {
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
pub(super) fn turned(orientation: u8) -> Vec<u8> {
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
