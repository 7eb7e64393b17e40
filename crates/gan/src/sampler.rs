//! Samples from a generator.

use ganforge_tensor::{Cpu, Executor, Graph, Plan, Store};

use crate::config::Config;
use crate::error::{Result, room_for};
use crate::game::noise;
use crate::model::Net;

/// Rows drawn at once.
const ROWS: usize = 100;

/// Draws G(z) without dropout, from a key of its own: sample i depends on the key and i alone.
pub struct Sampler {
    plan: Plan,
    cpu: Cpu,
    dim: usize,
}

impl Sampler {
    /// A sampler for the generator of `config`.
    ///
    /// # Errors
    /// The graph's first fault.
    pub fn new(config: &Config) -> Result<Sampler> {
        let graph = Graph::new();
        let z = noise(&graph, config, "sample/z", ROWS);
        let net = Net::declare(&graph, "G", &config.generator, config.noise.dim);
        let x = net.forward(z);
        let plan = Plan::of(&graph).fetch("x", x).compile()?;
        Ok(Sampler {
            cpu: Cpu::new(&plan),
            plan,
            dim: config.output_dim(),
        })
    }

    /// The first `n` samples of the key `seed` from the generator in `store`: [n, data].
    ///
    /// # Errors
    /// A store without the generator's parameters.
    pub fn draw(&mut self, store: &mut Store, seed: u64, n: usize) -> Result<Vec<f32>> {
        let control = store.control.clone();
        store.control.key = seed;
        let drawn = self.batches(store, n);
        store.control = control;
        drawn
    }

    fn batches(&mut self, store: &mut Store, n: usize) -> Result<Vec<f32>> {
        let floats = (n.saturating_add(ROWS) as u64).saturating_mul(self.dim as u64);
        room_for(&format!("drawing {n} samples"), floats)?;
        let mut samples = Vec::with_capacity(n.next_multiple_of(ROWS) * self.dim);
        for batch in 0..n.div_ceil(ROWS) {
            store.control.step = batch as u64;
            self.cpu.run(&self.plan, store, &[])?;
            let x = self.cpu.fetch(&self.plan, store, "x");
            samples.extend_from_slice(x.expect("the plan fetches x"));
        }
        samples.truncate(n * self.dim);
        Ok(samples)
    }
}
