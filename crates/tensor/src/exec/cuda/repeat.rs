//! A plan run many times over examples that lie on the device, without a word from the host in between.

use std::sync::Arc;

use ganforge_kernels::cuda::control::{self, Begin, CLOCK};
use ganforge_kernels::cuda::{Buffer, Captured, Device, Launch, Slice, rows};

use super::Cuda;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::store::Control;

/// Iterations in one replay, where as many are left.
const MANY: usize = 10;
/// The most launches of a graph of many iterations: what it takes to find out who waits for whom grows with their square.
const MOST_LAUNCHES: usize = 2000;

/// A data set on a device, and the order in which it is gone through.
pub struct Examples {
    data: Data,
    width: usize,
    order: Buffer<u32>,
}

enum Data {
    /// 0..255 stand for 0..1.
    Bytes(Buffer<u8>),
    Values(Buffer),
}

impl Examples {
    /// Rows of `width` bytes, which are divided by 255 when they are read.
    ///
    /// # Errors
    /// The device's.
    pub fn of_bytes(device: &Device, bytes: &[u8], width: usize) -> Result<Examples> {
        Examples::new(
            device,
            Data::Bytes(device.copy_of(bytes)?),
            bytes.len(),
            width,
        )
    }

    /// Rows of `width` numbers.
    ///
    /// # Errors
    /// The device's.
    pub fn of_values(device: &Device, values: &[f32], width: usize) -> Result<Examples> {
        Examples::new(
            device,
            Data::Values(device.copy_of(values)?),
            values.len(),
            width,
        )
    }

    fn new(device: &Device, data: Data, len: usize, width: usize) -> Result<Examples> {
        let order: Vec<u32> = (0..).take(len.checked_div(width).unwrap_or(0)).collect();
        Ok(Examples {
            data,
            width,
            order: device.copy_of(&order)?,
        })
    }

    /// Sets the order in which the examples are gone through.
    ///
    /// # Errors
    /// The device's.
    pub fn set_order(&self, order: &[u32]) -> Result<()> {
        Ok(self.order.write(order)?)
    }

    /// Writes the rows `index` to `out`.
    fn gather(&self, index: Slice<u32>, out: Slice) -> Launch {
        match &self.data {
            Data::Bytes(bytes) => rows::gather_bytes(bytes.slice(), index, out, self.width),
            Data::Values(values) => rows::gather_values(values.slice(), index, out, self.width),
        }
    }
}

/// Iterations of a plan that repeat by themselves: each takes the next examples and the next scalars, and notes what came
/// out. One iteration is one captured graph.
pub struct Repeat {
    one: Captured,
    many: Captured,
    /// Iterations of `many`.
    each: usize,
    plan: Plan,
    /// The one whose memory they use.
    executor: Arc<()>,
    /// What the graphs read and write beside the plan's own memory.
    _examples: Arc<Examples>,
    _index: Buffer<u32>,
    clock: Buffer<u64>,
    table: Buffer,
    ring: Buffer,
    slots: usize,
}

impl Repeat {
    /// Iterations of `plan` on the tensors that lie on the device of `cuda`; its only input takes rows of `examples`. At
    /// most `slots` of them run between two words from the host.
    ///
    /// # Errors
    /// Another number of inputs; a fetched value that is no single number, or too many of them; the device's.
    pub fn new(
        cuda: &mut Cuda,
        plan: &Plan,
        examples: &Arc<Examples>,
        slots: usize,
    ) -> Result<Repeat> {
        let [input] = &plan.inputs[..] else {
            return Err(refused(format!(
                "{} inputs, expected one",
                plan.inputs.len()
            )));
        };
        let n = plan.fetches.len();
        if n > control::MAX_RESULTS {
            return Err(refused(format!(
                "{n} results, at most {} are kept",
                control::MAX_RESULTS
            )));
        }
        if let Some(fetch) = plan.fetches.iter().find(|f| f.at.shape.elements() != 1) {
            return Err(refused(format!(
                "{} of {} is no single number",
                fetch.name, fetch.at.shape
            )));
        }
        let width = examples.width;
        if input.shape.rank() != 2 || input.shape.dims()[1] != width {
            return Err(refused(format!(
                "an input {} for rows of {width}",
                input.shape
            )));
        }
        let place = cuda.place(plan)?;
        let device = cuda.device.clone();
        let index = device.alloc::<u32>(input.shape.dims()[0])?;
        let clock = device.alloc::<u64>(CLOCK)?;
        let table = device.alloc(slots * plan.scalars.len())?;
        let ring = device.alloc(slots * n)?;
        let lowered = &cuda.lowered[place];
        let x = cuda.leaf_slice(false, &input.name, input.shape);
        let results = plan
            .fetches
            .iter()
            .map(|f| cuda.at_end(plan, lowered, f.at));
        let results: Vec<Slice> = results.collect();
        let begin = control::begin(Begin {
            clock: clock.slice(),
            table: table.slice(),
            scalars: lowered.scalars.slice(),
            order: examples.order.slice(),
            index: index.slice(),
            control: cuda.control.slice(),
        });
        let mut launches = vec![begin, examples.gather(index.slice(), x)];
        launches.extend_from_slice(&lowered.launches);
        launches.push(control::end(&results, ring.slice(), clock.slice()));
        device.load(&launches)?;
        let each = (MOST_LAUNCHES / launches.len()).clamp(1, MANY);
        Ok(Repeat {
            one: device.capture(&launches, 1)?,
            many: device.capture(&launches, each)?,
            each,
            executor: Arc::clone(&cuda.identity),
            plan: plan.clone(),
            _examples: Arc::clone(examples),
            _index: index,
            clock,
            table,
            ring,
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

    /// Runs an iteration for each of `controls`, whose steps must follow each other; the first one's examples begin at
    /// `row` of the order. Gives the results of each, in the order of the plan's fetches.
    ///
    /// # Errors
    /// More iterations than slots, or none; another executor than the one they were made with; a number that the control blocks lack; the device's.
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
        let rows = controls.iter().map(|c| cuda.scalars(&self.plan, c));
        let table = rows.collect::<Result<Vec<_>>>()?.concat();
        self.table.write(&table)?;
        let row = u32::try_from(row).map_err(|_| refused(format!("row {row} of the order")))?;
        self.clock.write(&control::clock(first.step, row))?;
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

fn refused(what: String) -> Error {
    Error::Repeat { what }
}
