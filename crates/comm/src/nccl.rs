//! NCCL, which copies between GPUs: found and asked for its version, and not used yet.

use std::ffi::c_int;

use libloading::Library;

use crate::Error;
use crate::error::reason;

/// What is tried: the only name that NVIDIA's packages ship, and the one of their development files.
const NAMES: [&str; 2] = ["libnccl.so.2", "libnccl.so"];

/// NCCL's library, opened at run time.
///
/// It connects no ranks yet: their gradients would have to stay in device memory, go around by grouped `ncclSend` and
/// `ncclRecv`, be added by a kernel of ours in [the order of all kinds](crate::all_reduce), and be gathered. None of that
/// could be tried, because it takes two GPUs; so there is no [`Communicator`](crate::Communicator) of it, and
/// [`open`](crate::open) says so.
#[derive(Debug)]
pub struct Nccl {
    library: Library,
    name: &'static str,
}

impl Nccl {
    /// Opens the library.
    ///
    /// # Errors
    ///
    /// [`Error::NoLibrary`] where there is none.
    pub fn open() -> Result<Nccl, Error> {
        let mut tried = Vec::new();
        for name in NAMES {
            // SAFETY: what it does when it is loaded is its own affair. It is closed with this value: NCCL starts threads, whose
            // code must stay, only when ranks are to be connected (by ncclGetUniqueId, too), which nothing here asks for.
            match unsafe { Library::new(name) } {
                Ok(library) => return Ok(Nccl { library, name }),
                Err(error) => tried.push(reason(&error)),
            }
        }
        Err(Error::NoLibrary {
            what: "NCCL",
            tried: tried.join("; "),
            help: "install it (NVIDIA's package libnccl2, or `pip install nvidia-nccl-cu12` and its folder in \
                   LD_LIBRARY_PATH)",
        })
    }

    /// Its version: major, minor, patch.
    ///
    /// # Errors
    ///
    /// [`Error::Symbol`] where this is another library; [`Error::Nccl`] where it fails.
    pub fn version(&self) -> Result<[i32; 3], Error> {
        let mut number = 0;
        // SAFETY: the type of nccl.h.
        let get: unsafe extern "C" fn(*mut c_int) -> c_int = unsafe { self.get("ncclGetVersion")? };
        // SAFETY: a number is written to a variable.
        check("ncclGetVersion", unsafe { get(&mut number) })?;
        // 2.8.4 is 2804, and since 2.9 2.9.1 is 20901.
        let major = if number < 10_000 { 1000 } else { 10_000 };
        Ok([number / major, number % major / 100, number % 100])
    }

    /// # Safety
    ///
    /// `T` is the type of that function.
    unsafe fn get<T: Copy>(&self, symbol: &'static str) -> Result<T, Error> {
        // SAFETY: the caller's.
        match unsafe { self.library.get::<T>(symbol) } {
            Ok(found) => Ok(*found),
            Err(_) => Err(Error::Symbol {
                path: self.name.to_string(),
                what: "NCCL",
                symbol,
            }),
        }
    }
}

fn check(call: &'static str, code: c_int) -> Result<(), Error> {
    if code == 0 {
        Ok(())
    } else {
        Err(Error::Nccl { call, code })
    }
}
