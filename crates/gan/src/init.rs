//! Initial parameters: from the run's key, the parameter's name and nothing else.

use ganforge_kernels::cpu::rng::{self, RandomStream};
use ganforge_tensor::{Result, Store, stream_number};

use crate::config::{Bias, Config, Init, Network};
use crate::model::{ParamSpec, average_name, parameters};
use crate::optim;

/// A store at step 0: parameters drawn as the configuration says, slots zero, averages at the parameters. Parameters of
/// layers that begin with those of another run are zero until [`crate::pretrained`] puts them there.
///
/// `marginals` are the means of each pixel over the training images, in [0, 1]; the bias that
/// the configuration calls "marginals" is their log-odds, clipped to [1e-7, 1 - 1e-7].
///
/// # Errors
/// None for a checked configuration.
pub fn store(config: &Config, data_dim: usize, marginals: &[f64]) -> Result<Store> {
    let mut store = Store::new(config.seed);
    let networks = [
        ("G", &config.generator, config.noise.dim),
        ("D", &config.discriminator, data_dim),
    ];
    for (prefix, network, inputs) in networks {
        for spec in parameters(prefix, network, inputs) {
            let values = values(config.seed, network, &spec, marginals);
            if prefix == "G" && config.train.average.is_some() {
                store.insert(&average_name(&spec.name), spec.shape, values.clone())?;
            }
            store.insert(&spec.name, spec.shape, values)?;
            for slot in optim::slots(&config.optimizer.rule, &spec.name) {
                store.insert(&slot, spec.shape, vec![0.0; spec.shape.elements()])?;
            }
        }
    }
    optim::declare_scalars(config, &mut store);
    Ok(store)
}

fn values(key: u64, network: &Network, spec: &ParamSpec, marginals: &[f64]) -> Vec<f32> {
    let layer = &network.layers[spec.layer];
    let mut values = vec![0.0; spec.shape.elements()];
    if !spec.is_weight {
        match layer.bias {
            Bias::Run => {} // see pretrained.rs
            Bias::Constant(b) => values.fill(b as f32),
            Bias::Marginals => {
                for (b, &p) in values.iter_mut().zip(marginals) {
                    let p = p.clamp(1e-7, 1.0 - 1e-7);
                    *b = (p / (1.0 - p)).ln() as f32;
                }
            }
        }
        return values;
    }
    let stream = |name: String| RandomStream {
        key,
        stream: stream_number(&name),
        counter: 0,
    };
    let weights = stream(format!("init/{}", spec.name));
    match layer.init {
        Init::Run(_) => {} // see pretrained.rs
        Init::Uniform(r) => rng::uniform(weights, 0, -r as f32, r as f32, &mut values),
        Init::Glorot => {
            let (fan_in, fan_out) = (spec.shape.dims()[0], spec.shape.dims()[1]);
            let r = (6.0 / (fan_in + fan_out) as f64).sqrt() as f32;
            rng::uniform(weights, 0, -r, r, &mut values);
        }
        Init::Normal(sd) => rng::normal(weights, 0, 0.0, sd as f32, &mut values),
        Init::Sparse(count) => {
            let (rows, columns) = (spec.shape.dims()[0], spec.shape.dims()[1]);
            let mut order = vec![0; rows];
            let mut drawn = vec![0.0; count * columns];
            rng::normal(weights, 0, 0.0, 1.0, &mut drawn);
            for j in 0..columns {
                let choice = RandomStream {
                    counter: j as u64,
                    ..stream(format!("init/{}/rows", spec.name))
                };
                rng::permutation(choice, rows, &mut order);
                for (k, &row) in order.iter().take(count).enumerate() {
                    values[row as usize * columns + j] = drawn[j * count + k];
                }
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(option: &[&str]) -> Store {
        let config = Config::preset("tiny")
            .and_then(|c| c.with(option))
            .expect("valid");
        store(&config, 784, &[0.25; 784]).expect("consistent")
    }

    #[test]
    fn uniform_weights_fill_their_range_and_biases_are_the_log_odds() {
        let store = with(&["generator.layer.h0.init={uniform=0.05}"]);
        let w = &store.get("G.h0.w").expect("there").data;
        assert!(w.iter().all(|x| x.abs() <= 0.05));
        assert!(w.iter().any(|x| *x > 0.045) && w.iter().any(|x| *x < -0.045));
        let b = &store.get("G.out.b").expect("there").data;
        assert!(b.iter().all(|x| (x - (1.0f32 / 3.0).ln()).abs() < 1e-6));
    }

    #[test]
    fn sparse_columns_have_exactly_as_many_rows() {
        let store = with(&["generator.layer.h0.init={sparse=3}"]);
        let w = store.get("G.h0.w").expect("there");
        let (rows, columns) = (w.shape.dims()[0], w.shape.dims()[1]);
        for j in 0..columns {
            let filled = (0..rows).filter(|i| w.data[i * columns + j] != 0.0).count();
            assert_eq!(filled, 3, "column {j}");
        }
    }

    #[test]
    fn another_seed_draws_other_weights() {
        let (a, b) = (with(&["seed=1"]), with(&["seed=2"]));
        assert_ne!(a.get("D.h0.w"), b.get("D.h0.w"));
        assert_eq!(a, with(&["seed=1"]));
    }
}
