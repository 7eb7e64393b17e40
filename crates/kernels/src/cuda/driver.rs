//! A device of the CUDA driver.
//!
//! Everything runs in order on one stream; memory that a launch uses is freed only when the stream is idle.

use std::collections::HashMap;
use std::ffi::{CString, c_void};

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{self, CUresult};

use super::cublas::Cublas;
use super::order::{self, Edge};
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

/// A failure of a call, or of what was launched before it.
fn failure(since: Since, call: &'static str, e: DriverError) -> Error {
    match since.count {
        0 => driver_error(call)(e),
        _ => Error::Kernel {
            name: since.text(),
            reason: text(e),
        },
    }
}

/// An edge as the driver takes it.
fn data(edge: Edge) -> sys::CUgraphEdgeData {
    use sys::CUgraphDependencyType_enum as Type;
    /// CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC: active when all blocks have let their followers begin, or ended.
    const BEGUN: u8 = 1;
    let (from_port, kind) = match edge {
        Edge::Full => (0, Type::CU_GRAPH_DEPENDENCY_TYPE_DEFAULT),
        Edge::Programmatic => (BEGUN, Type::CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC),
    };
    sys::CUgraphEdgeData {
        from_port,
        to_port: 0,
        type_: kind as u8,
        reserved: [0; 5],
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
    /// By kernel, each in a module by itself.
    functions: HashMap<String, Function>,
    graphs: HashMap<u64, (sys::CUgraphExec, usize)>,
    /// Memory of the host that copies need not be staged from, and how much of it copies under way have.
    pinned: (*mut u8, usize),
    /// Around what is timed.
    events: [sys::CUevent; 2],
    /// Greatest and least priority of work.
    priorities: (i32, i32),
    /// What was launched since the host last waited, for messages.
    since: Since,
    /// The library to compare with, once it was asked for; `None` inside where there is none.
    cublas: Option<Option<Cublas>>,
}

/// A kernel that is ready.
#[derive(Clone, Copy)]
struct Function {
    module: sys::CUmodule,
    function: sys::CUfunction,
    /// Bytes of dynamic shared memory that it may be launched with beyond what every kernel may.
    granted: u32,
}

/// Bytes of `pinned`.
const PINNED: usize = 1 << 20;

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
                "(one of {n} since the host last waited: {}, ..; with CUDA_LAUNCH_BLOCKING=1 in the environment it is named)",
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
        // SAFETY: the context is current; the memory is bytes, and is written before it is read.
        let pinned = unsafe { result::malloc_host(PINNED, 0) }.map_err(unusable)?;
        let event = || result::event::create(sys::CUevent_flags_enum::CU_EVENT_DEFAULT);
        let events = [event().map_err(unusable)?, event().map_err(unusable)?];
        let (least, greatest) = result::stream::get_priority_range().map_err(unusable)?;
        Ok(Cuda {
            number,
            context,
            stream,
            about,
            allocations: HashMap::new(),
            functions: HashMap::new(),
            graphs: HashMap::new(),
            pinned: (pinned.cast(), 0),
            events,
            priorities: (greatest, least),
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
        self.pinned.1 = 0;
        let since = std::mem::take(&mut self.since);
        done.map_err(|e| failure(since, "cuStreamSynchronize", e))
    }

    /// Room for so many bytes in the host's memory that copies may use as it is, none of it in use by copies under way; nothing
    /// where there are too many.
    fn stage(&mut self, bytes: usize) -> Result<Option<&mut [u8]>> {
        if bytes > PINNED / 4 {
            return Ok(None);
        }
        if self.pinned.1 + bytes > PINNED {
            self.wait()?;
        }
        let at = self.pinned.1;
        self.pinned.1 += bytes.next_multiple_of(16);
        // SAFETY: the allocation has PINNED bytes, lives until `drop`, and no copy under way has these, as was just seen.
        Ok(Some(unsafe {
            std::slice::from_raw_parts_mut(self.pinned.0.add(at), bytes)
        }))
    }

    /// A kernel as a module by itself, compiled by the driver now.
    fn module(&mut self, launch: &Launch) -> Result<sys::CUmodule> {
        let found = ptx::family(launch.family());
        let source = found.and_then(|f| f.kernel(launch.kernel()));
        let source = source.ok_or_else(|| {
            refused(
                launch,
                format!("family {} has no such kernel", launch.family()),
            )
        })?;
        let source = match Edge::of(self.about.capability) {
            Edge::Full => source,
            Edge::Programmatic => ptx::with_waits(&source),
        };
        let source = CString::new(source).expect("PTX has no zero byte");
        let mut log = vec![0u8; 8 << 10];
        let mut options = [
            sys::CUjit_option_enum::CU_JIT_ERROR_LOG_BUFFER,
            sys::CUjit_option_enum::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
        ];
        let mut values = [log.as_mut_ptr().cast::<c_void>(), log.len() as *mut c_void];
        let mut module = std::ptr::null_mut();
        // SAFETY: the text ends in a zero byte; it and the log, which has as many bytes as is said, outlive the call.
        let done = unsafe {
            sys::cuModuleLoadDataEx(
                &mut module,
                source.as_ptr().cast(),
                options.len() as u32,
                options.as_mut_ptr(),
                values.as_mut_ptr(),
            )
        };
        done.result().map_err(|e| {
            let end = log.iter().position(|&b| b == 0).unwrap_or(log.len());
            let (log, version) = (String::from_utf8_lossy(&log[..end]), ptx::VERSION);
            let reason = format!("the driver rejects its PTX {version}: {} {log}", text(e));
            refused(launch, reason.trim_end().to_string())
        })?;
        Ok(module)
    }

    /// Lets a kernel have as much dynamic shared memory as a launch asks for, where that is more than it had.
    fn grant(&mut self, launch: &Launch) -> Result<()> {
        let shared = launch.shared_bytes();
        let Some(found) = self.functions.get_mut(launch.kernel()) else {
            return Ok(());
        };
        if shared <= found.granted {
            return Ok(());
        }
        let most = sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: the function's module stays loaded until `drop`.
        let done = unsafe { sys::cuFuncSetAttribute(found.function, most, shared as i32) };
        done.result().map_err(|e| {
            refused(
                launch,
                format!("{shared} bytes of shared memory: {}", text(e)),
            )
        })?;
        found.granted = shared;
        Ok(())
    }

    /// A launch's kernel, which was loaded.
    fn function(&self, launch: &Launch) -> Result<sys::CUfunction> {
        let found = self.functions.get(launch.kernel());
        let function = found.map(|f| f.function);
        function.ok_or_else(|| refused(launch, "it is not loaded".into()))
    }

    /// Adds a node for each launch to an empty graph.
    fn fill(
        &self,
        graph: sys::CUgraph,
        launches: &[&Launch],
        waits: &[Vec<usize>],
        edge: Edge,
    ) -> Result<()> {
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
            let refused = |e| refused(launch, format!("in a graph: {}", text(e)));
            // SAFETY: as for a launch: see `Driver::launch`.
            let done = unsafe {
                sys::cuGraphAddKernelNode_v2(&mut node, graph, std::ptr::null(), 0, &params)
            };
            done.result().map_err(refused)?;
            let (edges, nodes_of_edges) = (vec![data(edge); after.len()], vec![node; after.len()]);
            // SAFETY: the nodes are kernels of this graph, both ends and the data of each edge, and the call copies them.
            let done = unsafe {
                let (from, to) = (after.as_ptr(), nodes_of_edges.as_ptr());
                sys::cuGraphAddDependencies_v2(graph, from, to, edges.as_ptr(), after.len())
            };
            done.result().map_err(refused)?;
            nodes.push(node);
        }
        let slack = order::slack(waits);
        let mut nodes = nodes.iter().zip(slack).zip(launches);
        nodes.try_for_each(|((node, slack), launch)| self.hurry(*node, slack, launch))
    }

    /// Gives a node the greatest priority where it has no slack, a lower one for each launch that it may be late.
    fn hurry(&self, node: sys::CUgraphNode, slack: usize, launch: &Launch) -> Result<()> {
        let (greatest, least) = self.priorities;
        let priority = greatest
            .saturating_add(slack.min(1 << 10) as i32)
            .min(least);
        let value = sys::CUlaunchAttributeValue_union { priority };
        let attribute = sys::CUlaunchAttributeID_enum::CU_LAUNCH_ATTRIBUTE_PRIORITY;
        // SAFETY: the node is of a kernel and was just added; the call copies the value.
        let done = unsafe { sys::cuGraphKernelNodeSetAttribute(node, attribute, &value) };
        done.result()
            .map_err(|e| refused(launch, format!("priority in a graph: {}", text(e))))
    }

    /// What was captured, ready to be replayed; the graph is destroyed.
    fn instantiate(&mut self, graph: sys::CUgraph, launches: usize) -> Result<Graph> {
        // By the nodes' priorities.
        let flags = sys::CUgraphInstantiate_flags_enum(8);
        // SAFETY: the graph was just made; what is instantiated from it is destroyed in `forget` or `drop`.
        let exec = unsafe { result::graph::instantiate(graph, flags) };
        // SAFETY: an instance has its own copy of the graph.
        let destroyed = unsafe { result::graph::destroy(graph) };
        let exec = exec.map_err(driver_error("cuGraphInstantiate"))?;
        let id = exec as u64;
        self.graphs.insert(id, (exec, launches));
        destroyed.map_err(driver_error("cuGraphDestroy"))?;
        Ok(Graph(id))
    }

    /// The error of a call that may tell of an earlier launch's.
    fn lost(&mut self, call: &'static str, e: DriverError) -> Error {
        failure(std::mem::take(&mut self.since), call, e)
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
        // Windows would take the host's memory instead of refusing.
        let free = self.free_bytes()?;
        if bytes > free {
            return Err(Error::Memory { asked: bytes, free });
        }
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
        let stream = self.stream;
        // On our stream, for what is called synchronous follows the default stream, which ours does not wait for.
        if let Some(staged) = self.stage(data.len())? {
            staged.copy_from_slice(data);
            // SAFETY: `to` has room for as many bytes, as was just checked; these stay as they are until the stream was
            // waited for.
            let done = unsafe { result::memcpy_htod_async(to, staged, stream) };
            return done.map_err(|e| self.lost("cuMemcpyHtoDAsync", e));
        }
        self.wait()?;
        // SAFETY: `to` has room for `data`, as was just checked; `data` outlives the copy, which is waited for.
        unsafe { result::memcpy_htod_async(to, data, stream) }
            .map_err(driver_error("cuMemcpyHtoDAsync"))?;
        self.wait()
    }

    fn read(&mut self, from: u64, data: &mut [u8]) -> Result<()> {
        self.enter()?;
        self.check(from, data.len())?;
        let stream = self.stream;
        if let Some(staged) = self.stage(data.len())? {
            let address = staged.as_ptr();
            // SAFETY: `from` has as many bytes, as was just checked; these are nobody else's until the stream was waited for.
            let done = unsafe { result::memcpy_dtoh_async(staged, from, stream) };
            done.map_err(|e| self.lost("cuMemcpyDtoHAsync", e))?;
            self.wait()?;
            // SAFETY: the same bytes, which the copy has written: the stream was waited for.
            data.copy_from_slice(unsafe { std::slice::from_raw_parts(address, data.len()) });
            return Ok(());
        }
        self.wait()?; // so that a kernel that failed is named
        // SAFETY: `from` has as many bytes, as was just checked; `data` outlives the copy, which is waited for.
        unsafe { result::memcpy_dtoh_async(data, from, stream) }
            .map_err(driver_error("cuMemcpyDtoHAsync"))?;
        self.wait()
    }

    fn load(&mut self, launch: &Launch) -> Result<()> {
        let name = launch.kernel();
        if self.functions.contains_key(name) {
            return self.grant(launch);
        }
        self.enter()?;
        let module = self.module(launch)?;
        let refused = |e| refused(launch, text(e));
        let c_name = CString::new(name).expect("names have no zero byte");
        // SAFETY: the module stays loaded until `drop`.
        let function = unsafe { result::module::get_function(module, c_name) }.map_err(refused)?;
        // Now and not at its first launch, so that a graph finds it there.
        // SAFETY: as above.
        unsafe { sys::cuFuncLoad(function) }
            .result()
            .map_err(refused)?;
        let ready = Function {
            module,
            function,
            granted: 0,
        };
        self.functions.insert(name.to_string(), ready);
        self.grant(launch)
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

    fn capture(&mut self, launches: &[&Launch], waits: &[Vec<usize>], edge: Edge) -> Result<Graph> {
        self.enter()?;
        let mut graph = std::ptr::null_mut();
        // SAFETY: the call writes a handle to `graph`.
        unsafe { sys::cuGraphCreate(&mut graph, 0) }
            .result()
            .map_err(driver_error("cuGraphCreate"))?;
        if let Err(error) = self.fill(graph, launches, waits, edge) {
            // SAFETY: it was just made.
            let _ = unsafe { result::graph::destroy(graph) };
            return Err(error);
        }
        self.instantiate(graph, launches.len())
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

    fn time(&mut self, graph: Graph, times: usize) -> Result<f64> {
        self.synchronise()?;
        let (stream, [begin, end]) = (self.stream, self.events);
        let record = |event| {
            // SAFETY: events and stream live until `drop`.
            unsafe { result::event::record(event, stream) }.map_err(driver_error("cuEventRecord"))
        };
        record(begin)?;
        (0..times).try_for_each(|_| self.replay(graph))?;
        record(end)?;
        self.wait()?;
        // SAFETY: both were recorded on one stream, which was waited for.
        let ms = unsafe { result::event::elapsed(begin, end) };
        Ok(f64::from(ms.map_err(driver_error("cuEventElapsedTime"))?) * 1e-3)
    }

    fn capture_library(
        &mut self,
        product: Product,
        times: usize,
    ) -> Result<std::result::Result<Graph, String>> {
        self.enter()?;
        let cublas = match &mut self.cublas {
            Some(found) => found,
            None => self.cublas.insert(Cublas::load(self.stream)?),
        };
        let Some(cublas) = cublas else {
            let reason = "cuBLAS is left out: libcublas.so or libcublas.so.12 is not among the libraries of this machine";
            return Ok(Err(reason.into()));
        };
        cublas.product(product)?; // loads what it needs, which must not be captured
        let mode = sys::CUstreamCaptureMode_enum::CU_STREAM_CAPTURE_MODE_RELAXED;
        // SAFETY: the stream is ours and captures nothing now.
        unsafe { result::stream::begin_capture(self.stream, mode) }
            .map_err(driver_error("cuStreamBeginCapture"))?;
        let done = (0..times).try_for_each(|_| cublas.product(product));
        // SAFETY: the capture has just begun.
        let graph = unsafe { result::stream::end_capture(self.stream) };
        let graph = graph.map_err(driver_error("cuStreamEndCapture"))?;
        match done {
            Ok(()) => self.instantiate(graph, times).map(Ok),
            Err(error) => {
                // SAFETY: it was just captured.
                let _ = unsafe { result::graph::destroy(graph) };
                Err(error)
            }
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
        for found in self.functions.values() {
            // SAFETY: loaded by `load`; no function of it runs.
            let _ = unsafe { result::module::unload(found.module) };
        }
        for event in self.events {
            // SAFETY: created in `new`; nothing waits for it.
            let _ = unsafe { result::event::destroy(event) };
        }
        // SAFETY: allocated in `new`; no copy is under way.
        let _ = unsafe { result::free_host(self.pinned.0.cast()) };
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
