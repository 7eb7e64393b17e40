//! Random numbers and dropout by themselves: `kernels/random.cu`.

use super::elementwise::{Action, Code};
use super::{Launch, Slice};

/// Draws all of `out` by an [`Action::uniform`], [`Action::normal`] or [`Action::bernoulli`], with the key and step at
/// `control`.
///
/// # Panics
/// For another action.
pub fn fill(out: Slice, draw: Action, control: Slice<u64>) -> Launch {
    let Action { x, y, word, .. } = draw;
    let kernel = match draw.code {
        Code::Uniform => "uniform_v1_f32",
        Code::Normal => "normal_v1_f32",
        Code::Bernoulli => "bernoulli_v1_f32",
        _ => panic!("{draw:?} draws nothing"),
    };
    let launch = stream(kernel, draw, out.len(), control);
    let launch = match draw.code {
        Code::Uniform => launch.f32(x).f32(y).u32(word as usize),
        Code::Normal => launch.f32(x).f32(y),
        _ => mask(launch, draw),
    };
    launch.writes(out).u32(out.len())
}

/// y = x times a mask that `draw` draws ([`Action::bernoulli`]).
///
/// # Panics
/// For another action, or where y has another length than x.
pub fn dropout(x: Slice, y: Slice, draw: Action, control: Slice<u64>) -> Launch {
    assert_eq!(draw.code, Code::Bernoulli, "a mask");
    assert_eq!(x.len(), y.len(), "x and y");
    let launch = mask(stream("dropout_v1_f32", draw, x.len(), control), draw);
    launch.reads(x).writes(y).u32(x.len())
}

/// A thread draws four neighbours.
fn stream(kernel: &'static str, draw: Action, n: usize, control: Slice<u64>) -> Launch {
    assert_eq!(control.len(), 2, "key and step");
    let launch = Launch::new("random", kernel).threads(n.div_ceil(4));
    launch.reads(control).u32(draw.stream as usize)
}

/// What a mask is drawn by.
pub(super) fn mask(launch: Launch, draw: Action) -> Launch {
    let always = usize::from(draw.y >= 1.0);
    launch.u32(draw.word as usize).f32(draw.x).u32(always)
}
