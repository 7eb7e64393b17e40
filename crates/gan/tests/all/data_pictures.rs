//! CIFAR-10's binary files and folders of pictures, written here byte by byte or by the image crate.

use std::fs;
use std::path::Path;

use ganforge_gan::config::Config;
use ganforge_gan::data::{Cache, Contrast, Dataset, FetchPolicy};
use ganforge_gan::trainer::Trainer;
use image::{DynamicImage, GrayImage, Rgb, RgbImage, RgbaImage};

const PIXELS: usize = 3072;

fn load(path: &Path) -> Result<(Dataset, Vec<String>), String> {
    let cache = Cache::at("no-cache");
    let loaded = cache.load(path.to_str().unwrap(), FetchPolicy::Offline, &mut |_| {});
    loaded.map_err(|e| e.to_string())
}

fn refusal(path: &Path) -> String {
    let message = load(path).unwrap_err();
    assert!(!message.contains('\n'), "{message}");
    message
}

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
    let unit = |i: usize| {
        pixels(i)
            .iter()
            .map(|&b| f32::from(b) / 255.0)
            .collect::<Vec<f32>>()
    };
    assert_eq!(data.train.to_f32(7..8).unwrap(), unit(7));
    assert_eq!(data.valid.to_f32(0..1).unwrap(), unit(8));
    assert_eq!(data.test.to_f32(2..3).unwrap(), unit(12));
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
            "data_batch_1.bin: 30729 bytes are no whole number",
        ),
        (
            "test_batch.bin",
            vec![0; 3074],
            "test_batch.bin: 3074 bytes are no whole number of CIFAR-10 records of 3073",
        ),
        (
            "data_batch_2.bin",
            vec![],
            "data_batch_2.bin: holds no images",
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
        message.contains("announces 30730000 bytes, but 18438 bytes are there"),
        "{message}"
    );
    assert!(
        message.contains("cifar-10-binary.tar.gz: not tried: offline"),
        "{message}"
    );
    assert_eq!(
        fs::read_dir(cached.path().join("cifar10")).unwrap().count(),
        0
    );
}

fn save(folder: &Path, name: &str, picture: impl Into<DynamicImage>) {
    picture.into().save(folder.join(name)).unwrap();
}

#[test]
fn pictures_are_read_in_the_order_of_their_names_channel_by_channel() {
    let folder = tempfile::tempdir().unwrap();
    for i in (0..9_u8).rev() {
        let picture = RgbImage::from_fn(2, 1, |x, _| Rgb([i, 100 + x as u8, 200]));
        save(folder.path(), &format!("{i}.png"), picture);
    }
    fs::write(folder.path().join("notes.txt"), "not a picture").unwrap();
    let (data, notices) = load(folder.path()).unwrap();
    assert_eq!((data.channels, data.height, data.width), (3, 1, 2));
    assert_eq!((data.train.n(), data.valid.n(), data.test.n()), (7, 1, 1));
    assert!(notices[0].contains("one set of 9 images"), "{notices:?}");
    let expected = [8.0, 8.0, 100.0, 101.0, 200.0, 200.0].map(|v: f32| v / 255.0);
    assert_eq!(data.test.to_f32(0..1).unwrap(), expected);

    let folder = tempfile::tempdir().unwrap();
    for i in 0..7_u8 {
        let name = format!("{i}.{}", ["jpg", "PNG", "jpeg"][usize::from(i) % 3]);
        save(
            folder.path(),
            &name,
            GrayImage::from_pixel(8, 16, image::Luma([30 * i])),
        );
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
    assert!(refusal(folder).contains("holds no images (.png, .jpg, .jpeg)"));
    for i in 0..3 {
        save(folder, &format!("{i}.png"), GrayImage::new(4, 5));
    }
    assert!(refusal(folder).contains("3 images cannot be split: expected at least 7"));
    for (name, picture, part) in [
        (
            "3.png",
            GrayImage::new(5, 4).into(),
            "3.png: is 4x5 grey, but ",
        ),
        (
            "2.png",
            RgbImage::new(4, 5).into(),
            "2.png: is 5x4 RGB, but ",
        ),
        (
            "1.png",
            DynamicImage::from(RgbaImage::new(4, 5)),
            "1.png: is Rgba8: expected grey or RGB",
        ),
    ] {
        save(folder, name, picture);
        let message = refusal(folder);
        assert!(message.contains(part), "expected `{part}` in `{message}`");
    }
    fs::write(folder.join("0.png"), "no picture").unwrap();
    assert!(refusal(folder).contains("0.png: is no picture that can be read"));
}

#[test]
fn a_generator_must_be_able_to_give_the_data() {
    let config = |options: &[&str]| Config::preset("tiny").and_then(|c| c.with(options));
    let images = |low: f32| {
        let values: Vec<f32> = (0..20 * 784).map(|i| low + (i % 7) as f32 / 7.0).collect();
        ganforge_gan::data::Images::from_values(784, values)
    };
    let linear = [
        "generator.layer.out.activation=linear",
        "generator.layer.out.bias=0",
    ];
    let sigmoid = config(&[]).unwrap();
    assert!(Trainer::new(&sigmoid, &images(0.0)).is_ok());
    let message = match Trainer::new(&sigmoid, &images(-0.5)) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("negative data for a sigmoid"),
    };
    assert!(
        message.contains(
            "training image 0 has the value -0.5 at place 0, which G's layer out cannot give"
        ),
        "{message}"
    );
    assert!(Trainer::new(&config(&linear).unwrap(), &images(-0.5)).is_ok());

    let gcn = "data.contrast=gcn";
    let message = config(&[gcn]).unwrap_err().to_string();
    assert!(
        message.contains("generator.layer.out.activation must be \"linear\""),
        "{message}"
    );
    let gcn = config(&[linear[0], linear[1], gcn]).unwrap();
    assert_eq!(gcn.data.contrast, Contrast::Gcn);
    assert!(Trainer::new(&gcn, &images(300.0)).is_ok());
    let message = config(&["data.contrast=gnc"]).unwrap_err().to_string();
    assert!(message.contains("did you mean \"gcn\"?"), "{message}");
}
