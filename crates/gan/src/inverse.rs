//! The generator run backwards: noise is searched whose sample is as near to an example as can be.

use ganforge_tensor::{Device, Feed, Graph, Plan, Store, Var};

use crate::config::{Config, Contrast, Distribution};
use crate::error::{Error, Result};
use crate::game;
use crate::metrics::{self, Search};
use crate::optim::{Adam, Optimize};
use crate::sampler::{self, Decoder};

/// Examples whose noise is searched at once.
const ROWS: usize = 100;

/// The generator of a store whose noise is searched, with the averages of its parameters where they are kept.
///
/// The starts of example i follow from the run's seed and i alone; no example's search depends on the others.
pub struct Inverse<'a> {
    device: &'a Device,
    config: &'a Config,
    store: &'a Store,
}

impl<'a> Inverse<'a> {
    /// Of the generator of `config` in `store`.
    pub fn new(device: &'a Device, config: &'a Config, store: &'a Store) -> Inverse<'a> {
        Inverse {
            device,
            config,
            store,
        }
    }

    /// See [`metrics::Inverse::errors`], for examples as G makes them.
    fn search(&self, examples: &[f32], search: &Search) -> Result<Vec<f64>> {
        let (config, d) = (self.config, self.config.output_dim());
        if config.has_classes_of_samples() {
            let message = "mre: the noise of a generator that asks for classes is not searched";
            return Err(Error::Mismatch(message.to_string()));
        }
        let graph = Graph::new();
        let plan = plan(&graph, config, Var::abs)?;
        let starts = {
            let graph = Graph::new();
            let z = game::noise(&graph, config, "inverse/z", ROWS);
            Plan::of(&graph).fetch("z", z).compile()?
        };
        let mut executor = self.device.executor()?;
        let mut store = self.store.clone();
        store.control.key = config.seed;
        let mut best = vec![f64::INFINITY; examples.len() / d];
        let mut x = vec![0.0; ROWS * d];
        let shape = [ROWS, config.noise.dim];
        let zeros = vec![0.0; ROWS * config.noise.dim];
        for (block, (examples, best)) in examples
            .chunks(ROWS * d)
            .zip(best.chunks_mut(ROWS))
            .enumerate()
        {
            x[..examples.len()].copy_from_slice(examples);
            for start in 0..search.starts {
                store.control.step = (block * search.starts + start) as u64;
                executor.run(&starts, &mut store, &[])?;
                let z = executor.fetch(&starts, &store, "z").map(<[f32]>::to_vec);
                store.insert("z", shape, z.unwrap_or_default())?;
                for slot in Adam::default().slots() {
                    store.insert(&format!("z.{slot}"), shape, zeros.clone())?;
                }
                for step in 0..search.steps {
                    set_scalars(&mut store, step, search.lr);
                    executor.run(&plan, &mut store, &[Feed::new("x", [ROWS, d], &x)])?;
                    let errors = executor.fetch(&plan, &store, "errors").unwrap_or_default();
                    for (best, error) in best.iter_mut().zip(errors) {
                        *best = best.min(f64::from(*error));
                    }
                }
            }
        }
        Ok(best)
    }
}

impl metrics::Inverse for Inverse<'_> {
    fn errors(
        &self,
        examples: &[f32],
        search: &Search,
    ) -> std::result::Result<Vec<f64>, metrics::Error> {
        let found = match self.config.data.contrast {
            // Scores are of pixels from 0 to 1, whatever the networks see.
            Contrast::Signed => {
                let signed: Vec<f32> = examples.iter().map(|x| 2.0 * x - 1.0).collect();
                let halved = |errors: Vec<f64>| errors.into_iter().map(|e| e / 2.0).collect();
                self.search(&signed, search).map(halved)
            }
            _ => self.search(examples, search),
        };
        found.map_err(|error| metrics::Error::Other(error.to_string()))
    }
}

/// What Adam reads in the step that follows `steps` others.
fn set_scalars(store: &mut Store, steps: usize, lr: f64) {
    let mut scalars = [0.0; 2];
    Adam::default().values(steps as u64, 1, &mut scalars);
    for (name, value) in Adam::default().scalars().iter().zip(scalars) {
        store.control.set(name, value as f32);
    }
    store.control.set("lr", lr as f32);
}

/// Noise [n, dim] from `z` on whose sample is nearer to `x` [n, d] in squared error, and that sample: of each example the best that
/// is met in so many steps of Adam at a rate, that of no step included.
pub(crate) fn refined(
    device: &Device,
    config: &Config,
    store: &Store,
    (x, z): (&[f32], &[f32]),
    (steps, lr): (usize, f64),
) -> Result<[Vec<f32>; 2]> {
    let (d, dim) = (config.output_dim(), config.noise.dim);
    let graph = Graph::new();
    let plan = plan(&graph, config, Var::square)?;
    let mut executor = device.executor()?;
    let mut store = store.clone();
    let mut decoder = Decoder::of_parameters(device, config)?;
    let mut found = Vec::with_capacity(z.len());
    for (x, start) in x.chunks(ROWS * d).zip(z.chunks(ROWS * dim)) {
        let rows = x.len() / d;
        let (mut batch, mut now) = (vec![0.0; ROWS * d], vec![0.0; ROWS * dim]);
        batch[..x.len()].copy_from_slice(x);
        now[..start.len()].copy_from_slice(start);
        store.insert("z", [ROWS, dim], now.clone())?;
        for slot in Adam::default().slots() {
            store.insert(&format!("z.{slot}"), [ROWS, dim], vec![0.0; ROWS * dim])?;
        }
        let (mut best, mut errors) = (now.clone(), vec![f32::INFINITY; rows]);
        // The last run tells the errors of the last step.
        for step in 0..=steps {
            set_scalars(&mut store, step, lr);
            if let Some(entry) = store.get("z") {
                now.copy_from_slice(&entry.data);
            }
            executor.run(&plan, &mut store, &[Feed::new("x", [ROWS, d], &batch)])?;
            let of_now = executor.fetch(&plan, &store, "errors").unwrap_or_default();
            for (i, (error, new)) in errors.iter_mut().zip(of_now).enumerate() {
                if new < error {
                    *error = *new;
                    best[i * dim..(i + 1) * dim].copy_from_slice(&now[i * dim..(i + 1) * dim]);
                }
            }
        }
        found.extend_from_slice(&best[..rows * dim]);
    }
    let samples = decoder.decode(&mut store, &found)?;
    Ok([found, samples])
}

/// One step of the search from the noise z on: the errors `[ROWS, 1]` before it, sums of `error` of differences, and Adam's new
/// values.
fn plan<'g>(graph: &'g Graph, config: &Config, error: impl Fn(Var<'g>) -> Var<'g>) -> Result<Plan> {
    let shape = [ROWS, config.noise.dim];
    let z = graph.param("z", shape);
    let x = graph.input("x", [ROWS, config.output_dim()]);
    let errors = error(x - sampler::generator(graph, config, z, false));
    let errors = errors.sum_axes(&[1]);
    let grad = graph.grad(errors.sum(), &[z])?[0];
    let rule = Adam::default();
    let slots: Vec<Var> = rule
        .slots()
        .iter()
        .map(|slot| graph.param(&format!("z.{slot}"), shape))
        .collect();
    let (new, values) = rule.step(z, &slots, grad, &|name| graph.scalar(name));
    let mut builder = Plan::of(graph)
        .fetch("errors", errors)
        .update(z, brought_back(new, config));
    for (slot, value) in slots.into_iter().zip(values) {
        builder = builder.update(slot, value);
    }
    Ok(builder.compile()?)
}

/// z brought to where noise is.
#[track_caller]
fn brought_back<'g>(z: Var<'g>, config: &Config) -> Var<'g> {
    let bound = 3f64.sqrt();
    match config.noise.distribution {
        Distribution::Uniform => z.clip(-bound, bound),
        Distribution::UnitUniform => z.clip(0.0, 1.0),
        // A search cannot go from one sign to the other but by what lies between.
        Distribution::SignedUniform | Distribution::Signs => z.clip(-1.0, 1.0),
        Distribution::Normal => z,
        Distribution::Spherical => z / (z.square().sum_axes(&[1]) + 1e-12).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init;
    use crate::metrics::Inverse as _;

    const SEARCH: Search = Search {
        steps: 400,
        starts: 2,
        lr: 0.05,
    };

    /// G(z) = (2 z, 3): points on a line.
    fn line(options: &[&str]) -> (Config, Store) {
        let all = [
            "generator.layer=[{ units = 2, activation = \"linear\", name = \"out\" }]",
            "noise.dim=1",
        ];
        let config = Config::preset("ring").and_then(|c| c.with(&[&all, options].concat()));
        let config = config.expect("valid");
        let mut store = init::store(&config, 2, &[]).expect("consistent");
        for (name, shape, values) in [("w", &[1, 2][..], [2.0, 0.0]), ("b", &[2], [0.0, 3.0])] {
            let set = |store: &mut Store, name: &str| {
                store.insert(name, shape, values.to_vec()).map(drop)
            };
            set(&mut store, &format!("G.out.{name}")).expect("a parameter");
            if config.train.average.is_some() {
                set(&mut store, &format!("G.out.{name}.average")).expect("an average");
            }
        }
        (config, store)
    }

    #[test]
    fn the_error_is_the_distance_from_what_g_can_make() {
        let x = [1.0, 3.0, -4.0, 5.0, 9.0, 3.0];
        for (distribution, expected) in [
            ("normal", [0.0, 2.0, 0.0]),
            // z up to 1: the first value of a sample is 2 at most, and -2 at least.
            ("signed-uniform", [0.0, 4.0, 7.0]),
        ] {
            let (config, store) = line(&[&format!("noise.distribution={distribution}")]);
            let inverse = Inverse::new(&Device::CPU, &config, &store);
            let found = inverse.errors(&x, &SEARCH).expect("searched");
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 0.05,
                    "{distribution}: {found} {expected}"
                );
            }
            assert_eq!(
                found,
                inverse.errors(&x, &SEARCH).expect("searched"),
                "the same again"
            );
            let alone = inverse.errors(&x[..2], &SEARCH).expect("searched");
            assert_eq!(alone, found[..1], "by itself");
        }
    }
}
