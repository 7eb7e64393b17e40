//! A generator: what it is made of; in a file, and back: what is the same, and what is refused.

use std::path::{Path, PathBuf};

use ganforge_gan::Config;
use ganforge_gan::data::ImageSize;
use ganforge_gan::files::{Array, ArrayData, ArrayRef, read_npz, write_npz};
use ganforge_gan::generator::{Format, Generator, Precision};
use ganforge_gan::init;
use ganforge_gan::sampler::Sampler;
use ganforge_tensor::Store;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView, serialize};

const SIZE: ImageSize = ImageSize {
    height: 28,
    width: 28,
    channels: 1,
};

fn untrained(options: &[&str]) -> (Config, Store) {
    let config = Config::preset("tiny").and_then(|c| c.with(options));
    let config = config.expect("valid");
    let store = init::store(&config, 784, &[0.2; 784]).expect("consistent");
    (config, store)
}

fn generator() -> (Config, Generator) {
    let (config, store) = untrained(&[]);
    let generator = Generator::of_run(&config, &store, SIZE, "{}").expect("complete");
    (config, generator)
}

/// A folder, and the names of files in it.
fn place() -> (tempfile::TempDir, impl Fn(&str) -> PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_path_buf();
    (folder, move |name: &str| path.join(name))
}

/// A name, a shape, values.
type Tensor = (String, Vec<usize>, Vec<f32>);

/// The parameters of a generator's file.
fn parameters(path: &Path) -> Vec<Tensor> {
    let arrays = read_npz(path).expect("an npz").into_iter();
    let parameters = arrays.filter(|(name, _)| name.starts_with("G."));
    let tensor = |(name, array): (String, Array)| match array.data {
        ArrayData::F32(values) => (name, array.shape, values),
        other => panic!("{name} is {}", other.dtype()),
    };
    parameters.map(tensor).collect()
}

/// The tensors and nothing else, as another program would write them: in both formats.
fn write_bare(tensors: &[Tensor], stem: &Path) -> [PathBuf; 2] {
    let paths = Format::ALL.map(|f| stem.with_extension(f.name()));
    let arrays = tensors.iter().map(|(name, shape, values)| {
        let array = ArrayRef::f32(shape, values);
        (name.clone(), array)
    });
    write_npz(&paths[0], arrays).expect("written");
    let views = tensors.iter().map(|(name, shape, values)| {
        let bytes = bytemuck::cast_slice(values);
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (name, view.expect("complete"))
    });
    let bytes = serialize(views, None).expect("written");
    std::fs::write(&paths[1], bytes).expect("written");
    paths
}

#[test]
fn images_of_another_size_are_refused() {
    let (config, store) = untrained(&[]);
    let size = ImageSize { width: 27, ..SIZE };
    let error = Generator::of_run(&config, &store, size, "{}").err();
    let text = "images of 28x27x1 from a generator of 784 values";
    assert_eq!(error.expect("refused").to_string(), text);
}

#[test]
fn an_unknown_name_is_answered_with_those_there_are() {
    for (name, text) in [
        (
            "minst",
            "minst: no such pretrained generator, did you mean mnist?",
        ),
        (
            "faces",
            "faces: no such pretrained generator, there is: mnist",
        ),
    ] {
        let error = Generator::pretrained(name).err().expect("unknown");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_file_gives_the_samples_of_the_run() {
    for option in ["train.average=0", "train.average=0.99"] {
        let (config, mut store) = untrained(&[option]);
        let mut sampler = Sampler::new(&config).expect("recorded");
        let expected = sampler.draw(&mut store, 3, 5).expect("drawn");
        let generator = Generator::of_run(&config, &store, SIZE, "{}").expect("complete");
        for format in Format::ALL {
            let (_folder, at) = place();
            let path = at(&format!("g.{}", format.name()));
            generator.write(&path, Precision::Single).expect("written");
            let mut read = Generator::read(&path).expect("read");
            assert_eq!(read.samples(3, 5).expect("drawn"), expected);
            assert_eq!((read.config(), read.about()), (&config, "{}"));
            let again = at(&format!("again.{}", format.name()));
            read.write(&again, Precision::Single).expect("written");
            let bytes = |path: &Path| std::fs::read(path).expect("read");
            assert_eq!(bytes(&again), bytes(&path), "equal content, equal bytes");
            generator.write(&path, Precision::Half).expect("written");
            let halves = Generator::read(&path).expect("read").samples(3, 5);
            let pairs = expected.iter().zip(halves.expect("drawn"));
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst > 0.0 && worst < 2e-3, "{worst}");
        }
    }
}

#[test]
fn what_float16_cannot_hold_is_refused() {
    let (config, mut store) = untrained(&[]);
    let shape = store.get("G.out.b").expect("there").shape;
    store
        .insert("G.out.b", shape, vec![1e6; 784])
        .expect("the same shape");
    let generator = Generator::of_run(&config, &store, SIZE, "{}").expect("complete");
    let (_folder, at) = place();
    for name in ["g.npz", "g.safetensors"] {
        let error = generator.write(&at(name), Precision::Half);
        assert_eq!(
            error.expect_err("too large").to_string(),
            "G.out.b: element 0 is 1000000, out of range of float16"
        );
        assert!(!at(name).exists());
    }
}

#[test]
fn parameters_alone_are_imported_with_a_configuration() {
    let (config, mut generator) = generator();
    let expected = generator.samples(3, 5).expect("drawn");
    let (_folder, at) = place();
    generator
        .write(&at("g.npz"), Precision::Single)
        .expect("written");
    let parameters = parameters(&at("g.npz"));
    let paths = write_bare(&parameters, &at("bare"));
    for path in paths {
        let mut imported = Generator::import(&path, &config).expect("imported");
        assert_eq!(imported.samples(3, 5).expect("drawn"), expected);
        assert_eq!(imported.image(), SIZE);
        let error = Generator::read(&path).err().expect("no configuration");
        assert!(error.to_string().contains("no entry format"), "{error}");
    }
    let error = Generator::import(&at("g.npz"), &config).err();
    let error = error.expect("it has one").to_string();
    assert!(error.contains("its own configuration"), "{error}");
}

/// Each fault is named, with the file and the entry, in both formats.
#[test]
fn a_parameter_missing_misnamed_misshapen_or_of_another_type_is_refused() {
    let (config, generator) = generator();
    let (_folder, at) = place();
    generator
        .write(&at("g.npz"), Precision::Single)
        .expect("written");
    let good = parameters(&at("g.npz"));
    let bias = good.iter().position(|p| p.0 == "G.out.b").expect("there");
    let spoilt = |change: &dyn Fn(&mut Vec<Tensor>)| {
        let mut parameters = good.clone();
        change(&mut parameters);
        parameters
    };
    let cases = [
        (spoilt(&|p| drop(p.remove(bias))), "no entry G.out.b"),
        (
            spoilt(&|p| p.push(("G.extra.b".into(), vec![1], vec![0.0]))),
            "unknown entry G.extra.b",
        ),
        (
            spoilt(&|p| p[bias].1 = vec![28, 28]),
            "G.out.b: shape [28, 28], expected [784]",
        ),
        (
            spoilt(&|p| p[bias].2[7] = f32::NAN),
            "G.out.b: element 7 is NaN",
        ),
    ];
    for (parameters, reason) in cases {
        for path in write_bare(&parameters, &at("bad")) {
            let error = Generator::import(&path, &config).err();
            let error = error.expect("spoilt").to_string();
            let start = format!("{}: {reason}", path.display());
            assert!(error.starts_with(&start), "{error}");
            let lists =
                error.contains("expected G.h0.w [10, 32], ") && error.contains("; the file has G.");
            assert_eq!(lists, reason.contains("entry"), "{error}");
        }
    }
}

#[test]
fn doubles_and_bfloats_are_imported() {
    let (config, generator) = generator();
    let (_folder, at) = place();
    generator
        .write(&at("g.npz"), Precision::Single)
        .expect("written");
    let good = parameters(&at("g.npz"));
    let expected = |rounded: fn(f32) -> f32| -> Vec<Vec<f32>> {
        good.iter()
            .map(|p| p.2.iter().map(|&x| rounded(x)).collect())
            .collect()
    };
    let imported = |path: &Path| {
        let imported = Generator::import(path, &config).expect("imported");
        imported
            .write(&at("back.npz"), Precision::Single)
            .expect("written");
        parameters(&at("back.npz"))
            .into_iter()
            .map(|p| p.2)
            .collect::<Vec<_>>()
    };
    let doubles: Vec<Vec<f64>> = good
        .iter()
        .map(|p| p.2.iter().map(|&x| f64::from(x)).collect())
        .collect();
    let arrays = good.iter().zip(&doubles);
    let arrays =
        arrays.map(|((name, shape, _), values)| (name.clone(), ArrayRef::f64(shape, values)));
    write_npz(&at("f64.npz"), arrays).expect("written");
    assert_eq!(imported(&at("f64.npz")), expected(|x| x));
    let write = |name: &str, dtype, bytes: &[Vec<u8>]| {
        let views = good.iter().zip(bytes).map(|((name, shape, _), bytes)| {
            (
                name,
                TensorView::new(dtype, shape.clone(), bytes).expect("complete"),
            )
        });
        std::fs::write(at(name), serialize(views, None).expect("written")).expect("written");
    };
    let bytes: Vec<Vec<u8>> = doubles
        .iter()
        .map(|v| bytemuck::cast_slice(v).to_vec())
        .collect();
    write("f64.safetensors", Dtype::F64, &bytes);
    assert_eq!(imported(&at("f64.safetensors")), expected(|x| x));
    let bits = |x: &f32| bf16::from_f32(*x).to_le_bytes();
    let bytes: Vec<Vec<u8>> = good
        .iter()
        .map(|p| p.2.iter().flat_map(bits).collect())
        .collect();
    write("bf16.safetensors", Dtype::BF16, &bytes);
    assert_eq!(
        imported(&at("bf16.safetensors")),
        expected(|x| bf16::from_f32(x).to_f32())
    );
    let huge = vec![1e300; 784];
    let arrays = good.iter().zip(&doubles).map(|((name, shape, _), values)| {
        let values = if name == "G.out.b" { &huge } else { values };
        (name.clone(), ArrayRef::f64(shape, values))
    });
    write_npz(&at("huge.npz"), arrays).expect("written");
    let error = Generator::import(&at("huge.npz"), &config)
        .err()
        .expect("too large")
        .to_string();
    assert!(
        error.ends_with("G.out.b: element 0 is 1e300, out of range of float32"),
        "{error}"
    );
    let ints: Vec<Vec<u64>> = good.iter().map(|p| vec![0; p.2.len()]).collect();
    let arrays = good.iter().zip(&ints);
    let arrays =
        arrays.map(|((name, shape, _), values)| (name.clone(), ArrayRef::u64(shape, values)));
    write_npz(&at("u64.npz"), arrays).expect("written");
    let error = Generator::import(&at("u64.npz"), &config)
        .err()
        .expect("whole")
        .to_string();
    assert!(
        error.contains("is uint64, expected float32, float16 or float64"),
        "{error}"
    );
}

#[test]
fn a_running_variance_below_0_is_refused() {
    let (config, mut store) = untrained(&["generator.layer.h0.norm=batch"]);
    assert!(Generator::of_run(&config, &store, SIZE, "{}").is_ok());
    let entry = store.get("G.h0.var").expect("a running variance").clone();
    let mut values = entry.data;
    values[2] = -0.5;
    let inserted = store.insert("G.h0.var", entry.shape, values);
    inserted.expect("of its shape");
    let error = Generator::of_run(&config, &store, SIZE, "{}").err();
    let error = error.expect("no variance").to_string();
    let expected = "G.h0.var: element 2 is -0.5, and a variance is at least 0";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn files_cut_anywhere_are_refused() {
    let (_, generator) = generator();
    let (_folder, at) = place();
    for format in Format::ALL {
        let path = at(&format!("g.{}", format.name()));
        generator.write(&path, Precision::Half).expect("written");
        let bytes = std::fs::read(&path).expect("read");
        let cuts = (0..40).chain((40..bytes.len()).step_by(bytes.len() / 60));
        for cut in cuts.chain([bytes.len() - 1]) {
            std::fs::write(&path, &bytes[..cut]).expect("written");
            let error = Generator::read(&path).err().expect("cut").to_string();
            assert!(error.contains(path.to_str().expect("text")), "{error}");
        }
        let longer = [&bytes[..], b"more"].concat();
        std::fs::write(&path, longer).expect("written");
        assert!(format == Format::Npz || Generator::read(&path).is_err());
        std::fs::write(&path, "no generator at all").expect("written");
        let error = Generator::read(&path).err().expect("text").to_string();
        assert!(error.contains("not a"), "{error}");
    }
    let error = Generator::read(&at("g.bin"))
        .err()
        .expect("a name")
        .to_string();
    assert!(error.contains(".npz or .safetensors"), "{error}");
}

#[test]
fn another_version_and_a_header_of_nonsense_are_refused() {
    let (_folder, at) = place();
    let w = [f16::ZERO; 2];
    let path = at("g.safetensors");
    let about = [
        (
            r#"{"format":2}"#,
            "is of format 2, written by a newer ganforge; this is ganforge",
        ),
        (
            r#"{"format":2,"about":"{\"version\":\"0.7.1\"}"}"#,
            "is of format 2, written by ganforge 0.7.1; this is ganforge",
        ),
        (r#"{"format":"one"}"#, "format: expected whole numbers"),
        (r#"{"format":[1,1]}"#, "format is not a number"),
        (r#"{"format":1}"#, "config is no text"),
        (r#"{"format":1,"config":"name"}"#, "entry config"),
        ("[1]", "expected a JSON object"),
        ("{", "expected a JSON object"),
    ];
    for (text, reason) in about {
        let view = TensorView::new(Dtype::F16, vec![2], bytemuck::cast_slice(&w));
        let metadata = [("ganforge".to_string(), text.to_string())];
        let bytes = serialize([("w", view.expect("whole"))], Some(metadata.into()));
        std::fs::write(&path, bytes.expect("written")).expect("written");
        let error = Generator::read(&path).err().expect("refused").to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}
