//! The streamed Parzen score.

use super::{Arg, Device, Pointer, U, assert_same, everywhere, numbers, threads};
use ganforge_ptxvm::Launch;

/// Points around a few centres, as images are.
fn points(n: usize, d: usize, seed: u64) -> Vec<f32> {
    let (centres, noise) = (numbers(5 * d, 77), numbers(n * d, seed));
    (0..n * d)
        .map(|i| centres[i / d * 7 % 5 * d + i % d] + 0.3 * noise[i])
        .collect()
}

/// The columns' means, and rows centred on `mean` with their squared norms.
fn centred(device: &mut Device, x: &[f32], d: usize, mean: Pointer) -> (Pointer, Pointer) {
    let n = x.len() / d;
    let px = device.put("x", x);
    let (out, norms) = (
        device.space("centred", n * d),
        device.memory.alloc("norms", 8 * n),
    );
    let sizes = [n, d].map(|n| Arg::U32(n as u32));
    let mut args = vec![px, Arg::Pointer(mean)];
    args.extend(sizes);
    args.extend([out, norms].map(Arg::Pointer));
    device.launch(
        "parzen_centre_v1_f32",
        Launch::new(n.div_ceil(8) as u32, 256),
        &args,
    );
    (out, norms)
}

#[test]
fn likelihoods_are_those_of_plain_loops_in_f64() {
    everywhere(|| {
        for (m, n, d, widths, part) in [
            (1, 1, 1, 1, 64),
            (3, 130, 7, 1, 64),
            (70, 200, 30, 10, 128),
            (65, 64, 17, 3, 64),
        ] {
            let (x, s) = (points(m, d, 1), points(n, d, 2));
            let scale = |w: usize| 0.5 / (0.2f64 + 0.1 * w as f64).powi(2);
            let scales: Vec<f64> = (0..widths).map(scale).collect();
            let mut device = Device::new("parzen");
            let mean = device.memory.alloc("mean", 8 * d);
            let ps = device.put("samples", &s);
            let sizes = [n, d].map(|n| Arg::U32(n as u32));
            let [rows, columns] = sizes;
            device.launch(
                "parzen_mean_v1_f64",
                threads(d),
                &[ps, rows, columns, Arg::Pointer(mean)],
            );
            let (px, x_norms) = centred(&mut device, &x, d, mean);
            let (ps, s_norms) = centred(&mut device, &s, d, mean);
            let means: Vec<f64> = (0..d)
                .map(|j| {
                    s.iter()
                        .skip(j)
                        .step_by(d)
                        .map(|v| f64::from(*v))
                        .sum::<f64>()
                        / n as f64
                })
                .collect();
            assert_eq!(device.memory.read_f64(mean), means);
            let centre = |x: &[f32]| -> Vec<f32> {
                x.iter()
                    .enumerate()
                    .map(|(i, v)| (f64::from(*v) - means[i % d]) as f32)
                    .collect()
            };
            let (x, s) = (centre(&x), centre(&s));
            assert_same("centred", &device.read(px), &x);

            let parts = n.div_ceil(part);
            let spaces = [parts * m, parts * m * widths, m, m * widths]
                .map(|n| device.memory.alloc("out", 8 * n));
            let [near_parts, sum_parts, nearest, sums] = spaces.map(Arg::Pointer);
            let pscales = Arg::Pointer(device.memory.alloc_f64("scales", &scales));
            let mut args = [px, x_norms, ps, s_norms].map(Arg::Pointer).to_vec();
            args.extend([m, n, d].map(|n| Arg::U32(n as u32)));
            args.extend([
                pscales.clone(),
                Arg::U32(widths as u32),
                Arg::U32(part as u32),
                near_parts.clone(),
                sum_parts.clone(),
            ]);
            let launch = Launch {
                grid: [m.div_ceil(64) as u32, parts as u32, 1],
                ..Launch::new(1, 128)
            };
            device.launch("parzen_v1_f32", launch, &args);
            let mut args = vec![near_parts, sum_parts];
            args.extend([m, widths, parts].map(|n| Arg::U32(n as u32)));
            args.extend([pscales, nearest, sums]);
            device.launch("parzen_merge_v1_f64", threads(m * widths), &args);
            let nearest = device.memory.read_f64(spaces[2]);
            let sums = device.memory.read_f64(spaces[3]);

            for i in 0..m {
                let row = |x: &[f32], i: usize| {
                    x[i * d..(i + 1) * d]
                        .iter()
                        .map(|v| f64::from(*v))
                        .collect::<Vec<f64>>()
                };
                let p = row(&x, i);
                let to = |j: usize| {
                    row(&s, j)
                        .iter()
                        .zip(&p)
                        .map(|(s, x)| (x - s) * (x - s))
                        .sum::<f64>()
                };
                let size = |j: usize| {
                    row(&s, j)
                        .iter()
                        .zip(&p)
                        .map(|(s, x)| (x * s).abs())
                        .sum::<f64>()
                };
                let squares: Vec<f64> = (0..n).map(to).collect();
                let largest = (0..n).map(size).fold(0.0, f64::max);
                for (w, f) in scales.iter().enumerate() {
                    let low = squares.iter().copied().fold(f64::INFINITY, f64::min);
                    let sum: f64 = squares.iter().map(|q| ((low - q) * f).exp()).sum();
                    let exact = sum.ln() - low * f;
                    let got = sums[i * widths + w].ln() - nearest[i] * f;
                    // Products x · s in f32, and sums of exponentials of some ulps each.
                    let bound = 2.0 * d as f64 * U * largest * f + 100.0 * U;
                    let error = (got - exact).abs();
                    assert!(
                        error <= bound,
                        "{m} x {n} x {d}: point {i}, width {w}: {got}, exactly {exact}: {error:e} > {bound:e}"
                    );
                }
            }
        }
    });
}
