//! Random numbers and dropout, not fused into programs: `kernels/random.cu`.

use super::elementwise::{Instruction, Opcode};
use super::{Launch, Slice};

/// Draws all of `out` by an [`Instruction::uniform`], [`Instruction::normal`] or [`Instruction::bernoulli`], with the key and step at
/// `control`.
///
/// # Panics
/// For another instruction.
pub fn fill(out: Slice, draw: Instruction, control: Slice<u64>) -> Launch {
    let Instruction { x, y, word, .. } = draw;
    let kernel = match draw.code {
        Opcode::Uniform => "uniform_v1_f32",
        Opcode::Normal => "normal_v1_f32",
        Opcode::Bernoulli => "bernoulli_v1_f32",
        _ => panic!("{draw:?} draws nothing"),
    };
    let launch = stream(kernel, draw, out.len(), control);
    let launch = match draw.code {
        Opcode::Uniform => launch.f32(x).f32(y).u32(word as usize),
        Opcode::Normal => launch.f32(x).f32(y),
        _ => mask(launch, draw),
    };
    launch.writes(out).u32(out.len())
}

/// y = x times a mask that `draw` draws ([`Instruction::bernoulli`]).
///
/// # Panics
/// For another instruction, or where y has another length than x.
pub fn dropout(x: Slice, y: Slice, draw: Instruction, control: Slice<u64>) -> Launch {
    assert_eq!(draw.code, Opcode::Bernoulli, "a mask");
    assert_eq!(x.len(), y.len(), "x and y");
    let launch = mask(stream("dropout_v1_f32", draw, x.len(), control), draw);
    launch.reads(x).writes(y).u32(x.len())
}

/// A thread draws four neighbours.
fn stream(kernel: &'static str, draw: Instruction, n: usize, control: Slice<u64>) -> Launch {
    assert_eq!(control.len(), 2, "key and step");
    let launch = Launch::new("random", kernel).threads(n.div_ceil(4));
    launch.reads(control).u32(draw.stream as usize)
}

/// What a mask is drawn by.
pub(super) fn mask(launch: Launch, draw: Instruction) -> Launch {
    let always = usize::from(draw.y >= 1.0);
    launch.u32(draw.word as usize).f32(draw.x).u32(always)
}
