//! What networks see of reference images: looked at once, kept for other runs, and never mistaken for that of others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ganforge_gan::config::{Config, DataSet};
use ganforge_gan::data::{Cache, Dataset, ImageSize, bundled_sample};
use ganforge_gan::extractors::Loaded;
use ganforge_gan::files::{ArrayData, ArrayRef, NpzReader, write_npz};
use ganforge_gan::metrics::sets::protocol::Protocol;
use ganforge_gan::metrics::{Extraction, Extractors, MetricKind, Reference, Seen, Task, fid::Fid};
use ganforge_gan::train;
use ganforge_tensor::Device;

const ROWS: [usize; 5] = [0, 3, 4, 8, 9];

fn digits() -> Dataset {
    bundled_sample().expect("bundled")
}

fn keeping(folder: &Path) -> Loaded {
    Loaded::at(&Device::CPU).kept_in(&Cache::at(folder))
}

/// What `mnistnet` sees of five test images.
fn seen(loaded: &Loaded, extraction: &Extraction, data: &Dataset) -> Arc<Seen> {
    let reference = Reference {
        data,
        images: &data.test,
        rows: &ROWS,
    };
    let found = loaded.reference(extraction, &reference);
    found.expect("features")
}

fn kept(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("features")).expect("a folder");
    entries.map(|e| e.expect("an entry").path()).collect()
}

#[test]
fn reference_images_are_looked_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, asked) = (digits(), Extraction::default());
    let loaded = keeping(folder.path());
    let first = seen(&loaded, &asked, &data);
    let mut pixels = vec![0.0; 5 * 784];
    data.test.rows_f32_into(&ROWS, &mut pixels).expect("rows");
    let looked = loaded.look(&asked, data.image(), &pixels).expect("seen");
    assert_eq!(*first, looked);
    assert!(Arc::ptr_eq(&first, &seen(&loaded, &asked, &data)));
    // Another run reads what is in the file.
    let [path] = &kept(folder.path())[..] else {
        panic!("one file");
    };
    let mut npz = NpzReader::open(path).expect("an npz");
    let [key, features, logits] =
        ["key", "features", "logits"].map(|n| npz.read(n).expect("there"));
    let ArrayData::F32(mut values) = features.data else {
        panic!("f32");
    };
    values[7] += 1.0;
    let entries = [
        ("key".to_owned(), key.as_ref()),
        ("features".to_owned(), ArrayRef::f32(&[5, 128], &values)),
        ("logits".to_owned(), logits.as_ref()),
    ];
    write_npz(path, entries).expect("written");
    let read = seen(&keeping(folder.path()), &asked, &data);
    assert_eq!(read.features, values);
    assert_eq!(read.logits, first.logits);
}

#[test]
fn a_file_of_others_or_a_damaged_one_is_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, asked) = (digits(), Extraction::default());
    let first = seen(&keeping(folder.path()), &asked, &data);
    let path = kept(folder.path()).remove(0);
    let whole = std::fs::read(&path).expect("there");
    // Other images, another part, other rules: files of their own.
    let by_bytes = Extraction {
        protocol: Some(Protocol::TorchFidelity),
        ..asked.clone()
    };
    let other = Dataset {
        test: data.valid.clone(),
        ..data.clone()
    };
    assert_ne!(*seen(&keeping(folder.path()), &asked, &other), *first);
    seen(&keeping(folder.path()), &by_bytes, &data);
    assert_eq!(kept(folder.path()).len(), 3);
    let foreign = kept(folder.path()).into_iter().find(|p| *p != path);
    let foreign = std::fs::read(foreign.expect("another")).expect("there");
    for (bytes, reason) in [
        (&foreign[..], "is of other images or of another network"),
        (&whole[..whole.len() / 2], ""),
        (b"notes", ""),
    ] {
        std::fs::write(&path, bytes).expect("written");
        let loaded = keeping(folder.path());
        assert_eq!(seen(&loaded, &asked, &data), first);
        let [note] = &loaded.notes()[..] else {
            panic!("one note");
        };
        let name = path.display().to_string();
        assert!(note.starts_with(&name) && note.contains(reason), "{note}");
        assert!(note.ends_with("made anew"), "{note}");
        assert_eq!(std::fs::read(&path).expect("there"), whole);
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_said_and_stops_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("file");
    std::fs::write(&place, "notes").expect("written");
    let loaded = keeping(&place);
    seen(&loaded, &Extraction::default(), &digits());
    let notes = loaded.notes();
    assert!(
        notes.len() == 1 && notes[0].starts_with("features of reference images are not kept: "),
        "{notes:?}"
    );
}

#[test]
fn what_must_be_said_of_images_is_said_once() {
    let size = ImageSize {
        height: 32,
        width: 32,
        channels: 1,
    };
    let values: Vec<f32> = (0..50 * 1024).map(|i| (i % 97) as f32 / 96.0).collect();
    let grey = Dataset::of_values("grey", size, &values).expect("images");
    let fid = |protocol| {
        MetricKind::Fid(Fid {
            looks: Extraction {
                extractor: "cifarnet".into(),
                protocol,
                ..Extraction::default()
            },
        })
    };
    let (set, kinds) = (
        DataSet::File("grey".into()),
        [fid(None), fid(Some(Protocol::CompareGan))],
    );
    let task = Task::new(&kinds, &set, 10);
    let loaded = Loaded::at(&Device::CPU);
    loaded.prepare(&task, &grey).expect("it takes them");
    let notes = loaded.notes();
    let expected = [
        "images are grey, and cifarnet takes colour: each is repeated in three channels",
        "FID-cifarnet: 5 rows of 128 features have a singular covariance (more than 128 rows would not)",
        "FID-cifarnet by compare-gan: 5 rows of 128 features",
    ];
    assert_eq!(notes.len(), expected.len(), "{notes:?}");
    for (note, start) in notes.iter().zip(expected) {
        assert!(note.starts_with(start), "{note}");
    }
    loaded.prepare(&task, &grey).expect("again");
    assert!(loaded.notes().is_empty());
    let [network] = &loaded.networks()[..] else {
        panic!("one network");
    };
    assert_eq!(
        (&*network.extractor, network.sha256.len()),
        ("cifarnet", 64)
    );
}

#[test]
fn samples_of_other_classes_than_the_data_have_are_not_judged() {
    let layers = "generator.layer+={name=\"c\", kind=\"append_class\", classes=7, before=\"h0\"}";
    let options = ["data.set=digits.npz", layers, "eval.metrics=[\"accuracy\"]"];
    let config = Config::preset("tiny").and_then(|c| c.with(&options));
    let config = config.expect("valid");
    let labels = |n: usize| (0..n).map(|i| (i % 10) as u8).collect::<Vec<u8>>();
    let mut data = digits();
    data.classes = (0..10).map(|c| c.to_string()).collect();
    data.test = data.test.clone().with_labels(labels(data.test.n()));
    let error = train::check(&data, &config, &Device::CPU).err();
    let error = error.expect("refused").to_string();
    assert!(
        error.contains("accuracy: the generator makes samples of 7 classes, and mnist has 10"),
        "{error}"
    );
    data.classes.truncate(7);
    let error = train::check(&data, &config, &Device::CPU).err();
    let error = error.expect("the judge tells ten apart").to_string();
    assert!(
        error.ends_with("data of the 10 classes that its judge tells apart, and these have 7"),
        "{error}"
    );
}
