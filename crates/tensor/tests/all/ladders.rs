//! Every rung of the products' ladders on every device: the interpreter of PTX, and a GPU where there is one.

use ganforge_kernels::cpu::gemm::Shape3;
use ganforge_kernels::cuda::{Precision, Scratch, matmul};
use ganforge_kernels::ladder::{Ladder, Work};

use crate::common::devices;

/// Rows that begin at multiples of 16 bytes and others, in each form: 16-byte and 4-byte copies.
#[test]
fn every_rung_of_every_form_and_precision_is_within_its_bound() {
    for device in devices() {
        for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
            for (m, k, n) in [
                (37, 50, 29),
                (68, 100, 72),
                (130, 33, 19),
                (70, 1, 17),
                (240, 40, 1),
            ] {
                let dims = Shape3 { m, k, n };
                let work = Work::Product { ta, tb, dims };
                let mut ladder = Ladder::on_device(work, &device).expect("a device");
                ladder.verify().unwrap_or_else(|e| panic!("{e}"));
            }
        }
    }
}

#[test]
fn what_is_not_finite_stays_so_on_every_rung() {
    let (m, k, n) = (20, 9, 70);
    for device in devices() {
        for (bits, is_nan) in [
            (0x7fff_ffff, true),
            (0xffff_ffff, true),
            (0x7fc0_0000, true),
            (0xff80_0000, false),
        ] {
            let mut a = vec![1.0f32; m * k];
            a[2 * k + 3] = f32::from_bits(bits);
            let [a, b] = [a, vec![2.0; k * n]].map(|x| device.copy_of(&x).expect("memory"));
            for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
                if device.check_precision(precision).is_err() {
                    continue;
                }
                let dims = Shape3 { m, k, n };
                let c = device.copy_of(&vec![0.0f32; m * n]).expect("memory");
                let of = |scratch: &mut Scratch| {
                    let (a, b, c) = (a.slice(), b.slice(), c.slice());
                    matmul::ladder((false, false), dims, a, b, c, precision, scratch)
                };
                let mut needs = Scratch::measure();
                of(&mut needs);
                let sums = device.alloc(needs.sums_needed).expect("memory");
                let counters = device
                    .copy_of(&vec![0u32; needs.counters_needed])
                    .expect("memory");
                for (_, launch) in of(&mut Scratch::of(sums.slice(), counters.slice())) {
                    let kernel = launch.kernel().to_string();
                    device.load(std::slice::from_ref(&launch)).expect("there");
                    device.run(&[launch]).expect("runs");
                    let mut out = vec![0.0; m * n];
                    c.read(&mut out).expect("read");
                    let right = |(i, c): (usize, &f32)| match i / n {
                        2 if is_nan => c.is_nan(),
                        2 => *c == f32::NEG_INFINITY,
                        _ => *c == 2.0 * k as f32,
                    };
                    assert!(out.iter().enumerate().all(right), "{kernel}: {bits:#x}");
                }
            }
        }
    }
}

#[test]
fn the_other_ladders_are_right_on_every_device() {
    for device in devices() {
        for work in Work::samples() {
            let mut ladder = Ladder::on_device(work, &device).expect("a device");
            ladder.verify().unwrap_or_else(|e| panic!("{e}"));
        }
    }
}
