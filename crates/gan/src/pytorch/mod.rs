//! Networks to and from PyTorch: state_dicts of modules that compute the same.
//!
//! Images are `[n, h, w, c]` here and `[n, c, h, w]` there, so the axes of what is stored are in another order:
//!
//! | here | PyTorch |
//! |---|---|
//! | `w` of a linear layer `[in, out]` | `Linear.weight` `[out, in]` |
//! | `w` of a convolution `[kh, kw, in, out]` | `Conv2d.weight` `[out, in, kh, kw]` |
//! | `w` of a transposed one `[kh, kw, out, in]` | `ConvTranspose2d.weight` `[in, out, kh, kw]` |
//! | `gamma`, `beta`, `mean`, `var` | `weight`, `bias`, `running_mean`, `running_var` of `BatchNorm`; the first two of `GroupNorm(1, c)` for layer norm, of `InstanceNorm2d` |
//! | `slope` | `PReLU.weight` |
//! | `u` of spectral norm | `_v` of `spectral_norm`, of a transposed convolution with `dim = 0` |
//! | `g` of weight norm | `original0` of `weight_norm`, of a transposed convolution with `dim = 1` |
//!
//! Where an image is flattened before a linear layer, or made of its outputs, the rows or columns are in the order of
//! `[h, w, c]` here and of `[c, h, w]` there, and so is what normalises such vectors.

mod assign;
mod layout;
mod modules;

use std::path::Path;

use ganforge_tensor::{Shape, Store};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::files::{ArrayRef, listed, shown, write_npz, write_safetensors};
use crate::generator::{Format, file};
use crate::state_file::StateFile;
use modules::{Module, Part, Stored};

/// Writes the network `net` of `config`, "G", "D" or "C", with the tensors in `store` to `path` as a state_dict, .npz or
/// .safetensors: module `h0` for layer h0, `h0_norm` for what normalises its pre-activations, `b0.conv1` within a block.
/// Returns what became of each tensor.
///
/// Spectral norm's two vectors are those that samples and scores are computed with.
///
/// # Errors
/// A layer that PyTorch's modules do not have; a store without the network; a name of another ending; what the system
/// refuses.
pub fn export(path: &Path, config: &Config, store: &Store, net: &str) -> Result<Vec<String>> {
    let format = Format::of(path)?;
    let modules = modules::modules(config, net).map_err(Error::Mismatch)?;
    let (mut arrays, mut said) = (Vec::new(), Vec::new());
    for module in &modules {
        for stored in &module.tensors {
            let name = &stored.spec.name;
            let entry = store.get(name).ok_or_else(|| {
                Error::Mismatch(format!("the state lacks {name}, a tensor of {net}"))
            })?;
            let mut values = entry.data.to_vec();
            if stored.part == Part::V {
                let weight = module.tensors.first().map(|t| &t.spec.name);
                let weight = weight.and_then(|name| store.get(name));
                let (u, v) = iterated(weight.map_or(&[], |w| &w.data), &values);
                values = u;
                let key = module.key(stored).replace("._v", "._u");
                arrays.push((key, vec![v.len()], v));
            }
            let key = module.key(stored);
            said.push(format!("{key} = {name}"));
            let values = stored.layout.exported(&values)?;
            arrays.push((key, stored.layout.shape.clone(), values));
        }
    }
    let tensors = arrays
        .iter()
        .map(|(key, shape, values)| (key.as_str(), ArrayRef::f32(shape, values)));
    match format {
        Format::Npz => write_npz(path, tensors.map(|(key, array)| (key.to_string(), array)))?,
        Format::Safetensors => write_safetensors(path, Default::default(), tensors)?,
    }
    Ok(said)
}

/// A power iteration on weights, a matrix with as many rows as `u` has values, in f64: the new u, and v.
fn iterated(w: &[f32], u: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let columns = w.len() / u.len().max(1);
    let unit = |x: Vec<f64>| -> Vec<f64> {
        let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt() + 1e-12;
        x.iter().map(|x| x / norm).collect()
    };
    let mut v = vec![0.0; columns];
    for (row, &u) in w.chunks_exact(columns.max(1)).zip(u) {
        for (v, &w) in v.iter_mut().zip(row) {
            *v += f64::from(w) * f64::from(u);
        }
    }
    let v = unit(v);
    let dot = |row: &[f32]| row.iter().zip(&v).map(|(&w, v)| f64::from(w) * v).sum();
    let u = unit(w.chunks_exact(columns.max(1)).map(dot).collect());
    let f32s = |x: &[f64]| x.iter().map(|&x| x as f32).collect();
    (f32s(&u), f32s(&v))
}

/// Reads the network `net` of `config`, "G", "D" or "C", from a state_dict: a file of `torch.save`, or one of its tensors as
/// .npz or .safetensors. The second value says what became of each tensor.
///
/// A layer takes the tensors of a module of its name, or else those whose weight has a shape that no other layer's has;
/// where that leaves layers, no name says one and the names differ in one number alone, all go by that number. The order in
/// the file means nothing. A module without biases gives zeros.
///
/// # Errors
/// A damaged file; one with a configuration of its own; a layer without a module of its shapes, a tensor without a layer,
/// layers whose tensors nothing decides; a value that is not finite.
pub fn import(path: &Path, config: &Config, net: &str) -> Result<(Store, Vec<String>)> {
    let mut source = match file::is_torch(path) {
        true => StateFile::torch(path)?,
        false => file::open(path)?,
    };
    if source.has_format() {
        return Err(source.refuse("was written by ganforge: import it without --from pytorch"));
    }
    let modules = modules::modules(config, net).map_err(|reason| source.refuse(reason))?;
    let found = assign::found(&source.tensors()?);
    let matches = assign::assigned(&found, &modules).map_err(|reason| {
        let expected = modules
            .iter()
            .flat_map(|m| m.tensors.iter().map(|t| m.expected(t)));
        let expected: Vec<String> = expected.collect();
        let expected = listed(expected.iter().map(String::as_str));
        match source.listed() {
            Ok(found) => source.refuse(format!(
                "{reason}; expected {expected}; the file has {found}"
            )),
            Err(error) => error,
        }
    })?;
    let mut store = Store::new(config.seed);
    let mut said = Vec::new();
    for (stored, from) in matches {
        let (spec, layout) = (&stored.spec, &stored.layout);
        let values = match &from {
            None => vec![0.0; spec.shape.elements()],
            Some(from) => {
                let values = source.tensor(&from.name, Shape::new(&layout.shape))?;
                layout.imported(&values)?
            }
        };
        store.insert(&spec.name, spec.shape, values)?;
        said.push(match from {
            None => format!("{} = 0", spec.name),
            Some(from) => format!("{} = {}{}", spec.name, shown(&from.name), layout.said()),
        });
    }
    Ok((store, said))
}

impl Module {
    /// The name of a tensor in a state_dict.
    fn key(&self, stored: &Stored) -> String {
        let has = |part: Part| self.tensors.iter().any(|t| t.part == part);
        let part = match stored.part {
            Part::Weight if has(Part::V) => "parametrizations.weight.original",
            Part::Weight if has(Part::Gain) => "parametrizations.weight.original1",
            Part::Gain => "parametrizations.weight.original0",
            Part::V => "parametrizations.weight.0._v",
            part => part.name(),
        };
        format!("{}.{part}", self.name)
    }

    fn expected(&self, stored: &Stored) -> String {
        format!("{} {:?}", self.key(stored), stored.layout.shape)
    }
}
