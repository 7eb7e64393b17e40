//! Convolutions: `kernels/conv.cu`, and on tensor cores `kernels/conv_tf32_sm80.cu` and `kernels/conv_bf16_sm80.cu`.

mod choice;

use super::matmul::{self, Epilogue};
use super::{Error, Launch, MAX_ELEMENTS, Precision, Result, Scratch, Slice};
use crate::cpu::conv::{Form, Sizes};
use crate::cpu::gemm::Shape3;

use choice::{Choice, tiles};

/// Coordinates in images with what is around them are less than this.
const COORDINATES: usize = 1 << 30;

/// More parts of a sum than these are added up by a kernel of their own, others by the block that comes last.
const BY_THE_LAST: usize = 16;

/// C = epilogue(contraction of `a` and `b`), see [`conv`](crate::cpu::conv::conv): one launch, or two.
///
/// # Errors
/// Windows that reach too far for the kernels' indices.
///
/// # Panics
/// Where an array has another length than the sizes say, or windows do not fit the images.
pub fn convolution(
    form: Form,
    sizes: &Sizes,
    operands: [Slice; 3],
    epilogue: Epilogue,
    precision: Precision,
    scratch: &mut Scratch,
) -> Result<Vec<Launch>> {
    check(form, sizes, operands)?;
    Ok(match product(form, sizes) {
        Some(product) => as_product(product, form, sizes, operands, epilogue, precision, scratch),
        None => {
            let choice = Choice::of(precision, form, sizes);
            by(choice, form, sizes, operands, epilogue, scratch)
        }
    })
}

/// The same by every kernel of a precision's ladder that can, each with what it does; last what [`convolution`] launches. None
/// where that takes another precision.
///
/// # Errors
/// As [`convolution`].
///
/// # Panics
/// As [`convolution`].
pub fn ladder(
    form: Form,
    sizes: &Sizes,
    operands: [Slice; 3],
    epilogue: Epilogue,
    precision: Precision,
    scratch: &mut Scratch,
) -> Result<Vec<(&'static str, Vec<Launch>)>> {
    check(form, sizes, operands)?;
    let rungs = Choice::ladder(precision, form, sizes).into_iter();
    let mut rungs: Vec<_> = rungs
        .map(|(about, choice)| (about, by(choice, form, sizes, operands, epilogue, scratch)))
        .collect();
    if let Some(product) = product(form, sizes) {
        let launches = as_product(product, form, sizes, operands, epilogue, precision, scratch);
        rungs.push(("as a matrix product", launches));
    }
    Ok(rungs)
}

fn check(form: Form, sizes: &Sizes, operands: [Slice; 3]) -> Result<()> {
    let (name, window) = (name(form), sizes.window);
    let wanted = sizes.operands(form);
    assert_eq!(operands.map(Slice::len), wanted, "{name} of {sizes:?}");
    if let Err(reason) = window.check(sizes.image, sizes.kernel) {
        panic!("{name}: {reason}");
    }
    let refused = |what: String| {
        Err(Error::Kernel {
            name: name.into(),
            reason: format!("{what}, the limit of the device kernels"),
        })
    };
    for d in 0..2 {
        let (stride, pad, out) = (window.stride[d], window.pad[d], window.out[d]);
        let parts = [
            stride.saturating_mul(out),
            pad,
            sizes.image[d],
            sizes.kernel[d],
        ];
        let reach = parts.into_iter().fold(0, usize::saturating_add);
        if reach >= COORDINATES {
            return refused(format!(
                "{out} windows of {}, {stride} apart from {pad} before an image of {} on, reach 2^30 lines",
                sizes.kernel[d], sizes.image[d]
            ));
        }
    }
    let products = [
        [sizes.n, window.out[0], window.out[1]],
        [sizes.c_in, sizes.kernel[0], sizes.kernel[1]],
    ];
    match products
        .iter()
        .any(|p| p.iter().fold(1, |all: usize, n| all.saturating_mul(*n)) > MAX_ELEMENTS)
    {
        true => refused(format!("more than 2^31 windows or taps in {sizes:?}")),
        false => Ok(()),
    }
}

fn name(form: Form) -> &'static str {
    match form {
        Form::Y => "conv2d",
        Form::Dx => "conv2d_dx",
        Form::Dw => "conv2d_dw",
    }
}

/// A convolution that is a product of matrices as they lie in memory: filters of one cell at each cell, or filters that cover the
/// whole image.
fn product(form: Form, s: &Sizes) -> Option<((bool, bool), Shape3)> {
    let (image, kernel, window) = (s.image, s.kernel, s.window);
    let cells = image[0] * image[1];
    let (rows, inner) = match () {
        () if window.pad != [0; 2] => return None,
        () if kernel == [1; 2] && window.out == image => (s.n * cells, s.c_in),
        () if kernel == image && window.out == [1; 2] => (s.n, cells * s.c_in),
        () => return None,
    };
    let dims = |m, k, n| Shape3 { m, k, n };
    Some(match form {
        Form::Y => ((false, false), dims(rows, inner, s.c_out)),
        Form::Dx => ((false, true), dims(rows, s.c_out, inner)),
        Form::Dw => ((true, false), dims(inner, rows, s.c_out)),
    })
}

fn as_product(
    (transposed, dims): ((bool, bool), Shape3),
    form: Form,
    s: &Sizes,
    [a, b, c]: [Slice; 3],
    epilogue: Epilogue,
    precision: Precision,
    scratch: &mut Scratch,
) -> Vec<Launch> {
    let columns = s.columns(form);
    let mut product =
        |epilogue| matmul::product(transposed, dims, a, b, c, epilogue, precision, scratch);
    match epilogue {
        // The product's columns are those of a whole image, the bias has one number per channel.
        Epilogue::Bias { .. } if dims.n != columns => {
            let launch = product(Epilogue::Store);
            vec![launch, sum(c, c, columns, 1, epilogue)]
        }
        _ => vec![product(epilogue)],
    }
}

/// A convolution by the chosen kernel.
fn by(
    choice: Choice,
    form: Form,
    s: &Sizes,
    [a, b, c]: [Slice; 3],
    epilogue: Epilogue,
    scratch: &mut Scratch,
) -> Vec<Launch> {
    let (columns, parts, tiles) = (
        s.columns(form),
        choice.parts(s.terms(form)),
        tiles(form, s, choice.tile),
    );
    let family = match choice.precision {
        Precision::F32 => "conv",
        Precision::Tf32 => "conv_tf32_sm80",
        Precision::Bf16 => "conv_bf16_sm80",
    };
    let kernel = format!("{}_{}_{}", name(form), choice.rung, choice.precision.name());
    let launch = Launch::new(family, kernel).block(choice.threads, 0);
    let launch = launch.grid([tiles, 1, parts]).reads(a).reads(b);
    let rows = c.len() / columns.max(1);
    let argument = |launch, epilogue: Epilogue| epilogue.argument(launch, rows, columns);
    let part = choice.part as u64;
    if !choice.cuts() {
        return vec![argument(launch.writes(c).words(&words(s)), epilogue)];
    }
    if parts > BY_THE_LAST {
        let (sums, _) = scratch.take(parts * c.len(), 0);
        let launch = launch.writes(sums).words(&words(s));
        let launch = launch.longs(&[part | (rows as u64) << 32, sums.address(), 0]);
        return vec![
            argument(launch, Epilogue::Store),
            sum(sums, c, columns, parts, epilogue),
        ];
    }
    let [high, wide] = choice.tile;
    let needs = if parts > 1 {
        (parts * tiles * high * wide, tiles)
    } else {
        (0, 0)
    };
    let (sums, counters) = scratch.take(needs.0, needs.1);
    let launch = launch.writes(c).words(&words(s));
    let launch = launch.longs(&[part, sums.address(), counters.address()]);
    let launch = launch.touches(sums, true).touches(counters, true);
    vec![argument(launch, epilogue)]
}

/// c [.., columns] = epilogue(the sum of `parts` arrays of its size, in their order).
fn sum(partial: Slice, c: Slice, columns: usize, parts: usize, epilogue: Epilogue) -> Launch {
    let rows = c.len() / columns.max(1);
    let launch = Launch::new("conv", "conv2d_sum_v1_f32").threads(rows * columns.div_ceil(4));
    let launch = launch.reads(partial).writes(c);
    let launch = launch.u32(rows).u32(columns).u32(parts);
    epilogue.argument(launch, rows, columns)
}

/// The struct Conv of the kernels.
fn words(s: &Sizes) -> [usize; 15] {
    let ([h, w], [kh, kw], window) = (s.image, s.kernel, s.window);
    let ([sh, sw], [ph, pw], [oh, ow]) = (window.stride, window.pad, window.out);
    let (pixels, taps) = (s.n * oh * ow, kh * kw * s.c_in);
    [
        s.n, h, w, s.c_in, kh, kw, s.c_out, oh, ow, sh, sw, ph, pw, pixels, taps,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::conv::Window;

    fn launches(form: Form, s: &Sizes) -> Result<Vec<Launch>> {
        let mut at = 0x1000;
        let operands = s.operands(form).map(|n| {
            at += 4 << 32;
            Slice::at(at, n)
        });
        let mut scratch = Scratch::measure();
        convolution(
            form,
            s,
            operands,
            Epilogue::Store,
            Precision::F32,
            &mut scratch,
        )
    }

    #[test]
    fn tiles_of_any_number_of_pixels_fit_the_grid() {
        for (side, channels) in [(15_000, 4), (20_000, 1), (1, 1 << 20)] {
            let window = Window::same([side; 2], [3; 2], [1; 2]);
            let s = Sizes {
                n: 2,
                image: [side; 2],
                c_in: channels,
                kernel: [3; 2],
                c_out: 2,
                window,
            };
            for form in Form::ALL {
                for launch in launches(form, &s).expect("it fits") {
                    let [x, y, z] = launch.blocks();
                    assert!(
                        x < 1 << 31 && y == 1 && z < 1 << 16,
                        "{form:?}: {x} {y} {z}"
                    );
                }
            }
        }
    }

    #[test]
    fn windows_that_reach_too_far_are_refused() {
        let window = Window {
            stride: [1 << 30, 1],
            pad: [0, 0],
            out: [1, 1],
        };
        let s = Sizes {
            n: 1,
            image: [1, 1],
            c_in: 4,
            kernel: [1, 1],
            c_out: 4,
            window,
        };
        let message = launches(Form::Y, &s).expect_err("too far").to_string();
        let expected = "kernel conv2d: 1 windows of 1, 1073741824 apart from 0 before an image of 1 on, reach 2^30 lines, the \
                        limit of the device kernels";
        assert_eq!(message, expected);
    }
}
