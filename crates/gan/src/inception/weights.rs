//! The tensors of a state_dict, and what the graph stores of them: batch norm folded into filters and biases.

use ganforge_tensor::{Shape, Store};

use super::net::{Block, CLASSES, FEATURES, Unit, units};
use crate::error::Result;
use crate::files::shown;
use crate::state_file::StateFile;

/// Added to a variance before its root is taken.
const EPSILON: f64 = 1e-3;

/// The parts of a unit's batch norm, each with a number for each channel.
const NORM: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

const FC: [&str; 2] = ["fc.weight", "fc.bias"];

/// Names and shapes of all tensors of a state_dict.
pub(super) fn tensors(net: &[Block]) -> Vec<(String, Vec<usize>)> {
    let mut all = Vec::new();
    for (unit, c_in) in units(net) {
        let (name, filters) = (&unit.name, unit.filters(c_in));
        all.push((format!("{name}.conv.weight"), filters.to_vec()));
        all.extend(NORM.map(|part| (format!("{name}.bn.{part}"), vec![unit.channels])));
    }
    let [weight, bias] = FC.map(String::from);
    all.push((weight, vec![CLASSES, FEATURES]));
    all.push((bias, vec![CLASSES]));
    all
}

/// Refuses a file that lacks a tensor, has another one or one of another shape. The counters of batch norm may be there.
///
/// errors: the first fault and how many more there are
pub(super) fn check(net: &[Block], file: &mut StateFile) -> Result<()> {
    let (expected, found) = (tensors(net), file.tensors()?);
    let mut faults = Vec::new();
    for (name, shape) in &expected {
        match found.iter().find(|(n, _)| n == name) {
            None => faults.push(format!("no tensor {name} {shape:?}")),
            Some((_, s)) if s != shape => {
                faults.push(format!("{name}: shape {s:?}, expected {shape:?}"));
            }
            Some(_) => {}
        }
    }
    let is_counter = |name: &str| {
        let unit = name.strip_suffix(".bn.num_batches_tracked");
        unit.is_some_and(|unit| units(net).iter().any(|(u, _)| u.name == unit))
    };
    for (name, _) in &found {
        if !expected.iter().any(|(n, _)| n == name) && !is_counter(name) {
            faults.push(format!("unknown tensor {}", shown(name)));
        }
    }
    let more = match faults.len() {
        0 => return Ok(()),
        1 => String::new(),
        n => format!(", and {} more tensors that do not fit", n - 1),
    };
    let reason = format!("expected the Inception network of FID: {}{more}", faults[0]);
    Err(file.refuse(reason))
}

/// Reads the tensors of a file that [`check`] has let pass. Of each unit there are `w` [kh, kw, in, out] and `b` [out]; of the
/// last layer `fc.w` [features, classes] and `fc.b` [classes].
///
/// ```text
/// s = gamma / √(var + EPSILON),  w = s · filters,  b = beta - s · mean      in f64, rounded once
/// ```
///
/// errors: values that are not finite, or numbers of another kind; a negative variance; a w or b that is beyond f32
pub(super) fn read(net: &[Block], file: &mut StateFile) -> Result<Store> {
    let mut store = Store::new(0);
    for (unit, c_in) in units(net) {
        let (filters, biases) = folded(unit, c_in, file)?;
        let [kh, kw] = unit.kernel;
        for (part, values) in [("w", &filters), ("b", &biases)] {
            if let Some(at) = values.iter().position(|x| !x.is_finite()) {
                let (name, reason) = (&unit.name, "is beyond float32 once batch norm is folded in");
                return Err(file.refuse(format!("{name}: element {at} of {part} {reason}")));
            }
        }
        let shape = [kh, kw, c_in, unit.channels];
        store.insert(&format!("{}.w", unit.name), shape, filters)?;
        store.insert(&format!("{}.b", unit.name), [unit.channels], biases)?;
    }
    let weight = file.tensor(FC[0], Shape::new(&[CLASSES, FEATURES]))?;
    let transposed = (0..weight.len()).map(|i| weight[i % CLASSES * FEATURES + i / CLASSES]);
    store.insert("fc.w", [FEATURES, CLASSES], transposed.collect::<Vec<_>>())?;
    let bias = file.tensor(FC[1], Shape::new(&[CLASSES]))?;
    store.insert("fc.b", [CLASSES], bias)?;
    Ok(store)
}

/// A unit's w and b.
fn folded(unit: &Unit, c_in: usize, file: &mut StateFile) -> Result<(Vec<f32>, Vec<f32>)> {
    let mut norm = |part: usize| {
        let name = format!("{}.bn.{}", unit.name, NORM[part]);
        file.tensor(&name, Shape::new(&[unit.channels]))
    };
    let (gamma, beta, mean, var) = (norm(0)?, norm(1)?, norm(2)?, norm(3)?);
    if let Some(at) = var.iter().position(|v| *v < 0.0) {
        let (name, part, v) = (&unit.name, NORM[3], var[at]);
        return Err(file.refuse(format!(
            "{name}.bn.{part}: element {at} is {v}, and a variance is at least 0"
        )));
    }
    let scale = |o: usize| f64::from(gamma[o]) / (f64::from(var[o]) + EPSILON).sqrt();
    let scales: Vec<f64> = (0..unit.channels).map(scale).collect();
    let bias = |(o, s): (usize, &f64)| (f64::from(beta[o]) - s * f64::from(mean[o])) as f32;
    let biases = scales.iter().enumerate().map(bias).collect();
    let shape = unit.filters(c_in);
    let weight = file.tensor(&format!("{}.conv.weight", unit.name), Shape::new(&shape))?;
    let (channels, cells) = (unit.channels, unit.kernel[0] * unit.kernel[1]);
    let mut filters = vec![0.0; weight.len()];
    for (of_out, (o, s)) in weight
        .chunks_exact(c_in * cells)
        .zip(scales.iter().enumerate())
    {
        for (i, w) in of_out.iter().enumerate() {
            let (channel, cell) = (i / cells, i % cells);
            filters[(cell * c_in + channel) * channels + o] = (f64::from(*w) * s) as f32;
        }
    }
    Ok((filters, biases))
}
