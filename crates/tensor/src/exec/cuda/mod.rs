//! The f32 executor on a device.

mod captured_loop;
mod layout;
mod lower;
mod lowered;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use ganforge_kernels::cuda::updates::Command;
use ganforge_kernels::cuda::{Buffer, Device, Error as DeviceError, Precision, Slice};

use crate::error::{Error, Result};
use crate::exec::{Executor, Feed, Span, check_feeds, check_rows};
use crate::graph::{Node, NodeId};
use crate::plan::{Kernel, Leaf, Loc, Operand, Plan};
use crate::shape::Shape;
use crate::store::{Control, Store, Version};

pub use captured_loop::CapturedLoop;
pub use ganforge_kernels::cuda::examples::{Examples, Source};
pub use lower::{DeviceCx, DeviceView};
use lowered::Lowered;

/// Runs plans in f32 on a device, by the launches that a plan was lowered to when it was first seen.
///
/// Tensors of the store stay on the device between runs: a run copies those of a store that has changed since, and copies
/// back what it updates. [`CapturedLoop`] runs a plan many times without either.
pub struct Cuda {
    device: Device,
    precision: Precision,
    /// Key and step.
    control: Buffer<u64>,
    /// Tensors of the store and fed values, shared by all plans.
    leaves: HashMap<Name, Buffer>,
    lowered: Vec<Lowered>,
    /// The store whose tensors lie on the device.
    version: Option<Version>,
    /// Tells it from every other executor.
    identity: Arc<()>,
}

/// A leaf on the device.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Name {
    is_state: bool,
    name: String,
    shape: Shape,
}

impl Name {
    fn of(is_state: bool, leaf: &Leaf) -> Name {
        Name {
            is_state,
            name: leaf.name.clone(),
            shape: leaf.shape,
        }
    }
}

impl Cuda {
    /// An executor on a device.
    ///
    /// # Errors
    /// A precision that the device lacks; no memory.
    pub fn new(device: &Device, precision: Precision) -> Result<Cuda> {
        device.check_precision(precision)?;
        Ok(Cuda {
            control: device.alloc(2)?,
            device: device.clone(),
            precision,
            leaves: HashMap::new(),
            lowered: Vec::new(),
            version: None,
            identity: Arc::new(()),
        })
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How many kernel launches a plan is, once it has run or was [prepared](Cuda::prepare).
    pub fn launches(&self, plan: &Plan) -> Option<usize> {
        let lowered = self.lowered.iter().find(|l| l.is_of(plan))?;
        Some(lowered.launches.len())
    }

    /// Copies the tensors that plans on the device read from `store`, unless it still has the same ones.
    ///
    /// # Errors
    /// The device's.
    pub fn upload(&mut self, store: &Store) -> Result<()> {
        if self.version.is_some_and(|v| v.is(store.version())) {
            return Ok(());
        }
        for (name, buffer) in self.leaves.iter().filter(|l| l.0.is_state) {
            let entry = store.get(&name.name).filter(|e| e.shape == name.shape);
            if let Some(entry) = entry {
                buffer.write(&entry.data)?;
            }
        }
        self.version = Some(store.version());
        Ok(())
    }

    /// Copies all tensors of `store` that lie on the device from there.
    ///
    /// # Errors
    /// The device's.
    pub fn download(&mut self, store: &mut Store) -> Result<()> {
        for (name, buffer) in self.leaves.iter().filter(|l| l.0.is_state) {
            if let Ok(place) = store.position(&name.name, name.shape) {
                buffer.read(store.data_mut(place))?;
            }
        }
        self.version = Some(store.version());
        Ok(())
    }

    /// Runs a plan on the tensors that lie on the device, which are updated there alone; key, step and scalars are those
    /// of `control`.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_there(&mut self, plan: &Plan, control: &Control, feeds: &[Feed]) -> Result<()> {
        check_feeds(plan, feeds)?;
        let place = self.place(plan)?;
        for input in &plan.inputs {
            let feed = feeds.iter().find(|f| f.name == input.name);
            let feed = feed.expect("every input is fed: checked above");
            self.leaf(false, input)?.write(feed.data)?;
        }
        self.control.write(&[control.key, control.step])?;
        let scalars = self.scalars(plan, control)?;
        let lowered = &mut self.lowered[place];
        lowered.scalars.write(&scalars)?;
        lowered.run(&self.device)?;
        // Where an update moved a tensor on, the store no longer has what lies here.
        if !plan.updates.is_empty() {
            self.version = None;
        }
        let mut fetched = std::mem::take(&mut self.lowered[place].fetched);
        let read = self.read_fetched(plan, &self.lowered[place], &mut fetched);
        self.lowered[place].fetched = fetched;
        read?;
        self.device.synchronise()?;
        Ok(())
    }

    /// The control block's numbers that a plan reads, in its order.
    fn scalars(&self, plan: &Plan, control: &Control) -> Result<Vec<f32>> {
        let scalars = plan.scalars.iter();
        let value = |name: &str| control.position(name).map(|p| *control.at(p));
        scalars.map(|s| value(&s.name)).collect()
    }

    /// A leaf's memory, allocated when it is first asked for.
    fn leaf(&mut self, is_state: bool, leaf: &Leaf) -> Result<&Buffer> {
        let name = Name::of(is_state, leaf);
        if !self.leaves.contains_key(&name) {
            let buffer = self.device.alloc(leaf.shape.elements())?;
            // What was copied so far lacks this tensor.
            self.version = self.version.filter(|_| !is_state);
            self.leaves.insert(name.clone(), buffer);
        }
        Ok(&self.leaves[&name])
    }

    fn leaf_slice(&self, is_state: bool, leaf: &Leaf) -> Slice {
        self.leaves[&Name::of(is_state, leaf)].slice()
    }

    /// Lowers a plan, so that what it reads has its place on the device.
    ///
    /// # Errors
    /// An op without kernel; a tensor too large to be counted; no memory.
    pub fn prepare(&mut self, plan: &Plan) -> Result<()> {
        self.place(plan).map(drop)
    }

    /// The place in `lowered` of a plan; plans that are no longer there give their memory back.
    fn place(&mut self, plan: &Plan) -> Result<usize> {
        if let Some(place) = self.lowered.iter().position(|l| l.is_of(plan)) {
            return Ok(place);
        }
        self.lowered.retain(Lowered::is_alive);
        for (leaves, is_state) in [(&plan.states, true), (&plan.inputs, false)] {
            for leaf in leaves {
                self.leaf(is_state, leaf)?;
            }
        }
        let lowered = match self.lowered(plan, false) {
            Err(error) if is_memory(&error) => self.lowered(plan, true)?,
            lowered => lowered?,
        };
        self.lowered.push(lowered);
        Ok(self.lowered.len() - 1)
    }

    /// Lowers a plan anew in as little memory as it needs.
    fn tighten(&mut self, plan: &Plan) -> Result<()> {
        self.lowered.retain(|l| !l.is_of(plan));
        let lowered = self.lowered(plan, true)?;
        self.lowered.push(lowered);
        Ok(())
    }
}

fn is_memory(error: &Error) -> bool {
    matches!(error, Error::Device(DeviceError::Memory { .. }))
}

impl Executor for Cuda {
    fn run(&mut self, plan: &Plan, store: &mut Store, feeds: &[Feed]) -> Result<()> {
        check_feeds(plan, feeds)?;
        check_indices(plan, store, feeds)?;
        let states = plan.states.iter();
        let places = states.map(|s| store.position(&s.name, s.shape));
        let places = places.collect::<Result<Vec<usize>>>()?;
        self.prepare(plan)?;
        self.upload(store)?;
        let control = store.control.clone();
        self.run_there(plan, &control, feeds)?;
        if !plan.updates.is_empty() {
            for (state, _) in &plan.updates {
                let state = *state as usize;
                let buffer = self.leaf(true, &plan.states[state])?;
                buffer.read(store.data_mut(places[state]))?;
            }
            self.version = Some(store.version());
        }
        Ok(())
    }

    fn run_timed(&mut self, _: &Plan, _: &mut Store, _: &[Feed], _: &mut [Span]) -> Result<()> {
        Err(Error::Untimed)
    }

    fn fetch<'a>(&'a self, plan: &Plan, _: &'a Store, name: &str) -> Option<&'a [f32]> {
        let place = plan.fetches.iter().position(|f| f.name == name)?;
        let lowered = self.lowered.iter().find(|l| l.is_of(plan))?;
        lowered.fetched.get(place).map(Vec::as_slice)
    }

    fn value<'a>(
        &'a self,
        plan: &Plan,
        _: &'a Store,
        node: NodeId,
    ) -> Result<Option<Cow<'a, [f32]>>> {
        let loc = plan.locations.get(node.index()).copied().flatten();
        let lowered = self.lowered.iter().find(|l| l.is_of(plan));
        let (Some(loc @ (Loc::Temp(_) | Loc::State(_))), Some(lowered)) = (loc, lowered) else {
            return Ok(None);
        };
        let shape = plan.nodes()[node.index()].shape;
        let mut value = vec![0.0; shape.elements()];
        let at = self.at_end(plan, lowered, Operand { loc, shape });
        self.device.read(at, &mut value)?;
        Ok(Some(value.into()))
    }

    fn cuda(&mut self) -> Option<&mut Cuda> {
        Some(self)
    }
}

/// The calls of a plan that look rows of a table up: the op's node, how many rows there are, where the indices lie.
fn lookups(plan: &Plan) -> impl Iterator<Item = (&Node, usize, Operand)> {
    plan.calls.iter().filter_map(|call| {
        let (Kernel::Op(op), [x, index, ..]) = (&call.kernel, &call.ins[..]) else {
            return None;
        };
        let node = &plan.nodes()[call.nodes[0].index()];
        Some((node, op.rows(x.shape)?, *index))
    })
}

/// Refuses fed and stored indices that are out of range; computed ones trap in the kernel.
fn check_indices(plan: &Plan, store: &Store, feeds: &[Feed]) -> Result<()> {
    for (node, rows, index) in lookups(plan) {
        let data = match index.loc {
            Loc::Feed(f) => {
                let name = &plan.inputs[f as usize].name;
                feeds.iter().find(|f| f.name == name).map(|f| f.data)
            }
            Loc::State(s) => store
                .get(&plan.states[s as usize].name)
                .map(|e| &e.data[..]),
            Loc::Temp(_) | Loc::Scalar(_) => None,
        };
        check_rows(node, rows, data.unwrap_or_default())?;
    }
    Ok(())
}
