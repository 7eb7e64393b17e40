//! The time that the Inception network of FID takes for images.

use ganforge_gan::error::{Result, room_for};
use ganforge_gan::files::{Array, ArrayData};
use ganforge_gan::inception::Inception;
use ganforge_kernels::cpu::gemm::measured_peak_gflops;
use ganforge_kernels::cpu::rng::{self, RandomStream};
use ganforge_tensor::{Device, stream_number};

use crate::bench::{StepBench, timed};
use crate::layers::layers;
use crate::origin::Origin;

/// Batches before the first one that counts.
const WARM_UP: usize = 2;

/// Times features and logits of `steps` batches of `batch` random images on `device`, in the current thread pool, with random
/// weights: a step is a batch. The processor's peak is measured before and after. `commit` is what the program was built from.
///
/// # Errors
/// Those of [`Inception::look`].
pub fn inception(commit: &str, device: &Device, batch: usize, steps: usize) -> Result<StepBench> {
    let origin = Origin::now(commit, device.name());
    let peak = || match device {
        Device::Cpu(_) => Some(measured_peak_gflops(origin.threads)),
        Device::Cuda(..) => None,
    };
    let peak_before = peak();
    let mut inception = random()?;
    inception.move_to(device)?;
    inception.set_rows(batch)?;
    let image = Inception::SIDE * Inception::SIDE * 3;
    let values = batch.saturating_mul(image);
    room_for("images to time the network with", 2 * values as u64)?;
    let images = uniform("images", -1.0, 1.0, values);
    for _ in 0..WARM_UP {
        inception.look(&images)?;
    }
    let calls = inception.plan()?.calls.len();
    let (times, calls) = timed(steps, calls, |spans| inception.look_timed(&images, spans))?;
    let peaks = peak_before.zip(peak()).map(|(a, b)| [a, b]);
    let (plan, algorithm) = (inception.plan()?, device.algorithm());
    let gflop = [plan.cost().flops, plan.executed_flops(algorithm)].map(|n| n as f64 / 1e9);
    let what = format!("features of inception, batch {batch}");
    let mut bench = StepBench::of(what, batch, origin, times, gflop, peaks);
    if let Some(peak) = bench.peak_gflops {
        bench.layers = layers(plan, &calls.ms, calls.step_ms, algorithm, peak);
    }
    Ok(bench)
}

/// The network with random filters, of variances that keep the maps as large as the image.
fn random() -> Result<Inception> {
    let tensors = Inception::tensors().into_iter().map(|(name, shape)| {
        let len = shape.iter().product();
        let values = match name.rsplit('.').next() {
            _ if shape.len() > 1 => {
                let bound = (6.0 / (len / shape[0]) as f32).sqrt();
                uniform(&name, -bound, bound, len)
            }
            Some("weight" | "running_var") => vec![1.0; len],
            _ => vec![0.0; len],
        };
        let data = ArrayData::F32(values);
        (name, Array { shape, data })
    });
    Inception::from_tensors("random weights".as_ref(), tensors.collect())
}

/// Random numbers of the array `name`.
fn uniform(name: &str, low: f32, high: f32, len: usize) -> Vec<f32> {
    let mut values = vec![0.0; len];
    let stream = RandomStream {
        key: 1,
        stream: stream_number(name),
        counter: 0,
    };
    rng::uniform(stream, 0, low, high, &mut values);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_is_that_of_the_network_and_every_block_has_its_row() {
        let bench = inception("none", &Device::CPU, 1, 1).expect("timed");
        // 5.71 multiply-adds, and what pools take.
        assert!(
            (11.4..11.6).contains(&bench.gflop_per_step),
            "{}",
            bench.gflop_per_step
        );
        let blocks: Vec<&str> = bench.layers.iter().map(|l| l.layer.as_str()).collect();
        assert_eq!(
            blocks[..3],
            ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"]
        );
        assert_eq!(blocks.len(), 18 + 2);
        let ms: f64 = bench.layers.iter().map(|l| l.ms).sum();
        assert!((ms / bench.median_ms - 1.0).abs() < 0.01);
    }
}
