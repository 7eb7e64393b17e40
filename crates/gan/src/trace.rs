//! Everything about a few training steps in one npz, to be redone by hand.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ganforge_tensor::{Keep, Plan};

use crate::config::Config;
use crate::data::Images;
use crate::engine::Place;
use crate::error::Result;
use crate::files::{ArrayRef, NpzWriter};
use crate::game::Step;
use crate::trainer::Trainer;

/// Runs `steps` training steps from initialisation at `place` and stores all of them at `path`.
///
/// Entries: `init/<param>`; for step i from 0: `i/x`, `i/z` (alternating: `i/z_d`, `i/z_g`),
/// `i/mask/<pass>/<layer>` (0 or 1), `i/loss/d`, `i/loss/g`, `i/grad/<param>`, `i/lr`,
/// `i/momentum` (SGD), `i/after/<param>`. Weights are [in, out]. The steps are those of
/// training, to the bit. They end early once `stop` is set; returns how many there are.
///
/// # Errors
/// Those of [`Trainer::new`]; what the system refuses to write.
pub fn trace(
    place: &Place,
    config: &Config,
    images: &Images,
    steps: usize,
    path: &Path,
    stop: &AtomicBool,
) -> Result<usize> {
    let mut trainer = Trainer::with_plan(place, config, images, plan)?;
    trainer.load_pretrained()?;
    let mut npz = NpzWriter::create(path)?;
    let params: Vec<String> = trainer
        .store()
        .iter()
        .filter(|e| e.name.ends_with(".w") || e.name.ends_with(".b"))
        .map(|e| e.name.clone())
        .collect();
    add_params(&mut npz, "init", &trainer, &params)?;
    let mut done = 0;
    for i in 0..steps {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let report = trainer.step()?;
        let rows = trainer.x().len() / images.d();
        npz.add(
            &format!("{i}/x"),
            ArrayRef::f32(&[rows, images.d()], trainer.x()),
        )?;
        for fetch in &trainer.plan().fetches {
            let (name, shape) = (&fetch.name, fetch.at.shape.dims());
            if name.starts_with("mean/") {
                continue;
            }
            let value = trainer.fetch(name).unwrap_or(&[]);
            let entry = format!("{i}/{name}");
            if name.starts_with("mask/") {
                let mask: Vec<u8> = value.iter().map(|&m| u8::from(m != 0.0)).collect();
                npz.add(&entry, ArrayRef::u8(shape, &mask))?;
            } else {
                npz.add(&entry, ArrayRef::f32(shape, value))?;
            }
        }
        npz.add(&format!("{i}/lr"), ArrayRef::f32(&[], &[report.lr as f32]))?;
        if let Some(momentum) = report.momentum {
            npz.add(
                &format!("{i}/momentum"),
                ArrayRef::f32(&[], &[momentum as f32]),
            )?;
        }
        add_params(&mut npz, &format!("{i}/after"), &trainer, &params)?;
        done += 1;
    }
    npz.finish()?;
    Ok(done)
}

/// The training plan that also hands out noise, masks and gradients.
fn plan(step: &Step) -> Result<Plan> {
    let mut builder = Plan::of(step.loss_d.graph()).keep(Keep::Fetched);
    for (name, var) in &step.z {
        builder = builder.fetch(name, *var);
    }
    for (name, var) in &step.masks {
        builder = builder.fetch(&format!("mask/{name}"), *var);
    }
    builder = builder
        .fetch("loss/d", step.loss_d)
        .fetch("loss/g", step.loss_g);
    for (name, var) in &step.grads {
        builder = builder.fetch(&format!("grad/{name}"), *var);
    }
    builder = builder
        .fetch("mean/d_real", step.d_real)
        .fetch("mean/d_fake", step.d_fake);
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
