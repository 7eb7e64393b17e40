//! Against prdc and torch-fidelity, and against the definition.

use super::super::tests::{features, golden, noise, normal, set};
use super::*;

fn sets(name: &str) -> (Vec<f32>, Vec<f32>, usize) {
    let line = |values: &[f32]| values.to_vec();
    match name {
        "no ties" => (
            line(&[0.0, 1.0, 3.0, 10.0]),
            line(&[0.5, 1.5, 20.0, 20.5, 9.0, 9.25]),
            1,
        ),
        "ties" => (
            line(&[0.0, 1.0, 2.0, 10.0]),
            line(&[0.0, 3.0, 4.0, 18.0]),
            1,
        ),
        _ => {
            let ((real, d), (fake, _)) =
                (set(&format!("real.{name}")), set(&format!("fake.{name}")));
            (real, fake, d)
        }
    }
}

#[test]
fn scores_are_those_of_other_programs() {
    for (name, k) in [("a", 3), ("a", 5), ("b", 3), ("no ties", 1), ("ties", 1)] {
        let (real, fake, d) = sets(name);
        let of = |ball| score(features(&real, d), features(&fake, d), k, ball).expect("scored");
        let golden = &golden()["neighbours"][&format!("{name}, k={k}")];
        let (closed, open) = (of(Ball::Closed), of(Ball::Open));
        for (kind, key, got) in [
            // In f32 there.
            ("closed", "precision", closed.precision as f32 as f64),
            ("closed", "recall", closed.recall as f32 as f64),
            ("open", "precision", open.precision),
            ("open", "recall", open.recall),
            ("open", "density", open.density),
            ("open", "coverage", open.coverage),
        ] {
            let expected = golden[kind][key].as_f64().expect("a number");
            assert!(
                (got - expected).abs() < 1e-15,
                "{name} {kind} {key}: {got} {expected}"
            );
        }
        let expected = golden["closed"]["f_score"].as_f64().expect("a number");
        assert!(
            (closed.f_score() - expected).abs() < 1e-7,
            "{name}: {expected}"
        );
    }
    let (real, fake, d) = sets("a");
    let balls = [(3, Ball::Closed), (5, Ball::Open)];
    let both = scores(features(&real, d), features(&fake, d), &balls).expect("scored");
    for ((k, ball), got) in balls.into_iter().zip(both) {
        let alone = score(features(&real, d), features(&fake, d), k, ball);
        assert_eq!(got, alone.expect("scored"));
    }
    let (real, fake, d) = sets("ties");
    let closed = score(features(&real, d), features(&fake, d), 1, Ball::Closed).expect("scored");
    assert_eq!((closed.density, closed.coverage), (1.5, 1.0));
}

/// By all distances.
fn naive(real: &[f64], fake: &[f64], d: usize, k: usize, ball: Ball) -> Prdc {
    let rows = |x: &[f64]| -> Vec<Vec<f64>> { x.chunks_exact(d).map(<[f64]>::to_vec).collect() };
    let distance = |a: &[f64], b: &[f64]| -> f64 {
        let mut sums = [0.0; LANES];
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            sums[i % LANES] += (a - b) * (a - b);
        }
        sums.iter().sum()
    };
    let (real, fake) = (rows(real), rows(fake));
    let radii = |set: &[Vec<f64>]| -> Vec<f64> {
        let radius = |i: usize| {
            let others = set.iter().enumerate().filter(|(j, _)| *j != i);
            let mut distances: Vec<f64> = others.map(|(_, x)| distance(&set[i], x)).collect();
            distances.sort_by(f64::total_cmp);
            distances[k - 1]
        };
        (0..set.len()).map(radius).collect()
    };
    let (real_radii, fake_radii) = (radii(&real), radii(&fake));
    let inside = |g: usize, x: usize| {
        let d = distance(&fake[g], &real[x]);
        [ball.holds(d, real_radii[x]), ball.holds(d, fake_radii[g])]
    };
    let (n, m) = (real.len(), fake.len());
    let share = |hits: usize, of: usize| hits as f64 / of as f64;
    let count = |g: usize| (0..n).filter(|&x| inside(g, x)[0]).count();
    let any = |x: usize, which: usize| (0..m).any(|g| inside(g, x)[which]);
    Prdc {
        precision: share((0..m).filter(|&g| count(g) > 0).count(), m),
        recall: share((0..n).filter(|&x| any(x, 1)).count(), n),
        density: share((0..m).map(count).sum(), k * m),
        coverage: share((0..n).filter(|&x| any(x, 0)).count(), n),
    }
}

#[test]
fn scores_are_their_definition() {
    // Plain; on a lattice, full of ties and copies; far from zero, where f32 would see one point; tiny.
    let make = |kind: &str, name: &str, n: usize| -> Vec<f64> {
        let lattice = (0..n).map(|i| f64::from(noise(name, i as u32) % 3));
        let x = normal(name, n).into_iter();
        match kind {
            "lattice" => lattice.collect(),
            "far" => x.map(|x| 1e6 + 1e-3 * x).collect(),
            "tiny" => x.map(|x| 1e-140 * x).collect(),
            _ => x.collect(),
        }
    };
    for kind in ["plain", "lattice", "far", "tiny"] {
        for (n, m, d, k) in [(40, 60, 3, 1), (90, 70, 5, 4), (30, 30, 20, 29)] {
            let (real, fake) = (
                make(kind, "prdc.real", n * d),
                make(kind, "prdc.fake", m * d),
            );
            for ball in [Ball::Closed, Ball::Open] {
                let got = score(features(&real, d), features(&fake, d), k, ball);
                let expected = naive(&real, &fake, d, k, ball);
                assert_eq!(got.expect("scored"), expected, "{kind} {n} {m} {d} {k}");
            }
        }
    }
}

#[test]
fn a_set_is_precise_for_itself() {
    let (real, _, d) = sets("a");
    let of = |ball| score(features(&real, d), features(&real, d), 3, ball).expect("scored");
    let (closed, open) = (of(Ball::Closed), of(Ball::Open));
    assert_eq!(
        (closed.precision, closed.recall, closed.coverage),
        (1.0, 1.0, 1.0)
    );
    assert_eq!(
        (open.precision, open.recall, open.coverage),
        (1.0, 1.0, 1.0)
    );
    // Each point lies in its own ball; the 3rd neighbour itself only in a closed one.
    assert!((closed.density - 4.0 / 3.0).abs() < 1e-12 && (open.density - 1.0).abs() < 1e-12);
    // A single copied point has balls of radius 0, which open balls cannot fill.
    let same = vec![1.5f32; 10 * d];
    let of = |ball| score(features(&same, d), features(&same, d), 3, ball).expect("scored");
    assert_eq!(
        (of(Ball::Closed).precision, of(Ball::Open).precision),
        (1.0, 0.0)
    );
}

#[test]
fn blocks_do_not_show() {
    // More rows than fit into one block of products.
    let (n, m) = (1030, 1100);
    let (real, fake) = (normal("blocks.real", n), normal("blocks.fake", m));
    let got = score(features(&real, 1), features(&fake, 1), 2, Ball::Closed).expect("scored");
    // On a line all is found in sorted order; here by pairs.
    assert_eq!(got, naive(&real, &fake, 1, 2, Ball::Closed));
}

#[test]
fn what_has_no_neighbours_is_refused() {
    let values = normal("none", 12);
    let (few, many) = (features(&values[..6], 2), features(&values, 2));
    let message = |k| {
        score(many, few, k, Ball::Open)
            .expect_err("refused")
            .to_string()
    };
    assert_eq!(
        message(3),
        "test: 3 rows, expected at least 4 for k neighbours of each"
    );
    assert!(message(0).contains("at least 1"));
    let huge = [1e200, -1e200, 0.0];
    let huge = score(features(&huge, 1), features(&huge, 1), 1, Ball::Open);
    assert!(huge.is_err());
}

#[test]
#[ignore = "a measurement, of about a minute"]
fn speed_of_prdc() {
    let (n, d) = (10_000, 2048);
    let values = |name| -> Vec<f32> {
        let value = |i| (noise(name, i as u32) >> 8) as f32 / 1e7;
        (0..n * d).map(value).collect()
    };
    let (real, fake) = (values("speed.a"), values("speed.b"));
    let start = std::time::Instant::now();
    let prdc = score(features(&real, d), features(&fake, d), 5, Ball::Open).expect("scored");
    println!("prdc of {n} x {n} x {d}: {:?}, {prdc:?}", start.elapsed());
}
