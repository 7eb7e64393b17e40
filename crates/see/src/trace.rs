//! All values of a few training steps in one npz, to be recomputed elsewhere.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ganforge_tensor::{Device, Keep, Op, Plan};

use ganforge_gan::config::Config;
use ganforge_gan::data::Images;
use ganforge_gan::error::Result;
use ganforge_gan::files::{ArrayRef, NpzWriter};
use ganforge_gan::game::{LABELS, Step};
use ganforge_gan::tensors::{Role, TensorSpec, Tensors};
use ganforge_gan::trainer::Trainer;

/// Training steps from initialisation, to be run and stored.
///
/// Entries: `init/<param>`; for step i from 0: `i/x`, `i/z` (alternating: `i/z_d`, `i/z_g`),
/// `i/labels` of the data and `i/classes` (`i/classes_d`, `i/classes_g`) of generated examples where the step asks for them,
/// `i/noise/<penalty>` (random numbers of a penalty), `i/mask/<pass>/<layer>` (0 or 1), `i/pre/<pass>/<layer>` (what the
/// layer's activation is taken of), `i/loss_d`, `i/loss_g`, `i/d_real`, `i/d_fake`, what else the loss watches, the penalties that
/// the step has,
/// `i/grad/<param>`, `i/lr`, `i/momentum` (SGD), `i/after/<param>`. With `k` > 1 all of these but `x`, `labels`, the rates and
/// what is after the step are of each step of D, the second and later ones' names ending in `.1`, `.2`, ... (a pass's is
/// inside: `i/mask/real.1/D.h0`). Buffers, such as running means, are among the parameters there. Weights are [in, out],
/// filters [height, width, in, out], images [height, width, channels]. The steps are those of training, to the bit.
pub struct Trace {
    trainer: Trainer,
    /// The names of the parameters and buffers.
    params: Vec<String>,
    /// Values per training example.
    d: usize,
    steps: usize,
}

impl Trace {
    /// `steps` steps on `device`.
    ///
    /// # Errors
    /// Those of [`Trainer::new`].
    pub fn new(device: &Device, config: &Config, images: &Images, steps: usize) -> Result<Trace> {
        let mut trainer = Trainer::with_plan(device, config, images, plan)?;
        trainer.load_pretrained()?;
        let tensors = Tensors::of(config, images.d());
        let is_kept = |s: &&TensorSpec| matches!(s.role, Role::Param | Role::Buffer);
        let params = tensors.iter().filter(is_kept);
        Ok(Trace {
            params: params.map(|s| s.name.clone()).collect(),
            trainer,
            d: images.d(),
            steps,
        })
    }

    /// The bytes of all values; the file has some per cent more. Dropout that ends on the way, and penalties that only
    /// some steps have, are counted to the end.
    pub fn bytes(&self) -> u64 {
        let entries = self
            .params
            .iter()
            .filter_map(|p| self.trainer.store().get(p));
        let params: usize = entries.map(|e| 4 * e.data.len()).sum();
        let fetches = self.trainer.plan().fetches.iter().map(|fetch| {
            let size = if is_mask(&fetch.name) { 1 } else { 4 };
            size * fetch.at.shape.elements()
        });
        let step = fetches.sum::<usize>() + 4 * self.trainer.x().len() + params;
        (params as u64).saturating_add((step as u64).saturating_mul(self.steps as u64))
    }

    /// Runs the steps and stores them at `path`. They end early once `stop` is set; returns how many there are.
    ///
    /// # Errors
    /// The engine's; what the system refuses to write.
    pub fn write(mut self, path: &Path, stop: &AtomicBool) -> Result<usize> {
        let mut npz = NpzWriter::create(path)?;
        add_params(&mut npz, "init", &self.trainer, &self.params)?;
        let mut done = 0;
        while done < self.steps && !stop.load(Ordering::SeqCst) {
            self.add_step(&mut npz, done)?;
            done += 1;
        }
        npz.finish()?;
        Ok(done)
    }

    fn add_step(&mut self, npz: &mut NpzWriter, i: usize) -> Result<()> {
        let trainer = &mut self.trainer;
        let report = trainer.step()?;
        let (rows, d) = (trainer.x().len() / self.d, self.d);
        npz.add(&format!("{i}/x"), ArrayRef::f32(&[rows, d], trainer.x()))?;
        if let Some(labels) = trainer.labels() {
            npz.add(&format!("{i}/{LABELS}"), ArrayRef::f32(&[rows], labels))?;
        }
        for fetch in &trainer.plan().fetches {
            let (name, shape) = (&fetch.name, fetch.at.shape.dims());
            let value = trainer.fetch(name).unwrap_or(&[]);
            let entry = format!("{i}/{name}");
            if is_mask(name) {
                let mask: Vec<u8> = value.iter().map(|&m| u8::from(m != 0.0)).collect();
                npz.add(&entry, ArrayRef::u8(shape, &mask))?;
            } else {
                npz.add(&entry, ArrayRef::f32(shape, value))?;
            }
        }
        for (name, rate) in report.rates() {
            let rate = [rate as f32];
            npz.add(&format!("{i}/{name}"), ArrayRef::f32(&[], &rate))?;
        }
        add_params(npz, &format!("{i}/after"), trainer, &self.params)
    }
}

fn is_mask(fetch: &str) -> bool {
    fetch.starts_with("mask/")
}

/// The training plan that also hands out noise, masks, pre-activations and gradients.
fn plan(step: &Step) -> Result<Plan> {
    let mut builder = step.begin(Keep::Fetched);
    for (name, var) in step.z.iter().chain(&step.classes) {
        builder = builder.fetch(name, *var);
    }
    for var in step.graph.vars() {
        let is_random = matches!(var.node().op, Op::Uniform(_) | Op::Normal(_));
        let is_of_layer = var.label().starts_with("gaussian/");
        if is_random && (is_of_layer || var.scope().starts_with("loss/")) {
            builder = builder.fetch(&format!("noise/{}", var.label()), var);
        }
    }
    for (name, var) in &step.masks {
        builder = builder.fetch(&format!("mask/{name}"), *var);
    }
    for pre in &step.preactivations {
        let rows = pre.var.shape().dims()[0] / pre.passes.len();
        for (i, pass) in pre.passes.iter().enumerate() {
            let own = match pre.passes.len() {
                1 => pre.var,
                _ => pre.var.rows(i * rows, (i + 1) * rows),
            };
            builder = builder.fetch(&format!("pre/{pass}/{}", pre.layer), own);
        }
    }
    // The trainer's report, of which only the rates are used here, has of several steps of D the first one's numbers.
    for (name, var) in &step.watched {
        builder = builder.fetch(name, *var);
    }
    for grad in &step.grads {
        builder = builder.fetch(&format!("grad/{}", grad.name), grad.var);
    }
    for (old, (_, new)) in &step.updates {
        builder = builder.update(*old, *new);
    }
    Ok(builder.compile()?)
}

fn add_params(
    npz: &mut NpzWriter,
    prefix: &str,
    trainer: &Trainer,
    names: &[String],
) -> Result<()> {
    for name in names {
        if let Some(entry) = trainer.store().get(name) {
            let array = ArrayRef::f32(entry.shape.dims(), &entry.data);
            npz.add(&format!("{prefix}/{name}"), array)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use ganforge_gan::nn::LayerKind;

    /// The entries of one step, without its number, and the sizes of what is fetched.
    fn entries(preset: &str, options: &[&str], passes: [&[&str]; 2]) -> BTreeSet<String> {
        let config = Config::preset(preset).and_then(|c| c.with(options));
        let config = config.expect("valid");
        let d = config.output_dim();
        let images = Images::from_values(d, vec![0.5; 4 * d]);
        let trace = Trace::new(&Device::CPU, &config, &images, 1).expect("fits");
        let plan = trace.trainer.plan();
        let found: BTreeSet<String> = plan.fetches.iter().map(|f| f.name.clone()).collect();
        let mut layers = 0;
        for (net, network, passes) in [
            ("G", &config.generator, passes[0]),
            ("D", &config.discriminator, passes[1]),
        ] {
            for (layer, pass) in network
                .layers
                .iter()
                .flat_map(|l| passes.iter().map(move |p| (l, p)))
            {
                let parts: &[&str] = match layer.kind {
                    LayerKind::Block(_) => &[".activation1", ".activation2"],
                    _ if layer.kind.activation().is_some() => &[""],
                    _ => &[],
                };
                for part in parts {
                    let name = format!("pre/{pass}/{net}.{}{part}", layer.name);
                    let fetch = plan.fetches.iter().find(|f| f.name == name);
                    let dims = fetch
                        .unwrap_or_else(|| panic!("{preset}: no {name}"))
                        .at
                        .shape;
                    assert_eq!(dims.dims()[0], config.train.batch, "{preset}: {name}");
                    layers += 1;
                }
            }
        }
        assert_eq!(
            found.iter().filter(|n| n.starts_with("pre/")).count(),
            layers,
            "{preset}"
        );
        for spec in Tensors::of(&config, d).iter() {
            let is_kept = trace.params.contains(&spec.name);
            assert_eq!(
                is_kept,
                matches!(spec.role, Role::Param | Role::Buffer),
                "{}",
                spec.name
            );
            let gradient = found.contains(&format!("grad/{}", spec.name));
            assert_eq!(
                gradient,
                spec.role == Role::Param,
                "{preset}: {}",
                spec.name
            );
        }
        found
    }

    #[test]
    fn convolutional_nets_have_all_their_layers_passes_and_tensors() {
        let both: [&[&str]; 2] = [&["fake_d", "fake_g"], &["real", "fake_d", "fake_g"]];
        let found = entries("dcgan28", &["train.batch=2"], both);
        for name in [
            "z_d",
            "z_g",
            "pre/fake_g/G.out",
            "pre/real/D.h1",
            "loss_d",
            "d_fake",
        ] {
            assert!(found.contains(name), "{name}: {found:?}");
        }
        let blocks = [("generator", 3), ("discriminator", 4)];
        let blocks = blocks
            .iter()
            .flat_map(|(net, n)| (0..*n).map(move |b| (net, b)));
        let narrow: Vec<String> = blocks
            .map(|(net, b)| format!("{net}.layer.b{b}.channels=4"))
            .collect();
        let mut options: Vec<&str> = narrow.iter().map(String::as_str).collect();
        let penalty = "discriminator.penalty=[\"gp\"]";
        options.extend(["train.batch=2", "train.k=1", penalty]);
        let passes: [&[&str]; 2] = [both[0], &["real", "fake_d", "fake_g", "gp"]];
        let found = entries("resnet32", &options, passes);
        for name in ["noise/gp", "pre/gp/D.b0.activation2", "gp"] {
            assert!(found.contains(name), "{name}: {found:?}");
        }
    }
}
