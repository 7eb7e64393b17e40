//! The captured loop: several training steps on a device per host synchronisation, ahead of their reports.

use std::collections::VecDeque;
use std::sync::Arc;

use ganforge_tensor::exec::cuda::{CapturedLoop, Examples, Source};
use ganforge_tensor::{Control, Cuda, Store};

use super::plans::{BySet, StepPlans};
use super::{StepReport, Trainer};
use crate::data::Images;
use crate::error::{Error, Result};
use crate::game::LABELS;
use crate::monitors::Names;
use crate::optim::MAX_RATES;
use crate::schedule;

/// The most steps per host synchronisation.
const SLOTS: usize = 256;

/// What a trainer has on a device beside the executor.
#[derive(Default)]
pub(super) struct Captured {
    /// How many steps may run at once.
    pub(super) allowed: usize,
    examples: Option<Arc<Examples>>,
    /// The epoch whose order the examples are in.
    epoch: usize,
    captured: Option<CapturedLoop>,
    reports: VecDeque<StepReport>,
    /// Whether the device has trained beyond the store.
    is_beyond: bool,
}

/// Steps to be taken: all of one epoch, one after another.
struct Steps<'a> {
    epoch: usize,
    order: &'a [u32],
    /// The place of the first step's first example in the order.
    row: usize,
    controls: Vec<Control>,
    /// What the optimisers report of each.
    rates: Vec<[f64; MAX_RATES]>,
    names: &'a Arc<Names>,
}

impl Captured {
    /// The next report, if there is one.
    pub(super) fn report(&mut self) -> Option<StepReport> {
        self.reports.pop_front()
    }

    /// Steps taken that were not reported.
    pub(super) fn unreported(&self) -> usize {
        self.reports.len()
    }

    /// See [`Trainer::launches`].
    pub(super) fn launches(&self) -> Option<(usize, usize)> {
        self.captured.as_ref().map(CapturedLoop::launches)
    }

    pub(super) fn is_beyond(&self) -> bool {
        self.is_beyond
    }

    /// How many steps may be taken now, of `left` in the epoch.
    fn allowed(&mut self, left: usize) -> usize {
        std::mem::take(&mut self.allowed).min(left).min(SLOTS)
    }

    /// Brings the store to where the device is.
    pub(super) fn settle(&mut self, cuda: &mut Cuda, store: &mut Store) -> Result<()> {
        if !self.reports.is_empty() {
            let n = self.reports.len();
            let message = format!("{n} training steps have been run but not reported");
            return Err(Error::Mismatch(message));
        }
        if self.is_beyond {
            cuda.download(store)?;
            self.is_beyond = false;
        }
        Ok(())
    }

    /// Forgets what was done beyond the store, which is another one now.
    pub(super) fn restart(&mut self) {
        self.reports.clear();
        self.is_beyond = false;
    }

    /// Takes steps of the plans in use. Probes will be run beside them, on the same tensors.
    fn take(
        &mut self,
        cuda: &mut Cuda,
        plans: &BySet<StepPlans>,
        images: &Images,
        store: &mut Store,
        steps: Steps,
    ) -> Result<()> {
        let plan = &plans.now().step;
        if !self.captured.as_ref().is_some_and(|c| c.is_of(plan)) {
            // Another plan may read tensors that this one left alone.
            self.settle(cuda, store)?;
            self.captured = None;
            let examples = match &self.examples {
                Some(examples) => examples,
                None => self.examples.insert(Arc::new(examples(cuda, images)?)),
            };
            for of in plans.all() {
                cuda.prepare(&of.probe)?;
            }
            self.captured = Some(CapturedLoop::new(cuda, plan, examples, SLOTS)?);
        }
        let (Some(captured), Some(examples)) = (&mut self.captured, &self.examples) else {
            unreachable!("both were just made")
        };
        if self.epoch != steps.epoch {
            examples.set_order(steps.order)?;
            self.epoch = steps.epoch;
        }
        if !self.is_beyond {
            cuda.upload(store)?;
        }
        self.is_beyond = true;
        let results = captured.run(cuda, &steps.controls, steps.row)?;
        let place = |name: &str| plan.fetches.iter().position(|f| f.name == name);
        let each = results.chunks(plan.fetches.len().max(1));
        for (values, rates) in each.zip(steps.rates) {
            let value = |name: &str| place(name).map(|p| values[p]);
            let report = StepReport::new(steps.names, rates, value);
            self.reports.push_back(report);
        }
        Ok(())
    }
}

/// The training examples on the device, bytes where they are bytes, with their labels where there are some.
fn examples(cuda: &Cuda, images: &Images) -> Result<Examples> {
    let (device, d) = (cuda.device(), [images.d()]);
    let scaled = images.scaled_bytes();
    let values = match scaled {
        Some(_) => Vec::new(),
        None => images.to_f32(0..images.n())?,
    };
    let x = match scaled {
        Some((bytes, scale)) => Source::scaled_bytes("x", &d, bytes, scale),
        None => Source::floats("x", &d, &values),
    };
    let labels: Option<Vec<u32>> = images
        .labels()
        .map(|all| all.iter().map(|&label| u32::from(label)).collect());
    let labels = labels
        .as_ref()
        .map(|labels| Source::indices(LABELS, &[], labels));
    let sources: Vec<Source> = [Some(x), labels].into_iter().flatten().collect();
    Ok(Examples::new(device, &sources)?)
}

impl Trainer {
    /// Takes as many steps on the device as are allowed, of the `quiet` next ones, as [`Trainer::quiet_steps`] counts them.
    pub(super) fn take_steps(&mut self, quiet: u64) -> Result<()> {
        let (step, per_epoch) = (self.state.store.control.step, self.steps_per_epoch as u64);
        let epoch = schedule::epoch_of(step, self.steps_per_epoch);
        self.enter(epoch)?;
        self.choose_plans();
        let Some(cuda) = self.executor.cuda() else {
            return Ok(());
        };
        let left = per_epoch - step % per_epoch;
        let n = self.captured.allowed(left.min(quiet) as usize);
        let (mut controls, mut rates) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for step in (step..).take(n) {
            let control = &mut self.state.store.control;
            rates.push(self.schedule.set(control, step, epoch));
            let mut control = control.clone();
            control.step = step;
            controls.push(control);
        }
        let steps = Steps {
            epoch,
            order: &self.batch.order,
            row: (step % per_epoch) as usize * self.batch.rows.len(),
            controls,
            rates,
            names: &self.names,
        };
        let store = &mut self.state.store;
        self.captured
            .take(cuda, &self.plans, &self.images, store, steps)
    }
}
