//! State that persists between runs: parameters, optimiser slots and the control block.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use ganforge_kernels::cpu::Floats;

use crate::error::{Error, Result};
use crate::shape::Shape;

/// A named tensor of the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name, such as `G.h0.w`.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// Its values, row-major.
    pub data: Floats,
}

/// The numbers that change from step to step, beside the parameters.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Control {
    /// The key of all random streams: one per run.
    pub key: u64,
    /// Completed steps: the counter of all random streams.
    pub step: u64,
    scalars: Vec<(String, f32)>,
}

impl Control {
    /// Sets the scalar `name`, such as the learning rate.
    pub fn set(&mut self, name: &str, value: f32) {
        match self.scalars.iter_mut().find(|(n, _)| n == name) {
            Some((_, v)) => *v = value,
            None => self.scalars.push((name.to_string(), value)),
        }
    }

    /// The scalar `name`.
    pub fn get(&self, name: &str) -> Option<f32> {
        let found = self.scalars.iter().find(|(n, _)| n == name);
        found.map(|&(_, value)| value)
    }

    pub(crate) fn position(&self, name: &str) -> Result<usize> {
        let found = self.scalars.iter().position(|(n, _)| n == name);
        found.ok_or_else(|| Error::MissingScalar { name: name.into() })
    }

    pub(crate) fn at(&self, position: usize) -> &f32 {
        &self.scalars[position].1
    }
}

/// Which values a store's tensors have: every change gives it a new number, a clone has the same one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Version(u64);

impl Version {
    /// A number that no store has had in this process.
    fn new() -> Version {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Version(1 + LAST.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn is(self, other: Version) -> bool {
        self.0 == other.0
    }
}

impl PartialEq for Version {
    /// Stores are equal by what they hold.
    fn eq(&self, _: &Version) -> bool {
        true
    }
}

/// Parameters and optimiser slots by name, in insertion order, and the control block.
///
/// ```
/// use ganforge_tensor::{Cpu, Executor, Graph, Plan, Store};
/// let g = Graph::new();
/// let w = g.param("w", [2]);
/// let plan = Plan::of(&g).update(w, w * g.scalar("factor")).compile()?;
/// let mut store = Store::new(1); // the key of all random numbers
/// store.insert("w", [2], vec![1.0, 2.0])?;
/// store.control.set("factor", 0.5);
/// Cpu::new(&plan).run(&plan, &mut store, &[])?;
/// assert_eq!(store.get("w").unwrap().data, [0.5, 1.0]);
/// # Ok::<(), ganforge_tensor::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Store {
    pub(crate) entries: Vec<Entry>,
    index: HashMap<String, usize>,
    version: Version,
    /// The control block.
    pub control: Control,
}

impl Store {
    /// An empty store whose random streams have the key `key`.
    pub fn new(key: u64) -> Store {
        let mut store = Store::default();
        store.control.key = key;
        store
    }

    /// Adds a tensor, or replaces the one of that name.
    ///
    /// # Errors
    /// [`Error::ParamShape`] where the values do not fill the shape.
    pub fn insert(
        &mut self,
        name: &str,
        shape: impl Into<Shape>,
        data: impl Into<Floats>,
    ) -> Result<()> {
        let (shape, data) = (shape.into(), data.into());
        if data.len() != shape.elements() {
            return Err(Error::ParamShape {
                name: name.to_string(),
                expected: shape,
                got: Shape::new(&[data.len()]),
            });
        }
        let entry = Entry {
            name: name.to_string(),
            shape,
            data,
        };
        self.version = Version::new();
        match self.index.get(name) {
            Some(&i) => self.entries[i] = entry,
            None => {
                self.index.insert(name.to_string(), self.entries.len());
                self.entries.push(entry);
            }
        }
        Ok(())
    }

    /// The tensor `name`.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.index.get(name).map(|&i| &self.entries[i])
    }

    /// All tensors, in insertion order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// How many tensors.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// The values of the tensor at `place`, to be changed.
    pub(crate) fn data_mut(&mut self, place: usize) -> &mut Floats {
        self.version = Version::new();
        &mut self.entries[place].data
    }

    /// The place of the tensor `name`, checked against the shape that a graph declares.
    pub(crate) fn position(&self, name: &str, shape: Shape) -> Result<usize> {
        let Some(&i) = self.index.get(name) else {
            return Err(Error::MissingParam { name: name.into() });
        };
        let got = self.entries[i].shape;
        if got != shape {
            return Err(Error::ParamShape {
                name: name.to_string(),
                expected: shape,
                got,
            });
        }
        Ok(i)
    }
}
