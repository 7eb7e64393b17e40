//! Images under windows and at other sizes: `kernels/pool.cu`. Each kernel has the bits of [`crate::cpu::pool`].

use super::{Launch, Slice};
use crate::cpu::pool::{Axis, Divisor, Taps, Windows};

/// As the kernels take it.
fn words(axis: Axis) -> [usize; 8] {
    let (taps, kernel, stride, pad, divisor) = match axis.taps {
        Taps::Linear => (1, 0, 0, 0, 0),
        Taps::Window {
            kernel,
            stride,
            pad,
            divisor,
        } => {
            let divisor = match divisor {
                Divisor::One => 0,
                Divisor::Kernel => 1,
                Divisor::Inside => 2,
            };
            (0, kernel, stride, pad, divisor)
        }
    };
    let is_adjoint = usize::from(axis.is_adjoint);
    [
        taps,
        kernel,
        stride,
        pad,
        divisor,
        axis.image,
        axis.result,
        is_adjoint,
    ]
}

/// As [`crate::cpu::pool::resample`].
///
/// # Panics
/// Where an array is not of whole images, or x and y are of another number of them.
pub fn resample(x: Slice, axes: [Axis; 2], channels: usize, y: Slice) -> Launch {
    let [from, to] =
        [0, 1].map(|i| axes.iter().map(|a| a.lengths()[i]).product::<usize>() * channels);
    assert!(
        x.len() * to == y.len() * from,
        "{axes:?} of {channels} channels"
    );
    let launch = Launch::new("pool", "resample_v1_f32").threads(y.len());
    let launch = launch.reads(x).writes(y).words(&axes.map(words).concat());
    launch.u32(channels).u32(y.len())
}

/// As [`crate::cpu::pool::arg_max`].
///
/// # Panics
/// Where an array is not of whole images, or they are of another number of them.
pub fn arg_max(x: Slice, w: Windows, index: Slice) -> Launch {
    check(w, x.len(), &[index.len()]);
    let launch = Launch::new("pool", "pool_arg_max_v1_f32").threads(index.len());
    sizes(launch.reads(x).writes(index), w).u32(index.len())
}

/// As [`crate::cpu::pool::take`]; an index that is no cell of a window traps.
///
/// # Panics
/// As [`arg_max`].
pub fn take(x: Slice, index: Slice, w: Windows, y: Slice) -> Launch {
    check(w, x.len(), &[index.len(), y.len()]);
    let launch = Launch::new("pool", "pool_take_v1_f32").threads(y.len());
    sizes(launch.reads(x).reads(index).writes(y), w).u32(y.len())
}

/// As [`crate::cpu::pool::put`].
///
/// # Panics
/// As [`arg_max`].
pub fn put(dy: Slice, index: Slice, w: Windows, dx: Slice) -> Launch {
    check(w, dx.len(), &[dy.len(), index.len()]);
    let launch = Launch::new("pool", "pool_put_v1_f32").threads(dx.len());
    sizes(launch.reads(dy).reads(index).writes(dx), w).u32(dx.len())
}

#[track_caller]
fn check(w: Windows, images: usize, results: &[usize]) {
    let [image, result] = w.lengths();
    let fits = |n: &usize| n * image == images * result;
    assert!(results.iter().all(fits), "{images} in {w:?}: {results:?}");
}

fn sizes(launch: Launch, w: Windows) -> Launch {
    let Windows {
        image,
        kernel,
        stride,
        pad,
        result,
        channels,
    } = w;
    let pairs = [image, kernel, stride, pad, result].concat();
    launch.words(&[&pairs[..], &[channels]].concat())
}
