use std::f64::consts::PI;
use std::time::Instant;

use super::{run, study};
use crate::{Finished, Study};

/// 5 at lr = 3e-4, beta1 = 0.35.
fn quadratic(x: &[f64]) -> f64 {
    let lr = (3e-4f64.log10() + 5.0) / 3.0;
    5.0 + 40.0 * (x[1] - lr).powi(2)
        + 15.0 * (x[0] - 0.35).powi(2)
        + 20.0 * (x[0] - 0.35) * (x[1] - lr)
}

/// The best score of all.
fn best(finished: &[Finished]) -> f64 {
    let scores = finished.iter().filter_map(|f| f.score);
    scores.fold(f64::INFINITY, f64::min)
}

#[test]
fn twelve_rounds_of_ten_find_the_optimum_of_a_quadratic() {
    let study = study(
        "score_scale = 'log10'\n[design]\nkind = 'gp-ucb'\n\
         [space.optimizer.beta1]\nlo = 0\nhi = 1\n\
         [space.optimizer.lr]\nlo = 1e-5\nhi = 1e-2\nscale = 'log10'\n",
    );
    let finished = run(&study, |t| Some(quadratic(&t.point)));
    assert_eq!(finished.len(), 120);
    let found = finished
        .iter()
        .min_by(|a, b| a.score.partial_cmp(&b.score).expect("numbers"));
    let found = &found.expect("120 trials").trial;
    let lr = (3e-4f64.log10() + 5.0) / 3.0;
    // Two per cent of the range of each key.
    assert!(
        (found.point[0] - 0.35).abs() < 0.02 && (found.point[1] - lr).abs() < 0.02,
        "{found:?}"
    );
}

/// Branin's function on the unit square; its three minima are 0.397887.
fn branin(u: &[f64]) -> f64 {
    let (x, y) = (15.0 * u[0] - 5.0, 15.0 * u[1]);
    let bent = y - 5.1 / (4.0 * PI * PI) * x * x + 5.0 / PI * x - 6.0;
    bent * bent + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x.cos() + 10.0
}

/// Hartmann's function of six variables; its minimum is -3.32237.
fn hartmann_6(u: &[f64]) -> f64 {
    const ALPHA: [f64; 4] = [1.0, 1.2, 3.0, 3.2];
    const A: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const P: [[f64; 6]; 4] = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    let term = |i: usize| {
        let inner: f64 = (0..6).map(|j| A[i][j] * (u[j] - P[i][j]).powi(2)).sum();
        ALPHA[i] * (-inner).exp()
    };
    -(0..4).map(term).sum::<f64>()
}

#[test]
fn the_functions_have_their_known_minima() {
    for u in [
        [0.542_773, 0.151_667],
        [0.123_893, 0.818_333],
        [0.961_652, 0.165],
    ] {
        assert!((branin(&u) - 0.397_887).abs() < 1e-5, "{}", branin(&u));
    }
    let at = [0.201_69, 0.150_011, 0.476_874, 0.275_332, 0.311_652, 0.6573];
    assert!(
        (hartmann_6(&at) + 3.322_37).abs() < 1e-5,
        "{}",
        hartmann_6(&at)
    );
}

fn over(d: usize, design: &str, seed: usize) -> Study {
    let space: String = (0..d)
        .map(|i| format!("[space.x{i}]\nlo = 0\nhi = 1\n"))
        .collect();
    study(&format!("[design]\nseed = {seed}\n{design}\n{space}"))
}

/// The best scores over seeds from 1 on, each study in a thread of its own.
fn bests(d: usize, design: &str, seeds: usize, f: fn(&[f64]) -> f64) -> Vec<f64> {
    let of = |seed| best(&run(&over(d, design, seed), |t| Some(f(&t.point))));
    std::thread::scope(|scope| {
        let each: Vec<_> = (1..=seeds)
            .map(|seed| scope.spawn(move || of(seed)))
            .collect();
        each.into_iter()
            .map(|study| study.join().expect("a score"))
            .collect()
    })
}

fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / of.len() as f64
}

#[test]
fn in_the_mean_it_is_better_than_chance_with_the_same_budget() {
    for (d, f) in [(2, branin as fn(&[f64]) -> f64), (6, hartmann_6)] {
        let found = mean(&bests(d, "kind = 'gp-ucb'\nrounds = 5\nbatch = 6", 3, f));
        let chance = mean(&bests(d, "kind = 'random'\nsettings = 30", 3, f));
        assert!(found < chance, "{found}, {chance} by chance");
    }
}

/// The table of docs/book/src/studies.md: run with `--ignored --nocapture`.
#[test]
#[ignore = "minutes: 40 studies of 120 trials"]
fn table_of_the_book() {
    println!(
        "| function | minimum | GP-UCB: mean, worst | Latin hypercube: mean, worst | random: mean, worst | random closer |"
    );
    for (name, d, least, f) in [
        ("Branin, 2 keys", 2, 0.397_887, branin as fn(&[f64]) -> f64),
        ("Hartmann, 6 keys", 6, -3.322_37, hartmann_6),
    ] {
        let all = [
            "kind = 'gp-ucb'",
            "kind = 'latin-hypercube'\nsettings = 120",
            "kind = 'random'\nsettings = 120",
        ]
        .map(|design| bests(d, design, 20, f));
        let cells: String = all
            .iter()
            .map(|b| {
                format!(
                    " {:.3}, {:.3} |",
                    mean(b),
                    b.iter().copied().fold(f64::NEG_INFINITY, f64::max)
                )
            })
            .collect();
        let closer = all[0]
            .iter()
            .zip(&all[2])
            .filter(|(ours, random)| random < ours)
            .count();
        println!("| {name} | {least:.3} |{cells} {closer} of 20 |");
        assert!(mean(&all[0]) < mean(&all[1]) && mean(&all[0]) < mean(&all[2]));
    }
    let ucb = over(6, "kind = 'gp-ucb'", 1);
    let finished = run(&ucb, |t| Some(hartmann_6(&t.point)));
    let start = Instant::now();
    let last = crate::propose(&ucb, &finished[..110])
        .expect("in turn")
        .expect("round 12");
    println!(
        "\nround 12 of {} settings after 110 in 6 dimensions: {:.2} s",
        last.len(),
        start.elapsed().as_secs_f64()
    );
}
