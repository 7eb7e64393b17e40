//! SVHN's cropped digits: files that SciPy wrote, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ganforge_data::{Cache, DataSet, Dataset, FetchPolicy, Images, Origin};

use crate::data_tfd::{DOUBLE, UINT8, Writer};
use crate::pictures::{load, refusal};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Image i of make_svhn.py, [32, 32, 3].
fn image(i: usize) -> Vec<u8> {
    let places = (0..32).flat_map(|y| (0..32).flat_map(move |x| (0..3).map(move |c| (y, x, c))));
    let pixels = places.map(|(y, x, c)| 7 * y + 3 * x * (c + 1) + 11 * i);
    pixels.map(|value| value as u8).collect()
}

fn assert_is_the_fixture(data: &Dataset) {
    assert_eq!((data.height, data.width, data.channels), (32, 32, 3));
    assert_eq!((data.classes.len(), data.classes[0].as_str()), (10, "0"));
    let assert_part = |images: &Images, first: usize, n: usize| {
        let expected: Vec<u8> = (first..first + n).flat_map(image).collect();
        assert_eq!(images.bytes().unwrap(), expected, "from {first} on");
        let labels: Vec<u8> = (first..first + n).map(|i| ((i + 1) % 10) as u8).collect();
        assert_eq!(images.labels().unwrap(), labels);
    };
    assert_part(&data.train, 0, 12);
    assert_part(&data.valid, 12, 2);
    assert_part(&data.test, 14, 3);
}

#[test]
fn files_of_scipys_are_read_image_by_image_with_their_digits() {
    let (data, notices) = load(&fixtures().join("svhn")).unwrap();
    assert_is_the_fixture(&data);
    assert_eq!(data.origin, Origin::File);
    let said = "svhn: files of svhn: 12 images to train, 2 to validate, 3 to test";
    assert!(notices[0].ends_with(said), "{notices:?}");
}

#[test]
fn the_fixtures_are_what_their_script_writes() {
    if !testkit::has_python("scipy.io") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = fixtures().join("make_svhn.py");
    let run = Command::new("python3")
        .arg(script)
        .arg(folder.path())
        .output();
    let done = run.unwrap();
    assert!(done.status.success(), "{done:?}");
    assert_is_the_fixture(&load(folder.path()).unwrap().0);
}

#[test]
fn unfit_files_say_which_variable_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let train = folder.path().join("train_32x32.mat");
    let test = fs::read(fixtures().join("svhn/test_32x32.mat")).unwrap();
    fs::write(folder.path().join("test_32x32.mat"), &test).unwrap();
    let (n, pixels) = (2, vec![9; 2 * 3072]);
    let x = || Writer::new(false).add("X", UINT8, &[32, 32, 3, n], &pixels);
    let unlike = |dims: &[u32]| Writer::new(true).add("X", UINT8, dims, &pixels);
    for (file, part) in [
        (
            unlike(&[2, 32, 32, 3]),
            "`X` is of size [2, 32, 32, 3]: expected [32, 32, 3, N]",
        ),
        (unlike(&[32, 64, 3]), "`X` is of size [32, 64, 3]: expected"),
        (
            Writer::new(true).add("X", UINT8, &[32, 32, 3, 0], &[]),
            "contains no images",
        ),
        (
            Writer::new(true).add("X", DOUBLE, &[1, 1], &[1]),
            "`X` is not uint8",
        ),
        (
            Writer::new(true).add("y", UINT8, &[1, 1], &[1]),
            "has no array `X`; it has y",
        ),
        (x(), "has no array `y`; it has X"),
        (
            x().add("y", UINT8, &[1, n], &[1, 2]),
            "`y` is of size [1, 2]: expected [2, 1]",
        ),
        (
            x().add("y", DOUBLE, &[n, 1], &[10, 0]),
            "`y` has 0 at row 1: expected 1 to 10, 10 for 0",
        ),
        (
            x().add("y", UINT8, &[n, 1], &[11, 1]),
            "`y` has 11 at row 0",
        ),
    ] {
        fs::write(&train, file.bytes).unwrap();
        let message = refusal(folder.path());
        let expected = message.contains(part) && message.contains("train_32x32.mat");
        assert!(expected, "expected `{part}` in `{message}`");
    }
    let two = x().add("y", DOUBLE, &[n, 1], &[10, 1]).bytes;
    fs::write(&train, &two).unwrap();
    let message = refusal(folder.path());
    assert!(message.contains("2 training images cannot be split: expected at least 7"));
    fs::write(&train, &two[..two.len() - 100]).unwrap();
    let message = refusal(folder.path());
    assert!(message.contains("train_32x32.mat: truncated"), "{message}");
    fs::remove_file(&train).unwrap();
    let message = refusal(folder.path());
    assert!(
        message.contains("train_32x32.mat: cannot read: "),
        "{message}"
    );
}

#[test]
fn only_the_published_files_come_into_the_cache() {
    let cached = tempfile::tempdir().unwrap();
    let cache = Cache::at(cached.path());
    let from = fixtures().join("svhn");
    let result = cache.fetch("svhn", from.to_str(), FetchPolicy::Offline, &mut |_| {});
    let message = result.unwrap_err().to_string();
    let expected = "train_32x32.mat: truncated or wrong header: it announces 182040794 bytes";
    assert!(message.contains(expected), "{message}");
    let result = cache.load("svhn", FetchPolicy::Offline, &mut |_| {});
    let message = result.unwrap_err().to_string();
    assert!(
        message.contains("housenumbers/: not tried: offline"),
        "{message}"
    );
    assert_eq!(fs::read_dir(cached.path().join("svhn")).unwrap().count(), 0);
}

#[test]
fn a_set_says_what_it_takes_and_how_it_is_had() {
    let of = |name: &str| DataSet::of(name).unwrap();
    assert_eq!(of("svhn").on_disk(), Some("246 MB"));
    let said = "`ganforge data fetch svhn`, from http://ufldl.stanford.edu/housenumbers/";
    assert_eq!(of("svhn").advice().as_deref(), Some(said));
    let said = of("celeba").advice().unwrap();
    assert!(
        said.starts_with("CelebA (Liu et al. 2015) is on a drive"),
        "{said}"
    );
    assert!(
        said.ends_with("`ganforge data fetch celeba --from FOLDER`"),
        "{said}"
    );
    assert_eq!((of("ring").on_disk(), of("ring").advice()), (None, None));
}
