//! The interpreter as a device, so that GPU code can be run and tested without a GPU.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use ganforge_kernels::cuda::order::{self, Edge};
use ganforge_kernels::cuda::{self, About, Driver, Error, Graph};
use ganforge_kernels::ptx;

use crate::counts::Counts;
use crate::launch::{Arg, Launch};
use crate::memory::{Memory, Pointer};
use crate::module::Module;

/// A device that interprets the kernels' PTX on the CPU. Slow, and strict: the first access that is out of bounds or not
/// declared by the launch, uninitialised read or data race ends the launch with an error that names it.
pub struct Interpreter {
    about: About,
    memory: Memory,
    /// Sizes of the allocations, by address.
    sizes: HashMap<u64, usize>,
    graphs: HashMap<u64, Arc<Captured>>,
    next_graph: u64,
    replays: u64,
    /// By kernel: the most dynamic shared memory that a loaded launch asked for.
    granted: HashMap<String, u32>,
    /// Launches that have not run yet, if they may be reordered.
    waiting: Option<Vec<cuda::Launch>>,
    watch: Watch,
    count: Count,
}

/// Called with the kernel's name before each launch.
type Watch = Option<Box<dyn FnMut(&str) + Send>>;

/// Called with the kernel's name, the threads and the cost of each launch.
type Count = Option<Box<dyn FnMut(&str, &Launch, &Counts) + Send>>;

/// Launches, each with the earlier ones it depends on.
struct Captured {
    launches: Vec<cuda::Launch>,
    waits: Vec<Vec<usize>>,
    edge: Edge,
}

impl Default for Interpreter {
    fn default() -> Interpreter {
        Interpreter::new((9, 0), 2 << 30)
    }
}

impl Interpreter {
    /// A device of the given compute capability and memory size in bytes.
    pub fn new(capability: (u32, u32), memory: usize) -> Interpreter {
        Interpreter {
            about: About {
                name: "PTX interpreter".into(),
                capability,
                memory,
            },
            memory: Memory::new(),
            sizes: HashMap::new(),
            graphs: HashMap::new(),
            next_graph: 0,
            replays: 0,
            granted: HashMap::new(),
            waiting: None,
            watch: None,
            count: None,
        }
    }

    /// Calls `watch` with the name of each kernel before it runs, since a launch can take long.
    pub fn watched(self, watch: impl FnMut(&str) + Send + 'static) -> Interpreter {
        Interpreter {
            watch: Some(Box::new(watch)),
            ..self
        }
    }

    /// Calls `count` after each launch with its kernel, its threads and its cost.
    pub fn counting(
        self,
        count: impl FnMut(&str, &Launch, &Counts) + Send + 'static,
    ) -> Interpreter {
        Interpreter {
            count: Some(Box::new(count)),
            ..self
        }
    }

    /// A device that also reorders launches, as far as their declared accesses allow, so that missing declarations show.
    pub fn straying(self) -> Interpreter {
        Interpreter {
            waiting: Some(Vec::new()),
            ..self
        }
    }

    /// Runs the pending launches.
    fn flush(&mut self) -> cuda::Result<()> {
        let Some(launches) = self.waiting.as_mut().map(std::mem::take) else {
            return Ok(());
        };
        let waits = order::waits(&launches.iter().collect::<Vec<_>>());
        self.run_astray(&Captured {
            launches,
            waits,
            edge: Edge::Full,
        })
    }

    /// Runs launches out of order, so that missing dependencies show: of the ready ones the last runs first, or, every other
    /// time, one that has just become ready.
    fn run_astray(&mut self, captured: &Captured) -> cuda::Result<()> {
        let Captured {
            launches,
            waits,
            edge,
        } = captured;
        let mut left: Vec<usize> = waits.iter().map(Vec::len).collect();
        let mut followers = vec![Vec::new(); launches.len()];
        for (i, waits) in waits.iter().enumerate() {
            waits.iter().for_each(|&w| followers[w].push(i));
        }
        self.replays += 1;
        let goes_deep = self.replays.is_multiple_of(2);
        let ready = (0..launches.len()).filter(|&i| left[i] == 0);
        let mut ready: Vec<usize> = ready.collect();
        loop {
            if !goes_deep {
                ready.sort_unstable();
            }
            let Some(i) = ready.pop() else { return Ok(()) };
            let is_early = *edge == Edge::Programmatic && !waits[i].is_empty();
            self.run(&launches[i], is_early)?;
            for &f in &followers[i] {
                left[f] -= 1;
                if left[f] == 0 {
                    ready.push(f);
                }
            }
        }
    }

    /// Runs a launch, which may begin before those that it follows have ended.
    fn run(&mut self, launch: &cuda::Launch, is_early: bool) -> cuda::Result<()> {
        if let Some(watch) = &mut self.watch {
            watch(launch.kernel());
        }
        let refused = |reason: String| Error::Kernel {
            name: launch.kernel().to_string(),
            reason,
        };
        let edge = Edge::of(self.about.capability);
        let module = module(launch.family(), edge).map_err(refused)?;
        let size = Launch {
            grid: launch.blocks(),
            shared: launch.shared_bytes() as usize,
            granted: self.granted.get(launch.kernel()).map_or(0, |n| *n as usize),
            is_early,
            ..Launch::new(1, launch.block_threads())
        };
        let args: Vec<Arg> = launch.arguments().map(|a| Arg::Bytes(a.to_vec())).collect();
        self.memory.restrict(launch.touched());
        let done = module.launch(launch.kernel(), &size, &args, &mut self.memory);
        self.memory.release(launch.touched());
        let counts = done.map_err(|e| refused(e.to_string()))?;
        if let Some(count) = &mut self.count {
            count(launch.kernel(), &size, &counts);
        }
        Ok(())
    }
}

/// The module of a family, as devices with such edges have it; parsed once per process, since a large one takes a moment.
fn module(family: &str, edge: Edge) -> Result<Arc<Module>, String> {
    static MODULES: Mutex<BTreeMap<(&str, bool), Arc<Module>>> = Mutex::new(BTreeMap::new());
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    let waits = edge == Edge::Programmatic;
    if let Some(module) = modules.get(&(family, waits)) {
        return Ok(Arc::clone(module));
    }
    let found = ptx::family(family).ok_or_else(|| format!("there is no family {family}"))?;
    let text = match waits {
        true => ptx::with_waits(found.ptx),
        false => found.ptx.to_string(),
    };
    let module = Module::parse(&format!("{family}.ptx"), &text).map_err(|e| e.to_string())?;
    let module = Arc::new(module);
    modules.insert((found.name, waits), Arc::clone(&module));
    Ok(module)
}

fn host(call: &'static str) -> impl Fn(crate::Error) -> Error {
    move |e| Error::Driver {
        call,
        reason: e.to_string(),
    }
}

impl Driver for Interpreter {
    fn about(&self) -> About {
        self.about.clone()
    }

    fn free_bytes(&mut self) -> cuda::Result<usize> {
        let used: usize = self.sizes.values().sum();
        Ok(self.about.memory.saturating_sub(used))
    }

    fn alloc(&mut self, bytes: usize) -> cuda::Result<u64> {
        let free = self.free_bytes()?;
        if bytes > free {
            return Err(Error::Memory { asked: bytes, free });
        }
        let name = format!("allocation {}", self.sizes.len());
        let address = self.memory.alloc(&name, bytes).address();
        self.sizes.insert(address, bytes);
        Ok(address)
    }

    fn free(&mut self, address: u64) {
        // What fails here has no one to be told.
        let _ = self.flush();
        if self.sizes.remove(&address).is_some() {
            self.memory.free(Pointer(address));
        }
    }

    fn write(&mut self, to: u64, data: &[u8]) -> cuda::Result<()> {
        self.flush()?;
        self.memory.write(Pointer(to), data).map_err(host("write"))
    }

    fn read(&mut self, from: u64, data: &mut [u8]) -> cuda::Result<()> {
        self.flush()?;
        self.memory.read(Pointer(from), data).map_err(host("read"))
    }

    fn load(&mut self, launch: &cuda::Launch) -> cuda::Result<()> {
        let family = launch.family();
        let name = || format!("family {family}");
        if family.ends_with("_sm80") && self.about.capability < (8, 0) {
            let reason = "needs compute capability 8.0".into();
            return Err(Error::Kernel {
                name: name(),
                reason,
            });
        }
        let granted = self.granted.entry(launch.kernel().into()).or_default();
        *granted = launch.shared_bytes().max(*granted);
        let edge = Edge::of(self.about.capability);
        module(family, edge)
            .map(drop)
            .map_err(|reason| Error::Kernel {
                name: name(),
                reason,
            })
    }

    fn launch(&mut self, launch: &cuda::Launch) -> cuda::Result<()> {
        match &mut self.waiting {
            Some(waiting) => {
                waiting.push(launch.clone());
                Ok(())
            }
            None => self.run(launch, false),
        }
    }

    fn capture(
        &mut self,
        launches: &[&cuda::Launch],
        waits: &[Vec<usize>],
        edge: Edge,
    ) -> cuda::Result<Graph> {
        let captured = Captured {
            launches: launches.iter().map(|l| (*l).clone()).collect(),
            waits: waits.to_vec(),
            edge,
        };
        self.next_graph += 1;
        self.graphs.insert(self.next_graph, Arc::new(captured));
        Ok(Graph(self.next_graph))
    }

    fn replay(&mut self, graph: Graph) -> cuda::Result<()> {
        self.flush()?;
        let captured = self.graphs.get(&graph.0).cloned();
        let captured = captured.ok_or_else(|| Error::Kernel {
            name: "graph".into(),
            reason: "it was freed".into(),
        })?;
        self.run_astray(&captured)
    }

    fn forget(&mut self, graph: Graph) {
        self.graphs.remove(&graph.0);
    }

    fn synchronise(&mut self) -> cuda::Result<()> {
        self.flush()
    }
}
