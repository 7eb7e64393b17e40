//! Samples between two classes.

use ganforge_tensor::{Device, Executor, Feed, Graph, Plan, Store};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::nn::Build;
use crate::sampler::{ROWS, check_classes, room_for_rows, sampled};

/// G(z) without dropout for noise and classes that are given, where a class may be on the way from one to another: a layer that is
/// told it gets (1 - t) times the vector of the first, a one in its place or what was learnt of it, and t times that of the second.
pub struct ClassBlend {
    plan: Plan,
    executor: Box<dyn Executor>,
    noise_dim: usize,
    dim: usize,
    classes: usize,
}

/// The inputs of its plan beside z.
const INPUTS: [&str; 3] = ["from", "to", "share"];

impl ClassBlend {
    /// That of the generator of `config`, on `device`; with the averages of its parameters where they are kept.
    ///
    /// # Errors
    /// A generator without classes; the graph's first fault; the device's.
    pub fn at(device: &Device, config: &Config) -> Result<ClassBlend> {
        config.check_generates()?;
        let classes = config.classes().filter(|_| config.has_classes_of_samples());
        let none = || Error::Mismatch("the generator has no classes".to_string());
        let classes = classes.ok_or_else(none)?;
        let graph = Graph::new();
        let z = graph.input("z", [ROWS, config.noise.dim]);
        let [from, to, share] = INPUTS.map(|name| graph.input(name, [ROWS]));
        let mut build = Build::new(&graph);
        build.set_labels(Some(from));
        build.blend_labels(to, share);
        let x = sampled(&mut build, config, z);
        let plan = Plan::of(&graph).fetch("x", x).compile()?;
        Ok(ClassBlend {
            executor: device.executor()?,
            plan,
            noise_dim: config.noise.dim,
            dim: config.output_dim(),
            classes,
        })
    }

    /// G(z) for noise z `[n, dim]` and shares t `[n]` of the second of two classes: `[n, data]`.
    ///
    /// # Errors
    /// Classes that the generator does not have; noise that is not a row of dim values for each share; a share that is not from 0 to
    /// 1; a store without the generator's parameters.
    pub fn decode(
        &mut self,
        store: &mut Store,
        z: &[f32],
        classes: [usize; 2],
        shares: &[f32],
    ) -> Result<Vec<f32>> {
        check_classes(Some(self.classes), &classes)?;
        let (n, width) = (shares.len(), self.noise_dim);
        if z.len() != n.saturating_mul(width) {
            let len = z.len();
            let message = format!("noise of {len} values for {n} shares: expected rows of {width}");
            return Err(Error::Mismatch(message));
        }
        if let Some(t) = shares.iter().find(|t| !(0.0..=1.0).contains(*t)) {
            let message = format!("a share of the second class must be from 0 to 1, got {t}");
            return Err(Error::Mismatch(message));
        }
        room_for_rows(n, self.dim)?;
        let mut x = Vec::with_capacity(n.next_multiple_of(ROWS) * self.dim);
        let [from, to] = classes.map(|class| vec![class as f32; ROWS]);
        let (mut block, mut share) = (vec![0.0; ROWS * width], vec![0.0; ROWS]);
        for (z, t) in z.chunks(ROWS * width).zip(shares.chunks(ROWS)) {
            block[..z.len()].copy_from_slice(z);
            share[..t.len()].copy_from_slice(t);
            let of_classes = INPUTS.into_iter().zip([&from, &to, &share]);
            let noise = Feed::new("z", [ROWS, width], &block);
            let feeds = of_classes.map(|(name, values)| Feed::new(name, [ROWS], values));
            let feeds: Vec<Feed> = std::iter::once(noise).chain(feeds).collect();
            self.executor.run(&self.plan, store, &feeds)?;
            let fetched = self.executor.fetch(&self.plan, store, "x");
            x.extend_from_slice(fetched.expect("the plan fetches x"));
        }
        x.truncate(n * self.dim);
        Ok(x)
    }
}
