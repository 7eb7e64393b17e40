//! Movement without arithmetic.

use super::{Arg, Device, assert_same, everywhere, numbers, on_cpu, threads, words};
use ganforge_ptxvm::{Counts, Launch};

fn elements(dims: &[usize]) -> usize {
    dims.iter().product()
}

/// Aligned at the last dimension, `fill` in front.
fn four(dims: &[usize], fill: usize) -> [usize; 4] {
    let mut out = [fill; 4];
    out[4 - dims.len()..].copy_from_slice(dims);
    out
}

fn strides(dims: &[usize]) -> Vec<usize> {
    (0..dims.len()).map(|d| elements(&dims[d + 1..])).collect()
}

/// y of `strided_v1_f32`.
fn strided(x: &[f32], shape: &[usize], step: &[usize], offset: usize) -> Vec<f32> {
    let n = elements(shape);
    let mut device = Device::new("layout");
    let px = device.put("x", x);
    let y = device.space("y", n);
    let view = [&four(shape, 1)[..], &four(step, 0), &[offset]].concat();
    let view: Vec<u32> = view.iter().map(|v| *v as u32).collect();
    let args = [px, Arg::Pointer(y), words(&view), Arg::U32(n as u32)];
    device.launch("strided_v1_f32", threads(n), &args);
    device.read(y)
}

#[test]
fn transpositions_slices_and_broadcasts_are_strided_copies() {
    everywhere(|| {
        for (dims, perm) in [
            (&[1][..], &[0][..]),
            (&[37, 13], &[1, 0]),
            (&[7, 11, 5, 3], &[3, 1, 0, 2]),
            (&[4, 3, 31], &[2, 0, 1]),
        ] {
            let x = numbers(elements(dims), 1);
            let (_, expected) = on_cpu(&[(dims, &x)], &|_, x| x[0].transpose(perm));
            let shape: Vec<usize> = perm.iter().map(|&d| dims[d]).collect();
            let step: Vec<usize> = perm.iter().map(|&d| strides(dims)[d]).collect();
            assert_same("transpose", &strided(&x, &shape, &step, 0), &expected);
        }
        for (outer, start, inner) in [
            (&[7][..], &[6][..], &[1][..]),
            (&[5, 5, 11, 13], &[1, 0, 2, 1], &[3, 5, 7, 11]),
        ] {
            let x = numbers(elements(outer), 2);
            let (_, expected) = on_cpu(&[(outer, &x)], &|_, x| x[0].slice(start, inner));
            let step = strides(outer);
            let offset = start.iter().zip(&step).map(|(i, s)| i * s).sum();
            assert_same("slice", &strided(&x, inner, &step, offset), &expected);
        }
        for (large, small, step) in [
            (&[131, 3][..], &[3][..], &[0, 1][..]),
            (&[31, 7], &[31, 1], &[1, 0]),
            (&[7, 11, 3, 5], &[11, 1, 5], &[0, 5, 0, 1]),
        ] {
            let x = numbers(elements(small), 3);
            let (_, expected) = on_cpu(&[(small, &x)], &|_, x| x[0].broadcast_to(large));
            assert_same("broadcast", &strided(&x, large, step, 0), &expected);
        }
    });
}

#[test]
fn tiled_transposition() {
    everywhere(|| {
        for (n, rows, columns) in [(1, 1, 1), (2, 33, 31), (1, 100, 65)] {
            let x = numbers(n * rows * columns, 4);
            let mut device = Device::new("layout");
            let px = device.put("x", &x);
            let y = device.space("y", x.len());
            let launch = Launch {
                grid: [
                    columns.div_ceil(32) as u32,
                    rows.div_ceil(32) as u32,
                    n as u32,
                ],
                ..Launch::new(1, 256)
            };
            let args = [
                px,
                Arg::Pointer(y),
                Arg::U32(rows as u32),
                Arg::U32(columns as u32),
            ];
            let counts = device.launch("transpose_v2_f32", launch, &args);
            let conflicts = |c: &Counts| c.shared_loads.conflicts() + c.shared_stores.conflicts();
            assert!(counts.is_none_or(|counts| conflicts(&counts) == 0));
            let (_, expected) = on_cpu(&[(&[n, rows, columns], &x)], &|_, x| {
                x[0].transpose(&[0, 2, 1])
            });
            assert_same("transpose", &device.read(y), &expected);
        }
    });
}

#[test]
fn padding() {
    everywhere(|| {
        for (inner, start, outer) in [
            (&[1][..], &[6][..], &[7][..]),
            (&[5, 7], &[0, 0], &[5, 7]),
            (&[13, 11], &[3, 0], &[17, 31]),
            (&[3, 5, 7, 11], &[1, 0, 2, 1], &[5, 5, 11, 13]),
        ] {
            let x = numbers(elements(inner), 5);
            let n = elements(outer);
            let (_, expected) = on_cpu(&[(inner, &x)], &|_, x| x[0].pad(start, outer));
            let mut device = Device::new("layout");
            let px = device.put("x", &x);
            let y = device.space("y", n);
            let sizes = [four(outer, 1), four(inner, 1), four(start, 0)].concat();
            let sizes: Vec<u32> = sizes.iter().map(|v| *v as u32).collect();
            let args = [px, Arg::Pointer(y), words(&sizes), Arg::U32(n as u32)];
            device.launch("pad_v1_f32", threads(n), &args);
            assert_same("pad", &device.read(y), &expected);
        }
    });
}

#[test]
fn joining() {
    everywhere(|| {
        for (a, b, axis) in [
            (&[1, 1][..], &[1, 1][..], 1),
            (&[7, 11, 13], &[7, 2, 13], 1),
            (&[13, 37], &[29, 37], 0),
        ] {
            let (xa, xb) = (numbers(elements(a), 6), numbers(elements(b), 7));
            let (_, expected) = on_cpu(&[(a, &xa), (b, &xb)], &|_, x| x[0].concat(x[1], axis));
            let mut device = Device::new("layout");
            let (pa, pb) = (device.put("a", &xa), device.put("b", &xb));
            let n = xa.len() + xb.len();
            let y = device.space("y", n);
            let (na, nb) = (elements(&a[axis..]), elements(&b[axis..]));
            let mut args = vec![pa, pb, Arg::Pointer(y)];
            args.extend([na, nb, n].map(|n| Arg::U32(n as u32)));
            device.launch("concat_v1_f32", threads(n), &args);
            assert_same("concat", &device.read(y), &expected);
        }
    });
}
