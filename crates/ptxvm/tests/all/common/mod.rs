//! Kernels of a few instructions.

use ganforge_ptxvm::{Arg, Counts, Launch, Memory, Module, Pointer, Result};

/// A kernel `k` with the parameters `x` (a pointer), `y` (a pointer) and `n` (u32), 64 bytes of shared memory `s`, its
/// thread in `%t`, 4 · its thread in `%t4` (and 64 bits wide in `%o`), and the addresses x + %o in `%xp`, y + %o in `%yp`.
/// The body's first line is line 25.
pub fn module(body: &str) -> Result<Module> {
    let text = format!(
        ".version 8.4
.target sm_80
.address_size 64
.visible .entry k(
    .param .u64 x,
    .param .u64 y,
    .param .u32 n
)
{{
    .reg .pred %p<8>;
    .reg .b16 %h<8>;
    .reg .b32 %r<16>, %t, %t4, %n;
    .reg .f32 %f<16>;
    .reg .f64 %d<8>;
    .reg .b64 %rd<16>, %x, %y, %o, %xp, %yp;
    .shared .align 16 .b8 s[64];
    ld.param.u64 %x, [x]; ld.param.u64 %y, [y]; ld.param.u32 %n, [n];
    mov.u32 %t, %tid.x;
    shl.b32 %t4, %t, 2;
    cvt.u64.u32 %o, %t4;
    add.s64 %xp, %x, %o;
    add.s64 %yp, %y, %o;
    // what follows is
    // the body
{body}
    ret;
}}"
    );
    Module::parse("t.ptx", &text)
}

/// What it is run on.
pub struct Run {
    pub memory: Memory,
    pub x: Pointer,
    pub y: Pointer,
}

impl Run {
    /// x: 0.0, 1.0, 2.0, .. 63.0; y: 256 uninitialised bytes.
    pub fn new() -> Run {
        Run::with_results(64)
    }

    /// The same, with `words` words for y.
    pub fn with_results(words: u32) -> Run {
        let mut memory = Memory::new();
        let data: Vec<f32> = (0..64).map(|i| i as f32).collect();
        let x = memory.alloc_f32("x", &data);
        let y = memory.alloc("y", 4 * words as usize);
        Run { memory, x, y }
    }

    /// Runs `body` on `threads` threads of each of `blocks` blocks.
    pub fn launch(&mut self, blocks: u32, threads: u32, body: &str) -> Result<Counts> {
        let args = [
            Arg::Pointer(self.x),
            Arg::Pointer(self.y),
            Arg::U32(threads),
        ];
        let launch = Launch {
            limit: 10_000,
            ..Launch::new(blocks, threads)
        };
        module(body)?.launch("k", &launch, &args, &mut self.memory)
    }
}

/// The error of `body` on `threads` threads.
#[allow(dead_code, reason = "each test file uses its part")]
pub fn error(blocks: u32, threads: u32, body: &str) -> String {
    match Run::new().launch(blocks, threads, body) {
        Ok(_) => panic!("no error from\n{body}"),
        Err(error) => error.to_string(),
    }
}
