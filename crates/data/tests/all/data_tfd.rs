//! The Toronto Face Database's layout: a file that SciPy wrote, files written here byte by byte, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ganforge_data::{Cache, Dataset, FetchPolicy, Images, Origin};
use proptest::prelude::*;
use tempfile::TempDir;

const SIDE: usize = 48;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn load(path: &Path) -> Result<Dataset, String> {
    let cache = Cache::at("no-cache");
    let loaded = cache.load(path.to_str().unwrap(), FetchPolicy::Offline, &mut |_| {});
    loaded.map(|(data, _)| data).map_err(|e| e.to_string())
}

/// Image n of make_tfd.py.
fn face(n: usize) -> Vec<f32> {
    let square = |a: usize, b: usize| (a as i64 - b as i64).pow(2);
    let pixel = |y: usize, x: usize| {
        let down = square(y, 12 + 7 * n % 24);
        let right = square(x, 12 + 5 * n % 24);
        (255 - down - 2 * right).max(0) as f32 / 255.0
    };
    let places = (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y, x)));
    places.map(|(y, x)| pixel(y, x)).collect()
}

fn assert_is_the_fixture(data: &Dataset) {
    assert_eq!((data.height, data.width, data.channels), (SIDE, SIDE, 1));
    assert_eq!(data.origin, Origin::File);
    let assert_faces = |images: &Images, rows: &[usize]| {
        assert_eq!(images.n(), rows.len());
        for (i, &row) in rows.iter().enumerate() {
            assert!(images.to_f32(i..i + 1).unwrap() == face(row), "image {row}");
        }
    };
    let unlabelled: Vec<usize> = (0..75).filter(|row| row % 5 != 0).collect();
    assert_faces(&data.train, &unlabelled);
    let folds: Vec<(&Images, &Images)> = std::iter::once((&data.valid, &data.test))
        .chain(data.further_folds.iter().map(|f| (&f.valid, &f.test)))
        .collect();
    assert_eq!(folds.len(), 5);
    for (fold, (valid, test)) in folds.into_iter().enumerate() {
        let of = |part: usize| [0, 5, 10].map(|more| 5 * ((fold + part) % 5 + more));
        assert_faces(test, &of(0));
        assert_faces(valid, &of(1));
    }
}

#[test]
fn a_file_of_scipys_is_read_image_by_image_and_fold_by_fold() {
    assert_is_the_fixture(&load(&fixture("tfd.mat")).unwrap());
}

#[test]
fn the_fixture_is_what_its_script_writes() {
    let folder = tempfile::tempdir().unwrap();
    let python = |arguments: &[&str]| Command::new("python3").args(arguments).output();
    if !testkit::has_python("scipy.io") {
        return;
    }
    let script = fixture("make_tfd.py");
    for options in [&[][..], &["--plain"][..]] {
        let path = folder.path().join("tfd.mat");
        let mut arguments = vec![script.to_str().unwrap(), path.to_str().unwrap()];
        arguments.extend(options);
        let done = python(&arguments).unwrap();
        assert!(done.status.success(), "{done:?}");
        assert_is_the_fixture(&load(&path).unwrap());
    }
}

/// A number's class and the type that its data have in a file.
pub(crate) const UINT8: (u8, u32) = (9, 2);
const INT32: (u8, u32) = (12, 5);
pub(crate) const DOUBLE: (u8, u32) = (6, 9);

/// Writes MATLAB 5 files, uncompressed.
pub(crate) struct Writer {
    is_little: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(is_little: bool) -> Writer {
        let mut bytes = b"MATLAB 5.0 MAT-file".to_vec();
        bytes.resize(124, b' ');
        bytes.extend(if is_little {
            *b"\x00\x01IM"
        } else {
            *b"\x01\x00MI"
        });
        Writer { is_little, bytes }
    }

    fn word(&self, value: u32) -> [u8; 4] {
        match self.is_little {
            true => value.to_le_bytes(),
            false => value.to_be_bytes(),
        }
    }

    fn element(&self, kind: u32, body: &[u8]) -> Vec<u8> {
        let mut element = [self.word(kind), self.word(body.len() as u32)].concat();
        element.extend(body);
        element.resize(element.len().next_multiple_of(8), 0);
        element
    }

    /// Adds a variable; `values` are column-major and small.
    pub(crate) fn add(
        mut self,
        name: &str,
        (class, kind): (u8, u32),
        dims: &[u32],
        values: &[u8],
    ) -> Writer {
        let data: Vec<u8> = values
            .iter()
            .flat_map(|&v| match (kind, self.is_little) {
                (2, _) => vec![v],
                (5, _) => self.word(u32::from(v)).to_vec(),
                (9, true) => f64::from(v).to_le_bytes().to_vec(),
                _ => f64::from(v).to_be_bytes().to_vec(),
            })
            .collect();
        let flags = [self.word(u32::from(class)), self.word(0)].concat();
        let dims: Vec<u8> = dims.iter().flat_map(|&d| self.word(d)).collect();
        let parts = [(6, flags), (5, dims), (1, name.into()), (kind, data)];
        let body: Vec<u8> = parts
            .iter()
            .flat_map(|(k, b)| self.element(*k, b))
            .collect();
        let variable = self.element(14, &body);
        self.bytes.extend(variable);
        self
    }
}

/// The codes of three images in each of the five folds.
fn five(codes: [u8; 3]) -> Vec<u8> {
    codes.repeat(5)
}

/// Four images of 2 x 3, two of them unlabelled, in five equal folds.
fn small(is_little: bool, folds: (u8, u32)) -> Writer {
    let pixels: Vec<u8> = (0..24).collect();
    Writer::new(is_little)
        .add("labs_ex", INT32, &[4, 1], &[0, 1, 2, 0])
        .add("images", UINT8, &[4, 2, 3], &pixels)
        .add("folds", folds, &[4, 5], &[0, 2, 3, 0].repeat(5))
}

#[test]
fn any_class_of_numbers_codes_the_folds_in_either_byte_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mat");
    for is_little in [true, false] {
        for class in [UINT8, INT32, DOUBLE] {
            fs::write(&path, small(is_little, class).bytes).unwrap();
            let data = load(&path).unwrap();
            assert_eq!((data.height, data.width), (2, 3));
            // Column-major: pixel (y, x) of image n stands at n + 4 (y + 2 x).
            let image = |n: usize| [0, 8, 16, 4, 12, 20].map(|p| (p + n) as f32 / 255.0);
            assert_eq!(
                data.train.to_f32(0..2).unwrap(),
                [image(0), image(3)].concat()
            );
            assert_eq!(data.valid.to_f32(0..1).unwrap(), image(1));
            assert_eq!(data.test.to_f32(0..1).unwrap(), image(2));
            assert_eq!(data.further_folds.len(), 4);
        }
    }
}

#[test]
fn unfit_files_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mat");
    let new = || Writer::new(true);
    let with_images = || new().add("images", UINT8, &[3, 1, 1], &[1, 2, 3]);
    let good = small(true, DOUBLE).bytes;
    let mut hdf5 = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".to_vec();
    hdf5.resize(124, b' ');
    hdf5.extend(*b"\x00\x02IM");
    hdf5.resize(512, 0);
    hdf5.extend(*b"\x89HDF\r\n\x1a\n");
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (hdf5, "is a MATLAB 7.3 file (HDF5): expected version 5"),
        (vec![], "not a MATLAB 5 file: it starts with nothing"),
        (vec![0; 200], "not a MATLAB 5 file: it starts with 00 00"),
        (new().bytes, "has no array `images`; it has none of numbers"),
        (
            new()
                .add("x", UINT8, &[1, 1], &[1])
                .add("y", DOUBLE, &[1, 1], &[1])
                .bytes,
            "has no array `images`; it has x, y",
        ),
        (with_images().bytes, "has no array `folds`; it has images"),
        (
            new().add("images", DOUBLE, &[3, 1, 1], &[1, 2, 3]).bytes,
            "`images` is not uint8",
        ),
        (
            new().add("images", UINT8, &[3, 1], &[1, 2, 3]).bytes,
            "`images` is of size [3, 1]: expected [N, height, width]",
        ),
        (
            new().add("images", UINT8, &[3, 0, 1], &[]).bytes,
            "`images` is empty",
        ),
        (
            with_images().add("folds", UINT8, &[2, 5], &[0; 10]).bytes,
            "`folds` is of size [2, 5]: expected [3, 5], a row for each image",
        ),
        (
            with_images().add("folds", UINT8, &[3, 4], &[0; 12]).bytes,
            "`folds` is of size [3, 4]: expected [3, 5]",
        ),
        (
            with_images().add("folds", UINT8, &[3, 6], &[0; 18]).bytes,
            "`folds` is of size [3, 6]: expected [3, 5]",
        ),
        (
            with_images()
                .add("folds", UINT8, &[3, 5, 1], &[0; 15])
                .bytes,
            "`folds` is of size [3, 5, 1]: expected [3, 5]",
        ),
        (
            with_images()
                .add(
                    "folds",
                    UINT8,
                    &[3, 5],
                    &[five([0, 2, 3])[..14].to_vec(), vec![7]].concat(),
                )
                .bytes,
            "`folds` has 7 at row 2, column 4: expected 0 unlabelled",
        ),
        (
            with_images()
                .add("folds", UINT8, &[3, 5], &five([0, 0, 2]))
                .bytes,
            "contains no test images in one of its folds",
        ),
        (
            with_images()
                .add("folds", UINT8, &[3, 5], &five([1, 3, 2]))
                .bytes,
            "contains no unlabelled images",
        ),
        (
            with_images().add("folds", UINT8, &[3, 0], &[]).bytes,
            "`folds` is of size [3, 0]: expected [3, 5]",
        ),
        (
            good[..good.len() - 9].to_vec(),
            "it announces a variable of 216 bytes, but there are 215 bytes",
        ),
        (
            good[..good.len() - 220].to_vec(),
            "it announces the 8 bytes before a variable, but there are 4 bytes",
        ),
        (
            new()
                .add("images", UINT8, &[65_536, 65_536, 65_536], &[1])
                .bytes,
            "has no array `images`",
        ),
    ];
    for (bytes, part) in cases {
        fs::write(&path, bytes).unwrap();
        let message = load(&path).unwrap_err();
        assert!(message.contains(part), "expected `{part}` in `{message}`");
        assert!(
            message.starts_with(path.to_str().unwrap()) && !message.contains('\n'),
            "{message}"
        );
    }
    assert!(
        load(&folder.path().join("none.mat"))
            .unwrap_err()
            .contains("neither")
    );
}

#[test]
fn a_fetched_file_is_looked_into_before_it_is_in_the_cache() {
    let (from, cached) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::at(cached.path());
    let fetch = |from: &TempDir| {
        let from = from.path().to_str();
        cache.fetch("tfd", from, FetchPolicy::Offline, &mut |_| {})
    };
    let path = from.path().join("TFD_48x48.mat");
    fs::write(&path, Writer::new(true).bytes).unwrap();
    let message = fetch(&from).unwrap_err().to_string();
    assert!(message.contains("has no array `images`"), "{message}");
    assert_eq!(fs::read_dir(cached.path().join("tfd")).unwrap().count(), 0);
    let missing = cache.load("tfd", FetchPolicy::Offline, &mut |_| {});
    let message = missing.unwrap_err().to_string();
    for part in ["TFD_48x48.mat is not there", "by hand: ", "--from FOLDER"] {
        assert!(message.contains(part), "{message}");
    }

    fs::copy(fixture("tfd.mat"), &path).unwrap();
    let report = fetch(&from).unwrap();
    assert_eq!(report.files, [cached.path().join("tfd/TFD_48x48.mat")]);
    let (data, _) = cache
        .load("tfd", FetchPolicy::Offline, &mut |_| {})
        .unwrap();
    assert_eq!(data.name, "tfd");
    assert_is_the_fixture(&data);
    assert!(
        cache
            .list()
            .iter()
            .any(|(set, problem)| set.as_str() == "tfd" && problem.is_none())
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, rng_seed: prop::test_runner::RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_change_of_a_file_makes_it_panic(
        compressed in any::<bool>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mat");
        let mut bytes = match compressed {
            true => fs::read(fixture("tfd.mat")).unwrap(),
            false => small(true, DOUBLE).bytes,
        };
        for (at, byte) in &edits {
            let at = at.index(bytes.len().min(2000));
            bytes[at] = *byte;
        }
        let cut = cut.index(2 * bytes.len());
        bytes.truncate(cut.max(1));
        fs::write(&path, bytes).unwrap();
        if let Err(message) = load(&path) {
            prop_assert!(!message.contains('\n'), "{}", message);
        }
    }
}
