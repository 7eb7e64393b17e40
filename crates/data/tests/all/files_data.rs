//! Data sets: IDX files, the user's arrays, the cache, and fetching without a network.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use ganforge_data::files::{
    ArrayRef, read_matrix_f32, read_matrix_f32_noting, write_npy, write_npz,
};
use ganforge_data::{Cache, DataError, FetchPolicy, Origin, read_idx_images};
use proptest::prelude::*;
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images-idx3-ubyte");
    (folder, path)
}

fn idx(magic: u32, dims: &[u32], data: &[u8]) -> Vec<u8> {
    let words: Vec<u32> = [&[magic], dims].concat();
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.extend(data);
    bytes
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn message(path: &Path, bytes: &[u8]) -> String {
    fs::write(path, bytes).unwrap();
    let message = read_idx_images(path).unwrap_err().to_string();
    assert!(
        message.starts_with(&path.display().to_string()) && !message.contains('\n'),
        "{message}"
    );
    message
}

fn silent() -> impl FnMut(&str) {
    |_| {}
}

#[test]
fn images_of_any_size_are_read_plain_or_gzipped() {
    let (_folder, path) = folder();
    let bytes = idx(0x803, &[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
    let padded = [gz(&bytes), vec![0; 1000]].concat();
    for bytes in [bytes.clone(), gz(&bytes), padded] {
        fs::write(&path, bytes).unwrap();
        let images = read_idx_images(&path).unwrap();
        assert_eq!((images.n, images.height, images.width), (2, 1, 3));
        assert_eq!(images.bytes, [1, 2, 3, 4, 5, 6]);
    }
}

#[test]
fn each_malformed_idx_has_its_message() {
    let (_folder, path) = folder();
    let good = idx(0x803, &[2, 2, 2], &[7; 8]);
    let size = gz(&idx(0x803, &[u32::MAX; 3], &[7; 8])).len() + 9;
    let too_large = format!("4294967295x4294967295, more than {size} compressed bytes can hold");
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "not an IDX file of images: it starts with nothing"),
        (
            b"\x89PNG....".to_vec(),
            "not an IDX file of images: it starts with 89 50 4e 47",
        ),
        (
            idx(0x801, &[8], &[7; 8]),
            "contains labels (magic 0x00000801), expected images (magic 0x00000803)",
        ),
        (
            idx(0xd03, &[2, 2, 2], &[7; 32]),
            "IDX type 0x0d of 3 dimensions: expected type 0x08",
        ),
        (
            idx(0x804, &[2, 2, 2, 1], &[7; 8]),
            "IDX type 0x08 of 4 dimensions",
        ),
        (idx(0x803, &[0, 28, 28], &[]), "contains no images"),
        (idx(0x803, &[2, 0, 28], &[]), "contains no pixels"),
        (
            good[..10].to_vec(),
            "it announces an IDX header of 16 bytes, but there are 10 bytes",
        ),
        (
            good[..20].to_vec(),
            "it announces 2 images of 2x2, but there are 4 bytes",
        ),
        (
            [&good[..], &[0; 5]].concat(),
            "5 bytes too many after the 24 bytes",
        ),
        (
            idx(0x803, &[u32::MAX; 3], &[7; 8]),
            "4294967295 images of 4294967295x4294967295, but there are 8 bytes",
        ),
        (
            idx(0x803, &[u32::MAX, 1, 1], &[7; 8]),
            "4294967295 images of 1x1, but there are 8 bytes",
        ),
        (
            [gz(&idx(0x803, &[u32::MAX; 3], &[7; 8])), vec![0; 9]].concat(),
            &too_large,
        ),
        (
            gz(&idx(0x803, &[1 << 14, 1, 1], &[7; 8])),
            "16384 images of 1x1, but there are 8 bytes",
        ),
        (
            gz(&[&good[..], &[0; 5]].concat()),
            "images-idx3-ubyte: more than the 24 bytes its header announces",
        ),
        (
            [&good[..], &[0]].concat(),
            "1 byte too many after the 24 bytes",
        ),
        (gz(&idx(0x801, &[8], &[7; 8])), "contains labels"),
        (
            gz(&good)[..gz(&good).len() - 6].to_vec(),
            "damaged compressed data: the file is cut off in the CRC-32 and size behind it, all before which are there",
        ),
        (
            gz(&good)[..gz(&good).len() - 10].to_vec(),
            "truncated or wrong header: it announces 2 images of 2x2",
        ),
        (
            [gz(&good), b"more".to_vec()].concat(),
            "damaged compressed data: bytes follow its end that are neither padding (zeros) nor more compressed data",
        ),
    ];
    for (bytes, part) in cases {
        let message = message(&path, &bytes);
        assert!(message.contains(part), "expected `{part}` in `{message}`");
    }
    let mut flipped = gz(&good);
    let last = flipped.len() - 5; // in the CRC-32
    flipped[last] ^= 1;
    assert!(message(&path, &flipped).contains("damaged compressed data"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, rng_seed: prop::test_runner::RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_idx_files_never_panic(at: usize, bit in 0..8_u32, cut in 0.0..1.5_f64, gzip: bool) {
        let (_folder, path) = folder();
        let good = idx(0x803, &[3, 5, 7], &[9; 105]);
        let mut bytes = if gzip { gz(&good) } else { good };
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        bytes.truncate((cut * bytes.len() as f64) as usize);
        fs::write(&path, bytes).unwrap();
        if let Ok(images) = read_idx_images(&path) {
            prop_assert_eq!(images.bytes.len(), images.n * images.height * images.width);
        }
    }
}

#[test]
fn without_data_and_network_the_bundled_sample_is_used_and_said() {
    let empty = tempfile::tempdir().unwrap();
    let mut said = Vec::new();
    let mut progress = |line: &str| said.push(line.to_string());
    let (data, notices) = Cache::at(empty.path())
        .load("mnist", FetchPolicy::Offline, &mut progress)
        .unwrap();
    assert_eq!(data.origin, Origin::BundledSample);
    assert_eq!(
        (data.train.n(), data.valid.n(), data.test.n()),
        (4000, 500, 500)
    );
    assert_eq!(
        (data.height, data.width, data.channels, data.train.d()),
        (28, 28, 1, 784)
    );
    assert_eq!(
        data.sha256,
        "e62a7412f768ef7109478a9b44dbd6b5393c5a5d1ae1390cd180427dd6e57b61"
    );
    let mean = data.train.pixel_means().iter().sum::<f64>() / 784.0;
    assert!((0.12..0.14).contains(&mean), "mean pixel {mean}");
    assert!(
        notices[0].contains("bundled sample")
            && notices
                .iter()
                .any(|line| line.contains("not tried: offline"))
    );
    assert!(said[0].contains("looking into the cache"), "{said:?}");
}

#[test]
fn a_data_set_without_a_sample_lists_every_attempt() {
    let empty = tempfile::tempdir().unwrap();
    let from = empty.path().join("from");
    fs::create_dir(&from).unwrap();
    let cache = Cache::at(empty.path().join("cache"));
    let fetch = |from: Option<&str>| {
        cache.fetch("fashion-mnist", from, FetchPolicy::Offline, &mut silent())
    };
    let attempts = |error: DataError| match error {
        DataError::NotFetched { attempts, .. } => attempts,
        other => panic!("{other}"),
    };
    match fetch(None) {
        Ok(report) => assert!(report.source.contains("Debian"), "{report:?}"),
        Err(error) => {
            assert_eq!(error.to_string().lines().count(), 4);
            let attempts = attempts(error);
            assert_eq!(attempts.len(), 3, "cache, mirror, package");
            let parts = [
                "train-images-idx3-ubyte is not there",
                "not tried: offline",
                "apt-get install dataset-fashion-mnist",
            ];
            for (attempt, part) in attempts.iter().zip(parts) {
                assert!(attempt.reason.contains(part), "{attempt}");
            }
        }
    }
    let attempts = attempts(fetch(from.to_str()).unwrap_err());
    assert_eq!(attempts.len(), 1, "the folder and nothing else");
    let expected = "has neither train-images-idx3-ubyte nor";
    assert!(attempts[0].reason.contains(expected), "{}", attempts[0]);
}

#[test]
fn wrong_bytes_are_not_taken_into_the_cache() {
    let empty = tempfile::tempdir().unwrap();
    let name = "train-images-idx3-ubyte";
    let cases = [
        (vec![0; 47_040_016], "SHA-256 is"),
        (vec![0; 47_040_017], "more than the 47040016 bytes"),
        (vec![0; 100], "truncated"),
    ];
    for (bytes, part) in cases {
        fs::write(empty.path().join(format!("{name}.gz")), gz(&bytes)).unwrap();
        let cache = Cache::at(empty.path().join("cache"));
        let error = cache
            .fetch(
                "mnist",
                empty.path().to_str(),
                FetchPolicy::Offline,
                &mut silent(),
            )
            .unwrap_err();
        assert!(
            error.to_string().contains(part),
            "expected `{part}` in `{error}`"
        );
        assert_eq!(
            fs::read_dir(cache.root().join("mnist")).unwrap().count(),
            0,
            "nothing is left behind"
        );
    }
}

#[test]
fn a_cache_that_cannot_be_made_does_not_stop_the_sample() {
    let empty = tempfile::tempdir().unwrap();
    let file = empty.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let (data, notices) = Cache::at(file)
        .load("mnist", FetchPolicy::Offline, &mut silent())
        .unwrap();
    assert_eq!(data.origin, Origin::BundledSample);
    assert!(
        notices.iter().any(|line| line.contains("cannot create")),
        "{notices:?}"
    );
}

#[test]
fn unknown_names_are_told_the_known_ones() {
    let error = Cache::at("none")
        .load("minst", FetchPolicy::Offline, &mut silent())
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "minst: neither a known data set (mnist, fashion-mnist, tfd, cifar10, svhn, celeba, celeba-hq-128, lsun-bedroom) nor a file, did you mean mnist?"
    );
    let fetched = Cache::at("none").fetch("cifar", None, FetchPolicy::Offline, &mut silent());
    assert_eq!(
        fetched.unwrap_err().to_string(),
        "cifar: no data set that can be fetched, which are mnist, fashion-mnist, tfd, cifar10, svhn, celeba, celeba-hq-128, lsun-bedroom, did you mean cifar10?"
    );
}

#[test]
fn a_single_array_is_split_and_three_are_taken_as_they_are() {
    let (folder, path) = folder();
    let cache = Cache::at(folder.path());
    let load =
        |path: &Path| cache.load(path.to_str().unwrap(), FetchPolicy::Offline, &mut silent());
    let values: Vec<f32> = (0..60).map(|i| i as f32 / 60.0).collect();
    let npy = folder.path().join("a.npy");
    write_npy(&npy, ArrayRef::f32(&[15, 4], &values)).unwrap();
    let (data, notices) = load(&npy).unwrap();
    assert_eq!((data.train.n(), data.valid.n(), data.test.n()), (11, 2, 2));
    assert_eq!((data.height, data.width, data.origin), (2, 2, Origin::File));
    assert_eq!(data.test.to_f32(1..2).unwrap(), values[56..]);
    assert!(
        notices[0].ends_with("0..10 train, 11..12 validate, 13..14 test"),
        "{notices:?}"
    );

    let npz = folder.path().join("a.npz");
    let bytes = [255; 12];
    let part = |n: usize, name: &str| (name.to_string(), n);
    let shapes =
        [part(2, "train"), part(1, "valid"), part(1, "test")].map(|(name, n)| (name, [n, 2, 3]));
    let arrays = shapes
        .iter()
        .map(|(name, shape)| (name.clone(), ArrayRef::u8(shape, &bytes[..shape[0] * 6])));
    write_npz(&npz, arrays).unwrap();
    let (data, notices) = load(&npz).unwrap();
    assert_eq!((data.train.n(), data.valid.n(), data.test.n()), (2, 1, 1));
    assert_eq!((data.height, data.width, notices.len()), (2, 3, 0));
    assert_eq!(data.train.to_f32(0..1).unwrap(), [1.0; 6]);

    // Colour images: the channels last, or turned so.
    let colour: Vec<f32> = (0..7 * 24).map(|i| i as f32).collect();
    write_npy(&npy, ArrayRef::f32(&[7, 2, 4, 3], &colour)).unwrap();
    let (data, notices) = load(&npy).unwrap();
    assert_eq!((data.height, data.width, data.channels), (2, 4, 3));
    assert_eq!(
        (data.test.to_f32(0..1).unwrap(), notices.len()),
        (colour[144..].to_vec(), 1)
    );
    write_npy(&npy, ArrayRef::f32(&[7, 3, 2, 4], &colour)).unwrap();
    let (data, notices) = load(&npy).unwrap();
    assert_eq!((data.height, data.width, data.channels), (2, 4, 3));
    let said = "a.npy: images [7, 3, 2, 4], channel by channel, turned to [7, 2, 4, 3]";
    assert!(notices[1].ends_with(said), "{notices:?}");
    let last: Vec<f32> = (0..24).map(|i| (144 + i % 3 * 8 + i / 3) as f32).collect();
    assert_eq!(data.test.to_f32(0..1).unwrap(), last);
    let mut noted = Vec::new();
    let (n, d, samples) = read_matrix_f32_noting(&npy, &mut noted).unwrap();
    assert_eq!((n, d, &samples[144..], noted.len()), (7, 24, &last[..], 1));

    fs::write(&path, idx(0x803, &[7, 1, 2], &[51; 14])).unwrap();
    let (data, _) = load(&path).unwrap();
    assert_eq!(
        (data.train.n(), data.valid.n(), data.test.n(), data.width),
        (5, 1, 1, 2)
    );
}

#[test]
fn unfit_files_say_why() {
    let (folder, idx_path) = folder();
    let cache = Cache::at(folder.path());
    let load = |path: &Path| {
        cache
            .load(path.to_str().unwrap(), FetchPolicy::Offline, &mut silent())
            .unwrap_err()
            .to_string()
    };
    let path = folder.path().join("a.npy");
    let cases: [(ArrayRef<'_>, &str); 7] = [
        (
            ArrayRef::f64(&[2, 2], &[0.0, 1.0, -1e300, 0.0]),
            "value -1e300 at row 1, column 0: expected numbers that are not too large for float32",
        ),
        (
            ArrayRef::u8(&[8, 2, 5, 2], &[0; 160]),
            "expected shape [N, height, width, channels] with 1 or 3 channels, got [8, 2, 5, 2]",
        ),
        (
            ArrayRef::f32(&[2, 2], &[0.0, 1.0, f32::INFINITY, 0.0]),
            "value inf at row 1, column 0: expected finite numbers",
        ),
        (
            ArrayRef::f32(&[1, 2], &[0.0, f32::NAN]),
            "value NaN at row 0, column 1",
        ),
        (
            ArrayRef::f32(&[3, 2], &[0.5; 6]),
            "3 images cannot be split: expected at least 7",
        ),
        (ArrayRef::u64(&[7, 1], &[0; 7]), "unsupported dtype uint64"),
        (ArrayRef::f32(&[7], &[0.0; 7]), "expected shape [N, d]"),
    ];
    for (array, part) in cases {
        write_npy(&path, array).unwrap();
        let message = load(&path);
        assert!(message.contains(part), "expected `{part}` in `{message}`");
    }
    let npz = folder.path().join("a.npz");
    let (name, other) = ("train".to_string(), "x".to_string());
    write_npz(
        &npz,
        [
            (name, ArrayRef::u8(&[1, 1], &[0])),
            (other, ArrayRef::u8(&[1, 1], &[0])),
        ],
    )
    .unwrap();
    assert!(
        load(&npz)
            .contains("expected the arrays train, valid and test, or a single one, got train, x")
    );
    fs::write(&idx_path, idx(0x801, &[8], &[7; 8])).unwrap();
    assert!(load(&idx_path).contains("contains labels"));
    fs::write(&path, "text").unwrap();
    assert!(load(&path).contains("not an npy or npz file"));
}

/// The published statistics of the test file, of the data in the cache that `GANFORGE_TEST_DATA` names.
#[test]
fn mnist_is_the_published_one() {
    let Some(root) = std::env::var_os("GANFORGE_TEST_DATA") else {
        return testkit::skip("mnist", "GANFORGE_TEST_DATA names no cache that holds it");
    };
    let cache = Cache::at(root);
    let (data, notices) = cache
        .load("mnist", FetchPolicy::Offline, &mut silent())
        .unwrap();
    assert!(notices.is_empty());
    assert_eq!(
        (data.train.n(), data.valid.n(), data.test.n()),
        (50_000, 10_000, 10_000)
    );
    let pixels = data.test.to_f32(0..10_000).unwrap();
    let count = pixels.len() as f64;
    let mean = pixels.iter().map(|&p| f64::from(p)).sum::<f64>() / count;
    let variance = pixels
        .iter()
        .map(|&p| (f64::from(p) - mean).powi(2))
        .sum::<f64>()
        / count;
    assert!(
        (mean - 0.1325146).abs() < 1e-6 && (variance.sqrt() - 0.3104802).abs() < 1e-6,
        "{mean} {variance}"
    );
    let labels = data.test.labels().unwrap();
    let classes: Vec<usize> = (0..10)
        .map(|c| labels.iter().filter(|&&label| label == c).count())
        .collect();
    assert_eq!(
        classes,
        [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    );
}

#[test]
fn bytes_that_are_all_zero_or_one_are_said_to_be_odd() {
    let (folder, idx_path) = folder();
    let cache = Cache::at(folder.path());
    let notices = |path: &Path| {
        cache
            .load(path.to_str().unwrap(), FetchPolicy::Offline, &mut silent())
            .unwrap()
            .1
    };
    let bytes: Vec<u8> = (0..28).map(|i| i % 2).collect();
    let path = folder.path().join("a.npy");
    write_npy(&path, ArrayRef::u8(&[7, 4], &bytes)).unwrap();
    fs::write(&idx_path, idx(0x803, &[7, 2, 2], &bytes)).unwrap();
    for path in [&path, &idx_path] {
        let said = notices(path);
        assert!(
            said[1].contains("pixels of 0 and 1/255") && said[1].contains("np.float32"),
            "{said:?}"
        );
    }
    let mut noted = Vec::new();
    read_matrix_f32_noting(&path, &mut noted).unwrap();
    assert!(
        noted[0].contains("a.npy: all bytes are 0 or 1"),
        "{noted:?}"
    );
    let scaled: Vec<u8> = bytes.iter().map(|b| 255 * b).collect();
    write_npy(&path, ArrayRef::u8(&[7, 4], &scaled)).unwrap();
    assert_eq!(notices(&path).len(), 1, "how it is split");
    // What NumPy calls bool becomes what makes 0 and 1 of it.
    let header = "{'descr': '|b1', 'fortran_order': False, 'shape': (7, 4), }\n";
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend((header.len() as u16).to_le_bytes());
    npy.extend([header.as_bytes(), &bytes].concat());
    fs::write(&path, npy).unwrap();
    let refused = read_matrix_f32(&path).unwrap_err().to_string();
    assert!(
        refused.contains("bool (convert with .astype(np.float32))"),
        "{refused}"
    );
}
