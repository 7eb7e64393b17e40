//! Against scikit-learn (`tests/fixtures/make_gp.py`), and what a process must be.

use rand::SeedableRng;
use serde_json::Value;
use testkit::rule::unit;

use super::{Gp, Hyper, LIMITS, Seen};
use crate::{Error, Random};

fn numbers(of: &Value) -> Vec<f64> {
    let all = of.as_array().expect("an array").iter();
    all.map(|x| x.as_f64().expect("a number")).collect()
}

/// [n, d] in [0, 1), as the script makes them.
fn points(name: &str, n: usize, d: usize) -> Vec<Vec<f64>> {
    let at = |i: usize| (unit(name, i as u32) + 1.0) / 2.0;
    (0..n)
        .map(|row| (0..d).map(|c| at(row * d + c)).collect())
        .collect()
}

fn of_rule(name: &str, n: usize, d: usize) -> Seen {
    let x = points(&format!("{name}.x"), n, d);
    let noise = |i: usize| unit(&format!("{name}.y"), i as u32) * 2.0;
    let y = x.iter().enumerate();
    Seen {
        y: y.map(|(i, x)| noise(i) + x.iter().sum::<f64>()).collect(),
        x,
        is_choice: vec![false; d],
    }
}

#[track_caller]
fn near(ours: f64, theirs: f64, bound: f64, what: &str) {
    let scale = theirs.abs().max(1.0);
    assert!(
        (ours - theirs).abs() <= bound * scale,
        "{what}: {ours}, expected {theirs}"
    );
}

#[test]
fn mean_variance_likelihood_and_slopes_are_those_of_scikit_learn() {
    let file: Value =
        serde_json::from_str(include_str!("../../tests/fixtures/gp.json")).expect("JSON");
    let cases = file["cases"].as_array().expect("an array");
    assert_eq!(cases.len(), 4);
    for case in cases {
        let name = case["name"].as_str().expect("a name");
        let n = case["n"].as_u64().expect("a number") as usize;
        let number = |key: &str| case[key].as_f64().expect("a number");
        let hyper = Hyper {
            lengths: numbers(&case["lengths"]),
            signal: number("signal"),
            noise: number("noise"),
        };
        let d = hyper.lengths.len();
        let gp = Gp::new(of_rule(name, n, d), hyper).expect("a factor");
        let (means, variances) = (numbers(&case["mean"]), numbers(&case["variance"]));
        for (i, x) in points(&format!("{name}.asked"), means.len(), d)
            .iter()
            .enumerate()
        {
            let (mean, variance) = gp.at(x);
            near(mean, means[i], 1e-9, name);
            near(variance, variances[i], 1e-9, name);
        }
        near(gp.likelihood(), number("likelihood"), 1e-10, name);
        let theirs = numbers(&case["slopes"]);
        let mut ours = gp.likelihood_slopes();
        // Theirs begin with the signal's.
        let signal = ours.remove(d);
        ours.insert(0, signal);
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            near(*ours, *theirs, 1e-8, name);
        }
    }
}

#[test]
fn slopes_are_those_of_differences_also_where_a_coordinate_is_a_choice() {
    let mut seen = of_rule("choices", 12, 3);
    seen.is_choice = vec![false, true, false];
    seen.x.iter_mut().for_each(|x| x[1] = (x[1] * 3.0).floor());
    let logs: Vec<f64> = [0.3f64, 0.8, 2.0, 1.5, 0.05].map(f64::ln).to_vec();
    let at = |logs: &[f64]| Gp::new(seen.clone(), Hyper::of_logs(logs)).expect("a factor");
    let slopes = at(&logs).likelihood_slopes();
    for (c, slope) in slopes.iter().enumerate() {
        let moved = |by: f64| {
            let mut logs = logs.clone();
            logs[c] += by;
            at(&logs).likelihood()
        };
        near(*slope, (moved(1e-5) - moved(-1e-5)) / 2e-5, 1e-7, "slope");
    }
    // Which choice it is does not matter, only whether it is the same.
    let mut renamed = seen.clone();
    renamed.x.iter_mut().for_each(|x| x[1] = 7.0 - 2.0 * x[1]);
    let other = Gp::new(renamed, Hyper::of_logs(&logs)).expect("a factor");
    assert_eq!(other.likelihood(), at(&logs).likelihood());
}

#[test]
fn the_likeliest_process_is_on_a_top_and_knows_what_matters() {
    let mut seen = of_rule("likeliest", 40, 2);
    for (x, y) in seen.x.iter().zip(&mut seen.y) {
        *y = (9.0 * x[0]).sin();
    }
    let gp = Gp::likeliest(&seen, &mut Random::seed_from_u64(3)).expect("finite");
    let [first, second] = [gp.hyper().lengths[0], gp.hyper().lengths[1]];
    assert!(first < 1.0 && second > 2.5, "{:?}", gp.hyper());
    let inside = |x: f64, [lo, hi]: [f64; 2]| x > lo * 1.01 && x < hi / 1.01;
    let h = gp.hyper();
    let params = [
        (first, LIMITS[0]),
        (second, LIMITS[0]),
        (h.signal, LIMITS[1]),
        (h.noise, LIMITS[2]),
    ];
    for ((x, limits), slope) in params.into_iter().zip(gp.likelihood_slopes()) {
        if inside(x, limits) {
            assert!(slope.abs() < 1.0, "{slope} at {x}");
        }
    }
    for u in [0.05, 0.2, 0.5, 0.77] {
        assert!((gp.at(&[u, 0.4]).0 - (9.0 * u).sin()).abs() < 0.02, "{u}");
    }
}

#[test]
fn what_is_imagined_leaves_the_mean_and_takes_the_doubt() {
    let hyper = Hyper {
        lengths: vec![0.4, 0.4],
        signal: 1.0,
        noise: 1e-3,
    };
    let gp = Gp::new(of_rule("imagined", 10, 2), hyper).expect("a factor");
    let at = vec![0.9, 0.1];
    let surer = gp.clone().imagining(at.clone()).expect("a factor");
    for x in [[0.9, 0.1], [0.5, 0.5], [0.8, 0.2]] {
        near(surer.at(&x).0, gp.at(&x).0, 1e-9, "mean");
        assert!(surer.at(&x).1 < gp.at(&x).1);
    }
    assert!(surer.at(&at).1 <= 1e-3);
}

#[test]
fn bad_arrays_are_errors_and_points_twice_are_none() {
    let hyper = |noise: f64| Hyper {
        lengths: vec![0.5],
        signal: 1.0,
        noise,
    };
    let seen = |x: Vec<Vec<f64>>, y: Vec<f64>| Seen {
        x,
        y,
        is_choice: vec![false],
    };
    let twice = seen(vec![vec![0.5]; 30], vec![1.0; 30]);
    let gp = Gp::new(twice.clone(), hyper(0.0)).expect("jitter");
    near(gp.at(&[0.5]).0, 1.0, 1e-6, "mean");
    for (seen, noise, error) in [
        (seen(vec![vec![0.5]], vec![]), 0.1, Error::Lengths { d: 1 }),
        (
            seen(vec![vec![0.5, 0.5]], vec![1.0]),
            0.1,
            Error::Lengths { d: 1 },
        ),
        (seen(vec![vec![0.5]], vec![f64::NAN]), 0.1, Error::NoFactor),
        (seen(vec![vec![f64::NAN]], vec![1.0]), 0.1, Error::NoFactor),
        (twice, -2.0, Error::NoFactor),
    ] {
        assert_eq!(Gp::new(seen, hyper(noise)).err(), Some(error));
    }
}

#[test]
fn a_value_left_out_is_as_far_from_the_mean_as_if_it_had_not_been_seen() {
    let hyper = Hyper {
        lengths: vec![0.3, 0.9],
        signal: 1.3,
        noise: 0.02,
    };
    let seen = of_rule("left out", 12, 2);
    let gp = Gp::new(seen.clone(), hyper.clone()).expect("a factor");
    for (i, found) in gp.left_out().into_iter().enumerate() {
        let mut others = seen.clone();
        let (x, y) = (others.x.remove(i), others.y.remove(i));
        let without = Gp::new(others, hyper.clone()).expect("a factor");
        near(found, y - without.at(&x).0, 1e-10, "left out");
        near(gp.mean(&x), gp.at(&x).0, 0.0, "mean");
    }
}
