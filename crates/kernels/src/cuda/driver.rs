//! A device of the CUDA driver.
//!
//! Everything runs in order on one stream; memory that a launch uses is freed only when the stream is idle.

use std::collections::HashMap;
use std::ffi::{CString, c_void};

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{self, CUresult};

use super::cublas::Cublas;
use super::{About, Driver, Error, Graph, Launch, Product, Result};
use crate::ptx;

pub(super) fn none(reason: String) -> Error {
    Error::NoDevice { reason }
}

/// What the driver says about an error: its name, and a sentence where it has one.
pub(super) fn text(error: DriverError) -> String {
    let words = |s: std::result::Result<&std::ffi::CStr, DriverError>| {
        s.map_or(String::new(), |s| s.to_string_lossy().into_owned())
    };
    let (name, sentence) = (words(error.error_name()), words(error.error_string()));
    match name.is_empty() {
        true => format!("{:?}", error.0),
        false => format!("{name}: {sentence}"),
    }
}

fn driver_error(call: &'static str) -> impl Fn(DriverError) -> Error {
    move |e| Error::Driver {
        call,
        reason: text(e),
    }
}

fn refused(launch: &Launch, reason: String) -> Error {
    Error::Kernel {
        name: launch.kernel().to_string(),
        reason,
    }
}

/// Where each argument of a launch lies; the driver copies it, by the size that the kernel declares, before its call returns.
fn arguments(launch: &Launch) -> Vec<*mut c_void> {
    let arguments = launch.arguments();
    arguments
        .map(|bytes| bytes.as_ptr().cast_mut().cast())
        .collect()
}

/// A device of the CUDA driver.
pub(super) struct Cuda {
    number: sys::CUdevice,
    context: sys::CUcontext,
    stream: sys::CUstream,
    about: About,
    /// What was allocated and is not yet free: address and bytes.
    allocations: HashMap<u64, usize>,
    modules: HashMap<&'static str, sys::CUmodule>,
    functions: HashMap<String, sys::CUfunction>,
    graphs: HashMap<u64, (sys::CUgraphExec, usize)>,
    /// What was launched since the host last waited, for messages.
    since: Since,
    /// The library to compare with, once it was asked for; `None` inside where there is none.
    cublas: Option<Option<Cublas>>,
}

/// Launches since the host last waited.
#[derive(Default)]
struct Since {
    /// The first few.
    names: Vec<String>,
    count: usize,
}

impl Since {
    const NAMED: usize = 8;

    fn add(&mut self, name: &str, count: usize) {
        if self.names.len() < Since::NAMED && !self.names.iter().any(|n| n == name) {
            self.names.push(name.to_string());
        }
        self.count += count;
    }

    fn text(&self) -> String {
        match self.count {
            1 => self.names.join(""),
            n => format!(
                "(one of {n} since the host last waited: {}, ..)",
                self.names.join(", ")
            ),
        }
    }
}

// SAFETY: the driver's handles may be used from any thread; every method makes the context current on its thread first,
// and `&mut self` keeps calls apart.
unsafe impl Send for Cuda {}

impl Cuda {
    pub(super) fn new(number: sys::CUdevice, about: About) -> Result<Cuda> {
        let unusable = |e| none(format!("{}: {}", about.name, text(e)));
        // SAFETY: `number` was given by the driver; what is retained is released in `drop`.
        let context = unsafe { result::primary_ctx::retain(number) }.map_err(unusable)?;
        // SAFETY: the context was just retained.
        unsafe { result::ctx::set_current(context) }.map_err(unusable)?;
        let stream =
            result::stream::create(result::stream::StreamKind::NonBlocking).map_err(unusable)?;
        Ok(Cuda {
            number,
            context,
            stream,
            about,
            allocations: HashMap::new(),
            modules: HashMap::new(),
            functions: HashMap::new(),
            graphs: HashMap::new(),
            since: Since::default(),
            cublas: None,
        })
    }

    /// Makes the context current on this thread.
    fn enter(&self) -> Result<()> {
        // SAFETY: the context is retained until `drop`.
        unsafe { result::ctx::set_current(self.context) }.map_err(driver_error("cuCtxSetCurrent"))
    }

    fn wait(&mut self) -> Result<()> {
        // SAFETY: the stream lives until `drop`.
        let done = unsafe { result::stream::synchronize(self.stream) };
        let since = std::mem::take(&mut self.since);
        done.map_err(|e| match since.count {
            0 => driver_error("cuStreamSynchronize")(e),
            _ => Error::Kernel {
                name: since.text(),
                reason: text(e),
            },
        })
    }

    /// The module of a family, which the driver compiles when it is first asked for.
    fn module(&mut self, family: &'static str) -> Result<sys::CUmodule> {
        if let Some(module) = self.modules.get(family) {
            return Ok(*module);
        }
        let refused = |reason: String| Error::Kernel {
            name: format!("family {family}"),
            reason,
        };
        let found = ptx::family(family).ok_or_else(|| refused("there is no such family".into()))?;
        let ptx_text = CString::new(found.ptx).expect("PTX has no zero byte");
        // SAFETY: the text ends in a zero byte and outlives the call; the driver checks the rest.
        let module = unsafe { result::module::load_data(ptx_text.as_ptr().cast()) };
        let module = module.map_err(|e| {
            let version = ptx::VERSION;
            refused(format!("the driver rejects its PTX {version}: {}", text(e)))
        })?;
        self.modules.insert(family, module);
        Ok(module)
    }

    /// A launch's kernel, which was loaded.
    fn function(&self, launch: &Launch) -> Result<sys::CUfunction> {
        let function = self.functions.get(launch.kernel()).copied();
        function.ok_or_else(|| refused(launch, "it is not loaded".into()))
    }

    /// Adds a node for each launch to an empty graph.
    fn fill(&self, graph: sys::CUgraph, launches: &[&Launch], waits: &[Vec<usize>]) -> Result<()> {
        let mut nodes: Vec<sys::CUgraphNode> = Vec::with_capacity(launches.len());
        for (launch, waits) in launches.iter().zip(waits) {
            let mut arguments = arguments(launch);
            let [x, y, z] = launch.blocks();
            let params = sys::CUDA_KERNEL_NODE_PARAMS {
                func: self.function(launch)?,
                gridDimX: x,
                gridDimY: y,
                gridDimZ: z,
                blockDimX: launch.block_threads(),
                blockDimY: 1,
                blockDimZ: 1,
                sharedMemBytes: launch.shared_bytes(),
                kernelParams: arguments.as_mut_ptr(),
                extra: std::ptr::null_mut(),
                kern: std::ptr::null_mut(),
                ctx: std::ptr::null_mut(), // the current one
            };
            let after: Vec<sys::CUgraphNode> = waits.iter().map(|&i| nodes[i]).collect();
            let mut node = std::ptr::null_mut();
            // SAFETY: as for a launch: see `Driver::launch`; the nodes in `after` are of this graph, and the call copies them.
            let done = unsafe {
                sys::cuGraphAddKernelNode_v2(&mut node, graph, after.as_ptr(), after.len(), &params)
            };
            done.result()
                .map_err(|e| refused(launch, format!("in a graph: {}", text(e))))?;
            nodes.push(node);
        }
        Ok(())
    }

    /// Refuses addresses that lie outside of what was allocated.
    fn check(&self, address: u64, bytes: usize) -> Result<()> {
        let end = address + bytes as u64;
        let inside = |(&start, &n): (&u64, &usize)| start <= address && end <= start + n as u64;
        if self.allocations.iter().any(inside) {
            return Ok(());
        }
        let reason = format!("{bytes} bytes at {address:#x} are not in one allocation");
        Err(Error::Driver {
            call: "copy",
            reason,
        })
    }
}

impl Driver for Cuda {
    fn about(&self) -> About {
        self.about.clone()
    }

    fn free_bytes(&mut self) -> Result<usize> {
        self.enter()?;
        let (free, _) = result::mem_get_info().map_err(driver_error("cuMemGetInfo"))?;
        Ok(free)
    }

    fn alloc(&mut self, bytes: usize) -> Result<u64> {
        self.enter()?;
        // SAFETY: the context is current.
        match unsafe { result::malloc_sync(bytes) } {
            Ok(address) => {
                self.allocations.insert(address, bytes);
                Ok(address)
            }
            Err(e) if e.0 == CUresult::CUDA_ERROR_OUT_OF_MEMORY => Err(Error::Memory {
                asked: bytes,
                free: self.free_bytes()?,
            }),
            Err(e) => Err(driver_error("cuMemAlloc")(e)),
        }
    }

    fn free(&mut self, address: u64) {
        if self.allocations.remove(&address).is_some() && self.enter().is_ok() {
            // An error of an earlier launch shows at the next call as well, so that it may be dropped here and below.
            let _ = self.wait();
            // SAFETY: it was allocated, is now forgotten, and nothing on the stream uses it any more.
            let _ = unsafe { result::free_sync(address) };
        }
    }

    fn write(&mut self, to: u64, data: &[u8]) -> Result<()> {
        self.enter()?;
        self.check(to, data.len())?;
        self.wait()?;
        // On our stream, for what is called synchronous follows the default stream, which ours does not wait for.
        // SAFETY: `to` has room for `data`, as was just checked; `data` outlives the copy, which is waited for.
        unsafe { result::memcpy_htod_async(to, data, self.stream) }
            .map_err(driver_error("cuMemcpyHtoDAsync"))?;
        self.wait()
    }

    fn read(&mut self, from: u64, data: &mut [u8]) -> Result<()> {
        self.enter()?;
        self.check(from, data.len())?;
        self.wait()?; // so that a kernel that failed is named
        // SAFETY: `from` has as many bytes, as was just checked; `data` outlives the copy, which is waited for.
        unsafe { result::memcpy_dtoh_async(data, from, self.stream) }
            .map_err(driver_error("cuMemcpyDtoHAsync"))?;
        self.wait()
    }

    fn load(&mut self, launch: &Launch) -> Result<()> {
        let name = launch.kernel();
        if self.functions.contains_key(name) {
            return Ok(());
        }
        self.enter()?;
        let module = self.module(launch.family())?;
        let refused = |e| Error::Kernel {
            name: name.to_string(),
            reason: text(e),
        };
        let c_name = CString::new(name).expect("names have no zero byte");
        // SAFETY: the module stays loaded until `drop`.
        let function = unsafe { result::module::get_function(module, c_name) }.map_err(refused)?;
        // Now and not at its first launch, so that a graph finds it there.
        // SAFETY: as above.
        unsafe { sys::cuFuncLoad(function) }
            .result()
            .map_err(refused)?;
        self.functions.insert(name.to_string(), function);
        Ok(())
    }

    fn launch(&mut self, launch: &Launch) -> Result<()> {
        self.enter()?;
        let function = self.function(launch)?;
        let mut arguments = arguments(launch);
        let [x, y, z] = launch.blocks();
        let (block, shared) = (launch.block_threads(), launch.shared_bytes());
        // SAFETY: launches are made by the functions of this module alone, with the arguments that the kernel declares,
        // and addresses and lengths of device memory that they checked; the arguments outlive the call.
        let done = unsafe {
            result::launch_kernel(
                function,
                (x, y, z),
                (block, 1, 1),
                shared,
                self.stream,
                &mut arguments,
            )
        };
        done.map_err(|e| {
            let size = format!("grid {x} x {y} x {z}, block {block}, {shared} bytes shared");
            refused(launch, format!("{} ({size})", text(e)))
        })?;
        self.since.add(launch.kernel(), 1);
        Ok(())
    }

    fn capture(&mut self, launches: &[&Launch], waits: &[Vec<usize>]) -> Result<Graph> {
        self.enter()?;
        let mut graph = std::ptr::null_mut();
        // SAFETY: the call writes a handle to `graph`.
        unsafe { sys::cuGraphCreate(&mut graph, 0) }
            .result()
            .map_err(driver_error("cuGraphCreate"))?;
        let exec = self.fill(graph, launches, waits).and_then(|()| {
            let flags = sys::CUgraphInstantiate_flags_enum(0);
            // SAFETY: the graph was just made; what is instantiated from it is destroyed in `forget` or `drop`.
            unsafe { result::graph::instantiate(graph, flags) }
                .map_err(driver_error("cuGraphInstantiate"))
        });
        // SAFETY: the instance has its own copy of the graph.
        let destroyed = unsafe { result::graph::destroy(graph) };
        let exec = exec?;
        let id = exec as u64;
        self.graphs.insert(id, (exec, launches.len()));
        destroyed.map_err(driver_error("cuGraphDestroy"))?;
        Ok(Graph(id))
    }

    fn replay(&mut self, graph: Graph) -> Result<()> {
        self.enter()?;
        let found = self.graphs.get(&graph.0).copied();
        let (exec, launches) = found.ok_or_else(|| Error::Kernel {
            name: "graph".into(),
            reason: "it was given back".into(),
        })?;
        // SAFETY: the instance lives until `forget` or `drop`.
        let done = unsafe { result::graph::launch(exec, self.stream) };
        done.map_err(|e| Error::Kernel {
            name: format!("graph of {launches} launches"),
            reason: text(e),
        })?;
        self.since.add("a captured graph", launches);
        Ok(())
    }

    fn forget(&mut self, graph: Graph) {
        if let Some((exec, _)) = self.graphs.remove(&graph.0)
            && self.enter().is_ok()
        {
            let _ = self.wait();
            // SAFETY: it was instantiated, is now forgotten, and does not run any more.
            let _ = unsafe { result::graph::exec_destroy(exec) };
        }
    }

    fn library_product(&mut self, product: Product) -> Result<bool> {
        self.enter()?;
        let cublas = match &mut self.cublas {
            Some(found) => found,
            None => self.cublas.insert(Cublas::load(self.stream)?),
        };
        match cublas {
            Some(cublas) => cublas.product(product).map(|()| true),
            None => Ok(false),
        }
    }

    fn synchronise(&mut self) -> Result<()> {
        self.enter()?;
        self.wait()
    }
}

impl Drop for Cuda {
    fn drop(&mut self) {
        if self.enter().is_err() {
            return;
        }
        let _ = self.wait();
        self.cublas = None; // before its stream
        // Nothing can be done about an error here.
        for (exec, _) in self.graphs.values() {
            // SAFETY: instantiated by `capture`, and idle.
            let _ = unsafe { result::graph::exec_destroy(*exec) };
        }
        for module in self.modules.values() {
            // SAFETY: loaded by `load`; no function of it runs.
            let _ = unsafe { result::module::unload(*module) };
        }
        for address in self.allocations.keys() {
            // SAFETY: allocated by `alloc` and not freed; nothing uses it.
            let _ = unsafe { result::free_sync(*address) };
        }
        // SAFETY: created and retained in `new`; nothing of them is used after this.
        let _ = unsafe { result::stream::destroy(self.stream) };
        // SAFETY: as above.
        let _ = unsafe { result::primary_ctx::release(self.number) };
    }
}
