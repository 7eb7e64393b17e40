//! The published files of CIFAR-10, and contrast.

use std::fs;
use std::path::Path;

use ganforge_data::{Cache, Contrast, FetchPolicy};

use crate::pictures::{load, refusal};

const PIXELS: usize = 3072;

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
