//! The network with weights that a rule makes, against torch-fidelity's (`tests/fixtures/make_inception.py`).

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use ganforge_tensor::ops::Divisor;
use testkit::rule::{image, unit};

use super::forward::MEANS;
use super::net::{Step, units};
use super::*;
use crate::files::{ArrayData, read_npz, write_npz, write_safetensors};
use crate::metrics::sets::protocol::Protocol;

const SOME: usize = 64;

/// A tensor of the rule.
fn values(name: &str, shape: &[usize]) -> Vec<f32> {
    let len: usize = shape.iter().product();
    let fan_in = len / shape[0];
    let root = f64::from((6.0 / fan_in as f64).sqrt() as f32);
    let value = |v: f64| match name {
        _ if name.ends_with("conv.weight") || name == "fc.weight" => root * v,
        _ if name.ends_with("bn.weight") => 1.0 + v / 4.0,
        _ if name.ends_with("running_var") => 1.0 + v / 2.0,
        _ => v / 8.0,
    };
    (0..len)
        .map(|i| value(unit(name, i as u32)) as f32)
        .collect()
}

fn tensors() -> Vec<(String, Array)> {
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let data = ArrayData::F32(values(&name, &shape));
        (name, Array { shape, data })
    };
    Inception::tensors().into_iter().map(tensor).collect()
}

fn of(tensors: Vec<(String, Array)>) -> Result<Inception> {
    Inception::from_tensors("rule.pth".as_ref(), tensors)
}

/// The network of the rule, which all tests share: a hundred megabytes of weights.
fn network() -> MutexGuard<'static, Inception> {
    static NETWORK: LazyLock<Mutex<Inception>> =
        LazyLock::new(|| Mutex::new(of(tensors()).expect("it fits")));
    NETWORK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The image `name`, square, as torch-fidelity prepares it.
fn prepared(name: &str, side: usize) -> Vec<f32> {
    let bytes = image(name, side, side).into_iter().map(f32::from);
    let bytes: Vec<f32> = bytes.collect();
    let prepared = Protocol::TorchFidelity.prepare(&bytes, [side, side, 3]);
    prepared.expect("bytes")
}

/// What the script has written.
fn golden() -> HashMap<String, Vec<f64>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/inception.npz");
    let arrays = read_npz(&path).expect("the file of a script").into_iter();
    let arrays = arrays.map(|(name, array)| match array.data {
        ArrayData::F64(values) => (name, values),
        other => panic!("{name}: {}", other.dtype()),
    });
    arrays.collect()
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

/// The norm of the difference, relative to the second.
fn difference(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    norm(pairs.map(|(x, y)| f64::from(*x) - y)) / norm(expected.iter().copied())
}

/// As many values as the script has of a block's maps.
fn some(values: &[f32]) -> Vec<f32> {
    let at = |i: usize| values[i * (values.len() - 1) / (SOME - 1)];
    (0..SOME).map(at).collect()
}

#[test]
fn all_blocks_and_features_are_those_of_torch_fidelity() {
    let (golden, images) = (golden(), [("image.32", 32), ("image.299", 299)]);
    let inputs: Vec<f32> = images
        .iter()
        .flat_map(|(name, side)| prepared(name, *side))
        .collect();
    let mut network = network();
    network.set_rows(images.len()).expect("images");
    let blocks: Vec<&str> = network.net.iter().map(|block| block.name).collect();
    let features = MEANS.map(|(feature, _)| feature).into_iter();
    let names = blocks.iter().copied().chain(features);
    let names: Vec<&str> = names.chain(["logits_unbiased", "logits"]).collect();
    let found = network.look_at(&names, &inputs).expect("seen");
    for (i, (image, _)) in images.into_iter().enumerate() {
        let input: Vec<f64> = some(&inputs[i * IMAGE..][..IMAGE])
            .into_iter()
            .map(f64::from)
            .collect();
        assert_eq!(input, golden[&format!("{image} input")]);
        for (name, values) in names.iter().zip(&found) {
            let width = values.len() / images.len();
            let values = &values[i * width..][..width];
            let expected = &golden[&format!("{image} {name}")];
            let error = match blocks.contains(name) {
                false => difference(values, expected),
                true => {
                    let all = norm(values.iter().map(|x| f64::from(*x)));
                    let expected_norm = golden[&format!("{image} {name} norm")][0];
                    assert!(
                        (all / expected_norm - 1.0).abs() < 1e-5,
                        "{image} {name}: {all}"
                    );
                    difference(&some(values), expected)
                }
            };
            assert!(error < 1e-5, "{image} {name}: {error}");
        }
    }
}

#[test]
fn it_has_as_many_tensors_and_parameters_as_the_published_one() {
    let (net, tensors) = (net::net(), Inception::tensors());
    let count = |all: &[(String, Vec<usize>)]| -> usize {
        all.iter()
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum()
    };
    assert_eq!(
        [units(&net).len(), tensors.len(), count(&tensors)],
        [94, 472, 23_885_392]
    );
    let learnt = tensors.iter().filter(|(name, _)| !name.contains("running"));
    let learnt: Vec<_> = learnt.cloned().collect();
    assert_eq!(count(&learnt), 23_850_960);
    for (block, parameters) in [
        ("Mixed_5b", 255_904),
        ("Mixed_6d", 1_691_008),
        ("Mixed_7c", 6_076_800),
    ] {
        let of_block = learnt.iter().filter(|(name, _)| name.starts_with(block));
        assert_eq!(
            count(&of_block.cloned().collect::<Vec<_>>()),
            parameters,
            "{block}"
        );
    }
}

/// Features 2048 of image.32 by a network of these blocks, against those of the right one: the norm of the difference, relative.
fn change(net: &[Block], store: &mut Store) -> f64 {
    let forward = Forward::new(net, &Device::CPU, 1, &["2048"]);
    let found = forward
        .expect("recorded")
        .run(store, &prepared("image.32", 32));
    difference(&found.expect("seen")[0], &golden()["image.32 2048"])
}

#[test]
fn faults_of_others_move_the_features_as_far_as_they_do_in_torch_fidelity() {
    let expected = |fault: &str, found: f64| {
        let expected = golden()[&format!("image.32 {fault}")][0];
        assert!(
            (found / expected - 1.0).abs() < 1e-4,
            "{fault}: {found}, expected {expected}"
        );
    };
    let mut padded = net::net();
    for step in padded
        .iter_mut()
        .flat_map(|block| block.branches.iter_mut().flatten())
    {
        if let Step::Averaged(divisor, _) = step {
            *divisor = Divisor::Kernel;
        }
    }
    expected(
        "averages count the padding",
        change(&padded, &mut network().store),
    );
    let mut averaged = net::net();
    let last = averaged
        .last_mut()
        .and_then(|block| block.branches.last_mut());
    let last = last.expect("a branch");
    let Some(Step::Unit(unit)) = last.pop() else {
        panic!("the last branch ends in a unit");
    };
    *last = vec![Step::Averaged(Divisor::Inside, unit)];
    expected(
        "the last block averages",
        change(&averaged, &mut network().store),
    );
    let mut tensors = tensors();
    for (name, array) in &mut tensors {
        if let ArrayData::F32(values) = &mut array.data
            && name.ends_with("running_var")
        {
            values.iter_mut().for_each(|var| *var += 1e-5 - 1e-3);
        }
    }
    let mut other = of(tensors).expect("it fits");
    expected("epsilon of 1e-5", change(&net::net(), &mut other.store));
}

#[test]
fn an_image_has_the_same_bits_alone_and_among_others() {
    let mut network = network();
    let images = ["a", "b", "c"].map(|name| prepared(name, 40));
    network.set_rows(2).expect("images");
    let [features, logits] = network.look(&images.concat()).expect("seen");
    network.set_rows(1).expect("images");
    for (i, image) in images.iter().enumerate() {
        let [feature, logit] = network.look(image).expect("seen");
        assert_eq!(feature, features[i * 2048..][..2048], "{i}");
        assert_eq!(logit, logits[i * 1008..][..1008], "{i}");
    }
}

/// A file of `torch.save` of these tensors, of the form before PyTorch 1.6.
fn stream(tensors: &[(String, Array)]) -> Vec<u8> {
    fn text(p: &mut Vec<u8>, text: &str) {
        p.push(b'X');
        p.extend((text.len() as u32).to_le_bytes());
        p.extend(text.as_bytes());
    }
    fn sizes(p: &mut Vec<u8>, sizes: &[usize]) {
        p.push(b'(');
        for size in sizes {
            p.push(b'J');
            p.extend((*size as u32).to_le_bytes());
        }
        p.push(b't');
    }
    let mut p =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    p.extend(b"\x80\x02}(");
    text(&mut p, "little_endian");
    p.extend(b"\x88u.\x80\x02}(");
    for (i, (name, array)) in tensors.iter().enumerate() {
        text(&mut p, name);
        p.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut p, "storage");
        p.extend(b"ctorch\nFloatStorage\n");
        text(&mut p, &i.to_string());
        text(&mut p, "cpu");
        p.push(b'J');
        p.extend((array.data.len() as u32).to_le_bytes());
        p.extend(b"NtQK\x00");
        let strides = (1..=array.shape.len()).map(|d| array.shape[d..].iter().product());
        sizes(&mut p, &array.shape);
        sizes(&mut p, &strides.collect::<Vec<usize>>());
        p.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    p.extend(b"u.\x80\x02](");
    (0..tensors.len()).for_each(|i| text(&mut p, &i.to_string()));
    p.extend(b"e.");
    for (_, array) in tensors {
        p.extend((array.data.len() as u64).to_le_bytes());
        let ArrayData::F32(values) = &array.data else {
            panic!("float32");
        };
        p.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    }
    p
}

#[test]
fn files_of_all_formats_give_the_same_network() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let mut tensors = tensors();
    std::fs::write(path("a.pth"), stream(&tensors)).expect("written");
    let counter = Array {
        shape: vec![],
        data: ArrayData::I64(vec![7]),
    };
    tensors.push((
        "Mixed_7c.branch_pool.bn.num_batches_tracked".into(),
        counter,
    ));
    let arrays = || {
        tensors
            .iter()
            .map(|(name, array)| (name.as_str(), array.as_ref()))
    };
    write_safetensors(&path("a.safetensors"), Default::default(), arrays()).expect("written");
    let named = arrays().map(|(name, array)| (name.to_string(), array));
    write_npz(&path("a.npz"), named).expect("written");
    drop(tensors);
    for name in ["a.pth", "a.safetensors", "a.npz"] {
        let read = Inception::read(&path(name)).unwrap_or_else(|e| panic!("{e}"));
        assert!(read.store.iter().eq(network().store.iter()), "{name}");
        let sum = crate::data::hash::of_file(&path(name)).expect("read");
        assert_eq!(read.sha256(), Some(sum.as_str()));
        assert!(!read.is_published());
    }
    let error = Inception::read(&path("a.bin")).err().expect("refused");
    assert!(error.to_string().contains("a.bin"), "{error}");
}

#[test]
fn tensors_that_do_not_fit_are_named_with_the_file() {
    type Edit = fn(&mut Vec<(String, Array)>);
    fn at<'a>(tensors: &'a mut [(String, Array)], name: &str) -> &'a mut Array {
        let found = tensors.iter_mut().find(|(n, _)| n == name);
        &mut found.expect("a tensor").1
    }
    let cases: [(Edit, &str); 6] = [
        (
            |all| all.retain(|(name, _)| name != "Mixed_5b.branch1x1.conv.weight"),
            "expected the Inception network of FID: no tensor Mixed_5b.branch1x1.conv.weight [64, 192, 1, 1]",
        ),
        (
            |all| {
                at(all, "fc.bias").shape = vec![1, 1008];
                all.retain(|(name, _)| !name.starts_with("Mixed_7c"));
            },
            "expected the Inception network of FID: no tensor Mixed_7c.branch1x1.conv.weight [320, 2048, 1, 1], \
             and 45 more tensors that do not fit",
        ),
        (
            |all| at(all, "fc.weight").shape = vec![2048, 1008],
            "expected the Inception network of FID: fc.weight: shape [2048, 1008], expected [1008, 2048]",
        ),
        (
            |all| {
                let counter = at(all, "fc.bias").clone();
                all.push(("Mixed_9a.bn.num_batches_tracked".into(), counter));
            },
            "expected the Inception network of FID: unknown tensor Mixed_9a.bn.num_batches_tracked",
        ),
        (
            |all| {
                let ArrayData::F32(values) = &mut at(all, "Conv2d_1a_3x3.bn.running_var").data
                else {
                    panic!("float32");
                };
                values[3] = -0.5;
            },
            "Conv2d_1a_3x3.bn.running_var: element 3 is -0.5, and a variance is at least 0",
        ),
        (
            |all| {
                let ArrayData::F32(values) = &mut at(all, "Conv2d_1a_3x3.conv.weight").data else {
                    panic!("float32");
                };
                values[0] = f32::MAX;
                at(all, "Conv2d_1a_3x3.bn.weight").data = ArrayData::F32(vec![1e9; 32]);
            },
            "Conv2d_1a_3x3: element 0 of w is beyond float32 once batch norm is folded in",
        ),
    ];
    for (edit, expected) in cases {
        let zeros = |(name, shape): (String, Vec<usize>)| {
            let data = ArrayData::F32(vec![0.0; shape.iter().product()]);
            (name, Array { shape, data })
        };
        let mut tensors: Vec<_> = Inception::tensors().into_iter().map(zeros).collect();
        edit(&mut tensors);
        let error = of(tensors).err().expect("refused").to_string();
        assert_eq!(error, format!("rule.pth: {expected}"));
    }
}

#[test]
fn what_is_no_image_is_refused() {
    let mut network = network();
    let mut refused = |names: &[&str], images: &[f32]| {
        let error = network.look_at(names, images).expect_err("refused");
        error.to_string()
    };
    let error = refused(&LOOK, &[0.0; 100]);
    assert_eq!(
        error,
        "the Inception network: images [299, 299, 3] are rows of 268203 values, got 100 values"
    );
    let mut images = vec![0.0; 2 * IMAGE];
    images[IMAGE + 5] = f32::NAN;
    let error = refused(&LOOK, &images);
    assert_eq!(error, "the Inception network: image 1 has NaN at place 5");
    let error = refused(&["1024"], &images[..IMAGE]);
    assert!(
        error.starts_with("the Inception network has no \"1024\", but "),
        "{error}"
    );
    let none = network.look(&[]).expect("of no images");
    assert!(none.iter().all(Vec::is_empty));
    assert!(network.set_rows(0).is_err());
}
