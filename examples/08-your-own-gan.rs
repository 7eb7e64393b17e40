//! 8. Your own GAN: your data, G, D and loss in less than sixty lines; all else is as for a preset.
//!
//! Here: points near a parabola, the least-squares loss (Mao et al. 2017). A second call resumes the run's folder.
//! `cargo run --release --example 08-your-own-gan -- [STEPS]`

use ganforge::gan::losses::{Judged, Objective};
use ganforge::gan::nn::Build;
use ganforge::gan::{Experiment, Result};
use ganforge::tensor::{Device, Var};

/// D: target 1 for data, 0 for samples; G: target 1 for samples.
#[derive(Debug)]
struct LeastSquares;

impl Objective for LeastSquares {
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        (real.d - 1.0).square().mean() + fake.d.square().mean()
    }
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        (fake.d - 1.0).square().mean()
    }
}

/// Two hidden layers, then a linear one.
fn net<'g>(b: &mut Build<'g>, x: Var<'g>, outputs: usize) -> Var<'g> {
    let h = b.linear("h0", x, 64).leaky_relu(0.2);
    let h = b.linear("h1", h, 64).leaky_relu(0.2);
    b.linear("out", h, outputs)
}

/// Points (x, x²), a little beside the parabola: [n, 2].
fn parabola(n: usize) -> Vec<f32> {
    let point = |i: usize| {
        let (x, noise) = (3.0 * (0.618_034 * i as f32).fract() - 1.5, (i as f32).sin());
        [x, x * x + 0.05 * noise]
    };
    (0..n).flat_map(point).collect()
}

/// Trains in `folder` and returns 256 samples, [256, 2].
pub fn run(folder: &std::path::Path, steps: usize) -> Result<Vec<f32>> {
    let own = Experiment::new("parabola", 2, parabola(25_600))?
        .generator(|b, z| net(b, z, 2))
        .discriminator(|b, x| net(b, x, 1))
        .loss("least-squares", LeastSquares)
        .with(&["noise.dim=2", "train.batch=256", "optimizer.beta1=0.5"])?
        .with(&[format!("train.epochs={}", steps.div_ceil(80))])?; // 20,480 points to train on
    let (trainer, _) = own.train(folder, &Device::CPU, &mut ())?;
    own.samples(&trainer, 256)
}

fn main() -> Result<()> {
    let steps = std::env::args().nth(1);
    let steps = steps.map_or(2000, |n| n.parse().expect("a number"));
    let samples = run("runs/parabola".as_ref(), steps)?;
    samples.chunks(2).take(10).for_each(|p| println!("{p:.2?}"));
    Ok(())
}
