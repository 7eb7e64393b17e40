//! Where plans run: on the CPU or on a device.

use std::borrow::Cow;

use ganforge_kernels::cuda::{Device, Precision};
use ganforge_tensor::{Cpu, Cuda, Executor, Feed, NodeId, Plan, Result, Store};

/// Where plans run.
#[derive(Clone, Default)]
pub enum Place {
    /// On the current thread pool.
    #[default]
    Cpu,
    /// On a device, whose products are computed as said.
    Device(Device, Precision),
}

impl Place {
    /// Its name: `cpu`, or the device's, with the precision where it is not f32.
    pub fn name(&self) -> String {
        match self {
            Place::Cpu => "cpu".into(),
            Place::Device(device, Precision::F32) => device.about().name,
            Place::Device(device, precision) => {
                format!("{}, {}", device.about().name, precision.name())
            }
        }
    }
}

/// An executor of plans.
pub enum Engine {
    /// On the CPU.
    Cpu(Box<Cpu>),
    /// On a device.
    Cuda(Box<Cuda>),
}

impl Engine {
    /// An executor at `place`.
    ///
    /// # Errors
    /// A precision that the device lacks; no memory there.
    pub fn new(place: &Place) -> Result<Engine> {
        Ok(match place {
            Place::Cpu => Engine::Cpu(Box::default()),
            Place::Device(device, precision) => {
                Engine::Cuda(Box::new(Cuda::new(device, *precision)?))
            }
        })
    }

    /// The value that the last run left under a fetched name.
    pub fn fetch<'a>(&'a self, plan: &Plan, store: &'a Store, name: &str) -> Option<&'a [f32]> {
        match self {
            Engine::Cpu(cpu) => cpu.fetch(plan, store, name),
            Engine::Cuda(cuda) => cuda.fetch(plan, name),
        }
    }

    /// The value of a node after a run of a plan with [`Keep::All`](ganforge_tensor::Keep::All).
    ///
    /// # Errors
    /// The device's.
    pub fn value<'a>(
        &'a self,
        plan: &Plan,
        store: &'a Store,
        node: NodeId,
    ) -> Result<Option<Cow<'a, [f32]>>> {
        match self {
            Engine::Cpu(cpu) => Ok(cpu.value(plan, store, node).map(Cow::Borrowed)),
            Engine::Cuda(cuda) => Ok(cuda.value(plan, node)?.map(Cow::Owned)),
        }
    }
}

impl Executor for Engine {
    fn run(&mut self, plan: &Plan, store: &mut Store, feeds: &[Feed]) -> Result<()> {
        match self {
            Engine::Cpu(cpu) => cpu.run(plan, store, feeds),
            Engine::Cuda(cuda) => cuda.run(plan, store, feeds),
        }
    }
}
