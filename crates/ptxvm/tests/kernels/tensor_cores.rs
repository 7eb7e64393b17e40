//! Products on tensor cores, by the machine's model of mma.

use crate::matmul::{FORMS, STORE, epilogue, factors};
use crate::{Device, absolute, assert_near, numbers, on_cpu};
use ganforge_ptxvm::{Arg, Launch};

/// c of `kernel`.
fn product(kernel: &str, [m, n, k]: [usize; 3], a: &[f32], b: &[f32]) -> Vec<f32> {
    let mut device = Device::new("matmul_sm80");
    let (pa, pb) = (device.put("a", a), device.put("b", b));
    let c = device.space("c", m * n);
    let mut args = vec![pa, pb, Arg::Pointer(c)];
    args.extend([m, n, k].map(|n| Arg::U32(n as u32)));
    args.push(epilogue(STORE, [None; 5]));
    let launch = Launch {
        grid: [n.div_ceil(128) as u32, m.div_ceil(128) as u32, 1],
        ..Launch::new(1, 256)
    };
    let counts = device.launch(kernel, launch, &args);
    assert_eq!(counts.shared_loads.conflicts(), 0, "{kernel}");
    device.read(c)
}

/// The factors' numbers with `bits` bits of fraction: the kernel's rounding changes nothing.
fn coarse(x: Vec<f32>, bits: i32) -> Vec<f32> {
    let unit = 2f32.powi(bits);
    x.into_iter().map(|x| (x * unit).round() / unit).collect()
}

#[test]
fn tensor_core_products_are_within_the_bound_of_their_sums() {
    for [m, n, k] in [[1, 1, 1], [37, 29, 50], [130, 9, 33]] {
        for (precision, bits) in [("tf32", 9), ("bf16", 6)] {
            for (form, ta, tb) in FORMS {
                let kernel = format!("matmul_v1_mma_{form}_{precision}");
                let (da, db) = factors(m, n, k, ta, tb);
                let of = |a: &[f32], b: &[f32]| {
                    on_cpu(&[(&da, a), (&db, b)], &|_, x| {
                        x[0].matmul_with(ta, tb, x[1])
                    })
                    .0
                };
                let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
                let size = of(&absolute(&a), &absolute(&b));
                let what = format!("{kernel}: {m} x {n} x {k}");
                // Numbers that need no rounding: only the sums' errors are left.
                let (ca, cb) = (coarse(a.clone(), bits), coarse(b.clone(), bits));
                let (exact, rough) = (of(&ca, &cb), of(&absolute(&ca), &absolute(&cb)));
                assert_near(
                    &what,
                    &product(&kernel, [m, n, k], &ca, &cb),
                    &exact,
                    k,
                    &rough,
                );
                // Any numbers: two roundings of half a unit in the last of the kept bits per product.
                let (exact, got) = (of(&a, &b), product(&kernel, [m, n, k], &a, &b));
                let kept = if precision == "tf32" { 11 } else { 8 };
                for (i, (g, e)) in got.iter().zip(&exact).enumerate() {
                    let bound = size[i] * 2.1 * 2f64.powi(-kept);
                    assert!(
                        (f64::from(*g) - e).abs() <= bound,
                        "{what}: at {i}: {g}, exactly {e}"
                    );
                }
            }
        }
    }
}
