//! Products on tensor cores, by the machine's model of mma.

use super::matmul::{FORMS, Product, STORE, epilogue, epilogues, factors};
use super::{
    Arg, Device, absolute, assert_near, assert_same, everywhere_from, indices, numbers, on_cpu,
};
use ganforge_ptxvm::Counts;

/// Rungs with the tile that a block computes, and whether they cut k.
const RUNGS: [(&str, usize, bool); 3] = [
    ("v1_mma", 128, false),
    ("v2_block", 64, true),
    ("v3_large", 128, true),
];

/// Precisions with the bits of fraction that they keep.
const PRECISIONS: [(&str, i32); 2] = [("tf32", 10), ("bf16", 7)];

/// c of `kernel`, k in parts of `part`; what it cost, where that is counted.
fn product(
    kernel: &str,
    [m, n, k]: [usize; 3],
    (tile, part, cut): (usize, usize, bool),
    a: &[f32],
    b: &[f32],
) -> (Vec<f32>, Option<Counts>) {
    let mut device = Device::new("matmul_sm80");
    let (pa, pb) = (device.put("a", a), device.put("b", b));
    let c = device.space("c", m * n);
    let tile = [tile; 2];
    let product = Product {
        m,
        n,
        k,
        tile,
        part,
    };
    let first = [pa, pb, Arg::Pointer(c)];
    let store = epilogue(STORE, [None; 5]);
    let counts = product.run(&mut device, kernel, &first, &[m, n, k], cut, store);
    check_banks(kernel, counts);
    (device.read(c), counts)
}

/// Shared memory is used without bank conflicts, but for the first rung's stores.
#[track_caller]
fn check_banks(kernel: &str, counts: Option<Counts>) {
    let Some(counts) = counts else { return };
    assert_eq!(counts.shared_loads.conflicts(), 0, "{kernel}: loads");
    let stores = counts.shared_stores.conflicts();
    assert!(kernel.contains("v1_mma") || stores == 0, "{kernel}: stores");
}

/// The factors' numbers with `bits` bits of fraction: the kernel's rounding changes nothing.
fn coarse(x: Vec<f32>, bits: i32) -> Vec<f32> {
    let unit = 2f32.powi(bits);
    x.into_iter().map(|x| (x * unit).round() / unit).collect()
}

/// c of a kernel is within the bounds of its sums, and of its roundings.
fn check(
    kernel: &str,
    sizes: [usize; 3],
    cut: (usize, usize, bool),
    form: (bool, bool),
    kept: i32,
) {
    let ([m, n, k], (ta, tb)) = (sizes, form);
    let (da, db) = factors(m, n, k, ta, tb);
    let of = |a: &[f32], b: &[f32]| {
        on_cpu(&[(&da, a), (&db, b)], &|_, x| {
            x[0].matmul_with(ta, tb, x[1])
        })
        .0
    };
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    let size = of(&absolute(&a), &absolute(&b));
    let what = format!("{kernel}: {m} x {n} x {k} in parts of {}", cut.1);
    // Numbers that need no rounding: only the sums' errors are left.
    let (ca, cb) = (coarse(a.clone(), kept - 1), coarse(b.clone(), kept - 1));
    let (exact, rough) = (of(&ca, &cb), of(&absolute(&ca), &absolute(&cb)));
    let got = product(kernel, sizes, cut, &ca, &cb).0;
    // Hardware cuts off what an addition has behind f32's bits instead of rounding it.
    assert_near(&what, &got, &exact, 4 * (k + 2), &rough);
    // Any numbers: two roundings of half a unit in the last of the kept bits per product.
    let (exact, got) = (of(&a, &b), product(kernel, sizes, cut, &a, &b).0);
    for (i, (g, e)) in got.iter().zip(&exact).enumerate() {
        let bound = size[i] * 2.1 * 2f64.powi(-kept - 1);
        assert!(
            (f64::from(*g) - e).abs() <= bound,
            "{what}: at {i}: {g}, exactly {e}"
        );
    }
    assert_same(&what, &product(kernel, sizes, cut, &a, &b).0, &got);
}

#[test]
fn tensor_core_products_are_within_the_bound_of_their_sums() {
    everywhere_from((8, 0), || {
        // Rows that begin at multiples of 16 bytes, and others.
        for sizes in [[1, 1, 1], [37, 29, 50], [130, 9, 33], [68, 72, 100]] {
            for (precision, kept) in PRECISIONS {
                for (rung, tile, cut) in RUNGS {
                    for (form, ta, tb) in FORMS {
                        if rung == "v1_mma" && form != "nn" {
                            continue;
                        }
                        let kernel = format!("matmul_{rung}_{form}_{precision}");
                        let k = sizes[2];
                        let parts = if cut && k > 48 { vec![k, 48] } else { vec![k] };
                        for part in parts {
                            check(&kernel, sizes, (tile, part, cut), (ta, tb), kept);
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn the_bits_do_not_depend_on_the_tile() {
    everywhere_from((8, 0), || {
        let [m, n, k] = [70, 68, 84];
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        for (precision, _) in PRECISIONS {
            for (form, _, _) in FORMS {
                for part in [k, 32] {
                    let [block, large] =
                        [("v2_block", 64), ("v3_large", 128)].map(|(rung, tile)| {
                            let kernel = format!("matmul_{rung}_{form}_{precision}");
                            product(&kernel, [m, n, k], (tile, part, true), &a, &b).0
                        });
                    assert_same(&format!("{form}, {precision}"), &block, &large);
                }
            }
        }
    });
}

#[test]
fn rows_that_begin_at_16_bytes_are_copied_16_bytes_at_a_time() {
    for (form, _, _) in FORMS {
        let kernel = format!("matmul_v2_block_{form}_tf32");
        let loads = |sizes: [usize; 3]| {
            let [m, n, k] = sizes;
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            product(&kernel, sizes, (64, k, true), &a, &b)
                .1
                .expect("the interpreter counts")
                .global_loads
        };
        // Two steps of 2 x 2048 words; every sector once.
        let wide = loads([64, 64, 64]);
        assert_eq!([wide.requests, wide.sectors], [64, 1024], "{kernel}");
        assert!(loads([63, 63, 63]).requests > 2 * wide.requests, "{kernel}");
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    everywhere_from((8, 0), || {
        for (precision, _) in PRECISIONS {
            for (rung, tile, cut) in RUNGS {
                let kernel = format!("matmul_{rung}_nn_{precision}");
                let of = |bits: u32| {
                    let a = [f32::from_bits(bits)];
                    product(&kernel, [1, 1, 1], (tile, 1, cut), &a, &[2.0]).0[0]
                };
                // Not a number: as devices write it, with a sign, as processors write it.
                for bits in [0x7fff_ffff, 0xffff_ffff, 0x7fc0_0000] {
                    assert!(of(bits).is_nan(), "{kernel}: {bits:#x}");
                }
                assert_eq!(of(0xff80_0000), f32::NEG_INFINITY, "{kernel}");
                assert_eq!(of(1.5f32.to_bits()), 3.0, "{kernel}");
            }
        }
    });
}

#[test]
fn every_epilogue_on_tensor_cores_is_that_of_separate_ops() {
    everywhere_from((8, 0), || {
        for (rung, tile, cut) in RUNGS {
            let kernel = format!("matmul_{rung}_nn_tf32");
            epilogues("matmul_sm80", &kernel, [tile; 2], cut);
        }
    });
}

#[test]
fn maxout_gradients_have_the_bits_of_products_with_the_matrix() {
    everywhere_from((8, 0), || {
        for (batch, units, q, inputs, part) in [
            (1, 1, 1, 1, 16),
            (10, 13, 5, 70, 1 << 20),
            (37, 24, 5, 65, 16),
            (100, 7, 2, 3, 32),
        ] {
            let wide = units * q;
            let (x, w) = (numbers(batch * inputs, 1), numbers(inputs * wide, 2));
            let (dy, index) = (numbers(batch * units, 3), indices(batch * units, q, 4));
            let mut p = vec![0.0; batch * wide];
            for (unit, (dy, index)) in dy.iter().zip(&index).enumerate() {
                p[unit * q + *index as usize] = *dy;
            }
            for (precision, _) in PRECISIONS {
                for (form, other, [m, n, k]) in [
                    ("tn", &x, [inputs, wide, batch]),
                    ("nt", &w, [batch, inputs, wide]),
                ] {
                    let mut device = Device::new("matmul_sm80");
                    let mut first = [other, &dy, &index].map(|d| device.put("in", d)).to_vec();
                    let c = device.space("c", m * n);
                    first.push(Arg::Pointer(c));
                    let (part, tile) = (part.min(k), [64; 2]);
                    let product_of_put = Product {
                        m,
                        n,
                        k,
                        tile,
                        part,
                    };
                    let kernel = format!("matmul_v2_put_{form}_{precision}");
                    let (sizes, store) = ([inputs, batch, units, q], epilogue(STORE, [None; 5]));
                    let counts =
                        product_of_put.run(&mut device, &kernel, &first, &sizes, true, store);
                    check_banks(&kernel, counts);
                    let (a, b) = if form == "tn" {
                        (other, &p)
                    } else {
                        (&p, other)
                    };
                    let block = format!("matmul_v2_block_{form}_{precision}");
                    let whole = product(&block, [m, n, k], (64, part, true), a, b).0;
                    let what =
                        format!("{kernel}: batch {batch}, {units} units of {q}, {inputs} inputs");
                    assert_same(&what, &device.read(c), &whole);
                }
            }
        }
    });
}
