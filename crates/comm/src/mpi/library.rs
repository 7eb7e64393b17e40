//! The functions and handles of an MPI library, whichever was found.
//!
//! Three binary interfaces cover what is installed. They have the same functions and differ in handles: the standard one
//! (MPI 5.0, section 20.3) and Open MPI have pointers, MPICH and its relatives have C ints.

use std::env;
use std::ffi::{OsStr, c_char, c_int, c_void};
use std::ptr::null_mut;

use libloading::Library;

use super::launcher::OPEN_MPI;
use crate::Error;
use crate::error::reason;

/// The variable that names the library.
const VARIABLE: &str = "GANFORGE_MPI";

/// What is tried without the variable: the standard interface, Open MPI, MPICH.
const NAMES: [&str; 3] = ["libmpi_abi.so.1", "libmpi.so.40", "libmpi.so.12"];

/// What libraries with the handles of MPICH say that they are.
const RELATIVES: [&str; 3] = ["MPICH", "Intel(R) MPI", "MVAPICH"];

/// The calls of MPI that ranks need, to be made by one thread at a time, from `init` to `finalize`.
///
/// Those that pass numbers, `barrier` and `sum` are for all ranks together, with the same lengths and root: it is up to the
/// callers of a [`Communicator`](crate::Communicator) that it is so.
pub(super) trait Calls: Send {
    /// Joins the others, before every other call, and says whether other threads than this one may call from then on.
    fn init(&self) -> Result<bool, Error>;
    /// Rank and number of ranks.
    fn place(&self) -> Result<(usize, usize), Error>;
    /// What this machine is called.
    fn machine(&self) -> Result<Vec<u8>, Error>;
    /// Chunk i of `send`, of as many as there are ranks, goes to rank i. `receive` is as long.
    fn all_to_all(&self, send: &[u8], receive: &mut [u8]) -> Result<(), Error>;
    /// `receive` has the `send` of all ranks.
    fn all_gather(&self, send: &[u8], receive: &mut [u8]) -> Result<(), Error>;
    fn broadcast(&self, bytes: &mut [u8], root: usize) -> Result<(), Error>;
    fn barrier(&self) -> Result<(), Error>;
    /// `MPI_Allreduce` with `MPI_SUM`.
    fn sum(&self, data: &mut [f32]) -> Result<(), Error>;
    fn abort(&self, code: i32);
    /// Leaves the others: the last call, on the thread of `init`.
    fn finalize(&self) -> Result<(), Error>;
}

/// Opens the library of `GANFORGE_MPI`, or the first of the usual names, and says what it is: version and file.
pub(super) fn open() -> Result<(Box<dyn Calls>, String), Error> {
    if let Some(named) = env::var_os(VARIABLE).filter(|name| !name.is_empty()) {
        let shown = named.display().to_string();
        let library = load(&named).map_err(|reason| Error::NamedLibrary {
            variable: VARIABLE,
            path: shown.clone(),
            reason,
        })?;
        return calls(library, &shown);
    }
    let mut names = NAMES;
    // Another library that is also installed would not know this launcher.
    if env::var_os(OPEN_MPI).is_some() {
        names.swap(0, 1);
    }
    let (library, name) = first_of(&names)?;
    calls(library, name)
}

/// The first library that can be opened, and its name.
fn first_of<'n>(names: &[&'n str]) -> Result<(Library, &'n str), Error> {
    let mut tried = Vec::new();
    for name in names {
        match load(OsStr::new(name)) {
            Ok(library) => return Ok((library, name)),
            Err(reason) => tried.push(reason),
        }
    }
    Err(Error::NoLibrary {
        what: "MPI",
        tried: tried.join("; "),
        help: "install Open MPI (Debian: openmpi-bin) or MPICH (`pip install mpich`), with its launcher, \
               or let GANFORGE_MPI name the file libmpi.so of the one that is there",
    })
}

fn load(name: &OsStr) -> Result<Library, String> {
    #[cfg(unix)]
    {
        use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
        // SAFETY: what a library does when it is loaded is its own affair, as with those that a program is linked with:
        // an MPI library starts nothing before MPI_Init. Open MPI's plugins find its symbols only if they are global.
        unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) }
            .map(Into::into)
            .map_err(|error| reason(&error))
    }
    #[cfg(not(unix))]
    // SAFETY: as above.
    unsafe { Library::new(name) }.map_err(|error| reason(&error))
}

/// The calls of an open library, by the interface that it has, and what it is.
fn calls(library: Library, shown: &str) -> Result<(Box<dyn Calls>, String), Error> {
    // Never closed: MPI leaves threads and handlers of its exit behind.
    let library: &'static Library = Box::leak(Box::new(library));
    let from = Symbols { library, shown };
    let version = from.version()?;
    let pointer = |value: usize| value as *mut c_void;
    // First: such a library may have others below it, of which the system would find the symbols.
    let calls: Box<dyn Calls> = if from.is_standard() {
        let handles = Handles {
            world: pointer(0x101),
            byte: pointer(0x247),
            float: pointer(0x210),
            sum: pointer(0x21),
            in_place: 1,
            funneled: 1024,
            serialized: 2048,
        };
        Box::new(Functions::of(&from, handles)?)
    } else if let Ok(world) = from.address("ompi_mpi_comm_world") {
        let handles = Handles {
            world,
            byte: from.address("ompi_mpi_byte")?,
            float: from.address("ompi_mpi_float")?,
            sum: from.address("ompi_mpi_op_sum")?,
            in_place: 1,
            funneled: 1,
            serialized: 2,
        };
        Box::new(Functions::of(&from, handles)?)
    } else if RELATIVES.iter().any(|name| version.contains(name)) {
        let handles = Handles::<c_int> {
            world: 0x4400_0000,
            byte: 0x4c00_010d,
            float: 0x4c00_040a,
            sum: 0x5800_0003,
            in_place: usize::MAX,
            funneled: 1,
            serialized: 2,
        };
        Box::new(Functions::of(&from, handles)?)
    } else {
        let path = shown.to_string();
        return Err(Error::Interface { path, version });
    };
    Ok((calls, format!("{version} ({shown})")))
}

/// The symbols of a library, which errors name so.
struct Symbols<'a> {
    library: &'static Library,
    shown: &'a str,
}

impl Symbols<'_> {
    /// A function or the address of a variable.
    ///
    /// # Safety
    ///
    /// `T` is the type of that function, or a pointer.
    unsafe fn get<T: Copy>(&self, name: &'static str) -> Result<T, Error> {
        // SAFETY: the caller's.
        match unsafe { self.library.get::<T>(name) } {
            Ok(symbol) => Ok(*symbol),
            Err(_) => Err(Error::Symbol {
                path: self.shown.to_string(),
                what: "MPI",
                symbol: name,
            }),
        }
    }

    fn address(&self, name: &'static str) -> Result<*mut c_void, Error> {
        // SAFETY: a pointer.
        unsafe { self.get(name) }
    }

    /// The first line of what the library says that it is.
    fn version(&self) -> Result<String, Error> {
        let name = "MPI_Get_library_version";
        // SAFETY: the type of the MPI standard, of all interfaces: there is no handle in it.
        let get: unsafe extern "C" fn(*mut c_char, *mut c_int) -> c_int =
            unsafe { self.get(name)? };
        // SAFETY: room for 8192 bytes, the longest that any interface writes. Allowed before MPI_Init.
        let all = text(|to, len| unsafe { get(to, len) });
        let all = String::from_utf8_lossy(&all);
        let line = all.split(['\n', '\0', ',']).next().unwrap_or_default();
        Ok(line.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Whether the library has the standard interface: it says a version of it (MPI 5.0, chapter 20), which is -1 in a library
    /// that knows the question and has handles of its own.
    fn is_standard(&self) -> bool {
        let name = "MPI_Abi_get_version";
        // SAFETY: the type of the MPI standard, of all interfaces: there is no handle in it.
        let get =
            unsafe { self.get::<unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int>(name) };
        let (mut major, mut minor) = (-1, -1);
        // SAFETY: two numbers go to variables. Allowed before MPI_Init.
        get.is_ok_and(|get| unsafe { get(&mut major, &mut minor) } == 0) && major == 1
    }
}

/// Handles of one interface, all of one C type.
struct Handles<H> {
    world: H,
    byte: H,
    float: H,
    sum: H,
    /// In the place of what is sent: it is where the result goes.
    in_place: usize,
    /// The thread levels at which there are other threads, which do not call, or do so one at a time.
    funneled: c_int,
    serialized: c_int,
}

type Exchange<H> = unsafe extern "C" fn(*const c_void, c_int, H, *mut c_void, c_int, H, H) -> c_int;

/// The functions of a library whose handles are `H`, and the handles.
struct Functions<H> {
    handles: Handles<H>,
    init_thread: unsafe extern "C" fn(*mut c_int, *mut c_void, c_int, *mut c_int) -> c_int,
    finalize: unsafe extern "C" fn() -> c_int,
    abort: unsafe extern "C" fn(H, c_int) -> c_int,
    comm_rank: unsafe extern "C" fn(H, *mut c_int) -> c_int,
    comm_size: unsafe extern "C" fn(H, *mut c_int) -> c_int,
    get_processor_name: unsafe extern "C" fn(*mut c_char, *mut c_int) -> c_int,
    error_string: unsafe extern "C" fn(c_int, *mut c_char, *mut c_int) -> c_int,
    alltoall: Exchange<H>,
    allgather: Exchange<H>,
    bcast: unsafe extern "C" fn(*mut c_void, c_int, H, c_int, H) -> c_int,
    barrier: unsafe extern "C" fn(H) -> c_int,
    allreduce: unsafe extern "C" fn(*const c_void, *mut c_void, c_int, H, H, H) -> c_int,
}

// SAFETY: handles are numbers, or addresses of variables that live as long as the library, which is never closed. Which threads
// may call is up to those who hold it.
unsafe impl<H> Send for Functions<H> {}

impl<H: Copy> Functions<H> {
    fn of(from: &Symbols<'_>, handles: Handles<H>) -> Result<Functions<H>, Error> {
        // SAFETY: the fields have the types of the MPI standard's C functions, with H for each handle.
        unsafe {
            Ok(Functions {
                handles,
                init_thread: from.get("MPI_Init_thread")?,
                finalize: from.get("MPI_Finalize")?,
                abort: from.get("MPI_Abort")?,
                comm_rank: from.get("MPI_Comm_rank")?,
                comm_size: from.get("MPI_Comm_size")?,
                get_processor_name: from.get("MPI_Get_processor_name")?,
                error_string: from.get("MPI_Error_string")?,
                alltoall: from.get("MPI_Alltoall")?,
                allgather: from.get("MPI_Allgather")?,
                bcast: from.get("MPI_Bcast")?,
                barrier: from.get("MPI_Barrier")?,
                allreduce: from.get("MPI_Allreduce")?,
            })
        }
    }

    /// Whether a call succeeded. As MPI is by default, it ends all ranks where one does not.
    fn check(&self, call: &'static str, code: c_int) -> Result<(), Error> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: `text` passes room for the longest message of any interface.
        let message = text(|to, len| unsafe { (self.error_string)(code, to, len) });
        let message = String::from_utf8_lossy(&message).into_owned();
        Err(Error::Mpi { call, message })
    }
}

/// What a function of MPI writes into a buffer that it is given, with its length. The longest is a version, of at most 8192
/// bytes in all three interfaces.
fn text(write: impl FnOnce(*mut c_char, *mut c_int) -> c_int) -> Vec<u8> {
    let mut buffer = vec![0u8; 8192];
    let mut len = 0;
    write(buffer.as_mut_ptr().cast(), &mut len);
    buffer.truncate(usize::try_from(len).unwrap_or(0));
    buffer
}

/// A number of bytes as MPI counts them; pieces are shorter than what a C int can say.
fn count(call: &'static str, bytes: usize) -> Result<c_int, Error> {
    c_int::try_from(bytes).map_err(|_| Error::Mpi {
        call,
        message: format!("{bytes} bytes are more than MPI can count"),
    })
}

impl<H: Copy + 'static> Calls for Functions<H> {
    fn init(&self) -> Result<bool, Error> {
        let (call, mut level) = ("MPI_Init_thread", 0);
        let Handles {
            funneled,
            serialized,
            ..
        } = self.handles;
        // SAFETY: MPI takes null for both arguments of `main`; the level goes to a variable.
        let code = unsafe { (self.init_thread)(null_mut(), null_mut(), serialized, &mut level) };
        self.check(call, code)?;
        if level < funneled {
            let _ = self.finalize();
            let message = format!(
                "this library is for programs of one thread (level {level}, {funneled} is needed); take one that was built with threads"
            );
            return Err(Error::Mpi { call, message });
        }
        Ok(level >= serialized)
    }

    fn place(&self) -> Result<(usize, usize), Error> {
        let (mut rank, mut size) = (0, 0);
        // SAFETY: both numbers go to variables, of a communicator that there is.
        let codes = unsafe {
            [
                (self.comm_rank)(self.handles.world, &mut rank),
                (self.comm_size)(self.handles.world, &mut size),
            ]
        };
        self.check("MPI_Comm_rank", codes[0])?;
        self.check("MPI_Comm_size", codes[1])?;
        let number = |n: c_int| usize::try_from(n).unwrap_or(0);
        Ok((number(rank), number(size)))
    }

    fn machine(&self) -> Result<Vec<u8>, Error> {
        let mut code = 0;
        let name = text(|to, len| {
            // SAFETY: room for 8192 bytes; names have at most 256 in any interface.
            code = unsafe { (self.get_processor_name)(to, len) };
            code
        });
        self.check("MPI_Get_processor_name", code)?;
        Ok(name)
    }

    fn all_to_all(&self, send: &[u8], receive: &mut [u8]) -> Result<(), Error> {
        let (call, byte, world) = ("MPI_Alltoall", self.handles.byte, self.handles.world);
        let size = self.place()?.1;
        assert_eq!(send.len(), receive.len());
        let n = count(call, send.len() / size)?;
        let (from, to) = (send.as_ptr().cast(), receive.as_mut_ptr().cast());
        // SAFETY: n bytes for each rank, at most as many as either slice has; the slices do not overlap. All ranks are in this call
        // with this n, as `Calls` says.
        let code = unsafe { (self.alltoall)(from, n, byte, to, n, byte, world) };
        self.check(call, code)
    }

    fn all_gather(&self, send: &[u8], receive: &mut [u8]) -> Result<(), Error> {
        let (call, byte, world) = ("MPI_Allgather", self.handles.byte, self.handles.world);
        let size = self.place()?.1;
        assert_eq!(send.len() * size, receive.len());
        let n = count(call, send.len())?;
        let (from, to) = (send.as_ptr().cast(), receive.as_mut_ptr().cast());
        // SAFETY: n bytes of `send`, and as many from each rank, for which `receive` has room; all ranks are in this call with
        // this n, as `Calls` says.
        let code = unsafe { (self.allgather)(from, n, byte, to, n, byte, world) };
        self.check(call, code)
    }

    fn broadcast(&self, bytes: &mut [u8], root: usize) -> Result<(), Error> {
        let (call, byte, world) = ("MPI_Bcast", self.handles.byte, self.handles.world);
        let (n, root) = (count(call, bytes.len())?, count(call, root)?);
        // SAFETY: n bytes of a slice that has them; all ranks are in this call with this n and this root, as `Calls` says.
        let code = unsafe { (self.bcast)(bytes.as_mut_ptr().cast(), n, byte, root, world) };
        self.check(call, code)
    }

    fn barrier(&self) -> Result<(), Error> {
        // SAFETY: a communicator that there is, of which all ranks are in this call, as `Calls` says.
        let code = unsafe { (self.barrier)(self.handles.world) };
        self.check("MPI_Barrier", code)
    }

    fn sum(&self, data: &mut [f32]) -> Result<(), Error> {
        let Handles {
            world, float, sum, ..
        } = self.handles;
        let call = "MPI_Allreduce";
        let n = count(call, data.len())?;
        let (from, to) = (
            self.handles.in_place as *const c_void,
            data.as_mut_ptr().cast(),
        );
        // SAFETY: n numbers of a slice that has them; the address in place of the other one is never read. All ranks are in this
        // call with this n, as `Calls` says.
        let code = unsafe { (self.allreduce)(from, to, n, float, sum, world) };
        self.check(call, code)
    }

    fn abort(&self, code: i32) {
        // SAFETY: a communicator that there is.
        unsafe { (self.abort)(self.handles.world, code) };
    }

    fn finalize(&self) -> Result<(), Error> {
        // SAFETY: the last call, on the thread that initialised MPI, as `Calls` says; with no other under way, since one thread
        // calls at a time.
        let code = unsafe { (self.finalize)() };
        self.check("MPI_Finalize", code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_no_library_it_is_said_what_to_install() {
        let said = first_of(&["libnot-there.so.1", "libnor-this.so"]);
        let said = said.expect_err("no such libraries").to_string();
        assert!(
            said.starts_with("no MPI library: install Open MPI (Debian: openmpi-bin) or"),
            "{said}"
        );
        assert!(said.contains("GANFORGE_MPI"), "{said}");
        for name in ["libnot-there.so.1: ", "libnor-this.so: "] {
            assert!(said.contains(name), "{said}");
        }
    }
}
