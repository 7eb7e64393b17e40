//! How steep a training step is: the norms of the gradients that it would follow.
//!
//! The plan that trains never writes the gradients of weights: they end in the momentum update inside of the product
//! that makes them. So the same recorded step gets a second plan here, which hands out their norms and updates nothing.
//! Run on the same state and the same minibatch, it draws the same noise and masks, for those follow from key and step.

use ganforge_tensor::{Keep, Plan};

use crate::config::Config;
use crate::error::Result;
use crate::game::Step;
use crate::tensors::Tensors;

/// What is measured, in this order: `grad/D.h0.w`, ..., `grad/G.out.w`.
pub fn names(config: &Config) -> Vec<String> {
    let tensors = Tensors::of(config, config.output_dim());
    let nets = config.nets().into_iter();
    let params = nets.flat_map(|(net, _)| tensors.params(net));
    let weights = params.filter(|s| s.is_weight());
    weights.map(|s| format!("grad/{}", s.name)).collect()
}

/// A plan of `step` that hands out the L2 norm of the gradient in each weight, as [`names`] calls them, and updates
/// nothing.
///
/// Of several discriminator steps it is the last one that counts, as for the losses.
///
/// ‖g‖ = √(Σ gᵢ²), in f32: a gradient whose elements are all below 1e-23 counts as 0
///
/// # Errors
/// The graph's first fault.
pub fn plan(step: &Step) -> Result<Plan> {
    let _scope = step.graph.scope("monitor");
    let mut builder = step.begin(Keep::Fetched);
    let params = ["D", "G", "C", "E"]
        .into_iter()
        .flat_map(|net| step.tensors.params(net));
    for spec in params.filter(|s| s.is_weight()) {
        let last = step.grads.iter().rfind(|g| g.param == spec.name);
        if let Some(grad) = last {
            let norm = grad.var.square().sum().sqrt();
            builder = builder.fetch(&format!("grad/{}", spec.name), norm);
        }
    }
    Ok(builder.compile()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Images;
    use crate::trainer::Trainer;
    use ganforge_tensor::Device;

    const MODES: [&str; 4] = [
        "train.update=simultaneous",
        "train.update=alternating",
        "train.k=3",
        "optimizer.kind=adam",
    ];

    fn config(mode: &str) -> Config {
        let small = [
            "train.batch=10",
            "train.update=alternating",
            "optimizer.lr=0.01",
            mode,
        ];
        let preset = Config::preset("tiny").and_then(|c| c.with(&small));
        preset.expect("valid")
    }

    fn images() -> Images {
        let bytes = (0..120 * 784).map(|i| (i * 7919 % 256) as u8);
        Images::from_bytes(784, bytes.collect::<Vec<u8>>())
    }

    /// The training plan that also hands out the gradients.
    fn with_gradients(step: &Step) -> Result<Plan> {
        let mut builder = step.begin(Keep::Fetched);
        for grad in &step.grads {
            builder = builder.fetch(&grad.name, grad.var);
        }
        for (old, (_, new)) in &step.updates {
            builder = builder.update(*old, *new);
        }
        Ok(builder.compile()?)
    }

    #[test]
    fn norms_are_those_of_the_gradients_that_the_step_follows() {
        for mode in MODES {
            let config = config(mode);
            let mut trainer =
                Trainer::with_plan(&Device::CPU, &config, &images(), with_gradients).expect(mode);
            let last = if mode == "train.k=3" { ".2" } else { "" };
            for step in 0..3 {
                let norms = trainer.gradient_norms().expect(mode);
                trainer.step().expect(mode);
                assert_eq!(norms.len(), 4);
                for (name, norm) in names(&config).iter().zip(norms) {
                    let suffix = if name.starts_with("grad/D") { last } else { "" };
                    let grad = format!("{}{suffix}", &name["grad/".len()..]);
                    let grad = trainer.fetch(&grad).expect("fetched");
                    let sum: f64 = grad.iter().map(|&g| f64::from(g).powi(2)).sum();
                    let error = (f64::from(norm) / sum.sqrt() - 1.0).abs();
                    assert!(
                        error < 1e-6,
                        "{mode}, step {step}: {name} is off by {error}"
                    );
                }
            }
        }
    }

    #[test]
    fn measuring_changes_no_bit_of_training() {
        for mode in MODES {
            let config = config(mode);
            let mut measured = Trainer::new(&config, &images()).expect(mode);
            let mut plain = Trainer::new(&config, &images()).expect(mode);
            for _ in 0..5 {
                measured.gradient_norms().expect(mode);
                let reports = (measured.step(), plain.step());
                assert_eq!(reports.0.expect(mode), reports.1.expect(mode));
            }
            assert_eq!(measured.store(), plain.store(), "{mode}");
        }
    }
}
