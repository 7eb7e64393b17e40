use super::*;
use crate::{MetricKind, Score, Scores};

/// Numbers on [0, 1) from a multiplicative congruence; enough for test data.
fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..n)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32
        })
        .collect()
}

/// L by its definition: plain loops, f64 throughout.
fn brute_force(samples: &[f32], x: &[f32], d: usize, sigma: f64) -> Vec<f64> {
    x.chunks_exact(d)
        .map(|x| {
            let a: Vec<f64> = samples
                .chunks_exact(d)
                .map(|s| {
                    let square = |(x, s): (&f32, &f32)| (f64::from(*x) - f64::from(*s)).powi(2);
                    -x.iter().zip(s).map(square).sum::<f64>() / (2.0 * sigma * sigma)
                })
                .collect();
            let m = a.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = a.iter().map(|a| (a - m).exp()).sum();
            m + (sum / a.len() as f64).ln() - d as f64 * (sigma * std::f64::consts::TAU.sqrt()).ln()
        })
        .collect()
}

/// The form of the specification that takes one sample after the other.
fn streaming(samples: &[f32], x: &[f32], d: usize, sigma: f64) -> f64 {
    let mut acc = f64::NEG_INFINITY;
    for (n, s) in samples.chunks_exact(d).enumerate() {
        let cur = brute_force(s, x, d, sigma)[0];
        let (n, o) = (n as f64, acc.max(cur));
        let old = if n > 0.0 { n * (acc - o).exp() } else { 0.0 };
        acc = o + (old + (cur - o).exp()).ln() - (n + 1.0).ln();
    }
    acc
}

fn assert_close(a: &[f64], b: &[f64], bound: f64) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!(
            (a - b).abs() <= bound,
            "{i}: {a} and {b} differ by more than {bound}"
        );
    }
}

/// Bound of the error of L: that of d² over 2σ². d² = norms - 2 x·s with x·s in f32: at most d eps |x||s|, in
/// practice its square root (errors of either sign); 8 standard deviations; centred rows have |x||s| near `norm`.
fn bound(d: usize, norm: f64, sigma: f64) -> f64 {
    8.0 * 2.0 * (d as f64).sqrt() * f64::from(f32::EPSILON) * norm / (2.0 * sigma * sigma) + 1e-9
}

#[test]
fn one_sample_at_the_point_gives_the_gaussians_peak() {
    let x = numbers(1, 784);
    for (sigma, expected) in [(0.1, 1084.7789), (0.2, 541.3515)] {
        let l = log_likelihood(&x, &x, 784, sigma).unwrap();
        assert!((l[0] - expected).abs() < 5e-5, "{}", l[0]);
    }
}

#[test]
fn agrees_with_the_definition_in_f64() {
    for (n, m, d) in [
        (1, 1, 1),
        (7, 3, 5),
        (100, 20, 784),
        (5000, 3, 17),
        (13, 300, 16),
    ] {
        let (samples, x) = (numbers(2, n * d), numbers(3, m * d));
        for sigma in [0.1, 0.3, 1.0] {
            let l = log_likelihood(&samples, &x, d, sigma).unwrap();
            let expected = brute_force(&samples, &x, d, sigma);
            assert_close(&l, &expected, bound(d, d as f64 / 12.0, sigma));
        }
    }
}

#[test]
fn data_far_from_the_origin_lose_nothing() {
    // On a grid of 1/64 the shift by 1000 is exact in f32, so only cancellation could move L.
    let grid = |seed, n| -> Vec<f32> {
        let on_grid = |v: f32| (v * 64.0).round() / 64.0;
        numbers(seed, n).into_iter().map(on_grid).collect()
    };
    let (samples, x) = (grid(4, 50 * 100), grid(5, 10 * 100));
    let shift = |v: &[f32]| v.iter().map(|v| v + 1000.0).collect::<Vec<f32>>();
    let near = log_likelihood(&samples, &x, 100, 0.2).unwrap();
    let far = log_likelihood(&shift(&samples), &shift(&x), 100, 0.2).unwrap();
    assert_close(&near, &far, bound(100, 100.0 / 12.0, 0.2));
}

#[test]
fn the_same_samples_twice_change_nothing() {
    let (samples, x) = (numbers(6, 3000 * 20), numbers(7, 40 * 20));
    let once = log_likelihood(&samples, &x, 20, 0.15).unwrap();
    let twice = log_likelihood(&[&samples[..], &samples].concat(), &x, 20, 0.15).unwrap();
    assert_close(&once, &twice, 1e-9 + bound(20, 20.0 / 12.0, 0.15) / 8.0);
}

#[test]
fn taking_samples_one_by_one_gives_the_same() {
    // Values on a grid of 1/8 around a mean on that grid: all products are exact in f32, only f64 remains.
    let d = 9;
    let half: Vec<f32> = numbers(8, 3000 * d)
        .iter()
        .map(|v| (v * 8.0).floor() / 8.0)
        .collect();
    let mirror: Vec<f32> = half.iter().map(|v| 1.0 - v).collect();
    let samples = [half, mirror].concat();
    let x: Vec<f32> = numbers(9, 5 * d)
        .iter()
        .map(|v| (v * 8.0).floor() / 8.0)
        .collect();
    for sigma in sigma_grid() {
        let l = log_likelihood(&samples, &x, d, sigma).unwrap();
        for (l, x) in l.iter().zip(x.chunks_exact(d)) {
            let expected = streaming(&samples, x, d, sigma);
            assert!((l - expected).abs() < 1e-9, "{l} {expected}");
        }
        assert_close(&l, &brute_force(&samples, &x, d, sigma), 1e-9);
    }
}

#[test]
fn of_widths_that_fit_equally_well_the_smallest_is_taken() {
    let best = |means: [f64; 4]| best_width([0.1, 0.2, 0.3, 0.4].into_iter().zip(means));
    assert_eq!(best([-5.0, -4.0, -4.0, -4.5]), 0.2);
    assert_eq!(best([-4.0; 4]), 0.1);
    assert_eq!(best([-5.0, -4.5, -4.25, -4.0]), 0.4);
    assert_eq!(best([f64::NEG_INFINITY; 4]), 0.1);
}

#[test]
fn several_widths_at_once_equal_one_at_a_time_bit_for_bit() {
    // One more than a block has, of rows and of samples; millions of exponentials, which an unoptimised build feels.
    let d = 3;
    let (samples, x) = (numbers(10, (COLUMNS + 1) * d), numbers(11, (ROWS + 1) * d));
    let all = log_likelihoods(&samples, &x, d, &sigma_grid()).unwrap();
    for (l, sigma) in all.iter().zip(sigma_grid()).step_by(4) {
        assert_eq!(*l, log_likelihood(&samples, &x, d, sigma).unwrap());
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let (samples, x) = (numbers(12, 4500 * 33), numbers(13, 301 * 33));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| log_likelihood(&samples, &x, 33, 0.2).unwrap())
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(5));
}

#[test]
fn sigma_grid_is_logspace() {
    let expected = [
        0.1, 0.129155, 0.166810, 0.215443, 0.278256, 0.359381, 0.464159, 0.599484, 0.774264, 1.0,
    ];
    assert_close(&sigma_grid(), &expected, 5e-7);
    assert_eq!((sigma_grid()[0], sigma_grid()[9]), (0.1, 1.0));
}

#[test]
fn score_chooses_sigma_on_valid_and_has_the_population_error() {
    let d = 12;
    let (samples, valid, test) = (
        numbers(14, 400 * d),
        numbers(15, 50 * d),
        numbers(16, 60 * d),
    );
    let score = score(&samples, &valid, &test, d).unwrap();
    let mean = |l: &[f64]| l.iter().sum::<f64>() / l.len() as f64;
    let best = sigma_grid()
        .into_iter()
        .max_by(|a, b| {
            let on_valid = |s| mean(&brute_force(&samples, &valid, d, s));
            on_valid(*a).total_cmp(&on_valid(*b))
        })
        .unwrap();
    assert_eq!(score.sigma, best);
    let l = brute_force(&samples, &test, d, best);
    let variance = l.iter().map(|v| (v - mean(&l)).powi(2)).sum::<f64>() / 60.0;
    assert!((score.log_likelihood - mean(&l)).abs() < 1e-4);
    assert!((score.stderr - (variance / 60.0).sqrt()).abs() < 1e-4);
    assert_eq!(
        (score.n_samples, score.n_valid, score.n_test),
        (400, 50, 60)
    );
    let json = serde_json::to_value(&score).unwrap();
    let mut keys: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "log_likelihood",
            "n_samples",
            "n_test",
            "n_valid",
            "sigma",
            "stderr"
        ]
    );
}

#[test]
fn arrays_that_cannot_be_scored_are_named() {
    let good = [0.5_f32; 6];
    let text = |r: Result<ParzenScore, ParzenError>| r.unwrap_err().to_string();
    assert_eq!(
        text(score(&[], &good, &good, 3)),
        "parzen: samples is empty, expected at least one row of 3 values"
    );
    assert_eq!(
        text(score(&good, &good, &good[..5], 3)),
        "parzen: test has 5 values, not a multiple of the 3 of a row"
    );
    assert!(text(score(&good, &good, &good, 0)).contains("samples has 6 values"));
    let bad = [0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0];
    assert_eq!(
        text(score(&bad, &good, &good, 3)),
        "parzen: samples[1, 1] is NaN, expected a finite number"
    );
    assert!(text(score(&good, &[f32::INFINITY; 3], &good, 3)).contains("valid[0, 0] is inf"));
    assert!(text(score(&good, &good, &[1e30; 3], 3)).contains("test[0] lies 1.7"));
    assert!(log_likelihood(&good, &good, 3, 0.0).is_err());
    assert!(log_likelihood(&good, &good, 3, f64::NAN).is_err());
    let far = [1e15, 0.0, 0.0];
    assert!(log_likelihood(&good, &far, 3, 0.1).unwrap()[0].is_finite());
}

#[test]
#[ignore = "a measurement: cargo test --release -p ganforge-metrics -- --ignored --nocapture parzen"]
fn time_of_the_papers_protocol() {
    let d = 784;
    let (samples, valid, test) = (
        numbers(17, 10_000 * d),
        numbers(18, 1000 * d),
        numbers(19, 10_000 * d),
    );
    let start = std::time::Instant::now();
    let score = score(&samples, &valid, &test, d).unwrap();
    println!(
        "{score:?} in {:?} on {} threads",
        start.elapsed(),
        rayon::current_num_threads()
    );
}

fn folds() -> ParzenScore {
    let fold = |log_likelihood, sigma| ParzenScore {
        log_likelihood,
        stderr: 7.0,
        sigma,
        n_samples: 10_000,
        n_valid: 418,
        n_test: 836,
        folds: Vec::new(),
    };
    let folds = [(2.0, 0.5), (6.0, 0.25), (4.0, 0.75), (8.0, 1.0)];
    let folds = folds.map(|(l, sigma)| fold(l, sigma));
    ParzenScore::over_folds(folds.to_vec()).expect("four folds")
}

#[test]
fn a_score_over_folds_is_their_mean_with_its_own_error() {
    let score = folds();
    // Mean 5, population variance 5, over four folds.
    let values = [5.0, 1.25_f64.sqrt(), 0.5, 10_000.0, 1672.0, 3344.0];
    let numbers = Numbers::from(&score);
    assert_eq!(numbers.values, values);
    let text = score.to_string();
    assert!(
        text.contains(
            "5.0 ± 1.1 nats, mean over 4 folds (sigma 0.5000, 0.2500, 0.7500, 1.0000, 10000 samples"
        ),
        "{text}"
    );
    let single = score.folds[0].clone();
    let same = ParzenScore::over_folds(vec![single.clone()]);
    assert_eq!(same, Some(single));
    assert_eq!(ParzenScore::over_folds(Vec::new()), None);
    // Through JSON and back, as run.json keeps it.
    let (kind, metrics) = (MetricKind::Parzen(Parzen::default()), MetricKind::all());
    let parzen = &metrics[..1];
    let scores = Scores(vec![Score::new(kind, numbers).expect("six numbers")]);
    let json = serde_json::json!(scores);
    assert_eq!(json, serde_json::json!(score), "as it is by itself");
    let back = Scores::read(parzen, &json).expect("read");
    assert_eq!(back.of("parzen").map(ParzenScore::from), Some(score));
}

#[test]
fn a_width_at_the_end_of_those_tried_is_called_that() {
    let mut score = folds();
    let says_so = |s: &ParzenScore| s.to_string().contains("the largest tried");
    assert!(!says_so(&score));
    score.sigma = sigma_grid()[9];
    assert!(says_so(&score));
}
