//! The network with weights that a rule makes, against torch-fidelity's (`tests/fixtures/make_inception.py`).

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use testkit::rule::{image, unit};

use super::forward::MEANS;
use super::net::units;
use super::*;
use crate::files::{ArrayData, read_npz};
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
