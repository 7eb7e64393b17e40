//! A trained generator that restores images.

use ganforge_tensor::{Device, Executor, Feed, Graph, Plan, Store};

use super::Restore;
use crate::config::{Config, Contrast};
use crate::data::pictures::shown;
use crate::data::{Dataset, Images};
use crate::error::{Error, Result, room_for};
use crate::game::noise;
use crate::metrics::Inferred;
use crate::nn::{Build, flat};
use crate::sampler::sampled;

/// Rows computed at once.
const ROWS: usize = 100;

/// The generator of a run with `[restore]`.
pub struct Restorer {
    config: Config,
    restore: Restore,
    image: [usize; 3],
    store: Store,
    plan: Plan,
    executor: Box<dyn Executor>,
}

impl Restorer {
    /// That of a run: of its configuration and its state, with the averages of its parameters where they are kept.
    ///
    /// # Errors
    /// A run without `[restore]`; the graph's first fault.
    pub fn of_run(config: &Config, store: &Store) -> Result<Restorer> {
        Restorer::at(&Device::CPU, config, store)
    }

    /// The same, on `device`.
    ///
    /// # Errors
    /// As [`Restorer::of_run`]; the device's.
    pub fn at(device: &Device, config: &Config, store: &Store) -> Result<Restorer> {
        let (Some(restore), Some(image)) = (&config.restore, config.restored_image()) else {
            let message = format!(
                "{}: has no [restore]: its generator is not given images",
                config.name
            );
            return Err(Error::Mismatch(message));
        };
        let ([h, w, c], graph) = (image, Graph::new());
        room_for("a batch of images", (ROWS * h * w * c) as u64)?;
        let x = graph.input("x", [ROWS, h * w * c]);
        let known = restore.kind.shown([h, w], config.seed).map(|_| {
            let known = graph.input("known", [1, h, w, 1]);
            known.broadcast_to([ROWS, h, w, 1])
        });
        let z = noise(&graph, config, "sample/z", ROWS);
        let given = restore.given(image, x, known, z);
        let y = sampled(&mut Build::new(&graph), config, given.input);
        let plan = Plan::of(&graph).fetch("restored", flat(given.restored(y)));
        Ok(Restorer {
            plan: plan.compile()?,
            executor: device.executor()?,
            restore: restore.clone(),
            image,
            config: config.clone(),
            store: store.clone(),
        })
    }

    /// Height, width and channels of the images that it takes and makes.
    pub fn image(&self) -> [usize; 3] {
        self.image
    }

    /// What the run's own scores and pictures take for known, `[h · w]`.
    pub fn known(&self) -> Option<Vec<f32>> {
        let [h, w, _] = self.image;
        self.restore.kind.shown([h, w], self.config.seed)
    }

    /// Examples x [n, d], as the networks see them, restored, with the `draw`-th noise of the run's seed: [n, d]. Of inpainting
    /// `known`, [h · w], says which pixels are known, 1, and which are not, 0.
    ///
    /// # Errors
    /// Values that are no whole examples; a mask of another size or with other values, or none where there must be one, and one where
    /// there must be none; more examples than there is memory for.
    pub fn restore(&mut self, x: &[f32], known: Option<&[f32]>, draw: u32) -> Result<Vec<f32>> {
        let [h, w, c] = self.image;
        let d = h * w * c;
        let refused = |message: String| {
            let name = &self.config.name;
            Err(Error::Mismatch(format!("{name}: {message}")))
        };
        if !x.len().is_multiple_of(d) {
            let got = x.len();
            return refused(format!("examples are rows of {d} values, got {got} values"));
        }
        match (self.known().is_some(), known) {
            (true, None) => return refused("needs a mask of the pixels that are known".to_owned()),
            (false, Some(_)) => return refused("takes no mask".to_owned()),
            (_, Some(known)) if known.len() != h * w => {
                let got = known.len();
                return refused(format!("a mask has {} values, {h}x{w}, got {got}", h * w));
            }
            (_, Some(known)) if known.iter().any(|m| *m != 0.0 && *m != 1.0) => {
                return refused("a mask is of zeros and ones".to_owned());
            }
            _ => {}
        }
        room_for("these images", 2 * x.len() as u64)?;
        let (mut restored, mut batch) = (Vec::with_capacity(x.len()), vec![0.0; ROWS * d]);
        let control = self.store.control.clone();
        self.store.control.key = self.config.seed;
        let mut done = Ok(());
        for (block, examples) in x.chunks(ROWS * d).enumerate() {
            batch[..examples.len()].copy_from_slice(examples);
            self.store.control.step = u64::from(draw) << 32 | block as u64;
            let x = Feed::new("x", [ROWS, d], &batch);
            let known = known.map(|known| Feed::new("known", [1, h, w, 1], known));
            let feeds: Vec<Feed> = [Some(x), known].into_iter().flatten().collect();
            done = self.executor.run(&self.plan, &mut self.store, &feeds);
            if done.is_err() {
                break;
            }
            let found = self.executor.fetch(&self.plan, &self.store, "restored");
            let found = found.expect("the plan fetches it");
            restored.extend_from_slice(&found[..examples.len()]);
        }
        self.store.control = control;
        done?;
        Ok(restored)
    }

    /// What it is given of examples x [n, d], as a picture shows it: with grey where nothing is known.
    pub fn incomplete(&self, x: &[f32], known: Option<&[f32]>) -> Vec<f32> {
        let channels = self.image[2];
        let grey = match self.config.data.contrast {
            Contrast::AsIs => 0.5,
            _ => 0.0,
        };
        let Some(known) = known else {
            return x.to_vec();
        };
        let pixels = known.iter().flat_map(|m| std::iter::repeat_n(*m, channels));
        let shown = |(x, known): (&f32, f32)| x * known + grey * (1.0 - known);
        x.iter().zip(pixels.cycle()).map(shown).collect()
    }

    /// What it makes of all test examples of `data`, as scores see it.
    ///
    /// # Errors
    /// As [`Restorer::restore`].
    pub fn scored(&mut self, data: &Dataset) -> Result<Inferred> {
        let known = self.known();
        let again = self.restore(&all(&data.test)?, known.as_deref(), 0)?;
        let missing = known.map_or(1.0, |known| {
            let missing = known.iter().filter(|m| **m == 0.0).count();
            missing as f64 / known.len() as f64
        });
        let test_again = match self.config.data.contrast {
            Contrast::Signed => shown(&again, Contrast::Signed).into_owned(),
            _ => again,
        };
        Ok(Inferred {
            test_again,
            missing,
            ..Inferred::default()
        })
    }
}

fn all(images: &Images) -> Result<Vec<f32>> {
    Ok(images.to_f32(0..images.n())?)
}
