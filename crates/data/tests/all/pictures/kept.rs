//! Decoded pictures in the cache and in memory, and subsets of them.

use std::fs;
use std::path::PathBuf;

use super::*;

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
