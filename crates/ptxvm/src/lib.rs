//! Runs PTX, the text that a GPU driver compiles, on the CPU, and watches what it does.
//!
//! A GPU kernel can be wrong in ways that no result shows: a read past the end of an array, a barrier that one thread
//! skips, two threads that race for a word of shared memory. This machine stops at the first of them and names the
//! kernel, the line of PTX, the thread and the address. It also counts what a kernel costs on the hardware: instructions by
//! class, 32-byte sectors per request of global memory, bank conflicts in shared memory.
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
//! immediates, special registers and addresses of variables all become places in one register file, operations become
//! functions on 32 lanes (`alu`). [`Module::launch`] runs the blocks on the current rayon pool (`block`); a block runs
//! its warps in turn from barrier to barrier, and a warp executes one instruction for all its active lanes at once
//! (`warp`). Lanes that part at a branch go on from the lowest line first, which brings them together again where the
//! branches meet.
//!
//! # What it promises
//!
//! Numbers are those of the PTX ISA, bit for bit: integer arithmetic, IEEE `f32` and `f64` with each rounding mode,
//! conversions among them and `f16`, `bf16` and `tf32`. Where the ISA only bounds an error (`ex2.approx`, `lg2.approx`,
//! `rcp.approx`, `rsqrt.approx`, `sqrt.approx`, `div.approx`, `sin.approx`, `cos.approx`, `tanh.approx`), the result
//! here is the correctly rounded one (nearly always: it comes from `f64`), which lies within every bound. The sum inside of `mma`, whose order the ISA leaves open, is taken exactly as far as
//! `f64` goes and rounded once.
//!
//! [`Interpreter`] is the same machine as a device: whatever runs the kernels of `ganforge-kernels` on a GPU runs them here,
//! too.
//!
//! An instruction that it does not know is refused when the module is parsed, by name and line.

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
