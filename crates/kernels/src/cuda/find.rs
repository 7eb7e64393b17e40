//! The machine's CUDA devices; the driver's library is loaded on first use.

use std::ffi::c_int;

use cudarc::driver::result;
use cudarc::driver::sys::{self, CUdevice_attribute_enum as Attribute, CUresult};

use super::driver::{Cuda, none, text};
use super::one_by_one::OneByOne;
use super::{About, Device, Error, Result};
use crate::ptx;

/// The lowest compute capability that the kernels are compiled for.
const CAPABILITY: (u32, u32) = (7, 0);

/// The CUDA devices of this machine, by number.
///
/// # Errors
/// [`Error::NoDevice`] where there is no driver, it is too old, or it knows of no device.
pub fn devices() -> Result<Vec<About>> {
    let count = count()?;
    (0..count).map(|i| Ok(about(i)?.1)).collect()
}

/// The CUDA device with the number `index`. With `CUDA_LAUNCH_BLOCKING=1` in the environment it runs launch by launch and waits
/// after each, also of graphs, so that a fault has the name of its kernel.
///
/// # Errors
/// [`Error::NoDevice`] where there is no driver, it is too old, or there is no device of that number or it is too old.
pub fn open(index: usize) -> Result<Device> {
    let count = count()?;
    if index >= count {
        let reason = match count {
            1 => format!("cuda:{index}: no such device; this machine has one device, cuda:0"),
            _ => format!(
                "cuda:{index}: no such device; this machine has {count} devices, cuda:0 to cuda:{}",
                count - 1
            ),
        };
        return Err(Error::NoDevice { reason });
    }
    let (number, about) = about(index)?;
    if about.capability < CAPABILITY {
        let ((major, minor), (least, _)) = (about.capability, CAPABILITY);
        let reason = format!(
            "{} has compute capability {major}.{minor}, the kernels need {least}.0",
            about.name
        );
        return Err(Error::NoDevice { reason });
    }
    let driver = Cuda::new(number, about)?;
    Ok(match std::env::var("CUDA_LAUNCH_BLOCKING").as_deref() {
        Ok("1") => Device::new(OneByOne::new(driver)),
        _ => Device::new(driver),
    })
}

/// How many devices the driver knows.
fn count() -> Result<usize> {
    // SAFETY: loads the driver's library, whose initialisers are trusted as every CUDA program trusts them.
    if !unsafe { sys::is_culib_present() } {
        let reason = "no NVIDIA driver was found on this machine (its library is libcuda.so.1, or nvcuda.dll)";
        return Err(none(reason.into()));
    }
    result::init().map_err(|e| match e.0 {
        CUresult::CUDA_ERROR_NO_DEVICE => none("the driver finds no NVIDIA GPU".into()),
        CUresult::CUDA_ERROR_STUB_LIBRARY => none(
            "the library libcuda.so that is found first is CUDA's stub, which is there to link with: take its folder `stubs` \
             out of LD_LIBRARY_PATH"
                .into(),
        ),
        _ => none(format!("the driver cannot be initialised: {}", text(e))),
    })?;
    let mut version: c_int = 0;
    // SAFETY: the pointer is to a local number that outlives the call.
    let found = unsafe { sys::cuDriverGetVersion(&mut version) }.result();
    found.map_err(|e| none(format!("the driver's version cannot be read: {}", text(e))))?;
    let (major, minor) = (version / 1000, version % 1000 / 10);
    let (needed_major, needed_minor) = ptx::CUDA;
    if (major, minor) < (needed_major, needed_minor) {
        return Err(none(format!(
            "the NVIDIA driver is too old: it supports CUDA {major}.{minor}, the kernels' PTX {} needs {needed_major}.{needed_minor} (driver {} or newer)",
            ptx::VERSION,
            ptx::DRIVER
        )));
    }
    match result::device::get_count() {
        Ok(n @ 1..) => Ok(n as usize),
        Ok(_) => Err(none("the driver finds no NVIDIA GPU".into())),
        Err(e) => Err(none(format!("the devices cannot be counted: {}", text(e)))),
    }
}

fn about(index: usize) -> Result<(sys::CUdevice, About)> {
    let failed = |e| none(format!("cuda:{index}: {}", text(e)));
    let device = result::device::get(index as c_int).map_err(failed)?;
    // SAFETY: `device` was just given by the driver.
    let attribute = |a| unsafe { result::device::get_attribute(device, a) }.map_err(failed);
    let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    // SAFETY: as above.
    let memory = unsafe { result::device::total_mem(device) }.map_err(failed)?;
    let about = About {
        name: result::device::get_name(device).map_err(failed)?,
        capability: (major as u32, minor as u32),
        memory,
    };
    Ok((device, about))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_driver_says_so_and_one_with_it_says_how_many_devices() {
        match devices() {
            Err(Error::NoDevice { reason }) => assert!(!reason.is_empty()),
            Err(other) => panic!("{other}"),
            Ok(found) => {
                assert!(!found.is_empty());
                let error = open(found.len())
                    .err()
                    .expect("there is none of that number");
                assert!(
                    error.to_string().contains(&format!("cuda:{}", found.len())),
                    "{error}"
                );
            }
        }
    }
}
