//! Random numbers have the CPU's bits.

use super::{Arg, Device, assert_same, everywhere, numbers, threads};
use ganforge_kernels::cpu::rng::{self, RandomStream};

const SIZES: [usize; 7] = [1, 3, 4, 5, 1023, 1025, 4098];
const STREAM: RandomStream = RandomStream {
    key: 0x0123_4567_89ab_cdef,
    stream: 0xfeed_f00d,
    counter: 0x1_0000_0007,
};

/// The floor of 2^32 p, and whether p is 1.
fn threshold(p: f32) -> (u32, i32) {
    ((f64::from(p) * 4_294_967_296.0) as u32, i32::from(p >= 1.0))
}

/// Runs `kernel` with the control block and the stream first, the output and its length last.
fn draw(kernel: &str, middle: &[Arg], n: usize) -> Vec<f32> {
    let mut device = Device::new("random");
    let control = device
        .memory
        .alloc_u64("control", &[STREAM.key, STREAM.counter]);
    let y = device.space("y", n);
    let mut args = vec![Arg::Pointer(control), Arg::U32(STREAM.stream)];
    args.extend_from_slice(middle);
    args.extend([Arg::Pointer(y), Arg::U32(n as u32)]);
    device.launch(kernel, threads(n.div_ceil(4)), &args);
    device.read(y)
}

#[test]
fn uniform_numbers_have_the_cpus_bits() {
    everywhere(|| {
        for n in SIZES {
            for (lo, hi) in [(-1.0f32, 3.0f32), (0.0, 1.0), (-3f32.sqrt(), 3f32.sqrt())] {
                let args = [Arg::F32(lo), Arg::F32(hi - lo), Arg::F32(hi.next_down())];
                let mut expected = vec![0.0; n];
                rng::uniform(STREAM, 0, lo, hi, &mut expected);
                assert_same("uniform", &draw("uniform_v1_f32", &args, n), &expected);
            }
        }
    });
}

#[test]
fn normal_numbers_have_the_cpus_bits() {
    everywhere(|| {
        for n in SIZES {
            let mut expected = vec![0.0; n];
            rng::normal(STREAM, 0, 0.5, 2.0, &mut expected);
            let args = [Arg::F32(0.5), Arg::F32(2.0)];
            assert_same("normal", &draw("normal_v1_f32", &args, n), &expected);
        }
    });
}

#[test]
fn masks_have_the_cpus_bits() {
    everywhere(|| {
        for n in SIZES {
            for p in [0.0, 0.3, 0.8, 1.0] {
                let mut expected = vec![0.0; n];
                rng::bernoulli(STREAM, 0, p, 1.25, &mut expected);
                let (limit, always) = threshold(p);
                let args = [Arg::U32(limit), Arg::F32(1.25), Arg::I32(always)];
                assert_same("bernoulli", &draw("bernoulli_v1_f32", &args, n), &expected);
            }
        }
    });
}

#[test]
fn dropout_is_the_product_with_the_mask() {
    everywhere(|| {
        for n in SIZES {
            let x = numbers(n, 3);
            let mut device = Device::new("random");
            let control = device
                .memory
                .alloc_u64("control", &[STREAM.key, STREAM.counter]);
            let data = device.memory.alloc_f32("x", &x);
            let (limit, always) = threshold(0.8);
            let args = [
                Arg::Pointer(control),
                Arg::U32(STREAM.stream),
                Arg::U32(limit),
                Arg::F32(1.25),
                Arg::I32(always),
                Arg::Pointer(data),
                Arg::Pointer(data), // in place
                Arg::U32(n as u32),
            ];
            device.launch("dropout_v1_f32", threads(n.div_ceil(4)), &args);
            let mut mask = vec![0.0; n];
            rng::bernoulli(STREAM, 0, 0.8, 1.25, &mut mask);
            let expected: Vec<f32> = x.iter().zip(&mask).map(|(x, m)| x * m).collect();
            assert_same("dropout", &device.read(data), &expected);
        }
    });
}
