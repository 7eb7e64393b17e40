//! Folders and archives of pictures: classes, parts, what is refused.

use std::fs;

use super::*;

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
    let cases: [(&[&str], &str); 14] = [
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
            &["test/0.png", "test/1.png"],
            "p: has images in the folder test alone: expected a folder train beside it",
        ),
        (
            &["set/Val/a/0.png", "set/Val/b/0.png"],
            "p: has images in the folder Val alone: expected a folder train beside it",
        ),
        (
            &["test/0.png", "train/"],
            "p: has images in the folder test alone: expected a folder train beside it",
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
