//! A discriminator's outputs at given points.

use ganforge_tensor::{Device, Executor, Feed, Graph, Plan, Store};

use crate::config::Config;
use crate::data::Images;
use crate::error::{Error, Result};
use crate::losses::Form;
use crate::nn::{Build, flat, shaped};

/// Points judged at once.
const ROWS: usize = 100;

/// D's logits, without dropout.
pub struct Critic {
    plan: Plan,
    executor: Box<dyn Executor>,
    /// [ROWS, data]
    x: Vec<f32>,
}

impl Critic {
    /// The logits of the discriminator of `config`.
    ///
    /// # Errors
    /// The graph's first fault.
    pub fn new(config: &Config) -> Result<Critic> {
        Critic::at(&Device::CPU, config)
    }

    /// The same, on `device`.
    ///
    /// # Errors
    /// As [`Critic::new`]; the device's; a discriminator that asks for classes, which points do not have.
    pub fn at(device: &Device, config: &Config) -> Result<Critic> {
        config.check_generates()?;
        config.check_judges_points()?;
        let (graph, d) = (Graph::new(), config.output_dim());
        let x = graph.input("x", [ROWS, d]);
        let example = shaped(x, &config.example_shape(d));
        let output = flat(Build::new(&graph).eval_scored("D", &config.discriminator, example));
        let logits = config.loss.kind.head(output, x, None);
        let mut plan = Plan::of(&graph).fetch("logits", logits);
        let classifies = config.loss.kind.form() == Form::Classes;
        if classifies {
            plan = plan.fetch("classes", output.arg_max(output.shape().dims()[1]));
        }
        let plan = plan.compile()?;
        Ok(Critic {
            executor: device.executor()?,
            plan,
            x: vec![0.0; ROWS * d],
        })
    }

    /// The logit of each of the points [n, data] by the discriminator in `store`; D = sigmoid(logit).
    ///
    /// # Errors
    /// A store without the discriminator's parameters.
    pub fn of(&mut self, store: &mut Store, points: &[f32]) -> Result<Vec<f32>> {
        self.fetch(store, points, "logits")
    }

    /// The class that the discriminator in `store` finds likeliest, of each image.
    ///
    /// # Errors
    /// A discriminator that does not classify; as [`Critic::of`].
    pub fn classes(&mut self, store: &mut Store, images: &Images) -> Result<Vec<usize>> {
        if !self.plan.fetches.iter().any(|f| f.name == "classes") {
            let message = "the discriminator does not classify: loss.kind is not \"cls-gan\" or \"semi-supervised\"";
            return Err(Error::Mismatch(message.to_string()));
        }
        let mut classes = Vec::with_capacity(images.n());
        for first in (0..images.n()).step_by(ROWS) {
            let rows = images.to_f32(first..images.n().min(first + ROWS))?;
            let found = self.fetch(store, &rows, "classes")?;
            classes.extend(found.into_iter().map(|class| class as usize));
        }
        Ok(classes)
    }

    /// One number for each of the points [n, data].
    fn fetch(&mut self, store: &mut Store, points: &[f32], name: &str) -> Result<Vec<f32>> {
        let d = self.x.len() / ROWS;
        let mut values = Vec::with_capacity(points.len() / d);
        for batch in points.chunks(ROWS * d) {
            self.x[..batch.len()].copy_from_slice(batch);
            let x = Feed::new("x", [ROWS, d], &self.x);
            self.executor.run(&self.plan, store, &[x])?;
            let found = self.executor.fetch(&self.plan, store, name);
            let found = found.expect("the plan fetches it");
            values.extend_from_slice(&found[..batch.len() / d]);
        }
        Ok(values)
    }

    /// D(x) of points on the line.
    ///
    /// # Errors
    /// As [`Critic::of`].
    pub fn probabilities(
        &mut self,
        store: &mut Store,
        x: impl Iterator<Item = f64>,
    ) -> Result<Vec<f64>> {
        let x: Vec<f32> = x.map(|x| x as f32).collect();
        let sigmoid = |logit: f32| 1.0 / (1.0 + f64::from(-logit).exp());
        Ok(self.of(store, &x)?.into_iter().map(sigmoid).collect())
    }
}
