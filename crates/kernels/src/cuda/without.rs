//! Without feature `cuda` no CUDA device is available.

use super::{About, Device, Error, Result};

fn none<T>() -> Result<T> {
    Err(Error::NoDevice {
        reason: "this program was built without CUDA (feature `cuda`)".into(),
    })
}

/// The CUDA devices of this machine.
///
/// # Errors
/// Always [`Error::NoDevice`]: feature `cuda` is off.
pub fn devices() -> Result<Vec<About>> {
    none()
}

/// The CUDA device with the number `index`.
///
/// # Errors
/// Always [`Error::NoDevice`]: feature `cuda` is off.
pub fn open(_index: usize) -> Result<Device> {
    none()
}
