//! The device on which plans run: the CPU or a GPU.

use ganforge_kernels::cpu::conv::Algorithm;
use ganforge_kernels::cuda::{self, Precision};

use crate::error::Result;
use crate::exec::{Cpu, Cuda, Executor};

/// What plans run on.
#[derive(Clone)]
pub enum Device {
    /// The current thread pool; the algorithm is that of its convolutions.
    Cpu(Algorithm),
    /// A GPU; the precision is that of its matrix products.
    Cuda(cuda::Device, Precision),
}

/// The current thread pool.
impl Default for Device {
    fn default() -> Device {
        Device::CPU
    }
}

impl Device {
    /// The current thread pool, convolutions by the fastest algorithm.
    pub const CPU: Device = Device::Cpu(Algorithm::Fastest);

    /// Its name: `cpu`, `cpu, strict` where convolutions are direct, or the GPU's, with the precision where it is not f32.
    pub fn name(&self) -> String {
        match self {
            Device::Cpu(Algorithm::Fastest) => "cpu".into(),
            Device::Cpu(Algorithm::Direct) => "cpu, strict".into(),
            Device::Cuda(device, Precision::F32) => device.about().name,
            Device::Cuda(device, precision) => {
                format!("{}, {}", device.about().name, precision.name())
            }
        }
    }

    /// By which algorithm it computes convolutions: there is one on a GPU.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Device::Cpu(algorithm) => *algorithm,
            Device::Cuda(..) => Algorithm::Direct,
        }
    }

    /// An executor on it.
    ///
    /// # Errors
    /// A precision that the GPU lacks; no memory there.
    pub fn executor(&self) -> Result<Box<dyn Executor>> {
        Ok(match self {
            Device::Cpu(algorithm) => Box::new(Cpu::by(*algorithm)),
            Device::Cuda(device, precision) => Box::new(Cuda::new(device, *precision)?),
        })
    }
}
