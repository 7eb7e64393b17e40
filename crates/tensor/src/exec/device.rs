//! The device on which plans run: the CPU or a GPU.

use ganforge_kernels::cuda::{self, Precision};

use crate::error::Result;
use crate::exec::{Cpu, Cuda, Executor};

/// What plans run on.
#[derive(Clone, Default)]
pub enum Device {
    /// The current thread pool.
    #[default]
    Cpu,
    /// A GPU; the precision is that of its matrix products.
    Cuda(cuda::Device, Precision),
}

impl Device {
    /// Its name: `cpu`, or the GPU's, with the precision where it is not f32.
    pub fn name(&self) -> String {
        match self {
            Device::Cpu => "cpu".into(),
            Device::Cuda(device, Precision::F32) => device.about().name,
            Device::Cuda(device, precision) => {
                format!("{}, {}", device.about().name, precision.name())
            }
        }
    }

    /// An executor on it.
    ///
    /// # Errors
    /// A precision that the GPU lacks; no memory there.
    pub fn executor(&self) -> Result<Box<dyn Executor>> {
        Ok(match self {
            Device::Cpu => Box::<Cpu>::default(),
            Device::Cuda(device, precision) => Box::new(Cuda::new(device, *precision)?),
        })
    }
}
