//! Pictures beside other files, named strangely, given twice or made too large: what is said, what is refused.

use std::fs;
use std::path::Path;

use ganforge_data::{Cache, Crop, Dataset, FetchPolicy, Preprocessing};

type Loaded = Result<(Dataset, Vec<String>), String>;

fn load_with(path: &Path, how: &Preprocessing) -> Loaded {
    let cache = tempfile::tempdir().unwrap();
    let path = path.to_str().unwrap();
    let loaded = Cache::at(cache.path()).load_with(path, how, FetchPolicy::Offline, &mut |_| {});
    loaded.map_err(|e| e.to_string())
}

fn load(path: &Path) -> Loaded {
    load_with(path, &Preprocessing::default())
}

/// A grey picture of this value, 2x2.
fn picture(value: u8) -> Vec<u8> {
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 2, 2);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[value; 4]).unwrap();
    writer.finish().unwrap();
    png
}

/// An archive of these files, whatever their names.
fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        archive.append(&header, &bytes[..]).unwrap();
    }
    archive.into_inner().unwrap()
}

const NAMES: [&str; 9] = [
    "0.png", "1.png", "2.png", "3.png", "4.png", "5.png", "6.png", "7.png", "8.png",
];

/// Nine pictures with the values of their names.
fn nine() -> Vec<(&'static str, Vec<u8>)> {
    let of = |(i, name): (usize, &'static str)| (name, picture(i as u8));
    NAMES.into_iter().enumerate().map(of).collect()
}

/// A folder for a test, with an archive in it.
fn with_archive(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a.tar");
    fs::write(&path, bytes).unwrap();
    (place, path)
}

#[test]
fn pictures_of_other_formats_are_counted() {
    let mut files = nine();
    files.extend([
        ("a.webp", vec![1]),
        ("b.WEBP", vec![1]),
        ("c.gif", vec![1]),
        ("README", vec![1]),
        (".hidden.gif", vec![1]),
    ]);
    let (place, tar) = with_archive(&archive(&files));
    let folder = place.path().join("pictures");
    fs::create_dir(&folder).unwrap();
    for (name, bytes) in &files {
        fs::write(folder.join(name), bytes).unwrap();
    }
    for path in [&tar, &folder] {
        let (data, notices) = load(path).unwrap();
        assert_eq!(data.train.n() + data.valid.n() + data.test.n(), 9);
        let said = "3 pictures left out, expected .png, .jpg or .jpeg: 1 .gif, 2 .webp";
        assert!(notices[1].ends_with(said), "{notices:?}");
    }
    let (_place, tar) = with_archive(&archive(&nine()));
    let (_, notices) = load(&tar).unwrap();
    assert_eq!(notices.len(), 1, "{notices:?}");
}

#[test]
fn a_name_that_leads_out_of_the_archive_is_refused() {
    for name in ["../b.png", "x/../y/b.png", "../notes.txt"] {
        let mut files = nine();
        files.push((name, picture(9)));
        let (_place, tar) = with_archive(&archive(&files));
        let refused = load(&tar).unwrap_err();
        let expected = format!("a.tar: {name}: has \"..\" in its name");
        assert!(refused.contains(&expected), "{refused}");
    }
}

#[test]
fn of_members_of_one_name_the_last_one_counts() {
    let mut files = nine();
    files.push(("./0.png", picture(200)));
    let (_place, tar) = with_archive(&archive(&files));
    let (data, _) = load(&tar).unwrap();
    let firsts = data.train.bytes().unwrap().chunks_exact(4).map(|x| x[0]);
    assert_eq!(firsts.collect::<Vec<u8>>(), [200, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn compressed_archives_are_refused_whatever_their_name() {
    for start in [
        &b"\x1f\x8b\x08\x00"[..],
        b"\xfd7zXZ\x00",
        b"\x28\xb5\x2f\xfd\x00",
        b"BZh91AY&SY",
    ] {
        let (_place, tar) = with_archive(&[start, &[0; 2000]].concat());
        let refused = load(&tar).unwrap_err();
        assert!(refused.contains("a.tar: is compressed"), "{refused}");
    }
}

#[test]
fn folders_of_parts_may_begin_with_capitals() {
    let mut files: Vec<(&str, Vec<u8>)> = vec![("Test/0.png", picture(70))];
    let names: Vec<String> = NAMES.iter().map(|name| format!("Train/{name}")).collect();
    files.extend(names.iter().map(|name| (name.as_str(), picture(1))));
    let (_place, tar) = with_archive(&archive(&files));
    let (data, _) = load(&tar).unwrap();
    assert_eq!((data.classes.len(), data.test.n()), (0, 1));
    assert_eq!(data.test.bytes().unwrap()[0], 70);
}

#[test]
fn a_crop_that_is_mostly_black_is_refused_unless_it_is_made_smaller() {
    let (_place, tar) = with_archive(&archive(&nine()));
    let mut how = Preprocessing {
        crop: Some(Crop::Sides([2, 1001])),
        ..Preprocessing::default()
    };
    let refused = load_with(&tar, &how).unwrap_err();
    assert!(refused.contains("a.tar: 0.png: is 2x2"), "{refused}");
    assert!(refused.contains("need data.resize"), "{refused}");
    how.resize = Some([2, 2]);
    assert!(load_with(&tar, &how).is_ok());
    how = Preprocessing {
        crop: Some(Crop::Sides([2, 1000])),
        ..Preprocessing::default()
    };
    assert!(load_with(&tar, &how).is_ok());
}
