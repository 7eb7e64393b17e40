//! GAN losses and their slopes.

use crate::{Device, U, numbers};
use ganforge_ptxvm::{Arg, Launch};

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A mean of n softplus values of a few ulps each, and slopes of a few ulps.
#[track_caller]
fn assert_close(what: &str, got: f32, exact: f64, n: usize) {
    let bound = (n as f64 + 8.0) * U * exact.abs();
    let error = (f64::from(got) - exact).abs();
    assert!(error <= bound, "{what} of {n}: {got:e}, exactly {exact:e}");
}

#[test]
fn the_discriminators_loss_and_slopes() {
    for n in [1, 2, 31, 100, 257, 600] {
        let logits = |seed| {
            numbers(n, seed)
                .iter()
                .map(|x| 9.0 * x)
                .collect::<Vec<f32>>()
        };
        let (real, fake) = (logits(1), logits(2));
        let mut device = Device::new("losses");
        let (pr, pf) = (device.put("real", &real), device.put("fake", &fake));
        let [loss, dr, df] = [1, n, n].map(|n| device.space("out", n));
        let mut args = vec![pr, pf, Arg::U32(n as u32), Arg::F32(0.5)];
        args.extend([loss, dr, df].map(Arg::Pointer));
        device.launch("discriminator_loss_v1_f32", Launch::new(1, 256), &args);
        let mean = |x: &[f32], s: f64| {
            x.iter().map(|x| softplus(s * f64::from(*x))).sum::<f64>() / n as f64
        };
        let exact = 0.5 * (mean(&real, -1.0) + mean(&fake, 1.0));
        assert_close("loss", device.read(loss)[0], exact, 2 * n);
        for (slopes, logits, s) in [(dr, &real, -1.0), (df, &fake, 1.0)] {
            for (got, a) in device.read(slopes).iter().zip(logits) {
                let exact = s * 0.5 / n as f64 * sigmoid(s * f64::from(*a));
                assert_close("slope", *got, exact, 1);
            }
        }
    }
}

#[test]
fn both_of_the_generators_losses_and_slopes() {
    for n in [1, 100, 300] {
        for (s, weight) in [(-1.0, 1.0), (1.0, -1.0)] {
            let fake: Vec<f32> = numbers(n, 4).iter().map(|x| 20.0 * x).collect();
            let mut device = Device::new("losses");
            let pf = device.put("fake", &fake);
            let (loss, df) = (device.space("loss", 1), device.space("df", n));
            let numbers = [Arg::U32(n as u32), Arg::F32(s), Arg::F32(weight)];
            let mut args = vec![pf];
            args.extend(numbers);
            args.extend([loss, df].map(Arg::Pointer));
            device.launch("generator_loss_v1_f32", Launch::new(1, 256), &args);
            let (s, weight) = (f64::from(s), f64::from(weight));
            let each = fake.iter().map(|a| softplus(s * f64::from(*a)));
            assert_close(
                "loss",
                device.read(loss)[0],
                weight * each.sum::<f64>() / n as f64,
                n,
            );
            for (got, a) in device.read(df).iter().zip(&fake) {
                let exact = s * weight / n as f64 * sigmoid(s * f64::from(*a));
                assert_close("slope", *got, exact, 1);
            }
        }
    }
}
