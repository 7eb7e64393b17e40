//! A matrix times a vector.

use super::matmul::{STORE, epilogue};
use super::{Arg, Device, absolute, assert_near, assert_same, everywhere, numbers, on_cpu};
use ganforge_ptxvm::Launch;

#[test]
fn every_row_or_column_is_near_its_sum_and_takes_the_bias() {
    everywhere(|| {
        const BIAS: u32 = 2;
        let sizes = [(1, 1), (3, 31), (9, 240), (100, 33), (17, 1000), (240, 200)];
        let kernels = [("matvec_v1_f32", false, 8), ("matvec_v1_tn_f32", true, 32)];
        for ((m, k), (kernel, ta, rows)) in sizes.into_iter().flat_map(|s| kernels.map(|k| (s, k)))
        {
            let (a, x) = (numbers(m * k, 1), numbers(k, 2));
            let shape = if ta { [k, m] } else { [m, k] };
            let of = |a: &[f32], x: &[f32]| {
                on_cpu(&[(&shape, a), (&[k, 1], x)], &|_, v| {
                    v[0].matmul_with(ta, false, v[1])
                })
                .0
            };
            let mut device = Device::new("matvec");
            let (pa, px) = (device.put("a", &a), device.put("x", &x));
            let bias = device.memory.alloc_f32("bias", &[0.3]);
            let mut run = |finish: u32| {
                let y = device.space("y", m);
                let mut args = vec![pa.clone(), px.clone(), Arg::Pointer(y)];
                args.extend([m, k].map(|n| Arg::U32(n as u32)));
                args.push(epilogue(finish, [Some(bias), None, None, None, None]));
                let launch = Launch::new(m.div_ceil(rows) as u32, 256);
                device.launch(kernel, launch, &args);
                device.read(y)
            };
            let (got, biased) = (run(STORE), run(BIAS));
            let size = of(&absolute(&a), &absolute(&x));
            assert_near(&format!("{kernel}: {m} x {k}"), &got, &of(&a, &x), k, &size);
            let sums: Vec<f32> = got.iter().map(|y| y + 0.3).collect();
            assert_same(&format!("{kernel}: {m} x {k} with bias"), &biased, &sums);
        }
    });
}
