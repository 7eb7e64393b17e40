//! The machine as a device, so that what drives a GPU can be run and tested without one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use ganforge_kernels::cuda::{self, About, Driver, Error, Graph};
use ganforge_kernels::ptx;

use crate::memory::{Memory, Pointer};
use crate::module::{Arg, Launch, Module};

/// A device that interprets the kernels' PTX on the CPU. Slow, and strict: the first access out of bounds, read of what
/// nothing wrote, or race ends the launch with an error that names it.
pub struct Interpreter {
    about: About,
    memory: Memory,
    /// Bytes by address of what is allocated.
    sizes: HashMap<u64, usize>,
    /// Launches noted since the capture began.
    capturing: Option<Vec<cuda::Launch>>,
    graphs: HashMap<u64, Arc<[cuda::Launch]>>,
    next_graph: u64,
}

impl Default for Interpreter {
    fn default() -> Interpreter {
        Interpreter::new((9, 0), 2 << 30)
    }
}

impl Interpreter {
    /// A device of a compute capability with as many bytes of memory.
    pub fn new(capability: (u32, u32), memory: usize) -> Interpreter {
        Interpreter {
            about: About {
                name: "PTX interpreter".into(),
                capability,
                memory,
            },
            memory: Memory::new(),
            sizes: HashMap::new(),
            capturing: None,
            graphs: HashMap::new(),
            next_graph: 0,
        }
    }

    /// Refuses what must not happen while launches are captured, on a real device as well.
    fn not_capturing(&self, call: &'static str) -> cuda::Result<()> {
        match self.capturing {
            None => Ok(()),
            Some(_) => Err(Error::Driver {
                call,
                reason: "launches are being captured".into(),
            }),
        }
    }

    fn run(&mut self, launch: &cuda::Launch) -> cuda::Result<()> {
        let refused = |reason: String| Error::Kernel {
            name: launch.kernel().to_string(),
            reason,
        };
        let module = module(launch.family()).map_err(refused)?;
        let size = Launch {
            grid: launch.blocks(),
            shared: launch.shared_bytes() as usize,
            ..Launch::new(1, launch.block_threads())
        };
        let args: Vec<Arg> = launch.arguments().map(|a| Arg::Bytes(a.to_vec())).collect();
        let done = module.launch(launch.kernel(), &size, &args, &mut self.memory);
        done.map(drop).map_err(|e| refused(e.to_string()))
    }
}

/// The module of a family; read once in a process, since a large one takes a moment.
fn module(family: &str) -> Result<Arc<Module>, String> {
    static MODULES: Mutex<BTreeMap<&str, Arc<Module>>> = Mutex::new(BTreeMap::new());
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = modules.get(family) {
        return Ok(Arc::clone(module));
    }
    let found = ptx::family(family).ok_or_else(|| format!("there is no family {family}"))?;
    let module = Module::parse(&format!("{family}.ptx"), found.ptx).map_err(|e| e.to_string())?;
    let module = Arc::new(module);
    modules.insert(found.name, Arc::clone(&module));
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
        self.not_capturing("alloc")?;
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
        if self.sizes.remove(&address).is_some() {
            self.memory.free(Pointer(address));
        }
    }

    fn write(&mut self, to: u64, data: &[u8]) -> cuda::Result<()> {
        self.not_capturing("write")?;
        self.memory.write(Pointer(to), data).map_err(host("write"))
    }

    fn read(&mut self, from: u64, data: &mut [u8]) -> cuda::Result<()> {
        self.not_capturing("read")?;
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
        module(family).map(drop).map_err(|reason| Error::Kernel {
            name: name(),
            reason,
        })
    }

    fn launch(&mut self, launch: &cuda::Launch) -> cuda::Result<()> {
        match &mut self.capturing {
            Some(noted) => {
                noted.push(launch.clone());
                Ok(())
            }
            None => self.run(launch),
        }
    }

    fn begin_capture(&mut self) -> cuda::Result<()> {
        self.not_capturing("begin_capture")?;
        self.capturing = Some(Vec::new());
        Ok(())
    }

    fn end_capture(&mut self) -> cuda::Result<Graph> {
        let noted = self.capturing.take().ok_or_else(|| Error::Driver {
            call: "end_capture",
            reason: "no capture was begun".into(),
        })?;
        self.next_graph += 1;
        self.graphs.insert(self.next_graph, noted.into());
        Ok(Graph(self.next_graph))
    }

    fn replay(&mut self, graph: Graph) -> cuda::Result<()> {
        self.not_capturing("replay")?;
        let launches = self.graphs.get(&graph.0).cloned();
        let launches = launches.ok_or_else(|| Error::Kernel {
            name: "graph".into(),
            reason: "it was given back".into(),
        })?;
        launches.iter().try_for_each(|l| self.run(l))
    }

    fn forget(&mut self, graph: Graph) {
        self.graphs.remove(&graph.0);
    }

    fn synchronise(&mut self) -> cuda::Result<()> {
        self.not_capturing("synchronise")
    }
}
