//! Which tensors of a state_dict are whose: by name, by shape, by the numbers in names.

use super::modules::{Module, Part, Stored};
use crate::files::{listed, shown};

/// A tensor of a state_dict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// As it is in the file.
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    /// `net.0` of `net.0.weight`.
    module: String,
    /// `weight`; of parametrized weights `weight`, `g`, `u` and `v`.
    part: String,
}

/// What each part of a parametrized weight is called, in the two ways of PyTorch.
const PARTS: [(&str, &str); 8] = [
    ("parametrizations.weight.original", "weight"),
    ("parametrizations.weight.original0", "g"),
    ("parametrizations.weight.original1", "weight"),
    ("parametrizations.weight.0._u", "u"),
    ("parametrizations.weight.0._v", "v"),
    ("weight_orig", "weight"),
    ("weight_g", "g"),
    ("weight_u", "u"),
];

/// The tensors of a file, without the counters of batch norm.
pub(super) fn found(tensors: &[(String, Vec<usize>)]) -> Vec<Found> {
    // Of spectral norm it is v, of weight norm the weight itself.
    let has_orig = |module: &str| {
        let name = match module {
            "" => "weight_orig".to_string(),
            _ => format!("{module}.weight_orig"),
        };
        tensors.iter().any(|t| t.0 == name)
    };
    let split = |(name, shape): &(String, Vec<usize>)| {
        let known = PARTS.iter().find_map(|(ending, part)| {
            let module = module_of(name, ending)?;
            Some((module, *part))
        });
        let (module, part) = match (known, module_of(name, "weight_v")) {
            (Some(known), _) => known,
            (None, Some(module)) if has_orig(module) => (module, "v"),
            (None, Some(module)) => (module, "weight"),
            (None, None) => name.rsplit_once('.').unwrap_or(("", name)),
        };
        Found {
            name: name.clone(),
            shape: shape.clone(),
            module: module.to_string(),
            part: part.to_string(),
        }
    };
    let all = tensors.iter().map(split);
    all.filter(|t| t.part != "num_batches_tracked").collect()
}

/// The tensor of a file that becomes a stored one; none where biases are left out, which are 0 then.
pub(super) type Match<'a> = (&'a Stored, Option<Found>);

/// Which tensors are whose, or what is missing, left over or not decided.
pub(super) fn assigned<'a>(
    tensors: &[Found],
    modules: &'a [Module],
) -> Result<Vec<Match<'a>>, String> {
    let weights: Vec<&Found> = tensors.iter().filter(|t| t.part == "weight").collect();
    let mut rest: Vec<&Found> = tensors.iter().collect();
    let mut matches = Vec::new();
    for (module, weight) in modules.iter().zip(decided(modules, &weights)?) {
        for stored in &module.tensors {
            let is_it = |t: &&Found| {
                t.module == weight.module
                    && t.part == stored.part.name()
                    && t.shape == stored.layout.shape
            };
            let at = rest.iter().position(is_it);
            match (at, stored.part) {
                (Some(at), _) => matches.push((stored, Some(rest.remove(at).clone()))),
                (None, Part::Bias) => matches.push((stored, None)),
                (None, part) => {
                    let (of, shape) = (shown(&weight.module), &stored.layout.shape);
                    return Err(format!(
                        "{of} has no {} {shape:?}, which {} needs",
                        part.name(),
                        module.name
                    ));
                }
            }
            if stored.part == Part::V {
                rest.retain(|t| t.module != weight.module || t.part != "u");
            }
        }
    }
    match rest.first() {
        None => Ok(matches),
        Some(tensor) => Err(left_over(tensor)),
    }
}

fn left_over(found: &Found) -> String {
    format!(
        "{} {:?} belongs to no layer",
        shown(&found.name),
        found.shape
    )
}

impl Module {
    /// The shape of its weight.
    fn shape(&self) -> &[usize] {
        self.tensors.first().map_or(&[], |t| &t.layout.shape)
    }

    /// The weight of its shape in a module of its name, or else within one of its layer's, where there is just one.
    fn named<'t>(&self, weights: &[&'t Found]) -> Option<&'t Found> {
        let of = |is: &dyn Fn(&str) -> bool| {
            let fits = |t: &&&Found| t.shape == self.shape() && is(&t.module);
            only(weights.iter().filter(fits))
        };
        let name = &self.name;
        let is_last = |module: &str| {
            let before = module.strip_suffix(name.as_str());
            before.is_some_and(|b| b.is_empty() || b.ends_with('.'))
        };
        let is_within = |module: &str| module.split('.').any(|part| part == self.layer);
        of(&is_last).or_else(|| of(&is_within)).copied()
    }
}

/// The only thing there is.
fn only<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    all.next().filter(|_| all.next().is_none())
}

/// The weights of each layer: by its name, by a shape that is nobody else's, or all by the numbers in their names. The order
/// in a file decides nothing: it is that of the names in one format, of the writer's liking in another.
fn decided<'t>(modules: &[Module], weights: &[&'t Found]) -> Result<Vec<&'t Found>, String> {
    for module in modules {
        if !weights.iter().any(|t| t.shape == module.shape()) {
            let (name, shape) = (&module.name, module.shape());
            return Err(format!("there is no weight {shape:?} for {name}"));
        }
    }
    if let Some(tensor) = weights
        .iter()
        .find(|t| modules.iter().all(|m| t.shape != m.shape()))
    {
        return Err(left_over(tensor));
    }
    let named: Vec<Option<&Found>> = modules.iter().map(|m| m.named(weights)).collect();
    let is_alone = |module: &Module| {
        let alike = modules.iter().filter(|m| m.shape() == module.shape());
        alike.count() == 1
    };
    let by_shape = |module: &Module| match is_alone(module) {
        true => only(weights.iter().filter(|t| t.shape == module.shape())).copied(),
        false => None,
    };
    let both = named.iter().zip(modules);
    let found: Vec<Option<&Found>> = both.map(|(n, m)| n.or_else(|| by_shape(m))).collect();
    let all: Option<Vec<&Found>> = found.iter().copied().collect();
    let is_twice = |all: &[&Found]| (1..all.len()).any(|i| all[..i].contains(&all[i]));
    let by_number = || {
        let all = by_number(weights).filter(|_| named.iter().all(Option::is_none))?;
        let fits = all.iter().zip(modules).all(|(t, m)| t.shape == m.shape());
        (fits && all.len() == modules.len()).then_some(all)
    };
    let all = all.filter(|all| !is_twice(all)).or_else(by_number);
    all.ok_or_else(|| undecided(modules, &found))
}

/// That it is not clear which weights these modules have, and what would make it clear.
fn undecided(modules: &[Module], found: &[Option<&Found>]) -> String {
    let open = modules.iter().zip(found).filter(|(_, f)| f.is_none());
    let open = match found.contains(&None) {
        true => listed(open.map(|(m, _)| m.name.as_str())),
        false => "two layers, as a name has both of theirs".to_string(),
    };
    let names: Vec<String> = modules
        .iter()
        .map(|m| format!("{}.weight", m.name))
        .collect();
    let names = listed(names.iter().map(String::as_str));
    format!(
        "which weights are those of {open}? Neither names nor shapes nor numbers in names decide it: give the modules the \
         names of the layers, as in {names}"
    )
}

/// Weights in the order of the one number by which all their names differ, as the modules of a Sequential have it.
fn by_number<'t>(weights: &[&'t Found]) -> Option<Vec<&'t Found>> {
    let split: Option<Vec<_>> = weights
        .iter()
        .map(|t| words_and_numbers(&t.module))
        .collect();
    let split = split?;
    let (words, first) = split.first()?;
    if split.iter().any(|(w, _)| w != words) {
        return None;
    }
    let differs = |at: &usize| split.iter().any(|(_, numbers)| numbers[*at] != first[*at]);
    let at = only((0..first.len()).filter(differs))?;
    let numbers = split.iter().map(|(_, numbers)| numbers[at]);
    let mut all: Vec<(u64, &Found)> = numbers.zip(weights.iter().copied()).collect();
    all.sort_by_key(|(number, _)| *number);
    let is_unique = all.windows(2).all(|pair| pair[0].0 < pair[1].0);
    is_unique.then(|| all.into_iter().map(|(_, t)| t).collect())
}

/// "net.#" and 10 of "net.10"; nothing where a number is too large to count by.
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

/// The module whose tensor this is, if it is called so there: "net.0" of "net.0.weight".
fn module_of<'n>(name: &'n str, part: &str) -> Option<&'n str> {
    match name.strip_suffix(part)? {
        "" => Some(""),
        module => module.strip_suffix('.'),
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Layout;
    use super::*;
    use crate::nn::Build;
    use crate::tensors::Initial;
    use ganforge_tensor::Graph;

    /// Maps with weights [inputs, outputs] and biases, of layers a, b, c.
    fn specs(sides: &[[usize; 2]]) -> Vec<Module> {
        let graph = Graph::new();
        let mut build = Build::new(&graph);
        for (sides, name) in sides.iter().zip(["a", "b", "c"]) {
            build.at("G", name);
            build.weights("w", *sides, *sides, Initial::Glorot, None);
            build.param("b", [sides[1]], Initial::Constant(0.0));
        }
        let specs: Vec<_> = build.tensors().iter().cloned().collect();
        let stored = |spec: &crate::tensors::TensorSpec| {
            let mut dims = spec.shape.dims().to_vec();
            dims.reverse();
            let part = if spec.is_weight() {
                Part::Weight
            } else {
                Part::Bias
            };
            Stored {
                spec: spec.clone(),
                part,
                layout: Layout::same(&dims),
            }
        };
        let module = |pair: &[crate::tensors::TensorSpec]| Module {
            name: pair[0].layer.clone(),
            layer: pair[0].layer.clone(),
            tensors: pair.iter().map(stored).collect(),
        };
        specs.chunks(2).map(module).collect()
    }

    fn tensors(all: &[(&str, &[usize])]) -> Vec<Found> {
        let all = all
            .iter()
            .map(|(name, shape)| (name.to_string(), shape.to_vec()));
        found(&all.collect::<Vec<_>>())
    }

    /// Of each module its weight and its biases in the file.
    fn names(tensors: &[Found], modules: &[Module]) -> Result<Vec<String>, String> {
        let found = assigned(tensors, modules)?;
        let name = |m: &Match<'_>| m.1.as_ref().map_or("", |f| &f.name).to_string();
        let pairs = found.chunks(2);
        Ok(pairs
            .map(|p| format!("{} {}", name(&p[0]), name(&p[1])))
            .collect())
    }

    const SQUARE: [[usize; 2]; 3] = [[4, 4], [4, 4], [4, 4]];

    /// The weights, without biases, that layers a, b, c of these sizes take of modules called so, in that order in the file.
    fn weights(sides: &[[usize; 2]], file: &[(&str, [usize; 2])]) -> Result<Vec<String>, String> {
        let all: Vec<(String, Vec<usize>)> = file
            .iter()
            .map(|(module, shape)| (format!("{module}.weight"), shape.to_vec()))
            .collect();
        let found = names(&found(&all), &specs(sides))?;
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
    fn parametrized_weights_have_their_names_of_either_way() {
        let parts = |all: &[&str]| -> Vec<String> {
            let all: Vec<(&str, &[usize])> = all.iter().map(|n| (*n, &[1][..])).collect();
            let all = tensors(&all).into_iter();
            all.map(|t| format!("{} {}", t.module, t.part)).collect()
        };
        let new = [
            "a.parametrizations.weight.original",
            "a.parametrizations.weight.0._u",
            "a.parametrizations.weight.0._v",
            "b.parametrizations.weight.original0",
            "b.parametrizations.weight.original1",
            "n.running_mean",
            "n.num_batches_tracked",
        ];
        let expected = [
            "a weight",
            "a u",
            "a v",
            "b g",
            "b weight",
            "n running_mean",
        ];
        assert_eq!(parts(&new), expected);
        let old = [
            "a.weight_orig",
            "a.weight_u",
            "a.weight_v",
            "b.weight_g",
            "b.weight_v",
        ];
        assert_eq!(parts(&old), &expected[..5]);
        assert_eq!(
            parts(&["weight_orig", "weight_v", "bias"]),
            [" weight", " v", " bias"]
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
            message.contains("those of a, b, c?")
                && message.contains("a.weight, b.weight, c.weight"),
            "{message}"
        );
        assert!(square(["b", "0", "1"]).contains("those of a, c?"), "mixed");
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
            message.contains("those of a?"),
            "b is not a's neighbour: {message}"
        );
    }

    #[test]
    fn what_has_no_partner_is_named() {
        let one = specs(&[[4, 2]]);
        let refused = |all: &[(&str, &[usize])]| names(&tensors(all), &one).unwrap_err();
        let turned = refused(&[("0.weight", &[4, 2])]);
        assert_eq!(turned, "there is no weight [2, 4] for a");
        let more = refused(&[("0.weight", &[2, 4]), ("1.running_mean", &[2])]);
        assert_eq!(more, "1.running_mean [2] belongs to no layer");
        let odd = refused(&[("0.weight", &[2, 4]), ("0.bias", &[3])]);
        assert_eq!(odd, "0.bias [3] belongs to no layer");
    }
}
