//! Pictures in zip archives and LMDB databases, lists of parts, counts of what is held out.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use ganforge_data::files::{ArrayRef, write_npy, write_npz};
use ganforge_data::{Cache, Crop, Dataset, FetchPolicy, Filter, HeldOut, Preprocessing};
use png::ColorType::Rgb;
use proptest::prelude::*;

use super::{drawn, load, load_into, of_value, refusal, values, write_all};

/// A zip archive of these files, stored or deflated.
pub(super) fn zip_of(files: &[(&str, Vec<u8>)], is_deflated: bool) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let mut crc = Crc::new();
        crc.update(bytes);
        let content = match is_deflated {
            false => bytes.clone(),
            true => {
                let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
                deflate.write_all(bytes).unwrap();
                deflate.finish().unwrap()
            }
        };
        let mut common = vec![20, 0, 0, 0, if is_deflated { 8 } else { 0 }, 0, 0, 0, 0, 0];
        for word in [crc.sum(), content.len() as u32, bytes.len() as u32] {
            common.extend(word.to_le_bytes());
        }
        common.extend([name.len() as u8, 0, 0, 0]);
        let at = zip.len() as u32;
        zip.extend([b"PK\x03\x04", &common[..], name.as_bytes(), &content[..]].concat());
        directory.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10]].concat());
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (at, size, n) = (zip.len() as u32, directory.len() as u32, files.len() as u16);
    zip.extend(directory);
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend([n.to_le_bytes(), n.to_le_bytes()].concat());
    zip.extend([size.to_le_bytes(), at.to_le_bytes()].concat());
    zip.extend([0; 2]);
    zip
}

/// Nine pictures of two classes, their values in the order of their names.
fn classes() -> Vec<(&'static str, Vec<u8>)> {
    let names = [
        "p/a/0.png",
        "p/a/1.png",
        "p/a/2.png",
        "p/a/3.png",
        "p/a/4.png",
        "p/a/5.png",
        "p/a/6.png",
        "p/b/0.png",
        "p/b/1.png",
        "p/b/2.png",
        "p/b/3.png",
        "p/b/4.png",
        "p/b/5.png",
        "p/b/6.png",
    ];
    let picture = |(i, name)| (name, of_value(i as u8));
    names.into_iter().enumerate().map(picture).collect()
}

#[test]
fn a_zip_archive_holds_the_pictures_of_its_folder() {
    let place = tempfile::tempdir().unwrap();
    write_all(&place.path().join("f"), &classes());
    let (folder, _) = load(&place.path().join("f")).unwrap();
    let mut files = classes();
    files.insert(0, ("p/", Vec::new()));
    files.push(("p/.hidden.png", vec![1]));
    files.push(("p/a/readme.txt", vec![1]));
    for is_deflated in [false, true] {
        let zip = place.path().join("p.zip");
        fs::write(&zip, zip_of(&files, is_deflated)).unwrap();
        let (data, _) = load(&zip).unwrap();
        assert_eq!(data.sha256, folder.sha256);
        assert_eq!(data.classes, ["a", "b"]);
        assert_eq!(values(&data.test), (vec![6, 13], Some(&[0, 1][..])));
    }
}

#[test]
fn a_zip_archive_that_is_damaged_or_leads_out_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let zip = place.path().join("p.zip");
    let mut bytes = zip_of(&classes(), false);
    let at = bytes.windows(4).position(|w| w == b"IDAT").unwrap();
    bytes[at + 5] ^= 1;
    fs::write(&zip, &bytes).unwrap();
    let message = refusal(&zip);
    assert!(
        message.contains("p.zip: p/a/0.png: damaged: CRC-32 is"),
        "{message}"
    );
    fs::write(&zip, zip_of(&[("../0.png", of_value(1))], false)).unwrap();
    let message = refusal(&zip);
    assert!(
        message.contains("p.zip: ../0.png: has \"..\" in its name"),
        "{message}"
    );
    fs::write(&zip, &bytes[..bytes.len() - 1]).unwrap();
    let message = refusal(&zip);
    assert!(message.contains("p.zip: truncated"), "{message}");
    fs::write(&zip, super::tar_of(&classes())).unwrap();
    let message = refusal(&zip);
    assert!(
        message.contains("p.zip: not a zip archive of pictures: it starts with 70 2f 61"),
        "{message}"
    );
    fs::write(&zip, zip_of(&[("a.txt", vec![1])], false)).unwrap();
    assert!(refusal(&zip).contains("p.zip: contains no images"));
}

fn database() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lsun")
}

/// The middle 4x6 of each, the last four to test, two before them to validate.
const OF_DATABASE: Preprocessing = Preprocessing {
    crop: Some(Crop::Sides([4, 6])),
    channels: None,
    resize: None,
    filter: Filter::Lanczos,
    held_out: HeldOut {
        valid: Some(2),
        test: Some(4),
    },
};

fn with(path: &Path, how: &Preprocessing) -> Result<Dataset, String> {
    let cache = tempfile::tempdir().unwrap();
    load_into(cache.path(), path, how).map(|(data, _)| data)
}

#[test]
fn the_values_of_a_database_are_pictures_in_the_order_of_their_keys() {
    for path in [database(), database().join("data.mdb")] {
        let data = with(&path, &OF_DATABASE).unwrap();
        assert_eq!((data.height, data.width, data.channels), (4, 6, 3));
        let (reds, labels) = values(&data.train);
        assert_eq!((reds, labels), ((0..58).collect::<Vec<u8>>(), None));
        assert_eq!(values(&data.valid).0, [58, 59]);
        // Noise, larger than a page: each as its JPEG alone.
        assert_eq!(data.test.n(), 4);
        let bytes = data.test.bytes().unwrap();
        let images: Vec<&[u8]> = bytes.chunks_exact(72).collect();
        assert!((1..4).all(|i| images[i] != images[0]));
        let spread = images[0].iter().max().unwrap() - images[0].iter().min().unwrap();
        assert!(spread > 50, "{:?}", images[0]);
    }
}

/// The database with these bytes in other places.
fn changed(changes: &[(usize, &[u8])]) -> (tempfile::TempDir, PathBuf) {
    let mut bytes = fs::read(database().join("data.mdb")).unwrap();
    for (at, new) in changes {
        bytes[*at..*at + new.len()].copy_from_slice(new);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.mdb");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn what_is_wrong_with_a_database_is_said() {
    // Of the meta pages: the format, bytes of a page, flags, entries and root of the data; both in each page.
    let cases: [(usize, &[u8], &str); 6] = [
        (
            20,
            &[2, 0, 0, 0],
            "is an LMDB database of format 2: expected 1",
        ),
        (40, &[1, 0x10, 0, 0], "has pages of 4097 bytes"),
        (92, &[4, 0], "of several values to a key"),
        (
            120,
            &[65, 0],
            "damaged LMDB database: announces 65 entries, has 64",
        ),
        (
            128,
            &[200, 0],
            "damaged LMDB database: page 200 is not in its 49152 bytes",
        ),
        (
            128,
            &[0, 0],
            "damaged LMDB database: page 0 is not as it must be",
        ),
    ];
    for (at, new, part) in cases {
        let (_folder, path) = changed(&[(at, new), (at + 4096, new)]);
        let message = with(&path, &OF_DATABASE).unwrap_err();
        assert!(message.contains(part), "expected `{part}` in `{message}`");
        assert!(message.contains("data.mdb"), "{message}");
    }
    let (_folder, path) = changed(&[(16, b"none")]);
    let folder = path.parent().unwrap();
    let message = with(folder, &OF_DATABASE).unwrap_err();
    assert!(
        message.contains("data.mdb: not an LMDB database of a 64-bit"),
        "{message}"
    );
    fs::write(
        &path,
        &fs::read(database().join("data.mdb")).unwrap()[..5000],
    )
    .unwrap();
    let message = with(folder, &OF_DATABASE).unwrap_err();
    assert!(message.contains("data.mdb: truncated"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, rng_seed: prop::test_runner::RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_change_of_a_database_makes_it_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
        cut in any::<prop::sample::Index>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.mdb");
        let mut bytes = fs::read(database().join("data.mdb")).unwrap();
        for (at, byte) in &edits {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        bytes.truncate(cut.index(3 * bytes.len()).max(1));
        fs::write(&path, bytes).unwrap();
        if let Err(message) = with(&path, &OF_DATABASE) {
            prop_assert!(!message.contains('\n'), "{}", message);
        }
    }
}

#[test]
fn a_picture_of_another_format_says_how_to_convert_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.jpg"), b"RIFF\x24\0\0\0WEBPVP8 ").unwrap();
    for i in 0..8 {
        fs::write(folder.path().join(format!("{i}.png")), of_value(i)).unwrap();
    }
    let message = refusal(folder.path());
    let expected =
        "a.jpg: is not a readable picture: it is WebP, expected PNG or JPEG: `dwebp IN -o OUT.png`";
    assert!(message.contains(expected), "{message}");
}

/// Six pictures in the folder `img_align_celeba` of a place.
fn faces() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let names = ["1.png", "2.png", "3.png", "4.png", "5.png", "6.png"];
    let picture = |(i, name)| (name, of_value(i as u8 + 1));
    let files: Vec<_> = names.into_iter().enumerate().map(picture).collect();
    write_all(&place.path().join("img_align_celeba"), &files);
    place
}

#[test]
fn a_list_of_parts_within_the_folder_or_beside_it_is_kept() {
    let place = faces();
    let list = "1.png 2\n2.png 0\n3.png 0\n4.png 1\n5.png  0\n6.png 2\n7.png 2\n\n";
    fs::write(place.path().join("list_eval_partition.txt"), list).unwrap();
    for path in [
        place.path().to_path_buf(),
        place.path().join("img_align_celeba"),
    ] {
        let (data, notices) = load(&path).unwrap();
        assert_eq!(values(&data.train), (vec![2, 3, 5], None));
        assert_eq!(values(&data.valid), (vec![4], None));
        assert_eq!(values(&data.test), (vec![1, 6], None));
        let said = "parts as in list_eval_partition.txt: 3 images train, 1 validate, 2 test; 1 that it lists are not there";
        assert!(notices[0].ends_with(said), "{notices:?}");
    }
    // Another list makes other parts of the same pictures, though they lie decoded in the cache.
    let cache = tempfile::tempdir().unwrap();
    let how = Preprocessing::default();
    let parts = || {
        let (data, _) = load_into(cache.path(), place.path(), &how).unwrap();
        values(&data.valid).0
    };
    assert_eq!(parts(), [4]);
    let other = list
        .replace("4.png 1", "4.png 0")
        .replace("5.png  0", "5.png  1");
    fs::write(place.path().join("list_eval_partition.txt"), other).unwrap();
    assert_eq!(parts(), [5]);
}

#[test]
fn a_list_of_parts_that_is_wrong_says_where() {
    let place = faces();
    let path = place.path().join("list_eval_partition.txt");
    let five = "1.png 2\n2.png 0\n3.png 0\n4.png 1\n5.png 0\n";
    for (more, part) in [
        (
            "6.png 3",
            "line 6: expected the name of a picture and 0, 1 or 2, got `6.png 3`",
        ),
        (
            "6.png",
            "line 6: expected the name of a picture and 0, 1 or 2, got `6.png`",
        ),
        ("5.png 0", "line 6: 5.png is listed twice"),
        ("7.png 0", "list_eval_partition.txt: does not list 6.png"),
    ] {
        fs::write(&path, format!("{five}{more}\n")).unwrap();
        let message = refusal(place.path());
        assert!(message.contains(part), "expected `{part}` in `{message}`");
    }
    fs::write(&path, format!("{five}6.png 0\n").replace(" 1\n", " 2\n")).unwrap();
    let message = refusal(place.path());
    assert!(message.contains("list_eval_partition.txt has none of the pictures here in valid"));
    fs::write(&path, format!("{five}6.png 0\n")).unwrap();
    let message = with(place.path(), &OF_DATABASE).unwrap_err();
    let expected = "data.valid is for examples without parts, and this has list_eval_partition.txt";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn celebas_middle_is_resized_as_in_the_study() {
    let folder = tempfile::tempdir().unwrap();
    let at = |x: usize, y: usize, c: usize| (3 * y + 5 * x + 40 * c) % 256;
    let picture = drawn([218, 178], Rgb, |x, y| [0, 1, 2].map(|c| at(x, y, c) as u8));
    for i in 0..7 {
        fs::write(folder.path().join(format!("{i}.png")), picture.png()).unwrap();
    }
    let how = Preprocessing {
        crop: Some(Crop::Sides([160, 160])),
        resize: Some([64, 64]),
        filter: Filter::Bilinear,
        ..Preprocessing::default()
    };
    let data = with(folder.path(), &how).unwrap();
    // Row 2.5 i of the 160 from row 29 on, column 2.5 j of those from column 9 on.
    let mut expected = Vec::new();
    for (i, j) in (0..64_usize).flat_map(|i| (0..64_usize).map(move |j| (i, j))) {
        let rows = [29 + 5 * i / 2, 29 + (5 * i).div_ceil(2)];
        let columns = [9 + 5 * j / 2, 9 + (5 * j).div_ceil(2)];
        for c in 0..3 {
            let sum: usize = rows
                .iter()
                .flat_map(|y| columns.map(|x| at(x, *y, c)))
                .sum();
            expected.push(((sum + 2) / 4) as u8);
        }
    }
    assert_eq!(data.test.bytes().unwrap(), expected);
}

#[test]
fn so_many_are_held_out_of_pictures_and_arrays() {
    let place = tempfile::tempdir().unwrap();
    let array = place.path().join("a.npy");
    let bytes: Vec<u8> = (0..80).collect();
    write_npy(&array, ArrayRef::u8(&[20, 4], &bytes)).unwrap();
    let held = |valid, test| Preprocessing {
        held_out: HeldOut { valid, test },
        ..Preprocessing::default()
    };
    let parts = |path: &Path, how: &Preprocessing| {
        with(path, how).map(|data| [data.train.n(), data.valid.n(), data.test.n()])
    };
    assert_eq!(parts(&array, &held(Some(1), Some(5))), Ok([14, 1, 5]));
    assert_eq!(parts(&array, &held(None, Some(5))), Ok([13, 2, 5]));
    let message = parts(&array, &held(Some(15), Some(5))).unwrap_err();
    assert!(
        message.contains("data.valid and data.test hold out 15 and 5 of 20 images"),
        "{message}"
    );

    let flat = place.path().join("flat");
    let files: Vec<_> = classes()
        .into_iter()
        .map(|(name, b)| (&name[2..], b))
        .collect();
    let names: Vec<String> = files
        .iter()
        .map(|(name, _)| name.replace('/', "-"))
        .collect();
    let named: Vec<_> = names
        .iter()
        .zip(&files)
        .map(|(name, (_, b))| (name.as_str(), b.clone()))
        .collect();
    write_all(&flat, &named);
    assert_eq!(parts(&flat, &held(Some(1), Some(3))), Ok([10, 1, 3]));
    let message = parts(&flat, &held(Some(20), None)).unwrap_err();
    assert!(
        message.contains("hold out 20 and 2 of 14 images"),
        "{message}"
    );
    let folders = place.path().join("folders");
    write_all(&folders, &files);
    let message = parts(&folders, &held(None, Some(3))).unwrap_err();
    assert!(
        message.contains("data.test is for examples without parts, and this has folders of parts")
    );

    let npz = place.path().join("a.npz");
    let three =
        ["train", "valid", "test"].map(|name| (name.to_string(), ArrayRef::u8(&[20, 4], &bytes)));
    write_npz(&npz, three).unwrap();
    let message = parts(&npz, &held(None, Some(3))).unwrap_err();
    assert!(
        message.contains("and this has the arrays train, valid and test"),
        "{message}"
    );
}

#[test]
fn sets_of_pictures_come_by_hand_and_are_looked_into() {
    let (from, cached) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::at(cached.path());
    let fetch = |name: &str, from: &Path| {
        let fetched = cache.fetch(name, from.to_str(), FetchPolicy::Offline, &mut |_| {});
        fetched.map_err(|e| e.to_string())
    };
    let load = |name: &str| {
        let loaded = cache.load(name, FetchPolicy::Offline, &mut |_| {});
        loaded.map(|_| ()).unwrap_err().to_string()
    };
    for (name, part) in [
        (
            "celeba",
            "img_align_celeba.zip and list_eval_partition.txt from https://mmlab",
        ),
        (
            "celeba-hq-128",
            "`ganforge data fetch celeba-hq-128 --from FOLDER`",
        ),
        (
            "lsun-bedroom",
            "bedroom_train_lmdb.zip (45,922,737,680 bytes, SHA-256 a15644c2",
        ),
    ] {
        let message = load(name);
        assert!(message.contains(part), "expected `{part}` in `{message}`");
    }
    fs::write(
        from.path().join("img_align_celeba.zip"),
        zip_of(&classes(), false),
    )
    .unwrap();
    let message = fetch("celeba", from.path()).unwrap_err();
    assert!(
        message
            .contains("img_align_celeba.zip: truncated or wrong header: it announces 1443490838")
    );
    fs::write(from.path().join("data128x128.tar"), super::tar_of(&[])).unwrap();
    let message = fetch("celeba-hq-128", from.path()).unwrap_err();
    assert!(
        message.contains("data128x128.tar: contains no pictures"),
        "{message}"
    );
    fs::write(
        from.path().join("data128x128.tar"),
        super::tar_of(&classes()),
    )
    .unwrap();
    fetch("celeba-hq-128", from.path()).unwrap();
    fetch("lsun-bedroom", &database()).unwrap();
    for (name, part) in [
        ("celeba-hq-128", "folders of parts or classes"),
        ("lsun-bedroom", "hold out 1000 and 30588 of 64 images"),
    ] {
        let message = load(name);
        assert!(message.contains(part), "expected `{part}` in `{message}`");
    }
}
