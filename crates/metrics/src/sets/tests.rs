//! Scores of sets that a rule makes, against those of other programs (`tests/fixtures/make_scores.py`).

use serde_json::Value;
use testkit::rule::unit;
pub(super) use testkit::rule::{image, noise};

use super::*;

/// What other programs make of the sets below.
pub(super) fn golden() -> Value {
    serde_json::from_str(include_str!("../../tests/fixtures/scores.json")).expect("JSON")
}

/// A number of [`golden`], by its path.
pub(super) fn golden_at(path: &[&str]) -> f64 {
    let golden = golden();
    let mut value = &golden;
    for key in path {
        value = match key.parse::<usize>() {
            Ok(index) if value.is_array() => &value[index],
            _ => &value[key],
        };
    }
    value.as_f64().unwrap_or_else(|| panic!("no {path:?}"))
}

/// The features of the set `name`, row-major, and their width.
pub(super) fn set(name: &str) -> (Vec<f32>, usize) {
    let (n, d, scale, step) = match name {
        "real.a" => (200, 16, 1.0, 0.0),
        "fake.a" => (180, 16, 1.25, 0.125),
        "real.b" => (24, 32, 1.0, 0.0),
        "fake.b" => (20, 32, 1.0, 0.25),
        "logits" => (103, 10, 4.0, 0.0),
        _ => panic!("no set {name}"),
    };
    let value = |i: usize| (unit(name, i as u32) * scale + (i % d % 3) as f64 * step) as f32;
    ((0..n * d).map(value).collect(), d)
}

/// Standard normal numbers.
pub(super) fn normal(name: &str, count: usize) -> Vec<f64> {
    let unit = |i: usize| (f64::from(noise(name, i as u32)) + 0.5) / 2f64.powi(32);
    let pair = |i: usize| {
        let (radius, angle) = ((-2.0 * unit(i).ln()).sqrt(), unit(i + count));
        radius * (std::f64::consts::TAU * angle).cos()
    };
    (0..count).map(pair).collect()
}

pub(super) fn features<T: Component>(values: &[T], d: usize) -> Features<'_, T> {
    Features::new("test", values, d).expect("features")
}

#[test]
fn the_rule_makes_the_sets_of_the_script() {
    for name in ["real.a", "fake.a", "real.b", "fake.b", "logits"] {
        for (i, &value) in set(name).0[..3].iter().enumerate() {
            let expected = golden_at(&["first values", name, &i.to_string()]);
            assert_eq!(f64::from(value), expected, "{name}");
        }
    }
}

fn fid_of(a: &str, b: &str) -> f64 {
    let ((a, d), (b, _)) = (set(a), set(b));
    frechet::score(features(&a, d), features(&b, d)).expect("scored")
}

#[test]
fn fid_is_that_of_other_programs() {
    for (a, b) in [
        ("real.a", "fake.a"),
        ("real.b", "fake.b"),
        ("real.b", "real.b"),
    ] {
        let (fid, pair) = (fid_of(a, b), format!("{a} {b}"));
        let traces: f64 = [a, b]
            .map(|name| {
                let (values, d) = set(name);
                Statistics::of(features(&values, d))
                    .expect("two rows")
                    .trace()
            })
            .iter()
            .sum();
        for program in ["torch-fidelity", "pytorch-fid", "clean-fid"] {
            let expected = golden_at(&["fid", &pair, program]);
            let error = (fid - expected).abs();
            assert!(
                error < 1e-6 * expected.abs() + 1e-7 * traces,
                "{pair}: {fid} {expected}"
            );
        }
        let exact = golden_at(&["fid", &pair, "exact"]);
        assert!(
            (fid - exact).abs() < 1e-14 * traces,
            "{pair}: {fid} {exact}"
        );
        let back = fid_of(b, a);
        assert!((fid - back).abs() < 1e-14 * traces, "{fid} {back}");
    }
}

fn statistics(mean: &[f64], covariance: &[f64]) -> Statistics {
    Statistics::new("test", None, mean.to_vec(), covariance.to_vec()).expect("a covariance")
}

#[test]
fn fid_of_known_gaussians() {
    let rows = |counts: &[(usize, [f64; 2])]| -> Vec<f64> {
        let rows = counts.iter();
        rows.flat_map(|(n, row)| row.repeat(*n)).collect()
    };
    // The divisor n - 1: with n it is 89.
    let real = rows(&[(50, [2.0, 1.0]), (50, [1.0, 1.0])]);
    let fake = rows(&[(50, [9.0, 9.0]), (50, [2.0, 9.0])]);
    let fid = frechet::score(features(&real, 2), features(&fake, 2)).expect("scored");
    assert!((fid - 89.0 - 1.0 / 11.0).abs() < 1e-10, "{fid}");
    for (a, b, expected) in [
        (
            statistics(&[3.0, 0.0], &[1.0, 0.0, 0.0, 4.0]),
            statistics(&[0.0, 4.0], &[9.0, 0.0, 0.0, 1.0]),
            30.0,
        ),
        (
            statistics(&[1.0, 2.0], &[2.0, 0.5, 0.5, 1.0]),
            statistics(&[0.0, 0.0], &[1.0, -0.3, -0.3, 3.0]),
            5.929_311_9,
        ),
    ] {
        let fid = frechet::distance(&a, &b).expect("scored");
        assert!((fid - expected).abs() < 5e-8, "{fid} {expected}");
    }
}

#[test]
fn fid_stays_under_a_rotation() {
    let (d, n) = (12, 90);
    let [a, b] = ["a", "b"].map(|name| normal(name, n * d));
    let b: Vec<f64> = b.iter().map(|x| 2.0 * x + 0.25).collect();
    // Rotations in the planes of neighbouring axes, one after the other.
    let rotated = |x: &[f64]| -> Vec<f64> {
        let mut x = x.to_vec();
        for row in x.chunks_exact_mut(d) {
            for i in 0..d - 1 {
                let (s, c) = (0.7 + i as f64).sin_cos();
                (row[i], row[i + 1]) = (c * row[i] - s * row[i + 1], s * row[i] + c * row[i + 1]);
            }
        }
        x
    };
    let fid = frechet::score(features(&a, d), features(&b, d)).expect("scored");
    let (a, b) = (rotated(&a), rotated(&b));
    let turned = frechet::score(features(&a, d), features(&b, d)).expect("scored");
    assert!(
        fid > 1.0 && (fid - turned).abs() < 1e-12 * fid,
        "{fid} {turned}"
    );
}

#[test]
fn moments_do_not_depend_on_pieces_or_threads() {
    let (d, n) = (131, 700);
    let values = normal("pieces", n * d);
    let of = |rows: usize, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().expect("a pool").install(|| {
            let mut moments = Moments::new("test", d);
            for piece in values.chunks(rows * d) {
                moments.push(piece).expect("finite");
            }
            moments.finish().expect("two rows")
        })
    };
    let whole = of(n, 1);
    assert!(whole == of(1, 3) && whole == of(256, 2) && whole == of(300, 1));
    let other = whole.covariance.iter().map(|x| 2.0 * x).collect();
    let other = Statistics::new("other", None, whole.mean.clone(), other).expect("a covariance");
    let fid = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().expect("a pool");
        pool.install(|| frechet::distance(&whole, &other).expect("scored"))
    };
    assert_eq!(fid(1).to_bits(), fid(3).to_bits());
    // (1 + 2 - 2 √2) tr S
    let expected = (3.0 - 8f64.sqrt()) * whole.trace();
    assert!((fid(1) - expected).abs() < 1e-12 * whole.trace());
}

#[test]
fn moments_keep_their_digits_far_from_zero() {
    let far: Vec<f64> = normal("far", 400).iter().map(|x| x + 1e9).collect();
    let near: Vec<f64> = far.iter().map(|x| x - 1e9).collect();
    let [far, near] = [&far, &near].map(|x| Statistics::of(features(x, 2)).expect("two rows"));
    let pairs = far.covariance.iter().zip(&near.covariance);
    pairs.for_each(|(far, near)| assert!((far - near).abs() < 1e-13, "{far} {near}"));
}

#[test]
fn what_cannot_be_scored_is_refused() {
    let message = |result: Result<f64, SetError>| result.expect_err("refused").to_string();
    let few = features(&[1.0f32, 2.0], 2);
    let enough = features(&[1.0f32, 2.0, 3.0, 5.0], 2);
    assert_eq!(
        message(frechet::score(few, enough)),
        "test: 1 row, expected at least 2 for a covariance"
    );
    assert_eq!(
        message(frechet::score(enough, features(&[1.0, 2.0, 3.0], 3))),
        "rows of test have 2 features, those of test have 3: expected the same number"
    );
    let error = |values: &[f32], d| {
        Features::new("b.npy", values, d)
            .expect_err("refused")
            .to_string()
    };
    assert_eq!(
        error(&[0.0, 1.0, 2.0, f32::NAN], 2),
        "b.npy: row 1, column 1 is NaN, expected a finite number"
    );
    assert_eq!(
        error(&[0.0; 3], 2),
        "b.npy: 3 values are not rows of 2 features"
    );
    assert_eq!(
        error(&[], 2),
        "b.npy: 0 rows, expected at least 1 for a score"
    );
    let mut moments = Moments::new("c.npy", 1);
    moments.push(&[0.0; 300]).expect("finite");
    let late = moments.push(&[0.0, f64::INFINITY]).expect_err("refused");
    assert_eq!(
        late.to_string(),
        "c.npy: row 301, column 0 is inf, expected a finite number"
    );
    let large = [1e200, -1e200, 3e200, 0.0];
    assert!(message(frechet::score(features(&large, 1), features(&large, 1))).contains("so large"));
    for (mean, covariance) in [
        (vec![0.0; 2], vec![1.0; 3]),
        (vec![], vec![]),
        (vec![0.0; 2], vec![1.0, 0.5, 0.25, 1.0]),
        (vec![0.0], vec![-1.0]),
        (vec![f64::NAN], vec![1.0]),
    ] {
        Statistics::new("d.npz", None, mean, covariance).expect_err("refused");
    }
}

#[test]
fn an_indefinite_sigma_is_refused() {
    let of = |name: &str, sigma: &[f64]| {
        let d = sigma.len().isqrt();
        Statistics::new(name, None, vec![0.0; d], sigma.to_vec()).expect("symmetric")
    };
    let (whole, other) = (
        of("real.npz", &[1.0, 0.0, 0.0, 1.0]),
        of("b.npz", &[1.0, 2.0, 2.0, 1.0]),
    );
    for pair in [[&whole, &other], [&other, &whole], [&other, &other]] {
        assert_eq!(
            frechet::distance(pair[0], pair[1])
                .expect_err("refused")
                .to_string(),
            "b.npz: its sigma is no covariance: it is not positive semidefinite"
        );
    }
    // Singular ones in single precision are scored.
    for (n, d) in [(20, 60), (100, 200)] {
        let exact = Statistics::of(features(&normal("single", n * d), d)).expect("rows");
        let single: Vec<f64> = exact
            .covariance
            .iter()
            .map(|&x| f64::from(x as f32))
            .collect();
        let mut single = of("single.npz", &single);
        single.mean.clone_from(&exact.mean);
        let fid = frechet::distance(&single, &exact).expect("scored");
        assert!(
            fid.abs() < 1e-3 * exact.trace(),
            "{fid} of {}",
            exact.trace()
        );
    }
}

#[test]
fn few_rows_are_warned_of() {
    let warning = |n: usize| {
        let values = normal("few", n * 8);
        Statistics::of(features(&values, 8))
            .expect("two rows")
            .warning()
    };
    assert_eq!(warning(9), None);
    assert_eq!(
        warning(8).expect("a warning").to_string(),
        "test: 8 rows of 8 features have a singular covariance (more than 8 rows would not), and few rows make FID too large"
    );
}

/// Sets of one distribution: what FID says of them is its bias, which falls like 1 / n.
#[test]
fn fid_is_biased_upwards() {
    let d = 64;
    for (n, expected) in [(200, 11.2), (500, 4.5), (2000, 1.10)] {
        let [a, b] = ["bias.a", "bias.b"].map(|name| normal(name, n * d));
        let fid = frechet::score(features(&a, d), features(&b, d)).expect("scored");
        assert!((fid / expected - 1.0).abs() < 0.05, "{n}: {fid}");
    }
}

/// `cargo test --release -p ganforge-metrics speed -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, of about a minute"]
fn speed_of_fid() {
    let (n, d) = (10_000, 2048);
    let values: Vec<f32> = (0..n * d)
        .map(|i| (noise("speed", i as u32) >> 8) as f32)
        .collect();
    let start = std::time::Instant::now();
    let a = Statistics::of(features(&values, d)).expect("two rows");
    println!("moments of {n} x {d}: {:?}", start.elapsed());
    let b = Statistics::of(features(&values[..n / 2 * d], d)).expect("two rows");
    let start = std::time::Instant::now();
    let fid = frechet::distance(&a, &b).expect("scored");
    println!("distance in {d} dimensions: {:?}", start.elapsed());
    assert!(fid > 0.0);
}
