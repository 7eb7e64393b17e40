//! Runs several iterations of a plan per host synchronisation, over examples in device memory.

use std::sync::Arc;

use ganforge_kernels::cuda::control::{self, Begin, CLOCK};
use ganforge_kernels::cuda::examples::{Examples, Table};
use ganforge_kernels::cuda::{Buffer, Captured, Device, Launch, Slice};

use super::lowered::{Lowered, Step};
use super::{Cuda, is_memory, lookups};
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
    places: Places,
    ring: Buffer,
    /// What else the graphs use beside the plan's own memory.
    _beside: (Vec<Buffer>, Vec<Buffer<u64>>),
    slots: usize,
}

/// The plan's inputs and values once more, so that an iteration need not wait for who reads those of the one before; nothing where
/// there is no room.
fn second(device: &Device, plan: &Plan, values: usize) -> Result<Option<(Buffer, Vec<Buffer>)>> {
    let inputs = plan.inputs.iter();
    let inputs = || inputs.map(|i| Ok(device.alloc(i.shape.elements())?));
    let both = || Ok((device.alloc(values)?, inputs().collect::<Result<_>>()?));
    match both() {
        Err(error) if is_memory(&error) => Ok(None),
        both => both.map(Some),
    }
}

/// What each iteration of a graph has for itself, so that it may begin before the one before has ended.
struct Places {
    /// One stretch, so that one copy writes it: the clock, key and step of each iteration, the table of scalars.
    state: Buffer<u64>,
    scalars: Buffer,
    /// The examples.
    index: Buffer<u32>,
    each: usize,
    batch: usize,
    width: usize,
}

impl Places {
    fn new(device: &Device, [each, slots, batch, width]: [usize; 4]) -> Result<Places> {
        Ok(Places {
            state: device.alloc(CLOCK + 2 * each + (slots * width).div_ceil(2))?,
            scalars: device.alloc(each * width)?,
            index: device.alloc(each * batch)?,
            each,
            batch,
            width,
        })
    }

    fn clock(&self) -> Slice<u64> {
        self.state.slice().first(CLOCK)
    }

    fn control(&self, i: usize) -> Slice<u64> {
        self.state.slice().part(CLOCK + 2 * i, 2)
    }

    fn scalars(&self, i: usize) -> Slice {
        self.scalars.slice().part(i * self.width, self.width)
    }

    fn index(&self, i: usize) -> Slice<u32> {
        self.index.slice().part(i * self.batch, self.batch)
    }

    /// [slots, scalars]
    fn table(&self, slots: usize) -> Slice {
        let start = CLOCK + 2 * self.each;
        let all = self.state.slice();
        let rest = all.part(start, all.len() - start).as_f32();
        rest.first(slots * self.width)
    }

    /// Sets clock, keys and table.
    fn write(&self, key: u64, step: u64, row: u32, table: &[f32]) -> Result<()> {
        let mut state = control::clock(step, row).to_vec();
        state.extend((0..self.each).flat_map(|_| [key, step]));
        let half = |x: Option<&f32>| u64::from(x.map_or(0, |x| x.to_bits()));
        let pairs = table.chunks(2);
        state.extend(pairs.map(|pair| half(pair.first()) | half(pair.get(1)) << 32));
        Ok(self.state.write(&state)?)
    }
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
        let made =
            |cuda: &mut Cuda| CapturedLoop::made(cuda, plan, examples, &tables, [batch, slots]);
        match made(cuda) {
            Err(error) if is_memory(&error) => {
                cuda.tighten(plan)?;
                made(cuda)
            }
            done => done,
        }
    }

    fn made(
        cuda: &mut Cuda,
        plan: &Plan,
        examples: &Arc<Examples>,
        tables: &[&Table],
        [batch, slots]: [usize; 2],
    ) -> Result<CapturedLoop> {
        let place = cuda.place(plan)?;
        let device = cuda.device.clone();
        let lowered = &cuda.lowered[place];
        let around = 2 + tables.len(); // begin, the inputs, end
        let each = (MOST_LAUNCHES / (lowered.launches.len() + around)).clamp(1, MANY);
        let width = plan.scalars.len();
        let places = Places::new(&device, [each, slots, batch, width])?;
        let ring = device.alloc(slots * plan.fetches.len())?;
        let first = cuda.step(plan, lowered);
        let more = second(&device, plan, first.values.len())?;
        let (mut tables_of_updates, mut buffers) = (Vec::new(), Vec::new());
        let mut iteration = |i: usize, advance: usize| -> Result<Vec<Launch>> {
            let mut step = Step {
                control: places.control(i),
                scalars: places.scalars(i),
                ..first.clone()
            };
            if let Some((values, inputs)) = more.as_ref().filter(|_| i % 2 == 1) {
                step.values = values.slice();
                step.inputs = inputs.iter().map(Buffer::slice).collect();
            }
            let mut launches = vec![control::begin(Begin {
                clock: places.clock(),
                table: places.table(slots),
                scalars: step.scalars,
                order: examples.order(),
                index: places.index(i),
                control: step.control,
                ahead: i,
            })];
            let inputs = step.inputs.iter().zip(tables);
            launches.extend(inputs.map(|(input, table)| table.gather(places.index(i), *input)));
            let (own, tables) = cuda.launches_of(plan, lowered, &step)?;
            launches.extend(own);
            let (end, addresses) = end(
                cuda,
                plan,
                lowered,
                &step,
                &places,
                ring.slice(),
                [i, advance],
            )?;
            launches.push(end);
            tables_of_updates.extend(tables.into_iter().chain([addresses]));
            Ok(launches)
        };
        let one = iteration(0, 1)?;
        let last = each - 1;
        let many = (0..each).map(|i| iteration(i, if i == last { each } else { 0 }));
        let many = many.collect::<Result<Vec<_>>>()?.concat();
        buffers.extend(
            more.into_iter()
                .flat_map(|(values, inputs)| inputs.into_iter().chain([values])),
        );
        device.load(&one)?;
        device.load(&many)?;
        Ok(CapturedLoop {
            one: device.capture(&one, 1)?,
            many: device.capture(&many, 1)?,
            each,
            plan: plan.clone(),
            executor: Arc::clone(&cuda.identity),
            examples: Arc::clone(examples),
            places,
            ring,
            _beside: (buffers, tables_of_updates),
            slots,
        })
    }

    /// The kernel launches of one iteration, and the most of them that must follow one another.
    pub fn launches(&self) -> (usize, usize) {
        (self.one.launches(), self.one.longest_chain())
    }

    /// The same of the iterations that one replay runs where as many are left, and how many they are.
    pub fn launches_at_once(&self) -> (usize, usize, usize) {
        let many = &self.many;
        (many.launches(), many.longest_chain(), self.each)
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
        let (needed, count) = (n * self.places.batch, self.examples.count());
        let start = u32::try_from(row).ok();
        let Some(start) = start.filter(|_| needed <= count.saturating_sub(row)) else {
            return Err(refused(format!(
                "{needed} examples from place {row} of the order on, there are {count}"
            )));
        };
        let rows = controls.iter().map(|c| cuda.scalars(&self.plan, c));
        let table = rows.collect::<Result<Vec<_>>>()?.concat();
        self.places.write(first.key, first.step, start, &table)?;
        cuda.version = None;
        (0..n / self.each).try_for_each(|_| self.many.replay())?;
        (0..n % self.each).try_for_each(|_| self.one.replay())?;
        let mut results = vec![0.0; n * self.plan.fetches.len()];
        self.ring.read(&mut results)?;
        cuda.device.synchronise()?;
        Ok(results)
    }
}

/// What notes an iteration's results, and where it finds them.
fn end(
    cuda: &Cuda,
    plan: &Plan,
    lowered: &Lowered,
    step: &Step,
    places: &Places,
    ring: Slice,
    [i, advance]: [usize; 2],
) -> Result<(Launch, Buffer<u64>)> {
    let at = |fetch: &Fetch| cuda.at_end_of(plan, lowered, step, fetch.at);
    let results: Vec<Slice> = plan.fetches.iter().map(at).collect();
    let addresses: Vec<u64> = results.iter().map(|r| r.address()).collect();
    let addresses = cuda.device.copy_of(&addresses)?;
    let from = (addresses.slice(), places.clock());
    Ok((control::end(&results, from, ring, i, advance), addresses))
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
