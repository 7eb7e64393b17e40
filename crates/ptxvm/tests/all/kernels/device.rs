//! A device on which kernels run one by one: the interpreter and, where there is one, a GPU.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ganforge_kernels::cuda::{self, Buffer, Touched};
use ganforge_ptxvm::{Counts, Interpreter, Launch};

thread_local! {
    /// The GPU, while a test runs there.
    static GPU: RefCell<Option<cuda::Device>> = const { RefCell::new(None) };
}

/// Runs `test` in the interpreter, which refuses every access outside of what is there, and then on a GPU.
pub fn everywhere(test: impl Fn()) {
    everywhere_from((7, 0), test);
}

/// The same for kernels that need a GPU of this compute capability.
pub fn everywhere_from(capability: (u32, u32), test: impl Fn()) {
    test();
    match gpu() {
        Ok(device) if device.about().capability < capability => {
            testkit::skip("capability", format_args!("{}", device.about().name));
        }
        Ok(device) => {
            GPU.set(Some(device));
            test();
            GPU.set(None);
        }
        Err(error) => testkit::skip("gpu", error),
    }
}

/// One for all tests, so that each kernel is compiled once.
fn gpu() -> cuda::Result<cuda::Device> {
    static FOUND: OnceLock<cuda::Result<cuda::Device>> = OnceLock::new();
    FOUND.get_or_init(|| cuda::open(0)).clone()
}

/// The device that the calling test runs on, and what each launch cost there: nothing on a GPU, which does not count.
pub fn current() -> (cuda::Device, Log) {
    let log = Log::default();
    let noted = Arc::clone(&log);
    let interpreter = move || {
        let interpreter = Interpreter::new((8, 0), 1 << 28);
        cuda::Device::new(interpreter.counting(move |kernel, _, counts| {
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.push((kernel.to_string(), *counts));
        }))
    };
    let device = GPU.with_borrow(|gpu| gpu.clone().unwrap_or_else(interpreter));
    (device, log)
}

/// The kernels that ran, and their cost.
pub type Log = Arc<Mutex<Vec<(String, Counts)>>>;

/// An address on a device.
#[derive(Debug, Clone, Copy)]
pub struct Pointer(u64);

impl Pointer {
    pub fn address(self) -> u64 {
        self.0
    }
}

/// An argument of a kernel.
#[derive(Debug, Clone)]
pub enum Arg {
    Pointer(Pointer),
    Null,
    U32(u32),
    I32(i32),
    F32(f32),
    /// A struct by value.
    Bytes(Vec<u8>),
}

impl Arg {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Arg::Pointer(p) => p.0.to_le_bytes().to_vec(),
            Arg::Null => vec![0; 8],
            Arg::U32(x) => x.to_le_bytes().to_vec(),
            Arg::I32(x) => x.to_le_bytes().to_vec(),
            Arg::F32(x) => x.to_le_bytes().to_vec(),
            Arg::Bytes(bytes) => bytes.clone(),
        }
    }
}

/// Memory that is given back when this is dropped.
pub struct Memory {
    device: cuda::Device,
    kept: Vec<(String, Buffer<u8>)>,
}

impl Memory {
    /// Bytes that nothing has written, of which none passes for a result: reading them is a fault of the interpreter, and on
    /// a GPU they are no numbers.
    pub fn alloc(&mut self, name: &str, bytes: usize) -> Pointer {
        let buffer: Buffer<u8> = self.device.alloc(bytes).expect("there is memory");
        if GPU.with_borrow(Option::is_some) {
            buffer.write(&vec![0xff; bytes]).expect("there is memory");
        }
        let pointer = Pointer(buffer.slice().address());
        self.kept.push((name.to_string(), buffer));
        pointer
    }

    pub fn alloc_u8(&mut self, name: &str, data: &[u8]) -> Pointer {
        let pointer = self.alloc(name, data.len());
        let (_, buffer) = self.kept.last().expect("just pushed");
        buffer.write(data).expect("there is memory");
        pointer
    }

    pub fn alloc_u32(&mut self, name: &str, data: &[u32]) -> Pointer {
        let bytes: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.alloc_u8(name, &bytes)
    }

    pub fn alloc_u64(&mut self, name: &str, data: &[u64]) -> Pointer {
        let bytes: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.alloc_u8(name, &bytes)
    }

    pub fn alloc_f32(&mut self, name: &str, data: &[f32]) -> Pointer {
        let bytes: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.alloc_u8(name, &bytes)
    }

    pub fn alloc_f64(&mut self, name: &str, data: &[f64]) -> Pointer {
        let bytes: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.alloc_u8(name, &bytes)
    }

    /// All of the allocation that begins at `pointer`.
    #[track_caller]
    pub fn read_u8(&self, pointer: Pointer) -> Vec<u8> {
        let found = self.kept.iter();
        let mut found = found.filter(|(_, b)| b.slice().address() == pointer.0);
        let (name, buffer) = found.next().expect("an allocation begins there");
        let mut bytes = vec![0; buffer.slice().len()];
        let done = buffer.read(&mut bytes);
        done.unwrap_or_else(|e| panic!("{name}: {e}"));
        bytes
    }

    #[track_caller]
    pub fn read_u32(&self, pointer: Pointer) -> Vec<u32> {
        let bytes = self.read_u8(pointer);
        let words = bytes.as_chunks::<4>().0.iter();
        words.map(|w| u32::from_le_bytes(*w)).collect()
    }

    #[track_caller]
    pub fn read_f64(&self, pointer: Pointer) -> Vec<f64> {
        let bytes = self.read_u8(pointer);
        let words = bytes.as_chunks::<8>().0.iter();
        words.map(|w| f64::from_le_bytes(*w)).collect()
    }
}

/// The device of the calling test with the kernels of one family, and memory.
pub struct Device {
    family: &'static str,
    pub memory: Memory,
    log: Log,
}

impl Device {
    pub fn new(family: &'static str) -> Device {
        let (device, log) = current();
        let kept = Vec::new();
        let memory = Memory { device, kept };
        Device {
            family,
            memory,
            log,
        }
    }

    pub fn put(&mut self, name: &str, data: &[f32]) -> Arg {
        Arg::Pointer(self.memory.alloc_f32(name, data))
    }

    /// Space for `n` floats that nothing has written.
    pub fn space(&mut self, name: &str, n: usize) -> Pointer {
        self.memory.alloc(name, 4 * n)
    }

    /// Runs a kernel, which may read and write all memory of this device; what it cost, where that is counted.
    #[track_caller]
    pub fn launch(&mut self, kernel: &str, launch: Launch, args: &[Arg]) -> Option<Counts> {
        let counts = self.try_launch(kernel, launch, args);
        counts.unwrap_or_else(|e| panic!("{e}"))
    }

    pub fn try_launch(
        &mut self,
        kernel: &str,
        launch: Launch,
        args: &[Arg],
    ) -> Result<Option<Counts>, cuda::Error> {
        let arguments: Vec<Vec<u8>> = args.iter().map(Arg::bytes).collect();
        let touched = self.memory.kept.iter().map(|(_, buffer)| {
            let start = buffer.slice().address();
            let range = start..start + buffer.slice().len() as u64;
            let is_written = true;
            Touched { range, is_written }
        });
        let (block, shared) = (launch.block[0], launch.shared);
        // SAFETY: the interpreter, where the same launch runs first, refuses arguments of other sizes than the kernel's, and
        // accesses outside of the memory that is named here.
        let launch = unsafe {
            let size = (launch.grid, block, shared);
            cuda::Launch::of_kernel(self.family, kernel, size, &arguments, touched.collect())
        };
        let (device, launches) = (&self.memory.device, [launch]);
        device.load(&launches)?;
        device.run(&launches)?;
        device.synchronise()?;
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(log.pop().map(|(_, counts)| counts))
    }

    #[track_caller]
    pub fn read(&self, pointer: Pointer) -> Vec<f32> {
        let words = self.memory.read_u32(pointer);
        words.into_iter().map(f32::from_bits).collect()
    }
}
