//! The GPU's ladders, run by the interpreter: every rung computes what plain loops in f64 do.

use std::collections::BTreeSet;

use ganforge_kernels::cpu::gemm::Shape3;
use ganforge_kernels::cuda::{Device, roofline};
use ganforge_kernels::ladder::{Ladder, Work};
use ganforge_ptxvm::Interpreter;

fn interpreter() -> Device {
    Device::new(Interpreter::new((9, 0), 1 << 28))
}

#[test]
fn all_rungs_of_a_device_compute_the_same_and_one_of_them_runs() {
    let device = interpreter();
    let product = |ta, tb, m, k, n| {
        let dims = Shape3 { m, k, n };
        Work::Product { ta, tb, dims }
    };
    let works = [
        product(false, false, 5, 200, 70),
        product(false, true, 33, 17, 40),
        product(true, false, 40, 33, 31),
        product(false, false, 20, 9, 70),
    ];
    for work in works.into_iter().chain(Work::samples()) {
        let mut ladder = Ladder::on_device(work, &device).expect("a device");
        ladder.verify().unwrap_or_else(|e| panic!("{e}"));
        let names: Vec<&str> = ladder.rungs.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(
            ladder.rungs.iter().filter(|r| r.is_used).count(),
            1,
            "{names:?}"
        );
        let on_tensor_cores = names.iter().filter(|n| !n.ends_with("_f32")).count();
        let expected = match work {
            // v1, v2 and v3 of two precisions; the first in one form only; none of few rows or columns.
            Work::Product { ta, tb, dims } if dims.m > 16 => [4, 6][usize::from(!ta && !tb)],
            Work::MaxoutWeights { inputs: 20, .. } => 2,
            // Channels by fours.
            Work::Convolution(c) if c.sizes.c_in == 20 => 4,
            _ => 0,
        };
        assert_eq!(on_tensor_cores, expected, "{names:?}");
        let unique: BTreeSet<&&str> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "{names:?}");
        if matches!(work, Work::Product { .. }) {
            assert!(
                names[0].contains("_v1_naive_") && names.len() >= 4,
                "{names:?}"
            );
        }
    }
}

#[test]
fn a_devices_roofline_is_measured_by_its_own_kernels() {
    let device = interpreter();
    assert!(roofline::measured_peak_gflops(&device, 2, 3).expect("runs") > 0.0);
    assert!(roofline::measured_bandwidth_gbs(&device, 8 * 1003).expect("runs") > 0.0);
}
