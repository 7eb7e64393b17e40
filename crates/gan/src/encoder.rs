//! A trained encoder: the noise that a generator makes an image of, and the image that it makes of that.
//!
//! ```
//! use ganforge_gan::{Config, Trainer, data, encoder::Encoder};
//! let config = Config::preset("encoder")?.with(&["train.batch=20"])?; // of the generator that comes with the program
//! let digits = data::bundled_sample()?;
//! let mut trainer = Trainer::new(&config, &digits.train)?;
//! trainer.load_pretrained()?;
//! assert!(trainer.step()?.get("r2").is_some());
//! let mut encoder = Encoder::of_run(&config, trainer.store())?;
//! let x = digits.test.to_f32(0..3)?;
//! let [z, again] = encoder.find(&x)?;
//! assert_eq!([z.len(), again.len()], [3 * config.noise.dim, 3 * 784]);
//! # Ok::<(), ganforge_gan::Error>(())
//! ```

use ganforge_tensor::{Device, Executor, Feed, Graph, Plan, Store};

use crate::config::{Config, Contrast};
use crate::data::pictures::shown;
use crate::data::{Dataset, Images};
use crate::error::{Error, Result, room_for};
use crate::game::noise;
use crate::inverse;
use crate::metrics::Inferred;
use crate::nn::{Build, flat, shaped};

/// Rows computed at once.
const ROWS: usize = 100;

/// A trained encoder and the generator that it inverts.
pub struct Encoder {
    config: Config,
    store: Store,
    device: Device,
    /// x to z = E(x) and G(z).
    find: Plan,
    /// z, drawn, and G(z).
    draw: Plan,
    executor: Box<dyn Executor>,
}

impl Encoder {
    /// The encoder of a run: of its configuration and its state.
    ///
    /// # Errors
    /// A run without an encoder, or whose generator was not read; the graph's first fault.
    pub fn of_run(config: &Config, store: &Store) -> Result<Encoder> {
        Encoder::at(&Device::CPU, config, store)
    }

    /// The same, on `device`.
    ///
    /// # Errors
    /// As [`Encoder::of_run`]; the device's.
    pub fn at(device: &Device, config: &Config, store: &Store) -> Result<Encoder> {
        let Some(encoder) = &config.encoder else {
            let message = format!(
                "{}: has no encoder, which `train --encoder` trains",
                config.name
            );
            return Err(Error::Mismatch(message));
        };
        config.check_encoder_is_read()?;
        let d = config.output_dim();
        room_for("a batch of images", (ROWS * d) as u64)?;
        let graph = Graph::new();
        let x = graph.input("x", [ROWS, d]);
        let mut build = Build::new(&graph);
        let z = flat(build.eval("E", encoder, shaped(x, &config.example_shape(d))));
        let again = flat(build.eval("G", &config.generator, z));
        let find = Plan::of(&graph).fetch("z", z).fetch("again", again);
        let drawing = Graph::new();
        let z = noise(&drawing, config, "sample/z", ROWS);
        let samples = flat(Build::new(&drawing).eval("G", &config.generator, z));
        let draw = Plan::of(&drawing).fetch("z", z).fetch("again", samples);
        Ok(Encoder {
            find: find.compile()?,
            draw: draw.compile()?,
            executor: device.executor()?,
            device: device.clone(),
            config: config.clone(),
            store: store.clone(),
        })
    }

    /// E(x) [n, dim] and G(E(x)) [n, d] of examples x [n, d] as the networks see them.
    ///
    /// # Errors
    /// Values that are no whole examples; more of them than there is memory for.
    pub fn find(&mut self, x: &[f32]) -> Result<[Vec<f32>; 2]> {
        let d = self.config.output_dim();
        if !x.len().is_multiple_of(d) {
            let message = format!(
                "{}: examples are rows of {d} values, got {} values",
                self.config.name,
                x.len()
            );
            return Err(Error::Mismatch(message));
        }
        let (dim, n) = (self.config.noise.dim, x.len() / d);
        room_for("what is found of these images", ((dim + d) * n) as u64)?;
        let (mut z, mut again) = (Vec::with_capacity(n * dim), Vec::with_capacity(n * d));
        let mut batch = vec![0.0; ROWS * d];
        for examples in x.chunks(ROWS * d) {
            batch[..examples.len()].copy_from_slice(examples);
            let feed = Feed::new("x", [ROWS, d], &batch);
            self.executor.run(&self.find, &mut self.store, &[feed])?;
            let rows = examples.len() / d;
            z.extend_from_slice(&self.fetched(&self.find, "z")[..rows * dim]);
            again.extend_from_slice(&self.fetched(&self.find, "again")[..rows * d]);
        }
        Ok([z, again])
    }

    fn fetched(&self, plan: &Plan, name: &str) -> &[f32] {
        let values = self.executor.fetch(plan, &self.store, name);
        values.expect("the plan fetches it")
    }

    /// The first `n` vectors z [n, dim] of noise of the run's seed, as samples are drawn of, and G(z) [n, d].
    ///
    /// # Errors
    /// More of them than there is memory for.
    pub fn samples(&mut self, n: usize) -> Result<[Vec<f32>; 2]> {
        let (dim, d) = (self.config.noise.dim, self.config.output_dim());
        room_for(
            "these samples",
            (n.next_multiple_of(ROWS) * (dim + d)) as u64,
        )?;
        let (mut z, mut samples) = (Vec::new(), Vec::new());
        let control = self.store.control.clone();
        self.store.control.key = self.config.seed;
        for batch in 0..n.div_ceil(ROWS) {
            self.store.control.step = batch as u64;
            self.executor.run(&self.draw, &mut self.store, &[])?;
            z.extend_from_slice(self.fetched(&self.draw, "z"));
            samples.extend_from_slice(self.fetched(&self.draw, "again"));
        }
        self.store.control = control;
        z.truncate(n * dim);
        samples.truncate(n * d);
        Ok([z, samples])
    }

    /// Noise [n, dim] near z whose sample is nearer to x [n, d] in squared error, by so many steps of Adam, and that sample; of
    /// each example the best of all steps.
    ///
    /// # Errors
    /// As [`Encoder::find`].
    pub fn refine(&mut self, x: &[f32], z: &[f32], steps: usize, lr: f64) -> Result<[Vec<f32>; 2]> {
        let (device, config) = (&self.device, &self.config);
        inverse::refined(device, config, &self.store, (x, z), (steps, lr))
    }

    /// What it finds of `samples` samples and of all test examples of `data`, as scores see them.
    ///
    /// # Errors
    /// As [`Encoder::find`].
    pub fn inferred(&mut self, samples: usize, data: &Dataset) -> Result<Inferred> {
        let [z, x] = self.samples(samples)?;
        let [z_found, samples_again] = self.find(&x)?;
        let [_, test_again] = self.find(&all(&data.test)?)?;
        let contrast = self.config.data.contrast;
        let pixels = |values: Vec<f32>| match contrast {
            Contrast::Signed => shown(&values, contrast).into_owned(),
            _ => values,
        };
        Ok(Inferred {
            dim: self.config.noise.dim,
            z,
            z_found,
            samples: pixels(x),
            samples_again: pixels(samples_again),
            test_again: pixels(test_again),
            missing: 1.0,
        })
    }
}

fn all(images: &Images) -> Result<Vec<f32>> {
    Ok(images.to_f32(0..images.n())?)
}
