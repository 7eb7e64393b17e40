//! What reports say of studies whose answers are known.

use std::f64::consts::PI;

use rand::{RngExt, SeedableRng};

use super::shares::shares;
use super::{Results, Spread};
use crate::tests::{run, study};
use crate::{Error, Finished, Random, Trial};

const LISTS: &str = "
[space.loss]
kind = 'choice'
values = ['ns', 'wgan']
[space.optimizer.lr]
lo = 1e-5
hi = 1e-1
scale = 'log10'
";

#[track_caller]
fn near(ours: f64, expected: f64, bound: f64) {
    assert!(
        (ours - expected).abs() <= bound,
        "{ours}, expected {expected}"
    );
}

#[test]
fn quartiles_are_those_of_numpy_and_whiskers_reach_one_and_a_half_ranges() {
    // numpy.percentile(x, [25, 50, 75]): 2.75, 4.5, 5.25; so whiskers reach from -1 to 9.
    let x = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 40.0];
    let spread = Spread::of(&x).unwrap();
    assert_eq!(spread.quartiles, [2.75, 4.5, 5.25]);
    assert_eq!((spread.whiskers, spread.n), ([1.0, 9.0], 12));
    assert_eq!(spread.beyond, [40.0]);
    // Nothing between the box and where whiskers end: they are as long as nothing.
    let spread = Spread::of(&[0.0, 10.0, 10.0, 10.0, 11.0, 100.0]).unwrap();
    assert_eq!(spread.quartiles, [10.0, 10.0, 10.75]);
    assert_eq!(
        (spread.whiskers, &spread.beyond[..]),
        ([10.0, 11.0], &[0.0, 100.0][..])
    );
    let one = Spread::of(&[7.0]).unwrap();
    assert_eq!((one.quartiles, one.whiskers), ([7.0; 3], [7.0; 2]));
    assert_eq!(Spread::of(&[]), None);
}

/// The mean of the lowest of k of these values, drawn without replacement: the i-th lowest is it in C(n - i, k - 1) of the
/// C(n, k) draws.
fn expected_lowest(values: &[f64], k: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let choose = |n: usize, k: usize| -> f64 {
        let factors = (0..k).map(|i| (n as f64 - i as f64) / (i as f64 + 1.0));
        if k > n { 0.0 } else { factors.product() }
    };
    let each = sorted.iter().enumerate();
    let sum: f64 = each.map(|(i, x)| x * choose(n - 1 - i, k - 1)).sum();
    sum / choose(n, k)
}

#[test]
fn the_lowest_of_so_many_settings_is_that_of_order_statistics_in_each_round() {
    let rest = "failed_score = 900\n[design]\nkind = 'gp-ucb'\nrounds = 3\nbatch = 8\n";
    let study = study(&format!("{rest}{LISTS}"));
    let mut rng = Random::seed_from_u64(5);
    let finished = run(&study, |trial| {
        let drawn: f64 = rng.random();
        (trial.number % 7 != 3).then_some(20.0 + 300.0 * drawn * drawn)
    });
    let score = |f: &Finished| f.score.unwrap_or(900.0);
    let all: Vec<f64> = finished.iter().map(score).collect();
    let results = Results::of(&study, &finished).unwrap();
    let curve = &results.all.budget;
    let budgets: Vec<usize> = curve.iter().map(|b| b.settings).collect();
    assert_eq!(budgets, (1..=24).collect::<Vec<_>>());
    for best in curve {
        let round = (best.settings - 1) / 8;
        let (before, now) = (&all[..8 * round], &all[8 * round..8 * round + 8]);
        let so_far = before.iter().copied().fold(f64::INFINITY, f64::min);
        // Nothing of a later round can be above what was found before it.
        let capped: Vec<f64> = now.iter().map(|x| x.min(so_far)).collect();
        let exact = expected_lowest(&capped, best.settings - 8 * round);
        // 1,000 practitioners, values that differ by at most 900: their mean is off by a standard deviation / √1000.
        let square: Vec<f64> = capped.iter().map(|x| x * x).collect();
        let variance = expected_lowest(&square, best.settings - 8 * round) - exact * exact;
        let bound = 4.0 * (variance.max(0.0) / 1000.0).sqrt() + 1e-9;
        near(best.mean, exact, bound);
        assert!(best.band[0] <= best.mean + 1e-9 && best.mean <= best.band[1] + 1e-9);
    }
    let lowest = all.iter().copied().fold(f64::INFINITY, f64::min);
    let last = curve.last().unwrap();
    near(last.mean, lowest, 1e-9);
    assert_eq!(last.band, [lowest; 2]);
    // Of 8 settings one cannot know better than 5 % and 95 % of the values themselves.
    let mut first = all[..8].to_vec();
    first.sort_by(f64::total_cmp);
    assert_eq!(curve[0].band, [first[0], first[7]]);
}

#[test]
fn a_cell_has_its_settings_its_failures_and_the_best_twentieth() {
    let rest = "seeds = [1, 2, 3]\n[design]\nkind = 'random'\nsettings = 120\n";
    let study = study(&format!("{rest}{LISTS}"));
    let is_wgan = |trial: &Trial| trial.options[0] == "loss=\"wgan\"";
    let finished = run(&study, |trial| {
        let score = trial.number / 3 + 10 * trial.seed as usize;
        let has_failed = is_wgan(trial) && trial.seed == 2;
        (!has_failed).then_some(score as f64)
    });
    let results = Results::of(&study, &finished).unwrap();
    let [ns, wgan] = &results.cells[..] else {
        panic!("{:?}", results.cells);
    };
    assert_eq!((&ns.values[0][..], &wgan.values[0][..]), ("ns", "wgan"));
    assert_eq!(ns.settings.len() + wgan.settings.len(), 120);
    assert_eq!(ns.runs, [3 * ns.settings.len(), 0]);
    assert_eq!(wgan.runs, [3 * wgan.settings.len(), wgan.settings.len()]);
    assert_eq!(results.all.runs, [360, wgan.settings.len()]);
    // Medians over seeds: of good ones that of seed 2, where it failed that of seed 3.
    let medians = |cell: &super::Cell, seed: usize| {
        let each = cell.settings.iter().map(|i| (i + 10 * seed) as f64);
        each.collect::<Vec<f64>>()
    };
    for (cell, seed) in [(ns, 2), (wgan, 3)] {
        let medians = medians(cell, seed);
        let n = (medians.len() as f64 / 20.0).ceil() as usize;
        assert!(n >= 2);
        assert_eq!(cell.scores, Spread::of(&medians));
        assert_eq!(cell.top, Spread::of(&medians[..n]));
    }
    assert_eq!(results.best, Some(0));

    // Where the higher are better, the best are the last.
    let text = study.to_toml().replace("\"lower\"", "\"higher\"");
    let higher = crate::Study::from_toml(&text, "study.toml").unwrap();
    let results = Results::of(&higher, &finished).unwrap();
    let ns = &results.cells[0];
    let medians: Vec<f64> = medians(ns, 2);
    let n = ns.top.as_ref().unwrap().n;
    assert_eq!(ns.top, Spread::of(&medians[medians.len() - n..]));
    let budget = &results.all.budget;
    assert!(budget.windows(2).all(|w| w[0].mean <= w[1].mean + 1e-9));
    assert!(budget.iter().all(|b| b.band[0] <= b.band[1]));
}

#[test]
fn the_best_settings_have_all_their_seeds_where_any_have() {
    let study = study(&format!(
        "seeds = [1, 2]\n[design]\nkind = 'random'\nsettings = 4\n{LISTS}"
    ));
    let mut finished = run(&study, |trial| Some(50.0 - trial.number as f64));
    finished.pop();
    let results = Results::of(&study, &finished).unwrap();
    assert_eq!(
        (results.settings.len(), results.settings[3].score),
        (4, Some(44.0))
    );
    assert_eq!(results.best, Some(2));
    assert_eq!(results.settings[2].score, Some(45.5));
    let alone = Results::of(&study, &finished[..1]).unwrap();
    assert_eq!(alone.best, Some(0));
    finished.iter_mut().for_each(|f| f.score = Some(f64::NAN));
    let failed = Results::of(&study, &finished).unwrap();
    assert_eq!((failed.best, &failed.all.top), (None, &None));
    assert_eq!(failed.all.runs, [7, 7]);
    assert!(failed.all.budget.is_empty() && failed.process.is_none());
    let none = Results::of(&study, &[]).unwrap();
    assert!(none.settings.is_empty() && none.cells.is_empty());
    let twice = [finished[0].clone(), finished[0].clone()];
    assert_eq!(
        Results::of(&study, &twice).err(),
        Some(Error::Twice { number: 0 })
    );
    finished[1].trial.point.pop();
    let error = Results::of(&study, &finished).err();
    assert_eq!(error, Some(Error::Point { number: 1, d: 2 }));
}

#[test]
fn the_middle_of_two_seeds_is_on_the_scores_scale_as_the_search_takes_it() {
    let rest = "seeds = [1, 2]\n[design]\nkind = 'random'\nsettings = 2\n";
    let scores = |trial: &Trial| Some([20.0, 2000.0, 400.0, 400.0][trial.number]);
    for (scale, first, best) in [
        ("linear", 1010.0, 1),
        ("log10", 200.0, 0),
        ("log2", 200.0, 0),
    ] {
        let study = study(&format!("score_scale = '{scale}'\n{rest}{LISTS}"));
        let finished = run(&study, scores);
        let results = Results::of(&study, &finished).unwrap();
        near(results.settings[0].score.unwrap(), first, 1e-9);
        assert_eq!(
            (results.settings[1].score, results.best),
            (Some(400.0), Some(best)),
            "{scale}"
        );
        let all: Vec<&Finished> = finished.iter().collect();
        let (seen, units) = crate::propose::seen(&study, &all).unwrap();
        for (setting, y) in results.settings.iter().zip(seen.y) {
            near(
                super::process::score_of(&study, units[0] + units[1] * y),
                setting.score.unwrap(),
                1e-9,
            );
        }
    }
}

#[test]
fn scores_that_are_all_the_same_tell_nothing() {
    let study = study(&format!(
        "[design]\nkind = 'random'\nsettings = 10\n{LISTS}"
    ));
    // Where only one has a score the others count as that.
    for scored in [10, 1] {
        let finished = run(&study, |trial| (trial.number < scored).then_some(0.1));
        let all: Vec<&Finished> = finished.iter().collect();
        let (seen, units) = crate::propose::seen(&study, &all).unwrap();
        assert_eq!((seen.y, units), (vec![0.0; 10], [0.1, 0.0]));
        assert!(Results::of(&study, &finished).unwrap().process.is_none());
    }
}

#[test]
fn a_score_without_a_logarithm_is_no_score_of_a_report() {
    let rest = "score_scale = 'log10'\n[design]\nkind = 'random'\nsettings = 6\n";
    let study = study(&format!("{rest}{LISTS}"));
    let finished = run(&study, |trial| Some(trial.number as f64 - 1.0));
    let results = Results::of(&study, &finished).unwrap();
    assert_eq!(results.all.runs, [6, 2]);
    assert_eq!((results.settings[1].score, results.best), (None, Some(2)));
    assert_eq!(results.all.scores.unwrap().n, 4);
}

#[test]
fn shares_of_functions_with_known_ones() {
    // Standard errors are 0.01: all bounds are four.
    // Ishigami and Homma 1990: shares 0.3139, 0.4424, 0 alone, 0.5576, 0.4424, 0.2437 together.
    let ishigami = |u: &[f64]| {
        let x: Vec<f64> = u.iter().map(|u| PI * (2.0 * u - 1.0)).collect();
        x[0].sin() + 7.0 * x[1].sin().powi(2) + 0.1 * x[2].powi(4) * x[0].sin()
    };
    let found = shares(3, ishigami).unwrap();
    let first = [0.3139, 0.4424, 0.0];
    let total = [0.5576, 0.4424, 0.2437];
    for (share, (first, total)) in found.iter().zip(first.iter().zip(&total)) {
        near(share.first, *first, 0.04);
        near(share.total, *total, 0.04);
    }
    // Additive: Var(a u) = a²/12, nothing together.
    let found = shares(3, |u| 1e6 + 3.0 * u[0] + 4.0 * u[2]).unwrap();
    for (share, expected) in found.iter().zip([9.0 / 25.0, 0.0, 16.0 / 25.0]) {
        near(share.first, expected, 0.04);
        near(share.total, expected, 0.04);
    }
    assert_eq!(shares(2, |_| 0.1), None);
}

#[test]
fn a_process_finds_what_matters_also_of_lists() {
    let space = "
[space.a]
kind = 'choice'
values = [0, 1, 2]
[space.b]
lo = 1
hi = 100
scale = 'log10'
[space.c]
lo = 0
hi = 1
";
    let rest = "score_scale = 'log10'\n[design]\nkind = 'latin-hypercube'\nsettings = 90\n";
    let study = study(&format!("{rest}{space}"));
    // In logarithms 1 for the last of the list, 2 b, nothing for c.
    let log = |x: &[f64]| f64::from(x[0] > 0.6) + 2.0 * x[1];
    let finished = run(&study, |trial| Some(10f64.powf(log(&trial.point))));
    let results = Results::of(&study, &finished).unwrap();
    let process = results.process.unwrap();
    assert_eq!(process.settings, 90);
    assert!(process.left_out > 0.98, "{}", process.left_out);
    // Variances: 2/9 and 4/12.
    let (a, b) = (2.0 / 9.0, 1.0 / 3.0);
    for (share, expected) in process.shares.unwrap().iter().zip([a, b, 0.0]) {
        near(share.first, expected / (a + b), 0.04);
        near(share.total, expected / (a + b), 0.04);
    }
    assert_eq!(process.maps.len(), 3);
    let map = &process.maps[0];
    assert_eq!((map.keys, map.is_seen), ([1, 0], false));
    assert_eq!(
        (map.places[0].len(), &map.places[1]),
        (20, &vec![0.5 / 3.0, 0.5, 2.5 / 3.0])
    );
    for (row, up) in map.scores.iter().zip(&map.places[1]) {
        for (score, along) in row.iter().zip(&map.places[0]) {
            near(score.unwrap().log10(), log(&[*up, *along]), 0.1);
        }
    }
}

#[test]
fn a_map_of_a_grid_has_the_means_of_what_was_tried() {
    let space = "
[space.a]
kind = 'choice'
values = [0, 1, 2]
[space.b]
lo = 0.1
hi = 0.7
points = 4
[space.c]
kind = 'choice'
values = [5, 6]
";
    let study = study(&format!("[design]\nkind = 'grid'\n{space}"));
    let finished = run(&study, |trial| {
        (trial.number != 0).then_some(trial.number as f64)
    });
    let mut results = Results::of(&study, &finished).unwrap();
    let maps = results.process.take().unwrap().maps;
    let mut seen = 0;
    for map in maps
        .iter()
        .filter(|m| m.keys.contains(&0) && m.keys.contains(&1))
    {
        let is_turned = map.keys == [1, 0];
        for (a, b) in (0..3).flat_map(|a| (0..4).map(move |b| (a, b))) {
            let found = match is_turned {
                true => map.scores[a][b],
                false => map.scores[b][a],
            };
            // Of the two settings the first one failed.
            let first = 8 * a + 2 * b;
            let expected = if first == 0 { 1.0 } else { first as f64 + 0.5 };
            near(found.unwrap(), expected, 1e-12);
            seen += 1;
        }
        assert!(map.is_seen);
    }
    assert_eq!(seen, 12);
}
