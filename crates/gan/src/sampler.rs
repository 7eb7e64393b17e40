//! Samples from a generator.

use ganforge_kernels::cpu::rng::RandomStream;
use ganforge_tensor::{Device, Executor, Feed, Graph, Plan, Store, Var, stream_number};

use crate::config::Config;
use crate::error::{Error, Result, room_for};
use crate::game::{LABELS, noise};
use crate::init::truncated;
use crate::nn::{Build, flat};

/// Rows drawn at once.
pub(crate) const ROWS: usize = 100;

/// Draws G(z) without dropout, from a key of its own: sample i depends on the key and i alone.
///
/// ```
/// use ganforge_gan::{Config, init, sampler::Sampler};
/// let config = Config::preset("tiny")?;
/// let mut store = init::store(&config, 784, &[0.13; 784])?; // untrained
/// let images = Sampler::new(&config)?.draw(&mut store, 1, 5)?; // seed, number
/// assert_eq!(images.len(), 5 * 784);
/// # Ok::<(), ganforge_gan::Error>(())
/// ```
pub struct Sampler {
    plan: Plan,
    executor: Box<dyn Executor>,
    device: Device,
    noise_dim: usize,
    dim: usize,
    labels: Option<Labels>,
    truncated: Option<Truncated>,
}

/// Normal noise without components beyond a bound, which the plan takes in the place of its own.
struct Truncated {
    bound: f32,
    /// [ROWS, dim]
    values: Vec<f32>,
}

impl Truncated {
    fn of(config: &Config) -> Option<Truncated> {
        config.noise.truncate.map(|bound| Truncated {
            bound: bound as f32,
            values: vec![0.0; ROWS * config.noise.dim],
        })
    }

    /// That of the `batch`-th samples of the key `seed`.
    fn draw(&mut self, seed: u64, batch: usize) -> &[f32] {
        let stream = RandomStream {
            key: seed,
            stream: stream_number(&format!("sample/z/{batch}")),
            counter: 0,
        };
        truncated(stream, self.bound, &mut self.values);
        &self.values
    }
}

/// The classes of samples.
struct Labels {
    /// How many there are.
    classes: usize,
    /// Sample i is of class i mod the length of this list; of an empty one of class i mod `classes`.
    turns: Vec<usize>,
    /// [ROWS]
    values: Vec<f32>,
}

impl Labels {
    /// Those of a generator that asks for classes.
    fn of(config: &Config) -> Option<Labels> {
        let classes = config.classes().filter(|_| config.has_classes_of_samples());
        classes.map(|classes| Labels {
            classes,
            turns: Vec::new(),
            values: vec![0.0; ROWS],
        })
    }

    fn set(labels: &mut Option<Labels>, turns: &[usize]) -> Result<()> {
        check_classes(labels.as_ref().map(|l| l.classes), turns)?;
        if let Some(labels) = labels {
            labels.turns = turns.to_vec();
        }
        Ok(())
    }

    /// Those of the samples from the `first` one on.
    fn feed(&mut self, first: usize) -> Feed<'_> {
        for (i, value) in self.values.iter_mut().enumerate() {
            let i = first + i;
            *value = match &self.turns[..] {
                [] => i % self.classes,
                turns => turns[i % turns.len()],
            } as f32;
        }
        Feed::new(LABELS, [ROWS], &self.values)
    }
}

/// Refuses classes that a generator of so many does not have.
pub(crate) fn check_classes(classes: Option<usize>, asked: &[usize]) -> Result<()> {
    let Some(classes) = classes else {
        return match asked {
            [] => Ok(()),
            _ => Err(Error::Mismatch("the generator has no classes".to_string())),
        };
    };
    match asked.iter().find(|k| **k >= classes) {
        None => Ok(()),
        Some(k) => {
            let last = classes - 1;
            let message = format!("class {k}: the generator has classes 0 to {last}");
            Err(Error::Mismatch(message))
        }
    }
}

impl Sampler {
    /// A sampler for the generator of `config`: with the averages of its parameters where they are kept.
    ///
    /// # Errors
    /// The graph's first fault.
    pub fn new(config: &Config) -> Result<Sampler> {
        Sampler::at(&Device::CPU, config)
    }

    /// The same, on `device`.
    ///
    /// # Errors
    /// As [`Sampler::new`]; the device's.
    pub fn at(device: &Device, config: &Config) -> Result<Sampler> {
        Sampler::with(device, config, false)
    }

    /// The same, in which batch norm goes by the statistics of the samples themselves, 100 at a time, as in training, in
    /// place of the running averages: sample i depends on the other ones of its hundred.
    ///
    /// # Errors
    /// As [`Sampler::at`].
    pub fn with_batch_statistics(device: &Device, config: &Config) -> Result<Sampler> {
        Sampler::with(device, config, true)
    }

    fn with(device: &Device, config: &Config, has_batch_statistics: bool) -> Result<Sampler> {
        config.check_generates()?;
        let graph = Graph::new();
        let truncated = Truncated::of(config);
        let z = match truncated {
            None => noise(&graph, config, "sample/z", ROWS),
            Some(_) => graph.input("z", [ROWS, config.noise.dim]),
        };
        let x = generator(&graph, config, z, has_batch_statistics);
        let plan = Plan::of(&graph).fetch("x", x);
        let plan = match truncated {
            None => plan.fetch("z", z),
            Some(_) => plan,
        };
        let plan = plan.compile()?;
        Ok(Sampler {
            executor: device.executor()?,
            device: device.clone(),
            plan,
            noise_dim: config.noise.dim,
            dim: config.output_dim(),
            labels: Labels::of(config),
            truncated,
        })
    }

    /// Where it draws.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// From here on all samples are of this class, or, of none, sample i of class i mod the number of classes, as at first.
    ///
    /// # Errors
    /// A generator without classes, or without this one.
    pub fn set_class(&mut self, class: Option<usize>) -> Result<()> {
        self.set_classes(class.as_slice())
    }

    /// From here on samples are of these classes in turn, sample i of that at i mod their number; of none as at first.
    ///
    /// # Errors
    /// A generator without classes, or without one of these.
    pub fn set_classes(&mut self, turns: &[usize]) -> Result<()> {
        Labels::set(&mut self.labels, turns)
    }

    /// The first `n` samples of the key `seed` from the generator in `store`: [n, data].
    ///
    /// # Errors
    /// A store without the generator's parameters.
    pub fn draw(&mut self, store: &mut Store, seed: u64, n: usize) -> Result<Vec<f32>> {
        self.fetch(store, seed, n, "x", self.dim)
    }

    /// The noise z [n, dim] that [`Sampler::draw`] decodes.
    ///
    /// # Errors
    /// As [`Sampler::draw`].
    pub fn noise(&mut self, store: &mut Store, seed: u64, n: usize) -> Result<Vec<f32>> {
        self.fetch(store, seed, n, "z", self.noise_dim)
    }

    fn fetch(
        &mut self,
        store: &mut Store,
        seed: u64,
        n: usize,
        name: &str,
        width: usize,
    ) -> Result<Vec<f32>> {
        room_for_rows(n, width)?;
        let control = store.control.clone();
        store.control.key = seed;
        let mut values = Vec::with_capacity(n.next_multiple_of(ROWS) * width);
        let mut done = Ok(());
        for batch in 0..n.div_ceil(ROWS) {
            store.control.step = batch as u64;
            let z = self.truncated.as_mut().map(|t| t.draw(seed, batch));
            if let Some(z) = z.filter(|_| name == "z") {
                values.extend_from_slice(z);
                continue;
            }
            let z = z.map(|z| Feed::new("z", [ROWS, self.noise_dim], z));
            let labels = self.labels.as_mut().map(|l| l.feed(batch * ROWS));
            let feeds: Vec<Feed> = z.into_iter().chain(labels).collect();
            done = self.executor.run(&self.plan, store, &feeds);
            if done.is_err() {
                break;
            }
            let fetched = self.executor.fetch(&self.plan, store, name);
            values.extend_from_slice(fetched.expect("the plan fetches z and x"));
        }
        store.control = control;
        done?;
        values.truncate(n * width);
        Ok(values)
    }
}

/// G(z) without dropout for noise that is given.
pub struct Decoder {
    plan: Plan,
    executor: Box<dyn Executor>,
    noise_dim: usize,
    dim: usize,
    labels: Option<Labels>,
}

impl Decoder {
    /// A decoder with the generator of `config`, with the averages of its parameters where they are kept.
    ///
    /// # Errors
    /// The graph's first fault.
    pub fn new(config: &Config) -> Result<Decoder> {
        Decoder::at(&Device::CPU, config)
    }

    /// The same, on `device`.
    ///
    /// # Errors
    /// As [`Decoder::new`]; the device's.
    pub fn at(device: &Device, config: &Config) -> Result<Decoder> {
        config.check_generates()?;
        Decoder::of_parameters(device, config)
    }

    /// The same of a generator that a run trains or an encoder inverts.
    pub(crate) fn of_parameters(device: &Device, config: &Config) -> Result<Decoder> {
        let graph = Graph::new();
        let z = graph.input("z", [ROWS, config.noise.dim]);
        let x = generator(&graph, config, z, false);
        let plan = Plan::of(&graph).fetch("x", x).compile()?;
        Ok(Decoder {
            executor: device.executor()?,
            plan,
            noise_dim: config.noise.dim,
            dim: config.output_dim(),
            labels: Labels::of(config),
        })
    }

    /// As [`Sampler::set_class`].
    ///
    /// # Errors
    /// Those.
    pub fn set_class(&mut self, class: Option<usize>) -> Result<()> {
        self.set_classes(class.as_slice())
    }

    /// As [`Sampler::set_classes`].
    ///
    /// # Errors
    /// Those.
    pub fn set_classes(&mut self, turns: &[usize]) -> Result<()> {
        Labels::set(&mut self.labels, turns)
    }

    /// G(z) for noise z [n, dim]: [n, data].
    ///
    /// # Errors
    /// Noise that is not rows of dim values; a store without the generator's parameters.
    pub fn decode(&mut self, store: &mut Store, z: &[f32]) -> Result<Vec<f32>> {
        let width = self.noise_dim;
        if !z.len().is_multiple_of(width) {
            let len = z.len();
            let message = format!("noise of {len} values: expected rows of {width}");
            return Err(Error::Mismatch(message));
        }
        let n = z.len() / width;
        room_for_rows(n, self.dim)?;
        let mut x = Vec::with_capacity(n.next_multiple_of(ROWS) * self.dim);
        let mut block = vec![0.0; ROWS * width];
        for (batch, rows) in z.chunks(ROWS * width).enumerate() {
            block[..rows.len()].copy_from_slice(rows);
            let noise = Feed::new("z", [ROWS, width], &block);
            match &mut self.labels {
                None => self.executor.run(&self.plan, store, &[noise])?,
                Some(labels) => {
                    let feeds = [noise, labels.feed(batch * ROWS)];
                    self.executor.run(&self.plan, store, &feeds)?;
                }
            }
            let fetched = self.executor.fetch(&self.plan, store, "x");
            x.extend_from_slice(fetched.expect("the plan fetches x"));
        }
        x.truncate(n * self.dim);
        Ok(x)
    }
}

/// G(z) [n, d] of the generator whose samples are shown and scored.
pub(crate) fn generator<'g>(
    graph: &'g Graph,
    config: &Config,
    z: Var<'g>,
    has_batch_statistics: bool,
) -> Var<'g> {
    let mut build = Build::new(graph).with_batch_statistics(has_batch_statistics);
    sampled(&mut build, config, z)
}

/// The same, of whatever else `build` says of how G is recorded.
pub(crate) fn sampled<'g>(build: &mut Build<'g>, config: &Config, z: Var<'g>) -> Var<'g> {
    flat(match config.train.average {
        Some(_) => build.eval_averaged("G", &config.generator, z),
        None => build.eval("G", &config.generator, z),
    })
}

pub(crate) fn room_for_rows(n: usize, width: usize) -> Result<()> {
    let floats = (n.saturating_add(ROWS) as u64).saturating_mul(width as u64);
    room_for(&format!("drawing {n} samples"), floats)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init;

    #[test]
    fn decoding_the_noise_of_samples_gives_the_samples() {
        let config = Config::preset("tiny").expect("a preset");
        let mut store = init::store(&config, 784, &[0.2; 784]).expect("consistent");
        let mut sampler = Sampler::new(&config).expect("recorded");
        let samples = sampler.draw(&mut store, 7, 103).expect("drawn");
        let z = sampler.noise(&mut store, 7, 103).expect("drawn");
        assert_eq!(z.len(), 103 * config.noise.dim);
        let mut decoder = Decoder::new(&config).expect("recorded");
        assert_eq!(decoder.decode(&mut store, &z).expect("decoded"), samples);
        assert!(decoder.decode(&mut store, &z[1..]).is_err());
    }

    /// n = 300 vectors z [n, 10] of tiny with another distribution.
    fn noise_of(distribution: &str) -> Vec<f32> {
        let option = format!("noise.distribution={distribution:?}");
        let config = Config::preset("tiny").and_then(|c| c.with(&[option]));
        let config = config.expect("valid");
        let mut store = init::store(&config, 784, &[0.2; 784]).expect("consistent");
        let mut sampler = Sampler::new(&config).expect("recorded");
        sampler.noise(&mut store, 7, 300).expect("drawn")
    }

    #[test]
    fn noise_has_the_moments_of_its_distribution() {
        // Mean, variance and range of a component.
        for (distribution, mean, variance, range) in [
            ("uniform", 0.0, 1.0, [-3f64.sqrt(), 3f64.sqrt()]),
            ("unit-uniform", 0.5, 1.0 / 12.0, [0.0, 1.0]),
            ("signed-uniform", 0.0, 1.0 / 3.0, [-1.0, 1.0]),
            ("normal", 0.0, 1.0, [-6.0, 6.0]),
            ("spherical", 0.0, 0.1, [-1.0, 1.0]),
            ("signs", 0.0, 1.0, [-1.0, 1.0]),
        ] {
            let z: Vec<f64> = noise_of(distribution).into_iter().map(f64::from).collect();
            let n = z.len() as f64;
            let found = z.iter().sum::<f64>() / n;
            assert!(
                (found - mean).abs() < 4.0 * (variance / n).sqrt(),
                "{distribution}: {found}"
            );
            let found = z.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / n;
            assert!(
                (found / variance - 1.0).abs() < 4.0 * (2.0 / n).sqrt(),
                "{distribution}: {found}"
            );
            let is_in = |z: &f64| (range[0] - 1e-6..=range[1] + 1e-6).contains(z);
            assert!(z.iter().all(is_in), "{distribution}");
        }
        for z in noise_of("spherical").chunks(10) {
            let norm = z.iter().map(|z| z * z).sum::<f32>().sqrt();
            assert!((norm - 1.0).abs() < 1e-6, "{norm}");
        }
    }

    #[test]
    fn truncated_noise_has_the_variance_of_a_truncated_normal_and_decodes_to_its_samples() {
        for (bound, variance) in [(2.0, 0.773_741_3), (0.5, 0.080_589_2), (1e-3, 3.333_333e-7)] {
            let options = [
                "noise.distribution=normal",
                &format!("noise.truncate={bound}"),
            ];
            let config = Config::preset("tiny").and_then(|c| c.with(&options));
            let config = config.expect("valid");
            let mut store = init::store(&config, 784, &[0.2; 784]).expect("consistent");
            let mut sampler = Sampler::new(&config).expect("recorded");
            let z = sampler.noise(&mut store, 7, 2000).expect("drawn");
            assert!(z.iter().all(|z| f64::from(z.abs()) <= bound));
            let n = z.len() as f64;
            let found = z.iter().map(|z| f64::from(*z).powi(2)).sum::<f64>() / n;
            let near = 4.0 * (2.0 / n).sqrt();
            assert!((found / variance - 1.0).abs() < near, "{bound}: {found}");
            let samples = sampler.draw(&mut store, 7, 130).expect("drawn");
            let mut decoder = Decoder::new(&config).expect("recorded");
            let again = decoder.decode(&mut store, &z[..130 * 10]).expect("decoded");
            assert_eq!(again, samples);
        }
        let signs = noise_of("signs");
        assert!(signs.iter().all(|z| z.abs() == 1.0));
        let config = Config::preset("tiny").expect("a preset");
        let options = ["noise.distribution=uniform", "noise.truncate=1"];
        let error = config.with(&options).expect_err("bounded already");
        assert!(error.to_string().contains("noise.truncate"), "{error}");
    }

    #[test]
    fn no_sample_comes_twice_and_another_seed_draws_others() {
        let z = noise_of("normal");
        let rows: std::collections::BTreeSet<Vec<u32>> = z
            .chunks(10)
            .map(|row| row.iter().map(|v| v.to_bits()).collect())
            .collect();
        assert_eq!(rows.len(), 300);
        let config = Config::preset("tiny").expect("a preset");
        let mut store = init::store(&config, 784, &[0.2; 784]).expect("consistent");
        let mut sampler = Sampler::new(&config).expect("recorded");
        let mut draw = |seed| sampler.draw(&mut store, seed, 3).expect("drawn");
        let (a, b) = (draw(7), draw(8));
        assert_ne!(a, b);
        assert_eq!(draw(7), a);
    }

    #[test]
    fn samples_are_those_of_the_averages_where_they_are_kept() {
        let config = Config::preset("tiny").and_then(|c| c.with(&["train.average=0.9"]));
        let config = config.expect("valid");
        let mut store = init::store(&config, 784, &[0.2; 784]).expect("consistent");
        let mut sampler = Sampler::new(&config).expect("recorded");
        let before = sampler.draw(&mut store, 7, 3).expect("drawn");
        let zero = |store: &mut Store, name: &str| {
            let shape = store.get(name).expect("there").shape;
            let zeros = vec![0.0; shape.elements()];
            store.insert(name, shape, zeros).expect("the same shape");
        };
        zero(&mut store, "G.out.w");
        assert_eq!(sampler.draw(&mut store, 7, 3).expect("drawn"), before);
        zero(&mut store, "G.out.w.average");
        assert_ne!(sampler.draw(&mut store, 7, 3).expect("drawn"), before);
    }
}
