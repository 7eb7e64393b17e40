//! Initial parameters, which depend only on the run's key and the parameter's name.

use ganforge_kernels::cpu::rng::{self, RandomStream};
use ganforge_tensor::{Error, Result, Store, stream_number};

use crate::config::Config;
use crate::optim::Schedule;
use crate::tensors::{Initial, TensorSpec, Tensors};

/// A store at step 0: parameters drawn as the configuration says, slots zero, averages at the parameters. Parameters of
/// layers that begin with those of another run are zero until [`crate::pretrained`] puts them there.
///
/// `marginals` are the means of each pixel over the training images, in [0, 1]; the bias that
/// the configuration calls "marginals" is their log-odds, clipped to [1e-7, 1 - 1e-7].
///
/// # Errors
/// None for a checked configuration.
pub fn store(config: &Config, data_dim: usize, marginals: &[f64]) -> Result<Store> {
    let mut store = values(&Tensors::of(config, data_dim), config.seed, marginals)?;
    Schedule::of(config).set(&mut store.control, 0, 1); // so that it can be bound before the first step
    Ok(store)
}

/// The initial values of `tensors` under the key `seed`.
///
/// # Errors
/// A tensor that begins as one which is declared after it.
pub fn values(tensors: &Tensors, seed: u64, marginals: &[f64]) -> Result<Store> {
    let mut store = Store::new(seed);
    for spec in tensors.iter() {
        let values = match &spec.init {
            Initial::CopyOf(name) => {
                let missing = || Error::MissingParam { name: name.clone() };
                store.get(name).ok_or_else(missing)?.data.to_vec()
            }
            _ => drawn(seed, spec, marginals),
        };
        store.insert(&spec.name, spec.shape, values)?;
    }
    Ok(store)
}

fn drawn(key: u64, spec: &TensorSpec, marginals: &[f64]) -> Vec<f32> {
    let mut values = vec![0.0; spec.shape.elements()];
    let stream = |name: String| RandomStream {
        key,
        stream: stream_number(&name),
        counter: 0,
    };
    let own = stream(format!("init/{}", spec.name));
    match spec.init {
        Initial::Run(_) | Initial::CopyOf(_) => {} // see pretrained.rs, and above
        Initial::Constant(c) => values.fill(c as f32),
        Initial::Marginals => {
            for (b, &p) in values.iter_mut().zip(marginals) {
                let p = p.clamp(1e-7, 1.0 - 1e-7);
                *b = (p / (1.0 - p)).ln() as f32;
            }
        }
        Initial::Uniform(r) => rng::uniform(own, 0, -r as f32, r as f32, &mut values),
        Initial::Glorot => {
            let [fan_in, fan_out] = spec.fans.unwrap_or([1, 1]);
            let r = (6.0 / (fan_in + fan_out) as f64).sqrt() as f32;
            rng::uniform(own, 0, -r, r, &mut values);
        }
        Initial::Normal(sd) => rng::normal(own, 0, 0.0, sd as f32, &mut values),
        Initial::NormalAround(mean, sd) => {
            rng::normal(own, 0, mean as f32, sd as f32, &mut values);
        }
        Initial::He => {
            let [fan_in, _] = spec.fans.unwrap_or([1, 1]);
            let sd = (2.0 / fan_in.max(1) as f64).sqrt() as f32;
            rng::normal(own, 0, 0.0, sd, &mut values);
        }
        Initial::TruncatedNormal(sd) => {
            truncated(own, 2.0, &mut values);
            values.iter_mut().for_each(|v| *v *= sd as f32);
        }
        Initial::Sparse(count) => {
            let columns = spec.shape.dims().last().copied().unwrap_or(1).max(1);
            let rows = values.len() / columns;
            let mut order = vec![0; rows];
            let mut drawn = vec![0.0; count * columns];
            rng::normal(own, 0, 0.0, 1.0, &mut drawn);
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

/// Standard normal numbers from -`bound` to `bound`: the ones beyond are drawn again, each time from the next counter of the
/// stream. Of a bound below 1, which few of them would keep, numbers are uniform, and drawn again with probability
/// 1 - exp(-x²/2).
pub(crate) fn truncated(stream: RandomStream, bound: f32, values: &mut [f32]) {
    if bound < 1.0 {
        return truncated_narrowly(stream, bound, values);
    }
    let mut round = vec![0.0; values.len()];
    let mut rest: Vec<usize> = (0..values.len()).collect();
    for counter in 0.. {
        let next = RandomStream { counter, ..stream };
        rng::normal(next, 0, 0.0, 1.0, &mut round[..rest.len()]);
        let drawn = round.iter().zip(std::mem::take(&mut rest));
        for (&value, at) in drawn {
            match value.abs() <= bound {
                true => values[at] = value,
                false => rest.push(at),
            }
        }
        if rest.is_empty() {
            return;
        }
    }
}

fn truncated_narrowly(stream: RandomStream, bound: f32, values: &mut [f32]) {
    let [mut drawn, mut chance] = [(); 2].map(|()| vec![0.0; values.len()]);
    let mut rest: Vec<usize> = (0..values.len()).collect();
    for round in 0_u64.. {
        let next = |part| RandomStream {
            counter: 2 * round + part,
            ..stream
        };
        rng::uniform(next(0), 0, -bound, bound, &mut drawn[..rest.len()]);
        rng::uniform(next(1), 0, 0.0, 1.0, &mut chance[..rest.len()]);
        let pairs = drawn.iter().zip(&chance);
        for ((&x, &chance), at) in pairs.zip(std::mem::take(&mut rest)) {
            match chance < (-x * x / 2.0).exp() {
                true => values[at] = x,
                false => rest.push(at),
            }
        }
        if rest.is_empty() {
            return;
        }
    }
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
    fn sparse_columns_have_exactly_as_many_rows_each_its_own() {
        let store = with(&["generator.layer.h0.init={sparse=3}"]);
        let w = store.get("G.h0.w").expect("there");
        let (rows, columns) = (w.shape.dims()[0], w.shape.dims()[1]);
        let filled = |j: usize| -> Vec<usize> {
            let is_filled = |i: &usize| w.data[i * columns + j] != 0.0;
            (0..rows).filter(is_filled).collect()
        };
        let mut used = vec![0; rows];
        for j in 0..columns {
            assert_eq!(filled(j).len(), 3, "column {j}");
            filled(j).iter().for_each(|&i| used[i] += 1);
        }
        // Three of ten rows in each of 32 columns: each row about 9.6 times.
        assert!(used.iter().all(|n| (1..25).contains(n)), "{used:?}");
    }

    /// Mean and variance of the values that are not 0, and the largest magnitude.
    fn moments(values: &[f32]) -> (f64, f64, f64) {
        let drawn: Vec<f64> = values
            .iter()
            .map(|&v| v.into())
            .filter(|v| *v != 0.0)
            .collect();
        let n = drawn.len() as f64;
        let mean = drawn.iter().sum::<f64>() / n;
        let variance = drawn.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        (
            mean,
            variance,
            drawn.iter().fold(0.0, |m, v| v.abs().max(m)),
        )
    }

    #[test]
    fn weights_have_the_moments_of_their_distributions() {
        // 784 inputs and 64 responses: 50,176 weights, of which sparse=100 leaves 6,400.
        let root = (6.0f64 / (784.0 + 64.0)).sqrt();
        for (init, variance, largest) in [
            ("{uniform=0.05}", 0.05f64.powi(2) / 3.0, 0.05),
            ("{glorot=\"uniform\"}", root * root / 3.0, root),
            ("{normal=0.3}", 0.09, f64::INFINITY),
            ("{sparse=100}", 1.0, f64::INFINITY),
            ("{he=\"normal\"}", 2.0 / 784.0, f64::INFINITY),
            // 1 - 2·2φ(2) / (2Φ(2) - 1) of that of the whole distribution
            ("{truncated_normal=0.02}", 0.773_741_3 * 0.0004, 0.04),
        ] {
            let store = with(&[&format!("discriminator.layer.h0.init={init}")]);
            let w = &store.get("D.h0.w").expect("there").data;
            let n = w.iter().filter(|v| **v != 0.0).count() as f64;
            let (mean, found, top) = moments(w);
            // Four deviations; a square's own variance is at most twice the variance squared.
            assert!(
                mean.abs() < 4.0 * (variance / n).sqrt(),
                "{init}: mean {mean}"
            );
            let error = (found / variance - 1.0).abs();
            assert!(error < 4.0 * (2.0 / n).sqrt(), "{init}: variance {found}");
            assert!(top <= largest * (1.0 + 1e-6), "{init}: {top}");
            assert!(
                largest.is_infinite() || top > 0.999 * largest,
                "{init}: {top}"
            );
        }
    }

    #[test]
    fn a_pixel_that_is_always_black_or_white_has_finite_log_odds() {
        let config = Config::preset("tiny").expect("a preset");
        let mut marginals = [0.25; 784];
        (marginals[0], marginals[1], marginals[2]) = (0.0, 1.0, 1e-5);
        let store = store(&config, 784, &marginals).expect("consistent");
        let b = &store.get("G.out.b").expect("there").data;
        for (b, odds) in b.iter().zip([-16.118_095, 16.118_095, -11.512_915]) {
            assert!((b - odds).abs() < 1e-5, "{b} {odds}");
        }
    }

    #[test]
    fn another_seed_draws_other_weights() {
        let (a, b) = (with(&["seed=1"]), with(&["seed=2"]));
        assert_ne!(a.get("D.h0.w"), b.get("D.h0.w"));
        assert_eq!(a, with(&["seed=1"]));
    }
}
