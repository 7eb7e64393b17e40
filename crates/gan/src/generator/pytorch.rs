//! PyTorch parameters: assigned to layers by name, shape and number, with transposed weights.

use std::path::Path;

use ganforge_tensor::{Shape, Store};

use super::{Generator, file};
use crate::config::Config;
use crate::error::Result;
use crate::files::{listed, shown, strided};
use crate::state_file::StateFile;
use crate::tensors::{TensorSpec, Tensors};

/// A tensor's name and shape.
type Tensor = (String, Vec<usize>);

/// What becomes of a layer: its specifications, the name of its Linear's weights, and that of its biases if it has any.
struct Match<'a> {
    weight: &'a TensorSpec,
    bias: &'a TensorSpec,
    from: String,
    from_bias: Option<String>,
}

impl Generator {
    /// Reads the state_dict of a PyTorch module with the Linear layers of the generator of `config`: a file of
    /// `torch.save`, or one of its tensors as .npz or .safetensors. The second value says what became of each tensor.
    ///
    /// A Linear's weights [out, in] are transposed. A layer takes the tensors whose name says the layer's, or else those whose
    /// shape no other layer has; where that leaves layers, no name says one and the names differ in one number alone, all go
    /// by that number. The order in the file means nothing. A Linear without biases gives zeros.
    ///
    /// # Errors
    /// As [`Generator::import`]; a layer without a Linear of its shape, a tensor without a layer, layers whose tensors nothing
    /// decides.
    pub fn import_from_pytorch(path: &Path, config: &Config) -> Result<(Generator, Vec<String>)> {
        let mut source = match file::is_torch(path) {
            true => StateFile::torch(path)?,
            false => file::open(path)?,
        };
        if source.has_format() {
            return Err(source.refuse("was written by ganforge: import it without --from pytorch"));
        }
        let tensors = Tensors::of(config, config.output_dim());
        let specs: Vec<&TensorSpec> = tensors.params("G").collect();
        let matches = assigned(&source.tensors()?, &specs).map_err(|reason| {
            let expected: Vec<String> = specs.iter().copied().map(reversed).collect();
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
fn reversed(spec: &TensorSpec) -> String {
    let mut dims = spec.shape.dims().to_vec();
    dims.reverse();
    format!("{} {dims:?}", spec.name)
}

/// Which tensors are whose, or what is missing, left over or not decided.
fn assigned<'a>(tensors: &[Tensor], specs: &[&'a TensorSpec]) -> Result<Vec<Match<'a>>, String> {
    let is_weight = |t: &&Tensor| t.1.len() == 2 && module_of(&t.0, "weight").is_some();
    let weights: Vec<&Tensor> = tensors.iter().filter(is_weight).collect();
    let mut pairs: Vec<[&TensorSpec; 2]> = Vec::new();
    for pair in specs.chunk_by(|a, b| a.layer == b.layer) {
        match *pair {
            [weight, bias] if weight.is_weight() && !bias.is_weight() => pairs.push([weight, bias]),
            _ => {
                let layer = &pair[0].layer;
                return Err(format!(
                    "layer {layer} of the configuration is no Linear with biases: only those are read"
                ));
            }
        }
    }
    let layers: Vec<Layer<'_>> = pairs.iter().map(|[weight, _]| Layer::of(weight)).collect();
    let mut rest: Vec<&Tensor> = tensors.iter().collect();
    let mut matches = Vec::new();
    let found = decided(&layers, &weights)?;
    for ([weight, bias], (from, _)) in pairs.into_iter().zip(found) {
        let module = module_of(from, "weight");
        let is_bias = |tensor: &&Tensor| {
            module_of(&tensor.0, "bias") == module && tensor.1 == bias.shape.dims()
        };
        let from_bias = rest.iter().position(is_bias);
        let from_bias = from_bias.map(|at| rest.remove(at).0.clone());
        rest.retain(|(name, _)| name != from);
        matches.push(Match {
            weight,
            bias,
            from: from.clone(),
            from_bias,
        });
    }
    match rest.first() {
        None => Ok(matches),
        Some(tensor) => Err(left_over(tensor)),
    }
}

fn left_over((name, shape): &Tensor) -> String {
    format!("{} {shape:?} belongs to no layer", shown(name))
}

/// A layer as its weights in PyTorch are looked for.
struct Layer<'a> {
    name: &'a str,
    /// [out, in]
    shape: [usize; 2],
}

impl<'a> Layer<'a> {
    fn of(weight: &'a TensorSpec) -> Layer<'a> {
        let [inputs, outputs] = sides(weight.shape);
        Layer {
            name: &weight.layer,
            shape: [outputs, inputs],
        }
    }

    /// The weights of its shape in a module of its name, or else within one, where there is just one.
    fn named<'t>(&self, weights: &[&'t Tensor]) -> Option<&'t Tensor> {
        let of = |is: fn(&str, &str) -> bool| {
            let fits = |t: &&&Tensor| {
                t.1 == self.shape && module_of(&t.0, "weight").is_some_and(|m| is(m, self.name))
            };
            only(weights.iter().filter(fits))
        };
        let last = of(|module, name| module.rsplit('.').next() == Some(name));
        let found = last.or_else(|| of(|module, name| module.split('.').any(|part| part == name)));
        found.copied()
    }
}

/// The only thing there is.
fn only<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    all.next().filter(|_| all.next().is_none())
}

/// The weights of each layer: by its name, by a shape that is nobody else's, or all by the numbers in their names. The order
/// in a file decides nothing: it is that of the names in one format, of the writer's liking in another.
fn decided<'t>(layers: &[Layer<'_>], weights: &[&'t Tensor]) -> Result<Vec<&'t Tensor>, String> {
    for layer in layers {
        if !weights.iter().any(|t| t.1 == layer.shape) {
            let (name, [outputs, inputs]) = (layer.name, layer.shape);
            return Err(format!(
                "there is no weight of [out, in] = [{outputs}, {inputs}] for layer {name}"
            ));
        }
    }
    if let Some(tensor) = weights
        .iter()
        .find(|t| layers.iter().all(|l| t.1 != l.shape))
    {
        return Err(left_over(tensor));
    }
    let named: Vec<Option<&Tensor>> = layers.iter().map(|l| l.named(weights)).collect();
    let is_alone =
        |layer: &Layer<'_>| layers.iter().filter(|l| l.shape == layer.shape).count() == 1;
    let by_shape = |layer: &Layer<'_>| match is_alone(layer) {
        true => only(weights.iter().filter(|t| t.1 == layer.shape)).copied(),
        false => None,
    };
    let both = named.iter().zip(layers);
    let found: Vec<Option<&Tensor>> = both.map(|(n, l)| n.or_else(|| by_shape(l))).collect();
    let all: Option<Vec<&Tensor>> = found.iter().copied().collect();
    let is_twice = |all: &[&Tensor]| (1..all.len()).any(|i| all[..i].contains(&all[i]));
    let by_number = || {
        let all = by_number(weights).filter(|_| named.iter().all(Option::is_none))?;
        let fits = all.iter().zip(layers).all(|(t, l)| t.1 == l.shape);
        (fits && all.len() == layers.len()).then_some(all)
    };
    let all = all.filter(|all| !is_twice(all)).or_else(by_number);
    all.ok_or_else(|| undecided(layers, &found))
}

/// That it is not clear which weights these layers have, and what would make it clear.
fn undecided(layers: &[Layer<'_>], found: &[Option<&Tensor>]) -> String {
    let open = layers.iter().zip(found).filter(|(_, f)| f.is_none());
    let open = match found.contains(&None) {
        true => format!("layer {}", listed(open.map(|(l, _)| l.name))),
        false => "two layers, as a name has both of theirs".to_string(),
    };
    let names: Vec<String> = layers
        .iter()
        .map(|l| format!("{}.weight", l.name))
        .collect();
    let names = listed(names.iter().map(String::as_str));
    format!(
        "which weights are those of {open}? Neither names nor shapes nor numbers in names decide it: give the modules the \
         names of the layers, as in {names}"
    )
}

/// Weights in the order of the one number by which all their names differ, as the modules of a Sequential have it.
fn by_number<'t>(weights: &[&'t Tensor]) -> Option<Vec<&'t Tensor>> {
    let split: Option<Vec<_>> = weights.iter().map(|t| words_and_numbers(&t.0)).collect();
    let split = split?;
    let (words, first) = split.first()?;
    if split.iter().any(|(w, _)| w != words) {
        return None;
    }
    let differs = |at: &usize| split.iter().any(|(_, numbers)| numbers[*at] != first[*at]);
    let at = only((0..first.len()).filter(differs))?;
    let numbers = split.iter().map(|(_, numbers)| numbers[at]);
    let mut all: Vec<(u64, &Tensor)> = numbers.zip(weights.iter().copied()).collect();
    all.sort_by_key(|(number, _)| *number);
    let is_unique = all.windows(2).all(|pair| pair[0].0 < pair[1].0);
    is_unique.then(|| all.into_iter().map(|(_, t)| t).collect())
}

/// "net.#.weight" and 10 of "net.10.weight"; nothing where a number is too large to count by.
fn words_and_numbers(name: &str) -> Option<(String, Vec<u64>)> {
    let is_other = |c: char| !c.is_ascii_digit();
    let numbers = name.split(is_other).filter(|n| !n.is_empty());
    let numbers: Option<Vec<u64>> = numbers.map(|n| n.parse().ok()).collect();
    let mut words = name.replace(|c: char| c.is_ascii_digit(), "\0");
    while words.contains("\0\0") {
        words = words.replace("\0\0", "\0");
    }
    Some((words, numbers?))
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
    use crate::nn::Build;
    use crate::tensors::Initial;
    use ganforge_tensor::Graph;

    /// Weights [inputs, outputs] and biases of layers a, b, c.
    fn specs(sides: &[[usize; 2]]) -> Vec<TensorSpec> {
        let graph = Graph::new();
        let mut build = Build::new(&graph);
        for (sides, name) in sides.iter().zip(["a", "b", "c"]) {
            build.at("G", name);
            build.weights("w", *sides, *sides, Initial::Glorot, None);
            build.param("b", [sides[1]], Initial::Constant(0.0));
        }
        build.tensors().iter().cloned().collect()
    }

    fn tensors(all: &[(&str, &[usize])]) -> Vec<Tensor> {
        let all = all
            .iter()
            .map(|(name, shape)| (name.to_string(), shape.to_vec()));
        all.collect()
    }

    fn names(tensors: &[Tensor], specs: &[TensorSpec]) -> Result<Vec<String>, String> {
        let specs: Vec<&TensorSpec> = specs.iter().collect();
        let found = assigned(tensors, &specs)?.into_iter();
        Ok(found
            .map(|m| format!("{} {}", m.from, m.from_bias.unwrap_or_default()))
            .collect())
    }

    const SQUARE: [[usize; 2]; 3] = [[4, 4], [4, 4], [4, 4]];

    /// The weights, without biases, that layers a, b, c of these sizes take of modules called so, in that order in the file.
    fn weights(sides: &[[usize; 2]], file: &[(&str, [usize; 2])]) -> Result<Vec<String>, String> {
        let all: Vec<Tensor> = file
            .iter()
            .map(|(module, shape)| (format!("{module}.weight"), shape.to_vec()))
            .collect();
        let found = names(&all, &specs(sides))?;
        let module = |name: &String| name.trim_end().trim_end_matches(".weight").to_string();
        Ok(found.iter().map(module).collect())
    }

    #[test]
    fn biases_follow_their_weights() {
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
        let alone = tensors(&[("weight", &[2, 4]), ("bias", &[2])]);
        assert_eq!(names(&alone, &specs(&[[4, 2]])).unwrap(), ["weight bias"]);
    }

    #[test]
    fn a_generator_with_another_layer_than_linear_ones_is_refused_by_its_name() {
        let graph = Graph::new();
        let mut build = Build::new(&graph);
        build.at("G", "norm");
        build.param("gain", [4], Initial::Constant(1.0));
        build.param("b", [4], Initial::Constant(0.0));
        let specs: Vec<TensorSpec> = build.tensors().iter().cloned().collect();
        let reason = names(&tensors(&[("norm.weight", &[4])]), &specs).unwrap_err();
        assert!(
            reason.starts_with("layer norm of the configuration"),
            "{reason}"
        );
    }

    #[test]
    fn names_decide_then_shapes_then_numbers_and_never_the_order_in_the_file() {
        let square = |file: [&str; 3]| weights(&SQUARE, &file.map(|name| (name, [4, 4])));
        let layers = ["net.a", "net.b", "net.c"];
        assert_eq!(square(["net.c", "net.a", "net.b"]).unwrap(), layers);
        let within = ["a.0", "b.0", "c.0"];
        assert_eq!(square(["c.0", "b.0", "a.0"]).unwrap(), within);
        for file in [["2", "10", "12"], ["10", "12", "2"], ["12", "10", "2"]] {
            assert_eq!(square(file).unwrap(), ["2", "10", "12"]);
            let nested = file.map(|n| format!("g1.fc{n}.linear"));
            let found = square([&nested[0], &nested[1], &nested[2]]).unwrap();
            assert_eq!(found, ["g1.fc2.linear", "g1.fc10.linear", "g1.fc12.linear"]);
        }
        let sides = [[2, 4], [4, 4], [4, 3]];
        let file = [("narrow", [3, 4]), ("wide", [4, 4]), ("inp", [4, 2])];
        assert_eq!(weights(&sides, &file).unwrap(), ["inp", "wide", "narrow"]);
        let file = [("x", [3, 4]), ("b", [4, 4]), ("y", [4, 2])];
        assert_eq!(weights(&sides, &file).unwrap(), ["y", "b", "x"]);
    }

    #[test]
    fn what_nothing_decides_is_refused() {
        let square =
            |file: [&str; 3]| weights(&SQUARE, &file.map(|name| (name, [4, 4]))).unwrap_err();
        let message = square(["inp", "narrow", "wide"]);
        assert!(
            message.contains("layer a, b, c?") && message.contains("a.weight, b.weight, c.weight"),
            "{message}"
        );
        assert!(square(["b", "0", "1"]).contains("layer a, c?"), "mixed");
        assert!(
            square(["1.0", "2.1", "3.2"]).contains("a, b, c?"),
            "two numbers"
        );
        assert!(
            square(["1", "01", "2"]).contains("a, b, c?"),
            "the same number"
        );
        let file = ["0", "1", "2", "3"].map(|name| (name, [4, 4]));
        assert!(weights(&SQUARE, &file).unwrap_err().contains("a, b, c?"));
        let both = weights(&SQUARE[..2], &[("a.b", [4, 4])]).unwrap_err();
        assert!(both.contains("those of two layers"), "{both}");
        let layers = specs(&[[4, 4], [4, 4]]);
        let shifted = tensors(&[("b.weight", &[4, 4]), ("c.weight", &[4, 4])]);
        let message = names(&shifted, &layers).unwrap_err();
        assert!(
            message.contains("layer a?"),
            "b is not a's neighbour: {message}"
        );
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
