//! Multiply-adds in registers.

use super::{Arg, Device, everywhere};
use ganforge_ptxvm::{Class, Launch};

#[test]
fn every_thread_does_what_the_roofline_counts() {
    everywhere(|| {
        let mut device = Device::new("peak");
        for steps in [0u32, 1, 3, 50] {
            let out = device.space("out", 2 * 256);
            let args = [Arg::Pointer(out), Arg::U32(steps)];
            let counts = device.launch("fma_peak_v1_f32", Launch::new(2, 256), &args);
            for (i, sum) in device.read(out).into_iter().enumerate() {
                let mut x: [f32; 8] = std::array::from_fn(|k| 0.25 * (i % 256 + k) as f32);
                for _ in 0..steps {
                    x = x.map(|x| x.mul_add(0.5, 0.5));
                }
                assert_eq!(sum, x.iter().fold(0.0, |s, x| s + x), "{i}");
            }
            if let Some(counts) = counts {
                let fmas = counts.class(Class::Fma).threads;
                assert!(fmas >= u64::from(steps) * 8 * 512, "{fmas}");
            }
        }
    });
}
