//! The data of a run as its configuration has them.

use std::path::Path;

use ganforge_gan::config::Config;
use ganforge_gan::data::{Contrast, Dataset, FetchPolicy, Images};
use ganforge_gan::files::{ArrayRef, write_npy, write_npz};
use ganforge_gan::trainer::Trainer;

#[test]
fn each_part_of_a_data_set_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    let set = format!("data.set={:?}", path.to_str().unwrap());
    let config = Config::preset("tiny").and_then(|c| c.with(&[set.as_str()]));
    let config = config.unwrap();
    let (units, far) = ([0.5; 784], [127.5; 784]);
    let (whites, ones) = ([255; 784], [1; 784]);
    let floats = |values| ArrayRef::f32(&[1, 784], values);
    let bytes = |values| ArrayRef::u8(&[1, 784], values);
    let of = |parts: [ArrayRef<'_>; 3]| {
        let names = ["train", "valid", "test"].map(String::from);
        write_npz(&path, names.into_iter().zip(parts)).unwrap();
        config
            .load_data(FetchPolicy::Offline, &mut |_| {})
            .map(|(_, notices)| notices)
            .map_err(|e| e.to_string())
    };
    let message = of([floats(&units), floats(&units), floats(&far)]).unwrap_err();
    assert!(
        message
            .contains("a.npz: test: image 0 has the value 127.5 at place 0, which G's layer out"),
        "{message}"
    );
    let message = of([floats(&units), floats(&far), floats(&units)]).unwrap_err();
    assert!(message.contains("a.npz: valid: image 0"), "{message}");
    let message = of([bytes(&whites), floats(&units), bytes(&ones)]).unwrap_err();
    assert!(
        message.contains("a.npz:valid: holds floats, which are taken as they are, but train uint8"),
        "{message}"
    );
    let said = of([bytes(&whites), bytes(&whites), bytes(&ones)]).unwrap();
    assert!(
        said.len() == 1 && said[0].contains("a.npz: test: all bytes are 0 or 1"),
        "{said:?}"
    );
    let said = of([bytes(&ones), bytes(&ones), bytes(&ones)]).unwrap();
    assert!(
        said.len() == 1 && said[0].contains("a.npz: all bytes are 0 or 1"),
        "{said:?}"
    );
}

/// The data of preset tiny in `folder` with these settings.
fn of(folder: &Path, settings: &[&str]) -> Result<(Dataset, Vec<String>), String> {
    let set = format!("data.set={:?}", folder.to_str().unwrap());
    let settings = [&[set.as_str()], settings].concat();
    let config = Config::preset("tiny").and_then(|c| c.with(&settings));
    let config = config.map_err(|e| e.to_string())?;
    config
        .load_data(FetchPolicy::Offline, &mut |_| {})
        .map_err(|e| e.to_string())
}

#[test]
fn a_size_that_nothing_can_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for bad in ["0", "1001", "[4]", "[4, 0]", "[1, 2, 3]", "box", "4.5"] {
        let refused = of(folder.path(), &[&format!("data.resize={bad}")]).unwrap_err();
        assert!(
            refused.contains("data.resize must be a whole number from 1 to 1000"),
            "{refused}"
        );
    }
    let tiny = Config::preset("tiny").unwrap();
    let refused = tiny.with(&["data.resize=8"]).unwrap_err().to_string();
    assert!(
        refused.contains("only with a folder or an archive of pictures"),
        "{refused}"
    );
    let array = folder.path().join("a.npy");
    let values = ArrayRef::u8(&[7, 4], &[7; 28]);
    write_npy(&array, values).unwrap();
    let refused = of(&array, &["data.resize=8"]).unwrap_err();
    assert!(
        refused.contains(
            "a.npy: data.resize is for pictures in a folder or in a .tar or .zip archive"
        ),
        "{refused}"
    );
    for bad in [
        "0",
        "centre",
        "[4]",
        "[4, 0]",
        "[1, 2, 3]",
        "[1, 2, 3, -1]",
        "4.5",
    ] {
        let refused = of(folder.path(), &[&format!("data.crop={bad}")]).unwrap_err();
        assert!(
            refused.contains("data.crop must be \"center\", a whole"),
            "{refused}"
        );
    }
    let refused = of(folder.path(), &["data.channels=2"]).unwrap_err();
    assert!(
        refused.contains("data.channels must be 1, grey, or 3, RGB, got 2"),
        "{refused}"
    );
}

#[test]
fn what_is_done_to_pictures_is_written_and_says_their_size() {
    let tiny = Config::preset("tiny").unwrap();
    let with = |settings: &[&str]| {
        let config = tiny.with(&[&["data.set=a/"], settings].concat()).unwrap();
        let again = Config::from_toml(&config.to_toml(), "again").unwrap();
        assert_eq!(again, config);
        (config.data.image().map(|i| i.to_string()), config.to_toml())
    };
    let (size, text) = with(&["data.resize=[14, 56]", "data.crop=center"]);
    assert_eq!(size, None);
    assert!(
        text.contains("crop = \"center\"\nresize = [14, 56]"),
        "{text}"
    );
    let (size, _) = with(&["data.resize=[14, 56]", "data.channels=1"]);
    assert_eq!(size.as_deref(), Some("14x56x1"));
    let (size, text) = with(&["data.crop=[28, 28, 10, 0]", "data.channels=1"]);
    assert_eq!(size.as_deref(), Some("28x28x1"));
    assert!(
        text.contains("crop = [28, 28, 10, 0]\nchannels = 1"),
        "{text}"
    );
    let bilinear = ["data.resize=28", "data.filter=bilinear"];
    let (_, text) = with(&[&bilinear[..], &["data.valid=2", "data.test=30"]].concat());
    let expected = "resize = [28, 28]\nfilter = \"bilinear\"\nvalid = 2\ntest = 30\n";
    assert!(text.contains(expected), "{text}");
    let refused = tiny.with(&["data.set=a/", "data.filter=bilinear"]);
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("data.filter is not used here, only with data.resize"),
        "{refused}"
    );
    let refused = tiny.with(&["data.test=3"]).unwrap_err().to_string();
    assert!(
        refused.contains("data.test is not used here, only with a file, a folder or an archive"),
        "{refused}"
    );
    let (size, text) = with(&["data.crop=28"]);
    assert_eq!(size, None);
    assert!(text.contains("crop = [28, 28]"), "{text}");
    let refused = tiny.with(&["data.set=a/", "data.resize=64", "data.channels=3"]);
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("must be 12288, the values of an example"),
        "{refused}"
    );
}

#[test]
fn a_generator_must_be_able_to_give_the_data() {
    let config = |options: &[&str]| Config::preset("tiny").and_then(|c| c.with(options));
    let images = |low: f32| {
        let values: Vec<f32> = (0..20 * 784).map(|i| low + (i % 7) as f32 / 7.0).collect();
        Images::from_values(784, values)
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
            "train: image 0 has the value -0.5 at place 0, which G's layer out cannot give"
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
