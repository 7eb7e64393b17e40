//! A device, independent of the driver that runs its kernels.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytemuck::Pod;

use super::order::{self, Edge};
use super::{Buffer, Error, Launch, Result, Slice, matmul};
use crate::cpu::gemm::Shape3;

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its name, such as `NVIDIA H200`.
    pub name: String,
    /// Its compute capability, such as (9, 0).
    pub capability: (u32, u32),
    /// Bytes of memory.
    pub memory: usize,
}

/// Launches that were captured; see [`Device::capture`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Graph(pub u64);

/// C [m, n] = op(A) · op(B) of arrays on a device, by their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// Whether A is stored transposed.
    pub ta: bool,
    /// Whether B is.
    pub tb: bool,
    /// Sizes.
    pub dims: Shape3,
    /// A.
    pub a: u64,
    /// B.
    pub b: u64,
    /// C.
    pub c: u64,
}

/// What runs kernels: memory, modules, launches in order. Addresses are those that [`Driver::alloc`] gave.
pub trait Driver: Send {
    /// What it runs on.
    fn about(&self) -> About;

    /// Bytes that can still be allocated.
    ///
    /// # Errors
    /// [`Error::Driver`].
    fn free_bytes(&mut self) -> Result<usize>;

    /// Memory of `bytes` bytes, which hold anything, aligned to 256.
    ///
    /// # Errors
    /// [`Error::Memory`].
    fn alloc(&mut self, bytes: usize) -> Result<u64>;

    /// Gives memory back, once all launches so far are done.
    fn free(&mut self, address: u64);

    /// Copies to the device, after all launches so far.
    ///
    /// # Errors
    /// [`Error::Driver`]; a failure of an earlier launch.
    fn write(&mut self, to: u64, data: &[u8]) -> Result<()>;

    /// Copies from the device, after all launches so far.
    ///
    /// # Errors
    /// As [`Driver::write`].
    fn read(&mut self, from: u64, data: &mut [u8]) -> Result<()>;

    /// Makes a launch's kernel ready.
    ///
    /// # Errors
    /// [`Error::Kernel`] where there is no such kernel or the device cannot run it.
    fn load(&mut self, launch: &Launch) -> Result<()>;

    /// Runs a loaded kernel after all launches so far.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    fn launch(&mut self, launch: &Launch) -> Result<()>;

    /// Loaded launches as one graph; the launch at i follows those at `waits[i]`, which are all before i, by such an edge. Of
    /// those that may run at the same time ones of little slack go first, see [`order::slack`].
    ///
    /// # Errors
    /// [`Error::Driver`].
    fn capture(&mut self, launches: &[&Launch], waits: &[Vec<usize>], edge: Edge) -> Result<Graph>;

    /// Runs captured launches, after all launches so far.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    fn replay(&mut self, graph: Graph) -> Result<()>;

    /// Gives a graph back.
    fn forget(&mut self, graph: Graph);

    /// Runs captured launches `times` times, after all launches so far, and waits: the seconds that it took.
    ///
    /// # Errors
    /// As [`Driver::replay`].
    fn time(&mut self, graph: Graph, times: usize) -> Result<f64> {
        self.synchronise()?;
        let begin = Instant::now();
        (0..times).try_for_each(|_| self.replay(graph))?;
        self.synchronise()?;
        Ok(begin.elapsed().as_secs_f64())
    }

    /// A product by the vendor's library, `times` times over, as a graph: to compare with. A sentence where it is not installed.
    ///
    /// # Errors
    /// [`Error::Driver`].
    fn capture_library(
        &mut self,
        _product: Product,
        _times: usize,
    ) -> Result<std::result::Result<Graph, String>> {
        Ok(Err("this device has no vendor's library".into()))
    }

    /// Waits until all launches are done.
    ///
    /// # Errors
    /// A failure of an earlier launch.
    fn synchronise(&mut self) -> Result<()>;
}

/// A device. Clones are the same one.
#[derive(Clone)]
pub struct Device(Arc<Mutex<dyn Driver>>);

impl Device {
    /// The device of a driver.
    pub fn new(driver: impl Driver + 'static) -> Device {
        Device(Arc::new(Mutex::new(driver)))
    }

    pub(super) fn driver(&self) -> MutexGuard<'_, dyn Driver + 'static> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is.
    pub fn about(&self) -> About {
        self.driver().about()
    }

    /// Bytes that can still be allocated.
    ///
    /// # Errors
    /// [`Error::Driver`].
    pub fn free_bytes(&self) -> Result<usize> {
        self.driver().free_bytes()
    }

    /// Room for `len` values, which hold anything.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn alloc<T: Pod>(&self, len: usize) -> Result<Buffer<T>> {
        Buffer::new(self, len)
    }

    /// A copy of `data`.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn copy_of<T: Pod>(&self, data: &[T]) -> Result<Buffer<T>> {
        let buffer = self.alloc(data.len())?;
        buffer.write(data)?;
        Ok(buffer)
    }

    /// Copies `data` to the beginning of `to`.
    ///
    /// # Errors
    /// The driver's.
    ///
    /// # Panics
    /// Where there is no room for them.
    pub fn write<T: Pod>(&self, to: Slice<T>, data: &[T]) -> Result<()> {
        let to = to.first(data.len());
        match data.is_empty() {
            true => Ok(()),
            false => self
                .driver()
                .write(to.address(), bytemuck::cast_slice(data)),
        }
    }

    /// Copies the beginning of `from` to `data`.
    ///
    /// # Errors
    /// The driver's; a kernel's that ran before.
    ///
    /// # Panics
    /// Where there are fewer values.
    pub fn read<T: Pod>(&self, from: Slice<T>, data: &mut [T]) -> Result<()> {
        let from = from.first(data.len());
        match data.is_empty() {
            true => Ok(()),
            false => {
                let data = bytemuck::cast_slice_mut(data);
                self.driver().read(from.address(), data)
            }
        }
    }

    /// Makes ready what `launches` need.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn load(&self, launches: &[Launch]) -> Result<()> {
        let mut driver = self.driver();
        launches.iter().try_for_each(|l| {
            l.check()?;
            driver.load(l)
        })
    }

    /// Runs loaded launches in order.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn run(&self, launches: &[Launch]) -> Result<()> {
        let mut driver = self.driver();
        launches.iter().try_for_each(|l| driver.launch(l))
    }

    /// C = op(A) · op(B) in f32 by the vendor's library, see [`Driver::capture_library`].
    ///
    /// # Errors
    /// The driver's.
    ///
    /// # Panics
    /// Where an array has another length than the sizes say.
    pub fn capture_library(
        &self,
        form: (bool, bool),
        dims: Shape3,
        [a, b, c]: [Slice; 3],
        times: usize,
    ) -> Result<std::result::Result<Captured, String>> {
        matmul::check(dims, [a, b, c]);
        let (ta, tb) = form;
        let [a, b, c] = [a, b, c].map(Slice::address);
        let product = Product {
            ta,
            tb,
            dims,
            a,
            b,
            c,
        };
        let found = self.driver().capture_library(product, times)?;
        Ok(found.map(|graph| Captured {
            graph,
            device: self.clone(),
            launches: times,
            longest_chain: times,
        }))
    }

    /// Loaded launches, `times` times over, to be replayed as one. A launch waits only for those before it that write what
    /// it touches, or touch what it writes: the others run at the same time.
    ///
    /// # Errors
    /// [`Error::Driver`].
    pub fn capture(&self, launches: &[Launch], times: usize) -> Result<Captured> {
        let launches: Vec<&Launch> = (0..times).flat_map(|_| launches).collect();
        let waits = order::waits(&launches);
        let edge = Edge::of(self.about().capability);
        Ok(Captured {
            graph: self.driver().capture(&launches, &waits, edge)?,
            device: self.clone(),
            launches: launches.len(),
            longest_chain: order::longest_chain(&waits),
        })
    }

    /// Waits until all launches are done.
    ///
    /// # Errors
    /// A kernel's that ran before.
    pub fn synchronise(&self) -> Result<()> {
        self.driver().synchronise()
    }

    /// Refuses a precision that the device lacks.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    pub fn check_precision(&self, precision: super::Precision) -> Result<()> {
        let About {
            name, capability, ..
        } = self.about();
        if precision == super::Precision::F32 || capability >= (8, 0) {
            return Ok(());
        }
        let (major, minor) = capability;
        Err(Error::Unsupported {
            device: name,
            reason: format!(
                "{} needs compute capability 8.0, this device has {major}.{minor}: use f32",
                precision.name()
            ),
        })
    }
}

/// Launches to be replayed as one. It does not keep their memory alive.
pub struct Captured {
    device: Device,
    graph: Graph,
    launches: usize,
    longest_chain: usize,
}

impl Captured {
    /// How many they are.
    pub fn launches(&self) -> usize {
        self.launches
    }

    /// The most of them that must follow one another.
    pub fn longest_chain(&self) -> usize {
        self.longest_chain
    }

    /// Runs them, after all launches so far.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn replay(&self) -> Result<()> {
        self.device.driver().replay(self.graph)
    }

    /// Runs them so many times, after all launches so far, and waits: the seconds that it took, by the device's clock where it
    /// has one.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn time(&self, times: usize) -> Result<f64> {
        self.device.driver().time(self.graph, times)
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        self.device.driver().forget(self.graph);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::pretend::Pretend;
    use crate::cuda::roofline;

    #[test]
    fn launches_of_a_graph_begin_early_where_the_device_has_that() {
        for (capability, expected) in [
            ((8, 6), Edge::Full),
            ((8, 9), Edge::Full),
            ((9, 0), Edge::Programmatic),
            ((12, 0), Edge::Programmatic),
        ] {
            let pretend = Pretend::of(capability);
            let device = pretend.device();
            let [x, y] = [(); 2].map(|()| device.alloc::<f32>(256).expect("memory"));
            let write = |b: &Buffer| roofline::fma(b.slice(), 1);
            let launches = [write(&x), write(&y), write(&x)];
            let _graph = device.capture(&launches, 1).expect("captured");
            let expected = (vec![vec![], vec![], vec![0]], expected);
            assert_eq!(pretend.captured(), Some(expected));
        }
    }
}
