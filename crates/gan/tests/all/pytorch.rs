//! state_dicts of PyTorch become generators that compute the same. The files are made by fixtures/make_state_dict.py.

use std::path::{Path, PathBuf};

use ganforge_gan::Config;
use ganforge_gan::files::{ArrayData, ArrayRef, read_npz, write_npz};
use ganforge_gan::generator::{Generator, Precision};
use safetensors::tensor::{Dtype, TensorView, serialize};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// 3 to 4 to 2, as the model.
fn config() -> Config {
    let settings = [
        "data.set=./any.npy",
        "noise.dim=3",
        "generator.layer.h0.units=4",
        "generator.layer.out.units=2",
        "generator.layer.out.bias=0",
    ];
    Config::preset("tiny")
        .and_then(|c| c.with(&settings))
        .expect("valid")
}

/// An array of an npz as f32.
fn floats(npz: &str, name: &str) -> Vec<f32> {
    let arrays = read_npz(&fixture(npz)).expect("read");
    let array = arrays
        .into_iter()
        .find(|(n, _)| n == name)
        .expect("there")
        .1;
    match array.data {
        ArrayData::F32(values) => values,
        other => panic!("{name} is {}", other.dtype()),
    }
}

/// The generator in `path`, which must make of the noise in `npz` what PyTorch made of it.
fn assert_computes(path: &Path, npz: &str) -> Vec<String> {
    let imported = Generator::import_from_pytorch(path, &config());
    let (mut generator, said) = imported.unwrap_or_else(|e| panic!("{e}"));
    let (found, expected) = (
        generator.decode(&floats(npz, "z")).expect("decoded"),
        floats(npz, "x"),
    );
    for (a, b) in found.iter().zip(&expected) {
        assert!((a - b).abs() < 1e-6, "{found:?}, expected {expected:?}");
    }
    assert_eq!(found.len(), 10);
    said
}

#[test]
fn a_file_of_torch_save_computes_what_pytorch_computes() {
    let said = assert_computes(&fixture("model.pt"), "model.npz");
    let expected = [
        "G.h0.w = 0.weight transposed",
        "G.h0.b = 0.bias",
        "G.out.w = 2.weight transposed",
        "G.out.b = 2.bias",
    ];
    assert_eq!(said, expected);
}

#[test]
fn doubles_halves_views_and_parameters_are_read() {
    assert_computes(&fixture("mixed.pt"), "mixed.npz");
}

/// The generator's own tensors [in, out], as a state_dict [out, in] under these names.
fn state_dict(names: [&str; 4]) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("g.npz");
    let (generator, _) =
        Generator::import_from_pytorch(&fixture("model.pt"), &config()).expect("read");
    generator.write(&path, Precision::Single).expect("written");
    let arrays = read_npz(&path).expect("read").into_iter();
    let arrays = arrays.filter(|(name, _)| name.starts_with("G."));
    let tensor = |((_, array), name): ((String, ganforge_gan::files::Array), &str)| {
        let ArrayData::F32(values) = array.data else {
            panic!("not float32")
        };
        match array.shape[..] {
            [inputs, outputs] => {
                let at = |i: usize| values[i % inputs * outputs + i / inputs];
                (
                    name.to_string(),
                    vec![outputs, inputs],
                    (0..values.len()).map(at).collect(),
                )
            }
            _ => (name.to_string(), array.shape, values),
        }
    };
    arrays.zip(names).map(tensor).collect()
}

#[test]
fn state_dicts_in_the_other_formats_are_read_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let tensors = state_dict(["net.0.weight", "net.0.bias", "net.10.weight", "net.10.bias"]);
    let npz = folder.path().join("s.npz");
    let arrays = tensors
        .iter()
        .map(|(name, shape, values)| (name.clone(), ArrayRef::f32(shape, values)));
    write_npz(&npz, arrays).expect("written");
    assert_computes(&npz, "model.npz");
    let safetensors = folder.path().join("s.safetensors");
    let views = tensors.iter().map(|(name, shape, values)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values));
        (name, view.expect("complete"))
    });
    std::fs::write(&safetensors, serialize(views, None).expect("written")).expect("written");
    assert_computes(&safetensors, "model.npz");
    // Without the option the message says what is there, what was expected and how to read it.
    let error = Generator::import(&safetensors, &config())
        .err()
        .expect("other names")
        .to_string();
    for part in [
        "expected G.h0.w [3, 4], G.h0.b [4], G.out.w [4, 2], G.out.b [2]",
        "the file has net.0.bias [4], net.0.weight [4, 3], net.10.bias [2], net.10.weight [2, 4]",
        "--from pytorch",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_state_dict_of_another_net_is_refused_with_both() {
    let config = config()
        .with(&["generator.layer.h0.units=5"])
        .expect("valid");
    let error = Generator::import_from_pytorch(&fixture("model.pt"), &config).err();
    let error = error.expect("another size").to_string();
    for part in [
        "model.pt: there is no weight [5, 3] for h0",
        "expected h0.weight [5, 3], h0.bias [5], out.weight [2, 5], ",
        "the file has 0.weight [4, 3], 0.bias [4], 2.weight [2, 4], 2.bias [2]",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn cut_files_of_torch_save_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.pt");
    let bytes = std::fs::read(fixture("model.pt")).expect("read");
    for cut in (0..bytes.len()).step_by(37) {
        std::fs::write(&path, &bytes[..cut]).expect("written");
        let error = Generator::import_from_pytorch(&path, &config()).err();
        let error = error.expect("cut").to_string();
        assert!(error.starts_with(path.to_str().expect("text")), "{error}");
    }
    std::fs::write(&path, b"\x80\x02}q\x00.").expect("written");
    let error = Generator::import_from_pytorch(&path, &config()).err();
    let error = error.expect("no file of torch.save").to_string();
    assert!(
        error.contains("is a pickle, but not a file of torch.save"),
        "{error}"
    );
}
