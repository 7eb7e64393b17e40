//! An interpreter of PTX, the assembly that GPU drivers compile, on the CPU, which checks and counts every access.
//!
//! Some faults of a GPU kernel do not show in its results: a read past the end of an array, a barrier that one thread
//! skips, a data race in shared memory. This interpreter stops at the first fault and names the
//! kernel, the line of PTX, the thread and the address. It also counts a kernel's cost on the hardware: instructions by
//! class, 32-byte sectors per request to global memory, bank conflicts in shared memory.
//!
//! ```
//! use ganforge_ptxvm::{Arg, Launch, Memory, Module};
//!
//! let ptx = "
//! .version 8.4
//! .target sm_70
//! .address_size 64
//! .visible .entry twice(.param .u64 twice_param_0)
//! {
//!     .reg .b32 %r<3>;
//!     .reg .b64 %rd<4>;
//!     ld.param.u64 %rd1, [twice_param_0];
//!     mov.u32 %r1, %tid.x;
//!     mul.wide.u32 %rd2, %r1, 4;
//!     add.s64 %rd3, %rd1, %rd2;
//!     ld.global.u32 %r2, [%rd3];
//!     add.s32 %r2, %r2, %r2;
//!     st.global.u32 [%rd3], %r2;
//!     ret;
//! }";
//! let module = Module::parse("twice.ptx", ptx)?;
//! let mut memory = Memory::new();
//! let x = memory.alloc_u32("x", &[1, 2, 3]);
//! module.launch("twice", &Launch::new(1, 3), &[Arg::Pointer(x)], &mut memory)?;
//! assert_eq!(memory.read_u32(x)?, [2, 4, 6]);
//!
//! let error = module.launch("twice", &Launch::new(1, 4), &[Arg::Pointer(x)], &mut memory);
//! assert!(error.unwrap_err().to_string().contains("past the end of x (12 bytes)"));
//! # Ok::<(), ganforge_ptxvm::Error>(())
//! ```
//!
//! # How it works
//!
//! [`Module::parse`] reads the text (`text`, `parse`) and decodes each instruction once (`decode`): registers,
//! immediates, special registers and addresses of variables all become slots of one register file, operations become
//! functions on 32 lanes (`alu`). [`Module::launch`] runs the blocks on the current rayon pool (`block`); a block runs
//! its warps in turn from barrier to barrier, and a warp executes one instruction for all its active lanes at once
//! (`warp`). After a divergent branch the lanes at the lowest line run first, so that lanes reconverge where the
//! branches meet.
//!
//! # Guarantees
//!
//! Arithmetic follows the PTX ISA bit for bit: integers, IEEE `f32` and `f64` with each rounding mode,
//! conversions among them and `f16`, `bf16` and `tf32`. Where the ISA only bounds the error (`ex2.approx`, `lg2.approx`,
//! `rcp.approx`, `rsqrt.approx`, `sqrt.approx`, `div.approx`, `sin.approx`, `cos.approx`, `tanh.approx`), the result
//! is the correctly rounded one (nearly always: it is computed in `f64`), which lies within every bound. The sum inside
//! `mma`, whose order the ISA leaves open, is computed in `f64` and rounded once.
//!
//! [`Interpreter`] wraps it as a device: code that runs the kernels of `ganforge-kernels` on a GPU runs them here, too.
//!
//! Unsupported instructions are rejected when the module is parsed, by name and line.

#![forbid(unsafe_code)]

mod alu;
mod ast;
mod block;
mod convert;
mod counts;
mod decode;
mod device;
mod error;
mod inst;
mod launch;
mod memory;
mod mma;
mod module;
mod number;
mod order;
mod parse;
mod shared;
mod state;
mod text;
mod warp;

pub use counts::{Class, ClassCount, Counts, GlobalTraffic, SharedTraffic};
pub use device::Interpreter;
pub use error::{Error, Fault, Result, Site};
pub use launch::{Arg, Launch};
pub use memory::{Memory, Pointer};
pub use module::Module;
