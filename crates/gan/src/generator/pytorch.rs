//! Parameters as PyTorch has them: whose they are, by name, shape and order; weights the other way round.

use std::path::Path;

use ganforge_tensor::{Shape, Store};

use super::{Generator, file};
use crate::config::Config;
use crate::error::Result;
use crate::files::{listed, shown, strided};
use crate::model::{ParamSpec, parameters};
use crate::state_file::StateFile;

/// A tensor's name and shape.
type Tensor = (String, Vec<usize>);

/// What becomes of a layer: its specifications, the name of its Linear's weights, and that of its biases if it has any.
struct Match<'a> {
    weight: &'a ParamSpec,
    bias: &'a ParamSpec,
    from: String,
    from_bias: Option<String>,
}

impl Generator {
    /// Reads the state_dict of a PyTorch module with the Linear layers of the generator of `config`: a file of
    /// `torch.save`, or one of its tensors as .npz or .safetensors. The second value says what became of each tensor.
    ///
    /// A Linear's weights [out, in] are transposed. A layer takes the tensors whose name says the layer's, or else the first
    /// of its shape in the order of the state_dict (of a safetensors file, which has none, of the names, numbers by their
    /// value). A Linear without biases gives zeros.
    ///
    /// # Errors
    /// As [`Generator::import`]; a layer without a Linear of its shape, a tensor without a layer.
    pub fn import_from_pytorch(path: &Path, config: &Config) -> Result<(Generator, Vec<String>)> {
        let mut source = match file::is_torch(path) {
            true => StateFile::torch(path)?,
            false => file::open(path)?,
        };
        if source.has_format() {
            return Err(source.refuse("is a file of ganforge: import it without --from pytorch"));
        }
        let specs = parameters("G", &config.generator, config.noise.dim);
        let matches = assigned(&source.tensors()?, &specs).map_err(|reason| {
            let expected: Vec<String> = specs.iter().map(reversed).collect();
            let expected = listed(expected.iter().map(String::as_str));
            match source.listed() {
                Ok(found) => source.refuse(format!(
                    "{reason}; expected a Linear for each of {expected}; the file has {found}"
                )),
                Err(error) => error,
            }
        })?;
        let mut store = Store::new(config.seed);
        let mut said = Vec::new();
        for Match {
            weight,
            bias,
            from,
            from_bias,
        } in &matches
        {
            let [inputs, outputs] = sides(weight.shape);
            let w = source.tensor(from, Shape::from([outputs, inputs]))?;
            let w = strided(&w, 0, &[inputs, outputs], &[1, inputs]);
            let w = w.ok_or_else(|| source.refuse(format!("{from} does not fit into memory")))?;
            store.insert(&weight.name, weight.shape, w)?;
            let b = match from_bias {
                Some(name) => source.tensor(name, bias.shape)?,
                None => vec![0.0; outputs],
            };
            store.insert(&bias.name, bias.shape, b)?;
            let from_bias = from_bias.as_deref().map_or("0".to_string(), shown);
            said.push(format!(
                "{} = {} transposed, {} = {from_bias}",
                weight.name,
                shown(from),
                bias.name
            ));
        }
        Ok((Generator::of_parameters(config, store)?, said))
    }
}

/// The inputs and outputs of weights.
fn sides(shape: Shape) -> [usize; 2] {
    match *shape.dims() {
        [inputs, outputs] => [inputs, outputs],
        _ => [0, 0], // weights have two sides
    }
}

/// A parameter with the shape that it has in PyTorch.
fn reversed(spec: &ParamSpec) -> String {
    let mut dims = spec.shape.dims().to_vec();
    dims.reverse();
    format!("{} {dims:?}", spec.name)
}

/// Which tensors are whose, or what is missing or left over.
fn assigned<'a>(tensors: &[Tensor], specs: &'a [ParamSpec]) -> Result<Vec<Match<'a>>, String> {
    let mut rest: Vec<&Tensor> = tensors.iter().collect();
    let mut matches = Vec::new();
    for pair in specs.chunks_exact(2) {
        let [weight, bias] = [&pair[0], &pair[1]];
        let [inputs, outputs] = sides(weight.shape);
        let layer = weight.name.split('.').nth(1).unwrap_or_default();
        let fits = |tensor: &&Tensor| {
            module_of(&tensor.0, "weight").is_some() && tensor.1 == [outputs, inputs]
        };
        let is_named = |tensor: &&Tensor| {
            let module = module_of(&tensor.0, "weight");
            fits(tensor) && module.and_then(|m| m.rsplit('.').next()) == Some(layer)
        };
        let found = rest.iter().position(is_named);
        let found = found.or_else(|| rest.iter().position(fits));
        let found = found.ok_or_else(|| {
            format!("there is no weight of [out, in] = [{outputs}, {inputs}] for layer {layer}")
        })?;
        let from = rest.remove(found).0.clone();
        let module = module_of(&from, "weight");
        let is_bias = |tensor: &&Tensor| {
            module_of(&tensor.0, "bias") == module && tensor.1 == bias.shape.dims()
        };
        let from_bias = rest.iter().position(is_bias);
        let from_bias = from_bias.map(|at| rest.remove(at).0.clone());
        matches.push(Match {
            weight,
            bias,
            from,
            from_bias,
        });
    }
    match rest.first() {
        None => Ok(matches),
        Some((name, shape)) => Err(format!("{} {shape:?} belongs to no layer", shown(name))),
    }
}

/// The module whose `part` this is: "net.0" of "net.0.weight".
fn module_of<'n>(name: &'n str, part: &str) -> Option<&'n str> {
    match name.strip_suffix(part)? {
        "" => Some(""),
        module => module.strip_suffix('.'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights [inputs, outputs] and biases of layers a, b, c.
    fn specs(sides: &[[usize; 2]]) -> Vec<ParamSpec> {
        let both = sides.iter().zip(["a", "b", "c"]).enumerate();
        let both = both.flat_map(|(layer, (&[inputs, outputs], name))| {
            let spec = |part: &str, shape: Shape, is_weight| ParamSpec {
                name: format!("G.{name}.{part}"),
                shape,
                layer,
                is_weight,
            };
            [
                spec("w", Shape::from([inputs, outputs]), true),
                spec("b", Shape::from([outputs]), false),
            ]
        });
        both.collect()
    }

    fn tensors(all: &[(&str, &[usize])]) -> Vec<Tensor> {
        let all = all
            .iter()
            .map(|(name, shape)| (name.to_string(), shape.to_vec()));
        all.collect()
    }

    fn names(tensors: &[Tensor], specs: &[ParamSpec]) -> Result<Vec<String>, String> {
        let found = assigned(tensors, specs)?.into_iter();
        Ok(found
            .map(|m| format!("{} {}", m.from, m.from_bias.unwrap_or_default()))
            .collect())
    }

    #[test]
    fn layers_find_their_tensors_by_shape_then_name_then_order() {
        let square = specs(&[[4, 4], [4, 4], [4, 2]]);
        let in_order = tensors(&[
            ("0.weight", &[4, 4]),
            ("0.bias", &[4]),
            ("4.weight", &[2, 4]),
            ("2.weight", &[4, 4]),
            ("2.bias", &[4]),
        ]);
        let expected = ["0.weight 0.bias", "2.weight 2.bias", "4.weight "];
        assert_eq!(names(&in_order, &square).unwrap(), expected);
        let named = tensors(&[
            ("net.b.weight", &[4, 4]),
            ("net.a.weight", &[4, 4]),
            ("net.c.weight", &[2, 4]),
            ("net.a.bias", &[4]),
        ]);
        let expected = ["net.a.weight net.a.bias", "net.b.weight ", "net.c.weight "];
        assert_eq!(names(&named, &square).unwrap(), expected);
        let alone = tensors(&[("weight", &[2, 4]), ("bias", &[2])]);
        assert_eq!(names(&alone, &specs(&[[4, 2]])).unwrap(), ["weight bias"]);
    }

    #[test]
    fn what_has_no_partner_is_named() {
        let one = specs(&[[4, 2]]);
        let refused = |all: &[(&str, &[usize])]| names(&tensors(all), &one).unwrap_err();
        let turned = refused(&[("0.weight", &[4, 2])]);
        assert_eq!(
            turned,
            "there is no weight of [out, in] = [2, 4] for layer a"
        );
        let more = refused(&[("0.weight", &[2, 4]), ("1.running_mean", &[2])]);
        assert_eq!(more, "1.running_mean [2] belongs to no layer");
        let odd = refused(&[("0.weight", &[2, 4]), ("0.bias", &[3])]);
        assert_eq!(odd, "0.bias [3] belongs to no layer");
    }
}
