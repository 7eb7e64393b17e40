//! Runs several iterations of a plan per host synchronisation, over examples in device memory.

use std::sync::Arc;

use ganforge_kernels::cuda::control::{self, Begin, CLOCK};
use ganforge_kernels::cuda::examples::{Examples, Table};
use ganforge_kernels::cuda::{Buffer, Captured, Slice};

use super::{Cuda, lookups};
use crate::error::{Error, Result};
use crate::exec::outside_of;
use crate::plan::{Fetch, Leaf, Loc, Plan};
use crate::store::Control;

/// Iterations in one replay, where as many are left.
const MANY: usize = 10;
/// The most launches of a graph of many iterations: what it takes to find out who waits for whom grows with their square.
const MOST_LAUNCHES: usize = 2000;
/// Iterations of a plan, each of which takes the next examples and the next scalars and notes its results: several run per
/// host synchronisation. One iteration is one captured graph.
///
/// ```
/// # use std::sync::Arc;
/// # use ganforge_kernels::cuda::{Device, Precision};
/// # use ganforge_tensor::{Cuda, Graph, Plan, Store, exec::cuda::{CapturedLoop, Examples, Source}};
/// # fn of(device: &Device) -> ganforge_tensor::Result<Vec<f32>> {
/// let g = Graph::new();
/// let (images, labels) = (g.input("images", [2, 4, 4, 1]), g.input("labels", [2]));
/// let plan = Plan::of(&g).fetch("mean", images.mean()).fetch("sum", labels.sum()).compile()?;
/// let examples = Arc::new(Examples::new(device, &[
///     Source::bytes("images", &[4, 4, 1], &[0; 6 * 16]),
///     Source::indices("labels", &[], &[0, 1, 2, 3, 4, 5]),
/// ])?);
/// let mut cuda = Cuda::new(device, Precision::F32)?;
/// let mut steps = CapturedLoop::new(&mut cuda, &plan, &examples, 3)?;
/// let mut store = Store::new(0);
/// cuda.upload(&store)?;
/// let controls = (0..3).map(|step| { store.control.step = step; store.control.clone() });
/// let results = steps.run(&mut cuda, &controls.collect::<Vec<_>>(), 0)?; // mean, sum, mean, sum, mean, sum
/// # Ok(results) }
/// ```
pub struct CapturedLoop {
    one: Captured,
    many: Captured,
    /// Iterations of `many`.
    each: usize,
    plan: Plan,
    /// The one whose memory they use.
    executor: Arc<()>,
    examples: Arc<Examples>,
    /// The examples of an iteration.
    index: Buffer<u32>,
    clock: Buffer<u64>,
    table: Buffer,
    ring: Buffer,
    /// What else the graphs read beside the plan's own memory.
    _addresses: Buffer<u64>,
    slots: usize,
}

impl CapturedLoop {
    /// Iterations of `plan` on the tensors that lie on the device of `cuda`. Each of its inputs takes rows of the source of
    /// its name, all of them the same examples. At most `slots` iterations run at once.
    ///
    /// # Errors
    /// An input without a source, or of another shape; inputs of different numbers of rows; an index outside of its table;
    /// a fetched value that is not a scalar; the device's.
    pub fn new(
        cuda: &mut Cuda,
        plan: &Plan,
        examples: &Arc<Examples>,
        slots: usize,
    ) -> Result<CapturedLoop> {
        let inputs = plan.inputs.iter();
        let tables = inputs.map(|i| Ok(examples.table(&i.name, i.shape.dims())?));
        let tables = tables.collect::<Result<Vec<&Table>>>()?;
        let batch = batch(&plan.inputs)?;
        check_indices(plan, &tables)?;
        if let Some(fetch) = plan.fetches.iter().find(|f| f.at.shape.elements() != 1) {
            return Err(refused(format!(
                "{} of {} is not a scalar",
                fetch.name, fetch.at.shape
            )));
        }
        let place = cuda.place(plan)?;
        let device = cuda.device.clone();
        let lowered = &cuda.lowered[place];
        let at = |fetch: &Fetch| cuda.at_end(plan, lowered, fetch.at);
        let results: Vec<Slice> = plan.fetches.iter().map(at).collect();
        let addresses: Vec<u64> = results.iter().map(|r| r.address()).collect();
        let addresses = device.copy_of(&addresses)?;
        let index = device.alloc::<u32>(batch)?;
        let clock = device.alloc::<u64>(CLOCK)?;
        let table = device.alloc(slots * plan.scalars.len())?;
        let ring = device.alloc(slots * results.len())?;
        let mut launches = vec![control::begin(Begin {
            clock: clock.slice(),
            table: table.slice(),
            scalars: lowered.scalars.slice(),
            order: examples.order(),
            index: index.slice(),
            control: cuda.control.slice(),
        })];
        launches.extend(
            plan.inputs
                .iter()
                .zip(tables)
                .map(|(input, table)| table.gather(index.slice(), cuda.leaf_slice(false, input))),
        );
        launches.extend_from_slice(&lowered.launches);
        let end = control::end(&results, addresses.slice(), ring.slice(), clock.slice());
        launches.push(end);
        device.load(&launches)?;
        let each = (MOST_LAUNCHES / launches.len()).clamp(1, MANY);
        Ok(CapturedLoop {
            one: device.capture(&launches, 1)?,
            many: device.capture(&launches, each)?,
            each,
            executor: Arc::clone(&cuda.identity),
            plan: plan.clone(),
            examples: Arc::clone(examples),
            index,
            clock,
            table,
            ring,
            _addresses: addresses,
            slots,
        })
    }

    /// The kernel launches of one iteration, and the most of them that must follow one another.
    pub fn launches(&self) -> (usize, usize) {
        (self.one.launches(), self.one.longest_chain())
    }

    /// Whether the iterations are those of `plan`.
    pub fn is_of(&self, plan: &Plan) -> bool {
        Arc::ptr_eq(&self.plan.identity, &plan.identity)
    }

    /// Runs an iteration for each of `controls`, of one key, whose steps follow one another; the first one's examples begin
    /// at `row` of the order. Gives [iterations, fetches]: the results of each, in the order of the plan's fetches.
    ///
    /// # Errors
    /// More iterations than slots, or none; more examples than are left in the order; steps that do not follow one another;
    /// another executor than the one they were made with; a number that the control blocks lack; the device's.
    pub fn run(&mut self, cuda: &mut Cuda, controls: &[Control], row: usize) -> Result<Vec<f32>> {
        let n = controls.len();
        let (Some(first), true) = (controls.first(), n <= self.slots) else {
            return Err(refused(format!(
                "{n} iterations, expected 1 to {}",
                self.slots
            )));
        };
        if !Arc::ptr_eq(&self.executor, &cuda.identity) {
            return Err(refused("another executor".into()));
        }
        let follows = |(c, step): (&Control, u64)| (c.key, c.step) == (first.key, step);
        if !controls.iter().zip(first.step..).all(follows) {
            return Err(refused("steps that do not follow one another".into()));
        }
        let (needed, count) = (n * self.index.slice().len(), self.examples.count());
        let start = u32::try_from(row).ok();
        let Some(start) = start.filter(|_| needed <= count.saturating_sub(row)) else {
            return Err(refused(format!(
                "{needed} examples from place {row} of the order on, there are {count}"
            )));
        };
        let rows = controls.iter().map(|c| cuda.scalars(&self.plan, c));
        let table = rows.collect::<Result<Vec<_>>>()?.concat();
        self.table.write(&table)?;
        self.clock.write(&control::clock(first.step, start))?;
        cuda.control.write(&[first.key, first.step])?;
        cuda.version = None;
        (0..n / self.each).try_for_each(|_| self.many.replay())?;
        (0..n % self.each).try_for_each(|_| self.one.replay())?;
        let mut results = vec![0.0; n * self.plan.fetches.len()];
        self.ring.read(&mut results)?;
        cuda.device.synchronise()?;
        Ok(results)
    }
}

/// How many examples an iteration takes: the rows of every input.
fn batch(inputs: &[Leaf]) -> Result<usize> {
    let rows = |input: &Leaf| input.shape.dims()[0];
    let Some(first) = inputs.first() else {
        return Ok(0);
    };
    match inputs.iter().find(|i| rows(i) != rows(first)) {
        None => Ok(rows(first)),
        Some(other) => Err(refused(format!(
            "{} rows of {}, but {} of {}",
            rows(first),
            first.name,
            rows(other),
            other.name
        ))),
    }
}

/// Refuses indices that are out of range; computed ones trap in the kernel.
fn check_indices(plan: &Plan, tables: &[&Table]) -> Result<()> {
    for (node, rows, index) in lookups(plan) {
        let Loc::Feed(input) = index.loc else {
            continue;
        };
        let largest = tables[input as usize].largest();
        if let Some((position, index)) = largest.filter(|l| l.1 as usize >= rows) {
            return Err(outside_of(node, rows, index.into(), position));
        }
    }
    Ok(())
}

fn refused(what: String) -> Error {
    Error::CapturedLoop { what }
}
