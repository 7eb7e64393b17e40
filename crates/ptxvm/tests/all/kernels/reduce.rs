//! Sums over broadcast dimensions.

use super::{Arg, Device, Pointer, absolute, assert_near, everywhere, numbers, on_cpu, words};
use ganforge_ptxvm::Launch;

/// What is summed to what, and the same in normal form [k0, r0, k1, r1, k2].
const CASES: [(&[usize], &[usize], [usize; 5]); 12] = [
    (&[1], &[], [1, 1, 1, 1, 1]),
    (&[7], &[], [1, 1, 1, 7, 1]),
    (&[1, 5], &[5], [1, 1, 1, 1, 5]),
    (&[100, 33], &[33], [1, 1, 1, 100, 33]),
    (&[100, 33], &[100, 1], [1, 1, 100, 33, 1]),
    (&[3, 301], &[3, 1], [1, 1, 3, 301, 1]),
    (&[601, 31], &[], [1, 1, 1, 18_631, 1]),
    (&[601, 31], &[31], [1, 1, 1, 601, 31]),
    (&[7, 11, 13, 17], &[11, 1, 17], [1, 7, 11, 13, 17]),
    (&[7, 11, 13, 17], &[7, 1, 13, 1], [7, 11, 13, 17, 1]),
    (&[7, 11, 13, 17], &[1, 11, 1, 1], [1, 7, 11, 221, 1]),
    (&[7, 11, 13, 17], &[7, 1, 1, 17], [7, 1, 1, 143, 17]),
];

/// y of one launch of `kernel` per level, parts of `part` terms.
fn sum_to(
    device: &mut Device,
    kernel: &str,
    x: Pointer,
    shape: [usize; 5],
    part: usize,
) -> Vec<f32> {
    let [k0, r0, k1, r1, k2] = shape;
    let (outputs, terms) = (k0 * k1 * k2, r0 * r1);
    let parts = terms.div_ceil(part);
    let y = device.space("y", parts * outputs);
    let blocks = match kernel {
        "sum_to_v1_naive_f32" => outputs.div_ceil(256),
        "sum_to_v2_columns_f32" => k2.div_ceil(32) * k0 * k1,
        _ => k0 * k1,
    };
    let launch = Launch {
        grid: [blocks as u32, parts as u32, 1],
        ..Launch::new(1, 256)
    };
    let args = [
        Arg::Pointer(x),
        Arg::Pointer(y),
        words(&shape.map(|d| d as u32)),
        Arg::U32(part as u32),
    ];
    device.launch(kernel, launch, &args);
    if parts == 1 {
        return device.read(y);
    }
    // The partials are a matrix of `parts` rows: their column sums.
    let second = if outputs > 1 {
        "sum_to_v2_columns_f32"
    } else {
        "sum_to_v2_rows_f32"
    };
    sum_to(device, second, y, [1, 1, 1, parts, outputs], parts)
}

#[test]
fn sums_are_within_their_bound_in_every_variant_and_partition() {
    everywhere(|| {
        for (large, small, shape) in CASES {
            let n = large.iter().product();
            let x = numbers(n, 11);
            let (exact, _) = on_cpu(&[(large, &x)], &|_, x| x[0].sum_to(small));
            let (magnitude, _) = on_cpu(&[(large, &absolute(&x))], &|_, x| x[0].sum_to(small));
            let v2 = if shape[4] > 1 {
                "sum_to_v2_columns_f32"
            } else {
                "sum_to_v2_rows_f32"
            };
            for kernel in ["sum_to_v1_naive_f32", v2] {
                let terms = shape[1] * shape[3];
                for part in [terms, 64, 1000] {
                    let mut device = Device::new("reduce");
                    let px = device.memory.alloc_f32("x", &x);
                    let got = sum_to(&mut device, kernel, px, shape, part.min(terms));
                    let what = format!("{kernel}: {large:?} to {small:?} in parts of {part}");
                    assert_near(&what, &got, &exact, terms, &magnitude);
                    let again = sum_to(&mut device, kernel, px, shape, part.min(terms));
                    assert_eq!(got, again, "{what}");
                }
            }
        }
    });
}

#[test]
fn column_sums_read_whole_sectors() {
    let mut device = Device::new("reduce");
    let x = device.memory.alloc_f32("x", &numbers(128 * 64, 1));
    let y = device.space("y", 64);
    let shape = words(&[1, 1, 1, 128, 64]);
    let args = [Arg::Pointer(x), Arg::Pointer(y), shape, Arg::U32(128)];
    let counts = device.launch("sum_to_v2_columns_f32", Launch::new(2, 256), &args);
    let counts = counts.expect("the interpreter counts");
    assert_eq!(counts.global_loads.efficiency(), 1.0);
    assert_eq!(counts.shared_loads.conflicts(), 0);
}
