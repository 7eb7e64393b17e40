//! Images of any program, batch by batch: the same ones whatever holds them, and refused where they are unfit.

use std::fs;
use std::path::{Path, PathBuf};

use ganforge_data::ImageSize;
use ganforge_data::files::{ArrayRef, write_npy, write_npz};
use ganforge_data::image_files::{Batch, ImageFiles, ImageOptions, Pixels, ValueRange};
use png::ColorType::{GrayscaleAlpha, Rgb, Rgba};
use tempfile::TempDir;

use super::archives::zip_of;
use super::decoded::{turned, with_palette};
use super::{drawn, grey, of_value, twice, write_all};

fn open(path: &Path) -> ImageFiles {
    ImageFiles::open(path, &ImageOptions::default()).unwrap()
}

fn refused_with(path: &Path, options: &ImageOptions) -> String {
    let error = ImageFiles::open(path, options).err().expect("refused");
    let error = error.to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

fn refused(path: &Path) -> String {
    refused_with(path, &ImageOptions::default())
}

fn batches(images: &mut ImageFiles, max: usize) -> Vec<Batch> {
    std::iter::from_fn(|| images.next(max).unwrap()).collect()
}

/// All pixels, in batches of `max`, as bytes or rounded to such.
fn pixels(images: &mut ImageFiles, max: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut n = 0;
    for batch in batches(images, max) {
        assert_eq!(batch.first, n);
        n += batch.n();
        match batch.pixels {
            Pixels::Bytes(bytes) => all.extend(bytes),
            Pixels::Units(values) => all.extend(values.iter().map(|v| (v * 255.0).round() as u8)),
        }
    }
    assert_eq!(n, images.n());
    all
}

fn size(height: usize, width: usize, channels: usize) -> ImageSize {
    ImageSize {
        height,
        width,
        channels,
    }
}

/// Ten RGB images of 2x3, their bytes, and files of several kinds that hold them.
fn ten() -> (TempDir, Vec<u8>, Vec<PathBuf>) {
    let bytes: Vec<u8> = (0..10 * 18).collect();
    let names = [
        "a/0.png",
        "a/1.png",
        "a/b/0.png",
        "a/c.png",
        "b/0.png",
        "b/1.PNG",
        "c.png",
        "d.png",
        "e.png",
        "f.png",
    ];
    let pictures: Vec<(&str, Vec<u8>)> = names
        .iter()
        .zip(bytes.chunks(18))
        .map(|(name, image)| {
            let pixel = |x: usize, y: usize| *image[(y * 3 + x) * 3..].first_chunk::<3>().unwrap();
            (*name, drawn([2, 3], Rgb, pixel).png())
        })
        .collect();
    let (folder, [plain, tar]) = twice(&pictures);
    let at = |name: &str| folder.path().join(name);
    write_npy(&at("u8.npy"), ArrayRef::u8(&[10, 2, 3, 3], &bytes)).unwrap();
    let units: Vec<f32> = bytes.iter().map(|b| f32::from(*b) / 255.0).collect();
    write_npy(&at("f32.npy"), ArrayRef::f32(&[10, 2, 3, 3], &units)).unwrap();
    let wide: Vec<f64> = units.iter().map(|v| f64::from(*v)).collect();
    write_npz(
        &at("several.npz"),
        [
            ("labels".to_string(), ArrayRef::u64(&[10], &[0; 10])),
            ("images".to_string(), ArrayRef::f64(&[10, 2, 3, 3], &wide)),
        ],
    )
    .unwrap();
    let paths = vec![
        plain,
        tar,
        at("u8.npy"),
        at("f32.npy"),
        at("several.npz:images"),
    ];
    (folder, bytes, paths)
}

#[test]
fn images_are_the_same_in_all_files_and_batches() {
    let (_folder, bytes, paths) = ten();
    for path in &paths {
        let mut images = open(path);
        assert_eq!((images.n(), images.channels()), (10, 3), "{path:?}");
        assert_eq!(images.size(), Some(size(2, 3, 3)));
        for max in [1, 7, usize::MAX] {
            images.restart().unwrap();
            assert_eq!(pixels(&mut images, max), bytes, "{path:?} by {max}");
        }
        assert_eq!(images.next(7).unwrap(), None);
        assert_eq!(images.notices(), [""; 0]);
    }
    // A sum says what is there, whatever holds it.
    let sums: Vec<String> = paths
        .iter()
        .map(|path| open(path).sha256().to_string())
        .collect();
    assert_eq!(sums[0], sums[1], "a folder and an archive of it");
    assert_eq!(sums[3], sums[4], "floats of both sizes");
    let all: std::collections::HashSet<&String> = sums.iter().collect();
    assert_eq!(all.len(), 3, "{sums:?}");
    let name = open(&paths[0]).name(2);
    assert!(name.ends_with("a/b/0.png"), "{name}");
    let name = open(&paths[1]).name(2);
    assert!(name.ends_with("p.tar: a/b/0.png"), "{name}");
    assert!(
        open(&paths[4])
            .name(2)
            .ends_with("several.npz:images, image 2")
    );
}

#[test]
fn arrays_of_other_shapes_are_turned_or_said_to_be_squares() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let bytes: Vec<u8> = (0..48).collect();
    for (shape, expected, said) in [
        (&[3, 4, 4][..], size(4, 4, 1), None),
        (
            &[3, 16],
            size(4, 4, 1),
            Some("rows of 16 values, taken as images [height, width, channels] of 4x4x1"),
        ),
        (&[4, 12], size(2, 2, 3), Some("of 2x2x3")),
        (
            &[2, 3, 2, 4],
            size(2, 4, 3),
            Some("images [2, 3, 2, 4], channel by channel, turned to [2, 2, 4, 3]"),
        ),
        (&[6, 1, 2, 4], size(2, 4, 1), None),
    ] {
        write_npy(&path, ArrayRef::u8(shape, &bytes)).unwrap();
        let mut images = open(&path);
        assert_eq!(images.size(), Some(expected));
        match (images.notices().as_slice(), said) {
            ([], None) => {}
            ([line], Some(said)) => assert!(line.ends_with(said), "{line}"),
            (lines, _) => panic!("{shape:?}: {lines:?}"),
        }
        let found = pixels(&mut images, 1);
        match shape {
            [_, 3, ..] => assert_eq!(found[..6], [0, 8, 16, 1, 9, 17]),
            _ => assert_eq!(found, bytes),
        }
    }
    write_npy(&path, ArrayRef::u8(&[4, 12], &bytes)).unwrap();
    let with = |size: ImageSize| ImageOptions {
        size: Some(size),
        ..ImageOptions::default()
    };
    let images = ImageFiles::open(&path, &with(size(4, 3, 1))).unwrap();
    assert_eq!(
        (images.size(), images.notices().len()),
        (Some(size(4, 3, 1)), 0)
    );
    for (shape, options, part) in [
        (
            &[4, 12][..],
            with(size(5, 3, 1)),
            "rows of 12 values, which are no images of 5x3x1",
        ),
        (
            &[6, 8],
            ImageOptions::default(),
            "rows of 8 values, which are no square, grey or RGB",
        ),
        (
            &[3, 4, 4],
            with(size(2, 8, 1)),
            "holds images of 4x4x1, but 2x8x1 is said",
        ),
        (
            &[2, 2, 6, 2],
            ImageOptions::default(),
            "with 1 or 3 channels, got [2, 2, 6, 2]",
        ),
        (
            &[48],
            ImageOptions::default(),
            "[N, h, w] or [N, h, w, c], got [48]",
        ),
    ] {
        write_npy(&path, ArrayRef::u8(shape, &bytes)).unwrap();
        let message = refused_with(&path, &options);
        assert!(message.contains(part), "expected `{part}` in `{message}`");
    }
}

#[test]
fn arrays_in_other_orders_and_compressed_ones_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let npy = |descr: &str, is_fortran: &str, values: &[u8]| {
        let header = format!(
            "{{'descr': '{descr}', 'fortran_order': {is_fortran}, 'shape': (3, 2, 2), }}\n"
        );
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), values].concat()
    };
    let by_rows: Vec<u8> = (0..12).map(|i| i * 20).collect();
    let by_columns: Vec<u8> = (0..12)
        .map(|i| by_rows[i % 3 * 4 + i / 3 % 2 * 2 + i / 6])
        .collect();
    let big: Vec<u8> = by_rows
        .iter()
        .flat_map(|b| (f32::from(*b) / 255.0).to_be_bytes())
        .collect();
    let files = [
        npy("|u1", "False", &by_rows),
        npy("|u1", "True", &by_columns),
        npy(">f4", "False", &big),
    ];
    for (i, file) in files.iter().enumerate() {
        let names = [format!("{i}.npy"), format!("{i}.npz")].map(|name| folder.path().join(name));
        fs::write(&names[0], file).unwrap();
        fs::write(&names[1], zip_of(&[("x.npy", file.clone())], true)).unwrap();
        for name in names {
            for max in [1, 2, 9] {
                assert_eq!(pixels(&mut open(&name), max), by_rows, "{name:?} by {max}");
            }
        }
    }
}

#[test]
fn values_out_of_range_are_refused_and_ranges_are_converted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let of = |range: ValueRange| ImageOptions {
        range,
        ..ImageOptions::default()
    };
    // Two images of 1x2 RGB: the odd value is that of image 1, column 1, channel 2.
    let write = |last: f32| {
        let mut values = [0.5; 12];
        values[11] = last;
        write_npy(&path, ArrayRef::f32(&[2, 1, 2, 3], &values)).unwrap();
    };
    let place = "x.npy: image 1, row 0, column 1, channel 2 is";
    for (last, range, expected) in [
        (
            -0.5,
            ValueRange::Unit,
            "-0.5: expected values from 0 to 1; `--range signed` reads values from -1 to 1",
        ),
        (
            200.0,
            ValueRange::Unit,
            "200: expected values from 0 to 1; `--range bytes` reads values from 0 to 255",
        ),
        (
            1e9,
            ValueRange::Unit,
            "1000000000: expected values from 0 to 1",
        ),
        (
            f32::NAN,
            ValueRange::Unit,
            "NaN: expected values from 0 to 1",
        ),
        (
            2.0,
            ValueRange::Signed,
            "2: expected values from -1 to 1; `--range bytes`",
        ),
        (
            -0.25,
            ValueRange::Bytes,
            "-0.25: expected values from 0 to 255; `--range signed`",
        ),
    ] {
        write(last);
        let message = refused_with(&path, &of(range));
        let expected = format!("{place} {expected}");
        assert!(
            message.contains(&expected),
            "expected `{expected}` in `{message}`"
        );
    }
    for (last, range, expected) in [
        (1.0, ValueRange::Unit, 1.0),
        (-1.0, ValueRange::Signed, 0.0),
        (-0.5, ValueRange::Signed, 0.25),
        (51.0, ValueRange::Bytes, 0.2),
    ] {
        write(last);
        let mut images = ImageFiles::open(&path, &of(range)).unwrap();
        assert_eq!(images.notices(), [""; 0]);
        let Pixels::Units(values) = &batches(&mut images, 9)[0].pixels else {
            panic!("floats")
        };
        assert_eq!(values[11], expected, "{last} of {range:?}");
    }
    for (range, said) in [
        (ValueRange::Bytes, "`--range bytes`: no value is above 1"),
        (ValueRange::Signed, "`--range signed`: no value is below 0"),
    ] {
        write(0.75);
        let message = refused_with(&path, &of(range));
        assert!(message.contains(said), "{message}");
        // A generator that died says one number, which may be meant.
        write(0.5);
        let images = ImageFiles::open(&path, &of(range)).unwrap();
        let said = &said[said.find("no value").unwrap()..];
        assert!(images.notices()[0].contains(said), "{:?}", images.notices());
    }
    write_npy(&path, ArrayRef::u8(&[2, 1, 2, 3], &[1; 12])).unwrap();
    let images = ImageFiles::open(&path, &of(ValueRange::Signed)).unwrap();
    assert!(images.notices()[0].contains("all bytes are 0 or 1"));
    write_npy(&path, ArrayRef::u64(&[2, 1, 2, 3], &[1; 12])).unwrap();
    assert!(refused(&path).contains("unsupported dtype uint64"));
}

#[test]
fn pictures_are_what_pillow_makes_rgb_of_them() {
    let folder = tempfile::tempdir().unwrap();
    write_all(
        folder.path(),
        &[
            ("0.png", grey([3, 2], 9).png()),
            (
                "1.png",
                drawn([3, 2], Rgba, |x, y| [10, 20, x as u8, y as u8]).png(),
            ),
            ("2.png", drawn([3, 2], GrayscaleAlpha, |_, _| [77, 0]).png()),
            ("notes.txt", b"hidden".to_vec()),
            ("3.gif", b"GIF89a".to_vec()),
        ],
    );
    let mut images = open(folder.path());
    assert_eq!((images.n(), images.size()), (3, Some(size(3, 2, 3))));
    let found = pixels(&mut images, 2);
    assert_eq!(found[..18], [9; 18]);
    assert_eq!(found[18..24], [10, 20, 0, 10, 20, 1]);
    assert_eq!(found[36..], [77; 18]);
    let said = images.notices();
    assert_eq!(said.len(), 3, "{said:?}");
    for (line, part) in said.iter().zip([
        "1 picture left out, expected .png, .jpg or .jpeg: 1 .gif",
        "2 of 3 pictures in grey, repeated in three channels",
        "2 of 3 pictures with transparent pixels, whose transparency is left out",
    ]) {
        assert!(line.ends_with(part), "{line}");
    }
    let mut again = open(folder.path());
    assert_eq!(
        again.notices().len(),
        2,
        "what is not decoded yet is not known yet"
    );
    again.next(3).unwrap();
    again.restart().unwrap();
    again.next(3).unwrap();
    assert_eq!(again.notices(), said, "said of one reading");
}

#[test]
fn pictures_lie_as_they_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    let of = |orientation: u8| {
        write_all(folder.path(), &[("a.jpg", turned(orientation))]);
        let mut images = open(folder.path());
        let pixels = pixels(&mut images, 1);
        (images.size(), pixels, images.notices())
    };
    let (plain, turned) = (of(1), of(6));
    assert_eq!((&plain.0, &plain.1), (&turned.0, &turned.1));
    assert_eq!(plain.2, [""; 0]);
    assert!(turned.2[0].ends_with("1 of 1 pictures not turned as their EXIF orientation says"));
    fs::remove_file(folder.path().join("a.jpg")).unwrap();
    write_all(folder.path(), &[("a.png", with_palette())]);
    assert_eq!(open(folder.path()).channels(), 3);
    let deep = drawn([1, 2], Rgb, |_, _| [0x12, 0xff, 0x80, 0, 0xff, 0xff]);
    write_all(folder.path(), &[("a.png", deep.png())]);
    let mut images = open(folder.path());
    let expected = [0x12, 0x80, 0xff, 0x12, 0x80, 0xff];
    assert_eq!(pixels(&mut images, 1), expected);
    assert!(images.notices()[0].contains("1 of 1 pictures with 16 bits"));
}

#[test]
fn sizes_are_one_unless_others_are_accepted() {
    let (_folder, paths) = twice(&[
        ("a.png", of_value(1)),
        ("b.png", of_value(2)),
        ("c.png", grey([3, 2], 3).png()),
        ("d.png", grey([3, 2], 4).png()),
        ("e.png", of_value(5)),
    ]);
    let mixed = ImageOptions {
        mixed: true,
        ..ImageOptions::default()
    };
    for path in paths {
        let message = refused(&path);
        let is_named = message.contains("c.png: is 3x2, but ")
            && message.ends_with("a.png is 2x2: expected pictures of one size");
        assert!(is_named, "{message}");
        let mut images = ImageFiles::open(&path, &mixed).unwrap();
        assert_eq!((images.n(), images.size(), images.channels()), (5, None, 1));
        let found = batches(&mut images, 4);
        let found: Vec<_> = found
            .iter()
            .map(|b| (b.first, b.n(), b.size.height))
            .collect();
        assert_eq!(found, [(0, 2, 2), (2, 2, 3), (4, 1, 2)]);
    }
}

#[test]
fn names_are_sorted_as_a_whole_and_folders_within_are_left_out_where_told() {
    let (_folder, paths) = twice(&[
        ("a/x.png", of_value(1)),
        ("a-b/x.png", of_value(2)),
        ("a.png", of_value(3)),
        ("b.png", of_value(4)),
    ]);
    let flat = ImageOptions {
        deep: false,
        ..ImageOptions::default()
    };
    let firsts = |images: &mut ImageFiles| -> Vec<u8> {
        let found = batches(images, 1).into_iter();
        let first = |batch: Batch| match batch.pixels {
            Pixels::Bytes(bytes) => bytes[0],
            Pixels::Units(_) => panic!("pictures"),
        };
        found.map(first).collect()
    };
    for path in paths {
        // '-' < '.' < '/'
        assert_eq!(firsts(&mut open(&path)), [2, 3, 1, 4]);
        assert_eq!(open(&path).notices(), [""; 0]);
        let mut images = ImageFiles::open(&path, &flat).unwrap();
        assert_eq!(firsts(&mut images), [3, 4]);
        let [said] = &images.notices()[..] else {
            panic!("{:?}", images.notices())
        };
        assert!(said.ends_with("2 pictures in folders within it left out"));
    }
    let (_folder, paths) = twice(&[("a/x.png", of_value(1))]);
    for path in paths {
        let message = refused_with(&path, &flat);
        let expected =
            "contains no pictures (.png, .jpg, .jpeg); 1 picture in a folder within it left out";
        assert!(message.ends_with(expected), "{message}");
    }
}

#[test]
fn arrays_among_pictures_are_read_where_told() {
    let npy = |array: ArrayRef<'_>| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        write_npy(&path, array).unwrap();
        fs::read(path).unwrap()
    };
    let values: Vec<u8> = (10..22).collect();
    let (_folder, paths) = twice(&[
        ("a.png", of_value(1)),
        ("b.npy", npy(ArrayRef::u8(&[2, 2, 3], &values))),
        ("c.png", of_value(3)),
    ]);
    let with = ImageOptions {
        arrays: true,
        ..ImageOptions::default()
    };
    let expected = [vec![1; 12], values.clone(), vec![3; 12]].concat();
    for path in paths {
        assert_eq!(open(&path).n(), 2, "only where told");
        let mut images = ImageFiles::open(&path, &with).unwrap();
        assert_eq!((images.n(), images.channels()), (3, 3));
        assert!(!images.has_range());
        for max in [1, 3] {
            assert_eq!(pixels(&mut images, max), expected);
            images.restart().unwrap();
        }
    }
    for (file, reason) in [
        (
            npy(ArrayRef::u8(&[2, 2], &values[..4])),
            "b.npy: is uint8 [2, 2]: expected a picture, uint8 [height, width, 3]",
        ),
        (
            npy(ArrayRef::u8(&[0, 2, 3], &[])),
            "b.npy: is uint8 [0, 2, 3]",
        ),
        (
            npy(ArrayRef::f32(&[2, 2, 3], &[0.0; 12])),
            "b.npy: is float32 [2, 2, 3]: expected",
        ),
        (of_value(2), "b.npy: not an npy array"),
    ] {
        let (_folder, paths) = twice(&[("a.png", of_value(1)), ("b.npy", file)]);
        for path in paths {
            let message = refused_with(&path, &with);
            assert!(message.contains(reason), "{message}");
        }
    }
}

#[test]
fn what_holds_no_images_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert!(refused(&at("none")).contains("none: cannot open: "));
    assert!(refused(&at("none.tar")).contains("none.tar: cannot "));
    assert!(refused(folder.path()).ends_with("contains no pictures (.png, .jpg, .jpeg)"));
    fs::write(at("a.gif"), "GIF89a").unwrap();
    assert!(
        refused(folder.path())
            .ends_with("; 1 picture left out, expected .png, .jpg or .jpeg: 1 .gif")
    );
    fs::write(at("a.txt"), "images").unwrap();
    assert!(
        refused(&at("a.txt"))
            .contains("a.txt: is no images that are read here: expected a folder, a .tar")
    );
    fs::write(at("a.tar.gz"), "images").unwrap();
    assert!(refused(&at("a.tar.gz")).contains("is compressed"));
    fs::write(at("a.npy"), "images").unwrap();
    assert!(refused(&at("a.npy")).contains("not an npy or npz file"));
    write_npy(&at("a.npy"), ArrayRef::u8(&[0, 2, 2], &[])).unwrap();
    assert!(refused(&at("a.npy")).contains("contains no rows"));
    let two = ["a", "b"].map(|name| (name.to_string(), ArrayRef::u8(&[1, 2, 2], &[0; 4])));
    write_npz(&at("a.npz"), two).unwrap();
    assert!(refused(&at("a.npz")).contains("contains several arrays: choose one as"));
    assert!(refused(&at("a.npz:c")).contains("has no array `c`; it has a, b"));
}

#[test]
fn damage_is_named() {
    let good = drawn([8, 8], Rgb, |x, y| [x as u8, y as u8, 7]).png();
    let (folder, paths) = twice(&[
        ("a.png", good.clone()),
        ("b.png", good[..good.len() - 30].to_vec()),
    ]);
    for path in paths {
        let mut images = open(&path);
        let error = images.next(2).unwrap_err().to_string();
        assert!(
            error.contains("b.png: is not a readable picture: "),
            "{error}"
        );
    }
    let plain = folder.path().join("p");
    fs::write(plain.join("b.png"), &good[..20]).unwrap();
    assert!(refused(&plain).contains("b.png: is not a readable picture: "));
    fs::write(plain.join("b.png"), &good).unwrap();
    let mut images = open(&plain);
    fs::write(plain.join("b.png"), of_value(1)).unwrap();
    let error = images.next(2).unwrap_err().to_string();
    assert!(
        error.ends_with("b.png: has changed since it was opened"),
        "{error}"
    );
    // Of an array each byte counts, the checksum of an archive, too.
    let path = folder.path().join("x.npz");
    let bytes = [7; 64];
    write_npz(&path, [("x".to_string(), ArrayRef::u8(&[4, 4, 4], &bytes))]).unwrap();
    let mut file = fs::read(&path).unwrap();
    let at = file.windows(64).position(|part| part == bytes).unwrap();
    file[at + 9] ^= 1;
    fs::write(&path, &file).unwrap();
    assert!(refused(&path).contains("damaged: CRC-32 is "));
}
