//! A plan as launches, with the memory that is its own.

use std::sync::{Arc, Weak};

use ganforge_kernels::cuda::control::{self, CLOCK};
use ganforge_kernels::cuda::updates::merge;
use ganforge_kernels::cuda::{Buffer, Captured, Device, Launch, Scratch, Slice};

use super::layout::Layout;
use super::{Cuda, lower};
use crate::error::Result;
use crate::plan::{Loc, Operand, Plan};

/// Where launches find what is of their step alone.
#[derive(Clone)]
pub(super) struct Step {
    /// Key and step.
    pub control: Slice<u64>,
    /// The control block's numbers that the plan reads, in its order.
    pub scalars: Slice,
    /// The plan's inputs, in its order.
    pub inputs: Vec<Slice>,
    /// All values.
    pub values: Slice,
}

/// See the module.
pub(super) struct Lowered {
    plan: Weak<()>,
    pub launches: Vec<Launch>,
    pub layout: Layout,
    /// All values, and where each begins.
    values: Buffer,
    offsets: Vec<usize>,
    pub scalars: Buffer,
    /// What the launches use beside the plan's values; see [`Scratch`] and [`merge`].
    scratch: (Buffer, Buffer<u32>),
    _tables: Vec<Buffer<u64>>,
    singles: Singles,
    /// The launches with what gathers the results, once they ran before.
    graph: Option<Captured>,
    has_run: bool,
    /// What the last run handed out, in the plan's order.
    pub fetched: Vec<Vec<f32>>,
}

/// The fetched values that are single numbers, put side by side by one launch, so that one copy brings them all.
struct Singles {
    launch: Option<Launch>,
    gathered: Buffer,
    _inputs: (Buffer<u64>, Buffer<u64>),
}

impl Lowered {
    pub(super) fn is_of(&self, plan: &Plan) -> bool {
        self.plan.as_ptr() == Arc::as_ptr(&plan.identity)
    }

    pub(super) fn is_alive(&self) -> bool {
        self.plan.strong_count() > 0
    }

    /// Runs it: launch by launch the first time, then as one graph.
    pub(super) fn run(&mut self, device: &Device) -> Result<()> {
        if let Some(graph) = &self.graph {
            return Ok(graph.replay()?);
        }
        let all = || self.launches.iter().chain(&self.singles.launch);
        if self.has_run && all().next().is_some() {
            let all: Vec<Launch> = all().cloned().collect();
            let graph = device.capture(&all, 1)?;
            return Ok(self.graph.insert(graph).replay()?);
        }
        self.has_run = true;
        device.run(&self.launches)?;
        Ok(device.run(self.singles.launch.as_slice())?)
    }
}

impl Cuda {
    /// Lowers a plan whose leaves have their places: each value by itself and parts of sums side by side, or, if `is_tight`,
    /// where the plan says and one after another.
    pub(super) fn lowered(&self, plan: &Plan, is_tight: bool) -> Result<Lowered> {
        let (layout, mut needs) = match is_tight {
            false => (Layout::apart(plan), Scratch::measure()),
            true => (Layout::as_planned(plan), Scratch::measure_in_turn()),
        };
        let device = &self.device;
        let (offsets, values) = layout.offsets();
        let mut lowered = Lowered {
            plan: Arc::downgrade(&plan.identity),
            launches: Vec::new(),
            offsets,
            layout,
            values: device.alloc(values)?,
            scalars: device.alloc(plan.scalars.len())?,
            scratch: (device.alloc(0)?, device.alloc(0)?),
            _tables: Vec::new(),
            singles: Singles {
                launch: None,
                gathered: device.alloc(0)?,
                _inputs: (device.alloc(0)?, device.alloc(0)?),
            },
            graph: None,
            has_run: false,
            fetched: Vec::new(),
        };
        let step = self.step(plan, &lowered);
        needs = self.commands(plan, &lowered, &step, needs)?.1;
        let sums = device.alloc(needs.sums_needed)?;
        let counters = device.copy_of(&vec![0u32; needs.counters_needed])?;
        lowered.scratch = (sums, counters);
        (lowered.launches, lowered._tables) = self.launches_of(plan, &lowered, &step)?;
        lowered.singles = self.singles(plan, &lowered)?;
        device.load(&lowered.launches)?;
        device.load(lowered.singles.launch.as_slice())?;
        Ok(lowered)
    }

    /// Where a plan's launches find what is of their step, when it runs by itself.
    pub(super) fn step(&self, plan: &Plan, lowered: &Lowered) -> Step {
        let inputs = plan.inputs.iter();
        Step {
            control: self.control.slice(),
            scalars: lowered.scalars.slice(),
            inputs: inputs.map(|i| self.leaf_slice(false, i)).collect(),
            values: lowered.values.slice(),
        }
    }

    /// A lowered plan's launches for another step, and tables that they need.
    pub(super) fn launches_of(
        &self,
        plan: &Plan,
        lowered: &Lowered,
        step: &Step,
    ) -> Result<(Vec<Launch>, Vec<Buffer<u64>>)> {
        let (sums, counters) = &lowered.scratch;
        let mut scratch = Scratch::of(sums.slice(), counters.slice());
        if lowered.layout.is_planned {
            scratch = scratch.in_turn();
        }
        let commands = self.commands(plan, lowered, step, scratch)?.0;
        Ok(merge(&self.device, commands)?)
    }

    fn commands(
        &self,
        plan: &Plan,
        lowered: &Lowered,
        step: &Step,
        scratch: Scratch,
    ) -> Result<(Vec<super::Command>, Scratch)> {
        let (layout, precision) = (&lowered.layout, self.precision);
        lower::lower(plan, layout, precision, step.control, scratch, |o| {
            self.at(plan, lowered, step, o)
        })
    }

    fn singles(&self, plan: &Plan, lowered: &Lowered) -> Result<Singles> {
        let device = &self.device;
        let single = |f: &&crate::plan::Fetch| f.at.shape.elements() == 1;
        let fetches = plan.fetches.iter().filter(single);
        let at: Vec<Slice> = fetches.map(|f| self.at_end(plan, lowered, f.at)).collect();
        let addresses: Vec<u64> = at.iter().map(|s| s.address()).collect();
        let (addresses, clock) = (device.copy_of(&addresses)?, device.copy_of(&[0; CLOCK])?);
        let gathered = device.alloc(at.len())?;
        let from = (addresses.slice(), clock.slice());
        let launch = control::gather(&at, from, gathered.slice());
        Ok(Singles {
            launch: (at.len() > 1).then_some(launch),
            gathered,
            _inputs: (addresses, clock),
        })
    }

    /// Reads what a run of a plan left under its fetched names.
    pub(super) fn read_fetched(
        &self,
        plan: &Plan,
        lowered: &Lowered,
        out: &mut Vec<Vec<f32>>,
    ) -> Result<()> {
        let gathered = &lowered.singles.gathered;
        let is_gathered = lowered.singles.launch.is_some();
        let mut singles = vec![
            0.0;
            if is_gathered {
                gathered.slice().len()
            } else {
                0
            }
        ];
        gathered.read(&mut singles)?;
        let mut singles = singles.into_iter();
        out.resize(plan.fetches.len(), Vec::new());
        for (value, fetch) in out.iter_mut().zip(&plan.fetches) {
            value.resize(fetch.at.shape.elements(), 0.0);
            match (is_gathered, &mut value[..]) {
                (true, [one]) => *one = singles.next().unwrap_or(f32::NAN),
                (_, value) => self
                    .device
                    .read(self.at_end(plan, lowered, fetch.at), value)?,
            }
        }
        Ok(())
    }

    /// Where a value of a plan lies after a run.
    pub(super) fn at_end(&self, plan: &Plan, lowered: &Lowered, operand: Operand) -> Slice {
        self.at_end_of(plan, lowered, &self.step(plan, lowered), operand)
    }

    /// Where it lies after a step.
    pub(super) fn at_end_of(
        &self,
        plan: &Plan,
        lowered: &Lowered,
        step: &Step,
        operand: Operand,
    ) -> Slice {
        self.at(plan, lowered, step, lowered.layout.at_end(operand))
    }

    /// Where an operand of a call lies.
    fn at(&self, plan: &Plan, lowered: &Lowered, step: &Step, operand: Operand) -> Slice {
        let whole = match operand.loc {
            Loc::Temp(v) => {
                let (offsets, sizes) = (&lowered.offsets, &lowered.layout.sizes);
                step.values.part(offsets[v as usize], sizes[v as usize])
            }
            Loc::State(s) => self.leaf_slice(true, &plan.states[s as usize]),
            Loc::Feed(f) => step.inputs[f as usize],
            Loc::Scalar(s) => step.scalars.part(s as usize, 1),
        };
        whole.first(operand.shape.elements())
    }
}
